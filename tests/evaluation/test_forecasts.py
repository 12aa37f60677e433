"""Forecasts are registered once, scored as they were made, and updated by the curve of their run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats

from bayes_scaling.errors import BadCells, InvalidInputs, NotLearned, OutOfRange
from bayes_scaling.evaluation.forecasts import register_forecasts, score_forecasts
from bayes_scaling.evaluation.ledger import read_ledger
from bayes_scaling.evaluation.scores import scored
from bayes_scaling.posterior.examples import example_fit, example_system
from bayes_scaling.posterior.predict import predict
from bayes_scaling.posterior.rows import predict_rows
from bayes_scaling.questions.live import RunForecast, live
from tests.forecasting import forecast_by_hand

PLANNED = pd.DataFrame(
    {"run_id": [f"r{n}" for n in range(40)], "params": np.geomspace(1e10, 1e11, 40), "tokens": np.geomspace(2e11, 2e12, 40)}
)


@pytest.fixture(scope="module")
def ledger(tmp_path_factory):
    path = tmp_path_factory.mktemp("ledger") / "forecasts.jsonl"
    register_forecasts(example_fit(), PLANNED, path, note="before the run")
    return path


def outcomes(shift=0.0, seed=1):
    """What the runs measure: one draw of the forecast each."""
    draws = predict_rows(example_fit(), PLANNED, seed=99)["measured_loss"].stack(s=("chain", "draw"))
    picked = np.random.default_rng(seed).integers(draws.sizes["s"], size=len(PLANNED))
    losses = [draws.values[n, k] for n, k in enumerate(picked)]
    return PLANNED[["run_id"]].assign(loss=np.array(losses) * np.exp(shift))


def test_scores_are_those_of_the_draws(ledger):
    measured = outcomes()
    found = score_forecasts(ledger, measured)
    draws = np.log(
        predict_rows(example_fit(), PLANNED)["measured_loss"].stack(s=("chain", "draw")).transpose("s", "row").values
    )
    exact = scored(np.log(measured["loss"].to_numpy()), draws)
    np.testing.assert_allclose(found.table["pit"], exact["pit"], atol=0.012)
    np.testing.assert_allclose(found.table["crps"], exact["crps"], rtol=0.1, atol=3e-4)
    assert found.table["inside_0.9"].mean() == pytest.approx(0.9, abs=0.12)
    assert found.waiting == []
    assert "90 % intervals covered" in found.sentence


def test_drift_is_seen_and_chance_is_not(ledger):
    assert "drift above the forecasts" in score_forecasts(ledger, outcomes(shift=0.05)).sentence
    assert "drift below the forecasts" in score_forecasts(ledger, outcomes(shift=-0.05)).sentence
    assert "drift" not in score_forecasts(ledger, outcomes()).sentence


def test_what_a_fit_does_not_know_is_no_drift(tmp_path):
    """Forecasts of one fit are all high or all low together: by a test that knows, rarely more than one in twenty drifts."""
    path, few = tmp_path / "l.jsonl", PLANNED.iloc[::5]
    register_forecasts(example_fit(), few, path)
    joint = predict_rows(example_fit(), few, seed=7)["measured_loss"].stack(s=("chain", "draw")).values
    drifts = [
        score_forecasts(path, few[["run_id"]].assign(loss=joint[:, k])).drift[1] < 0.05 for k in range(0, joint.shape[1], 5)
    ]
    assert np.mean(drifts) == pytest.approx(0.05, abs=0.07)


def test_forecasts_of_one_fit_by_several_calls_are_no_more_than_one(tmp_path):
    path, few = tmp_path / "l.jsonl", PLANNED.iloc[::5]
    for n in range(len(few)):
        register_forecasts(example_fit(), few.iloc[[n]], path)
    joint = predict_rows(example_fit(), few, seed=7)["measured_loss"].stack(s=("chain", "draw")).values
    drifts = [
        score_forecasts(path, few[["run_id"]].assign(loss=joint[:, k])).drift[1] < 0.05 for k in range(0, joint.shape[1], 5)
    ]
    assert np.mean(drifts) < 0.1


def test_a_loss_far_outside_the_forecast_scores_as_a_normal_tail(tmp_path):
    fit, run = forecast_by_hand(scale=1e-12, sigma=0.01), PLANNED.iloc[[0]]
    register_forecasts(fit, run, tmp_path / "l.jsonl")
    middle = float(predict_rows(fit, run)["law_loss"].mean())
    (score,) = score_forecasts(tmp_path / "l.jsonl", run[["run_id"]].assign(loss=middle * np.exp(0.04))).table["log_score"]
    assert score == pytest.approx(stats.norm(scale=0.01).logpdf(0.04), abs=3.0)


@pytest.mark.parametrize(
    ("measured", "said"),
    [
        (pd.DataFrame({"run_id": ["r0"], "loss": [0.7], "loss_unit": ["bits/byte"]}), "convert them to one unit"),
        (pd.DataFrame({"run_id": ["r0", "r0"], "loss": [2.0, 2.1]}), "several measured losses"),
        (pd.DataFrame({"run_id": ["r0"], "loss": [-2.0]}), "positive number"),
        (pd.DataFrame({"run": ["r0"], "loss": [2.0]}), "columns run_id and loss"),
    ],
)
def test_outcomes_that_cannot_be_scored_are_a_sentence(ledger, measured, said):
    with pytest.raises(InvalidInputs, match=said):
        score_forecasts(ledger, measured)


def test_names_are_found_however_they_are_spelled(tmp_path):
    path = tmp_path / "l.jsonl"
    register_forecasts(example_fit(), PLANNED.iloc[:2].assign(run_id=[1, 2], compute_flops=[1e22, np.nan]), path)
    found = score_forecasts(path, pd.DataFrame({"run_id": [1.0, 2.0], "loss": [2.1, 2.1]}))
    assert len(found.table) == 2


@pytest.mark.parametrize("ends", [[False, True], ["false", "True"], ["", 1]])
def test_points_along_a_run_are_no_outcomes_however_that_is_written(tmp_path, ends):
    path = tmp_path / "l.jsonl"
    register_forecasts(example_fit(), PLANNED.iloc[:1], path)
    measured = pd.DataFrame({"run_id": ["r0", "r0"], "loss": [2.1, 3.1], "checkpoint": ends})
    assert score_forecasts(path, measured).table["loss"].tolist() == [2.1]
    with pytest.raises(BadCells, match="true or false"):
        score_forecasts(path, measured.assign(checkpoint=["end", "middle"]))


def test_runs_that_are_not_measured_wait(ledger):
    found = score_forecasts(ledger, outcomes().iloc[:3])
    assert len(found.table) == 3
    assert len(found.waiting) == 37
    nothing = score_forecasts(ledger, pd.DataFrame({"run_id": ["other"], "loss": [2.0]}))
    assert "None of the registered runs" in nothing.sentence
    assert np.isnan(nothing.drift).all()


def test_a_forecast_is_made_once(ledger):
    with pytest.raises(InvalidInputs, match="r0"):
        register_forecasts(example_fit(), PLANNED.iloc[:1], ledger)
    before = len(read_ledger(ledger))
    register_forecasts(example_fit(chains=2), PLANNED.iloc[:1], ledger)  # another fit may say its own
    assert len(read_ledger(ledger)) == before + 1


def test_runs_without_a_name_are_a_sentence(tmp_path):
    with pytest.raises(InvalidInputs, match="run_id"):
        register_forecasts(example_fit(), PLANNED.drop(columns="run_id"), tmp_path / "l.jsonl")
    assert not (tmp_path / "l.jsonl").exists()


def test_more_runs_than_a_ledger_holds_together_are_refused(tmp_path):
    many = pd.DataFrame({"run_id": np.arange(1001).astype(str), "params": 1e10, "tokens": 2e11})
    with pytest.raises(OutOfRange, match="1,001"):
        register_forecasts(example_fit(), many, tmp_path / "l.jsonl")
    assert not (tmp_path / "l.jsonl").exists()


# Runs under way


@pytest.fixture(scope="module")
def curves():
    """A system whose curves go together over a factor e in steps."""
    fit = example_system(chains=4, draws=1000)
    posterior = fit.posterior.assign(length_curves=xr.ones_like(fit.posterior["sigma_curves"]))
    groups = {g.path: g.to_dataset(inherit=False) for g in fit.tree.subtree}
    return replace(fit, tree=xr.DataTree.from_dict(groups | {"/posterior": posterior}))


STEPS = np.geomspace(2e4, 2e5, 9)


def curve_of(fit, number):
    """A run whose law is one draw's, with noise that goes together."""
    rng = np.random.default_rng(number)
    where = {"chain": number % 4, "draw": 37 * number % 1000}
    law = predict(fit.view("curves"), params=1e8, steps=STEPS, batch_tokens=5e5)["expected_loss"].isel(where).values
    kept, noise = np.exp(-np.diff(np.log(STEPS)) / 1.0), rng.standard_normal(len(STEPS))
    z = [noise[0]]
    for share, fresh in zip(kept, noise[1:], strict=True):
        z.append(share * z[-1] + np.sqrt(1 - share**2) * fresh)
    return law * np.exp(0.01 * np.array(z))


