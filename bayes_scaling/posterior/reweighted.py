"""The posterior under another prior, another weight of the runs, or without a row: its draws, weighted anew.

Importance weights are smoothed by a generalised Pareto distribution; where its shape k-hat is above 0.7 the draws cannot say
what the other posterior is, and nothing is returned (Vehtari, Simpson, Gelman, Yao and Gabry 2024).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from bayes_scaling.numerics import smoothed_weights

LARGEST_K: Final = 0.7
"""Shape of the weights above which nothing is read off the draws."""
POWERS: Final = (0.8, 1.25)
"""Powers to which priors and likelihood are raised."""


def mean_under(log_ratio: np.ndarray, values: np.ndarray) -> tuple[float, float]:
    """Return the mean of values in draws weighted by a ratio of densities, NaN where the draws cannot say, and k-hat.

    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=20_000)
    >>> mean, k = mean_under(0.3 * x, x)  # of a standard Normal moved by 0.3
    >>> round(mean, 1), k < 0.5
    (0.3, True)
    """
    weights, shape = smoothed_weights(log_ratio)
    return (float(weights @ values) if shape <= LARGEST_K else np.nan), shape


def power_sensitivity(log_density: np.ndarray, values: np.ndarray) -> tuple[float, float]:
    """Return how far the distribution of values moves as a part of the posterior is raised to a power, and the worst k-hat.

    It is the cumulative Jensen-Shannon distance for each doubling of the power, the mean of both :data:`POWERS`, as ArviZ has
    it; from 0.05 on the values are said to be sensitive to the part (Kallioinen, Paananen, Buerkner and Vehtari 2024).

    Parameters
    ----------
    log_density : ndarray, shape (draw,)
        Log density of the part, prior or likelihood.
    values : ndarray, shape (draw,)
        What may be sensitive to it.
    """
    slopes, worst = [], -np.inf
    for power in POWERS:
        weights, shape = smoothed_weights((power - 1) * log_density)
        slopes.append(distance(values, weights) / abs(np.log2(power)))
        worst = max(worst, shape)
    return (float(np.mean(slopes)) if worst <= LARGEST_K else np.nan), worst


def distance(values: np.ndarray, weights: np.ndarray) -> float:
    """Return the cumulative Jensen-Shannon distance of draws from the same draws weighted (Nguyen and Vreeken 2015).

    It lies between zero and one, is the larger of the values and of their negatives, and is zero where values do not vary.

    >>> distance(np.array([1.0, 2.0, 3.0]), np.full(3, 1 / 3))
    0.0
    """
    order = np.argsort(values)
    width, count = np.diff(values[order]), len(values)
    if not width.any():
        return 0.0
    here, there = np.arange(1, count) / count, np.clip(np.cumsum(weights[order])[:-1], 0.0, 1.0)
    return max(_divergence(width, p, q) for p, q in ((here, there), (1 - here, 1 - there))) ** 0.5


def _divergence(width: np.ndarray, p: np.ndarray, q: np.ndarray) -> float:
    middle = (p + q) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = sum(np.where(one > 0, one * np.log2(one / middle), 0.0) for one in (p, q))
    return max(0.0, float(width @ terms / (width @ (p + q))))
