"""Modes and importance sampling on posteriors that are known in closed form."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from bayes_scaling.inference.importance import sample_by_importance
from bayes_scaling.inference.modes import Mode, find_modes, with_modes_near
from bayes_scaling.model.density import Surface

RNG = 5


class Known(Surface):
    """A mixture of Normals as a posterior: a wide Normal prior, and what is left as the likelihood."""

    size = 3

    def __init__(self, shares, centres, scale=0.1):
        self.shares, self.scale = np.array(shares), scale
        self.centres = np.array(centres, float)

    def parts(self, points):
        prior = stats.norm.logpdf(points, scale=2.0).sum(axis=1)
        kernels = np.stack([stats.norm.logpdf(points - c, scale=self.scale).sum(axis=1) for c in self.centres])
        whole = np.logaddexp.reduce(kernels + np.log(self.shares)[:, None], axis=0)
        return prior, whole - prior

    def from_prior(self, rng, count):
        return 2.0 * rng.standard_normal((count, self.size))


ONE = Known([1.0], [[0.5, -0.5, 1.0]])
TWO = Known([0.8, 0.2], [[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]])


def test_the_mode_of_one_normal():
    (mode,) = find_modes(ONE, np.random.default_rng(RNG))
    assert mode.point == pytest.approx([0.5, -0.5, 1.0], abs=1e-4)
    np.testing.assert_allclose(mode.covariance, 0.01 * np.eye(3), atol=1e-5)
    np.testing.assert_allclose(mode.distance(np.array([[0.5, -0.5, 1.2]])), [2.0], rtol=1e-3)


def test_all_modes_with_their_masses():
    modes = find_modes(TWO, np.random.default_rng(RNG))
    assert len(modes) == 2
    assert modes[0].point == pytest.approx([-1.0, -1.0, -1.0], abs=1e-3)
    assert np.exp(modes[1].log_mass - modes[0].log_mass) == pytest.approx(0.25, rel=0.01)


def test_a_mode_that_was_missed_is_found_from_a_draw():
    first = find_modes(TWO, np.random.default_rng(RNG))[1:]
    assert len(with_modes_near(TWO, first, np.array([[-0.9, -1.1, -1.0]]))) == 2
    assert len(with_modes_near(TWO, first, first[0].point[None])) == 1


def test_moments_and_masses_are_exact():
    modes = find_modes(TWO, np.random.default_rng(RNG))
    drawn = sample_by_importance(TWO, modes, np.random.default_rng(RNG))
    assert drawn.effective > 4000
    assert drawn.tail_shape < 0.5
    upper = drawn.points[:, 0] > 0
    assert drawn.weights[upper].sum() == pytest.approx(0.2, abs=0.02)
    inside = drawn.weights * upper / drawn.weights[upper].sum()
    assert inside @ drawn.points == pytest.approx([1.0, 1.0, 1.0], abs=0.01)
    assert np.sqrt(inside @ (drawn.points - 1) ** 2) == pytest.approx([0.1, 0.1, 0.1], rel=0.08)


def test_a_proposal_that_is_too_narrow_adapts():
    (mode,) = find_modes(ONE, np.random.default_rng(RNG))
    narrow = Mode(mode.point + 0.2, mode.log_density, mode.covariance / 100)
    drawn = sample_by_importance(ONE, [narrow], np.random.default_rng(RNG))
    assert drawn.effective > 4000
    assert drawn.weights @ drawn.points == pytest.approx([0.5, -0.5, 1.0], abs=0.01)


def test_what_cannot_be_reached_is_told_by_the_weights():
    """A ridge in many more dimensions than draws can learn."""

    class Ridge(Known):
        size = 60

        def parts(self, points):
            prior = stats.norm.logpdf(points, scale=2.0).sum(axis=1)
            width = np.exp(points[:, :1])
            return prior, stats.norm.logpdf(points[:, 1:], scale=width).sum(axis=1) - 3 * points[:, 0] ** 2

    mode = Mode(np.zeros(60), 0.0, 0.01 * np.eye(60))
    drawn = sample_by_importance(Ridge([1.0], [[0.0] * 60]), [mode], np.random.default_rng(RNG), most=4000)
    assert drawn.tail_shape > 0.7 or drawn.effective < 400
