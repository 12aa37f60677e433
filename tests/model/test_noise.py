"""Noise: residuals that are drawn at scale one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from bayes_scaling.model.noise import StudentT


@pytest.mark.parametrize("nu", [0.001, 3.0])
def test_residuals_of_student_are_numbers_whose_quantiles_are_its_own(nu):
    drawn = StudentT(dist="StudentT", nu=nu, sigma={"dist": "HalfNormal", "sigma": 1.0}).standard(
        np.random.default_rng(1), (20_000,), nu=nu
    )
    assert np.isfinite(drawn).all()
    within = np.mean(np.abs(drawn) < 2.0)
    assert within == pytest.approx(1 - 2 * stats.t(nu).sf(2.0), abs=0.015)
