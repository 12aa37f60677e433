"""Roots, minima and quantiles against scipy, elementwise, and where there is no answer."""

from __future__ import annotations

import numpy as np
import pytest
from arviz_stats.base import array_stats
from scipy.optimize import brentq, minimize_scalar

from bayes_scaling.numerics import bisect, first_crossing, minimise, newton, smoothed_weights, weighted_quantile

RATES = np.array([[0.3], [1.0], [4.0]])
LEVELS = np.array([0.2, 1.5])


def rising(x):
    return np.expm1(RATES * x) - LEVELS


def roots():
    return np.array(
        [[brentq(lambda x, r=r, c=c: np.expm1(r * x) - c, 0, 10, xtol=1e-14) for c in LEVELS] for r in RATES[:, 0]]
    )


def test_bisection_brackets_every_root():
    low, high = bisect(rising, 0.0, np.full((3, 1), 10.0), halvings=30)
    assert low.shape == (3, 2)
    assert ((low <= roots()) & (roots() <= high)).all()
    np.testing.assert_allclose(high - low, 10 / 2**30, rtol=1e-6)


def test_without_a_change_of_sign_bisection_ends_at_the_nearest_bound():
    low, high = bisect(lambda x: x - np.array([-1.0, 0.5, 2.0]), 0.0, 1.0, halvings=20)
    assert (low[0], high[2]) == (0.0, 1.0)
    assert (high[0], low[2]) == pytest.approx((0.0, 1.0), abs=1e-6)
    assert low[1] == pytest.approx(0.5, abs=1e-6)


def test_bisection_takes_what_is_infinite_and_leaves_out_what_is_no_number():
    low, high = bisect(lambda x: np.where(x < 0.3, -np.inf, np.inf) + np.array([0.0, np.nan]), 0.0, 1.0)
    assert low[0] == pytest.approx(0.3)
    assert np.isnan(low[1])
    assert np.isnan(high[1])


def test_newton_finds_every_root():
    found, rests = newton(lambda x: (rising(x), RATES * np.exp(RATES * x)), np.ones((3, 2)), steps=60, tolerance=1e-13)
    assert rests
    np.testing.assert_allclose(found, roots(), rtol=1e-12)


def test_newton_steps_no_further_than_it_may_and_says_where_it_has_no_rest():
    def away(x):
        return np.ones_like(x), np.full_like(x, -1e-3)

    assert newton(away, np.zeros(2), steps=3, tolerance=1e-6, largest=0.5)[0].tolist() == [1.5, 1.5]
    inside, rests = newton(away, np.zeros(2), steps=3, tolerance=1e-6, largest=0.5, bounds=(0.0, np.array([1.0, 1.25])))
    assert inside.tolist() == [1.0, 1.25]
    assert not rests


def test_an_element_without_a_number_does_not_keep_newton_from_the_others():
    start = np.array([1.0, np.nan, 0.0])  # the last has no slope where it begins
    found, rests = newton(lambda x: (x**2 - 4, 2 * x), start, steps=20, tolerance=1e-12, largest=3.0)
    assert rests
    assert found[0] == pytest.approx(2.0)
    assert np.isnan(found[1])
    assert found[2] == pytest.approx(2.0)


@pytest.mark.parametrize("at_an_end", [0.0, 1.0])
def test_minimisation_agrees_with_scipy_and_reaches_the_ends(at_an_end):
    places = np.array([0.137, 0.5, 0.99])
    found = minimise(lambda x: np.cosh(3 * (x - places)), 0.0, np.ones(3), steps=45)
    exact = [minimize_scalar(lambda x, c=c: np.cosh(3 * (x - c)), bounds=(0, 1), method="bounded").x for c in places]
    np.testing.assert_allclose(found, exact, atol=1e-5)
    assert minimise(lambda x: np.abs(x - at_an_end), 0.0, np.ones(1)).item() == pytest.approx(at_an_end, abs=1e-6)


def test_of_several_minima_the_grid_takes_the_lowest():
    def waves(x):
        return np.cos(20 * x) + x

    exact = minimize_scalar(waves, bounds=(0.1, 0.2), method="bounded").x
    assert minimise(waves, 0.0, np.array([1.0]), grid=101, steps=40).item() == pytest.approx(exact, abs=1e-5)


def test_crossings_are_inverse_interpolation():
    x = np.array([0.0, 1.0, 3.0, 4.0])
    curves = np.cumsum([[0.0, 1.0], [2.0, 0.5], [1.0, 1.0], [0.1, 5.0]], axis=0)
    for level in (1.2, 2.7, 3.0):
        exact = [np.interp(level, curve, x) for curve in curves.T]
        np.testing.assert_allclose(first_crossing(x, curves, level), exact, rtol=1e-14)
    own = first_crossing(x, curves, np.array([2.0, 7.5]))
    np.testing.assert_allclose(own, [1.0, 4.0])


def test_a_crossing_is_the_first_and_off_the_ends_there_is_none():
    x, up_and_down = np.arange(4.0), np.array([0.0, 2.0, 0.0, 2.0])
    assert float(first_crossing(x, up_and_down, 1.0)) == 0.5
    assert float(first_crossing(x, up_and_down, 0.0)) == 0.0
    assert float(first_crossing(x, up_and_down, -1.0)) == -np.inf
    assert float(first_crossing(x, up_and_down, 3.0, never=9.0)) == 9.0
    assert float(first_crossing(x, up_and_down + np.nan, 1.0)) == np.inf
    assert first_crossing(x[:1], np.array([[0.0, 1.0, 2.0]]), 1.0).tolist() == [np.inf, 0.0, -np.inf]


def test_equal_weights_give_the_quantiles_of_the_draws():
    draws = np.random.default_rng(0).standard_normal(2000)
    found = weighted_quantile(draws, np.full(2000, 1 / 2000), [0.05, 0.5, 0.95])
    np.testing.assert_allclose(found, np.quantile(draws, [0.05, 0.5, 0.95], method="hazen"), rtol=1e-9)


def test_a_weight_counts_as_so_many_draws():
    values, counts = np.array([3.0, 1.0, 2.0]), np.array([500, 300, 200])
    found = weighted_quantile(values, counts / 1000, [0.15, 0.4, 0.75])
    np.testing.assert_allclose(found, [1.0, 2.0, 3.0])
    assert weighted_quantile(values, np.array([0.0, 1.0, 0.0]), 0.5).item() == 1.0


@pytest.mark.parametrize("count", [30, 60, 226, 1000, 5000])
@pytest.mark.parametrize("width", [0.1, 1.0, 4.0])
def test_smoothed_weights_are_those_of_arviz(count, width):
    log_ratio = width * np.random.default_rng(count).standard_t(4, count)
    theirs, shape = array_stats.psislw(-log_ratio)
    weights, ours = smoothed_weights(log_ratio)
    assert ours == pytest.approx(float(shape), rel=1e-9, abs=1e-9)
    np.testing.assert_allclose(weights, np.exp(theirs - theirs.max()) / np.exp(theirs - theirs.max()).sum(), rtol=1e-9)


def test_a_tail_of_equal_weights_says_nothing():
    weights, shape = smoothed_weights(np.r_[np.zeros(500), np.ones(100)])
    assert shape == np.inf
    assert weights.sum() == pytest.approx(1.0)
    assert smoothed_weights(np.zeros(100))[1] == 0.0
