"""How flat the optimum is: what every other size costs at the same budget, and the sizes that cost next to nothing."""

from __future__ import annotations

from functools import partial
from typing import Any, Final, Unpack

import numpy as np
import pandas as pd
from pydantic import Field

from bayes_scaling.errors import OutOfRange
from bayes_scaling.numerics import first_crossing
from bayes_scaling.posterior.extrapolation import reach_sentence
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.inputs import positive
from bayes_scaling.posterior.predict import quantiles
from bayes_scaling.quantities import tokens_at
from bayes_scaling.questions.base import Answer, OfText, Positive
from bayes_scaling.questions.guardrails import distances, worst_distances
from bayes_scaling.questions.optimum import among, choose, least_loss, optima, plausible
from bayes_scaling.questions.picture import curve
from bayes_scaling.questions.risk import expectation
from bayes_scaling.questions.surface import DRAWS, FEWEST, Surface, Text, budgets_of, thinned
from bayes_scaling.wording import credible, number, percent, short

_SIZES: Final = 41
_AROUND: Final = 30.0
"""Sizes go from a thirtieth of the choice to thirty times it."""
_TAIL: Final = 0.9


def regret(fit: Fit, *, compute: float, params: Any = None, prob: float = 0.9, **text: Unpack[Text]) -> pd.DataFrame:
    """Return what sizes cost that are not the optimum at one budget, the table ``regret`` of :class:`Regret`."""
    budget = float(budgets_of(compute))
    at = np.array([[budget]])
    surface = Surface.asked(thinned(fit, "regret"), **text)
    best = optima(surface, at[0])
    least = surface.along(at, best)[0]
    if params is None:
        middle = choose(surface.along, at[0], expectation, among(best))[0]
        sizes = np.exp(np.linspace(middle - np.log(_AROUND), middle + np.log(_AROUND), _SIZES))
        sizes = sizes[tokens_at(budget, sizes) >= FEWEST]
    else:
        sizes = np.atleast_1d(positive("params", params).values)
    losses = surface.along(at, np.log(sizes)[:, None])
    lost = np.maximum(losses - least, 0.0)
    law = surface.law_alone
    of_law = law.along(at, np.log(sizes)[:, None]) - least_loss(law, at[0]) if surface.discrepancy else lost
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
            "law_regret": np.maximum(of_law, 0.0).mean(axis=-1),
            "wasted": _wasted(Surface.asked(thinned(fit, "wasted"), **text), budget, sizes),
            "best": np.bincount(nearest, minlength=len(sizes)) / lost.shape[1],
        }
    )


def _wasted(surface: Surface, budget: float, sizes: np.ndarray) -> np.ndarray:
    """Return the share of the budget that the best size would not need for the same loss: the median over draws."""
    budgets = np.geomspace(budget / 1e3, budget, 121)
    at = np.log(budgets)
    least = least_loss(surface, budgets)
    levels = surface.along(np.array([[budget]]), np.log(sizes)[:, None])
    needed = [np.median(first_crossing(at, -least, -level, before=at[0], never=at[-1])) for level in levels]
    return np.clip(1 - np.exp(needed) / budget, 0.0, 1.0)


def near_optimal(
    fit: Fit,
    *,
    compute: float,
    within: Any = 0.01,
    least_params: float | None = None,
    most_params: float | None = None,
    **text: Unpack[Text],
) -> pd.DataFrame:
    """Return the sizes, of those allowed, whose mean loss is within shares of the least: the table of :class:`Regret`.

    >>> from bayes_scaling.posterior.examples import example_fit
    >>> near_optimal(example_fit(), compute=5.76e23, within=[0.001, 0.01])["times"].round(1).tolist()
    [2.4, 15.7]
    """
    budget = float(budgets_of(compute))
    at = np.array([[budget]])
    shares = np.sort(np.atleast_1d(np.asarray(within, float)))
    if not ((shares > 0) & (shares < 1)).all():
        raise OutOfRange(f"within is {within!r}: it has to be a share of the loss between 0 and 1, such as 0.01.")
    surface = Surface.asked(thinned(fit, "regret"), **text)
    middle = choose(surface.along, at[0], expectation, plausible(surface, at[0]))[0]
    ends = np.log(FEWEST), np.log(tokens_at(budget, FEWEST))
    low = max(ends[0], np.log(least_params) if least_params is not None else -np.inf)
    high = min(ends[1], np.log(most_params) if most_params is not None else np.inf)
    sizes = np.append(np.linspace(*ends, 801), middle + np.linspace(-4, 4, 321))
    sizes = np.unique(np.clip(sizes, low, high))
    expected = surface.thinned(DRAWS["near_optimal"]).along(at, sizes[:, None]).mean(axis=-1)
    inside = [np.exp(sizes[expected <= expected.min() * (1 + share)]) for share in shares]
    lower, upper = np.array([(near[0], near[-1]) for near in inside]).T
    columns = {"within": shares, "params_lower": lower, "params_upper": upper}
    columns |= {"tokens_upper": tokens_at(budget, lower), "tokens_lower": tokens_at(budget, upper), "times": upper / lower}
    return pd.DataFrame(columns)