def test_a_curve_narrows_the_end_and_stays_honest(curves):
    held, ratios, effective = [], [], []
    for number in range(60):
        losses = curve_of(curves, number)
        points = pd.DataFrame({"params": 1e8, "steps": STEPS[:7], "batch_tokens": 5e5, "loss": losses[:7]})
        found = live(curves, points, end={"steps": STEPS[-1]}, seed=number)
        held.append(found.now[1] <= losses[-1] <= found.now[2])
        ratios.append((found.now[2] - found.now[1]) / (found.before[2] - found.before[1]))
        effective.append(found.effective_draws)
    assert np.mean(held) == pytest.approx(0.9, abs=0.1)
    assert np.mean(ratios) < 0.85
    assert np.median(effective) > 200


def test_a_run_that_leaves_is_flagged(curves):
    losses = curve_of(curves, 3)
    points = pd.DataFrame({"params": 1e8, "steps": STEPS[:6], "batch_tokens": 5e5, "loss": losses[:6]})
    assert not live(curves, points, end={"steps": STEPS[-1]}).left
    gone = live(curves, points.assign(loss=losses[:6] * np.linspace(1, 1.15, 6)), end={"steps": STEPS[-1]})
    few = replace(gone, effective_draws=3.0).sentence
    assert "LEFT" in few
    assert "3 effective draws, too few for an interval" in few
    assert "will end at" not in few
    assert gone.left
    assert gone.sentence.startswith("The run has LEFT its forecast: its last point lies above")


