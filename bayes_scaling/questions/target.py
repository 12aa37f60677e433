"""A loss to reach: the chance of a budget, and the least budget for a chance."""

from __future__ import annotations

from functools import partial
from typing import Any, Final, Unpack

import numpy as np
import pandas as pd
import xarray as xr
from pydantic import Field

from bayes_scaling.errors import ConflictingOptions, NotLearned, OutOfRange, Unreachable
from bayes_scaling.numerics import first_crossing
from bayes_scaling.posterior.extrapolation import reach, reach_sentence
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.inputs import admit
from bayes_scaling.posterior.predict import SAMPLE_DIMS, predict
from bayes_scaling.posterior.residuals import flat_draws
from bayes_scaling.quantities import BY_COLUMN
from bayes_scaling.questions.allocation import chosen_runs
from bayes_scaling.questions.base import Answer, OfText, Positive
from bayes_scaling.questions.cost import OnHardware
from bayes_scaling.questions.new_run import NewRunNoise
from bayes_scaling.questions.optimum import least_loss
from bayes_scaling.questions.picture import curve
from bayes_scaling.questions.surface import DRAWS, Surface, Text, budget_ratio, splits_a_budget
from bayes_scaling.wording import flop, number, probability, short

_BUDGETS: Final = 25
_NEAR: Final = 17
_CLOSE: Final = 12
"""Budgets between two of those in which a chance is reached."""
_NOISE: Final = 16
"""Runs of each draw whose noise says how likely a loss is reached."""
_RUN: Final = ("params", "tokens")
FURTHEST: Final = 6.0
"""Decades beyond the largest run within which a budget is searched."""


def chance(fit: Fit, *, target: float, compute: Any = None, **how: Any) -> xr.Dataset:
    """Return how likely a new run of a budget reaches a loss: the draws of :class:`Target`, dims (compute_flops).

    Budgets go from the smallest run to six decades beyond the largest by default; a single one has no dimension. ``how`` the
    run is chosen is as for :func:`~bayes_scaling.allocate`. Coordinates tell the extrapolation distance.
    """
    if not (np.isfinite(target) and target > 0):
        raise OutOfRange(f"The target is {target:g}: it has to be a loss, a positive number.")
    budgets = np.geomspace(*_ends(fit), 2 * _BUDGETS) if compute is None else compute
    thinned = fit.thinned(DRAWS["target"])
    runs = _at_budgets(thinned, budgets, **how)
    # All budgets share the noise of some runs in each draw: which others are asked for changes no chance.
    seed = how.get("seed", 0)
    noise = NewRunNoise.of(thinned, admit(thinned, how.get("group") or {}, seed), seed, runs=_NOISE)
    law, expected = (flat_draws(runs[name]).T[..., None, :] for name in ("law_loss", "expected_loss"))
    reached = (noise.measured(expected, noise.growth_at(law)) < target).mean(axis=(-2, -1))
    chances = {
        "chance": runs["compute_flops"].copy(data=reached),
        "chance_expected": (runs["expected_loss"] < target).mean(SAMPLE_DIMS),
        **{name: runs[name] for name in _RUN if name in runs and splits_a_budget(fit)},
    }
    reaches = {name: c for name, c in runs.coords.items() if str(name).startswith("reach_")}
    return xr.Dataset(chances, coords=reaches | {"compute_flops": runs["compute_flops"]}, attrs={"target": target})


def least_compute(fit: Fit, *, target: float, prob: float = 0.9, **text: Unpack[Text]) -> pd.Series:
    """Return the least budget with which a new run reaches a loss with a probability, the row ``least`` of :class:`Target`."""
    if not 0 < prob < 1:
        raise OutOfRange(f"The probability is {prob:g}: it has to lie between 0 and 1, say 0.9.")
    smallest, furthest = _ends(fit)
    middle = _even_odds(fit, target, **text)
    near = np.geomspace(max(smallest, middle / 10), min(furthest, middle * 300), _NEAR)
    for budgets in (near, np.geomspace(smallest, furthest, 2 * _BUDGETS)):
        path = chance(fit, target=target, compute=budgets, **text)
        chances = path["chance"].values
        least = _place(budgets, chances, prob)
        if chances[0] < prob and least < np.inf:
            break
    else:
        if least < np.inf:
            raise Unreachable(
                f"The smallest run, {flop(smallest)}, already reaches {target:g} with a probability of {prob:g}: ask for a "
                f"lower loss."
            )
        raise Unreachable(
            f"No budget up to {flop(furthest)}, {FURTHEST:g} decades beyond the runs, reaches {target:g} with a probability "
            f"of {prob:g}: the best chance is {number(chances.max(), 2)}. Ask for less, or for a smaller probability."
        )
    has_even = chances[0] <= 0.5
    budgets = _close_to([least, _place(budgets, chances, 0.5)] if has_even else [least], budgets)
    path = chance(fit, target=target, compute=budgets, **text)
    chances = path["chance"].values
    least, even = _place(budgets, chances, prob), _place(budgets, chances, 0.5) if has_even else np.nan
    run = {n: float(np.exp(np.interp(np.log(least), np.log(budgets), np.log(path[n])))) for n in path if n in _RUN}
    distance = float(reach(fit, "compute_flops", budget_ratio(fit) * least))
    odds = {"chance": prob, "even": even if even < np.inf else np.nan, "reach_compute_flops": distance}
    return pd.Series({"compute_flops": least, **run, **odds})


def _close_to(places: list[float], budgets: np.ndarray) -> np.ndarray:
    """Return budgets close to each other around places: from one of some budgets to the next the chance is no straight line."""
    above = np.clip(np.searchsorted(budgets, [place for place in places if place < np.inf]), 1, len(budgets) - 1)
    return np.unique([np.geomspace(budgets[place - 1], budgets[place], _CLOSE) for place in above])


