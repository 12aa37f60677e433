from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from pydantic import ValidationError
from scipy import stats

from bayes_scaling.inference import build_model
from bayes_scaling.inference.distributions import _SUGGESTED, OWN, density, distribution, variable
from bayes_scaling.model.document import model_from_json, read_model
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


FURTHER = [
    ({"dist": "Weibull", "alpha": 2.0, "beta": 0.5}, stats.weibull_min(2.0, scale=0.5), False),
    ({"dist": "HalfCauchy", "beta": 0.3}, stats.halfcauchy(scale=0.3), False),
    ({"dist": "ChiSquared", "nu": 3.0}, stats.chi2(3.0), False),
    ({"dist": "Wald", "mu": 1.0, "lam": 4.0}, stats.invgauss(0.25, scale=4.0), False),
    ({"dist": "HalfStudentT", "nu": 4.0, "sigma": 0.5}, stats.t(4.0, scale=0.5), False),
    ({"dist": "Pareto", "alpha": 3.0, "m": 0.5}, stats.pareto(3.0, scale=0.5), True),
    ({"dist": "Beta", "alpha": 2.0, "beta": 3.0}, stats.beta(2.0, 3.0), True),
    ({"dist": "TruncatedNormal", "mu": 1.0, "sigma": 0.5, "lower": 0.0}, stats.truncnorm(-2.0, np.inf, 1.0, 0.5), False),
]


@pytest.mark.parametrize(("given", "same", "has_bounds"), FURTHER, ids=[given["dist"] for given, *_ in FURTHER])
def test_any_positive_distribution_of_pymc_is_a_prior(given, same, has_bounds):
    prior = Prior(**given)
    assert isinstance(prior.draw(np.random.default_rng(0)), float)
    drawn = prior.draw(np.random.default_rng(1), (1, 20_000))
    assert drawn.shape == (1, 20_000)
    np.testing.assert_array_equal(drawn, prior.draw(np.random.default_rng(1), (1, 20_000)))
    levels = np.array([0.05, 0.25, 0.5, 0.75, 0.95])
    tails = (levels + 1) / 2 if given["dist"] == "HalfStudentT" else levels  # the half of a distribution around zero
    np.testing.assert_allclose(np.quantile(drawn, levels), same.ppf(tails), rtol=0.07)
    assert prior.has_bounds == has_bounds


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"dist": "Normal", "mu": 0.0, "sigma": 1.0},
            r"'Normal' of a positive number: Normal\(mu=0, sigma=1\) is not one; did you",
        ),
        ({"dist": "TruncatedNormal", "mu": 0.0, "sigma": 1.0, "lower": -1.0}, r"TruncatedNormal\(.*lower=-1\) is not one"),
        ({"dist": "Poisson", "mu": 3.0}, "unknown distribution 'Poisson' of a positive number"),
        ({"dist": "HalfFlat"}, "HalfFlat"),
        ({"dist": "Dirichlet", "a": 1.0}, "Dirichlet"),
        ({"dist": "Weibul", "alpha": 1.0}, "unknown distribution 'Weibul'; did you mean 'Weibull'"),
        ({"dist": "Model"}, "unknown distribution 'Model'"),
        ({"dist": "Weibull", "alpha": 1.0}, r"Weibull takes the arguments \(alpha, beta\), found alpha"),
        (
            {"dist": "Weibull", "alpha": 1.0, "scale": 1.0},
            r"Weibull takes the arguments \(alpha, beta\), found alpha, scale",
        ),
        ({"dist": "HalfStudentT", "nu": 1.0, "sigma": 1.0, "lam": 1.0}, "pass both tau and sigma"),
        ({"dist": "Weibull", "alpha": -1.0, "beta": 1.0}, "Weibull needs alpha > 0, beta > 0, found alpha=-1, beta=1"),
        ({"dist": "HalfCauchy", "beta": "wide"}, "number"),
    ],
)
def test_a_bad_prior_of_pymc_is_refused(given, message):
    with pytest.raises(ValidationError, match=message):
        Prior(**given)


def test_no_suggestion_is_refused_for_its_name():
    for name in _SUGGESTED:
        with pytest.raises(ValidationError, match="takes the arguments"):
            Prior(dist=name, nothing=1.0)


def test_a_further_prior_is_written_and_read_again(tmp_path):
    text = read_model("chinchilla").to_toml()
    document = tmp_path / "model.toml"
    document.write_text(
        re.sub(
            r"(?s)\[parameters\.beta\.prior\].*?\n\n",
            '[parameters.beta.prior]\ndist = "Weibull"\nalpha = 3.0\nbeta = 0.4\n\n',
            text,
        )
    )
    model = read_model(document)
    assert str(model.parameters["beta"].prior) == "Weibull(alpha=3, beta=0.4)"
    document.write_text(model.to_toml())
    assert read_model(document) == model == model_from_json(model.to_json())


def test_pymc_is_imported_for_further_distributions_alone():
    code = (
        "import sys; from bayes_scaling.model.priors import Prior; "
        "Prior(dist='Gamma', mu=1.0, sigma=1.0).draw(__import__('numpy').random.default_rng(0)); assert 'pymc' not in sys.modules; "
        "Prior(dist='Weibull', alpha=1.0, beta=1.0); assert 'pymc' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture
def log_student():
    @distribution
    def LogStudentT(nu, mu, sigma=0.5, size=None):
        return pm.math.exp(pm.StudentT.dist(nu=nu, mu=mu, sigma=sigma, size=size))

    yield
    del OWN["LogStudentT"]


def test_a_user_s_own_distribution(log_student):
    prior = Prior(dist="LogStudentT", nu=4.0, mu=0.1)
    drawn = prior.draw(np.random.default_rng(1), 20_000)
    levels = [0.05, 0.25, 0.5, 0.75, 0.95]
    np.testing.assert_allclose(np.quantile(np.log(drawn), levels), stats.t(4.0, 0.1, 0.5).ppf(levels), atol=0.05)
    value = np.array([0.5, 2.0])
    wanted = stats.t(4.0, 0.1, 0.5).logpdf(np.log(value)) - np.log(value)
    np.testing.assert_allclose(density(prior, value).eval(), wanted)
    with pm.Model() as model:
        variable("x", prior)
    np.testing.assert_allclose(model.compile_logp()({"x_log__": np.log(2.0)}), wanted[1] + np.log(2.0))
    with pytest.raises(ValidationError, match=r"LogStudentT takes the arguments \(nu, mu, sigma\), found nu"):
        Prior(dist="LogStudentT", nu=4.0)


def test_a_user_s_own_distribution_is_positive_and_takes_no_name_that_is_there():
    @distribution
    def Shifted(mu, size=None):
        return pm.Normal.dist(mu=mu, size=size)

    with pytest.raises(ValidationError, match="'Shifted' of a positive number"):
        Prior(dist="Shifted", mu=0.0)
    del OWN["Shifted"]

    def weibull(alpha, size=None):
        return pm.Weibull.dist(alpha, 1.0, size=size)

    weibull.__name__ = "Weibull"
    with pytest.raises(TypeError, match="already has a distribution"):
        distribution(weibull)
