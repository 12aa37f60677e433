"""Batch against time: the front of steps and tokens to one loss, the batch for a deadline, and the price of a day.

At batch B a loss takes S_min (1 + B_crit/B) steps and E_min (1 + B/B_crit) tokens (Kaplan et al. 2020, equation 5.1, after
McCandlish et al. 2018): what is gained in steps is paid in tokens.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr

from bayes_scaling.errors import InvalidRequest
from bayes_scaling.laws.batch import steps_to_loss
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.inputs import positive
from bayes_scaling.posterior.predict import SAMPLE_DIMS, quantiles
from bayes_scaling.quantities import training_compute
from bayes_scaling.questions.effort import effort

_POINTS: Final = 41
_SECONDS_PER_DAY: Final = 86_400.0


def front(fit: Fit, *, params: float, loss: float, batch: Any = None, prob: float = 0.9) -> pd.DataFrame:
    """Return the steps and the tokens to a loss, by the batch.

    Parameters
    ----------
    fit : Fit
        A fit that has learned L(N, S_min) and the critical batch: of ``kaplan_system``, say.
    params : float
        Size N.
    loss : float
        Loss to reach, in the fit's unit.
    batch : float or sequence, optional
        Tokens per batch; by default from a hundredth of the critical batch to a hundred times it.
    prob : float
        Probability of the intervals.

    Returns
    -------
    DataFrame
        One row a batch: ``batch_tokens``; ``steps``, ``tokens`` and ``compute_flops``, medians, each with ``_lower`` and
        ``_upper``; ``extra_tokens``, tokens over the least there are, less one, the median.

    Raises
    ------
    InvalidRequest
        If the fit has not learned a parameter, a number is not positive, or more than half of the draws say that the size
        never reaches the loss.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_system
    >>> found = front(example_system(), params=1e9, loss=2.9, batch=[1e5, 1e6, 1e7])
    >>> bool((found["steps"].diff().dropna() < 0).all() and (found["tokens"].diff().dropna() > 0).all())
    True
    """
    steps_min, critical = _least(fit, params, loss)
    if batch is None:
        middle = float(critical.median())
        sizes = np.geomspace(middle / 100, middle * 100, _POINTS)
    else:
        sizes = np.atleast_1d(positive("batch_tokens", batch).values)
    return _told(sizes, steps_min, critical, params, prob)


def deadline(
    fit: Fit,
    *,
    params: float,
    loss: float,
    days: float,
    seconds_per_step: float,
    sure: float = 0.9,
    prob: float = 0.9,
) -> pd.Series:
    """Return the smallest batch that reaches a loss in time, and what it pays for that.

    Parameters
    ----------
    fit : Fit
        As for :func:`front`.
    params, loss : float
        Size N, and the loss to reach.
    days : float
        Until when.
    seconds_per_step : float
        How long a step takes, with as many devices as the batch fills.
    sure : float
        Probability with which the batch has to make it.
    prob : float
        Probability of the intervals.

    Returns
    -------
    Series
        As a row of :func:`front`, and ``chance`` of making it; ``price_of_a_day``, the compute that a deadline one day
        later would save, FLOP, the median.

    Raises
    ------
    InvalidRequest
        As for :func:`front`; or if no batch makes it with that probability.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_system
    >>> found = deadline(example_system(), params=1e9, loss=2.9, days=1.0, seconds_per_step=1.0)
    >>> bool(found["steps"] <= 86_400 and found["price_of_a_day"] > 0)
    True
    """
    for name, value in (("days", days), ("seconds_per_step", seconds_per_step)):
        if not (np.isfinite(value) and value > 0):
            raise InvalidRequest(f"{name} is {value:g}: it has to be a positive number.")
    if not 0 < sure < 1:
        raise InvalidRequest(f"sure is {sure:g}: it has to lie between 0 and 1, say 0.9.")
    steps_min, critical = _least(fit, params, loss)
    most = days * _SECONDS_PER_DAY / seconds_per_step
    batch = _batch_for(most, steps_min, critical, sure)
    if not np.isfinite(batch):
        chance = float((steps_min < most).mean())
        raise InvalidRequest(
            f"No batch reaches a loss of {loss:g} in {days:g} days with a probability of {sure:g}: at an endless batch the "
            f"chance is {chance:.2g}. Allow more days, faster steps, or a larger model."
        )
    told = _told(np.array([batch]), steps_min, critical, params, prob).iloc[0].to_dict()
    later = _batch_for((days + 1) * _SECONDS_PER_DAY / seconds_per_step, steps_min, critical, sure)
    saved = training_compute(params, steps_min * (batch - later))
    chance = float((steps_to_loss(batch, S_least=steps_min, B_crit=critical) <= most).mean())
    return pd.Series(told | {"chance": chance, "price_of_a_day": float(saved.median(SAMPLE_DIMS))})


def _least(fit: Fit, params: float, loss: float) -> tuple[xr.DataArray, xr.DataArray]:
    """Return the least steps to the loss, infinite where the size never gets there, and the critical batch."""
    found = effort(fit, loss=float(loss), params=float(params))
    reaches = float(found["reaches"])
    if reaches < 0.5:
        raise InvalidRequest(
            f"With {params:g} parameters a loss of {loss:g} is reached in {100 * reaches:.0f} % of the draws: ask for a higher loss, "
            f"or a larger model."
        )
    return found["steps_min"].fillna(np.inf), found["batch_tokens"].fillna(float(found["batch_tokens"].median()))


def _batch_for(most: float, steps_min: Any, critical: Any, sure: float) -> float:
    """Return the smallest batch whose steps are at most some number in a share of the draws."""
    needed = (critical / (most / steps_min - 1)).where(steps_min < most, np.inf)
    return float(np.quantile(needed.values, sure, method="higher"))


def _told(batch: np.ndarray, steps_min: Any, critical: Any, params: float, prob: float) -> pd.DataFrame:
    """Return what each batch takes, one row a batch."""
    least, critical = steps_min.values.ravel(), critical.values.ravel()
    steps = steps_to_loss(batch[:, None], S_least=least, B_crit=critical)
    tokens = steps * batch[:, None]
    told: dict[str, Any] = {"batch_tokens": batch}
    for name, draws in (("steps", steps), ("tokens", tokens), ("compute_flops", training_compute(params, tokens))):
        told |= dict(
            zip(
                (name, f"{name}_lower", f"{name}_upper"),
                np.quantile(draws, quantiles(prob), axis=-1, method="lower"),
                strict=True,
            )
        )
    return pd.DataFrame(told | {"extra_tokens": np.median(batch[:, None] / critical, axis=-1)})
