"""Uniformity of ranks: simulation-based calibration of one parameter (Talts et al. 2018), with bands by simulation."""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np

_NULLS: Final = 4000
_POINTS: Final = (np.arange(50) + 0.5) / 50


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
    return _POINTS, (ranks[:, None] <= _POINTS).mean(axis=0) - _POINTS


def band(count: int, prob: float = 0.95) -> np.ndarray:
    """Return half the height, at each point, of the band that covers the whole difference of uniform ranks with a probability."""
    return float(np.quantile(_worst_by_chance(count), prob)) * _spread(count)


def p_of_uniform(ranks: np.ndarray) -> float:
    """Return the p-value of uniform ranks by their largest standardised difference.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> bool(p_of_uniform(rng.uniform(size=200)) > 0.01), bool(p_of_uniform(rng.beta(2, 2, size=200)) < 0.01)
    (True, True)
    """
    return float((_worst_by_chance(len(ranks)) >= _worst(ranks) - 1e-12).mean())


@cache
def _worst_by_chance(count: int) -> np.ndarray:
    return np.array([_worst(ranks) for ranks in np.random.default_rng(0).uniform(size=(_NULLS, count))])


def _worst(ranks: np.ndarray) -> float:
    below = np.searchsorted(np.sort(ranks), _POINTS, side="right")
    return float(np.max(np.abs(below / len(ranks) - _POINTS) / _spread(len(ranks))))


def _spread(count: int) -> np.ndarray:
    """Return the standard deviation of the difference at each point, of so many uniform ranks."""
    return np.sqrt(_POINTS * (1 - _POINTS) / count)
