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


def test_exponents_are_told_by_themselves(along_runs):
    names = [coordinate.name for coordinate in along_runs.coordinates]
    points = along_runs.from_prior(np.random.default_rng(0), 50)
    draws = along_runs.draws(points, (1, 50))
    for name, median in (("a", np.exp(-0.87)), ("b", np.exp(-0.32))):
        np.testing.assert_allclose(points[:, names.index(name)], draws[name].values[0] / median, rtol=1e-9)
        below = points.copy()
        below[:, names.index(name)] *= -1
        assert (along_runs.of(below) == -np.inf).all()


def test_points_are_those_of_pymc_and_the_determinant_is_known(along_runs):
    points = along_runs.from_prior(np.random.default_rng(0), 50)
    there, log_determinant = along_runs.straight.to_pymc(points)
    np.testing.assert_allclose(along_runs.straight.from_pymc(there), points, rtol=1e-12, atol=1e-12)
    steps = 1e-6 * np.eye(along_runs.size)
    for point, expected in zip(points[:5], log_determinant, strict=False):
        ends = (along_runs.straight.to_pymc(point + sign * steps)[0] for sign in (1, -1))
        assert np.linalg.slogdet(np.subtract(*ends) / 2e-6)[1] == pytest.approx(expected, abs=1e-6)


def test_one_unknown_is_drawn_anew_from_its_prior(along_runs):
    noise = ("sigma", "nugget", "growth", "floor", "length", "discrepancy_scale_N", "discrepancy_scale_D")
    rng = np.random.default_rng(1)
    points = np.repeat(along_runs.from_prior(rng, 1), 500, axis=0)
    before, prior = along_runs.draws(points, (1, 500)), along_runs.parts(points)[0]
    seen = set()
    for _ in range(60):
        others, rise = along_runs.from_own_priors(points, rng)
        after = along_runs.draws(others, (1, 500))
        changed = [name for name in noise if not np.isclose(before[name].values, after[name].values, rtol=1e-12).all()]
        # Nothing else depends on them: the prior of the whole rises by as much as that of the unknown.
        if changed:
            np.testing.assert_allclose(along_runs.parts(others)[0] - prior, rise, rtol=1e-9, atol=1e-9)
            (name,) = changed
            coordinate = next(each for each in along_runs.coordinates if each.name == name)
            expected = coordinate.prior.draw(np.random.default_rng(2), 4000)
            assert stats.ks_2samp(after[name].values[0], expected).pvalue > 1e-4
            seen.add(name)
    assert seen == set(noise)


def test_an_exponent_that_is_drawn_anew_rises_as_its_prior(along_runs):
    """With respect to the exponent itself, not to its logarithm."""
    names, rng = [coordinate.name for coordinate in along_runs.coordinates], np.random.default_rng(1)
    points = along_runs.from_prior(rng, 200)
    place = names.index("a")
    for _ in range(200):
        others, rise = along_runs.from_own_priors(points, rng)
        if not np.allclose(others[:, place], points[:, place]):
            break
    ratio, median = stats.lognorm(s=0.6), np.exp(-0.87)
    drawn = [along_runs.draws(each, (1, 200))["a"].values[0] / median for each in (points, others)]
    np.testing.assert_allclose(rise, ratio.logpdf(drawn[1]) - ratio.logpdf(drawn[0]), rtol=1e-9, atol=1e-9)
