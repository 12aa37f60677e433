"""Batch against time: steps and tokens to one loss, the batch for a deadline, and the price of a day."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import numpy as np
import pandas as pd
from pydantic import Field

from bayes_scaling.errors import Unreachable
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.inputs import positive
from bayes_scaling.posterior.predict import quantiles
from bayes_scaling.quantities import training_compute, training_tokens
from bayes_scaling.questions.base import Answer, with_interval
from bayes_scaling.questions.learning_curve import LearningCurve, OfCurve
from bayes_scaling.questions.picture import curve as picture_of
from bayes_scaling.wording import credible, flop, number, percent, probability, short

_POINTS: Final = 41
_SECONDS_PER_DAY: Final = 86_400.0


def front(
    fit: Fit,
    *,
    params: float,
    loss: float,
    batch: Any = None,
    prob: float = 0.9,
    observation: str | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Return the steps and the tokens to a loss by the batch, the table ``front`` of :class:`Deadline`.

    Without a batch, tokens, from a hundredth of the critical batch to a hundred times it.
    """
    curve, size, target = _asked(fit, params, loss, observation, seed)
    middle = _critical(curve, size, target)
    sizes = np.geomspace(middle / 100, middle * 100, _POINTS) if batch is None else positive("batch_tokens", batch).values
    return _by_batch(curve, size, target, np.atleast_1d(sizes), prob)


def _asked(fit: Fit, params: float, loss: float, observation: str | None, seed: int) -> tuple[LearningCurve, float, float]:
    """Return the learning curve of a request, its size and its loss."""
    size, target = float(positive("params", params)), float(positive("loss", loss))
    return LearningCurve.of(fit, observation, seed), size, target


def _critical(curve: LearningCurve, params: float, loss: float) -> float:
    """Return the median critical batch where runs measure the loss; refuse a loss that most of them never do."""
    critical = curve.critical_batch(curve.reaching(loss, params, curve.critical_batch))
    reaches = float(np.isfinite(critical).mean())
    if reaches < 0.5:
        raise Unreachable(
            f"With {short(params)} parameters a loss of {loss:g} is reached in only {100 * reaches:.0f} % of the draws: ask for a "
            f"higher loss, or a larger model."
        )
    return float(np.nanmedian(critical))


def _by_batch(curve: LearningCurve, params: float, loss: float, batch: np.ndarray, prob: float) -> pd.DataFrame:
    """Return what each batch takes until a run measures the loss, one row a batch."""
    sizes = batch[:, None]
    reached = curve.reaching(loss, params, lambda law: sizes)
    steps = np.nan_to_num(curve.steps(params, reached, sizes), nan=np.inf)
    tokens = training_tokens(steps, sizes)
    columns: dict[str, Any] = {"batch_tokens": batch}
    for name, draws in (("steps", steps), ("tokens", tokens), ("compute_flops", training_compute(params, tokens))):
        columns |= with_interval(name, np.quantile(draws, quantiles(prob), axis=-1, method="lower"))
    return pd.DataFrame(columns | {"extra_tokens": np.nanmedian(sizes / curve.critical_batch(reached), axis=-1)})


def _least_batch(curve: LearningCurve, params: float, loss: float, steps: float) -> np.ndarray:
    """Return the least batch with which a run measures the loss after so many steps, in each draw; infinite where none does."""

    def batch(law: Any) -> np.ndarray:
        least = curve.steps_min(params, law)
        with np.errstate(divide="ignore"):
            return np.where(least < steps, curve.critical_batch(law) / (steps / np.minimum(least, steps) - 1), np.inf)

    reached = curve.reaching(loss, params, batch)
    return np.where(np.isnan(reached), np.inf, batch(reached))