def _ends(fit: Fit) -> tuple[float, float]:
    """Return the smallest run's compute, and the furthest beyond the largest that is searched."""
    if "compute_flops" not in fit.table:
        raise NotLearned("The runs of this fit have no compute: a budget for a loss needs one.")
    spent = fit.table["compute_flops"] / budget_ratio(fit)
    return float(spent.min()), float(min(spent.max() * 10**FURTHEST, BY_COLUMN["compute_flops"].maximum))


def _at_budgets(fit: Fit, compute: Any, **how: Any) -> xr.Dataset:
    """Return what a new run of each budget measures: a prediction, along compute."""
    if splits_a_budget(fit):
        return chosen_runs(fit, compute=compute, **how)
    columns = list(fit.model.only.columns.values())
    if columns != ["compute_flops"]:
        raise NotLearned(
            f"The law {fit.model.only.law} takes {', '.join(columns)}: the loss of a budget needs a law of N and D, or of C."
        )
    if how.pop("supply", None) is not None:
        raise ConflictingOptions("A law of C alone has no tokens: leave the supply out.")
    prediction = predict(fit, compute_flops=compute, group=how.get("group"), seed=how.get("seed", 0))
    return prediction.rename(query="compute_flops") if "query" in prediction.dims else prediction


def _even_odds(fit: Fit, target: float, **text: Unpack[Text]) -> float:
    """Return about where the median of the mean loss reaches the target: a place to look closely at."""
    budgets = np.geomspace(*_ends(fit), _BUDGETS)
    if splits_a_budget(fit):
        surface = Surface.asked(fit, **text).thinned(100)
        losses = np.median(least_loss(surface, budgets), axis=-1)
    else:
        losses = _at_budgets(fit.thinned(DRAWS["target"]), budgets, **text)["expected_loss"].median(SAMPLE_DIMS).values
    return _place(budgets, -losses, -target, never=budgets[-1])


def _place(budgets: np.ndarray, rising: np.ndarray, level: float, *, never: float = np.inf) -> float:
    """Return the budget at which a curve first reaches a level, straight between budgets in log C: the first if it begins above."""
    at = np.log(budgets)
    return float(np.exp(first_crossing(at, rising, level, before=at[0], never=np.log(never))))


class Target(OnHardware, OfText):
    """The budget that reaches a loss with a probability, and what it costs in hours, days and money.

    The run of a budget is the one to choose with it: the size of least mean loss, where the law is of N and D; a law of
    C alone has none. Residual noise and model discrepancy are included.

    Table ``least``: one row; ``compute_flops``, the least budget with which a new run reaches the loss with the probability;
    ``params`` and ``tokens`` of the run; ``chance`` there; ``even``, the budget at even odds; ``reach_compute_flops``, its
    extrapolation distance in decades. Table ``cost``: as of :class:`~bayes_scaling.questions.cost.Cost`. Where budgets are
    given instead table ``chances``: a row a budget; ``compute_flops``; ``chance`` that the loss of a new run is below it,
    ``chance_expected`` that its mean loss is less; ``params``, ``tokens``; the extrapolation distances.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> print(Target(target=2.0, compute=[1e22, 1e24]).answer(example_fit()))
    1e22 FLOP, inside the runs, reach 2 nats/token with a probability of less than 0.01.
    1e24 FLOP, beyond the runs by 1.92 decades in C, reach 2 nats/token with a probability of 0.97.
    """

    name = "target"
    panel = "Budget"
    about_budgets = True
    example = "target fit.nc --loss 2.0 --sure 0.9 --device h100 --count 1024"

    target: float = Field(gt=0, description="Loss that a new run is to reach.", json_schema_extra={"option": "--loss"})
    sure: float = Field(default=0.9, gt=0, lt=1, description="Required probability of reaching it.")
    compute: tuple[Positive, ...] = Field(
        default=(), description="Or a budget, FLOP, whose probability of reaching the loss is asked; repeatable."
    )

    def _result(self, posterior: Fit) -> Answer:
        goal = f"{self.target:g} {posterior.loss_unit}"
        if self.compute:
            draws = chance(posterior, target=self.target, compute=list(self.compute), **self.given)
            table = pd.DataFrame({str(n): np.atleast_1d(v.values) for n, v in (draws.coords | draws.data_vars).items()})
            lines = [
                f"{flop(row['compute_flops'])}, {reach_sentence({'compute_flops': row['reach_compute_flops']})}, reach {goal} with a "
                f"probability of {probability(row['chance'])}."
                for row in table.to_dict("records")
            ]
            draw = partial(curve, table="chances", x="compute_flops", y="chance")
            return Answer("\n".join(lines), tables={"chances": table}, data=draws, draw=draw)
        least = least_compute(posterior, target=self.target, prob=self.sure, **self.given)
        compute = float(least["compute_flops"])
        bill, costs = self.bill(compute, self.prob, self.seed)
        run = f", {short(least['params'])} parameters on {short(least['tokens'])} tokens" if "params" in least else ""
        even = least["even"]
        odds = f"even odds take {flop(even)}" if np.isfinite(even) else "odds are already better than even below that"
        sentence = (
            f"The loss of a new run is below {goal} with a probability of {self.sure:g} from {flop(compute)}{run}; {odds}. The budget is "
            f"{reach_sentence({'compute_flops': least['reach_compute_flops']})}.\n{bill}"
        )
        return Answer(sentence, tables={"least": least.to_frame().T, "cost": costs}, compute=compute)
