"""The coordinates that numpy explores a posterior in, where they are others than PyMC's: those in which it is least bent.

PyMC has every positive unknown by its logarithm. In logarithms two kinds of posteriors are bent and thin at once, and a sampler
whose steps are straight stays in the middle of them, without a sign of it:

- Noise that rows of a run share and the nugget are told apart by little: either may be next to nothing. They are explored by the
  logarithms of the root of the sum of their squares, and of their ratio.
- What is measured of a power A x^a is its logarithm at some x, log A + a log x. Where that is known to a thousandth and A and a are
  each known to a half, as where a term was seen at one x alone, they lie on a line if a is told by itself, not by its logarithm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from bayes_scaling.laws.law import EXPONENT
from bayes_scaling.model import names
from bayes_scaling.model.layout import Layout
from bayes_scaling.model.priors import Prior

_WIDEST: Final = 1.0
"""Standard deviation of the logarithm of an exponent up to which its prior is not too lopsided to be explored by itself."""


@dataclass(frozen=True)
class Coordinate:
    """One unknown: its name, where its numbers lie in a point, and its prior where it is its own."""

    name: str
    place: slice
    prior: Prior | None


class Straight:
    """Coordinates in which a posterior is explored, and PyMC's for them.

    Parameters
    ----------
    layout : Layout
        The model on its tables.
    coordinates : tuple of Coordinate
        The unknowns as PyMC has them, on the real line.
    """

    def __init__(self, layout: Layout, coordinates: tuple[Coordinate, ...]) -> None:
        places = {each.name: each.place.start for each in coordinates}
        priors = {each.name: each.prior for each in coordinates if each.prior is not None and not each.prior.has_bounds}
        each = [[names.of_observation(name, suffix) for name in ("sigma", "nugget")] for suffix, _ in layout]
        self._pairs = [(places[sigma], places[nugget]) for sigma, nugget in each if {sigma, nugget} <= set(priors)]
        exponents = {
            places[name]: priors[name].arguments["mu"]
            for name, kind in layout.model.kinds.items()
            if kind == EXPONENT and name in priors and priors[name].dist == "LogNormal"
            if priors[name].arguments["sigma"] <= _WIDEST
        }
        self._exponents = np.array(list(exponents), dtype=int)
        self._log_unit = np.array(list(exponents.values()))

    def to_pymc(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return points as PyMC has them, shape (point, coordinate), and the log determinants, shape (point,).

        Where an exponent is not positive the log determinant is minus infinity, and the point another one.
        """
        points = points.copy()
        for sigma, nugget in self._pairs:
            total, ratio = points[:, sigma], points[:, nugget]
            points[:, sigma] = total - 0.5 * np.logaddexp(0.0, 2 * ratio)
            points[:, nugget] = points[:, sigma] + ratio
        multiples = points[:, self._exponents]
        inside = multiples > 0
        logs = np.log(np.where(inside, multiples, 1.0))
        points[:, self._exponents] = logs + self._log_unit
        return points, np.where(inside.all(axis=1), -logs.sum(axis=1), -np.inf)

    def from_pymc(self, points: np.ndarray) -> np.ndarray:
        """Return the points that PyMC has otherwise, shape (point, coordinate)."""
        points = points.copy()
        for sigma, nugget in self._pairs:
            one, other = points[:, sigma].copy(), points[:, nugget].copy()
            points[:, sigma], points[:, nugget] = 0.5 * np.logaddexp(2 * one, 2 * other), other - one
        points[:, self._exponents] = np.exp(points[:, self._exponents] - self._log_unit)
        return points
