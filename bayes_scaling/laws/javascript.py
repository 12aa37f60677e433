"""The JavaScript of a law, and of any formula that is written as laws are: what it does to symbols, written down line by line.

A law is called on symbols as it is called on numbers; each operator writes a line. So the law is still written once.
"""

from __future__ import annotations

import numbers
from collections.abc import Callable, Sequence
from typing import Any, Final, NoReturn

from bayes_scaling import elementwise
from bayes_scaling.errors import InvalidSpecification
from bayes_scaling.laws.law import Law

_FUNCTIONS: Final = {
    "exp": "Math.exp({})",
    "log": "Math.log({})",
    "expm1": "Math.expm1({})",
    "log1p": "Math.log1p({})",
    "softplus": "Math.max({0}, 0) + Math.log1p(Math.exp(-Math.abs({0})))",
    "minimum": "Math.min({}, {})",
}
"""What the functions of :mod:`bayes_scaling.elementwise` are in JavaScript."""


class Symbol:
    """A number that is known by its name in a program alone: what is done to it becomes a line of the program."""

    __slots__ = ("lines", "name")
    __array_ufunc__ = None  # an array that meets a symbol leaves the operator to it, which refuses the array

    def __init__(self, name: str, lines: dict[str, str]) -> None:
        self.name = name
        self.lines = lines

    def _line(self, template: str, *values: Any) -> Symbol:
        code = template.format(*map(_written, values))
        return Symbol(self.lines.setdefault(code, f"t{len(self.lines)}"), self.lines)

    def __add__(self, other: Any) -> Symbol:
        return self._line("{} + {}", self, other)

    def __radd__(self, other: Any) -> Symbol:
        return self._line("{} + {}", other, self)

    def __sub__(self, other: Any) -> Symbol:
        return self._line("{} - {}", self, other)

    def __rsub__(self, other: Any) -> Symbol:
        return self._line("{} - {}", other, self)

    def __mul__(self, other: Any) -> Symbol:
        return self._line("{} * {}", self, other)

    def __rmul__(self, other: Any) -> Symbol:
        return self._line("{} * {}", other, self)

    def __truediv__(self, other: Any) -> Symbol:
        return self._line("{} / {}", self, other)

    def __rtruediv__(self, other: Any) -> Symbol:
        return self._line("{} / {}", other, self)

    def __pow__(self, other: Any) -> Symbol:
        return self._line("Math.pow({}, {})", self, other)

    def __rpow__(self, other: Any) -> Symbol:
        return self._line("Math.pow({}, {})", other, self)

    def __neg__(self) -> Symbol:
        return self._line("-{}", self)

    def __pos__(self) -> Symbol:
        return self

    def __abs__(self) -> Symbol:
        return self._line("Math.abs({})", self)

    def __bool__(self) -> NoReturn:
        raise InvalidSpecification("A law that branches on a value has no JavaScript: write it with minimum of elementwise.")

    __lt__ = __le__ = __gt__ = __ge__ = lambda self, other: self.__bool__()


for _name, _template in _FUNCTIONS.items():
    getattr(elementwise, _name).register(Symbol, lambda *values, _of=_template: values[0]._line(_of, *values))


def _written(value: Any) -> str:
    """Write a symbol or a number; nothing else has a place in a law."""
    if isinstance(value, Symbol):
        return value.name
    if not isinstance(value, numbers.Real):
        raise InvalidSpecification(f"A law meets {type(value).__name__}: only numbers have JavaScript.")
    text = repr(float(value)).replace("inf", "Infinity").replace("nan", "NaN")
    return f"({text})" if text.startswith("-") else text


def javascript(formula: Callable[..., Any], names: Sequence[str]) -> str:
    """Return a formula as a function of JavaScript.

    Parameters
    ----------
    formula : callable
        Takes the arguments in order and returns one number or a sequence of them; made of operators and
        :mod:`bayes_scaling.elementwise`, as laws are.
    names : sequence of str
        Names of the arguments.

    Returns
    -------
    str
        An arrow function; it returns a number, or an array where the formula returns a sequence.

    Raises
    ------
    InvalidSpecification
        If the formula does what symbols cannot: branch on a value, or call a function of numpy.

    Examples
    --------
    >>> print(javascript(lambda x, y: x**2 + 3 * y, ["x", "y"]))
    ($x, $y) => {
      const t0 = Math.pow($x, 2.0);
      const t1 = 3.0 * $y;
      const t2 = t0 + t1;
      return t2;
    }
    """
    lines: dict[str, str] = {}
    try:
        result = formula(*(Symbol(f"${name}", lines) for name in names))
    except (TypeError, AttributeError) as error:
        raise InvalidSpecification(f"It is made of more than operators and elementwise functions: {error}.") from error
    # A dollar before each name keeps it from being a word of the language.
    several = isinstance(result, tuple | list)
    returned = f"[{', '.join(map(_written, result))}]" if several else _written(result)
    body = [f"const {name} = {code};" for code, name in lines.items()]
    return "\n  ".join([f"({', '.join('$' + name for name in names)}) => {{", *body, f"return {returned};"]) + "\n}"


def javascript_of(law: Law) -> str:
    """Return a law as a function of JavaScript: its inputs, then its parameters, those too that may be left out.

    >>> from bayes_scaling.laws import LAWS
    >>> print(javascript_of(LAWS["kaplan_n"]))
    ($N, $N_c, $alpha_N, $E) => {
      const t0 = $N_c / $N;
      const t1 = Math.pow(t0, $alpha_N);
      const t2 = t1 + $E;
      return t2;
    }
    """

    def called(*values: Any) -> Any:
        count = len(law.inputs)
        return law(*values[:count], **dict(zip(law.parameters, values[count:], strict=True)))

    return javascript(called, [*law.inputs, *law.parameters])
