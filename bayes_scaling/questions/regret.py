"""How flat the optimum is: what every other size costs at the same budget, and the sizes that cost next to nothing."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import numpy as np
import pandas as pd
from pydantic import Field

from bayes_scaling.errors import InvalidRequest
from bayes_scaling.numerics import first_crossing
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.inputs import admit, positive
from bayes_scaling.posterior.predict import quantiles
from bayes_scaling.quantities import tokens_at
from bayes_scaling.questions.base import Answer, OfText, Positive
from bayes_scaling.questions.picture import curve
from bayes_scaling.questions.risk import expectation
from bayes_scaling.questions.surface import DRAWS, FEWEST, Supply, Surface, budgets_of, choose, optima
from bayes_scaling.questions.wording import credible, percent, short

_SIZES: Final = 41
_AROUND: Final = 30.0
"""Sizes go from a thirtieth of the choice to thirty times it."""
_TAIL: Final = 0.9


def regret(
    fit: Fit,
    *,
    compute: float,
    params: Any = None,
    supply: Supply | None = None,
    group: Mapping[str, str] | None = None,
    seed: int = 0,
    prob: float = 0.9,
) -> pd.DataFrame:
    """Return what sizes cost that are not the optimum, at one budget.

    The regret of a size in a draw is its loss less the loss of the best size of that draw, by the law alone: residual noise and
    model discrepancy at the budget are common to both.

    Parameters
    ----------
    fit : Fit
        A fit of a law of N and D.
    compute : float
        Budget, FLOP.
    params : float or sequence, optional
        Sizes; by default some from a thirtieth of the choice to thirty times it.
    prob : float
        Probability of the interval.

    Returns
    -------
    DataFrame
        One row a size: ``params``, ``tokens``; ``regret``, expected, ``regret_cvar``, the mean of its worst tenth, and
        ``regret_lower``, ``regret_upper``, its interval, in the fit's loss unit; ``relative``, the expected regret over
        the loss; ``wasted``, the share of the budget with which the best size reaches the same loss that is not needed,
        the median; ``best``, the chance that the true optimum is nearer to this size than to any other row.

    Raises
    ------
    InvalidRequest
        If the law has no trade-off between N and D, or a number is not positive.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> found = regret(example_fit(), compute=5.76e23, params=[70e9, 280e9])
    >>> found["regret"].round(4).tolist(), found["wasted"].round(2).tolist()
    ([0.0, 0.0189], [0.0, 0.47])
    """
    labels = admit(fit, group or {}, seed)
    budget = float(budgets_of(compute))
    surface = Surface.of(fit, labels, seed, supply).thinned(DRAWS["regret"])
    best = optima(surface, np.array([budget]))
    least = surface.along(np.array([[budget]]), best)[0]
    if params is None:
        middle = choose(surface, np.array([budget]), expectation, best)[0]
        sizes = np.exp(np.linspace(middle - np.log(_AROUND), middle + np.log(_AROUND), _SIZES))
        sizes = sizes[tokens_at(budget, sizes) >= FEWEST]
    else:
        sizes = np.atleast_1d(positive("params", params).values)
    losses = surface.along(np.array([[budget]]), np.log(sizes)[:, None])
    lost = np.maximum(losses - least, 0.0)
    worst = np.sort(lost, axis=-1)[:, int(_TAIL * lost.shape[1]) :]
    lower, upper = np.quantile(lost, quantiles(prob)[1:], axis=-1)
    nearest = np.abs(best[0][None, :] - np.log(sizes)[:, None]).argmin(axis=0)
    return pd.DataFrame(
        {
            "params": sizes,
            "tokens": tokens_at(budget, sizes),
            "regret": lost.mean(axis=-1),
            "regret_cvar": worst.mean(axis=-1),
            "regret_lower": lower,
            "regret_upper": upper,
            "relative": (lost / least).mean(axis=-1),
            "wasted": _wasted(surface, budget, losses),
            "best": np.bincount(nearest, minlength=len(sizes)) / lost.shape[1],
        }
    )


def near_optimal(
    fit: Fit,
    *,
    compute: float,
    within: Any = 0.01,
    least_params: float | None = None,
    most_params: float | None = None,
    supply: Supply | None = None,
    group: Mapping[str, str] | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Return the sizes whose expected loss is within some share of the least, at one budget: how flat the optimum is.

    Parameters
    ----------
    fit : Fit
        A fit of a law of N and D.
    compute : float
        Budget, FLOP.
    within : float or sequence
        Share of the least expected loss that is given up.
    least_params, most_params : float, optional
        Sizes allowed: the least loss is that of these.

    Returns
    -------
    DataFrame
        One row a share: ``within``; ``params_lower``, ``params_upper``, the smallest and the largest such size;
        ``tokens_upper``, ``tokens_lower``, what each is trained on; ``times``, how many times the smallest the largest is.

    Raises
    ------
    InvalidRequest
        As for :func:`regret`.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> found = near_optimal(example_fit(), compute=5.76e23, within=[0.001, 0.01])
    >>> found["times"].round(1).tolist()
    [2.4, 15.7]
    """
    labels = admit(fit, group or {}, seed)
    budget = float(budgets_of(compute))
    given = np.sort(np.atleast_1d(np.asarray(within, float)))
    if not ((given > 0) & (given < 1)).all():
        raise InvalidRequest(f"within is {within!r}: it has to be a share of the loss between 0 and 1, say 0.01.")
    surface = Surface.of(fit, labels, seed, supply).thinned(DRAWS["regret"])
    at = np.array([[budget]])
    middle = choose(surface, at[0], expectation, optima(surface, at[0]))[0]
    ends = np.log(FEWEST), np.log(tokens_at(budget, FEWEST))
    sizes = np.linspace(*ends, 801)
    sizes = np.sort(np.append(sizes, middle + np.linspace(-4, 4, 321)))
    low = max(ends[0], np.log(least_params) if least_params is not None else -np.inf)
    high = min(ends[1], np.log(most_params) if most_params is not None else np.inf)
    sizes = np.unique(np.clip(sizes, low, high))
    few = surface.thinned(DRAWS["near_optimal"])
    expected = few.along(at, sizes[:, None]).mean(axis=-1)
    least = expected.min()
    rows = []
    for share in given:
        fine = np.flatnonzero(expected <= least * (1 + share))
        low, high = float(np.exp(sizes[fine[0]])), float(np.exp(sizes[fine[-1]]))
        tokens = tokens_at(budget, low), tokens_at(budget, high)
        rows.append((share, low, high, *tokens, high / low))
    return pd.DataFrame(rows, columns=["within", "params_lower", "params_upper", "tokens_upper", "tokens_lower", "times"])


