"""Uniformity of ranks: simulation-based calibration of one parameter (Talts et al. 2018), with bands by simulation."""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np

_NULLS: Final = 4000
_POINTS: Final = 50


def rank_of(truth: float, draws: np.ndarray) -> float:
    """Return the relative rank of the truth among draws, between 0 and 1: the middle of its gap.

    Examples
    --------
    >>> float(rank_of(2.5, np.array([1.0, 2.0, 3.0, 4.0])))
    0.5
    """
    below, equal = int((draws < truth).sum()), int((draws == truth).sum())
    return (below + 0.5 * (1 + equal)) / (len(draws) + 1)


def ecdf_difference(ranks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the empirical minus the uniform distribution function of ranks: points and differences."""
    points = (np.arange(_POINTS) + 0.5) / _POINTS
    return points, (ranks[:, None] <= points).mean(axis=0) - points


def band(count: int, prob: float = 0.95) -> np.ndarray:
    """Return half the height of the band that covers the whole difference of uniform ranks with a probability.

    Parameters
    ----------
    count : int
        Number of ranks.
    prob : float
        Probability.

    Returns
    -------
    ndarray
        At the points of :func:`ecdf_difference`.
    """
    points = (np.arange(_POINTS) + 0.5) / _POINTS
    spread = np.sqrt(points * (1 - points) / count)
    return float(np.quantile(_worst_by_chance(count), prob)) * spread


def p_of_uniform(ranks: np.ndarray) -> float:
    """Return the p-value of uniform ranks by their largest standardised difference.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> bool(p_of_uniform(rng.uniform(size=200)) > 0.01), bool(p_of_uniform(rng.beta(2, 2, size=200)) < 0.01)
    (True, True)
    """
    return float((_worst_by_chance(len(ranks)) >= _worst(ranks[None])[0] - 1e-12).mean())


@cache
def _worst_by_chance(count: int) -> np.ndarray:
    return _worst(np.random.default_rng(0).uniform(size=(_NULLS, count)))


def _worst(ranks: np.ndarray) -> np.ndarray:
    points = (np.arange(_POINTS) + 0.5) / _POINTS
    spread = np.sqrt(points * (1 - points) / ranks.shape[1])
    largest = np.empty(len(ranks))
    for number, row in enumerate(np.sort(ranks, axis=1)):
        largest[number] = np.max(np.abs(np.searchsorted(row, points, side="right") / len(row) - points) / spread)
    return largest
