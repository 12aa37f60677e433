"""Draws weighted anew: closed forms, and what ArviZ says."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from bayes_scaling.numerics import smoothed_weights
from bayes_scaling.posterior.reweighted import LARGEST_K, POWERS, distance, mean_under, power_sensitivity


def test_the_distance_is_the_one_of_arviz():
    import arviz_stats  # noqa: F401 - registers the accessor

    rng = np.random.default_rng(1)
    values, density = rng.gamma(3.0, size=1000), rng.normal(size=1000) - 0.3
    density = density + values
    weights = [smoothed_weights((power - 1) * density)[0] for power in POWERS]

    def draws(flat):
        return xr.DataArray(np.reshape(flat, (4, 250)), dims=("chain", "draw"))

    lower, upper = map(draws, weights)
    theirs = draws(values).azstats.power_scale_sense(
        lower_w=lower, upper_w=upper, lower_alpha=POWERS[0], upper_alpha=POWERS[1]
    )
    ours, shape = power_sensitivity(density, values)
    assert shape < LARGEST_K
    assert ours == pytest.approx(float(theirs), rel=1e-3)


def test_a_normal_posterior_of_more_weight_is_narrower():
    """The likelihood of a flat prior to the power a is Normal of variance 1/a: integrals of the two cdfs are known."""
    x = stats.norm.ppf((np.arange(40_000) + 0.5) / 40_000)
    grid, expected = np.linspace(-9, 9, 20_001), []
    for power in POWERS:
        pairs = [(stats.norm.cdf(s * grid), stats.norm.cdf(s * grid * np.sqrt(power))) for s in (1, -1)]
        sums = []
        for p, q in pairs:
            middle = (p + q) / 2
            terms = p * np.log2(p / middle) + q * np.log2(q / middle)
            sums.append(np.trapezoid(terms, grid) / np.trapezoid(p + q, grid))
        expected.append(np.sqrt(max(sums)) / abs(np.log2(power)))
    found, _ = power_sensitivity(-0.5 * x**2, x)
    # The range of the draws is shorter than that of the grid, over which the integral of a cdf is taken.
    wide = np.ptp(grid) / np.ptp(x)
    assert found == pytest.approx(np.mean(expected) * np.sqrt(wide), rel=0.02)


def test_what_the_draws_cannot_say_is_not_a_number():
    x = np.random.default_rng(0).normal(size=2000)
    mean, shape = mean_under(4.0 * x**2, x)
    assert np.isnan(mean)
    assert shape > LARGEST_K
    assert np.isnan(power_sensitivity(200.0 * x**2, x)[0])


def test_a_constant_is_sensitive_to_nothing():
    density = np.random.default_rng(0).normal(size=500)
    assert power_sensitivity(density, np.ones(500))[0] == 0.0
    assert distance(np.arange(4.0), np.array([1.0, 0.0, 0.0, 0.0])) > 0.3
