"""Which of several recipes is better, recomputed from the draws of a pooled fit by the closed form of Hoffmann et al. (2022)."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

import bayes_scaling as bs
from tests.reference.brute_force import Chinchilla, first

pytestmark = [
    pytest.mark.xdist_group("recipes"),
    pytest.mark.filterwarnings("ignore::bayes_scaling.errors.NotConvergedWarning"),
]
"""They share fits of some seconds."""

SERIES = "series in ['size', 'compute', 'seed', 'schedule', 'batch']"
BUDGETS, LOSS = [1e13, 1e14], 1.35
BASE, OTHER = "constant", "cosine"


class Pooled(Chinchilla):
    """The additive law of one group, at the best size of every budget."""

    def best(self, C):
        """Return the least loss of budgets, (budget, draw): N^total = (alpha A / beta B) (C/6)^beta, all at the reference."""
        middle, p = np.exp(np.log(self.fit.table[["params", "tokens"]]).mean()), self.of
        alpha, beta, A, B = p["alpha"], p["beta"], p["A_at_reference"], p["B_at_reference"]
        left = np.asarray(C)[..., None] / 6 / middle["params"] / middle["tokens"]
        n = (alpha * A / (beta * B) * left**beta) ** (1 / (alpha + beta))
        return p["E"] + A * n**-alpha + B * (left / n) ** -beta


@cache
def groups():
    """Return one pooled fit of 400 draws, and its groups; what follows from draws does not ask how near they are to the posterior."""
    runs = bs.load_runs("ladder").where(SERIES)
    fit = bs.fit(runs, "chinchilla", by="schedule", sampler="importance", seed=3, progress=False).thinned(100)
    return fit, {label: Pooled(fit, schedule=label) for label in fit.groups.names}


def test_the_law_of_a_group():
    """To the rounding of stored effects, twelve bits of a tenth."""
    fit, of = groups()
    for label, group in of.items():
        found = bs.predict(fit, params=2e5, tokens=2e7, group={"schedule": label})["law_loss"]
        np.testing.assert_allclose(found.transpose("chain", "draw").values.ravel(), group.law(2e5, 2e7), rtol=1e-4)


def test_what_a_budget_buys():
    fit, of = groups()
    answer = bs.ask(fit, "recipes", baseline=BASE, compute=BUDGETS, anyway=True).tables["recipes"]
    others = [label for label in of if label != BASE]
    gains = {label: of[BASE].best(np.array(BUDGETS)) - of[label].best(np.array(BUDGETS)) for label in others}
    for number, budget in enumerate(BUDGETS):
        rows = answer[answer["compute_flops"] == budget].set_index("variant")
        ahead = np.stack([gains[label][number] for label in rows.index])
        for place, (label, row) in enumerate(rows.iterrows()):
            gain = gains[label][number]
            assert row["chance"] == pytest.approx((gain > 0).mean(), abs=0.003)
            median, lower, upper = np.quantile(gain, [0.5, 0.05, 0.95])
            assert [row["gain"], row["gain_lower"], row["gain_upper"]] == pytest.approx([median, lower, upper], abs=1e-4)
            best = ((ahead.argmax(axis=0) == place) & (gain > 0)).mean()
            assert row["chance_best"] == pytest.approx(best, abs=0.003)
            mine = of[label].best(budget)
            needed = first(
                lambda C, mine=mine: of[BASE].best(C.T).diagonal() <= mine, budget / 1e4, budget * 1e4, mine.shape
            )
            ends = np.quantile(needed / budget, [0.5, 0.05, 0.95], method="nearest")
            assert [row["multiplier"], row["multiplier_lower"], row["multiplier_upper"]] == pytest.approx(ends, rel=0.02)


def test_new_runs_of_both():
    fit, of = groups()
    rows = [
        bs.ask(fit, "recipes", baseline=BASE, compute=[1e13], anyway=True, seed=seed).tables["recipes"].set_index("variant")
        for seed in range(6)
    ]
    rng, base = np.random.default_rng(1), of[BASE]
    for label in rows[0].index:
        noise = rng.standard_t(np.tile(base.of["nu"], (2, 200, 1))) * base.of["sigma"]
        ahead = np.log(of[label].best(1e13)) + noise[0] < np.log(base.best(1e13)) + noise[1]
        assert np.mean([row.loc[label, "chance_of_runs"] for row in rows]) == pytest.approx(ahead.mean(), abs=0.03)


def test_what_reaches_a_loss():
    fit, of = groups()
    rows = bs.ask(fit, "recipes", baseline=BASE, loss=[LOSS], anyway=True).tables["losses"].set_index("variant")
    lowest = float((6 * fit.table["params"] * fit.table["tokens"]).min())
    needed = {
        label: first(lambda C, group=group: group.best(C.T).diagonal() <= LOSS, lowest, 1e20, (400,))
        for label, group in of.items()
    }
    for label, row in rows.iterrows():
        ends = np.quantile(needed[label], [0.5, 0.05, 0.95], method="nearest")
        assert [row["needed"], row["needed_lower"], row["needed_upper"]] == pytest.approx(ends, rel=0.02)
        ends = np.quantile(needed[BASE] / needed[label], [0.5, 0.05, 0.95], method="nearest")
        assert [row["multiplier"], row["multiplier_lower"], row["multiplier_upper"]] == pytest.approx(ends, rel=0.02)


def test_where_recipes_cross():
    fit, of = groups()
    rows = bs.ask(fit, "recipes", baseline=BASE, compute=[1e13], anyway=True).tables["crossing"].set_index("variant")
    spent = 6 * fit.table["params"] * fit.table["tokens"]
    grid = np.geomspace(spent.min(), spent.max() * 1e6, 600)
    for label, row in rows.iterrows():
        ahead = of[label].best(grid) < of[BASE].best(grid)
        crosses = (ahead[1:] != ahead[:-1]).any(axis=0)
        assert row["ahead"] == pytest.approx(ahead[-1].mean(), abs=1e-9)
        assert row["chance"] == pytest.approx(crosses.mean(), abs=0.01)
