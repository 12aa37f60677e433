"""A model: observations of one set of parameters, read from a TOML document.

A document lists what was measured, each with its law, and the parameters of these laws; a name that two laws use is one
parameter. ``law = ...`` at the top of a document is short for one observation.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

import pandas as pd
import tomli_w
from pydantic import Field, SerializeAsAny, ValidationError, field_validator, model_validator

from bayes_scaling import display
from bayes_scaling.errors import (
    InvalidGrouping,
    InvalidModel,
    InvalidPin,
    InvalidSpecification,
    MissingResourceWarning,
    UnknownName,
    choose,
    first_fault,
)
from bayes_scaling.files import MODELS, read_toml
from bayes_scaling.laws import LAWS, Law
from bayes_scaling.laws.law import EXPONENT, Coefficient, Kind
from bayes_scaling.model.effects import Effect, Shared, one_or_many
from bayes_scaling.model.graph import Graph, graph_of
from bayes_scaling.model.noise import Correlation, Likelihood
from bayes_scaling.model.pins import Pin
from bayes_scaling.model.priors import Prior
from bayes_scaling.model.registry import InvalidPart, Strict, sentence
from bayes_scaling.model.walk import RandomWalk
from bayes_scaling.quantities import BY_COLUMN, QUANTITIES, RESOURCES
from bayes_scaling.runs.aliases import likely_columns

OF_RUNS: Final = ("runs", "shapes", "near_best", "scans")
"""Tables with a row a run; the others are about learning curves."""
OBSERVATION: Final = "observation"
"""The grouping whose labels are the names of the observations."""
_SPREADS: Final = {
    kind: Prior.model_validate({"dist": "LogNormal", "mu": mu, "sigma": 0.7})
    for kind, mu in (("offset", -2.5), ("term", -2.0), ("exponent", -3.0))
}
"""Priors on the standard deviation between groups, log scale, of :meth:`Model.by`: offsets differ by some 8 % from group to
group, terms by 14 %, exponents by 5 %; each may be three times larger or smaller."""


class Parameter(Strict):
    """The prior of one parameter.

    Parameters
    ----------
    prior : Prior, optional
        Prior on the value at the reference point; with ``varies_by``, on the population's centre.
    fixed : float, optional
        The published value itself, instead of a prior.
    varies_by : tuple of str
        Groupings over which the parameter varies: a column, ``"a:b"`` for each pair of two columns, or ``"observation"``.
        ``["corpus", "arch"]`` is crossed, ``["corpus", "corpus:arch"]`` is arch nested in corpus.
    spread : Prior, optional
        Prior on the standard deviation between groups, on the log scale; one for each grouping.
    unit : str or float
        ``"table"`` where the prior is on the value in the table's own unit, although the others are on multiples of the
        typical one; a number where it is on multiples of that.
    why : str
        Why this prior, in a sentence.
    """

    prior: Prior | None = None
    fixed: float | None = Field(default=None, ge=0)
    varies_by: tuple[str, ...] = ()
    spread: Prior | None = None
    unit: Literal["", "table"] | Annotated[float, Field(gt=0)] = ""
    why: str = ""

    _varies_by = field_validator("varies_by", mode="before")(one_or_many)

    @model_validator(mode="after")
    def _is_whole(self) -> Parameter:
        if (self.prior is None) == (self.fixed is None):
            raise InvalidSpecification("needs a prior, or a fixed value, and not both")
        if bool(self.varies_by) != (self.spread is not None):
            raise InvalidSpecification("varies_by and spread go together: give both, or neither")
        if self.fixed is not None and self.varies_by:
            raise InvalidSpecification("a fixed value cannot vary: give a prior instead")
        if len(set(self.varies_by)) < len(self.varies_by) or len(self.varies_by) > 2:
            raise InvalidSpecification("varies_by takes one or two different groupings")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that make up the groupings."""
        return tuple(dict.fromkeys(c for g in self.varies_by if g != OBSERVATION for c in g.split(":")))


