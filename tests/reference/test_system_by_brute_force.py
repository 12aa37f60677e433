"""Decisions by learning curves, recomputed from the draws in plain numpy: three fits of systems, own solver, own grids."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy import stats

import bayes_scaling as bs
from bayes_scaling.posterior.examples import example_system
from tests.golden import stored

FITS = {
    "the paper's constants": lambda: example_system(),
    "stored draws": lambda: stored.posterior("system"),
    "with an offset": lambda: example_system("kaplan_system_offset"),
}
SIZE, LOSS, SECONDS = 1e9, 2.95, 1.0


class Curve:
    """L = E + (N_c/N)^a + (S_c (1 + B*/B L^(-1/b)) / S)^s, of the first observation of a system; last dimension the draws."""

    def __init__(self, fit) -> None:
        self.fit = fit
        names = ("N_c", "alpha_N", "S_c", "alpha_S", "B_star", "alpha_B")
        own = fit.view("curves").posterior
        self.of = {n: own[n].transpose("chain", "draw").values.ravel() for n in (*names, *(["E"] if "E" in own else []))}
        self.sigma = own["sigma"].transpose("chain", "draw").values.ravel()
        self.offset = self.of.get("E", 0.0)

    def converged(self, N):
        return self.offset + (self.of["N_c"] / np.asarray(N)[..., None]) ** self.of["alpha_N"]

    def critical(self, loss):
        return self.of["B_star"] * loss ** (-1 / self.of["alpha_B"])

    def steps_min(self, N, loss):
        left = np.maximum(loss - self.converged(N), 1e-300)
        return self.of["S_c"] * left ** (-1 / self.of["alpha_S"])

    def where(self, falls, N):
        """Return the loss above the converged one, by bisection, up to which a function of the loss exceeds nothing."""
        floor = self.converged(N)
        low, high = np.full(floor.shape, -30.0), np.full(floor.shape, 6.0)
        for _ in range(60):
            middle = (low + high) / 2
            positive = falls(floor + np.exp(middle)) > 0
            low, high = np.where(positive, middle, low), np.where(positive, high, middle)
        return floor + np.exp(high)

    def loss(self, N, S, B):
        """Return the loss after S steps at batch B: where the steps that are needed are those."""
        S, B = np.asarray(S)[..., None], np.asarray(B)[..., None]
        return self.where(lambda loss: self.steps_min(N, loss) * (1 + self.critical(loss) / B) - S, N)

    def at_compute(self, N, compute_min):
        """Return the loss of a size after a compute C_min = 6 N B_crit S_min."""
        N6 = 6 * np.asarray(N)[..., None]
        return self.where(lambda loss: N6 * self.critical(loss) * self.steps_min(N, loss) - compute_min, N)


@cache
def of(name: str) -> Curve:
    return Curve(FITS[name]())


@pytest.fixture(params=FITS)
def curve(request):
    return of(request.param)


def ask(curve, name, **given):
    return bs.ask(curve.fit, name, anyway=True, **given)


def target(curve) -> float:
    """Return a loss that the size reaches in every draw, a tenth of a nat above where it converges."""
    return round(float(curve.converged(SIZE).max()) + 0.1, 3)


def test_the_batch_for_a_deadline(curve):
    loss, days = target(curve), 2.0
    row = ask(curve, "deadline", params=SIZE, loss=loss, days=days, seconds_per_step=SECONDS).tables["deadline"].iloc[0]
    steps, batches = days * 86_400 / SECONDS, np.geomspace(1e2, 1e9, 700)
    reached = curve.loss(SIZE * np.ones(len(batches)), steps * np.ones(len(batches)), batches) <= loss
    least = batches[reached.argmax(axis=0)]
    assert reached.any(axis=0).all()
    assert row["law_batch_tokens"] == pytest.approx(np.quantile(least, 0.9, method="higher"), rel=0.025)
    at = float(row["batch_tokens"])
    ends = curve.loss(SIZE, steps, at)
    assert row["law_chance"] == pytest.approx((ends <= loss).mean(), abs=1e-9)
    assert row["expected_chance"] == row["law_chance"]
    count = len(curve.sigma)
    exact = stats.norm.cdf(np.log(loss / ends) / curve.sigma).mean()
    assert row["chance"] == pytest.approx(exact, abs=3 * 0.3 / count**0.5)
    assert row["chance"] >= 0.9
    needed = curve.steps_min(SIZE, loss) * (1 + curve.critical(loss) / at)
    assert row["extra_tokens"] == pytest.approx(np.median(at / curve.critical(loss)), rel=0.1)
    assert row["steps"] == pytest.approx(np.median(needed), rel=0.1)
    assert row["tokens"] == pytest.approx(row["steps"] * at)
    assert row["compute_flops"] == pytest.approx(6 * SIZE * row["tokens"])


def test_the_price_of_a_day():
    """Without noise, so that both deadlines are those of the law: the median saving of a day."""
    curve = of("the paper's constants")
    loss, days = target(curve), 2.0
    row = ask(curve, "deadline", params=SIZE, loss=loss, days=days, seconds_per_step=SECONDS).tables["deadline"].iloc[0]
    later = (
        ask(curve, "deadline", params=SIZE, loss=loss, days=days + 1, seconds_per_step=SECONDS).tables["deadline"].iloc[0]
    )
    saved = row["compute_flops"] - later["compute_flops"]
    assert row["price_of_a_day"] == pytest.approx(saved, rel=0.1)


def test_compute_optimal_training(curve):
    budget = 1e21
    row = ask(curve, "frontier", compute=[budget]).tables["frontier"].iloc[0]
    sizes = np.geomspace(1e7, 1e11, 400)
    losses = curve.at_compute(sizes, budget / 2)
    best = sizes[losses.argmin(axis=0)]
    for end, share in (("median", 0.5), ("lower", 0.05), ("upper", 0.95)):
        assert row[f"params_{end}"] == pytest.approx(np.quantile(best, share), rel=0.025)
        assert row[f"loss_{end}"] == pytest.approx(np.quantile(losses.min(axis=0), share), rel=1e-4)
    assert row["chosen_params"] == pytest.approx(sizes[losses.mean(axis=1).argmin()], rel=0.05)
    batch = curve.critical(losses.min(axis=0))
    assert row["batch_tokens_median"] == pytest.approx(np.median(batch), rel=1e-3)
    assert row["steps_median"] * row["batch_tokens_median"] * 6 * row["params_median"] == pytest.approx(budget, rel=0.05)


def test_stopping_early_or_training_smaller(curve):
    budget, excess, own = 1e21, 0.02, 5e8
    table = ask(curve, "stop-early", compute_min=budget, excess=excess, params=own).tables["runs"]
    sizes = np.geomspace(1e6, 1e12, 1200)
    losses = curve.at_compute(sizes, budget)
    draw = np.arange(losses.shape[1])
    early = losses.min(axis=0)
    # Nearly converged: of the sizes that the compute trains to within the excess of their converged loss, the largest.
    near = losses <= curve.converged(sizes) * (1 + excess)
    last = len(sizes) - 1 - near[::-1].argmax(axis=0)
    late = losses[last, draw]
    assert table.loc["stopped early", "params"] == pytest.approx(np.median(sizes[losses.argmin(axis=0)]), rel=0.03)
    assert table.loc["nearly converged", "params"] == pytest.approx(np.median(sizes[last]), rel=0.03)
    beside = curve.at_compute(own, budget)
    for run, loss in (("stopped early", early), ("nearly converged", late), ("own size", beside)):
        row = table.loc[run]
        median, lower, upper = np.quantile(loss, [0.5, 0.05, 0.95])
        assert [row["loss"], row["loss_lower"], row["loss_upper"]] == pytest.approx([median, lower, upper], rel=1e-3)
        median, lower, upper = np.quantile(loss - early, [0.5, 0.05, 0.95])
        assert [row["gain"], row["gain_lower"], row["gain_upper"]] == pytest.approx(
            [median, lower, upper], rel=0.02, abs=1e-4
        )
        if run != "stopped early":
            assert row["expected_chance"] == pytest.approx((loss > early).mean(), abs=1e-9)
            exact = stats.norm.cdf(np.log(loss / early) / (2**0.5 * curve.sigma)).mean()
            assert row["chance"] == pytest.approx(exact, abs=1.5 / len(draw) ** 0.5)


def test_what_a_loss_takes(curve):
    loss = target(curve)
    row = ask(curve, "effort", loss=loss, params=[SIZE]).tables["sizes"].iloc[0]
    steps = curve.steps_min(SIZE, loss)
    tokens = steps * curve.critical(loss)
    assert row["reaches"] == 1
    for name, draws in (("steps_min", steps), ("tokens_min", tokens), ("compute_min_flops", 6 * SIZE * tokens)):
        ends = np.quantile(draws, [0.5, 0.05, 0.95], method="inverted_cdf")
        assert [row[name], row[f"{name}_lower"], row[f"{name}_upper"]] == pytest.approx(ends, rel=1e-6)
