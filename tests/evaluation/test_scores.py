"""Scores beside their closed forms."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bayes_scaling.errors import InvalidInputs, OutOfRange
from bayes_scaling.evaluation.origins import NoCut, rolling_origins
from bayes_scaling.evaluation.scores import crps, interval_score, log_score, scored, summarized

NORMAL = stats.norm.ppf((np.arange(4000) + 0.5) / 4000)[:, None]


@given(st.floats(-3, 3), st.floats(0.01, 10))
def test_crps_of_a_normal(z, sd):
    truth = np.array([z * sd])
    closed = sd * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / np.sqrt(np.pi))
    assert crps(truth, NORMAL * sd)[0] == pytest.approx(closed, rel=2e-3, abs=1e-4 * sd)


@given(st.floats(-2, 2), st.floats(0.01, 10))
def test_log_score_of_a_normal(z, sd):
    assert log_score(np.array([z * sd]), NORMAL * sd)[0] == pytest.approx(stats.norm.logpdf(z * sd, scale=sd), abs=0.06)


def test_scores_are_proper_where_they_claim_to_be():
    """The truth's own distribution has the best expected score among wider, narrower and shifted ones."""
    truth = np.random.default_rng(0).standard_normal(4000)
    others = {"right": (0, 1), "wide": (0, 2), "narrow": (0, 0.5), "shifted": (0.7, 1)}
    found = {name: scored(truth, np.tile(NORMAL[::40] * sd + mean, (1, 4000))).mean() for name, (mean, sd) in others.items()}
    for name in ("crps", "interval_score_0.9", "interval_score_0.5"):
        assert min(found, key=lambda which: found[which][name]) == "right", name
    assert max(found, key=lambda which: found[which]["log_score"]) == "right"
    assert found["right"]["inside_0.9"] == pytest.approx(0.9, abs=0.02)
    assert found["narrow"]["inside_0.9"] < 0.65
    assert found["right"]["pit"] == pytest.approx(0.5, abs=0.02)


def test_an_interval_pays_for_its_width_and_for_what_it_misses():
    score = interval_score(np.array([1.0, 2.0, -1.0]), np.zeros(3), np.ones(3), 0.8)
    np.testing.assert_allclose(score, [1.0, 11.0, 11.0])


def test_a_summary_is_the_mean_of_its_rows():
    rows = scored(np.array([0.0, 5.0]), np.tile(NORMAL, (1, 2))).assign(method="a", cut=[1, 2], row=[7, 8], run=[7, 8])
    summary = summarized(rows, ["method"]).iloc[0]
    assert summary[["forecasts", "runs", "clusters"]].tolist() == [2, 2, 2]
    assert summary["coverage_0.9"] == 0.5
    assert summary["crps"] == pytest.approx(rows["crps"].mean())


def test_every_cut_leaves_enough_on_either_side():
    table = pd.DataFrame({"compute_flops": 10 ** np.random.default_rng(1).uniform(17, 21, 60)})
    origins = rolling_origins(table)
    assert len(origins) >= 5
    for origin in origins:
        assert len(origin.fitted) >= 15
        assert len(origin.ahead) >= 3
        assert (
            table["compute_flops"].iloc[origin.fitted].max() < origin.cut <= table["compute_flops"].iloc[origin.ahead].min()
        )
        assert sorted([*origin.fitted, *origin.ahead]) == list(range(60))


def test_a_budget_on_a_step_is_ahead():
    table = pd.DataFrame({"compute_flops": np.repeat([1e18, 1e19, 1e20, 1e21], 8)})
    assert [(o.cut, len(o.fitted)) for o in rolling_origins(table, per_decade=1)] == [(1e20, 16), (1e21, 24)]


@pytest.mark.parametrize(
    ("options", "kind", "named"),
    [
        ({"over": "steps"}, InvalidInputs, "'steps'"),
        ({"least": 40}, NoCut, "compute_flops"),
        ({"per_decade": 0}, OutOfRange, "per_decade is 0"),
    ],
)
def test_a_table_that_cannot_be_cut_is_a_sentence(options, kind, named):
    table = pd.DataFrame({"compute_flops": np.geomspace(1e18, 1e21, 20)})
    with pytest.raises(kind, match=named):
        rolling_origins(table, **options)