class Observation(Strict):
    """One kind of observation: which rows of which table, which law, and how measurements vary around it.

    Parameters
    ----------
    name : str
        Its name, by default what it measures; among several, its own variables are called ``sigma_{name}`` and so on.
    law : str
        Name of the law.
    inputs : dict
        Column for each input of the law; by default the canonical one.
    table : {"runs", "shapes", "near_best", "scans", "curves", "lowest", "steps_to_loss", "gradient_noise"}
        Runs, points along them, or what follows from the points: see :mod:`~bayes_scaling.runs.derived`.
    where : str
        Condition on its rows; all of them by default.
    measured : str
        Column of what was measured; by default the canonical one of the law's output.
    likelihood : Likelihood
        Distribution of the residuals.
    discrepancy : dict of str to Effect
        What the law gets wrong, by name: a random walk along the quantity of that symbol by default.
    noise : dict of str to Effect
        Noise that rows share, by name, beside what each has to itself.
    correlation : Correlation, optional
        Serial correlation along runs; independent by default.
    why : str
        Why these rows, in a sentence.
    """

    name: str = ""
    law: str
    inputs: dict[str, str] = Field(default_factory=dict)
    table: Literal["runs", "shapes", "near_best", "scans", "curves", "lowest", "steps_to_loss", "gradient_noise"] = "runs"
    where: str = ""
    measured: str = ""
    likelihood: SerializeAsAny[Likelihood]
    discrepancy: dict[str, SerializeAsAny[Effect]] = Field(default_factory=dict)
    noise: dict[str, SerializeAsAny[Effect]] = Field(default_factory=dict)
    correlation: Correlation | None = None
    why: str = ""

    @model_validator(mode="before")
    @classmethod
    def _named(cls, given: Any) -> Any:
        """Name an observation by what it measures, where the document does not."""
        if isinstance(given, dict) and not given.get("name") and given.get("law") in LAWS:
            return {**given, "name": given.get("measured") or LAWS[given["law"]].output}
        return given

    @field_validator("likelihood", mode="before")
    @classmethod
    def _distribution(cls, given: Any) -> Any:
        return Likelihood.of(given)

    @field_validator("discrepancy", "noise", mode="before")
    @classmethod
    def _effects(cls, given: Any, info: Any) -> Any:
        if not isinstance(given, dict):
            return given
        kind = "random walk" if info.field_name == "discrepancy" else "shared"
        effects = {}
        for name, table in given.items():
            try:
                effects[name] = Effect.of({"kind": kind, **table} if isinstance(table, dict) else table)
            except InvalidSpecification as error:
                raise InvalidPart(f"{name}{'.' if isinstance(error, InvalidPart) else ': '}{error}") from None
        return effects

    @model_validator(mode="after")
    def _names_a_law_and_its_inputs(self) -> Self:
        if self.law not in LAWS:
            raise InvalidSpecification(f"law: there is no law {self.law!r}; {choose(self.law, LAWS)}")
        inputs = self.the_law.inputs
        for name in self.inputs:
            if name not in inputs:
                raise InvalidSpecification(f"inputs.{name}: {self.law} has no such input; {choose(name, inputs)}")
        for name in inputs:
            if name not in QUANTITIES and name not in self.inputs:
                raise InvalidSpecification(f"inputs.{name}: say which column of the runs it is")
        if not self.measured and self.the_law.output not in BY_COLUMN:
            raise InvalidSpecification(f"measured: {self.law} gives {self.the_law.output}, say which column that is")
        return self

    @model_validator(mode="after")
    def _can_integrate_effects(self) -> Self:
        for name, walk in self.discrepancy.items():
            if isinstance(walk, RandomWalk):
                self._check_walk(name, walk.along or name)
        for name in self.noise:
            if not name.isidentifier() or name in QUANTITIES:
                raise InvalidSpecification(
                    f"noise.{name}: the name has to be a word of letters that is not a quantity, such as recipe"
                )
        for part in ("discrepancy", "noise", "correlation"):
            if getattr(self, part) and not self.likelihood.integrates:
                raise InvalidSpecification(
                    f"{part}: it is integrated out in closed form, for which likelihood.dist has to be Normal, found "
                    f"{self.likelihood.dist}"
                )
        return self

    def _check_walk(self, name: str, symbol: str) -> None:
        if symbol not in QUANTITIES or symbol == "L":
            valid = [quantity for quantity in QUANTITIES if quantity != "L"]
            raise InvalidSpecification(f"discrepancy.{name}: there is no such quantity; {choose(symbol, valid)}")
        column, given = QUANTITIES[symbol].column, set(self.columns.values())
        if column not in given and not (symbol == "C" and {"params", "tokens"} <= given):
            raise InvalidSpecification(
                f"discrepancy.{name}: {self.law} takes {', '.join(self.columns.values())}, from which {column} does not follow: "
                f"put the discrepancy along one of these, or along C where there are params and tokens"
            )

    @property
    def the_law(self) -> Law:
        """The law itself."""
        return LAWS[self.law]

    @property
    def columns(self) -> dict[str, str]:
        """Column of the table for every input of the law, in the law's order."""
        return {name: self.inputs.get(name) or QUANTITIES[name].column for name in self.the_law.inputs}

    @property
    def output(self) -> str:
        """Column of what was measured."""
        return self.measured or self.the_law.output

    @property
    def effects(self) -> dict[tuple[str, str], Effect]:
        """Every effect, by section and name."""
        return {
            (section, name): effect
            for section, effects in (("discrepancy", self.discrepancy), ("noise", self.noise))
            for name, effect in effects.items()
        }

    @property
    def needs(self) -> tuple[str, ...]:
        """Columns the table has to have: inputs, what was measured, and what its effects lie along."""
        along = (column for (_, name), effect in self.effects.items() for column in effect.columns(name))
        place = (self.correlation.along, self.correlation.by) if self.correlation and self.table != "runs" else ()
        return tuple(dict.fromkeys((*self.columns.values(), *along, *place, self.output)))

    @property
    def labels_by(self) -> tuple[str, ...]:
        """Columns that say which rows share noise or follow each other, where a table has them."""
        shared = (column for effect in self.effects.values() for column in effect.labels_by)
        along = (self.correlation.by, self.correlation.along) if self.correlation else ()
        return tuple(dict.fromkeys((*shared, *along)))


