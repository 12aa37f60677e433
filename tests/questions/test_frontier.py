"""Compute-optimal training against the closed form of appendix B, and against brute force where there is none."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy.optimize import minimize_scalar

from bayes_scaling.errors import MissingOption, NotLearned, OutOfRange
from bayes_scaling.laws import LAWS
from bayes_scaling.laws.constants import published
from bayes_scaling.posterior.examples import example_fit, example_system
from bayes_scaling.quantities import PF_DAY, training_compute
from bayes_scaling.questions.base import question
from bayes_scaling.questions.effort import effort
from bayes_scaling.questions.frontier import efficient, frontier, frontier_table

KAPLAN = published("kaplan2020 table 3").values | published("kaplan2020 eq 1.4").values


def one_draw(value):
    return xr.DataArray([[value]], dims=("chain", "draw"))


def test_without_an_offset_it_is_the_closed_form():
    fit, compute = example_system(chains=1, draws=1), [1e-3 * PF_DAY, PF_DAY, 1e4 * PF_DAY]
    found = frontier(fit, compute_min=compute).squeeze(("chain", "draw"))
    exact = LAWS["efficient_params"](np.array(compute), **KAPLAN)
    np.testing.assert_allclose(found["params"], exact, rtol=1e-9)
    exponent = LAWS["compute_exponent"](**{n: KAPLAN[n] for n in ("alpha_N", "alpha_S", "alpha_B")})
    for name, alpha in (("params", "alpha_N"), ("batch", "alpha_B"), ("steps", "alpha_S")):
        np.testing.assert_allclose(found[f"{name}_exponent"], exponent / KAPLAN[alpha], rtol=1e-9)
    np.testing.assert_allclose(found["loss_exponent"], exponent, rtol=1e-9)
    spent = training_compute(found["params"], found["tokens"])
    np.testing.assert_allclose(spent, 2 * np.array(compute), rtol=1e-9)
    np.testing.assert_allclose(frontier(fit, compute=2 * PF_DAY)["params"], frontier(fit, compute_min=PF_DAY)["params"])


@pytest.mark.parametrize("E", [0.0, 0.5, 1.5])
def test_no_other_size_reaches_a_lower_loss(E):
    """At the compute C_min, the least loss over sizes, found by a search that knows nothing of the closed form."""
    laws = {n: one_draw(v) for n, v in KAPLAN.items()} | {"E": one_draw(E)}
    compute = 10 * PF_DAY
    found = efficient(xr.DataArray(compute), **laws).squeeze()

    def loss_of(log_params):
        params = np.exp(log_params)
        low, high = E + LAWS["kaplan_n"](params, N_c=KAPLAN["N_c"], alpha_N=KAPLAN["alpha_N"]), 1e3
        for _ in range(200):  # the loss whose steps and batch spend the compute
            middle = (low * high) ** 0.5
            excess = middle - E - LAWS["kaplan_n"](params, N_c=KAPLAN["N_c"], alpha_N=KAPLAN["alpha_N"])
            steps = KAPLAN["S_c"] * excess ** (-1 / KAPLAN["alpha_S"]) if excess > 0 else np.inf
            batch = LAWS["critical_batch"](middle, B_star=KAPLAN["B_star"], alpha_B=KAPLAN["alpha_B"])
            low, high = (middle, high) if training_compute(params, steps * batch) > compute else (low, middle)
        return low

    best = minimize_scalar(loss_of, bounds=(np.log(1e6), np.log(1e13)), method="bounded", options={"xatol": 1e-7})
    assert found["loss"].item() == pytest.approx(best.fun, rel=1e-6)
    assert np.log(found["params"].item()) == pytest.approx(best.x, abs=0.01)


@pytest.mark.parametrize("E", [0.0, 0.7])
def test_local_exponents_are_slopes(E):
    laws = {n: one_draw(v) for n, v in KAPLAN.items()} | {"E": one_draw(E)}
    here, there = (efficient(xr.DataArray(c * PF_DAY), **laws).squeeze() for c in (1.0, 1.001))
    for name in ("params", "tokens"):
        slope = np.log(there[name] / here[name]) / np.log(1.001)
        assert slope.item() == pytest.approx(here[f"{name}_exponent"].item(), rel=1e-3)
    assert -np.log(there["loss"] / here["loss"]).item() / np.log(1.001) == pytest.approx(
        here["loss_exponent"].item(), rel=1e-3
    )


def test_one_pass_size_is_the_minimum():
    table = published("kaplan2020 table 2").values
    compute = 7 * PF_DAY
    best = minimize_scalar(
        lambda x: LAWS["kaplan_nd"](np.exp(x), compute / (6 * np.exp(x)), **table), bounds=(10, 35), method="bounded"
    )
    assert np.log(LAWS["one_pass_params"](compute, **table)) == pytest.approx(best.x, abs=1e-3)


def test_a_table_says_how_far_it_reaches():
    fit = example_system()
    table = frontier_table(fit, frontier(fit, compute=[1e18, 1e22]))
    assert table["decades_beyond"].tolist()[0] == 0.0
    assert (table["params_lower"] < table["params_median"]).all()


@pytest.mark.parametrize(
    ("given", "kind"),
    [({}, MissingOption), ({"compute": 1.0, "compute_min": 1.0}, MissingOption), ({"compute": -1.0}, OutOfRange)],
)
def test_wrong_requests_are_sentences(given, kind):
    with pytest.raises(kind, match="compute"):
        frontier(example_system(), **given)


def test_what_was_not_learned_is_named():
    with pytest.raises(NotLearned, match="N_c, alpha_N, S_c"):
        frontier(example_fit(), compute=1e20)
    with pytest.raises(NotLearned, match="N_c, alpha_N, S_c"):
        effort(example_fit(), loss=2.0, params=1e9)


def test_effort_is_the_curve_turned_round():
    fit = example_system(chains=1, draws=1)
    found = effort(fit, loss=3.0, params=[1e7, 1e8, 1e9]).squeeze(("chain", "draw"))
    assert found["reaches"].values.tolist() == [0.0, 1.0, 1.0]
    assert np.isnan(found["steps_min"][0])
    again = LAWS["kaplan_ns"](1e9, found["steps_min"][2], **published("kaplan2020 table 3").values)
    assert again.item() == pytest.approx(3.0)
    assert found["tokens_min"][2] < found["tokens_min"][1]


def test_steps_are_said_where_more_than_half_of_the_draws_reach_the_loss():
    fit, sizes = example_system(), [6e7, 6.8e7, 8e7]
    reached = effort(fit, loss=2.9, params=sizes)["reaches"].values
    assert reached[0] < 0.5 < reached[1] < 0.75 < reached[2] < 1
    lines = question("effort", loss=2.9, params=sizes).answer(fit).sentence.splitlines()
    assert ["steps at a large batch" in line for line in lines] == [False, True, True]
