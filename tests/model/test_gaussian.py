"""The density of rows that are Normal together, at a batch of draws: the same in every way it is worked out."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from bayes_scaling.model import gaussian

DRAWS = 5


def blocks(rng):
    """Two groups of rows with effects of their own, a row with one, and one with none."""
    basis = np.zeros((9, 7))
    basis[:4, :3], basis[4:7, 3:5], basis[7, 5] = rng.normal(size=(4, 3)), rng.normal(size=(3, 2)), 1.0
    return gaussian.Basis(basis, np.array([0, 0, 1, 0, 1, 2, 3]))


def few_rows(rng):
    """Fewer rows than effects."""
    return gaussian.Basis(rng.normal(size=(4, 9)), np.array([3, 3, 3, 3, 5, 5, 5, 6, 7]))


def few_effects(rng):
    """Fewer effects than rows."""
    return gaussian.Basis(rng.normal(size=(9, 3)), np.array([0, 0, 1]))


@pytest.mark.parametrize("grows", [False, True])
@pytest.mark.parametrize("own", ["no error", "one of each row", "one of each row and draw"])
@pytest.mark.parametrize("make", [blocks, few_rows, few_effects])
def test_it_is_the_density_of_a_dense_normal(make, own, grows):
    rng = np.random.default_rng(4)
    basis = make(rng)
    rows = len(basis.matrix)
    residual, deviation = rng.normal(size=(DRAWS, rows)), np.exp(rng.normal(size=(DRAWS, 1)))
    growth = np.exp(rng.normal(size=(DRAWS, rows))) if grows else 1.0
    of_scale = np.exp(rng.normal(size=(DRAWS, 8)))
    widths = of_scale[:, basis.scale]
    error = {"no error": None, "one of each row": rng.random(rows)}.get(own, rng.random((DRAWS, rows)))
    found = gaussian.log_density_at_draws(gaussian.AtDraws(residual, deviation, growth, error, widths), basis)
    for draw in range(DRAWS):
        loads = basis.matrix * widths[draw] * np.broadcast_to(growth, residual.shape)[draw][:, None]
        variance = (np.broadcast_to(growth, residual.shape)[draw] * deviation[draw]) ** 2
        variance = variance + (0.0 if error is None else np.broadcast_to(error, residual.shape)[draw])
        covariance = loads @ loads.T + np.diag(variance)
        dense = -0.5 * residual[draw] @ np.linalg.solve(covariance, residual[draw])
        dense -= 0.5 * (np.linalg.slogdet(covariance)[1] + rows * np.log(2 * np.pi))
        assert found[draw] == pytest.approx(dense, rel=1e-10)


def test_groups_that_share_no_effect_are_parts_of_their_own():
    parts = blocks(np.random.default_rng(0)).blocks
    assert [(rows.tolist(), effects.tolist()) for rows, effects, _ in parts] == [
        ([0, 1, 2, 3], [0, 1, 2]),
        ([4, 5, 6], [3, 4]),
        ([7], [5]),
        ([8], []),
    ]
    assert not few_effects(np.random.default_rng(0)).blocks


@pytest.mark.parametrize("own", [None, 0.5])
def test_columns_are_divided_by_the_covariance_of_runs_of_any_length(own):
    """Two runs, of three rows and of one, and a row that belongs to none."""
    rng = np.random.default_rng(2)
    place = np.array([[0.0, 0.4, 1.0], [0.3, 0.4, 0.5]])
    serial = gaussian.Serial(
        np.array([[0, 2, 3], [4, 0, 0]]), np.array([[1.0, 1.0, 1.0], [1.0, 0.0, 0.0]]), place, np.array([1])
    )
    decay = gaussian.Decay(np.array(0.7), np.array(0.2))
    scale, columns = np.exp(rng.normal(size=5)), rng.normal(size=(5, 2))
    variance = None if own is None else own * rng.random(5)
    covariance = np.diag(scale**2)
    run = [0, 2, 3]
    between = np.abs(place[0][:, None] - place[0])
    covariance[np.ix_(run, run)] = np.outer(scale[run], scale[run]) * (0.2 + 0.8 * np.exp(-between / 0.7))
    covariance += np.diag(np.zeros(5) if variance is None else variance)
    found, diagonal = gaussian.solved(columns, scale, variance, serial, decay)
    np.testing.assert_allclose(found, np.linalg.solve(covariance, columns), rtol=1e-9)
    np.testing.assert_allclose(diagonal, np.diag(np.linalg.inv(covariance)), rtol=1e-9)


@pytest.mark.parametrize("noise", [1e-4, 1e-7])
def test_noise_far_below_the_effects_leaves_the_density_exact(noise):
    """Squared residuals of 1e12 standard deviations, nearly all of which effects explain, take no digits from what is left."""
    rng = np.random.default_rng(3)
    basis = gaussian.Basis(rng.normal(size=(4, 9)), np.zeros(9, dtype=int))
    residual = rng.normal(size=(1, 4))
    at = gaussian.AtDraws(residual, np.full((1, 1), noise), np.ones((1, 1)), None, np.ones((1, 9)))
    with mpmath.workdps(50):
        matrix = mpmath.matrix(basis.matrix.tolist())
        covariance = matrix * matrix.T + mpmath.mpf(noise) ** 2 * mpmath.eye(4)
        left = mpmath.matrix(residual[0].tolist())
        square = (left.T * mpmath.lu_solve(covariance, left))[0]
        exact = -0.5 * (square + mpmath.log(mpmath.det(covariance)) + 4 * mpmath.log(2 * mpmath.pi))
    np.testing.assert_allclose(gaussian.log_density_at_draws(at, basis), float(exact), rtol=1e-10)
