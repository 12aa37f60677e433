"""Decisions rest on what is predicted: the law with its discrepancy, and what a new run measures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bayes_scaling.laws import LAWS
from bayes_scaling.laws.constants import published
from bayes_scaling.model.document import read_model
from bayes_scaling.model.layout import Layout
from bayes_scaling.model.prior_draws import draw_prior
from bayes_scaling.posterior.compute import compute_ratio
from bayes_scaling.posterior.predict import predict
from bayes_scaling.posterior.rows import predict_rows
from bayes_scaling.quantities import tokens_at, training_compute
from bayes_scaling.questions.allocation import allocate, budget_table
from bayes_scaling.questions.base import question
from bayes_scaling.questions.lifetime import lifetime
from bayes_scaling.questions.optimum import least_loss, optima
from bayes_scaling.questions.regret import regret
from bayes_scaling.questions.resource import spent
from bayes_scaling.questions.risk import conditional_value_at_risk
from bayes_scaling.questions.surface import Supply, Surface
from bayes_scaling.questions.target import chance
from bayes_scaling.runs.table import read_runs
from tests.forecasting import forecast_by_hand

VALUES = published("besiroglu2024").values


def uncertain(scale=0.02, growth=1.0):
    """Return a fit whose discrepancy differs from draw to draw, among the runs too."""
    fit = forecast_by_hand(scale=scale, growth=growth)
    rng, draws = np.random.default_rng(3), fit.posterior
    for effect in fit.layout.only.discrepancy:
        stored = draws[effect.effect_name]
        draws = draws.assign({effect.effect_name: stored + 0.3 * scale * rng.standard_normal(stored.shape)})
    return with_posterior(fit, draws)


def with_posterior(fit, draws):
    groups = {g.path: g.to_dataset(inherit=False) for g in fit.tree.subtree}
    return replace(fit, tree=xr.DataTree.from_dict(groups | {"/posterior": draws}))


# One loss


@pytest.mark.parametrize(("params", "tokens"), [(1e9, 2e10), (3e7, 4e12), (7e10, 1.4e12)])
def test_the_surface_is_the_prediction(params, tokens):
    fit = uncertain()
    surface, predicted = Surface.asked(fit, seed=5), predict(fit, params=params, tokens=tokens, seed=5)
    for found, name in ((surface.loss, "expected_loss"), (surface.measured, "measured_loss")):
        assert found(params, tokens) == pytest.approx(predicted[name].values.ravel(), rel=1e-11)
    assert np.ptp(surface.loss(params, tokens)) > 0


@pytest.mark.parametrize("label", ["a", "b", "nobody's"])
def test_a_path_is_what_is_predicted_in_every_group(label):
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {"params": np.geomspace(1e7, 1e9, 8), "tokens": np.geomspace(1e10, 1e9, 8), "group": list("abab" * 2)}
    )
    table["compute_flops"] = training_compute(table["params"], table["tokens"])
    layout = Layout.of(read_model("kappa_by_group_forecast"), {"loss": table.assign(loss=3.0)})
    draws = draw_prior(layout, rng, draws=40)
    columns = {n: 10.0 ** rng.uniform(5, 25, size=30) for n in ("params", "tokens", "compute_flops")}
    query = {n: xr.DataArray(v, dims="query") for n, v in columns.items()}
    for effect in layout.only.discrepancy:
        path = effect.path(draws, {"group": label}, 4)
        one_by_one = path({n: v[:, None] for n, v in columns.items()})
        at = effect.at(draws, query, {"group": label}, 4).transpose("query", "chain", "draw").values.reshape(30, -1)
        assert one_by_one == pytest.approx(at, rel=1e-9, abs=1e-12)
        every = path({n: np.broadcast_to(v[:, None], one_by_one.shape) for n, v in columns.items()})
        assert every == pytest.approx(one_by_one)
        assert np.ptp(at) > 0


@pytest.mark.parametrize("supply", [None, Supply(1e11)])
def test_what_is_expected_at_the_choice_is_what_was_minimised(supply):
    fit = uncertain()
    chosen = allocate(fit, compute=1e23, supply=supply)
    surface = Surface.asked(fit, supply=supply)
    here = surface.loss(float(chosen["params"]), float(chosen["tokens"]))
    assert here == pytest.approx(chosen["expected_loss"].values.ravel(), rel=1e-11)
    for off in (0.9, 1.1):
        size = off * float(chosen["params"])
        assert here.mean() < surface.loss(size, tokens_at(1e23, size)).mean()


def test_some_draws_keep_their_own_discrepancy():
    surface = Surface.asked(uncertain())
    few = surface.thinned(90).thinned(7)
    sizes = np.geomspace(1e9, 1e12, surface.draws)
    kept = slice(None, None, few.step)
    for found, every in (
        (few.loss(1e11, 1e13), surface.loss(1e11, 1e13)),
        (few.measured(1e9, 1e9), surface.measured(1e9, 1e9)),
    ):
        assert np.array_equal(found, every[kept])
    assert np.array_equal(few.loss(sizes[kept], 1e13), surface.loss(sizes, 1e13)[kept])
    assert few.draws <= 7


# The optimum


def two_minima(surface, C):
    """Return a surface with a second minimum a decade from that of the law, the deeper one in many of the draws."""
    depth = np.linspace(0.0, 0.12, surface.draws)
    place = np.log10(LAWS["chinchilla_optimal_params"](C, **{n: v for n, v in VALUES.items() if n != "E"})) + 1.0

    def bump(columns):
        return -depth * np.exp(-(((np.log10(columns["params"]) - place) / 0.2) ** 2))

    return replace(surface, discrepancy=(bump,))


@pytest.mark.parametrize("C", [1e22, 1e24])
def test_the_optimum_is_the_least_of_several_minima(fit_by_hand, C):
    surface = two_minima(Surface.asked(fit_by_hand), C)
    found = optima(surface, np.array([C]))
    at = np.array([[C]])
    grid = np.linspace(np.log(1e8), np.log(1e13), 20001)
    least = np.min([surface.along(at, part[:, None]).min(axis=0) for part in np.array_split(grid, 200)], axis=0)
    off = surface.along(at, found)[0] / least - 1
    assert np.quantile(off, 0.99) < 2e-6
    assert off.max() < 1e-3  # two minima as good as each other are told apart to a step of the grid
    assert least_loss(surface, np.array([C]))[0] == pytest.approx(least, rel=1e-3)
    moved = found[0] - np.log(LAWS["chinchilla_optimal_params"](C, **{n: v for n, v in VALUES.items() if n != "E"})) > 1.5
    assert 0.1 < moved.mean() < 0.9
    assert np.ptp(found[0][moved]) < 1.0  # the minima are apart: nothing lies between them


@pytest.mark.parametrize("way", [-1, 1])
def test_a_draw_whose_optimum_is_far_from_all_others_keeps_it(fit_by_hand, way):
    """Where minima are looked for is said by some of the draws: one whose loss still falls at the edge is followed beyond."""
    surface, C = Surface.asked(fit_by_hand), 1e24
    apart = np.zeros(surface.draws)
    apart[1] = 0.3
    law = LAWS["chinchilla_optimal_params"](C, **{n: v for n, v in VALUES.items() if n != "E"})
    place = np.log10(law) + way

    def bump(columns):
        return -apart * np.exp(-(((np.log10(columns["params"]) - place) / 0.5) ** 2))

    moved = (np.log10(np.exp(optima(replace(surface, discrepancy=(bump,)), np.array([C]))[0])) - np.log10(law)) * way
    assert moved[1] == pytest.approx(1.0, abs=0.1)
    assert np.abs(np.delete(moved, 1)).max() < 0.3


def test_many_budgets_are_those_one_by_one(fit_by_hand):
    surface = two_minima(Surface.asked(fit_by_hand), 1e22)
    budgets = np.geomspace(1e19, 1e25, 5)
    each = np.concatenate([optima(surface, budgets[number : number + 1]) for number in range(5)])
    together = surface.along(budgets[:, None], optima(surface, budgets))
    off = np.abs(np.log(together / surface.along(budgets[:, None], each)))
    assert np.quantile(off, 0.99) < 1e-6
    assert off.max() < 1e-3


def test_without_discrepancy_the_law_decides():
    fit = forecast_by_hand(scale=0.0)
    row = budget_table(allocate(fit, compute=1e23)).iloc[0]
    assert row["params_median"] == pytest.approx(row["law_params"], rel=3e-4)
    assert row["params"] == pytest.approx(row["law_params"], rel=3e-3)
    exact = LAWS["chinchilla_optimal_params"](1e23, **{n: v for n, v in VALUES.items() if n != "E"})
    assert row["law_params"] == pytest.approx(exact, rel=1e-4)
    lost = regret(fit, compute=1e23, params=[1e10, 1e11])
    assert lost["regret"].to_numpy() == pytest.approx(lost["law_regret"].to_numpy(), rel=1e-4)
    served = lifetime(fit, target=2.1, demand=1e13)
    assert served["params"].to_numpy() == pytest.approx(served["law_params"].to_numpy())


def test_far_beyond_the_runs_the_choice_stays_near_the_law_s():
    fit = uncertain(scale=0.02)  # of a thousand draws, whose mean walk is not quite zero
    for C in (1e24, 1e26):
        row = budget_table(allocate(fit, compute=C)).iloc[0]
        assert row["params"] == pytest.approx(row["law_params"], rel=0.35)
        assert row["params_upper"] > 2 * row["params_lower"]  # no width of the law's: its draws are one
    assert "of the optimum; the law alone: " in question("allocate", compute=[1e26], anyway=True).answer(fit).sentence


def bend(params):
    """Return what a made table has beyond the law: ten per cent of loss from one end of its sizes to the other, in a wave."""
    return 0.05 * np.sin(2.2 * (np.log10(params) - 8.0))


@pytest.fixture(scope="module")
def bent_fit():
    """A fit to runs whose loss bends along size in a way that no law has."""
    from bayes_scaling.inference import fit

    rng = np.random.default_rng(11)
    N, D = (axis.ravel() for axis in np.meshgrid(np.geomspace(3e7, 1e10, 14), np.geomspace(1e9, 3e11, 9)))
    loss = LAWS["chinchilla"](N, D, **VALUES) * np.exp(bend(N) + 0.003 * rng.standard_normal(N.size))
    runs = read_runs(pd.DataFrame({"params": N, "tokens": D, "loss": loss}), name="bent")
    return fit(runs, "kappa", seed=1, draws=500, progress=False)


@pytest.mark.parametrize("C", [3e20, 3e21])
def test_among_the_runs_the_optimum_follows_what_they_measured(bent_fit, C):
    sizes = np.geomspace(1e8, 1e10, 4001)
    best = sizes[(LAWS["chinchilla"](sizes, tokens_at(C, sizes), **VALUES) * np.exp(bend(sizes))).argmin()]
    row = budget_table(allocate(bent_fit, compute=C)).iloc[0]
    off, law_off = (abs(np.log(row[name] / best)) for name in ("params", "law_params"))
    assert off < 0.15
    assert off < 0.6 * law_off


# What a new run measures


def test_the_tail_of_what_is_measured_is_above_what_is_expected():
    fit = uncertain()
    careful, plain = (allocate(fit, compute=1e24, risk=risk) for risk in ("cvar:0.9", "mean"))
    tail = conditional_value_at_risk(0.9)
    assert float(tail(careful["measured_loss"])) >= float(careful["expected_loss"].mean())
    assert float(tail(careful["measured_loss"])) >= float(tail(careful["expected_loss"]))
    assert float(tail(careful["measured_loss"])) <= float(tail(plain["measured_loss"])) + 1e-9


def test_a_chance_of_exceeding_is_that_of_a_measured_loss():
    fit = uncertain()
    level = float(allocate(fit, compute=1e23)["measured_loss"].median())
    chosen = allocate(fit, compute=1e23, risk=f"exceed:{level}")
    above = float((chosen["measured_loss"] > level).mean())
    sizes = np.geomspace(float(chosen["params"]) / 3, float(chosen["params"]) * 3, 25)
    others = [(predict(fit, params=n, tokens=tokens_at(1e23, n))["measured_loss"] > level).mean() for n in sizes]
    assert above <= min(map(float, others)) + 0.01


@pytest.mark.parametrize("sure", [0.5, 0.9])
def test_a_lifetime_that_is_sure_reaches_the_loss_as_often(sure):
    fit = uncertain()
    found = lifetime(fit, target=2.1, demand=1e13, sure=sure)
    for row in found.to_dict("records"):
        measured = predict(fit, params=row["params"], tokens=row["tokens"], seed=99)["measured_loss"]
        assert float((measured <= 2.1).mean()) == pytest.approx(sure, abs=0.05)
        assert row["chance"] == pytest.approx(sure, abs=0.01)
    expected = lifetime(fit, target=2.1, demand=1e13)
    assert (found["total_flops"] > expected["total_flops"]).all() or sure < 0.9


def test_a_lifetime_has_the_width_of_what_is_not_known(fit_by_hand, exact_fit):
    row = lifetime(fit_by_hand, target=2.1, demand=1e13).loc["lifetime"]
    assert row["total_upper"] > 1.2 * row["total_lower"]
    surface = Surface.asked(fit_by_hand)
    for end, level in (("total_lower", 0.05), ("total_upper", 0.95)):
        # What training until the loss is expected costs is less than an end in as many draws.
        tokens = (row[end] - 2 * row["params"] * 1e13) / (6 * row["params"])
        assert (surface.loss(row["params"], tokens) <= 2.1).mean() == pytest.approx(level, abs=0.02)
    one = lifetime(exact_fit, target=2.1, demand=1e13).loc["lifetime"]
    assert one["total_lower"] == pytest.approx(one["total_flops"], rel=1e-5)
    answer = question("lifetime", target=2.1, demand=1e13, sure=0.9).answer(fit_by_hand)
    assert "A run measures that loss with a probability of 0.90" in answer.sentence


def test_a_target_counts_the_discrepancy():
    wide, narrow = (
        chance(fit, target=1.93, compute=1e24)["chance_expected"] for fit in (uncertain(), forecast_by_hand(scale=0.0))
    )
    assert float(narrow) in (0.0, 1.0)
    assert 0.0 < float(wide) < 1.0


# How compute is counted


def counted(fit, ratio):
    """Return a fit whose table counts as many times 6 N D."""
    groups = {g.path: g.to_dataset(inherit=False) for g in fit.tree.subtree}
    rows = groups["/observations/loss"]
    rows = rows.assign(compute_flops=ratio * training_compute(rows["params"], rows["tokens"]))
    return replace(fit, tree=xr.DataTree.from_dict(groups | {"/observations/loss": rows}))


def test_budgets_are_6_n_d_however_the_table_counts():
    plain, other = uncertain(), counted(uncertain(), 1.3)
    assert compute_ratio(other) == pytest.approx(1.3)
    run = {"params": 1e11, "tokens": 1e13}
    here, there = predict(plain, **run), predict(other, **run)
    assert float(there["compute_flops"]) == pytest.approx(1.3 * float(here["compute_flops"]))
    # The same discrepancy at the same place beyond the runs: where it is looked up moved as the runs did.
    assert there["expected_loss"].values == pytest.approx(here["expected_loss"].values, rel=1e-9)
    assert float(there["reach_compute_flops"]) == pytest.approx(float(here["reach_compute_flops"]))
    chosen, same = allocate(other, compute=1e23), allocate(plain, compute=1e23)
    assert float(chosen["params"]) == pytest.approx(float(same["params"]), rel=1e-4)
    assert float(chosen["compute_flops"]) == 1e23
    again = predict(other, params=float(chosen["params"]), tokens=float(chosen["tokens"]))
    assert again["expected_loss"].values == pytest.approx(chosen["expected_loss"].values, rel=1e-11)
    # A row has the compute of its own table.
    rows = other.table[["params", "tokens", "compute_flops"]]
    of_rows = predict_rows(other, rows)["expected_loss"].transpose("row", ...).values
    of_runs = predict(other, params=rows["params"], tokens=rows["tokens"])["expected_loss"].transpose("query", ...).values
    assert of_rows == pytest.approx(of_runs, rel=1e-9)


@pytest.mark.parametrize(("ratio", "said"), [(1.3, True), (1.01, False), (0.9, True)])
def test_a_table_that_counts_otherwise_is_said(ratio, said):
    answer = question("regret", compute=1e23, params=[1e10]).answer(counted(uncertain(), ratio))
    assert (f"The table's compute is {ratio:.2f} times 6 N D: budgets are 6 N D." in answer.sentence) == said
    assert answer.caveats == []


def test_what_the_runs_spent_is_what_budgets_count():
    plain = uncertain()
    assert spent(counted(plain, 1.3), "compute_flops") == pytest.approx(spent(plain, "compute_flops"))
    assert spent(counted(plain, 1.3), "tokens") == pytest.approx(plain.table["tokens"])
