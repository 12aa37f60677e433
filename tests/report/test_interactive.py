"""The part of a page that answers by itself says what Python says from the same draws."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from bayes_scaling.errors import NewGroupWarning
from bayes_scaling.model.document import read_model, shipped_models
from bayes_scaling.model.effects import Placed
from bayes_scaling.posterior.examples import example_fit
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.predict import interval, predict, predict_at
from bayes_scaling.questions.allocation import allocate
from bayes_scaling.questions.frontier import frontier
from bayes_scaling.questions.target import chance
from bayes_scaling.report.interactive import DRAWS, Interactive, groups_of
from bayes_scaling.wording import probability
from tests.javascript import evaluated
from tests.model.test_equivariance import density_of

POINTS = 6


def fit_of(name):
    """Return a fit of a shipped model whose draws lie around where a sampler would start."""
    density, rng = density_of(name), np.random.default_rng(0)
    points = density.start + 0.1 * rng.standard_normal((2 * DRAWS, density.size))
    draws = density.draws(points, (2, DRAWS))
    draws = draws.assign(density.draw_effects(draws, rng))
    return Fit.from_draws(draws, density.layout.model, {name: rows.table for name, rows in density.layout.rows.items()})


def asked(interactive, expression):
    """Return what an expression is over the observations of a page."""
    made = f"JSON.parse({json.dumps(interactive.data)}).observations.map((data, k) => new Observation(data, FORMULAS[k]))"
    return evaluated(f"{interactive.script}\nconst all = {made};\nreturn {expression}")


@pytest.mark.parametrize("name", shipped_models())
def test_every_shipped_model_answers_as_python_does(name):
    fit = fit_of(name)
    interactive = Interactive.of(fit, 0.9, {})
    assert not any("is left out" in reason for reason in interactive.left_out)
    assert len(interactive.data) < 1_200_000
    rng = np.random.default_rng(1)
    ends = [np.log([(each["low"], each["high"]) for each in data["inputs"]]) for data in interactive.observations]
    runs = [np.exp(rng.uniform(*each.T, (POINTS, len(each)))).tolist() for each in ends]
    each_run = "run => [all[k].expected(run), all[k].measured(run)].map(draws => Array.from(draws))"
    theirs = asked(interactive, f"{json.dumps(runs)}.map((runs, k) => runs.map({each_run}))")
    for view, data, each, answers in zip(fit.views.values(), interactive.observations, runs, theirs, strict=True):
        few, compared = view.thinned(DRAWS // 2), 0
        assert data["draws"] == few.posterior["sigma"].size == DRAWS
        for run, (expected, measured) in zip(each, answers, strict=True):
            if set(expected) == {"NaN"}:  # its compute lies beyond what the page has
                continue
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", NewGroupWarning)
                ours = predicted(few, dict(zip(view.model.only.columns.values(), run, strict=True)))
            np.testing.assert_allclose(np.array(expected, float), ours["expected_loss"].values.ravel(), rtol=1e-9)
            np.testing.assert_allclose(np.array(measured, float), ours["measured_loss"].values.ravel(), rtol=1e-9)
            compared += 1
        assert compared >= POINTS // 2


def predicted(fit, columns, group=None):
    """Return what Python predicts; what an observation takes that measures no loss is asked for past the door of losses."""
    if fit.model.only.output == "loss":
        return predict(fit, **columns, group=group)
    return predict_at(fit, {column: xr.DataArray(value) for column, value in columns.items()}, group=group or {})


@pytest.fixture(scope="module")
def kappa():
    return fit_of("kappa")


def test_intervals_of_the_page_are_those_of_python(kappa):
    interactive, few = Interactive.of(kappa, 0.8, {}), kappa.thinned(DRAWS // 2)
    ours = predict(few, params=3e9, tokens=2e10)
    theirs = asked(interactive, "[all[0].expected([3e9, 2e10]), all[0].measured([3e9, 2e10])].map(x => interval(x, 0.8))")
    for name, ends in zip(("expected_loss", "measured_loss"), theirs, strict=True):
        np.testing.assert_allclose(ends, [float(end) for end in interval(ours[name], 0.8)], rtol=1e-9)
    reaches = dict(asked(interactive, "all[0].reaches([3e9, 2e12])"))
    ours = predict(few, params=3e9, tokens=2e12)
    assert reaches == pytest.approx({"N": 0.0, "D": float(ours.reach_tokens), "C": float(ours.reach_compute_flops)})


@pytest.mark.parametrize("make", [example_fit, lambda: fit_of("kappa"), lambda: fit_of("farseer")])
def test_the_best_run_of_a_budget_is_that_of_python(make):
    fit = make()
    few = fit.thinned(DRAWS // fit.posterior.sizes["chain"])
    interactive, compute = Interactive.of(fit, 0.9, {}), 1e22
    ours = allocate(few, compute=compute)
    choice, loss, optima, measured = asked(
        interactive,
        f"(() => {{ const at = all[0].along({compute}, all[0].choice({compute}));"
        f" return [at, mean(all[0].expected(at)), Array.from(all[0].optima({compute})), Array.from(all[0].measured(at))] }})()",
    )
    assert loss == pytest.approx(float(ours["expected_loss"].mean()), rel=1e-7)
    assert choice[0] == pytest.approx(float(ours["params"]), rel=0.01)
    found = interval(xr.DataArray(np.array(optima)[None], dims=("chain", "draw")), 0.9)
    for theirs, our in zip(found, interval(ours["optimal_params"], 0.9), strict=True):
        assert float(theirs) == pytest.approx(float(our), rel=0.02)
    target = float(ours["measured_loss"].quantile(0.3))
    reached = float((np.array(measured) < target).mean())
    assert reached == pytest.approx(float((ours["measured_loss"] < target).mean()), abs=0.011)
    # The page has one run of each draw, the answer sixteen.
    error = (0.3 * 0.7 / len(measured)) ** 0.5
    assert reached == pytest.approx(float(chance(few, target=target, compute=compute)["chance"]), abs=2.5 * error)


def test_what_a_page_does_not_have_it_does_not_answer(kappa):
    interactive = Interactive.of(kappa, 0.9, {})
    assert set(asked(interactive, "Array.from(all[0].expected([1e14, 1e15]))")) == {"NaN"}


@pytest.mark.filterwarnings("ignore::bayes_scaling.errors.NewGroupWarning")
@pytest.mark.parametrize("name", [name for name in shipped_models() if read_model(name).group_columns])
def test_every_group_answers_as_python_does(name):
    """A new one, and those of the runs."""
    fit = fit_of(name)
    few, interactive = fit.thinned(DRAWS // 2), Interactive.of(fit, 0.9, {})
    runs = [[float((x["low"] * x["high"]) ** 0.5) for x in data["inputs"]] for data in interactive.observations]
    each_group = "(one.choose(group), [one.expected(run), one.measured(run)].map(draws => Array.from(draws)))"
    theirs = asked(
        interactive, f"{json.dumps(runs)}.map((run, k) => (one => one.groups.map((_, group) => {each_group}))(all[k]))"
    )
    for view, data, run, answers in zip(few.views.values(), interactive.observations, runs, theirs, strict=True):
        inputs, groups = dict(zip(view.model.only.columns.values(), run, strict=True)), groups_of(view, {})
        assert data["groups"][0]["name"] == ", ".join(f"a new {column}" for column in view.model.group_columns)
        assert len(data["groups"]) >= 3 or not view.model.group_columns
        for labels, group, (expected, measured) in zip(groups, data["groups"], answers, strict=False):
            assert all(f"{column} {label}" in group["name"] for column, label in labels.items())
            ours = predicted(view, inputs, labels)
            np.testing.assert_allclose(expected, ours["expected_loss"].values.ravel(), rtol=1e-9)
            np.testing.assert_allclose(measured, ours["measured_loss"].values.ravel(), rtol=1e-9)
        assert len({tuple(measured) for _, measured in answers}) == len(answers)


def test_a_group_may_be_named():
    """It is the one that the page begins with."""
    interactive = Interactive.of(fit_of("kappa_by_group_forecast"), 0.9, {"group": "b"})
    assert interactive.observations[0]["groups"][0]["name"] == "group b"


def test_more_groups_than_a_page_has_place_for_are_said_to_be_left_out():
    fit = fit_of("kappa_by_group_forecast")
    interactive, seen = Interactive.of(fit, 0.9, {}), fit.table["group"].nunique()
    shown = len(interactive.observations[0]["groups"])
    assert shown < seen + 1
    assert interactive.left_out == (f"Of {seen + 1} groups the page has {shown}: ask the command line for others.",)
    assert len(interactive.data) < 1_200_000


A_STEP = 1e-4
"""Logarithm of the ratio of two neighbouring sizes among which an optimum is looked for, or a little more."""


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("name", ["kaplan_system", "kaplan_system_offset", "kaplan_system_forecast"])
def test_compute_optimal_training_is_that_of_python(name, share):
    """The optimum of every draw, the size to choose and what it measures, at the least budget, the largest and between."""
    fit = fit_of(name)
    few, interactive = fit.thinned(DRAWS // 2), Interactive.of(fit, 0.9, {})
    curves = [(k, data) for k, data in enumerate(interactive.observations) if data["training"]]
    assert [data["name"] for _, data in curves] == ["curves", "decayed"]
    for k, data in curves:
        compute = data["training"]["low"] ** (1 - share) * data["training"]["high"] ** share
        optima, choice, losses = asked(
            interactive,
            f"(training => {{ const optima = Object.values(training.optima({compute})), choice = training.choice({compute});"
            f" return [optima.map(x => Array.from(x)), Math.exp(choice),"
            f" Object.values(training.losses({compute}, choice)).map(x => Array.from(x))] }})(new Training(all[{k}]))",
        )
        ours = frontier(few, compute=compute, observation=data["name"])
        for theirs, column in zip(optima, ("params", "tokens", "batch_tokens", "steps"), strict=True):
            off = np.abs(np.log(theirs / ours[column].values.ravel()))
            # Of two sizes whose losses are equal to the last digit each language, and each machine, may take the other.
            assert (off < 1e-9).mean() >= 0.99, column
            assert off.max() < A_STEP, column
        assert choice == pytest.approx(float(ours["chosen_params"]), rel=1e-9)
        for theirs, column in zip(losses, ("expected_loss", "measured_loss"), strict=True):
            np.testing.assert_allclose(theirs, ours[column].values.ravel(), rtol=1e-9, err_msg=column)


def test_an_effect_from_outside_is_said_to_be_left_out(kappa):
    class Wave(Placed):
        def path(self, draws, group, seed):
            return lambda columns: np.sin(columns["params"])

    layout = kappa.layout
    (name, rows), *_ = layout.rows.items()
    wave = Wave("wave", "discrepancy", np.zeros((len(rows), 1)), np.array(["wave"]), np.zeros(len(rows)))
    changed = replace(rows, effects=(*rows.effects, wave))
    fit = replace(kappa).with_layout(replace(layout, rows={name: changed}))
    interactive = Interactive.of(fit, 0.9, {})
    assert not interactive.observations
    assert "wave is not a spline" in interactive.left_out[0]


@pytest.mark.parametrize("value", [0.0, 0.004, 0.0101, 0.5, 0.9899, 0.9972, 1.0])
def test_probabilities_are_written_as_answers_write_them(kappa, value):
    assert asked(Interactive.of(kappa, 0.9, {}), f"probability({value})") == probability(value)
