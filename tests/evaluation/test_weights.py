"""Weights are earned on larger runs, and a mixture is what its weights say."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

from bayes_scaling.errors import InvalidFit, InvalidRequest, MissingFit, MissingOption
from bayes_scaling.evaluation import backtest as room
from bayes_scaling.evaluation.scores import scored
from bayes_scaling.evaluation.weights import stacked, weigh, weigh_left_out
from bayes_scaling.model.document import model_from_json
from bayes_scaling.posterior.examples import example_fit
from bayes_scaling.posterior.mixture import Mixture, load_mixture
from bayes_scaling.posterior.rows import predict_rows, predict_table
from bayes_scaling.posterior.variance import shares_of
from tests.command import command  # noqa: F401 - a fixture
from tests.evaluation.test_backtest import ladder
from tests.forecasting import forecast_by_hand

FAR = pd.DataFrame({"params": [1e9, 1e11], "tokens": [2e10, 2e12]})


def test_stacking_is_the_best_log_score():
    rng = np.random.default_rng(0)
    score, share = rng.normal(size=(60, 3)), rng.uniform(0.2, 1, 60)
    weights = stacked(score, share)

    def loss(free):
        each = np.exp(free) / np.exp(free).sum()
        return -(share * np.log(np.exp(score) @ each)).sum()

    best = minimize(loss, np.zeros(3)).x
    np.testing.assert_allclose(weights, np.exp(best) / np.exp(best).sum(), atol=2e-3)
    assert weights.sum() == pytest.approx(1)


def test_where_runs_are_too_few_to_forecast_each_is_left_out():
    found = weigh_left_out({"one": example_fit(), "same": example_fit(), "other": example_fit(draws=50)})
    assert found.weights["one"] == pytest.approx(found.weights["same"])
    assert sum(found.weights.values()) == pytest.approx(1)
    assert found.facts["cuts"] == 0
    assert found.sentence.startswith("Stacking weights from leaving out each of 25 runs of example")


def test_a_model_that_adds_nothing_has_no_weight():
    score = np.array([[0.0, -3.0]] * 20)
    assert stacked(score, np.ones(20))[1] < 1e-6


def scored_by_hand(job, off):
    """Forecasts of one split that are off by a share of the loss, by law."""
    ahead = job.runs.table.iloc[job.origin.ahead]
    truth = np.log(ahead["loss"].to_numpy())
    draws = truth + off.get(model_from_json(job.model).law, 0.0) + 0.01 * np.random.default_rng(0).standard_normal((800, 1))
    told = pd.DataFrame({"method": job.method, "cut": job.origin.cut, "row": job.origin.ahead, "ahead": 0.5})
    return told.assign(loss=ahead["loss"].to_numpy(), converged=True).join(scored(truth, draws))


@pytest.fixture
def forecasters(monkeypatch):
    """The additive law forecasts three per cent high; kappa is right."""

    monkeypatch.setattr(room, "_outcome", lambda job: scored_by_hand(job, {"chinchilla": 0.03}))


def test_the_better_forecaster_earns_the_weight(forecasters):
    found = weigh(ladder(0.01), ["chinchilla", "kappa"], per_decade=1, progress=False)
    assert found.weights["kappa"] > 0.95
    assert found.table["model"].tolist() == ["kappa", "chinchilla"]
    assert found.table["difference"].iloc[1] < -3
    assert "kappa" in found.sentence
    assert json.loads(found.to_json())["weights"] == found.weights


def test_one_model_is_no_choice(forecasters):
    with pytest.raises(MissingOption):
        weigh(ladder(0.01), ["kappa"], per_decade=1, progress=False)


def mixture(weight=0.25):
    return Mixture({"additive": example_fit(), "bridge": forecast_by_hand()}, {"additive": weight, "bridge": 1 - weight})


def test_a_mixture_has_draws_by_weight():
    found = predict_rows(mixture(), FAR)
    assert dict(zip(*np.unique(found["form"], return_counts=True), strict=True)) == {"additive": 1000, "bridge": 3000}
    of_one = found["law_loss"].where(found["form"] == "additive", drop=True)
    assert float(of_one.isel(row=1).mean()) == pytest.approx(
        float(predict_rows(example_fit(), FAR)["law_loss"].isel(row=1).mean()), rel=0.002
    )


def test_all_the_weight_is_one_fit():
    alone, whole = forecast_by_hand(), mixture(0.0)
    table = predict_table(whole, FAR)
    low, high = predict_rows(alone, FAR)["measured_loss"].quantile([0.05, 0.95], ("chain", "draw")).values
    np.testing.assert_allclose(table["lower"], low, rtol=0.003)
    np.testing.assert_allclose(table["upper"], high, rtol=0.003)


def test_what_the_form_adds_is_said():
    shifted = example_fit()
    shifted = shifted._with_posterior(shifted.posterior.assign(E=shifted.posterior["E"] * 1.2))
    shares = shares_of(predict_rows(Mixture({"one": example_fit(), "other": shifted}, {"one": 0.5, "other": 0.5}), FAR))
    assert float(shares["form"].isel(row=1)) > 0.8
    total = sum(shares[part] for part in ("form", "parameters", "discrepancy", "noise"))
    np.testing.assert_allclose(total, 1.0)


def test_a_mixture_is_stored_and_asked(tmp_path, command):  # noqa: F811
    mixture().save(tmp_path / "mixture")
    again = load_mixture(tmp_path / "mixture")
    pd.testing.assert_frame_equal(predict_table(again, FAR), predict_table(mixture(), FAR))
    FAR.to_csv(tmp_path / "far.csv", index=False)
    answer = command("predict", tmp_path / "mixture", "--inputs", tmp_path / "far.csv", "--json")
    assert answer.code == 0, answer.err
    parsed = json.loads(answer.out)
    assert parsed["weights"] == {"additive": 0.25, "bridge": 0.75}
    assert len(parsed["predictions"]) == 2
    one = command("predict", tmp_path / "mixture", "--params", "7e10", "--tokens", "1.4e12")
    assert one.code == 0, one.err
    for wrong in (["--group", "corpus=C4"], ["--input", "parms=3"], ["--observation", "curves"]):
        refused = command("predict", tmp_path / "mixture", "--params", "7e10", "--tokens", "1.4e12", *wrong)
        assert refused.code == 2
        assert "leave" in refused.err
    (tmp_path / "mixture" / "bridge.nc").unlink()
    with pytest.raises(MissingFit, match=r"bridge\.nc"):
        load_mixture(tmp_path / "mixture")
    with pytest.raises(InvalidFit, match="is not a valid mixture of fits"):
        load_mixture(tmp_path)


@pytest.mark.parametrize("weights", [{"additive": 0.5, "bridge": 0.6}, {"additive": 1.0}, {"additive": -0.5, "bridge": 1.5}])
def test_weights_that_are_none_are_refused(weights):
    with pytest.raises(InvalidRequest, match="weights"):
        Mixture({"additive": example_fit(), "bridge": forecast_by_hand()}, weights)
