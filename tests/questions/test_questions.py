"""Decisions against closed forms and brute force on draws made by hand; what they refuse, and how they are asked."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bayes_scaling.errors import (
    ConflictingOptions,
    InvalidFields,
    InvalidInputs,
    InvalidRequest,
    NotLearned,
    OutOfRange,
    UnknownChoice,
    Unreachable,
)
from bayes_scaling.laws import LAWS
from bayes_scaling.laws.constants import published
from bayes_scaling.laws.repeated import effective_tokens
from bayes_scaling.model.priors import Prior
from bayes_scaling.posterior.examples import example_fit
from bayes_scaling.posterior.mixture import Mixture
from bayes_scaling.posterior.predict import law_loss, predict
from bayes_scaling.quantities import tokens_at, training_compute
from bayes_scaling.questions.allocation import allocate
from bayes_scaling.questions.base import QUESTIONS, question
from bayes_scaling.questions.cost import Device, compute_in, cost, device
from bayes_scaling.questions.guardrails import Refused, caveats
from bayes_scaling.questions.lifetime import lifetime, overtraining
from bayes_scaling.questions.regret import near_optimal, regret
from bayes_scaling.questions.robust import robust_choice
from bayes_scaling.questions.surface import Supply
from bayes_scaling.questions.target import chance, least_compute
from tests.forecasting import forecast_by_hand
from tests.grouped import grouped_fit

VALUES = dict(published("besiroglu2024").values)


def loss(N, D):
    return LAWS["chinchilla"](N, D, **VALUES)


def optimum(C):
    return LAWS["chinchilla_optimal_params"](C, **{k: v for k, v in VALUES.items() if k != "E"})


# Targets


def test_with_one_draw_the_chance_of_the_expected_loss_is_a_step(exact_fit):
    there = float(loss(optimum(1e23), tokens_at(1e23, optimum(1e23))))
    assert float(chance(exact_fit, target=there * 1.001, compute=1e23)["chance_expected"]) == 1.0
    assert float(chance(exact_fit, target=there * 0.999, compute=1e23)["chance_expected"]) == 0.0


def test_a_field_has_the_name_of_its_option_too(fit_by_hand):
    named = question("target", loss=2.0, compute=[1e22]).answer(fit_by_hand).to_dict()
    assert named == question("target", target=2.0, compute=[1e22]).answer(fit_by_hand).to_dict()
    with pytest.raises(InvalidRequest, match="target is given under two names"):
        question("target", target=2.0, loss=2.1, compute=[1e22])


def test_a_chance_is_the_share_of_draws(fit_by_hand):
    found = chance(fit_by_hand, target=1.97, compute=[1e23, 3e23])
    for number, C in enumerate((1e23, 3e23)):
        chosen = allocate(fit_by_hand, compute=C)
        assert float(found["chance"][number]) == pytest.approx(float((chosen["measured_loss"] < 1.97).mean()), abs=0.06)
        assert float(found["params"][number]) == pytest.approx(float(chosen["params"]), rel=1e-3)


def test_the_least_budget_has_the_chance_it_is_asked_for(fit_by_hand):
    for sure in (0.5, 0.9):
        found = least_compute(fit_by_hand, target=1.98, prob=sure)
        assert float(chance(fit_by_hand, target=1.98, compute=found["compute_flops"])["chance"]) == pytest.approx(
            sure, abs=0.06
        )
    assert found["compute_flops"] > found["even"]


def test_more_certainty_and_lower_losses_cost_more(fit_by_hand):
    asked = [(2.0, 0.5), (2.0, 0.8), (1.97, 0.8), (1.95, 0.8)]
    budgets = [least_compute(fit_by_hand, target=t, prob=p)["compute_flops"] for t, p in asked]
    assert budgets == sorted(budgets)


def test_what_no_budget_reaches_is_a_sentence(fit_by_hand):
    with pytest.raises(Unreachable, match="No budget up to"):
        least_compute(fit_by_hand, target=1.5)
    with pytest.raises(Unreachable, match="already reaches"):
        least_compute(fit_by_hand, target=9.0)


# Cost


def test_cost_is_arithmetic():
    plain = Device(peak_flops=1e15, watts=500.0, price_per_hour=2.0, utilisation=0.5, overhead=1.2)
    found = cost(1.8e18 * 1000, plain, count=10)
    told = {str(n): float(v.mean()) for n, v in found.items()}
    assert told == pytest.approx({"device_hours": 1000, "money": 2000, "megawatt_hours": 0.6, "days": 1000 / 240})
    assert compute_in(1000 / 240, plain, count=10) == pytest.approx(1.8e21)


def test_what_is_not_known_of_price_widens_the_bill_and_not_the_hours():
    found = cost(1e23, "h100", utilisation=0.4)
    assert float(found["device_hours"].std()) == pytest.approx(0.0, abs=1e-6)
    assert float(np.log(found["money"]).std()) == pytest.approx(0.22, rel=0.05)


@pytest.mark.parametrize(
    ("given", "kind", "named"),
    [
        ({"on": "h1000"}, UnknownChoice, "'h1000'"),
        ({"on": "h100", "count": 0}, OutOfRange, "count"),
        ({"on": "h100", "compute": np.inf}, OutOfRange, "compute"),
        ({"on": "h100", "compute": np.nan}, OutOfRange, "compute"),
        ({"on": "h100", "compute": [1e22, -1e22]}, OutOfRange, "compute"),
        ({"on": "h100", "utilisation": 1.2}, OutOfRange, "utilisation"),
        ({"on": "h100", "price": -1.0}, OutOfRange, "price"),
    ],
)
def test_a_bad_bill_is_a_sentence(given, kind, named):
    with pytest.raises(kind, match=named):
        cost(**{"compute": 1e22} | given)


def test_a_device_of_one_s_own(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('title = "mine"\npeak_flops = 1e14\nwatts = 300.0\nprice_per_hour = 1.0\nutilisation = 0.3\n')
    assert device(path).title == "mine"
    path.write_text("peak_flops = -1e14\nwatts = 300.0\nprice_per_hour = 1.0\n")
    with pytest.raises(InvalidInputs, match="peak_flops"):
        device(path)


# Allocation under limits


def test_limits_hold_and_bind(fit_by_hand):
    free = float(allocate(fit_by_hand, compute=1e24)["params"])
    assert float(allocate(fit_by_hand, compute=1e24, most_params=free / 3)["params"]) == pytest.approx(free / 3)
    assert float(allocate(fit_by_hand, compute=1e24, least_params=free * 2)["params"]) == pytest.approx(free * 2)
    assert float(allocate(fit_by_hand, compute=1e24, most_params=free * 3)["params"]) == pytest.approx(free, rel=1e-3)
    with pytest.raises(ConflictingOptions):
        allocate(fit_by_hand, compute=1e24, least_params=2e10, most_params=1e10)


def test_little_text_moves_the_budget_into_size(exact_fit):
    C, text = 1e24, Supply(2e11)
    found = allocate(exact_fit, compute=C, supply=text)
    sizes = np.geomspace(1e9, 1e13, 20001)
    worth = effective_tokens(tokens_at(C, sizes), text.distinct, R_D=text.repeats_worth)
    assert float(found["params"]) == pytest.approx(sizes[loss(sizes, worth).argmin()], rel=2e-3)
    assert float(found["params"]) > float(allocate(exact_fit, compute=C)["params"])
    assert float(found["expected_loss"].mean()) == pytest.approx(loss(sizes, worth).min(), rel=1e-6)
    assert float(found["tokens"]) == pytest.approx(float(tokens_at(C, found["params"])))


# Regret


def test_regret_by_brute_force(fit_by_hand):
    C, sizes = 5.76e23, [1e10, 7e10, 2.8e11]
    found = regret(fit_by_hand, compute=C, params=sizes)
    grid = xr.DataArray(np.geomspace(1e9, 1e13, 4001), dims="N")
    best = law_loss(fit_by_hand, {"params": grid, "tokens": tokens_at(C, grid)}).min("N")
    for row, N in zip(found.to_dict("records"), sizes, strict=True):
        lost = law_loss(fit_by_hand, {"params": N, "tokens": tokens_at(C, N)}) - best
        assert row["regret"] == pytest.approx(float(lost.mean()), rel=1e-3, abs=1e-6)
        worst = np.sort(lost.values.ravel())[-40:]
        assert row["regret_cvar"] == pytest.approx(worst.mean(), rel=1e-3, abs=1e-6)
    assert found["regret"].idxmin() == 1
    assert found["best"].sum() == pytest.approx(1.0)


def test_what_is_wasted_is_the_budget_the_best_size_does_without(exact_fit):
    C, N = 5.76e23, 2.8e11
    wasted = regret(exact_fit, compute=C, params=[N])["wasted"].item()
    needed = C * (1 - wasted)
    assert float(loss(optimum(needed), tokens_at(needed, optimum(needed)))) == pytest.approx(
        float(loss(N, tokens_at(C, N))), rel=1e-4
    )


def test_near_optimal_sizes_are_those_within(exact_fit):
    C = 1e23
    row = near_optimal(exact_fit, compute=C, within=0.01).iloc[0]
    least = float(loss(optimum(C), tokens_at(C, optimum(C))))
    for end in (row["params_lower"], row["params_upper"]):
        assert float(loss(end, tokens_at(C, end))) == pytest.approx(1.01 * least, rel=5e-4)
    assert row["params_lower"] < optimum(C) < row["params_upper"]


def test_shapes_are_whole_and_near(exact_fit):
    from bayes_scaling.laws.transformer import Transformer
    from bayes_scaling.questions.shapes import shapes_near

    found = shapes_near(exact_fit, compute=1e22, params=3e9, head_width=64, aspect=(20.0, 120.0))
    for row in found.to_dict("records"):
        shape = Transformer(depth=row["depth"], width=row["width"], heads=row["heads"], context=1, vocabulary=1)
        assert shape.params == row["params"] == pytest.approx(3e9, rel=0.05)
        assert row["width"] == 64 * row["heads"]
        assert 20 <= row["width"] / row["depth"] <= 120
    with pytest.raises(Unreachable):
        shapes_near(exact_fit, compute=1e22, params=1e4)


def test_of_whole_shapes_the_nearest_is_said(fit_by_hand):
    decision = question("decide", compute=1e23, head_width=64).answer(fit_by_hand)
    shapes = decision.tables["shapes"]
    first = shapes.iloc[0]
    assert len(shapes) > 1
    assert f"{first['depth']:.0f} layers of width {first['width']:.0f}, {first['heads']:.0f} heads" in decision.sentence
    assert f"{len(shapes) - 1} other shapes are about as near" in decision.sentence


# Several laws


def two_laws(weight):
    return Mixture({"additive": example_fit(), "bridge": forecast_by_hand()}, {"additive": weight, "bridge": 1 - weight})


def test_a_law_of_all_the_weight_decides_alone():
    found = robust_choice(two_laws(1.0), compute=1e23)
    assert found.loc["all laws", "params"] == pytest.approx(float(allocate(example_fit(), compute=1e23)["params"]), rel=2e-3)


def test_the_choice_over_laws_has_the_least_regret_by_weight():
    from dataclasses import replace

    fit = example_fit()
    groups = {g.path: g.to_dataset(inherit=False) for g in fit.tree.subtree}
    steeper = fit.posterior.assign(alpha=1.15 * fit.posterior["alpha"], A=fit.posterior["A"] * 3)
    other = replace(fit, tree=xr.DataTree.from_dict(groups | {"/posterior": steeper}))
    mixture = Mixture({"one": fit, "other": other}, {"one": 0.4, "other": 0.6})
    found = robust_choice(mixture, compute=1e23)
    assert found["regret"].idxmin() == "all laws"
    low, high = sorted(found.loc[["one", "other"], "params"])
    assert low < found.loc["all laws", "params"] < high
    careful = robust_choice(mixture, compute=1e23, risk="cvar:0.95")
    assert low * 0.8 < careful.loc["all laws", "params"] < high * 1.2
    with pytest.raises(Refused, match="decades"):
        robust_choice(mixture, compute=1e28)


# Lifetime


def test_the_lifetime_choice_by_brute_force(exact_fit):
    found = lifetime(exact_fit, target=2.1, demand=1e13)
    sizes = np.geomspace(1e9, 1e12, 20001)
    room = 2.1 - VALUES["E"] - VALUES["A"] * sizes ** -VALUES["alpha"]
    tokens = np.where(room > 0, (np.maximum(room, 1e-12) / VALUES["B"]) ** (-1 / VALUES["beta"]), np.inf)
    for name, served in (("lifetime", 1e13), ("training", 0.0)):
        total = training_compute(sizes, tokens) + 2 * sizes * served
        best = total.argmin()
        assert found.loc[name, "params"] == pytest.approx(sizes[best], rel=0.03)
        cost_here = found.loc[name, "training_flops"] + 2 * found.loc[name, "params"] * served
        assert cost_here == pytest.approx(total.min(), rel=1e-3)
    assert found.loc["lifetime", "tokens_per_param"] > found.loc["training", "tokens_per_param"]


def test_an_uncertain_demand_counts_by_its_mean(exact_fit):
    sigma = 0.8
    wide = lifetime(exact_fit, target=2.1, demand=Prior(dist="LogNormal", mu=float(np.log(1e13)), sigma=sigma))
    sure = lifetime(exact_fit, target=2.1, demand=1e13 * np.exp(sigma**2 / 2))
    assert wide.loc["lifetime", "params"] == pytest.approx(sure.loc["lifetime", "params"], rel=0.05)
    assert wide.loc["lifetime", "total_lower"] < wide.loc["lifetime", "total_flops"] < wide.loc["lifetime", "total_upper"]


def test_a_loss_below_the_floor_is_a_sentence(exact_fit):
    with pytest.raises(Unreachable, match=r"1\.8"):
        lifetime(exact_fit, target=1.7, demand=1e12)


def test_overtraining_costs_what_the_law_says(exact_fit):
    row = overtraining(exact_fit, compute=1e23, times=[4]).iloc[0]
    N = optimum(1e23)
    expected = loss(N / 4, tokens_at(1e23, N / 4)) - loss(N, tokens_at(1e23, N))
    assert row["penalty"] == pytest.approx(float(expected), rel=1e-4)
    assert row["tokens_per_param"] == pytest.approx(16 * tokens_at(1e23, N) / N, rel=1e-3)


# Recipes


def test_the_better_recipe_is_better_by_brute_force():
    fit = grouped_fit()

    def compared(a, b):
        return question("recipes", a={"group": a}, b={"group": b}, compute=[1e21], anyway=True).answer(fit).tables

    found = compared("a", "b")["recipes"]
    best = [allocate(fit, compute=1e21, group={"group": g})["law_loss"] for g in "ab"]
    assert found["chance"].item() == pytest.approx(float((best[0] < best[1]).mean()), abs=0.02)
    # With as many times the compute, the one behind is as good.
    again = allocate(fit, compute=1e21 * found["multiplier"].item(), group={"group": "b"})["law_loss"]
    assert float(again.median()) == pytest.approx(float(best[0].median()), rel=3e-3)
    assert compared("b", "a")["recipes"]["gain"].item() == pytest.approx(-found["gain"].item())
    assert 0 <= compared("a", "b")["crossing"]["chance"].item() <= 1


def test_what_cannot_be_compared_is_a_sentence(fit_by_hand):
    with pytest.raises(NotLearned):
        question("recipes", baseline="a", compute=[1e22]).answer(fit_by_hand)
    with pytest.raises(ConflictingOptions):
        question("recipes", a={"group": "a"}, b={"group": "a"}, compute=[1e21], anyway=True).answer(grouped_fit())


# Doubts


def test_a_decision_too_far_away_is_refused_until_it_is_wanted_anyway(fit_by_hand):
    asked = {"compute": 1e27}
    with pytest.raises(Refused, match=r"4\.9 decades .* --anyway"):
        question("allocation", **asked).answer(fit_by_hand)
    answer = question("allocation", **asked, anyway=True).answer(fit_by_hand)
    assert str(answer).startswith("AGAINST ADVICE: What is asked for lies 4.9 decades beyond the runs in C, more than 3")
    assert question("allocation", **asked, furthest=6.0).answer(fit_by_hand).caveats == []


def test_a_budget_that_is_the_answer_is_doubted_too(fit_by_hand):
    with pytest.raises(Refused, match="beyond the runs"):
        question("target", target=1.905, furthest=2.0).answer(fit_by_hand)


def test_runs_on_one_line_cannot_split_a_budget(fit_by_hand):
    from dataclasses import replace

    runs = fit_by_hand.table.assign(tokens=lambda t: 20 * t["params"])
    groups = {g.path: g.to_dataset(inherit=False) for g in fit_by_hand.tree.subtree}
    rows = groups["/observations/loss"].assign(tokens=("run", runs["tokens"].to_numpy()))
    line = replace(fit_by_hand, tree=xr.DataTree.from_dict(groups | {"/observations/loss": rows}))
    assert any("one line" in doubt for doubt in caveats(line, trade_off=True))
    with pytest.raises(Refused, match="priors decide how to split a budget"):
        question("regret", compute=1e22).answer(line)
    assert any("one line" in caveat for caveat in question("allocate", compute=1e22).answer(line).caveats)
    assert question("predict", params=1e10, tokens=2e11).answer(line).caveats == []  # which no split is asked of
    # A run off the line is what such a design needs: that question is answered.
    question("next_run", most=1e21, compute=1e22).answer(line)


def test_a_system_asked_too_far_away_is_doubted():
    from bayes_scaling.posterior.examples import example_system

    for name, given in (
        ("stopping", {"compute_min": 1e35}),
        ("next_run", {"most": 1e21, "params": 1e15, "tokens": 1e17}),
    ):
        fit = example_system() if name == "stopping" else example_fit()
        with pytest.raises(Refused, match="decades beyond the runs in C"):
            question(name, **given).answer(fit)
    with pytest.raises(ConflictingOptions, match="group"):
        question("stopping", compute_min=1e21, group={"corpus": "C4"}).answer(example_system())


def test_what_limits_cost_is_told_apart_from_what_is_not_known(fit_by_hand):
    asked = {"compute": 1e23, "most_params": 1e8, "target": 2.1}
    answer = question("allocation", **asked).answer(fit_by_hand)
    assert answer.tables["chance"]["chance"].item() == 0.0  # the run that is allowed, not the best one
    assert "The limits on size raise the expected loss by" in answer.sentence
    assert (answer.tables["near_optimal"]["params_upper"] <= 1e8 * 1.001).all()
    free = question("allocation", compute=1e23, target=2.1).answer(fit_by_hand)
    assert free.tables["chance"]["chance"].item() > 0.9
    assert "cost." not in free.sentence


def test_a_flat_risk_is_decided_by_the_mean(fit_by_hand):
    sure = float(allocate(fit_by_hand, compute=1e23, risk="exceed:1.0")["params"])
    assert sure == pytest.approx(float(allocate(fit_by_hand, compute=1e23)["params"]), rel=0.02)


def test_even_odds_below_what_is_looked_at_are_said_so(fit_by_hand):
    found = least_compute(fit_by_hand, target=3.3, prob=0.99)
    answer = question("target", target=3.3, sure=0.99).answer(fit_by_hand)
    assert np.isnan(found["even"]) == ("better than even" in answer.sentence)


@pytest.mark.parametrize(("name", "given"), [("regret", {"compute": 5e5}), ("next_run", {"most": 1e21, "compute": 5e5})])
def test_a_budget_that_is_none_is_a_sentence(fit_by_hand, name, given):
    with pytest.raises(OutOfRange, match="compute"):
        question(name, **given, anyway=True).answer(fit_by_hand)


# Questions as documents


@pytest.mark.parametrize(
    ("name", "given", "kind", "named"),
    [
        ("budget", {}, UnknownChoice, "'budget'"),
        ("target", {}, InvalidFields, "target"),
        ("target", {"target": -1.0}, InvalidFields, "greater than 0"),
        ("regret", {"compute": 1e22, "size": 1e9}, InvalidFields, "'size'"),
        ("regret", {"compute": "much"}, InvalidFields, "compute is 'much'"),
    ],
)
def test_a_bad_question_is_a_sentence(name, given, kind, named):
    with pytest.raises(kind, match=named):
        question(name, **given)


def test_every_question_of_one_law_is_answered_and_is_json(fit_by_hand):
    asked = {
        "target": {"target": 2.0},
        "allocation": {"days": 30, "count": 512},
        "regret": {"compute": 1e23},
        "lifetime": {"target": 2.1, "demand": {"dist": "LogNormal", "mu": 29.9, "sigma": 0.5}},
        "next_run": {"most": 1e21, "params": 7e10, "tokens": 1.4e12, "money": 2e21},
    }
    for name, given in asked.items():
        answer = question(name, **given).answer(fit_by_hand)
        assert answer.sentence
        assert json.loads(json.dumps(answer.to_dict(), default=float))["question"] == QUESTIONS[name].__name__


def test_predictions_and_questions_agree_on_a_model_with_a_discrepancy():
    fit = forecast_by_hand(scale=0.02)
    table = question("allocation", compute=1e23).answer(fit).tables["allocation"].iloc[0]
    direct = predict(fit, params=table["params"], tokens=table["tokens"], compute_flops=1e23)
    assert float(direct["measured_loss"].median()) == pytest.approx(table["median"], rel=1e-9)
    assert isinstance(pd.DataFrame([table]), pd.DataFrame)


@pytest.mark.parametrize("sure", [0.0, 1.0, 1.5])
def test_a_lifetime_is_sure_by_a_probability(exact_fit, sure):
    with pytest.raises(OutOfRange, match=f"{sure:g}"):
        lifetime(exact_fit, target=2.1, demand=1e13, sure=sure)


@pytest.mark.parametrize(
    ("name", "field", "given"),
    [
        ("allocate", "compute", {}),
        ("target", "compute", {"target": 2.0}),
    ],
)
def test_one_number_is_one_of_several(fit_by_hand, name, field, given):
    one, several = (question(name, **given, **{field: value}).answer(fit_by_hand) for value in (1e22, [1e22]))
    assert one.to_dict() == several.to_dict()


@pytest.mark.parametrize("value", [True, "1e22", {"low": 1e22}])
def test_what_is_no_number_is_not_one_of_several(value):
    with pytest.raises(InvalidFields, match="compute"):
        question("allocate", compute=value)