class Deadline(OfCurve):
    """The batch with which a run reaches a loss by a deadline, and the extra tokens that it takes.

    At batch B a loss takes S_min (1 + B_crit/B) steps and E_min (1 + B/B_crit) tokens (Kaplan et al. 2020, equation 5.1,
    after McCandlish et al. 2018): fewer steps are paid for in tokens. In time is the predicted loss of a new run at the deadline: the
    law with the model discrepancy of its observation, where it has one, and residual noise. Asked of a fit as for
    :func:`~bayes_scaling.frontier`; the losses are those of the first learning curve of the document unless another
    observation is named: of ``kaplan_system`` runs at a constant rate.

    Table ``front``: a row a batch; ``batch_tokens``; ``steps``, ``tokens`` and ``compute_flops`` until a run measures the
    loss, medians, each with ``_lower`` and ``_upper``; ``extra_tokens``, tokens over the least there are, less one, the
    median. Table ``deadline``: such a row of the smallest batch that is in time with the probability asked for, with
    ``chance``, the probability that a new run is; ``expected_chance``, that its mean loss is, and ``law_chance``, that the
    law's is; ``law_batch_tokens``, the batch that the law alone would ask for; and ``price_of_a_day``, the compute that a
    deadline one day later would save, FLOP, the median. Value ``observation``: whose losses they are.

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
    loss: float = Field(gt=0, description="Loss that the run has to reach.")
    days: float = Field(gt=0, le=36_500, description="Days until the deadline.")
    seconds_per_step: float = Field(ge=1e-6, le=1e6, description="Seconds that a step takes.")
    sure: float = Field(default=0.9, gt=0, lt=1, description="Required probability that the run reaches the loss in time.")

    def in_time(self, fit: Fit) -> pd.DataFrame:
        """Return the row of the smallest batch with which a run measures the loss in time with the probability asked for."""
        return self._row(*_asked(fit, self.params, self.loss, self.observation, self.seed))

    def _row(self, curve: LearningCurve, params: float, loss: float) -> pd.DataFrame:
        _critical(curve, params, loss)

        def needed(of_it: LearningCurve, days: float) -> np.ndarray:
            batches = _least_batch(of_it, params, loss, days * _SECONDS_PER_DAY / self.seconds_per_step)
            return np.maximum(batches, 1.0)  # a batch has a token at the least

        def smallest(batches: np.ndarray) -> float:
            return float(np.quantile(batches, self.sure, method="higher"))

        batches = needed(curve, self.days)
        batch = smallest(batches)
        if not np.isfinite(batch):
            raise Unreachable(
                f"No batch reaches a loss of {self.loss:g} in {self.days:g} days with a probability of {self.sure:g}: at an "
                f"infinite batch the probability is {number(float(np.isfinite(batches).mean()), 2)}. Allow more days, faster steps, or a "
                f"larger model."
            )
        later = np.array([batch, smallest(needed(curve, self.days + 1))])[:, None]
        tokens = training_tokens(curve.steps(params, curve.reaching(loss, params, lambda law: later), later), later)
        saved = training_compute(params, np.where(np.isnan(tokens[0]), np.inf, tokens[0] - tokens[1]))
        of_law = needed(curve.law_alone, self.days)
        return _by_batch(curve, params, loss, np.array([batch]), self.prob).assign(
            chance=float((batches <= batch).mean()),
            expected_chance=float((needed(curve.expected, self.days) <= batch).mean()),
            law_chance=float((of_law <= batch).mean()),
            law_batch_tokens=smallest(of_law),
            price_of_a_day=float(np.median(saved)),
        )

    def _result(self, posterior: Fit) -> Answer:
        asked = _asked(posterior, self.params, self.loss, self.observation, self.seed)
        curve, table = asked[0], self._row(*asked)
        row = table.iloc[0]
        width = credible(self.prob, short(row["steps_lower"]), short(row["steps_upper"]))
        days = "day" if self.days == 1 else "days"
        rest = f", {probability(row['expected_chance'])} with its model discrepancy" if curve.discrepancy else ""
        sentence = (
            f"A batch of {short(row['batch_tokens'])} tokens brings a new run, as in {curve.observation}, to {number(self.loss)} "
            f"{posterior.loss_unit} in {self.days:g} {days} with a probability of {probability(row['chance'])}: {short(row['steps'])} steps "
            f"({width}) and {short(row['tokens'])} tokens, {percent(row['extra_tokens'])} more than at a small batch. The law alone "
            f"would ask for {short(row['law_batch_tokens'])}. With this batch the probability is {probability(row['law_chance'])} by the law "
            f"alone{rest}, and {probability(row['chance'])} with the residual noise of runs. A deadline one day later would save {flop(row['price_of_a_day'])}."
        )
        middle = _critical(*asked)
        sizes = np.geomspace(middle / 100, middle * 100, _POINTS)
        tables = {"deadline": table, "front": _by_batch(*asked, sizes, self.prob)}
        draw = partial(picture_of, table="front", x="tokens", y="steps", log="xy")
        values = {"observation": curve.observation}
        return Answer(sentence, values, tables, compute=row["compute_flops"], draw=draw)
