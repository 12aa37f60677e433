"""The density in numpy: its coordinates. Its values are held to PyMC's beside the golden numbers."""

from __future__ import annotations

import numpy as np
import pytest

from bayes_scaling.model.density import LogDensity
from tests.golden import adapter
from tests.golden.densities import CASES


@pytest.mark.parametrize("case", list(CASES))
def test_points_and_draws_are_each_others_inverse(case):
    model, runs = CASES[case]
    density = LogDensity(adapter.as_sampled(model, runs()))
    points = density.from_prior(np.random.default_rng(3), 5)
    assert np.isfinite(points).all()
    assert density.points(density.draws(points, (1, 5))) == pytest.approx(points, rel=1e-9, abs=1e-9)


def test_the_curvature_is_that_of_the_log_density():
    model, runs = CASES["chinchilla"]
    density = LogDensity(adapter.as_sampled(model, runs()))
    point, step = density.start, 1e-3 * np.eye(density.size)

    def second(i, j):
        corners = [point + a * step[i] + b * step[j] for a in (1, -1) for b in (1, -1)]
        return np.array([1, -1, -1, 1]) @ density.of(np.array(corners)) / 4e-6

    expected = np.array([[second(i, j) for j in range(density.size)] for i in range(density.size)])
    assert density.curvature(point) == pytest.approx(expected, rel=0.02, abs=1e-3 * np.abs(expected).max())
