"""The priors of a document at the draws of a fit: together they are the prior of the density that is sampled."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from bayes_scaling.model.density import LogDensity
from bayes_scaling.model.priors import Prior
from bayes_scaling.posterior.examples import example_fit, example_system
from bayes_scaling.posterior.stated import StatedPrior, on_real_line, stated_priors
from tests.grouped import grouped_fit
from tests.posterior.test_left_out import EXTRAS, fit_to


def effects(fit):
    """Return the log density of what no document states: standard effects of groups."""
    total = 0.0
    for name, parameter in fit.model.parameters.items():
        for grouping in parameter.varies_by:
            effect = fit.posterior[f"{name}_effect_{grouping}"]
            z = (effect / fit.posterior[f"{name}_spread_{grouping}"]).transpose("chain", "draw", ...).values
            total = total + stats.norm.logpdf(z).sum(axis=-1).ravel()
    return total


@pytest.mark.parametrize(
    "make", [example_fit, grouped_fit, *(lambda name=name: fit_to(EXTRAS[name], draws=20) for name in EXTRAS)]
)
def test_together_they_are_the_prior_of_the_density(make):
    fit = make()
    density = LogDensity(fit.layout)
    points = density.points(fit.posterior)
    whole = density.parts(points)[0] - density.straight.to_pymc(points)[1]
    ours = sum(stated.log_density() for stated in stated_priors(fit)) + effects(fit)
    np.testing.assert_allclose(ours - whole, 0.0, atol=1e-7)


def test_of_a_system_every_observation_has_its_noise():
    found = [stated.name for stated in stated_priors(example_system())]
    assert len(found) == len(set(found))
    assert {"sigma_curves", "sigma_noise"} <= set(found)


def test_the_score_of_a_lognormal_prior_is_how_far_a_draw_lies_above_its_median():
    x = np.array([[0.5], [1.0], [4.0]])
    stated = StatedPrior("x", prior := Prior(dist="LogNormal", mu=0.3, sigma=0.7), on_real_line(x, prior))
    np.testing.assert_allclose(stated.score(), (np.log(x[:, 0]) - 0.3) / 0.7, rtol=1e-7)
    moved = Prior(dist="LogNormal", mu=0.3 + 0.7 * 0.4, sigma=0.7)
    np.testing.assert_allclose(stated.log_density(0.4), moved.log_density(x[:, 0]) + np.log(x[:, 0]))


def test_a_halfnormal_prior_moves_by_a_factor_and_a_uniform_one_by_odds():
    x = np.array([[0.02], [0.1]])
    stated = StatedPrior("x", prior := Prior(dist="HalfNormal", sigma=0.05), on_real_line(x, prior))
    assert stated.sd == pytest.approx(np.pi / np.sqrt(8), rel=1e-6)  # of the log of a chi variable of one degree
    wider = Prior(dist="HalfNormal", sigma=0.05 * np.exp(0.5 * stated.sd))
    np.testing.assert_allclose(stated.log_density(0.5), wider.log_density(x[:, 0]) + np.log(x[:, 0]))
    share = StatedPrior("s", prior := Prior(dist="Uniform", lower=0.0, upper=1.0), on_real_line(x, prior))
    np.testing.assert_allclose(share.log_density(), stats.logistic.logpdf(np.log(x[:, 0] / (1 - x[:, 0]))))
    np.testing.assert_allclose(share.score(), -share.sd * (1 - 2 * x[:, 0]), rtol=1e-6)
