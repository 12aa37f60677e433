"""Batch against time: steps and tokens to one loss, the batch for a deadline, and the price of a day."""

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
from bayes_scaling.questions.base import Answer, OfSystem, with_interval
from bayes_scaling.questions.effort import effort
from bayes_scaling.questions.picture import curve
from bayes_scaling.questions.wording import credible, flop, number, percent, short

_POINTS: Final = 41
_SECONDS_PER_DAY: Final = 86_400.0


def front(fit: Fit, *, params: float, loss: float, batch: Any = None, prob: float = 0.9) -> pd.DataFrame:
    """Return the steps and the tokens to a loss by the batch, the table ``front`` of :class:`Deadline`.

    Without a batch, tokens, from a hundredth of the critical batch to a hundred times it.
    """
    steps_min, critical = _least(fit, params, loss)
    middle = float(critical.median())
    sizes = np.geomspace(middle / 100, middle * 100, _POINTS) if batch is None else positive("batch_tokens", batch).values
    return _by_batch(np.atleast_1d(sizes), steps_min, critical, params, prob)


def _least(fit: Fit, params: float, loss: float) -> tuple[xr.DataArray, xr.DataArray]:
    """Return the least steps to the loss, infinite where the size never gets there, and the critical batch."""
    needed = effort(fit, loss=float(loss), params=float(params))
    reaches = float(needed["reaches"])
    if reaches < 0.5:
        raise InvalidRequest(
            f"With {short(params)} parameters a loss of {loss:g} is reached in {100 * reaches:.0f} % of the draws: ask for a "
            f"higher loss, or a larger model."
        )
    return needed["steps_min"].fillna(np.inf), needed["batch_tokens"].fillna(float(needed["batch_tokens"].median()))


def _by_batch(batch: np.ndarray, steps_min: Any, critical: Any, params: float, prob: float) -> pd.DataFrame:
    """Return what each batch takes, one row a batch."""
    least, critical = steps_min.values.ravel(), critical.values.ravel()
    steps = steps_to_loss(batch[:, None], S_least=least, B_crit=critical)
    tokens = steps * batch[:, None]
    columns: dict[str, Any] = {"batch_tokens": batch}
    for name, draws in (("steps", steps), ("tokens", tokens), ("compute_flops", training_compute(params, tokens))):
        columns |= with_interval(name, np.quantile(draws, quantiles(prob), axis=-1, method="lower"))
    return pd.DataFrame(columns | {"extra_tokens": np.median(batch[:, None] / critical, axis=-1)})


class Deadline(OfSystem):
    """The batch that reaches a loss in time, and its price.

    At batch B a loss takes S_min (1 + B_crit/B) steps and E_min (1 + B/B_crit) tokens (Kaplan et al. 2020, equation 5.1,
    after McCandlish et al. 2018): fewer steps are paid for in tokens. Asked of a fit as for :func:`~bayes_scaling.frontier`.

    Table ``front``: a row a batch; ``batch_tokens``; ``steps``, ``tokens`` and ``compute_flops``, medians, each with
    ``_lower`` and ``_upper``; ``extra_tokens``, tokens over the least there are, less one, the median. Table ``deadline``:
    such a row of the smallest batch that is in time, with ``chance`` of being so, and ``price_of_a_day``, the compute that a
    deadline one day later would save, FLOP, the median.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_system
    >>> answer = Deadline(params=1e9, loss=2.9, days=1.0, seconds_per_step=1.0).answer(example_system())
    >>> bool(answer.tables["deadline"]["steps"].item() <= 86_400)
    True
    """

    name = "deadline"
    panel = "Training"
    example = "deadline system.nc --params 1e9 --loss 2.9 --days 7 --seconds-per-step 1.5"
    guarded = True
    trade_off = False
    writes = "front"

    params: float = Field(gt=0, description="Size.")
    loss: float = Field(gt=0, description="Loss to reach.")
    days: float = Field(gt=0, description="Time there is.")
    seconds_per_step: float = Field(gt=0, description="Duration of a step.")
    sure: float = Field(default=0.9, gt=0, lt=1, description="Probability of being in time.")

    def in_time(self, fit: Fit) -> pd.DataFrame:
        """Return the row of the smallest batch that reaches the loss in time with the probability asked for."""
        steps_min, critical = _least(fit, self.params, self.loss)

        def smallest(days: float) -> float:
            steps = days * _SECONDS_PER_DAY / self.seconds_per_step
            needed = (critical / (steps / steps_min - 1)).where(steps_min < steps, np.inf)
            return float(np.quantile(needed.values, self.sure, method="higher"))

        batch, steps = smallest(self.days), self.days * _SECONDS_PER_DAY / self.seconds_per_step
        if not np.isfinite(batch):
            raise InvalidRequest(
                f"No batch reaches a loss of {self.loss:g} in {self.days:g} days with a probability of {self.sure:g}: at an "
                f"endless batch the chance is {number(float((steps_min < steps).mean()), 2)}. Allow more days, faster steps, or a "
                f"larger model."
            )
        saved = training_compute(self.params, steps_min * (batch - smallest(self.days + 1)))
        chance = (steps_to_loss(batch, S_least=steps_min, B_crit=critical) <= steps).mean()
        table = _by_batch(np.array([batch]), steps_min, critical, self.params, self.prob)
        return table.assign(chance=float(chance), price_of_a_day=float(saved.median(SAMPLE_DIMS)))

    def _result(self, posterior: Fit) -> Answer:
        table = self.in_time(posterior)
        row = table.iloc[0]
        width = credible(self.prob, short(row["steps_lower"]), short(row["steps_upper"]))
        days = "day" if self.days == 1 else "days"
        sentence = (
            f"A batch of {short(row['batch_tokens'])} tokens reaches {number(self.loss)} {posterior.loss_unit} in {self.days:g} "
            f"{days} with a probability of {row['chance']:.2f}: {short(row['steps'])} steps ({width}) and {short(row['tokens'])} "
            f"tokens, {percent(row['extra_tokens'])} more than at a small batch. A deadline one day later would save "
            f"{flop(row['price_of_a_day'])}."
        )
        tables = {"deadline": table, "front": front(posterior, params=self.params, loss=self.loss, prob=self.prob)}
        draw = partial(curve, table="front", x="tokens", y="steps", log="xy")
        return Answer(sentence, tables=tables, compute=row["compute_flops"], draw=draw)
