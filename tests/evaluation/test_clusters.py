"""Standard errors of scores against simulated forecasts that share errors, whose truth is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bayes_scaling.evaluation.clusters import doubt, mean_error, median_error, once, relative_error, share_error
from bayes_scaling.evaluation.scores import scored, summarized

TABLES = 400
CUTS, RUNS = 12, 20


def covers(estimates, errors, truth, clusters):
    """Return the share of simulated tables whose 90 % interval has the truth."""
    half = stats.t.ppf(0.95, clusters - 1) * np.array(errors)
    return float((np.abs(np.array(estimates) - truth) <= half).mean())


def forecasts(rng, shared=1.0, own=1.0):
    """Return errors of forecasts of the same runs at every cut: of the cut's fit, of the run, and of the forecast."""
    cut, run = np.repeat(np.arange(CUTS), RUNS), np.tile(np.arange(RUNS), CUTS)
    error = shared * rng.standard_normal(CUTS)[cut] + own * rng.standard_normal(RUNS)[run]
    return cut, run, error + 0.5 * rng.standard_normal(CUTS * RUNS)


def test_forecasts_that_share_a_fit_are_as_sure_as_stated_and_far_less_than_their_number_says():
    """90 % intervals of the mean and of a coverage have the truth; by the number of forecasts they miss it in most tables."""
    rng = np.random.default_rng(1)
    found = {name: [] for name in ("mean", "mean_se", "naive_se", "share", "share_se", "naive_share_se")}
    limit = stats.norm.ppf(0.95) * np.sqrt(1.25)  # covers 90 % of forecasts, whatever the cut
    for _ in range(TABLES):
        cut, _, error = forecasts(rng, own=0.0)
        inside, ones = np.abs(error) <= limit, np.ones(len(error))
        found["mean"].append(error.mean())
        found["mean_se"].append(mean_error(error, ones, [cut]))
        found["naive_se"].append(error.std() / np.sqrt(len(error)))
        found["share"].append(inside.mean())
        found["share_se"].append(share_error(inside, ones, [cut]))
        found["naive_share_se"].append(np.sqrt(inside.mean() * (1 - inside.mean()) / len(inside)))
    assert covers(found["mean"], found["mean_se"], 0.0, CUTS) == pytest.approx(0.9, abs=0.04)
    assert covers(found["mean"], found["naive_se"], 0.0, CUTS) < 0.5
    assert covers(found["share"], found["share_se"], 0.9, CUTS) > 0.75
    assert covers(found["share"], found["naive_share_se"], 0.9, CUTS) < 0.5
    assert np.mean(found["mean_se"]) == pytest.approx(np.std(found["mean"]), rel=0.1)


def test_runs_that_are_ahead_of_every_cut_need_both_kinds_of_cluster():
    rng = np.random.default_rng(2)
    means, both, by_cut = [], [], []
    for _ in range(TABLES):
        cut, run, error = forecasts(rng)
        ones = np.ones(len(error))
        means.append(error.mean())
        both.append(mean_error(error, ones, [cut, run]))
        by_cut.append(mean_error(error, ones, [cut]))
    assert covers(means, both, 0.0, CUTS) == pytest.approx(0.9, abs=0.05)
    assert covers(means, by_cut, 0.0, CUTS) < 0.87
    assert np.mean(both) == pytest.approx(np.std(means), rel=0.12)


def test_the_median_error_is_as_sure_as_stated():
    rng = np.random.default_rng(3)
    found = []
    for _ in range(TABLES):
        cut = np.repeat(np.arange(40), 10)
        size = np.abs(np.exp(0.5 * rng.standard_normal(40)[cut]) * rng.standard_normal(400))
        ones = np.ones(400)
        found.append((np.median(size), median_error(size, ones, [cut]), median_error(size, ones, [np.arange(400)])))
    median, error, naive = np.array(found).T
    truth = float(np.median(np.abs(np.exp(0.5 * rng.standard_normal(10**6)) * rng.standard_normal(10**6))))
    assert covers(median, error, truth, 40) == pytest.approx(0.9, abs=0.05)
    assert np.mean(error) == pytest.approx(np.std(median), rel=0.12)
    assert np.mean(naive) < 0.9 * np.mean(error)


