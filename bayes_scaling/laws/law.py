"""What a law is: a pure function whose signature says what is measured and what is unknown."""

from __future__ import annotations

import ast
import functools
import inspect
import pickle
import sys
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Annotated, Any, get_args, get_type_hints

from bayes_scaling import display
from bayes_scaling.laws.documentation import cited, composed
from bayes_scaling.plugins import Registry
from bayes_scaling.quantities import BY_COLUMN, QUANTITIES, Quantity

Value = Any
"""A float, a numpy or xarray array, or a symbolic tensor: laws take them all alike."""

Power = str | float | Callable[[Mapping[str, Any]], Any]
"""The exponent of an input in a term: a parameter's name, a number, or a function of the parameters."""


@dataclass(frozen=True)
class Kind:
    """What sort of unknown a parameter is. Every parameter is positive.

    A prior is stated at a reference point inside the data; ``from_reference`` turns a value stated there into the
    published parameter, and ``at_reference`` turns it back. For most kinds the two are the same number. Meaning and unit
    are those of the value at the reference point.
    """

    meaning: str
    unit: str

    @property
    def axes(self) -> tuple[str, ...]:
        """Symbols of what the reference point is a point of, as far as the value there rests on it."""
        return ()

    def from_reference(self, value: Value, reference: Mapping[str, Value], parameters: Mapping[str, Value]) -> Value:
        """Return the published parameter for ``value`` at the reference point."""
        return value

    def at_reference(self, value: Value, reference: Mapping[str, Value], parameters: Mapping[str, Value]) -> Value:
        """Return the value at the reference point for the published parameter ``value``."""
        return value

    @property
    def published(self) -> tuple[str, str]:
        """What the published parameter means, and its unit."""
        return self.meaning, BY_COLUMN[self.unit].unit if self.unit in BY_COLUMN else self.unit

    @property
    def moves(self) -> bool:
        """Whether the value at the reference point differs from the published parameter."""
        return type(self) is not Kind


def _power(power: Power, parameters: Mapping[str, Value]) -> Value:
    if isinstance(power, str):
        return parameters[power]
    return power(parameters) if callable(power) else power


@dataclass(frozen=True)
class Coefficient(Kind):
    """The coefficient A of a term (A x^-power)^outer; at the reference point, the term's whole value.

    With x in raw units, A and its exponent are one ridge; the term at a point inside the data is what the data measure.
    ``of`` is the symbol of x, ``also`` are those of other axes.
    """

    of: str = ""
    power: Power = 1.0
    outer: Power = 1.0
    also: tuple[str, ...] = ()
    through: tuple[str, ...] = ()
    """Parameters through whose own values at the reference point this one's is stated."""

    @property
    def axes(self) -> tuple[str, ...]:
        """Symbols of the axes."""
        return (self.of, *self.also)

    def from_reference(self, value: Value, reference: Mapping[str, Value], parameters: Mapping[str, Value]) -> Value:
        """Return A = term^(1/outer) x0^power."""
        return value ** (1 / _power(self.outer, parameters)) * reference[self.of] ** _power(self.power, parameters)

    def at_reference(self, value: Value, reference: Mapping[str, Value], parameters: Mapping[str, Value]) -> Value:
        """Return the term (A x0^-power)^outer."""
        return (value * reference[self.of] ** -_power(self.power, parameters)) ** _power(self.outer, parameters)

    @property
    def published(self) -> tuple[str, str]:
        """The coefficient, and its unit; where the power is a function, the unit of the term at x = 1."""
        unit = self.unit if self.unit not in BY_COLUMN or self.unit == "loss" else BY_COLUMN[self.unit].unit
        term = unit if self.outer == 1.0 else f"{unit}^(1/{self.outer})"
        power = f"^{self.power:g}" if isinstance(self.power, float) else f"^{self.power}"
        x = "1" if callable(self.power) else _unit(self.of) + power.removesuffix("^1")
        return f"coefficient of {self.of}", " times ".join(factor for factor in (term, x) if factor != "1") or "1"


