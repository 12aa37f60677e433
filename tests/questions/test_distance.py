"""One rule of distance: no question, and no public function, answers far from the runs unless it is told to."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayes_scaling as bs
from bayes_scaling.errors import ConflictingOptions, InvalidRequest, NotConvergedWarning, OutOfRange
from bayes_scaling.posterior.examples import example_fit, example_rates, example_system
from bayes_scaling.posterior.mixture import Mixture
from bayes_scaling.questions.base import QUESTIONS, question
from bayes_scaling.questions.guardrails import FURTHEST, Refused, beyond, resources, too_far
from tests.command import command  # noqa: F401 - a fixture
from tests.grouped import grouped_fit
from tests.one_resource import one_resource_fit

FAR = 1e32
"""FLOP, more than three decades beyond the runs of every example."""


def mixture():
    return Mixture({"one": example_fit(), "other": example_fit()}, {"one": 0.5, "other": 0.5})


def curve():
    rows = example_system().rows("curves").query("run_id == run_id[0]").head(4)
    return {"curve": rows, "end": {"steps": 1e14}, "observation": "curves"}


ASKED = {
    "predict": (example_fit, {"params": 1e15, "tokens": 1e16}),
    "sensitivity": (example_fit, {"params": 1e15, "tokens": 1e16}),
    "allocate": (example_fit, {"compute": [FAR]}),
    "target": (example_fit, {"target": 2.0, "compute": [FAR]}),
    "decide": (example_fit, {"compute": FAR}),
    "regret": (example_fit, {"compute": FAR}),
    "shapes": (example_fit, {"compute": FAR, "params": 1e12}),
    "lifetime": (example_fit, {"target": 1.8195, "demand": 1e12}),
    "next-run": (example_fit, {"most": 1e21, "compute": FAR}),
    "robust": (mixture, {"compute": FAR}),
    "recipes": (grouped_fit, {"a": {"group": "a"}, "b": {"group": "b"}, "compute": [FAR]}),
    "frontier": (example_system, {"compute": [FAR]}),
    "bottleneck": (example_system, {"params": 1e15, "dataset_tokens": 1e10, "steps": 1e5, "batch_tokens": 1e6}),
    "effort": (example_system, {"loss": 3.0, "params": [1e15]}),
    "deadline": (example_system, {"params": 1e15, "loss": 3.0, "days": 1.0, "seconds_per_step": 1.0}),
    "stop-early": (example_system, {"compute_min": FAR}),
    "derive": (example_system, {"law": "kaplan_n", "inputs": {"params": 1e15}}),
    "live": (example_system, None),
    "rate": (example_rates, {"params": 1e15, "tokens": 1e16}),
}
"""Every question that names a run or a budget, asked too far away."""
NOWHERE = {"cost", "claims", "critical-batch", "early-stopping", "heterogeneity"}
"""Questions that name none."""


def test_every_question_is_here():
    assert set(ASKED) | NOWHERE == set(QUESTIONS)
    for name in NOWHERE:
        with pytest.raises(ConflictingOptions):
            QUESTIONS[name].model_construct(override=True).answer(example_system())


@pytest.mark.parametrize("name", list(ASKED))
def test_far_from_the_runs_it_refuses_until_it_is_told_to_answer(name):
    made, given = ASKED[name]
    posterior, given = made(), given or curve()
    with pytest.raises(Refused, match=r"decades .* in [NDC], more than 3: .*--anyway"):
        question(name, **given).answer(posterior)
    answer = question(name, **given, anyway=True).answer(posterior)
    assert [caveat for caveat in answer.overridden if "decades beyond the runs" in caveat]
    assert "AGAINST ADVICE: " in str(answer)
    assert not any("decades" in caveat for caveat in question(name, **given, furthest=30.0).answer(posterior).caveats)


@pytest.mark.parametrize(("params", "refuses"), [(1.1e13, True), (0.9e13, False), (0.9e5, True), (1.1e5, False)])
def test_three_decades_either_way_are_the_limit(params, refuses):
    fit = example_fit()  # of sizes from 1e8 to 1e10
    assert fit.table["params"].agg(["min", "max"]).tolist() == [1e8, 1e10]
    assert bool(too_far(fit, [{"params": params}], FURTHEST)) is refuses
    asked = question("derive", law="kaplan_n", inputs={"params": params, "N_c": 8.8e13, "alpha_N": 0.076})
    if refuses:
        with pytest.raises(Refused, match="beyond" if params > 1e10 else "below"):
            asked.answer(fit)
    else:
        assert asked.answer(fit).caveats == []


def test_a_table_says_how_many_rows_and_which_is_the_furthest(command, tmp_path):  # noqa: F811
    fit = example_fit()
    rows = pd.DataFrame({"params": [1e9, 1e14, 1e9, 1e15], "tokens": [1e11, 1e12, 1e12, 1e12]})
    says = "2 of 4 runs lie more than 3 decades outside the runs of the fit, the furthest, number 4, 5.7 decades beyond them in C"
    with pytest.raises(Refused, match=says):
        question("predict", table=rows).answer(fit)
    with pytest.raises(Refused, match=says):
        bs.predict_table(fit, rows)
    assert len(bs.predict_table(fit, rows, anyway=True)) == 4
    path = fit.save(tmp_path / "fit.nc")
    rows.to_csv(tmp_path / "plans.csv", index=False)
    refused = command("predict", path, "--inputs", tmp_path / "plans.csv", "--out", tmp_path / "out.csv")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert says in refused.err
    assert not (tmp_path / "out.csv").exists()
    answered = command("predict", path, "--inputs", tmp_path / "plans.csv", "--anyway", "--json")
    rows = json.loads(answered.out)["predictions"]
    assert [round(row["reach_params"], 6) for row in rows] == [0, 4, 0, 5]
    assert max(row["reach_compute_flops"] for row in rows) == pytest.approx(5.7, abs=0.05)


def test_a_forecast_from_a_fit_that_has_not_converged_warns_first_and_is_given():
    bad = {"check": "largest R-hat", "about": "convergence", "passed": False, "value": 1.2, "rule": "<= 1.01"}
    fit = replace(example_fit(), checks=({**bad, "where": "", "advice": ""},))
    asked = {"params": 1e10, "tokens": 1e12}
    with pytest.warns(NotConvergedWarning):
        answer = question("predict", **asked).answer(fit)
    assert str(answer).startswith("This posterior has NOT converged")
    assert answer.overridden == ()
    with pytest.raises(Refused, match=r"^This posterior has NOT converged.* What is asked for lies"):
        question("predict", params=1e15, tokens=1e12).answer(fit)


@pytest.mark.parametrize(
    ("ask", "posterior", "given"),
    [
        (bs.predict, example_fit, {"params": 1e15, "tokens": 1e12}),
        (bs.predict, example_fit, {"params": [1e9, 1e15], "tokens": [1e12, 1e12]}),
        (bs.predict, example_fit, {"params": 1e3, "tokens": 1e12}),
        (bs.predict, mixture, {"params": 1e15, "tokens": 1e12}),
        (bs.allocate, example_fit, {"compute": FAR}),
        (bs.allocate, example_fit, {"compute": [1e22, FAR]}),
        (bs.frontier, example_system, {"compute": FAR}),
        (bs.frontier, example_system, {"compute_min": [1e20, FAR]}),
    ],
)
def test_the_functions_of_the_package_refuse_by_the_same_rule(ask, posterior, given):
    with pytest.raises(Refused, match="anyway=True"):
        ask(posterior(), **given)
    assert dict(ask(posterior(), **given, anyway=True).sizes) == dict(ask(posterior(), **given, furthest=30.0).sizes)


def test_the_functions_say_what_they_take():
    for ask in (bs.predict, bs.predict_table, bs.allocate, bs.frontier):
        assert "anyway : bool\n    Answer" in ask.__doc__
        assert ask.__doc__.index("anyway : bool") < ask.__doc__.index("\nReturns\n")


def test_a_grid_of_named_dimensions_is_judged_by_its_furthest_corner():
    grid = {"params": xr.DataArray([1e9, 1e10], dims="N"), "tokens": xr.DataArray([1e10, 1e16, 1e17], dims="D")}
    with pytest.raises(Refused, match=r"4 of 6 runs .* in D"):
        bs.predict(example_fit(), **grid)


def test_what_follows_from_a_request_counts_and_what_is_none_is_left_to_its_own_sentence():
    found = resources({"params": [1e9, 2e9], "steps": 1e4, "batch_tokens": 1e6, "group": "a"})
    np.testing.assert_allclose(found["compute_flops"], [6e19, 12e19])
    assert np.isnan(resources({"params": -1.0, "tokens": "many"})["params"]).all()
    assert beyond({"params": np.array([np.nan])}, 3.0) == []
    with pytest.raises(OutOfRange):
        question("predict", params=1e30, tokens=1e12).answer(example_fit())


def test_a_size_that_an_answer_comes_to_is_guarded_as_one_that_is_named():
    system = example_system()
    with pytest.raises(Refused, match="below them in N"):
        question("stop_early", compute_min=1e13, excess=1e-12).answer(system)
    with pytest.raises(Refused, match="below the runs in D"):
        question("effort", loss=50.0, params=[1e9]).answer(system)


def test_a_supply_of_text_far_below_that_of_any_run_is_refused():
    with pytest.raises(Refused, match=r"The supply of text lies .* below the runs in D"):
        question("regret", compute=1e22, distinct_tokens=10).answer(example_fit())
    with pytest.raises(InvalidRequest, match="greater than or equal to 1"):
        question("regret", compute=1e22, distinct_tokens=0.5)
    question("regret", compute=1e22, distinct_tokens=1e30).answer(example_fit())


def test_a_lifetime_is_refused_for_its_data_too():
    """Much serving asks for a small model, trained on far more text than any run saw, at a compute that is near."""
    far = {"target": 2.1, "demand": 2e16}
    with pytest.raises(Refused, match="beyond them in D"):
        bs.ask(example_fit(), "lifetime", **far)
    answer = bs.ask(example_fit(), "lifetime", override=True, **far)
    assert (
        answer.about["extrapolation_distance"]["tokens"] > FURTHEST > answer.about["extrapolation_distance"]["compute_flops"]
    )
    assert "decades in D" in answer.sentence


def test_a_report_is_of_budgets_that_are_near(tmp_path):
    with pytest.raises(Refused, match="beyond them in C"):
        bs.write_report(example_fit(), tmp_path / "report.html", budgets=[1e22, FAR])
    assert not list(tmp_path.iterdir())
    path = bs.write_report(example_fit(), tmp_path / "report.html", budgets=[1e22, FAR], anyway=True)
    assert "beyond the runs by" in path.read_text()


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("regret", {"compute": 1e24}),
        ("decide", {"compute": 1e24}),
        ("target", {"target": 2.0, "compute": [1e24]}),
        ("lifetime", {"target": 2.1, "demand": 1e13}),
    ],
)
def test_what_is_beyond_the_runs_is_said_to_be(name, given):
    assert "decades in C" in bs.ask(example_fit(), name, **given).sentence


def test_a_size_that_is_bound_by_limits_is_judged_among_those_allowed():
    free, bound = (
        bs.ask(example_fit(), "decide", compute=1e24, **limits).sentence for limits in ({}, {"most_params": 1e10})
    )
    assert "this uncertainty costs" in free
    assert "this uncertainty costs" not in bound
    assert "within 1 % of the least loss of a size that is allowed" in bound


def test_an_input_that_changes_nothing_is_said_to():
    fit = one_resource_fit()
    plain = bs.ask(fit, "predict", params=1e9)
    answer = bs.ask(fit, "predict", params=1e9, tokens=1e10)
    assert answer.values["median"] == plain.values["median"]
    assert answer.caveats == ["tokens makes no difference: the law takes params alone."]
    assert plain.caveats == []
