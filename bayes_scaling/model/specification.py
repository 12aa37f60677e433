"""Model documents: which law, at which reference point, with which priors, pooled over what."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
import tomli_w
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from bayes_scaling.errors import InvalidSpecification, choose
from bayes_scaling.laws import LAWS, Law
from bayes_scaling.laws.law import Kind
from bayes_scaling.model.priors import Prior
from bayes_scaling.quantities import QUANTITIES

GEOMETRIC_MEAN = "geometric mean"


class Strict(BaseModel):
    """A table of a document: no unknown key, no value of another type, nothing that changes afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Parameter(Strict):
    """What is believed about one parameter of the law before the data speak.

    Parameters
    ----------
    prior : Prior, optional
        Prior on the value at the reference point; with ``varies_by``, on the population's centre.
    fixed : float, optional
        The published value itself, instead of a prior.
    varies_by : tuple of str
        Groupings over which the parameter varies: a column, or ``"a:b"`` for each pair of two columns.
        ``["corpus", "arch"]`` is crossed, ``["corpus", "corpus:arch"]`` is arch nested in corpus.
    spread : Prior, optional
        Prior on the standard deviation between groups, on the log scale; one for each grouping.
    why : str
        Why this prior, in a sentence.
    """

    prior: Prior | None = None
    fixed: float | None = Field(default=None, ge=0)
    varies_by: tuple[str, ...] = ()
    spread: Prior | None = None
    why: str = ""

    @field_validator("varies_by", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value

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


class Likelihood(Strict):
    """How measured losses scatter around the law.

    Parameters
    ----------
    dist : {"StudentT", "Normal"}
        Distribution of the residual; the heavy tail of StudentT keeps single bad runs from steering the fit.
    on : {"log"}
        Scale of the residual: the logarithm of the loss.
    nu : Prior or float, optional
        Degrees of freedom of StudentT.
    sigma : Prior
        Prior on the scale of the residual, a relative error.
    growth : Prior, optional
        Prior on the exponent g with which the scale goes as the expected loss, sigma (L / L_typical)^g, and a
        discrepancy with it; the same at every loss by default. L_typical is the geometric mean of the runs' losses.
    why : str
        Why this likelihood, in a sentence.
    """

    dist: Literal["StudentT", "Normal"] = "StudentT"
    on: Literal["log"] = "log"
    nu: Prior | float | None = None
    sigma: Prior
    growth: Prior | None = None
    why: str = ""

    @model_validator(mode="after")
    def _is_whole(self) -> Likelihood:
        if (self.dist == "StudentT") != (self.nu is not None):
            raise InvalidSpecification("nu belongs to StudentT, which needs it, and to no other distribution")
        if isinstance(self.nu, float) and self.nu <= 0:
            raise InvalidSpecification(f"nu has to be positive, found {self.nu:g}")
        return self


class Walk(Strict):
    """What the law gets wrong along one quantity: a random walk of the log loss over the quantity's decades.

    It is zero in the middle of the runs (at their geometric mean), follows them where they are dense, and widens with
    the square root of the distance from them.

    Parameters
    ----------
    scale : Prior
        Prior on the standard deviation of the walk a decade away, a relative error of the loss.
    why : str
        Why this prior, in a sentence.
    """

    scale: Prior
    why: str = ""


class Shared(Strict):
    """Noise that some rows share, as checkpoints share a run and repeats a recipe: one Normal effect on the log loss a label.

    Parameters
    ----------
    by : tuple of str
        Columns that make up the label; those that a table lacks are passed over.
    scale : Prior
        Prior on the standard deviation of the effects at the typical loss, a relative error.
    why : str
        Why this part and this prior, in a sentence.
    """

    by: tuple[str, ...] = Field(min_length=1)
    scale: Prior
    why: str = ""

    @field_validator("by", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


class Correlation(Strict):
    """How residuals of neighbouring points of one run go together: an Ornstein-Uhlenbeck process in the logarithm of a column.

    Two points a distance d apart in the logarithm have residuals with correlation exp(-d / length). Standard errors of the
    single points have no place in it: they are part of the scale.

    Parameters
    ----------
    along : str
        Column whose logarithm is the distance between points.
    by : str
        Column that tells runs apart; residuals of different runs are independent.
    length : Prior
        Prior on the length over which the correlation falls to 1/e.
    why : str
        Why, in a sentence.
    """

    along: str = "steps"
    by: str = "run_id"
    length: Prior
    why: str = ""


class Document(Strict):
    """A whole document: it has a title, a digest of what it says, and can be written down again.

    Parameters
    ----------
    title : str
        What the model is for, in a line.
    """

    title: str = ""

    @property
    def digest(self) -> str:
        """SHA-256 of what the document says; comments, titles and reasons do not count."""
        said = _without_reasons(self.model_dump(mode="json", exclude={"title"}))
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()

    def to_json(self) -> str:
        """Return the document as JSON, for the fit file; :func:`~bayes_scaling.model.documents.model_from_json` reads it back."""
        return self.model_dump_json(exclude_defaults=True)

    def to_toml(self) -> str:
        """Return the document as TOML, for people; :func:`~bayes_scaling.read_model` reads it from a file."""
        return tomli_w.dumps(self.model_dump(mode="json", exclude_unset=True, exclude_none=True))


class OfALaw(Strict):
    """What names a law and the columns of its inputs: a model, or an observation of a system.

    Parameters
    ----------
    law : str
        Name of the law.
    inputs : dict
        Column for each input of the law; by default the canonical one.
    """

    law: str
    inputs: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _names_a_law_and_its_inputs(self) -> Self:
        if self.law not in LAWS:
            raise InvalidSpecification(f"law: there is no law {self.law!r}; {choose(self.law, LAWS)}")
        known = self.the_law.inputs
        for name in self.inputs:
            if name not in known:
                raise InvalidSpecification(f"inputs.{name}: {self.law} has no such input; {choose(name, known)}")
        for name in known:
            if name not in QUANTITIES and name not in self.inputs:
                raise InvalidSpecification(f"inputs.{name}: say which column of the runs it is")
        return self

    @property
    def the_law(self) -> Law:
        """The law itself."""
        return LAWS[self.law]

    @property
    def columns(self) -> dict[str, str]:
        """Column of the table for every input of the law, in the law's order."""
        return {name: self.inputs.get(name) or QUANTITIES[name].column for name in self.the_law.inputs}


class ModelSpec(OfALaw, Document):
    """A model: a law and what is believed about its parameters, read from a TOML document.

    Parameters
    ----------
    law : str
        Name of the law.
    title : str
        What the model is for, in a line.
    inputs : dict
        Column of the run table for each input of the law; by default the canonical one.
    reference : dict
        For each input, a number or ``"geometric mean"`` (of the runs, the default): the point at which
        the priors are stated.
    parameters : dict
        Every parameter of the law.
    likelihood : Likelihood
        How losses scatter.
    discrepancy : dict of str to Walk
        What the law gets wrong: a walk for each symbol of a quantity, such as ``"C"``; nothing by default.
    noise : dict of str to Shared
        Parts of the noise that some rows share, by name, beside the scatter that each has to itself; a table in which no
        two rows share a part is fitted without it. None by default.
    correlation : Correlation, optional
        How the scatter of points along one run goes together, where a table has several of a run; independent by default.

    Examples
    --------
    >>> from bayes_scaling.model.documents import read_model
    >>> spec = read_model("chinchilla")
    >>> spec.law, str(spec.parameters["alpha"].prior)
    ('chinchilla', 'LogNormal(mu=-1.1, sigma=0.5)')
    """

    reference: dict[str, float | Literal["geometric mean"]] = Field(default_factory=dict)
    parameters: dict[str, Parameter]
    likelihood: Likelihood
    discrepancy: dict[str, Walk] = Field(default_factory=dict)
    noise: dict[str, Shared] = Field(default_factory=dict)
    correlation: Correlation | None = None

    @model_validator(mode="after")
    def _can_integrate_out(self) -> ModelSpec:
        for symbol in self.discrepancy:
            if symbol not in QUANTITIES or symbol == "L":
                raise InvalidSpecification(
                    f"discrepancy.{symbol}: there is no such quantity; {choose(symbol, [q for q in QUANTITIES if q != 'L'])}"
                )
            column, given = QUANTITIES[symbol].column, set(self.columns.values())
            if column not in given and not (symbol == "C" and {"params", "tokens"} <= given):
                raise InvalidSpecification(
                    f"discrepancy.{symbol}: {self.law} takes {', '.join(self.columns.values())}, from which {column} does not follow: "
                    f"let it walk along one of these, or along C where there are params and tokens"
                )
        for name in self.noise:
            if not name.isidentifier() or name in QUANTITIES:
                raise InvalidSpecification(
                    f"noise.{name}: name the part by a word of letters that is no quantity, such as run"
                )
        for part in ("discrepancy", "noise", "correlation"):
            if getattr(self, part) and self.likelihood.dist != "Normal":
                raise InvalidSpecification(
                    f"{part}: it is integrated out in closed form, for which likelihood.dist has to be Normal, found "
                    f"{self.likelihood.dist}"
                )
            if getattr(self, part) and self.groupings:
                raise InvalidSpecification(
                    f"{part}: groups of runs each have one of their own, which one model does not hold: take out "
                    f"varies_by ({', '.join(self.groupings)}) and fit the groups apart, or take out the {part}"
                )
        return self

    @model_validator(mode="after")
    def _fits_the_law(self) -> ModelSpec:
        law = self.the_law
        if law.output != "loss":
            raise InvalidSpecification(f"law: {self.law} gives {law.output}, a model needs a law that gives the loss")
        for name in self.parameters:
            if name not in law.parameters:
                raise InvalidSpecification(
                    f"parameters.{name}: {self.law} has no such parameter; {choose(name, law.parameters)}"
                )
        for name in law.parameters:
            if name not in self.parameters and name not in law.optional:
                raise InvalidSpecification(f"parameters.{name}: the law has it, the document gives it no prior")
        axes = tuple(dict.fromkeys([*law.inputs, *law.axes]))
        for name, point in self.reference.items():
            if name not in axes:
                raise InvalidSpecification(f"reference.{name}: {self.law} has no such input; {choose(name, axes)}")
            if not isinstance(point, str) and point <= 0:
                raise InvalidSpecification(f"reference.{name}: has to be positive, found {point:g}")
        for name in law.axes:
            if name not in law.inputs and not isinstance(self.reference.get(name), float | int):
                raise InvalidSpecification(f"reference.{name}: give a number, since the runs do not have it")
        return self

    @property
    def groupings(self) -> tuple[str, ...]:
        """Every grouping that some parameter varies by, in the order of the document."""
        return tuple(dict.fromkeys(g for parameter in self.parameters.values() for g in parameter.varies_by))

    @property
    def group_columns(self) -> tuple[str, ...]:
        """Every column that makes up a grouping."""
        return tuple(dict.fromkeys(column for grouping in self.groupings for column in grouping.split(":")))

    @property
    def needs(self) -> tuple[str, ...]:
        """Columns a run table has to have for this model."""
        walked = (QUANTITIES[symbol].column for symbol in self.discrepancy)
        return (*dict.fromkeys((*self.columns.values(), *walked)), *self.group_columns, "loss")

    @property
    def told_apart_by(self) -> tuple[str, ...]:
        """Columns that say which rows share noise, where a table has them."""
        shared = (column for part in self.noise.values() for column in part.by)
        along = (self.correlation.by, self.correlation.along) if self.correlation else ()
        return tuple(dict.fromkeys((*shared, *along)))

    @property
    def has_effects(self) -> bool:
        """Whether rows share something besides the law, so that they are no independent measurements of it."""
        return bool(self.discrepancy or self.noise or self.correlation)

    def without_discrepancy(self) -> ModelSpec:
        """Return the model of the law alone: its intervals take the form of the law for granted.

        Examples
        --------
        >>> from bayes_scaling.model.documents import read_model
        >>> read_model("kappa").without_discrepancy().discrepancy
        {}
        """
        return self.model_copy(update={"discrepancy": {}})

    @property
    def kinds(self) -> dict[str, Kind]:
        """Kind of every parameter, in the law's order."""
        return {name: kind for name, kind in self.the_law.parameters.items() if name in self.parameters}

    def reference_point(self, table: pd.DataFrame) -> dict[str, float]:
        """Return the point at which the priors are stated, for the runs at hand.

        Parameters
        ----------
        table : DataFrame
            Runs, with a column for every input.

        Returns
        -------
        dict of str to float
            A positive number for every input of the law, in its unit.
        """
        stated = {name: self.reference.get(name, GEOMETRIC_MEAN) for name in (*self.columns, *self.reference)}
        return {
            name: float(np.exp(np.log(table[self.columns[name]]).mean())) if isinstance(point, str) else point
            for name, point in stated.items()
        }


def _without_reasons(said: Any) -> Any:
    """Leave out what does not change the question: reasons, and parts that a document may have and this one has not."""
    if isinstance(said, dict):
        absent = {key for key in ("growth", "discrepancy", "noise", "correlation") if not said.get(key)}
        return {key: _without_reasons(value) for key, value in said.items() if key != "why" and key not in absent}
    return [_without_reasons(value) for value in said] if isinstance(said, list) else said