@dataclass(frozen=True)
class Scale(Coefficient):
    """The scale x_c of a term (x_c / x)^outer, in the unit of x; at the reference point, the term's value."""

    @property
    def published(self) -> tuple[str, str]:
        """The scale, in the unit of x."""
        return f"scale of {self.of}", _unit(self.of)


@dataclass(frozen=True)
class PowerLaw(Kind):
    """The coefficient A of a power law A x^p y^q of several inputs; at the reference point, its value there.

    ``powers`` are the symbol and the exponent of each input.
    """

    powers: tuple[tuple[str, Power], ...] = ()

    def from_reference(self, value: Value, reference: Mapping[str, Value], parameters: Mapping[str, Value]) -> Value:
        """Return A = value x0^-p y0^-q."""
        for symbol, power in self.powers:
            value = value * reference[symbol] ** -_power(power, parameters)
        return value

    def at_reference(self, value: Value, reference: Mapping[str, Value], parameters: Mapping[str, Value]) -> Value:
        """Return A x0^p y0^q."""
        for symbol, power in self.powers:
            value = value * reference[symbol] ** _power(power, parameters)
        return value

    @property
    def axes(self) -> tuple[str, ...]:
        """The symbols of the inputs."""
        return tuple(symbol for symbol, _ in self.powers)


def _unit(symbol: str) -> str:
    return QUANTITIES[symbol].unit if symbol in QUANTITIES else f"units of {symbol}"


Loss = Annotated[Value, Kind("a loss", "loss")]
Irreducible = Annotated[Loss, "irreducible loss"]
EXPONENT = Kind("an exponent", "1")
Exponent = Annotated[Value, EXPONENT]
Number = Annotated[Value, Kind("a pure number", "1")]
Tokens = Annotated[Value, Kind("a number of tokens", "batch_tokens")]
Steps = Annotated[Value, Kind("a number of steps", "steps")]


def coefficient(of: str, power: Power, *, outer: Power = 1.0) -> Coefficient:
    """Return the kind of a coefficient whose term at the reference point is a loss."""
    return Coefficient(f"loss left by {of} at its reference", "loss", of, power, outer)


def scale(of: str, power: Power) -> Scale:
    """Return the kind of a scale whose term at the reference point is a loss."""
    return Scale(f"loss left by {of} at its reference", "loss", of, outer=power)


def position(of: str) -> Coefficient:
    """Return the kind of a place on the axis of an input, stated as a multiple of the reference point."""
    return Coefficient(f"multiple of the reference of {of}", "1", of, 1.0)


