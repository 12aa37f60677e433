"""Risk measures: from the draws of a loss to the one number a decision makes small. Larger is worse, always."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import xarray as xr

from bayes_scaling.errors import InvalidRequest
from bayes_scaling.prediction import SAMPLE_DIMS

RiskMeasure = Callable[[xr.DataArray], xr.DataArray]
"""Takes a loss with dims (chain, draw, ...) and returns one without the sample dims."""


def expectation(loss: xr.DataArray) -> xr.DataArray:
    """Return the mean over the draws.

    Examples
    --------
    >>> float(expectation(xr.DataArray([[1.0, 2.0, 6.0]], dims=("chain", "draw"))))
    3.0
    """
    return loss.mean(SAMPLE_DIMS)


def quantile(level: float) -> RiskMeasure:
    """Return the measure that takes the quantile at ``level``.

    Examples
    --------
    >>> float(quantile(0.5)(xr.DataArray([[1.0, 2.0, 6.0]], dims=("chain", "draw"))))
    2.0
    """
    return lambda loss: loss.quantile(level, dim=SAMPLE_DIMS).drop_vars("quantile")


def conditional_value_at_risk(level: float) -> RiskMeasure:
    """Return the measure that takes the mean of the draws at or above the quantile at ``level``.

    Examples
    --------
    >>> float(conditional_value_at_risk(0.5)(xr.DataArray([[1.0, 2.0, 6.0]], dims=("chain", "draw"))))
    4.0
    """
    return lambda loss: loss.where(loss >= quantile(level)(loss)).mean(SAMPLE_DIMS)


_WITH_LEVEL: Final[dict[str, Callable[[float], RiskMeasure]]] = {
    "quantile": quantile,
    "cvar": conditional_value_at_risk,
}


def risk_measure(name: str) -> RiskMeasure:
    """Return the risk measure a request names.

    Parameters
    ----------
    name : str
        ``"mean"``, ``"quantile:0.9"`` or ``"cvar:0.9"``.

    Returns
    -------
    callable
        The measure.

    Raises
    ------
    InvalidRequest
        If there is no such measure, or its level is not between 0 and 1.

    Examples
    --------
    >>> float(risk_measure("cvar:0.5")(xr.DataArray([[1.0, 2.0, 6.0]], dims=("chain", "draw"))))
    4.0
    """
    if name == "mean":
        return expectation
    kind, _, level = name.partition(":")
    try:
        number = float(level)
    except ValueError:
        number = -1.0
    if kind not in _WITH_LEVEL or not 0 < number < 1:
        raise InvalidRequest(
            f"There is no risk measure {name!r}: give mean, quantile:0.9 or cvar:0.9, the level between 0 and 1."
        )
    return _WITH_LEVEL[kind](number)
