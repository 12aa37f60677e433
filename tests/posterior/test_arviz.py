"""ArviZ works on a fit: leave-one-out is that of compare, and predictive draws are those of the rows."""

from __future__ import annotations

import arviz_stats
import numpy as np
import pytest

import bayes_scaling as bs
from bayes_scaling.posterior.examples import example_fit, example_system


@pytest.mark.filterwarnings("ignore:Estimated shape parameter")  # draws of the example are simulated, not sampled
def test_leave_one_out_is_that_of_compare():
    fit = example_fit(chains=4, draws=250)
    elpd = arviz_stats.loo(bs.to_arviz(fit)).elpd
    table = bs.compare({"one": fit, "other": fit})
    assert elpd == pytest.approx(table["elpd"].iloc[0])


def test_every_observation_has_its_variable():
    system = example_system()
    tree = bs.to_arviz(system)
    for observation in system.model.observations:
        name = f"measured_{observation.name}"
        rows = len(system.rows(observation.name))
        assert tree["observed_data"][name].dims == (f"run_{observation.name}",)
        for group in ("log_likelihood", "posterior_predictive"):
            assert tree[group][name].sizes[f"run_{observation.name}"] == rows


def test_predictive_draws_cover_the_rows():
    tree = bs.to_arviz(example_fit(chains=4, draws=250))
    observed = tree["observed_data"]["measured"]
    low, high = np.quantile(tree["posterior_predictive"]["measured"], [0.005, 0.995], axis=(0, 1))
    assert ((observed > low) & (observed < high)).mean() > 0.9