def test_a_run_that_is_back_below_its_forecast_is_said_to_be_below():
    points = pd.DataFrame({"loss": [3.0, 2.4], "lower": [1.9, 2.5], "upper": [2.1, 2.6], "outside": [True, True]})
    found = RunForecast((2.3, 2.2, 2.4), (2.2, 2.1, 2.3), 0.9, 400.0, points)
    assert found.sentence.startswith("The run has LEFT its forecast: its last point lies below")


def test_points_that_the_fit_has_seen_weigh_no_draw_again():
    system = example_system()
    rows = system.rows("curves")
    seen = rows[rows["run_id"] == rows["run_id"].iloc[0]].sort_values("steps")
    far, many = {"steps": 10 * float(seen["steps"].max())}, system.posterior.sizes["chain"] * system.posterior.sizes["draw"]

    def left(curve):
        return live(system, curve, end=far, observation="curves").effective_draws

    later = seen.iloc[[-1]].assign(steps=3 * seen["steps"].max(), loss=0.999 * seen["loss"].min())
    assert left(seen) == pytest.approx(many)
    assert left(seen.assign(run_id="another")) < 0.9 * many
    assert left(seen.assign(run_id="another")) < left(pd.concat([seen, later])) < many


def test_what_cannot_be_updated_is_a_sentence(curves):
    points = pd.DataFrame({"params": [1e8], "steps": [2e4], "batch_tokens": [5e5], "loss": [4.0]})
    with pytest.raises(NotLearned):
        live(example_fit(), points, end={"steps": 1e5})
    with pytest.raises(InvalidInputs, match="steps 10000"):
        live(curves, points, end={"steps": 1e4})
    with pytest.raises(InvalidInputs, match="params changes along the curve, from"):
        live(curves, pd.concat([points, points.assign(steps=3e4, params=2e8)]), end={"steps": 1e5})
    with pytest.raises(InvalidInputs, match="batch_tokens"):
        live(curves, points.drop(columns="batch_tokens"), end={"steps": 1e5})
    with pytest.raises(InvalidInputs, match="loss"):
        live(curves, points.assign(loss=-1.0), end={"steps": 1e5})
    with pytest.raises(InvalidInputs, match="points"):
        live(curves, points.iloc[:0], end={"steps": 1e5})
    first = points.iloc[0].to_dict()
    for column, cell in (("loss", {"nats": 4.0}), ("steps", [2e4]), ("steps", "many")):
        with pytest.raises(InvalidInputs, match="loss and steps"):
            live(curves, pd.DataFrame([first, {**first, column: cell}]), end={"steps": 1e5})
    several = pd.concat([points.assign(steps=steps) for steps in (2e4, 3e4, 4e4)])
    with pytest.raises(InvalidInputs, match="steps 40000"):  # nothing is said of its end: it is where it is
        live(curves, several, end={})
