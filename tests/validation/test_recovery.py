"""Simulate tables from each shipped model's own priors, fit them, and look whether the truth ranks anywhere alike.

If model, sampler and intervals are what they say, the share of the posterior below the truth is uniform for every unknown,
and a 90 % interval for a run beyond the design holds in 90 % of tables. One compiled model serves all tables.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bayes_scaling.evaluation.certify import certify
from bayes_scaling.model.document import read_model, shipped_models
from bayes_scaling.runs.catalog import load_runs
from bayes_scaling.runs.table import read_runs

pytestmark = pytest.mark.slow

TABLES = 50
OF_ONE_LOSS = [n for n in shipped_models() if read_model(n).is_one and read_model(n).only.output == "loss"]
"""A certificate takes these; systems are recovered in test_kaplan_system.py."""


def design(name):
    """Forty-eight runs over two decades of N and D, in four groups; sweeps of shapes and of rates are those of the ladder."""
    if name in ("shape", "best_rate"):
        return load_runs("ladder")
    N, D = (axis.ravel() for axis in np.meshgrid(np.geomspace(3e7, 3e9, 8), np.geomspace(1e9, 1e11, 6)))
    table = pd.DataFrame({"params": N, "tokens": D, "loss": 3.0, "group": np.tile(list("abcd"), 12)})
    others = {"dataset_tokens": D / np.tile([1.0, 4.0], 24), "params_total": N * np.tile([1.0, 2.0, 8.0], 16)}
    return read_runs(table.assign(**others), name="simulated")


@pytest.mark.filterwarnings("ignore::bayes_scaling.errors.BayesScalingWarning")
@pytest.mark.parametrize("name", OF_ONE_LOSS)
def test_ranks_are_uniform_and_forecasts_hold(name):
    found = certify(design(name), name, tables=TABLES, broken=False, progress=False)
    print(f"\n{name}: {found.sentence}")
    print("  " + ", ".join(f"{unknown} {row['p']:.2f}" for unknown, row in found.uniformity.iterrows()))
    assert found.uniformity["uniform"].all(), found.uniformity
    lowest = stats.binom.ppf(0.0005, TABLES, 0.9) / TABLES
    assert (found.coverage["coverage_0.9"] >= lowest).all(), found.coverage
    assert found.forecasts.drop_duplicates("table")["converged"].mean() >= 0.95


@pytest.mark.filterwarnings("ignore::bayes_scaling.errors.BayesScalingWarning")
@pytest.mark.parametrize("name", ["kappa", "offset_c"])
def test_laws_that_break_are_inside_too(name):
    found = certify(design(name), name, tables=TABLES, progress=False)
    print(f"\n{name}: {found.coverage.to_string()}")
    broken = found.coverage[found.coverage["truth"] == "broken laws"]
    assert broken["coverage_0.9"].mean() >= 0.85
    alone = certify(design(name), name, tables=TABLES, progress=False, discrepancy=False)
    worse = alone.coverage[alone.coverage["truth"] == "broken laws"]
    print(f"without discrepancy: {worse.to_string()}")
    assert worse["coverage_0.9"].mean() < broken["coverage_0.9"].mean()
