"""Pooling over many ladders: the population, and what each ladder says when the others are known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayes_scaling.errors import InvalidRequest
from bayes_scaling.inference.population import pool, what_runs_say
from bayes_scaling.posterior.examples import example_fit

PARAMETERS = ["alpha", "beta"]
BETWEEN, WITHIN, CENTRE = np.array([0.3, 0.05]), np.array([0.1, 0.05]), np.log([0.3, 0.4])


def simulated(seed: int = 0):
    """Return what the runs of twelve ladders of six sources say of two exponents, their sources, and the truth; one ladder says little."""
    rng = np.random.default_rng(seed)
    ladders, sources, truth = {}, {}, {}
    for number in range(12):
        source = f"source{number // 2}"
        if number % 2 == 0:
            of_source = CENTRE + BETWEEN * rng.standard_normal(2)
        true = of_source + WITHIN * rng.standard_normal(2)
        sd = np.full(2, 0.5 if number == 11 else 0.03)
        table = pd.DataFrame(
            {"mean": true + sd * rng.standard_normal(2), "sd": sd, "prior_mean": np.log(0.35), "prior_sd": 0.5},
            index=PARAMETERS,
        )
        ladders[f"ladder{number:02d}"], sources[f"ladder{number:02d}"] = table, source
        truth[f"ladder{number:02d}"] = np.exp(true)
    return ladders, sources, truth


@pytest.fixture(scope="module")
def pooled():
    ladders, sources, _ = simulated()
    return pool(ladders, sources, seed=1).set_index(["parameter", "table"])


def test_a_ladder_that_says_little_is_drawn_to_its_source_and_one_that_says_much_stays(pooled):
    _, _, truth = simulated()
    little = pooled.loc[("alpha", "ladder11")]
    width = np.log(
        little[["alone_upper", "pooled_upper"]].to_numpy(float) / little[["alone_lower", "pooled_lower"]].to_numpy(float)
    )
    assert width[1] < 0.6 * width[0]
    assert little["pooled_lower"] < truth["ladder11"][0] < little["pooled_upper"]
    much = pooled.loc[("alpha", "ladder00")]
    assert np.log(much["pooled"] / much["alone"]) == pytest.approx(0, abs=0.02)


def test_the_spreads_and_the_intervals_are_those_of_the_simulation(pooled):
    _, _, truth = simulated()
    assert pooled.loc[("alpha", "ladder00"), "between"] == pytest.approx(BETWEEN[0], rel=0.6)
    assert pooled.loc[("beta", "ladder00"), "within"] == pytest.approx(WITHIN[1], rel=0.6)
    inside = [
        pooled.loc[(name, ladder), "pooled_lower"] < value < pooled.loc[(name, ladder), "pooled_upper"]
        for ladder, true in truth.items()
        for name, value in zip(PARAMETERS, true, strict=True)
    ]
    assert sum(inside) >= 18  # of 24, at 90 %
    new = pooled.loc[("alpha", "a new table")]
    assert new["pooled_lower"] < 0.3 < new["pooled_upper"]
    # A new table is as uncertain as sources and ladders differ.
    assert np.log(new["pooled_upper"] / new["pooled_lower"]) > 2 * 1.5 * BETWEEN[0]


def test_too_few_sources_are_refused():
    ladders, sources, _ = simulated()
    few = {name: ladders[name] for name in ("ladder00", "ladder01", "ladder02")}
    with pytest.raises(InvalidRequest, match="2 sources, source0, source1: give at least three"):
        pool(few, sources)


def test_what_the_runs_of_a_fit_say_of_an_exponent_is_its_posterior_without_the_prior():
    fit = example_fit()
    told = what_runs_say(fit).loc["alpha"]
    after = np.log(fit.posterior["alpha"].values)
    assert told["mean"] == pytest.approx(after.mean(), abs=0.1 * after.std())
    assert told["sd"] == pytest.approx(after.std(), rel=0.1)
