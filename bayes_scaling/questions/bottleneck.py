"""Which resource limits the loss of a planned run: size, distinct data, steps or batch."""

from __future__ import annotations

from typing import Any, Final

import pandas as pd
import xarray as xr
from pydantic import Field

from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.inputs import positive
from bayes_scaling.posterior.predict import SAMPLE_DIMS, interval
from bayes_scaling.questions.base import Answer, Question
from bayes_scaling.questions.derive import derive
from bayes_scaling.questions.wording import credible, percent

RESOURCES: Final = ("params", "dataset_tokens", "steps", "batch_tokens")
"""Resources of a run."""
_MORE: Final = 2.0


def bottleneck(fit: Fit, *, params: Any, dataset_tokens: Any, steps: Any, batch_tokens: Any) -> xr.Dataset:
    """Return which resource of a planned run, doubled, would lower its loss most.

    Parameters
    ----------
    fit : Fit
        A fit that has the parameters of :func:`~bayes_scaling.laws.kaplan.kaplan_ndsb`: of ``kaplan_system``, say.
    params, dataset_tokens, steps, batch_tokens : float, sequence or DataArray
        The plan: N, distinct tokens, optimizer steps, tokens a step.

    Returns
    -------
    Dataset
        ``loss``, dims (chain, draw, *plan); ``gain``, dims (resource, chain, draw, *plan), the share of the loss that
        twice as much of one resource would take off, the others as they are; ``probability``, dims (resource, *plan), that
        it is the largest. The probabilities sum to one.

    Raises
    ------
    InvalidRequest
        If the fit lacks a parameter, or a resource is not a positive number.

    Warns
    -----
    NotConvergedWarning
        If the fit failed a convergence check.

    Examples
    --------
    A hundred million parameters on thirty million tokens want data:

    >>> from bayes_scaling.posterior.examples import example_system
    >>> effects = bottleneck(example_system(), params=1e8, dataset_tokens=3e7, steps=1e5, batch_tokens=2**19)
    >>> effects["probability"].idxmax("resource").item()
    'dataset_tokens'
    """
    plan = {"params": params, "dataset_tokens": dataset_tokens, "steps": steps, "batch_tokens": batch_tokens}
    plan = {name: positive(name, value) for name, value in plan.items()}
    loss = derive(fit, "kaplan_ndsb", **plan)
    gains = [1 - derive(fit, "kaplan_ndsb", **plan | {name: _MORE * plan[name]}) / loss for name in RESOURCES]
    gain = xr.concat(gains, dim="resource").assign_coords(resource=list(RESOURCES))
    largest = gain == gain.max("resource")
    return xr.Dataset({"loss": loss, "gain": gain, "probability": largest.mean(SAMPLE_DIMS)})


class Bottleneck(Question):
    """The resource of a planned run that limits its loss, with probabilities."""

    name = "bottleneck"
    panel = "Training"
    example = "bottleneck system.nc --params 1e5 --dataset-tokens 1e6 --steps 5000 --batch-tokens 2048"
    takes = ("fit",)
    guarded = False
    unused = ("group", "seed")
    writes = "resources"

    params: float = Field(gt=0, description="N of the planned run.")
    dataset_tokens: float = Field(gt=0, description="Distinct tokens it has.")
    steps: float = Field(gt=0, description="Optimizer steps.")
    batch_tokens: float = Field(gt=0, description="Tokens a step.")

    def _result(self, posterior: Fit) -> Answer:
        plan = {name: getattr(self, name) for name in RESOURCES}
        effects = bottleneck(posterior, **plan)
        median, lower, upper = (float(bound) for bound in interval(effects["loss"], self.prob))
        gain, gain_lower, gain_upper = (bound.values for bound in interval(effects["gain"], self.prob))
        table = pd.DataFrame(
            {
                "resource": RESOURCES,
                "probability": effects["probability"].values,
                "gain": gain,
                "gain_lower": gain_lower,
                "gain_upper": gain_upper,
            }
        )
        width = credible(self.prob, f"{lower:.4f}", f"{upper:.4f}")
        lines = [f"The expected loss is {median:.4f} {posterior.loss_unit} ({width})."]
        for row in table.sort_values("probability", ascending=False, kind="stable").to_dict("records"):
            lines.append(
                f"  twice the {row['resource']:<15} lowers it by {percent(row['gain'])} ({percent(row['gain_lower'])} to "
                f"{percent(row['gain_upper'])}); most with probability {row['probability']:.2f}"
            )
        loss = {"median": median, "lower": lower, "upper": upper}
        return Answer("\n".join(lines), values={"loss": loss}, tables={"resources": table}, data=effects)
