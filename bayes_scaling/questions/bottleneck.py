"""Which resource limits the loss of a planned run: size, distinct data, steps or batch."""

from __future__ import annotations

from typing import Any, Final

import pandas as pd
import xarray as xr
from pydantic import Field

from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.inputs import positive
from bayes_scaling.posterior.predict import SAMPLE_DIMS, interval
from bayes_scaling.questions.base import ENDS, Answer, OfSystem, with_interval
from bayes_scaling.questions.derive import derive
from bayes_scaling.wording import credible, percent, probability

RESOURCES: Final = ("params", "dataset_tokens", "steps", "batch_tokens")
"""Resources of a run."""
_MORE: Final = 2.0


def bottleneck(fit: Fit, *, params: Any, dataset_tokens: Any, steps: Any, batch_tokens: Any) -> xr.Dataset:
    """Return what twice as much of each resource would take off the loss of a plan, or of several: see :class:`Bottleneck`.

    ``loss``, dims ``(chain, draw, *plan)``; ``gain``, dims (resource, chain, draw, *plan), a share of the loss;
    ``probability``, dims ``(resource, *plan)``, that a gain is the largest.
    """
    plan = {"params": params, "dataset_tokens": dataset_tokens, "steps": steps, "batch_tokens": batch_tokens}
    plan = {name: positive(name, value) for name, value in plan.items()}
    loss = derive(fit, "kaplan_ndsb", **plan)
    gains = [1 - derive(fit, "kaplan_ndsb", **plan | {name: _MORE * plan[name]}) / loss for name in RESOURCES]
    gain = xr.concat(gains, dim="resource").assign_coords(resource=list(RESOURCES))
    largest = gain == gain.max("resource")
    return xr.Dataset({"loss": loss, "gain": gain, "probability": largest.mean(SAMPLE_DIMS)})


class Bottleneck(OfSystem):
    """The resource of a planned run that limits its loss, with probabilities.

    Asked of a fit that has the parameters of :func:`~bayes_scaling.laws.kaplan.kaplan_ndsb`: of ``kaplan_system``, say.

    Table ``resources``: a row a ``resource``; ``gain``, the share of the loss that twice as much of it would take off, the
    others as they are, median with ``gain_lower`` and ``gain_upper``; ``probability`` that it is the largest. The
    probabilities sum to one. Value ``loss``: ``median``, ``lower``, ``upper`` of the mean loss of the plan.

    Examples
    --------
    A hundred million parameters on thirty million tokens want data:

    >>> from bayes_scaling.posterior.examples import example_system
    >>> plan = Bottleneck(params=1e8, dataset_tokens=3e7, steps=1e5, batch_tokens=2**19)
    >>> plan.answer(example_system()).tables["resources"].set_index("resource")["probability"].idxmax()
    'dataset_tokens'
    """

    name = "bottleneck"
    panel = "Training"
    example = "bottleneck system.nc --params 1e5 --dataset-tokens 1e6 --steps 5000 --batch-tokens 2048"
    writes = "resources"

    params: float = Field(gt=0, description="Parameters N of the planned run.")
    dataset_tokens: float = Field(gt=0, description="Distinct tokens available to it.")
    steps: float = Field(gt=0, description="Optimizer steps.")
    batch_tokens: float = Field(gt=0, description="Batch, tokens per step.")

    def _result(self, posterior: Fit) -> Answer:
        effects = bottleneck(posterior, **{name: getattr(self, name) for name in RESOURCES})
        loss = {end: float(bound) for end, bound in zip(ENDS, interval(effects["loss"], self.prob), strict=True)}
        gain = with_interval("gain", (bound.values for bound in interval(effects["gain"], self.prob)))
        table = pd.DataFrame({"resource": RESOURCES, "probability": effects["probability"].values, **gain})
        width = credible(self.prob, f"{loss['lower']:.4f}", f"{loss['upper']:.4f}")
        lines = [f"The mean loss is {loss['median']:.4f} {posterior.loss_unit} ({width})."]
        lines += [
            f"  twice the {row['resource']:<15} lowers it by {percent(row['gain'])} ({percent(row['gain_lower'])} to "
            f"{percent(row['gain_upper'])}); most with a probability of {probability(row['probability'])}"
            for row in table.sort_values("probability", ascending=False, kind="stable").to_dict("records")
        ]
        return Answer("\n".join(lines), values={"loss": loss}, tables={"resources": table}, data=effects)