def test_clusters_of_one_are_the_usual_standard_error():
    values = np.random.default_rng(0).standard_normal(50)
    usual = values.std(ddof=1) / np.sqrt(50)
    assert mean_error(values, np.ones(50), [np.arange(50)]) == pytest.approx(usual)
    assert mean_error(values, np.full(50, 7.0), [np.arange(50), np.arange(50)]) == pytest.approx(usual)


def test_a_run_counts_once_however_many_cuts_forecast_it():
    draws = np.linspace(-1, 1, 401)[:, None]
    run = np.array(["a", "a", "a", "b"])
    truth = np.array([5.0, 5.0, 5.0, 0.0])  # the run of three forecasts is never covered
    rows = scored(truth, np.tile(draws, (1, 4))).assign(row=run, run=run, cut=[1, 2, 3, 1], method="m")
    summary = summarized(rows, ["method"]).iloc[0]
    assert (summary["forecasts"], summary["runs"], summary["clusters"]) == (4, 2, 2)
    assert summary["coverage_0.9"] == 0.5
    assert summary["crps"] == pytest.approx((rows["crps"][0] + rows["crps"][3]) / 2)
    assert once(run).sum() == 2


def test_a_summary_by_source_has_the_error_of_whole_sources():
    rng = np.random.default_rng(4)
    source = np.repeat(np.arange(6), 30)
    truth = rng.standard_normal(6)[source] + 0.3 * rng.standard_normal(180)
    draws = np.tile(1.05 * rng.standard_normal((500, 1)), (1, 180))
    rows = scored(truth, draws).assign(
        row=np.arange(180), run=np.arange(180), cut=np.arange(180) % 9, source=source, method="m"
    )
    pooled = summarized(rows, ["method"], ["source"]).iloc[0]
    assert pooled["clusters"] == 6
    means = rows.groupby("source")[["inside_0.5", "pit", "crps"]].mean()
    for name, column in (("coverage_0.5", "inside_0.5"), ("pit", "pit"), ("crps", "crps")):
        assert pooled[name] == pytest.approx(means[column].mean())
        assert pooled[f"{name}_se"] == pytest.approx(means[column].std(ddof=1) / np.sqrt(6))
    each = summarized(rows, ["method", "source"])
    assert len(each) == 6
    pd.testing.assert_series_equal(each["pit"], means["pit"].reset_index(drop=True), check_names=False)


def test_points_along_one_run_share_their_errors():
    """Of twenty runs of fifteen points each that miss together there are twenty chances, not three hundred."""
    rng, shares, errors, naive = np.random.default_rng(7), [], [], []
    draws = np.tile(rng.standard_normal((400, 1)), (1, 300))
    run = np.repeat(np.arange(20), 15)
    for _ in range(60):
        truth = rng.standard_normal(20)[run] + 0.1 * rng.standard_normal(300)
        rows = scored(truth, draws).assign(row=np.arange(300), run=run, cut=0, method="m")
        summary = summarized(rows, ["method"], ["run"]).iloc[0]
        assert (summary["rows"], summary["runs"], summary["clusters"]) == (300, 20, 20)
        shares.append(summary["coverage_0.5"])
        errors.append(summary["coverage_0.5_se"])
        naive.append(summarized(rows.assign(run=rows["row"]), ["method"], ["run"]).iloc[0]["coverage_0.5_se"])
    assert np.mean(errors) == pytest.approx(np.std(shares), rel=0.25)
    assert np.mean(naive) < 0.4 * np.std(shares)


def test_few_clusters_say_how_uncertain_their_error_is():
    rng = np.random.default_rng(5)
    errors = [mean_error(rng.standard_normal(6), np.ones(6), [np.arange(6)]) for _ in range(4000)]
    assert np.std(errors) / np.mean(errors) == pytest.approx(relative_error(6), abs=0.03)
    assert "by some 32 %" in doubt(6, "cuts")
    assert doubt(20, "cuts") == ""
    assert "no standard error" in doubt(1, "cuts")
    assert np.isnan(mean_error([0.0, 1.0], np.ones(2), [[1, 1]]))


def test_full_coverage_is_not_stated_without_error():
    assert share_error(np.ones(12), np.ones(12), [np.repeat([1, 2, 3, 4], 3), np.arange(12)]) == 0.125
    assert np.isnan(share_error(np.ones(3), np.ones(3), [[1, 1, 1]]))
