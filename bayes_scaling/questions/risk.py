"""Risk measures: from the draws of a loss to the one number a decision makes small. Larger is worse, always.

A measure is *coherent* when it is monotone, moves with a constant, scales, and never punishes diversification
(Artzner et al. 1999). The mean and the conditional value at risk are; quantiles and chances of exceeding are monotone, and
are here because people ask for them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import xarray as xr
from pydantic import Field

from bayes_scaling.errors import UnknownChoice
from bayes_scaling.posterior.predict import SAMPLE_DIMS

RiskMeasure = Callable[[xr.DataArray], xr.DataArray]
"""Takes a loss with dims (chain, draw, ...) and returns one without the sample dims."""
RISK: Final[Any] = Field(default="mean", description="Risk to minimise: mean, median, quantile:0.9, cvar:0.9, exceed:2.1.")
"""The field of a question that chooses by a risk measure."""


def expectation(loss: xr.DataArray) -> xr.DataArray:
    """Return the mean over the draws; coherent.

    >>> float(expectation(xr.DataArray([[1.0, 2.0, 6.0]], dims=("chain", "draw"))))
    3.0
    """
    return loss.mean(SAMPLE_DIMS)


def quantile(level: float) -> RiskMeasure:
    """Return the measure that takes the quantile at ``level``; monotone, not subadditive.

    >>> float(quantile(0.5)(xr.DataArray([[1.0, 2.0, 6.0]], dims=("chain", "draw"))))
    2.0
    """
    return lambda loss: loss.quantile(level, dim=SAMPLE_DIMS).drop_vars("quantile")


def conditional_value_at_risk(level: float) -> RiskMeasure:
    """Return the measure that takes the mean of the worst share 1 - ``level`` of the draws; coherent.

    The draw on the edge counts for the part of it that belongs to the share (Rockafellar and Uryasev 2002), which is what
    makes the measure of a finite sample subadditive.

    >>> float(conditional_value_at_risk(0.5)(xr.DataArray([[1.0, 2.0, 4.0, 6.0]], dims=("chain", "draw"))))
    5.0
    """

    def worst(draws: np.ndarray) -> np.ndarray:
        count = draws.shape[-1]
        tail = (1 - level) * count
        whole = int(np.floor(tail + 1e-9))
        ordered = -np.partition(-draws, min(whole, count - 1), axis=-1)[..., : whole + 1]
        weights = np.append(np.ones(whole), tail - whole)[: ordered.shape[-1]]
        edge = np.sort(ordered, axis=-1)[..., ::-1]
        return (edge * weights).sum(axis=-1) / weights.sum()

    return lambda loss: xr.apply_ufunc(worst, loss.stack(sample=SAMPLE_DIMS), input_core_dims=[["sample"]])


def chance_above(level: float) -> RiskMeasure:
    """Return the measure that takes the chance of a loss above ``level``; monotone, not coherent.

    >>> round(float(chance_above(1.5)(xr.DataArray([[1.0, 2.0, 6.0]], dims=("chain", "draw")))), 3)
    0.667
    """
    return lambda loss: (loss > level).mean(SAMPLE_DIMS)


def disutility(utility: Callable[[Any], Any]) -> RiskMeasure:
    """Return the measure that takes the negative of the expected utility, which takes and returns an array of losses.

    >>> float(disutility(lambda loss: -loss**2)(xr.DataArray([[1.0, 3.0]], dims=("chain", "draw"))))
    5.0
    """
    return lambda loss: -xr.apply_ufunc(utility, loss).mean(SAMPLE_DIMS)


_WITH_LEVEL: Final[dict[str, tuple[Callable[[float], RiskMeasure], Callable[[float], bool]]]] = {
    "quantile": (quantile, lambda level: 0 < level < 1),
    "cvar": (conditional_value_at_risk, lambda level: 0 < level < 1),
    "exceed": (chance_above, lambda level: level > 0),
}
"""Measures that have a level, and whether it is one."""


def risk_measure(risk: str | RiskMeasure) -> RiskMeasure:
    """Return the risk measure a request names, or the function that it is.

    ``"mean"``, ``"median"``, ``"quantile:0.9"``, ``"cvar:0.9"``, the mean of the worst tenth, or ``"exceed:2.1"``, the
    chance of a loss above 2.1.

    Raises
    ------
    InvalidRequest
        If there is no such measure, a quantile's level is not between 0 and 1, or a loss is not positive.

    Examples
    --------
    >>> float(risk_measure("cvar:0.5")(xr.DataArray([[1.0, 2.0, 4.0, 6.0]], dims=("chain", "draw"))))
    5.0
    """
    if not isinstance(risk, str):
        return risk
    if risk in ("mean", "median"):
        return expectation if risk == "mean" else quantile(0.5)
    name, _, text = risk.partition(":")
    try:
        level = float(text)
    except ValueError:
        level = -1.0
    measure, is_level = _WITH_LEVEL.get(name, (quantile, lambda _: False))
    if not is_level(level):
        raise UnknownChoice(
            f"There is no risk measure {risk!r}: give mean, median, quantile:0.9, cvar:0.9, the level between 0 and 1, or "
            f"exceed:2.1, a loss."
        )
    return measure(level)