@dataclass(frozen=True)
class Law:
    """A scaling law: a pure function and what its signature says.

    Parameters
    ----------
    name : str
        Name of the function.
    function : callable
        ``function(*inputs, **parameters)``, made of operators and :mod:`bayes_scaling.elementwise`.
    inputs : tuple of str
        Symbols of what is measured, in order.
    parameters : mapping of str to Kind
        What is unknown, in order.
    output : str
        What comes out: ``"loss"``, or the column of another quantity.
    source : str
        Key of the paper in ``data/references.bib``.
    equation : str
        Where in that paper.
    optional : mapping of str to float
        Parameters that may be left out, and the value they have then: the form of the paper.
    best : tuple of str
        Inputs that have a best value, such as a batch or a shape; a loss falls with every other one.

    Examples
    --------
    >>> from bayes_scaling.laws import LAWS
    >>> law = LAWS["chinchilla"]
    >>> law.inputs, tuple(law.parameters)
    (('N', 'D'), ('E', 'A', 'alpha', 'B', 'beta'))
    >>> round(law(70e9, 1.4e12, E=1.69, A=406.4, alpha=0.34, B=410.7, beta=0.28), 3)
    1.937
    """

    name: str
    function: Callable[..., Any]
    inputs: tuple[str, ...]
    parameters: Mapping[str, Kind]
    output: str
    source: str
    equation: str
    optional: Mapping[str, float] = field(default_factory=dict)
    best: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Carry the function's name and the whole documentation, for help() and doctest."""
        # Resolved, so that they mean the same in a process that lacks the module's names.
        self.function.__annotations__ = get_type_hints(self.function, include_extras=True)
        names = (name for name in functools.WRAPPER_ASSIGNMENTS if hasattr(self.function, name))
        own = {name: getattr(self.function, name) for name in names}
        self.__dict__.update(own, __wrapped__=self.function, __doc__=self.documentation)

    def __reduce__(self) -> Any:
        """Pickle a law that can be imported by its module and name; one of a notebook or made within a function, by value."""
        module, name = sys.modules.get(self.__module__), self.function.__qualname__
        is_importable = self.__module__ != "__main__" and getattr(module, "__spec__", None) is not None
        if is_importable and getattr(module, name, None) is self:
            return name
        import cloudpickle  # laws of notebooks alone need it

        return _sent, (cloudpickle.dumps(tuple(getattr(self, each.name) for each in fields(self))),)

    def __repr__(self) -> str:
        return f"<Law {self.name}: {self.output} of {', '.join(self.inputs)}; parameters {', '.join(self.parameters)}>"

    def _repr_html_(self) -> str:
        import pandas as pd

        hints = self.function.__annotations__
        rows = {name: ("input", _meaning(hints.get(name), QUANTITIES.get(name))) for name in self.inputs}
        rows |= {name: ("parameter", _meaning(hints[name])) for name in self.parameters}
        meanings = pd.DataFrame.from_dict(rows, orient="index", columns=["is", "meaning"])
        source = f"{self.name}: {self.summary} {self.formula} ({self.source}, {self.equation})"
        return display.paragraph(source) + display.table(meanings)

    def __call__(self, *inputs: Value, **parameters: Value) -> Value:
        """Return the law's output."""
        return self.function(*inputs, **parameters)

    def to_dict(self) -> dict[str, Any]:
        """Return what a list of laws says of it, as plain values."""
        facts = ("summary", "formula", "inputs", "parameters", "output", "source", "equation")
        return {"law": self.name, **{fact: getattr(self, fact) for fact in facts}, "parameters": list(self.parameters)}

    @property
    def axes(self) -> tuple[str, ...]:
        """What the reference point is a point of: the inputs that a parameter is stated at a value of."""
        return tuple(dict.fromkeys(axis for kind in self.parameters.values() for axis in kind.axes))

    @property
    def summary(self) -> str:
        """First line of the docstring."""
        return (inspect.getdoc(self.function) or "").split("\n", 1)[0]

    @property
    def documentation(self) -> str:
        """The docstring with its sections: meaning and unit of all that goes in and comes out, and the paper."""
        hints = self.function.__annotations__
        arguments = {f"{n} : float or array": _meaning(hints.get(n), QUANTITIES.get(n)) for n in self.inputs}
        for name, kind in self.parameters.items():
            prior = f"; a prior states the {kind.meaning}" if kind.moves else ""
            default = f"; {self.optional[name]:g} in the paper" if name in self.optional else ""
            arguments[f"{name} : float or array{', optional' * bool(default)}"] = _meaning(hints[name]) + prior + default
        return composed(
            inspect.getdoc(self.function) or "",
            Parameters=arguments,
            Returns={"float or array": _meaning(hints.get("return"), BY_COLUMN.get(self.output))},
            References={"": f"{cited(self.source)}: {self.equation}"},
        )

    @property
    def formula(self) -> str:
        """The formula, read off the code, so that it cannot differ from it; empty where there is no code."""
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(self.function))).body[0]
        except OSError:
            return ""
        assert isinstance(tree, ast.FunctionDef)
        lines = tree.body[ast.get_docstring(tree) is not None :]
        return "; ".join(ast.unparse(line).removeprefix("return ") for line in lines)

    def from_reference(self, values: Mapping[str, Value], reference: Mapping[str, Value]) -> dict[str, Value]:
        """Return the published parameters, in the order of the signature, for values stated at a reference point.

        The point is a positive number for each input and each of :attr:`axes`: a derived law borrows its parameters
        from the law it derives from. Optional parameters may be left out.

        >>> from bayes_scaling.laws import LAWS
        >>> law = LAWS["chinchilla"]
        >>> there = {"E": 1.69, "A": 0.354, "alpha": 0.34, "B": 0.460, "beta": 0.28}
        >>> {k: float(f"{v:.3g}") for k, v in law.from_reference(there, {"N": 1e9, "D": 3.3e10}).items()}
        {'E': 1.69, 'A': 406.0, 'alpha': 0.34, 'B': 405.0, 'beta': 0.28}
        """
        whole = {**self.optional, **values}
        return {n: kind.from_reference(whole[n], reference, whole) for n, kind in self.parameters.items() if n in values}

    def at_reference(self, parameters: Mapping[str, Value], reference: Mapping[str, Value]) -> dict[str, Value]:
        """Return every parameter's value at a reference point, the inverse of :meth:`from_reference`."""
        whole = {**self.optional, **parameters}
        return {n: kind.at_reference(whole[n], reference, whole) for n, kind in self.parameters.items() if n in parameters}


