"""A cheap density near an expensive one: that of some rows of a large table, and a paraboloid for what the other rows add.

What a few rows leave of a posterior is wide and bent where that of all rows is: in the scales of noise and discrepancy, of
which a thousand rows say nearly as much as a hundred thousand. Of the law the other rows say far more, but there the
posterior is narrow, and what they add is all but a paraboloid over it. It is fitted to points whose densities are known.
Nothing is decided by it: walkers move in it a few times, and all rows say whether they stay (surrogate transition: Liu 2001).
"""

from __future__ import annotations

from typing import Final, Self

import numpy as np

from bayes_scaling.inference.importance import Weighted
from bayes_scaling.model.density import Surface

_MANY_ROWS: Final = 8_000
"""Rows beyond which all of them cost more than moves that are wasted by going without them."""
_SOME_ROWS: Final = 1000
_POINTS: Final = 4000
"""Points that the paraboloid is fitted to: those of late."""
_PER_NUMBER: Final = 8
"""Points for each of its numbers, at the fewest."""


class Surrogate(Surface):
    """The density of some rows, and a paraboloid fitted to what the others add.

    Parameters
    ----------
    some : Surface
        The density of some rows.
    points : ndarray, shape (point, coordinate)
        Points of the posterior of all rows.
    log_density : ndarray, shape (point,)
        Log densities of that posterior there.
    """

    def __init__(self, some: Surface, points: np.ndarray, log_density: np.ndarray) -> None:
        self._some = some
        self._points, self._added = np.empty((0, some.size)), np.empty(0)
        self._fit(points, log_density - some.of(points))

    @classmethod
    def near(cls, density: Surface, weighted: Weighted, rng: np.random.Generator) -> Self | None:
        """Return the surrogate of a density at weighted draws; nothing where the table is not large, or unknowns are many."""
        numbers = (density.size + 1) * (density.size + 2) // 2
        if _PER_NUMBER * numbers > _POINTS or density.rows <= _MANY_ROWS:
            return None
        chosen = rng.choice(len(weighted.points), _POINTS, p=weighted.weights)
        return cls(density.on_some_rows(_SOME_ROWS), weighted.points[chosen], weighted.log_density[chosen])

    @property
    def size(self) -> int:
        """How many numbers a point has."""
        return self._some.size

    def learn(self, points: np.ndarray, lacking: np.ndarray) -> None:
        """Fit the paraboloid anew, with more points and what it lacks there, and without points of long ago."""
        self._fit(points, lacking + self._paraboloid(points))

    def _fit(self, points: np.ndarray, added: np.ndarray) -> None:
        known = np.isfinite(added)
        self._points = np.vstack([self._points, points[known]])[-_POINTS:]
        self._added = np.append(self._added, added[known])[-_POINTS:]
        self._middle, self._spread = self._points.mean(axis=0), self._points.std(axis=0) + 1e-12
        self._numbers, *_ = np.linalg.lstsq(self._products(self._points), self._added)

    def _products(self, points: np.ndarray) -> np.ndarray:
        """Return one, the coordinates, and the products of two of them, shape (point, number)."""
        x = np.column_stack([np.ones(len(points)), (points - self._middle) / self._spread])
        one, other = np.triu_indices(x.shape[1])
        return x[:, one] * x[:, other]

    def parts(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the log density of the prior, and of what was measured as it is approximated."""
        prior, measured = self._some.parts(points)
        return prior, measured + self._paraboloid(points)

    def _paraboloid(self, points: np.ndarray) -> np.ndarray:
        return self._products(points) @ self._numbers
