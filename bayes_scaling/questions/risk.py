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

from bayes_scaling.errors import InvalidRequest
from bayes_scaling.posterior.predict import SAMPLE_DIMS

RiskMeasure = Callable[[xr.DataArray], xr.DataArray]
"""Takes a loss with dims (chain, draw, ...) and returns one without the sample dims."""
RISK: Final[Any] = Field(default="mean", description="Risk to minimise: mean, median, quantile:0.9, cvar:0.9, exceed:2.1.")
"""The field of a question that chooses by a risk measure."""


def expectation(loss: xr.DataArray) -> xr.DataArray:
    """Return the mean over the draws; coherent.

    Examples
    --------
    >>> float(expectation(xr.DataArray([[1.0, 2.0, 6.0]], dims=("chain", "draw"))))
    3.0
    """
    return loss.mean(SAMPLE_DIMS)


def quantile(level: float) -> RiskMeasure:
    """Return the measure that takes the quantile at ``level``; monotone, not subadditive.

    Examples
    --------
    >>> float(quantile(0.5)(xr.DataArray([[1.0, 2.0, 6.0]], dims=("chain", "draw"))))
    2.0
    """
    return lambda loss: loss.quantile(level, dim=SAMPLE_DIMS).drop_vars("quantile")


def conditional_value_at_risk(level: float) -> RiskMeasure:
    """Return the measure that takes the mean of the worst share 1 - ``level`` of the draws; coherent.

    The draw on the edge counts for the part of it that belongs to the share (Rockafellar and Uryasev 2002), which is what
    makes the measure of a finite sample subadditive.

    Examples
    --------
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

    return lambda loss: _over_draws(worst, loss)


def chance_above(level: float) -> RiskMeasure:
    """Return the measure that takes the chance of a loss above ``level``; monotone, not coherent.

    Examples
    --------
    >>> round(float(chance_above(1.5)(xr.DataArray([[1.0, 2.0, 6.0]], dims=("chain", "draw")))), 3)
    0.667
    """
    return lambda loss: (loss > level).mean(SAMPLE_DIMS)


def disutility(utility: Callable[[Any], Any]) -> RiskMeasure:
    """Return the measure that takes what the expected utility of the loss falls short of nothing: its negative.

    Parameters
    ----------
    utility : callable
        What a loss is worth, larger being better; takes and returns an array.

    Examples
    --------
    >>> float(disutility(lambda loss: -loss**2)(xr.DataArray([[1.0, 3.0]], dims=("chain", "draw"))))
    5.0
    """
    return lambda loss: -xr.apply_ufunc(utility, loss).mean(SAMPLE_DIMS)


def _over_draws(reduce: Callable[[np.ndarray], np.ndarray], loss: xr.DataArray) -> xr.DataArray:
    stacked = loss.stack(sample=SAMPLE_DIMS)
    return xr.apply_ufunc(reduce, stacked, input_core_dims=[["sample"]])


_WITH_LEVEL: Final[dict[str, tuple[Callable[[float], RiskMeasure], str, Callable[[float], bool]]]] = {
    "quantile": (quantile, "quantile:0.9", lambda level: 0 < level < 1),
    "cvar": (conditional_value_at_risk, "cvar:0.9", lambda level: 0 < level < 1),
    "exceed": (chance_above, "exceed:2.1", lambda level: level > 0),
}


def risk_measure(name: str) -> RiskMeasure:
    """Return the risk measure a request names.

    Parameters
    ----------
    name : str
        ``"mean"``, ``"median"``, ``"quantile:0.9"``, ``"cvar:0.9"``, the mean of the worst tenth, or ``"exceed:2.1"``, the
        chance of a loss above 2.1.

    Returns
    -------
    callable
        The measure.

    Raises
    ------
    InvalidRequest
        If there is no such measure, a quantile's level is not between 0 and 1, or a loss is not positive.

    Examples
    --------
    >>> float(risk_measure("cvar:0.5")(xr.DataArray([[1.0, 2.0, 4.0, 6.0]], dims=("chain", "draw"))))
    5.0
    """
    if name == "mean":
        return expectation
    if name == "median":
        return quantile(0.5)
    kind, _, level = name.partition(":")
    try:
        number = float(level)
    except ValueError:
        number = -1.0
    if kind not in _WITH_LEVEL or not _WITH_LEVEL[kind][2](number):
        raise InvalidRequest(
            f"There is no risk measure {name!r}: give mean, median, quantile:0.9, cvar:0.9, the level between 0 and 1, or "
            f"exceed:2.1, a loss."
        )
    return _WITH_LEVEL[kind][0](number)