def _meaning(hint: Any, quantity: Quantity | None = None) -> str:
    """Return the words beside an annotation, or else those of its kind or quantity, and the unit, if there is one."""
    meaning, unit = (quantity.meaning, quantity.unit) if quantity else ("", "1")
    for beside in get_args(hint):
        if isinstance(beside, Kind):
            meaning, unit = beside.published
        elif isinstance(beside, str):
            meaning = beside
    return meaning if unit == "1" or unit in meaning else f"{meaning}, {unit}"


LAWS: Registry[Law] = Registry("law")
"""Every law by its name, in the order of definition."""


def _sent(fields: bytes) -> Law:
    """Return a law that was sent by value, and register it where there is none of its name."""
    law = Law(*pickle.loads(fields))
    LAWS.setdefault(law.name, law)
    return law


def law(*, output: str, source: str, equation: str, best: tuple[str, ...] = ()) -> Callable[[Callable[..., Any]], Law]:
    """Make a law of a function and add it to :data:`LAWS`.

    What is measured stands before the ``*`` of the signature, what is unknown after it, annotated with its kind; an
    unknown with a default may be left out. Output, source, equation and best are those of :class:`Law`.

    The docstring says what the law is, with its formula and an example. Meanings and units come from quantities and
    kinds; what has a meaning of its own says it beside its annotation: ``Annotated[Number, "tokens per parameter"]``.

    Raises
    ------
    TypeError
        If the name is taken, an unknown has no kind, or nothing says what an input or the output is.

    Examples
    --------
    >>> from typing import Annotated
    >>> from bayes_scaling.laws.law import Exponent, Loss, Value, coefficient, law
    >>> @law(output="loss", source="ours", equation="none")
    ... def tapering(N: Value, *, E: Loss, A: Annotated[Value, coefficient("N", "alpha")], alpha: Exponent) -> Value:
    ...     "Loss of a model of N parameters."
    ...     return E + A / (1 + N**alpha)
    >>> round(tapering(1e9, E=1.7, A=400.0, alpha=0.34), 3)
    2.048
    >>> del LAWS["tapering"]  # only an example
    """

    def register(function: Callable[..., Any]) -> Law:
        name = function.__name__
        LAWS.refuse_taken(name, function.__module__)
        hints = get_type_hints(function, include_extras=True)
        inputs, parameters, optional = [], {}, {}
        for parameter in inspect.signature(function).parameters.values():
            if parameter.kind is not parameter.KEYWORD_ONLY:
                inputs.append(parameter.name)
                continue
            kinds = [a for a in get_args(hints.get(parameter.name)) if isinstance(a, Kind)]
            if not kinds:
                raise TypeError(f"{name}: annotate {parameter.name} with its kind, say Exponent.")
            parameters[parameter.name] = kinds[0]
            if parameter.default is not parameter.empty:
                optional[parameter.name] = parameter.default
        quantities = {symbol: QUANTITIES.get(symbol) for symbol in inputs} | {"return": BY_COLUMN.get(output)}
        for place, quantity in quantities.items():
            if not _meaning(hints.get(place), quantity):
                raise TypeError(f"{name}: {place} is no known quantity; say what it means: Annotated[Value, 'words'].")
        LAWS[name] = Law(name, function, tuple(inputs), parameters, output, source, equation, optional, best)
        return LAWS[name]

    return register
