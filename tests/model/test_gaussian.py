"""The density of rows that are Normal together, at a batch of draws: the same in every way it is worked out."""

from __future__ import annotations

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
