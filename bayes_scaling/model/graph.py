"""The picture of a model: a flow chart in Mermaid's notation, which JupyterLab and code hosts draw."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bayes_scaling.model.document import Model, Observation


@dataclass(frozen=True)
class Graph:
    """A picture as text.

    Parameters
    ----------
    source : str
        The flow chart, in Mermaid's notation.
    """

    source: str

    def __str__(self) -> str:
        """Return the text."""
        return self.source

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/vnd.mermaid": self.source, "text/plain": self.source}


def graph_of(model: Model) -> Graph:
    """Return the picture of a model: an unknown is an ellipse, a number that is given a box, a law a hexagon."""
    return Graph("\n".join(["flowchart TD", *(f"  {line}" for line in _lines(model))]))


def _lines(model: Model) -> Iterator[str]:
    for name, parameter in model.parameters.items():
        varies = f", varies by {', '.join(parameter.varies_by)}" if parameter.varies_by else ""
        if parameter.prior is None:
            yield f'{name}["{name} = {parameter.fixed:g}"]'
        else:
            yield f'{name}(["{name} ~ {parameter.prior}{varies}"])'
    for observation in model.observations:
        yield from _of_observation(model, observation)


def _of_observation(model: Model, observation: Observation) -> Iterator[str]:
    suffix = model.suffix(observation)
    law, measured, noise = (f"{part}_{suffix}" if suffix else f"the_{part}" for part in ("law", "measured", "noise"))
    likelihood = observation.likelihood
    inputs = ", ".join(observation.columns.values())
    yield f'{law}{{{{"{observation.law}({", ".join(observation.columns)})"}}}}'
    yield f'{law}_inputs["{inputs}"] --> {law}'
    yield from (f"{name} --> {law}" for name in observation.the_law.parameters if name in model.parameters)
    yield f'{measured}["log {observation.output}, measured"]'
    yield f"{law} --> {measured}"
    parts = {"sigma": likelihood.sigma, **likelihood.unknowns, "growth": likelihood.growth, "floor": likelihood.floor}
    stated = "<br>".join(f"{name} ~ {prior}" for name, prior in parts.items() if prior is not None)
    yield f'{noise}(["{likelihood.dist} noise<br>{stated}"]) --> {measured}'
    for (section, name), effect in observation.effects.items():
        yield f'{section}_{name}_{measured}(["{section} {name}<br>scale ~ {effect.scale}"]) --> {measured}'
    if observation.correlation is not None:
        along = f"serial correlation along {observation.correlation.along}<br>length ~ {observation.correlation.length}"
        yield f'correlation_{measured}(["{along}"]) --> {measured}'