class Regret(OfText):
    """The regret of sizes at a budget: their loss above that of the optimum, and how flat the optimum is.

    The regret of a size in a draw is its mean loss less that of the best size of that draw, by the law with its model
    discrepancy; residual noise is common to both. Asked of a fit of a law of N and D.

    Table ``regret``: a row a size; ``params``, ``tokens``; ``regret``, expected, ``regret_cvar``, the mean of its worst tenth,
    and ``regret_lower``, ``regret_upper``, its interval, in the fit's loss unit; ``relative``, the expected regret over the
    loss; ``law_regret``, the expected regret by the law alone; ``wasted``, the share of the budget that the best size would not need for the same loss, the median; ``best``, the
    chance that the true optimum is nearer to this size than to any other row. Table ``near_optimal``: a row a share
    ``within`` of the least mean loss; ``params_lower``, ``params_upper``, the smallest and the largest such size;
    ``tokens_upper``, ``tokens_lower``, what each is trained on; ``times``, how many times the smallest the largest is.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> table = Regret(compute=5.76e23, params=[70e9, 280e9]).answer(example_fit()).tables["regret"]
    >>> table["regret"].round(4).tolist(), table["wasted"].round(2).tolist()
    ([0.0, 0.0189], [0.0, 0.47])
    """

    name = "regret"
    panel = "Budget"
    about_budgets = True
    example = "regret fit.nc --compute 5.76e23 --params 7e10 --params 2.8e11"
    writes = "regret"

    compute: float = Field(gt=0, description="Budget, FLOP.")
    params: tuple[Positive, ...] = Field(default=(), description="A size; repeatable. By default many around the choice.")

    def _result(self, posterior: Fit) -> Answer:
        table = regret(posterior, compute=self.compute, params=self.params or None, prob=self.prob, **self.given)
        flat = near_optimal(posterior, compute=self.compute, within=[0.001, 0.002, 0.005, 0.01, 0.02], **self.given)
        lines = [
            f"{short(row['params'])} parameters lose {number(row['regret'], 2)} {posterior.loss_unit} against the best size "
            f"({credible(self.prob, number(row['regret_lower'], 2), number(row['regret_upper'], 2))}; mean of the worst tenth "
            f"{number(row['regret_cvar'], 2)}): {100 * row['wasted']:.0f} % of the budget is wasted."
            for row in (table.to_dict("records") if self.params else [])
        ]
        lines += [
            f"Within {percent(row['within'])} of the least loss lie {short(row['params_lower'])} to {short(row['params_upper'])} "
            f"parameters, on {short(row['tokens_upper'])} to {short(row['tokens_lower'])} tokens."
            for row in flat.to_dict("records")
        ]
        named = pd.concat(
            [flat["params_lower"], flat["params_upper"], *([table["params"]] if self.params else [])]
        ).to_numpy()
        runs = {"params": named, "tokens": tokens_at(self.compute, named), "compute_flops": self.compute}
        lines.append(f"At the furthest, a run of these is {reach_sentence(worst_distances(distances(posterior, [runs])))}.")
        draw = partial(curve, table="regret", x="params", y="regret", band=("regret_lower", "regret_upper"))
        return Answer("\n".join(lines), tables={"regret": table, "near_optimal": flat}, draw=draw)
