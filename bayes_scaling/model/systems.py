"""Systems of laws: several kinds of observation of one set of parameters, read from a TOML document.

A law for the loss of converged runs, one for learning curves, one for the critical batch: what they share they share
by name. A parameter that may differ between kinds of observation, and only comes from one population, says
``varies_by = "observation"``.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import Field, field_validator, model_validator

from bayes_scaling.errors import InvalidSpecification, choose
from bayes_scaling.laws.law import Kind
from bayes_scaling.model.specification import Correlation, Document, Likelihood, ModelSpec, OfALaw, Parameter
from bayes_scaling.quantities import BY_COLUMN

OBSERVATION: Final = "observation"
"""The grouping whose labels are the names of the observations."""


class Observation(OfALaw):
    """One kind of observation: which rows of which table, which law, and how they scatter around it.

    Parameters
    ----------
    name : str
        Its name; its own noise is called ``sigma_{name}``.
    law : str
        Name of the law.
    table : {"runs", "shapes", "curves", "lowest", "steps_to_loss", "gradient_noise"}
        Runs, points along them, or what follows from the points: see :mod:`~bayes_scaling.runs.derived`.
    where : str
        Condition on its rows; all of them by default.
    inputs : dict
        Column for each input of the law; by default the canonical one.
    measured : str
        Column of what was measured; by default the canonical one of the law's output.
    likelihood : Likelihood
        How measurements scatter.
    correlation : Correlation, optional
        How residuals of one run go together; independent by default.
    why : str
        Why these rows, in a sentence.
    """

    name: str
    table: Literal["runs", "shapes", "curves", "lowest", "steps_to_loss", "gradient_noise"] = "runs"
    where: str = ""
    measured: str = ""
    likelihood: Likelihood
    correlation: Correlation | None = None
    why: str = ""

    @model_validator(mode="after")
    def _has_a_column(self) -> Observation:
        if self.likelihood.growth is not None:
            raise InvalidSpecification("likelihood.growth: scatter that grows with the loss is for models of one law")
        if not self.measured and self.the_law.output not in BY_COLUMN:
            raise InvalidSpecification(f"measured: {self.law} gives {self.the_law.output}, say which column that is")
        return self

    @property
    def output(self) -> str:
        """Column of what was measured."""
        return self.measured or self.the_law.output

    @property
    def needs(self) -> tuple[str, ...]:
        """Columns the table has to have."""
        path = (self.correlation.along, self.correlation.by) if self.correlation else ()
        return tuple(dict.fromkeys((*self.columns.values(), self.output, *path)))


class SystemSpec(Document):
    """Several laws over one set of parameters, and what is believed about these.

    Parameters
    ----------
    title : str
        What the system is for, in a line.
    reference : dict of str to float
        The point at which priors are stated: a number for every quantity a parameter is stated at a value of.
    parameters : dict
        Every parameter of every law; a name that two laws use is one parameter.
    observations : tuple of Observation
        What was measured.
    """

    reference: dict[str, float] = Field(default_factory=dict)
    parameters: dict[str, Parameter]
    observations: tuple[Observation, ...]

    @field_validator("observations", mode="before")
    @classmethod
    def _tuple(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    @model_validator(mode="after")
    def _agrees(self) -> SystemSpec:
        names = [observation.name for observation in self.observations]
        if not names:
            raise InvalidSpecification("observations: give at least one")
        for name in names:
            if names.count(name) > 1:
                raise InvalidSpecification(f"observations: two are called {name!r}; give each a name of its own")
            if not name.isidentifier():
                raise InvalidSpecification(f"observations: {name!r} is no name; use letters, digits and underscores")
        kinds: dict[str, tuple[str, Kind]] = {}
        for observation in self.observations:
            for name, kind in observation.the_law.parameters.items():
                if name in kinds and kinds[name][1] != kind:
                    raise InvalidSpecification(
                        f"parameters.{name}: {kinds[name][0]} and {observation.law} mean different things by it"
                    )
                kinds[name] = (observation.law, kind)
                if name not in self.parameters and name not in observation.the_law.optional:
                    raise InvalidSpecification(
                        f"parameters.{name}: {observation.law} has it, the document gives it no prior"
                    )
            for axis in observation.the_law.axes:
                if axis not in self.reference:
                    raise InvalidSpecification(f"reference.{axis}: priors of {observation.law} are stated at a value of it")
        for name in self.parameters:
            if name not in kinds:
                raise InvalidSpecification(f"parameters.{name}: no observation has it; {choose(name, kinds)}")
        for name, value in self.reference.items():
            if value <= 0:
                raise InvalidSpecification(f"reference.{name}: has to be positive, found {value:g}")
        return self

    @property
    def kinds(self) -> dict[str, Kind]:
        """Kind of every parameter."""
        return {
            name: kind for o in self.observations for name, kind in o.the_law.parameters.items() if name in self.parameters
        }

    def users(self, name: str) -> list[Observation]:
        """Return the observations whose law has a parameter."""
        return [observation for observation in self.observations if name in observation.the_law.parameters]


def one_law(system: SystemSpec, observation: Observation) -> ModelSpec:
    """Return one observation of a system as a model of its law alone; what varies over columns still does."""
    law = observation.the_law
    parameters = {}
    for name, parameter in system.parameters.items():
        if name in law.parameters:
            columns = tuple(grouping for grouping in parameter.varies_by if grouping != OBSERVATION)
            spread = parameter.spread if columns else None
            parameters[name] = parameter.model_copy(update={"varies_by": columns, "spread": spread})
    return ModelSpec(
        law=observation.law,
        title=f"{system.title}: {observation.name}",
        inputs=observation.inputs,
        reference={axis: system.reference[axis] for axis in law.axes},
        parameters=parameters,
        likelihood=observation.likelihood,
    )
