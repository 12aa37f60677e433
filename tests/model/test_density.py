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
