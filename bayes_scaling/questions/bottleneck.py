"""Which resource holds the loss of a planned run up: size, distinct data, steps or batch."""

from __future__ import annotations

from typing import Any, Final

import xarray as xr

from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.inputs import positive
from bayes_scaling.posterior.predict import SAMPLE_DIMS
from bayes_scaling.questions.derive import derive

RESOURCES: Final = ("params", "dataset_tokens", "steps", "batch_tokens")
"""What a run can be short of."""
_MORE: Final = 2.0


def bottleneck(fit: Fit, *, params: Any, dataset_tokens: Any, steps: Any, batch_tokens: Any) -> xr.Dataset:
    """Say what a planned run is short of: which of its resources, doubled, would lower the loss most.

    Parameters
    ----------
    fit : Fit
        A fit that has learned the parameters of :func:`~bayes_scaling.laws.kaplan.kaplan_ndsb`: a fit of
        ``kaplan_system``, say.
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
        If the fit has not learned a parameter, or a resource is not a positive number.

    Warns
    -----
    NotConvergedWarning
        If the fit failed a convergence check.

    Examples
    --------
    A hundred million parameters on thirty million tokens want data:

    >>> from bayes_scaling.posterior.examples import example_system
    >>> found = bottleneck(example_system(), params=1e8, dataset_tokens=3e7, steps=1e5, batch_tokens=2**19)
    >>> found["probability"].idxmax("resource").item()
    'dataset_tokens'
    """
    plan = {"params": params, "dataset_tokens": dataset_tokens, "steps": steps, "batch_tokens": batch_tokens}
    plan = {name: positive(name, value) for name, value in plan.items()}
    loss = derive(fit, "kaplan_ndsb", **plan)
    gains = [1 - derive(fit, "kaplan_ndsb", **plan | {name: _MORE * plan[name]}) / loss for name in RESOURCES]
    gain = xr.concat(gains, dim="resource").assign_coords(resource=list(RESOURCES))
    largest = gain == gain.max("resource")
    return xr.Dataset({"loss": loss, "gain": gain, "probability": largest.mean(SAMPLE_DIMS)})
