from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayes_scaling.errors import OutOfRange, UnknownChoice, Unreachable
from bayes_scaling.laws import LAWS
from bayes_scaling.laws.constants import published
from bayes_scaling.posterior.examples import example_fit
from bayes_scaling.posterior.predict import law_loss, predict
from bayes_scaling.quantities import tokens_at, training_compute
from bayes_scaling.questions.allocation import allocate, budget_table
from bayes_scaling.questions.risk import conditional_value_at_risk, expectation, quantile, risk_measure

VALUES = {k: v for k, v in published("besiroglu2024").values.items() if k != "E"}
BUDGET = st.floats(1e15, 1e30)


@given(BUDGET)
@settings(max_examples=15, deadline=None)
def test_the_optimum_is_the_closed_form(C):
    found = allocate(example_fit(chains=1, draws=1), compute=C)
    exact = LAWS["chinchilla_optimal_params"](C, **VALUES)
    assert float(found["params"]) == pytest.approx(exact, rel=1e-4)
    assert found["optimal_params"].item() == pytest.approx(exact, rel=1e-4)
    assert training_compute(found["params"], found["tokens"]).item() == pytest.approx(C, rel=1e-9)


def test_marginal_gains_balance(exact_fit):
    found = allocate(exact_fit, compute=1e24)
    gain_N = VALUES["alpha"] * VALUES["A"] * float(found["params"]) ** -VALUES["alpha"]
    gain_D = VALUES["beta"] * VALUES["B"] * float(found["tokens"]) ** -VALUES["beta"]
    assert gain_N == pytest.approx(gain_D, rel=1e-4)


def test_more_compute_is_never_worse(fit_by_hand):
    found = allocate(fit_by_hand, compute=np.geomspace(1e18, 1e26, 9))
    assert (np.diff(found["expected_loss"].mean(("chain", "draw"))) < 0).all()
    assert (np.diff(found["params"]) > 0).all()


@pytest.mark.parametrize("risk", ["mean", "quantile:0.9", "cvar:0.9", "quantile:0.1"])
def test_the_choice_has_the_least_risk(fit_by_hand, risk):
    measure, judged = risk_measure(risk), "expected_loss" if risk == "mean" else "measured_loss"
    choice = float(allocate(fit_by_hand, compute=1e23, risk=risk)["params"])
    here, *others = (
        float(measure(predict(fit_by_hand, params=n, tokens=tokens_at(1e23, n))[judged]))
        for n in (choice, choice / 1.5, choice / 1.05, choice * 1.05, choice * 1.5)
    )
    assert here <= min(others)


def test_one_draw_has_no_risk(exact_fit):
    choices = [float(allocate(exact_fit, compute=1e23, risk=r)["params"]) for r in ("mean", "quantile:0.9", "cvar:0.9")]
    assert choices == pytest.approx([choices[0]] * 3, rel=1e-4)


def test_risk_measures_are_ordered(fit_by_hand):
    loss = law_loss(fit_by_hand, {"params": 1e9, "tokens": 1e10})
    ordered = [expectation(loss), quantile(0.9)(loss), conditional_value_at_risk(0.9)(loss), loss.max()]
    assert (np.diff([float(value) for value in ordered]) > 0).all()
    assert float(conditional_value_at_risk(1e-9)(loss)) == pytest.approx(float(expectation(loss)), rel=1e-3)


def test_the_user_s_own_measure(fit_by_hand):
    found = allocate(fit_by_hand, compute=1e23, risk=lambda loss: loss.max(("chain", "draw")))
    assert float(found["params"]) > 0
    assert found.attrs["risk"] == "<lambda>"


def test_a_table_has_one_row_a_budget(fit_by_hand):
    table = budget_table(allocate(fit_by_hand, compute=[1e22, 1e23]), prob=0.5)
    assert len(table) == 2
    for name in ("params", "tokens", "tokens_per_param"):
        assert (table[f"{name}_lower"] < table[name]).all()
        assert (table[name] < table[f"{name}_upper"]).all()
    wide = budget_table(allocate(fit_by_hand, compute=[1e22, 1e23]), prob=0.95)
    assert (wide["params_upper"] > table["params_upper"]).all()


@pytest.mark.parametrize("compute", [0.0, -1.0, float("nan"), float("inf"), 1e45, "much", [], [1e20, -1.0], [[1e20]]])
def test_a_budget_is_a_positive_number(fit_by_hand, compute):
    with pytest.raises(OutOfRange, match="compute"):
        allocate(fit_by_hand, compute=compute)


@pytest.mark.parametrize("risk", ["mode", "quantile", "quantile:1.5", "cvar:0", "cvar:x", "mean:0.9", ""])
def test_an_unknown_risk_is_a_sentence(fit_by_hand, risk):
    with pytest.raises(UnknownChoice):
        allocate(fit_by_hand, compute=1e23, risk=risk)


def test_an_optimum_where_the_search_ends_is_no_answer():
    with pytest.raises(Unreachable, match="fewer than 1K parameters, where the search ends"):
        allocate(example_fit(), compute=[1e22, 1e7])
