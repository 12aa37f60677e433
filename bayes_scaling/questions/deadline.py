"""Batch against time: steps and tokens to one loss, the batch for a deadline, and the price of a day.

At batch B a loss takes S_min (1 + B_crit/B) steps and E_min (1 + B/B_crit) tokens (Kaplan et al. 2020, equation 5.1, after
McCandlish et al. 2018): fewer steps are paid for in tokens.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr
from pydantic import Field

from bayes_scaling.errors import InvalidRequest
from bayes_scaling.laws.batch import steps_to_loss
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.inputs import positive
from bayes_scaling.posterior.predict import SAMPLE_DIMS, quantiles
from bayes_scaling.quantities import training_compute
from bayes_scaling.questions.base import Answer, Question
from bayes_scaling.questions.effort import effort
from bayes_scaling.questions.picture import curve
from bayes_scaling.questions.wording import credible, flop, number, percent, short

_POINTS: Final = 41
_SECONDS_PER_DAY: Final = 86_400.0


def front(fit: Fit, *, params: float, loss: float, batch: Any = None, prob: float = 0.9) -> pd.DataFrame:
    """Return the steps and the tokens to a loss, by the batch.

    Parameters
    ----------
    fit : Fit
        As for :func:`~bayes_scaling.frontier`.
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
        If the fit lacks a parameter, a number is not positive, or in more than half of the draws the size never reaches
        the loss.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_system
    >>> table = front(example_system(), params=1e9, loss=2.9, batch=[1e5, 1e6, 1e7])
    >>> bool((table["steps"].diff().dropna() < 0).all() and (table["tokens"].diff().dropna() > 0).all())
    True
    """
    steps_min, critical = _least(fit, params, loss)
    middle = float(critical.median())
    sizes = np.geomspace(middle / 100, middle * 100, _POINTS) if batch is None else positive("batch_tokens", batch).values
    return _by_batch(np.atleast_1d(sizes), steps_min, critical, params, prob)


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
        As for :func:`~bayes_scaling.frontier`.
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
    >>> row = deadline(example_system(), params=1e9, loss=2.9, days=1.0, seconds_per_step=1.0)
    >>> bool(row["steps"] <= 86_400 and row["price_of_a_day"] > 0)
    True
    """
    for name, value in (("days", days), ("seconds_per_step", seconds_per_step)):
        if not (np.isfinite(value) and value > 0):
            raise InvalidRequest(f"{name} is {value:g}: it has to be a positive number.")
    if not 0 < sure < 1:
        raise InvalidRequest(f"sure is {sure:g}: it has to lie between 0 and 1, say 0.9.")
    steps_min, critical = _least(fit, params, loss)
    steps, more = (by * _SECONDS_PER_DAY / seconds_per_step for by in (days, days + 1))
    batch = _smallest(steps, steps_min, critical, sure)
    if not np.isfinite(batch):
        raise InvalidRequest(
            f"No batch reaches a loss of {loss:g} in {days:g} days with a probability of {sure:g}: at an endless batch the "
            f"chance is {float((steps_min < steps).mean()):.2g}. Allow more days, faster steps, or a larger model."
        )
    row = _by_batch(np.array([batch]), steps_min, critical, params, prob).iloc[0]
    saved = training_compute(params, steps_min * (batch - _smallest(more, steps_min, critical, sure)))
    chance = float((steps_to_loss(batch, S_least=steps_min, B_crit=critical) <= steps).mean())
    return pd.Series(row.to_dict() | {"chance": chance, "price_of_a_day": float(saved.median(SAMPLE_DIMS))})


def _least(fit: Fit, params: float, loss: float) -> tuple[xr.DataArray, xr.DataArray]:
    """Return the least steps to the loss, infinite where the size never gets there, and the critical batch."""
    taken = effort(fit, loss=float(loss), params=float(params))
    reaches = float(taken["reaches"])
    if reaches < 0.5:
        raise InvalidRequest(
            f"With {params:g} parameters a loss of {loss:g} is reached in {100 * reaches:.0f} % of the draws: ask for a higher loss, "
            f"or a larger model."
        )
    return taken["steps_min"].fillna(np.inf), taken["batch_tokens"].fillna(float(taken["batch_tokens"].median()))


def _smallest(steps: float, steps_min: Any, critical: Any, sure: float) -> float:
    """Return the smallest batch whose steps are at most some number in a share of the draws."""
    needed = (critical / (steps / steps_min - 1)).where(steps_min < steps, np.inf)
    return float(np.quantile(needed.values, sure, method="higher"))


def _by_batch(batch: np.ndarray, steps_min: Any, critical: Any, params: float, prob: float) -> pd.DataFrame:
    """Return what each batch takes, one row a batch."""
    least, critical = steps_min.values.ravel(), critical.values.ravel()
    steps = steps_to_loss(batch[:, None], S_least=least, B_crit=critical)
    tokens = steps * batch[:, None]
    columns: dict[str, Any] = {"batch_tokens": batch}
    for name, draws in (("steps", steps), ("tokens", tokens), ("compute_flops", training_compute(params, tokens))):
        ends = np.quantile(draws, quantiles(prob), axis=-1, method="lower")
        columns |= dict(zip((name, f"{name}_lower", f"{name}_upper"), ends, strict=True))
    return pd.DataFrame(columns | {"extra_tokens": np.median(batch[:, None] / critical, axis=-1)})


class Deadline(Question):
    """The batch that reaches a loss in time, and its price."""

    name = "deadline"
    panel = "Training"
    example = "deadline system.nc --params 1e9 --loss 2.9 --days 7 --seconds-per-step 1.5"
    takes = ("fit",)
    trade_off = False
    unused = ("group", "seed")
    writes = "front"

    params: float = Field(gt=0, description="Size.")
    loss: float = Field(gt=0, description="Loss to reach.")
    days: float = Field(gt=0, description="Time there is.")
    seconds_per_step: float = Field(gt=0, description="Duration of a step.")
    sure: float = Field(default=0.9, gt=0, lt=1, description="Probability of being in time.")

    def _result(self, posterior: Fit) -> Answer:
        run: dict[str, Any] = {"params": self.params, "loss": self.loss, "prob": self.prob}
        timed = {"days": self.days, "seconds_per_step": self.seconds_per_step, "sure": self.sure}
        row = deadline(posterior, **run, **timed)
        width = credible(self.prob, short(row["steps_lower"]), short(row["steps_upper"]))
        days = "day" if self.days == 1 else "days"
        sentence = (
            f"A batch of {short(row['batch_tokens'])} tokens reaches {number(self.loss)} {posterior.loss_unit} in {self.days:g} {days} with "
            f"a probability of {row['chance']:.2f}: {short(row['steps'])} steps ({width}) and {short(row['tokens'])} tokens, "
            f"{percent(row['extra_tokens'])} more than at a small batch. A deadline one day later would save {flop(row['price_of_a_day'])}."
        )
        tables = {"deadline": row.to_frame().T, "front": front(posterior, **run)}
        draw = partial(curve, table="front", x="tokens", y="steps", log="xy")
        return Answer(sentence, tables=tables, compute=row["compute_flops"], draw=draw)
