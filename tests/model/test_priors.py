from __future__ import annotations

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from pydantic import ValidationError

from bayes_scaling.inference import build_model
from bayes_scaling.model.document import read_model
from bayes_scaling.model.layout import Layout
from bayes_scaling.model.prior_draws import draw_prior
from bayes_scaling.model.priors import Prior
from bayes_scaling.runs.table import read_runs

PRIORS = [
    {"dist": "LogNormal", "mu": -1.0, "sigma": 0.4},
    {"dist": "Gamma", "mu": 0.35, "sigma": 0.1},
    {"dist": "Gamma", "alpha": 2.0, "beta": 0.1},
    {"dist": "InverseGamma", "alpha": 4.0, "beta": 2.0},
    {"dist": "InverseGamma", "mu": 1.0, "sigma": 0.3},
    {"dist": "HalfNormal", "sigma": 0.05},
    {"dist": "Exponential", "scale": 3.0},
    {"dist": "Uniform", "lower": 0.1, "upper": 0.8},
]


@pytest.mark.parametrize("given", PRIORS, ids=lambda given: "-".join(map(str, given)))
def test_numpy_draws_are_pymc_s_distribution(given):
    prior = Prior(**given)
    ours = prior.draw(np.random.default_rng(1), 40_000)
    theirs = pm.draw(getattr(pm, prior.dist).dist(**prior.arguments), 40_000, random_seed=1, mode="FAST_COMPILE")
    levels = [0.05, 0.25, 0.5, 0.75, 0.95]
    np.testing.assert_allclose(np.quantile(ours, levels), np.quantile(theirs, levels), rtol=0.06)
    assert (ours > 0).all()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"dist": "Normal", "mu": 0.0, "sigma": 1.0}, "unknown distribution 'Normal'"),
        ({"dist": "LogNormal", "mu": 0.0}, r"takes the arguments \(mu, sigma\), found mu"),
        ({"dist": "Gamma", "mu": -1.0, "sigma": 1.0}, "mu has to be positive"),
        ({"dist": "HalfNormal", "sigma": 0.0}, "sigma has to be positive"),
        ({"dist": "Uniform", "lower": 2.0, "upper": 1.0}, "lower has to be below upper"),
        ({"dist": "HalfNormal", "sigma": float("nan")}, "finite"),
        ({"dist": "HalfNormal", "sigma": "wide"}, "number"),
    ],
)
def test_a_bad_prior_is_refused(given, message):
    with pytest.raises((ValidationError, ValueError), match=message):
        Prior(**given)


def test_prior_draws_have_the_model_s_variables():
    table = pd.DataFrame({"params": [1e8, 1e9] * 2, "tokens": 1e10, "loss": 3.0, "group": list("abab")})
    spec, runs = read_model("kappa_by_group"), read_runs(table)
    prior = draw_prior(Layout.of(spec, {"loss": runs.table}), np.random.default_rng(0), draws=5)
    model = build_model(spec, runs)
    assert set(prior.data_vars) <= set(model.named_vars)
    for name in prior.data_vars:
        dims = model.named_vars_to_dims.get(name, ())
        assert prior[name].dims == ("chain", "draw", *dims)
        assert [list(prior[dim].values) for dim in dims] == [list(model.coords[dim]) for dim in dims]
