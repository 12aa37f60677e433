"""The density in numpy: its coordinates. Its values are held to PyMC's beside the golden numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bayes_scaling.model.density import LogDensity
from bayes_scaling.model.document import read_model
from bayes_scaling.model.layout import Layout
from bayes_scaling.runs.table import read_runs
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


@pytest.fixture(scope="module")
def along_runs():
    """The density of a document whose noise has a nugget, given points along runs."""
    N, D = (axis.ravel() for axis in np.meshgrid(np.geomspace(3e7, 3e8, 4), np.geomspace(1e9, 1e10, 5)))
    table = pd.DataFrame({"params": N, "tokens": D, "run_id": np.char.mod("r%g", N), "checkpoint": True})
    loss = 1.8 + 400 * N**-0.34 + 410 * D**-0.28
    table["loss"] = loss * np.exp(0.005 * np.random.default_rng(0).standard_normal(20))
    return LogDensity(Layout.of(read_model("kappa"), {"loss": read_runs(table).table}))


def test_noise_and_nugget_are_told_by_their_total_and_ratio(along_runs):
    names = [coordinate.name for coordinate in along_runs.coordinates]
    points = along_runs.from_prior(np.random.default_rng(0), 50)
    draws = along_runs.draws(points, (1, 50))
    np.testing.assert_allclose(along_runs.points(draws), points, rtol=1e-9, atol=1e-9)
    sigma, nugget = (draws[name].values[0] for name in ("sigma", "nugget"))
    np.testing.assert_allclose(points[:, names.index("sigma")], 0.5 * np.log(sigma**2 + nugget**2), rtol=1e-9)
    np.testing.assert_allclose(points[:, names.index("nugget")], np.log(nugget / sigma), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(along_runs.from_pymc(along_runs.in_pymc(points)), points, rtol=1e-12, atol=1e-12)
    steps = 1e-6 * np.eye(along_runs.size)
    slopes = (along_runs.in_pymc(points[0] + steps) - along_runs.in_pymc(points[0] - steps)) / 2e-6
    assert np.linalg.det(slopes) == pytest.approx(1.0, abs=1e-6)


def test_one_unknown_is_drawn_anew_from_its_prior(along_runs):
    noise = ("sigma", "nugget", "growth", "floor", "length", "discrepancy_scale_N", "discrepancy_scale_D")
    rng = np.random.default_rng(1)
    points = np.repeat(along_runs.from_prior(rng, 1), 4000, axis=0)
    others, rise = along_runs.from_own_priors(points, rng)
    before, after = (along_runs.draws(each, (1, 4000)) for each in (points, others))
    changed = {name: ~np.isclose(before[name].values[0], after[name].values[0], rtol=1e-12) for name in before}
    priors = [along_runs.parts(each)[0] for each in (points, others)]
    for name in noise:
        alone = changed[name] & (sum(changed[other] for other in noise) == 1)
        assert alone.sum() > 100
        # Nothing else depends on them: the prior of the whole rises by as much as that of the unknown.
        np.testing.assert_allclose((priors[1] - priors[0])[alone], rise[alone], rtol=1e-9, atol=1e-9)
        coordinate = next(each for each in along_runs.coordinates if each.name == name)
        drawn = after[name].values[0][alone]
        expected = coordinate.prior.draw(np.random.default_rng(2), 4000)
        assert stats.ks_2samp(drawn, expected).pvalue > 1e-4