_OF_AN_OBSERVATION: Final = tuple(Observation.model_fields)


class Model(Strict):
    """Observations of one set of parameters.

    A model of one observation reads as its observation: ``model.law``, ``model.columns``, ``model.likelihood`` and so on.

    Parameters
    ----------
    title : str
        What the model is for, in a line.
    reference : dict
        The point at which priors are stated: for each quantity a number, or ``"geometric mean"`` of the rows (of one
        observation the default for the inputs of its law). Priors on what has the unit of a quantity whose geometric mean
        is named here are on multiples of that: with ``L = "geometric mean"`` those on losses mean the same in any unit.
    parameters : dict
        Every parameter of every law; a name that two laws use is one parameter.
    observations : tuple of Observation
        What was measured.

    Examples
    --------
    >>> model = read_model("chinchilla")
    >>> model.law, str(model.parameters["alpha"].prior)
    ('chinchilla', 'LogNormal(mu=-1.1, sigma=0.5)')
    """

    title: str = ""
    reference: dict[str, float | Literal["geometric mean"]] = Field(default_factory=dict)
    parameters: dict[str, Parameter]
    observations: tuple[Observation, ...]

    @model_validator(mode="before")
    @classmethod
    def _one_law(cls, given: Any) -> Any:
        """Read ``law = ...`` at the top as one observation."""
        if isinstance(given, dict) and "observations" not in given:
            of_it = {key: given[key] for key in _OF_AN_OBSERVATION if key in given}
            rest = {key: value for key, value in given.items() if key not in of_it}
            return rest | {"observations": (of_it,)}
        return given

    _observations = field_validator("observations", mode="before")(one_or_many)

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        return self._checked()

    def _checked(self) -> Self:
        """Return the model, or refuse observations and parameters that do not go together."""
        names = [observation.name for observation in self.observations]
        if not names:
            raise InvalidSpecification("observations: give at least one")
        for name in names if not self.is_one else ():
            if names.count(name) > 1:
                raise InvalidSpecification(f"observations: two are called {name!r}; give each a name of its own")
            if not name.isidentifier():
                raise InvalidSpecification(
                    f"observations: {name!r} is not a valid name; use letters, digits and underscores"
                )
        valid = dict.fromkeys(name for o in self.observations for name in o.the_law.parameters)
        for name in self.parameters:
            if name not in valid:
                whose = f"{self.only.law} has no such parameter" if self.is_one else "no observation has it"
                raise InvalidSpecification(f"parameters.{name}: {whose}; {choose(name, valid)}")
        laws: dict[str, Law] = {}
        for law in (observation.the_law for observation in self.observations):
            for name, kind in law.parameters.items():
                other = laws.setdefault(name, law)
                if other.parameters[name] != kind:
                    raise InvalidSpecification(f"parameters.{name}: {other.name} and {law.name} mean different things by it")
                if name not in self.parameters and name not in law.optional:
                    raise InvalidSpecification(f"parameters.{name}: {law.name} needs it, the document gives it no prior")
                for other in kind.through if isinstance(kind, Coefficient) else ():
                    if other in self.fixed and law.parameters[other].moves:
                        raise InvalidSpecification(
                            f"parameters.{other}: the prior of {name} is stated relative to it: give it a prior, not a value"
                        )
        self._check_reference()
        return self

    def _check_reference(self) -> None:
        valid = {axis for o in self.observations for axis in (*o.the_law.inputs, *o.the_law.axes)}
        valid |= {BY_COLUMN[kind.unit].symbol for kind in self.kinds.values() if kind.unit in BY_COLUMN}
        for name, point in self.reference.items():
            if name not in valid:
                whose = self.only.law if self.is_one else "no law"
                raise InvalidSpecification(f"reference.{name}: {whose} has no such input or unit; {choose(name, valid)}")
            if not isinstance(point, str) and point <= 0:
                raise InvalidSpecification(f"reference.{name}: has to be positive, found {point:g}")
        for law, axis in ((o.the_law, axis) for o in self.observations for axis in o.the_law.axes):
            if axis not in self.reference and (axis not in law.inputs or not self.is_one):
                raise InvalidSpecification(
                    f"reference.{axis}: give a number, or 'geometric mean', since priors of {law.name} are stated at a value of it"
                )

    @property
    def is_one(self) -> bool:
        """Whether the model has one observation."""
        return len(self.observations) == 1

    @property
    def only(self) -> Observation:
        """The one observation; of several an :class:`~bayes_scaling.errors.InvalidModel` is raised."""
        if not self.is_one:
            names = ", ".join(observation.name for observation in self.observations)
            raise InvalidModel(f"{self.title or 'The model'} has the observations {names}: ask about one of them.")
        return self.observations[0]

    def __getattr__(self, name: str) -> Any:
        """Read a model of one observation as its observation."""
        if name.startswith("_") or (not hasattr(Observation, name) and name not in _OF_AN_OBSERVATION):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self.only, name)

    def suffix(self, observation: Observation) -> str:
        """Return what the names of an observation's own variables end in: nothing where it is the only one."""
        return "" if self.is_one else observation.name

    def observation(self, name: str) -> Observation:
        """Return one observation by name; a wrong name is an :class:`~bayes_scaling.errors.UnknownName`."""
        names = [observation.name for observation in self.observations]
        if name not in names:
            raise UnknownName(f"There is no observation {name!r}; {choose(name, names)}.")
        return self.observations[names.index(name)]

    def users(self, parameter: str) -> list[Observation]:
        """Return the observations whose law has a parameter."""
        return [observation for observation in self.observations if parameter in observation.the_law.parameters]

    @property
    def kinds(self) -> dict[str, Kind]:
        """Kind of every parameter of the document, in the order of the laws."""
        return {
            name: kind for o in self.observations for name, kind in o.the_law.parameters.items() if name in self.parameters
        }

    @property
    def units(self) -> dict[str, str]:
        """Symbol of the quantity whose geometric mean the prior of a parameter is on multiples of."""
        symbols = {name: BY_COLUMN[kind.unit].symbol for name, kind in self.kinds.items() if kind.unit in BY_COLUMN}
        of_mean = (name for name, symbol in symbols.items() if isinstance(self.reference.get(symbol), str))
        return {n: symbols[n] for n in of_mean if self.parameters[n].prior is not None and not self.parameters[n].unit}

    def units_at(self, point: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the prior of a parameter is on multiples of: a number it states, or the typical value at a reference point."""
        stated = {n: p.unit for n, p in self.parameters.items() if p.prior is not None and isinstance(p.unit, float)}
        return stated | {name: point[symbol] for name, symbol in self.units.items()}

    @property
    def fixed(self) -> dict[str, float]:
        """Published values that the document fixes."""
        return {name: float(p.fixed) for name, p in self.parameters.items() if p.fixed is not None}

    @property
    def priors(self) -> dict[str, Prior]:
        """Prior of every parameter that has one."""
        return {name: p.prior for name, p in self.parameters.items() if p.prior is not None}

    @property
    def columns_of_inputs(self) -> dict[str, str]:
        """Column of the table for every input of the laws."""
        return {name: column for each in self.observations for name, column in each.columns.items()}

    @property
    def groupings(self) -> tuple[str, ...]:
        """Every grouping that some parameter varies by, in the order of the document."""
        return tuple(dict.fromkeys(g for parameter in self.parameters.values() for g in parameter.varies_by))

    @property
    def group_columns(self) -> tuple[str, ...]:
        """Every column that makes up a grouping, or tells discrepancies apart."""
        columns = [column for parameter in self.parameters.values() for column in parameter.columns]
        walks = [w for o in self.observations for w in o.discrepancy.values() if isinstance(w, RandomWalk)]
        return tuple(dict.fromkeys((*columns, *(column for walk in walks for column in walk.by))))

    @property
    def needs(self) -> tuple[str, ...]:
        """Columns a table of runs has to have: all that its one observation needs of them, or the loss."""
        of_all_runs = self.is_one and self.only.table == "runs" and not self.only.where
        return tuple(dict.fromkeys((*self.only.needs, *self.group_columns))) if of_all_runs else ("loss",)

    @property
    def of_curves(self) -> bool:
        """Whether an observation is about learning curves."""
        return any(observation.table not in OF_RUNS for observation in self.observations)

    def pinned(self, pins: Mapping[str, Any]) -> Model:
        """Return the model with parameters whose value is known from elsewhere: published values, in the table's own units.

        A pin is a number, taken for exact, or a value and its standard error, ``(1.69, 0.02)`` or ``"1.69+-0.02"``, which
        becomes a LogNormal prior. One that varied over groups does so no longer.

        >>> model = read_model("chinchilla").pinned({"E": 1.69, "alpha": "0.34+-0.02"})
        >>> model.fixed, str(model.priors["alpha"])
        ({'E': 1.69}, 'LogNormal(mu=-1.08054, sigma=0.0587727)')
        """
        kinds = {name: kind for o in self.observations for name, kind in o.the_law.parameters.items()}
        parameters = dict(self.parameters)
        for name, given in pins.items():
            if name not in kinds:
                raise InvalidPin(f"There is no parameter {name!r} to pin; {choose(name, kinds)}.")
            parameters[name] = Parameter(**Pin.of(name, given).stated(name, kinds[name]))
        return self.model_copy(update={"parameters": parameters})._checked()

    def with_priors(self, **priors: Any) -> Model:
        """Return the model with other priors on some parameters; what varies over groups still does.

        Parameters
        ----------
        **priors : Prior, mapping, or distribution of PreliZ or pymc_extras
            The prior of each parameter, on its value at the reference point: see :meth:`Prior.of`.

        Raises
        ------
        InvalidModel
            If the laws have no such parameter.
        InvalidSpecification
            If a prior is none.

        Examples
        --------
        >>> model = read_model("kappa").with_priors(a={"dist": "LogNormal", "mu": -1.0, "sigma": 0.3})
        >>> str(model.priors["a"]), model.digest == read_model("kappa").digest
        ('LogNormal(mu=-1, sigma=0.3)', False)
        """
        valid = dict.fromkeys(name for o in self.observations for name in o.the_law.parameters)
        document = self._document()
        for name, given in priors.items():
            if name not in valid:
                raise InvalidPin(f"There is no parameter {name!r} to give a prior; {choose(name, valid)}.")
            try:
                prior = Prior.of(given).model_dump()
            except InvalidSpecification as error:
                raise InvalidSpecification(f"The prior of {name}: {error}.") from None
            before = document["parameters"].get(name, {})
            kept = {key: before[key] for key in ("varies_by", "spread", "unit") if key in before}
            document["parameters"][name] = kept | {"prior": prior}
        return _validated(document, "The model with these priors")

    def with_noise(self, dist: str | None = None, *, observation: str | None = None, **parts: Any) -> Model:
        """Return the model with another likelihood, or another part of it.

        Parameters
        ----------
        dist : str, optional
            Name of the distribution, such as ``"StudentT"``; by default it stays.
        observation : str, optional
            Which observation, where the model has several.
        **parts : Prior, mapping, number or None
            Parts of the likelihood: ``sigma``, ``growth``, ``floor``, ``nu`` and so on; None leaves a part out.

        Raises
        ------
        InvalidSpecification
            If the likelihood is none, or the model cannot have it.

        Examples
        --------
        >>> model = read_model("chinchilla").with_noise("Normal", nu=None, sigma={"dist": "HalfNormal", "sigma": 0.02})
        >>> model.likelihood.dist, str(model.likelihood.sigma)
        ('Normal', 'HalfNormal(sigma=0.02)')
        """
        which = self.only if observation is None else self.observation(observation)
        likelihood = _stated(which.likelihood.model_dump(mode="json", exclude_none=True), without=("why",))
        likelihood |= {} if dist is None else {"dist": dist}
        for name, given in parts.items():
            is_prior = given is not None and not isinstance(given, int | float | str) and name != "outliers"
            likelihood[name] = Prior.of(given).model_dump() if is_prior else given
        likelihood = {name: value for name, value in likelihood.items() if value is not None}
        document = json.loads(self.model_dump_json(exclude_none=True))
        for each in document["observations"]:
            if each["name"] == which.name:
                each["likelihood"] = likelihood
        return _validated(_stated(document), "The model with this noise")

    def graph(self) -> Graph:
        """Return the picture of the model: priors, laws, effects, noise and what is measured.

        JupyterLab draws it; ``graph.source`` is its text, which code hosts draw too. The graph of every random variable is
        PyMC's: ``pymc.model_to_graphviz(bs.build_model(model, runs))``.

        >>> read_model("offset_c").graph().source.splitlines()[0]
        'flowchart TD'
        """
        return graph_of(self)

    def without_discrepancy(self) -> Model:
        """Return the model with its laws taken for granted.

        >>> read_model("kappa").without_discrepancy().discrepancy
        {}
        """
        alone = tuple(observation.model_copy(update={"discrepancy": {}}) for observation in self.observations)
        return self.model_copy(update={"observations": alone})

    def without_outliers(self) -> Model:
        """Return the model in which every row counts as it was measured.

        >>> read_model("kappa").without_outliers().likelihood.outliers is None
        True
        """
        every = tuple(
            each.model_copy(update={"likelihood": each.likelihood.model_copy(update={"outliers": None})})
            for each in self.observations
        )
        return self.model_copy(update={"observations": every})

    def by(self, *columns: str, shared_exponents: bool = False) -> Model:
        """Return the model pooled over the groups of rows that columns tell apart: a document as any other.

        Every parameter that has a prior and is a loss, a scale or an exponent varies by each column, with a prior on its spread
        (see ``_SPREADS``). Pure numbers, which say of what shape the law is, such as the kappa of ``kappa``, are shared: a group
        rarely has the runs to tell its own. So are a break's place, and the exponents where that is asked for. Discrepancy and
        noise have one scale for all groups, each group a discrepancy of its own.

        Parameters
        ----------
        *columns : str
            One or two columns; two are crossed.
        shared_exponents : bool
            Whether groups share their exponents.

        Raises
        ------
        InvalidModel
            If it is a model of several observations, or its parameters vary already, or none of them can.

        Examples
        --------
        >>> model = read_model("kappa").by("schedule")
        >>> [name for name, parameter in model.parameters.items() if parameter.varies_by]
        ['E', 'A', 'a', 'B', 'b']
        >>> str(model.parameters["a"].spread), model.discrepancy["C"].by
        ('LogNormal(mu=-3, sigma=0.7)', ('schedule',))
        """
        if not self.is_one or self.groupings:
            why = f"varies by {', '.join(self.groupings)} already" if self.is_one else "has several observations"
            raise InvalidModel(
                f"{self.title or 'The model'} {why}: give a model of one law without groups to fit by groups."
            )
        parameters = {}
        for name, parameter in self.parameters.items():
            spread = None if parameter.prior is None else _spread(self.kinds[name], shared_exponents)
            varying = {} if spread is None else {"varies_by": columns, "spread": spread}
            parameters[name] = parameter.model_copy(update=varying)
        if not any(parameter.varies_by for parameter in parameters.values()):
            raise InvalidGrouping(f"No parameter of {self.only.law} can vary by {', '.join(columns)}: none has a prior.")

        def apart(effects: Mapping[str, Effect]) -> dict[str, Effect]:
            return {
                name: effect.model_copy(update={"by": tuple(dict.fromkeys((*effect.by, *columns)))})
                if isinstance(effect, RandomWalk | Shared)
                else effect
                for name, effect in effects.items()
            }

        only = self.only.model_copy(update={part: apart(getattr(self.only, part)) for part in ("discrepancy", "noise")})
        title = f"{self.title or self.only.law}, by {', '.join(columns)}{' with shared exponents' * shared_exponents}"
        return self.model_copy(update={"title": title, "parameters": parameters, "observations": (only,)})

    def at_reference(self, point: Mapping[str, float]) -> Model:
        """Return the model with its priors where they are on some rows, whichever others it is fitted to.

        Parameters
        ----------
        point : mapping of str to float
            The reference point of these rows.

        Examples
        --------
        >>> model = read_model("kappa").at_reference({"N": 1e9, "D": 2e10, "L": 2.9})
        >>> model.reference["N"], model.parameters["E"].unit, model.parameters["E"].prior == read_model("kappa").parameters["E"].prior
        (1000000000.0, 2.9, True)
        """
        units = self.units_at(point)
        parameters = {n: p.model_copy(update={"unit": units[n]}) if n in units else p for n, p in self.parameters.items()}
        return self.model_copy(update={"reference": dict(point), "parameters": parameters})

    def of(self, observation: Observation) -> Model:
        """Return the model of one observation alone; what varies over columns still does."""
        law, parameters = observation.the_law, {}
        for name in (name for name in self.parameters if name in law.parameters):
            columns = tuple(grouping for grouping in self.parameters[name].varies_by if grouping != OBSERVATION)
            update = {"varies_by": columns} if columns else {"varies_by": (), "spread": None}
            parameters[name] = self.parameters[name].model_copy(update=update)
        return self.model_copy(
            update={
                "title": self.title if self.is_one else f"{self.title}: {observation.name}",
                "reference": {n: v for n, v in self.reference.items() if n in self._stated_of(law)},
                "parameters": parameters,
                "observations": (observation,),
            }
        )

    def _stated_of(self, law: Law) -> set[str]:
        """Return what of the reference point is one of a law."""
        return {*law.inputs, *law.axes, *(symbol for name, symbol in self.units.items() if name in law.parameters)}

    @property
    def digest(self) -> str:
        """SHA-256 of what the document states; comments, titles and reasons do not count."""
        stated = _stated(self.model_dump(mode="json", exclude={"title"}), without=("why",))
        return hashlib.sha256(json.dumps(stated, sort_keys=True).encode()).hexdigest()

    def to_json(self) -> str:
        """Return the document as JSON; :func:`model_from_json` reads it back."""
        return json.dumps(self._document())

    def to_toml(self) -> str:
        """Return the document as TOML, for people; :func:`read_model` reads it from a file."""
        return tomli_w.dumps(self._document())

    def _document(self) -> dict[str, Any]:
        document = _stated(self.model_dump(mode="json", exclude_none=True))
        if self.is_one:
            usual = {"name": self.only.output, "table": "runs"}
            alone = document.pop("observations")[0]
            document |= {key: value for key, value in alone.items() if usual.get(key) != value}
        return document

    def __repr__(self) -> str:
        """Return a line: what it is for, its laws, its parameters."""
        laws = ", ".join(dict.fromkeys(observation.law for observation in self.observations))
        return f"<Model of {laws}: {len(self.parameters)} parameters, {len(self.observations)} kind(s) of observation>"

    __str__ = __repr__

    def _repr_html_(self) -> str:
        rows = {
            name: {
                "prior": f"{parameter.fixed:g}, fixed" if parameter.prior is None else str(parameter.prior),
                "varies by": ", ".join(parameter.varies_by),
                "why": parameter.why,
            }
            for name, parameter in self.parameters.items()
        }
        noise = {o.name: f"{o.name}: {o.likelihood.dist} noise, sigma ~ {o.likelihood.sigma}" for o in self.observations}
        effects = {o.name: ", ".join(f"{section} {name}" for section, name in o.effects) for o in self.observations}
        said = [f"{line}{f'; {effects[name]}' if effects[name] else ''}" for name, line in noise.items()]
        parameters = pd.DataFrame.from_dict(rows, orient="index")
        heading = display.paragraph(f"{self.title or 'Model'}: {repr(self)[1:-1]}.")
        return heading + display.table(parameters.loc[:, (parameters != "").any()]) + display.listed(said)


def _spread(kind: Kind, shared_exponents: bool) -> Prior | None:
    """Return the prior on how far a parameter differs between groups; None for one that they share."""
    if kind == EXPONENT:
        return None if shared_exponents else _SPREADS["exponent"]
    if kind.unit == "1":
        return None
    return _SPREADS["term" if kind.moves else "offset"]


def _stated(value: Any, without: Collection[str] = ()) -> Any:
    """Leave out empty entries, and some keys."""
    if isinstance(value, dict):
        return {k: _stated(v, without) for k, v in value.items() if k not in without and v not in (None, "", {}, [])}
    return [_stated(entry, without) for entry in value] if isinstance(value, list) else value


def model_from_json(text: str) -> Model:
    """Return the model that :meth:`Model.to_json` wrote.

    >>> model = read_model("kappa")
    >>> model_from_json(model.to_json()).digest == model.digest
    True
    """
    return _validated(json.loads(text), "The model in the fit")


def shipped_models() -> list[str]:
    """Return the names of the shipped models.

    Examples
    --------
    >>> "chinchilla" in shipped_models(), "kaplan_system" in shipped_models()
    (True, True)
    """
    return sorted(path.stem for path in MODELS.glob("*.toml"))


def listed_models() -> list[dict[str, str]]:
    """Return name, laws and title of each shipped model.

    >>> listed_models()[0]["model"]
    'best_rate'
    """
    documents = {name: read_model(name) for name in shipped_models()}
    laws = {name: ", ".join(dict.fromkeys(each.law for each in model.observations)) for name, model in documents.items()}
    return [{"model": name, "law": laws[name], "title": model.title} for name, model in documents.items()]


_BY_DEFAULT: Final = {
    "kappa": ("params", "tokens"),
    "offset_c": ("compute_flops",),
    "offset_d": ("tokens",),
    "offset_n": ("params",),
}


def default_model(columns: Iterable[str]) -> str:
    """Return the shipped model that forecasts from the columns a table has, or refuse columns that are no resource.

    >>> default_model(["params", "tokens", "compute_flops", "loss"]), default_model(["compute_flops", "loss"])
    ('kappa', 'offset_c')
    """
    own = [str(column) for column in columns]
    for name, needed in _BY_DEFAULT.items():
        if all(column in own for column in needed):
            lacking = [column for column in ("params", "tokens") if column not in own]
            for remark in likely_columns(lacking, own):
                warnings.warn(
                    f"The runs have no column {' and '.join(lacking)}, so that {name} is fitted, the loss by {' and '.join(needed)} alone; {remark}.",
                    MissingResourceWarning,
                    stacklevel=2,
                )
            return name
    hint = "".join(f"; {remark}" for remark in likely_columns(RESOURCES, own))
    wanted = "; ".join(f"{' and '.join(needed)} ({name})" for name, needed in _BY_DEFAULT.items())
    raise InvalidModel(f"The runs have no resource to forecast from: give them one of {wanted}, or name a model{hint}.")


def read_model(source: str | Path | Model) -> Model:
    """Read a model document.

    Parameters
    ----------
    source : str, path or Model
        The name of a shipped model, or the path of a TOML document.

    Returns
    -------
    Model
        The model, every name in it checked.

    Raises
    ------
    InvalidSpecification
        If the document is wrong; the error names the place, the value and the valid choices.
    UnknownName
        If there is no such shipped model and no such file.

    Examples
    --------
    >>> read_model("chinchila")
    Traceback (most recent call last):
    ...
    bayes_scaling.errors.UnknownName: There is no model 'chinchila': did you mean 'chinchilla'? ...
    """
    if isinstance(source, Model):
        return source
    path = Path(source)
    if path.suffix != ".toml" and str(source) == path.name:
        if str(source) not in shipped_models():
            valid = choose(str(source), shipped_models())
            raise UnknownName(f"There is no model {str(source)!r}: {valid}; or give a .toml file.")
        path = MODELS / f"{source}.toml"
    try:
        document = read_toml(path)
    except OSError as error:
        raise InvalidSpecification(f"The model document {path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise InvalidSpecification(f"The model document {path} is not TOML: {first_fault(error)}.") from None
    return _validated(document, str(path))


def _validated(document: dict[str, Any], place: str) -> Model:
    try:
        return Model.model_validate_json(json.dumps(document))
    except ValidationError as error:
        lines = [_line(dict(entry), document) for entry in error.errors()]
        raise InvalidSpecification("\n".join([f"{place} is not a model:", *(f"  {line}." for line in lines)])) from None
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        raise InvalidSpecification(f"{place} is not a model: {first_fault(error)}.") from None


def _line(entry: dict[str, Any], document: dict[str, Any]) -> str:
    """Say what is wrong at a place of a document, as the document has it."""
    if "observations" in document:
        return sentence(entry, Model)
    if entry["type"] == "extra_forbidden" and len(entry["loc"]) == 1:
        key, valid = str(entry["loc"][0]), {*Model.model_fields, *Observation.model_fields} - {"observations", "name"}
        return f"{key}: unknown key; {choose(key, valid)}"
    return sentence(entry, Model).replace("observations.0.", "").replace("observations.0: ", "")