def _wasted(surface: Surface, budget: float, losses: np.ndarray) -> np.ndarray:
    """Return the share of the budget that the best size would not need for the same loss: the median over draws."""
    few = surface.thinned(DRAWS["wasted"])
    wanted = losses[:, :: -(-losses.shape[1] // DRAWS["wasted"])]
    budgets = np.geomspace(budget / 1e3, budget, 121)
    least = few.along(budgets[:, None], optima(few, budgets))
    shares = []
    for row in wanted:
        needed = first_crossing(np.log(budgets), -least, -row, before=np.log(budgets[0]), never=np.log(budgets[-1]))
        shares.append(1 - np.exp(np.median(needed)) / budget)
    return np.clip(shares, 0.0, 1.0)


class Regret(OfText):
    """The loss of sizes above that of the optimum at a budget, and how flat the optimum is."""

    name = "regret"
    panel = "Budget"
    example = "regret fit.nc --compute 5.76e23 --params 7e10 --params 2.8e11"
    writes = "regret"

    compute: float = Field(gt=0, description="Budget, FLOP.")
    params: tuple[Positive, ...] = Field(default=(), description="A size; repeatable. By default many around the choice.")

    def _result(self, posterior: Fit) -> Answer:
        asked: dict[str, Any] = {"compute": self.compute, **self.given}
        table = regret(posterior, params=list(self.params) or None, prob=self.prob, **asked)
        flat = near_optimal(posterior, within=[0.001, 0.002, 0.005, 0.01, 0.02], **asked)
        lines = [
            f"{short(row['params'])} parameters lose {row['regret']:.2g} {posterior.loss_unit} against the best size "
            f"({credible(self.prob, f'{row["regret_lower"]:.2g}', f'{row["regret_upper"]:.2g}')}; mean of the worst tenth "
            f"{row['regret_cvar']:.2g}): {100 * row['wasted']:.0f} % of the budget is wasted."
            for row in (table.to_dict("records") if self.params else [])
        ]
        lines += [
            f"Within {percent(row['within'])} of the least loss lie {short(row['params_lower'])} to {short(row['params_upper'])} "
            f"parameters, on {short(row['tokens_upper'])} to {short(row['tokens_lower'])} tokens."
            for row in flat.to_dict("records")
        ]
        draw = partial(curve, table="regret", x="params", y="regret", band=("regret_lower", "regret_upper"))
        return Answer("\n".join(lines), tables={"regret": table, "near_optimal": flat}, draw=draw)
