"""The likelihood with effects that runs share: they are Normal, so they are integrated out and drawn again afterwards.

With log losses y = mu + V z + noise, z standard Normal, V of few columns, and noise that is independent once what the row
before it on its run says is taken off, the density of y needs a matrix of the size of z alone (Woodbury), and z given y
is Normal too. The effects z are steps of walks, and noise that rows share. What the sampler moves in is then the law,
the scatter and the scales of the effects: walks and the law, which can stand in for each other, never meet in it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytensor.tensor as pt

from bayes_scaling.model.scatter import uncorrelated

_LOG_TWO_PI = float(np.log(2 * np.pi))
_AT_ONCE = 200


def log_density(y: Any, mu: Any, scale: Any, loadings: Any, kept: Any, before: Any) -> Any:
    """Return the log density of y ~ Normal(mu, R + loadings loadings'), R the covariance of the scatter.

    Parameters
    ----------
    y, mu, scale : tensor
        One value a run; the scatter has standard deviation ``scale``.
    loadings : tensor
        One row a run, one column an effect.
    kept, before : tensor
        Share of the standardized scatter of the row before it on its run that each keeps, and which row that is.

    Returns
    -------
    tensor
        A number.
    """
    residual: Any = uncorrelated((y - mu) / scale, before, kept)
    weights = _rows_uncorrelated(loadings / scale[:, None], before, kept)
    variance: Any = 1 - kept**2
    weighted = weights / variance[:, None]
    root: Any = pt.linalg.cholesky(pt.eye(loadings.shape[1]) + weights.T @ weighted)
    explained: Any = pt.linalg.solve_triangular(root, weighted.T @ residual, lower=True)
    log_variance: Any = pt.log(variance * scale**2)
    log_root: Any = pt.log(pt.diag(root))
    spread = log_variance.sum() + 2 * log_root.sum() + y.shape[0] * _LOG_TWO_PI
    return -0.5 * ((residual**2 / variance).sum() - (explained**2).sum() + spread)


def draw_effects(
    residual: np.ndarray,
    scale: np.ndarray,
    design: np.ndarray,
    widths: np.ndarray,
    level: np.ndarray,
    kept: np.ndarray,
    before: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Draw the standard effects z given what is left of the runs, one for each draw of everything else.

    Parameters
    ----------
    residual, scale : ndarray, shape (draw, run)
        Log loss less the law's, and the standard deviation of the scatter.
    design : ndarray, shape (run, effect)
        What each effect adds to each run at a scale of one.
    widths : ndarray, shape (draw, effect)
        Scale of the walk, or part of the noise, that each effect belongs to.
    level : ndarray, shape (draw, run)
        By what factor a run takes them.
    kept : ndarray, shape (draw, run)
        As for :func:`log_density`.
    before : ndarray, shape (run,)
        As for :func:`log_density`.
    rng : Generator
        Source of randomness.

    Returns
    -------
    ndarray, shape (draw, effect)
        Independent draws.
    """
    found = np.empty(widths.shape)
    for start in range(0, len(residual), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        left = uncorrelated(residual[part] / scale[part], before, kept[part])
        loadings = (level[part] / scale[part])[:, :, None] * design * widths[part, None, :]
        loadings = _rows_uncorrelated(loadings, before, kept[part])
        weighted = loadings / (1 - kept[part] ** 2)[:, :, None]
        precision = np.eye(design.shape[1]) + np.swapaxes(loadings, 1, 2) @ weighted
        mean = np.linalg.solve(precision, np.einsum("drk,dr->dk", weighted, left)[..., None])
        root = np.linalg.cholesky(precision)
        noise = np.linalg.solve(np.swapaxes(root, 1, 2), rng.standard_normal(mean.shape))
        found[part] = (mean + noise)[..., 0]
    return found


def _rows_uncorrelated(loadings: Any, before: Any, kept: Any) -> Any:
    """Return loadings as :func:`~bayes_scaling.model.scatter.uncorrelated` returns residuals, rows along the last dimension but one."""
    return loadings - kept[..., None] * loadings[..., before, :]
