"""The likelihood with a discrepancy: its steps are Normal, so they are integrated out and drawn again afterwards.

With log losses y = mu + V z + noise, z standard Normal, V of few columns and independent noise of variance v, the
density of y needs a matrix of the size of z alone (Woodbury), and z given y is Normal too. What the sampler moves in is
then the law, the scatter and the scales of the walks: the steps and the law, which can stand in for each other, never
meet in it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytensor.tensor as pt

_LOG_TWO_PI = float(np.log(2 * np.pi))
_AT_ONCE = 200


def log_density(y: Any, mu: Any, variance: Any, loadings: Any) -> Any:
    """Return the log density of y ~ Normal(mu, diag(variance) + loadings loadings').

    Parameters
    ----------
    y, mu, variance : tensor
        One value a run.
    loadings : tensor
        One row a run, one column a step.

    Returns
    -------
    tensor
        A number.
    """
    residual: Any = y - mu
    weighted = loadings / variance[:, None]
    root: Any = pt.linalg.cholesky(pt.eye(loadings.shape[1]) + loadings.T @ weighted)
    explained: Any = pt.linalg.solve_triangular(root, weighted.T @ residual, lower=True)
    log_variance: Any = pt.log(variance)
    log_root: Any = pt.log(pt.diag(root))
    spread = log_variance.sum() + 2 * log_root.sum() + y.shape[0] * _LOG_TWO_PI
    return -0.5 * ((residual**2 / variance).sum() - (explained**2).sum() + spread)


def draw_steps(
    residual: np.ndarray,
    variance: np.ndarray,
    design: np.ndarray,
    scales: np.ndarray,
    level: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Draw the standard steps z given what is left of the runs, one for each draw of everything else.

    Parameters
    ----------
    residual, variance : ndarray, shape (draw, run)
        Log loss less the law's, and the variance of the noise.
    design : ndarray, shape (run, step)
        What each step adds to each run at a scale of one.
    scales : ndarray, shape (draw, step)
        Scale of the walk that each step belongs to.
    level : ndarray, shape (draw, run)
        By what factor a run takes the walks.
    rng : Generator
        Source of randomness.

    Returns
    -------
    ndarray, shape (draw, step)
        Independent draws.
    """
    found = np.empty(scales.shape)
    for start in range(0, len(residual), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        loadings = level[part, :, None] * design * scales[part, None, :]
        weighted = loadings / variance[part, :, None]
        precision = np.eye(design.shape[1]) + np.swapaxes(loadings, 1, 2) @ weighted
        mean = np.linalg.solve(precision, np.einsum("drk,dr->dk", weighted, residual[part])[..., None])
        root = np.linalg.cholesky(precision)
        noise = np.linalg.solve(np.swapaxes(root, 1, 2), rng.standard_normal(mean.shape))
        found[part] = (mean + noise)[..., 0]
    return found
