"""The modes of a posterior: many starts from the prior, each climbed while the likelihood is turned up.

At a small power of the likelihood the posterior is smooth and nearly without side peaks; a maximum that is followed from
there to the whole likelihood ends in a deep one far more often than a climb that begins at the whole. Starts go on until
the deepest mode was reached from several of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from bayes_scaling.model.density import LogDensity, Surface

_POWERS: Final = (0.01, 0.1)
"""Powers of the likelihood at which a climb begins."""
_MOST_STARTS: Final = 32
_FEW_UNKNOWNS: Final = 15
_FEWEST_STARTS: Final = {True: 12, False: 6}
_REACHED: Final = {True: 4, False: 2}
"""Starts, and those of them that have to end in the deepest mode, where the unknowns are few and where they are many: a start
costs the square of their number."""
_CANDIDATES: Final = 500
_TOGETHER: Final = 0.05
"""Distance, in standard deviations of the prior, within which two climbs are one."""
_CLIMBS: Final = 4
_AT_REST: Final = 0.05
"""Squared gradient, in the local scale, below which a climb has arrived."""
_SAME: Final = 1.0
"""Distance, in standard deviations of a mode, within which another one is the same."""
_NEGLIGIBLE: Final = 12.0
"""Difference of log mass at which a mode is left out: a share of some millionths."""


@dataclass(frozen=True)
class Mode:
    """A maximum of the posterior's density.

    Parameters
    ----------
    point : ndarray, shape (coordinate,)
        Where it is.
    log_density : float
        Log density there.
    covariance : ndarray, shape (coordinate, coordinate)
        Inverse of the curvature there (Laplace's approximation).
    """

    point: np.ndarray
    log_density: float
    covariance: np.ndarray

    @property
    def log_mass(self) -> float:
        """Logarithm of the mass by Laplace's approximation, up to a constant that all modes share."""
        return self.log_density + 0.5 * float(np.linalg.slogdet(self.covariance)[1])

    def distance(self, points: np.ndarray) -> np.ndarray:
        """Return how far points lie from the mode, in its standard deviations."""
        z = np.linalg.solve(np.linalg.cholesky(self.covariance), (points - self.point).T)
        return np.sqrt((z**2).sum(axis=0))


def shares_of(modes: Sequence[Mode]) -> np.ndarray:
    """Return the share of the mass that each mode has, by Laplace's approximation."""
    log_masses = np.array([mode.log_mass for mode in modes])
    masses = np.exp(log_masses - log_masses.max(initial=-np.inf))
    return masses / masses.sum()


def find_modes(density: LogDensity, rng: np.random.Generator) -> list[Mode]:
    """Return the modes of a posterior that matter, that of the largest mass first.

    Parameters
    ----------
    density : LogDensity
        The posterior.
    rng : Generator
        Source of the starts.
    """
    prior = density.from_prior(rng, _CANDIDATES)
    spread = prior.std(axis=0)
    modes: list[Mode] = []
    reached: list[int] = []
    ends: list[tuple[np.ndarray, int | None]] = []
    few = density.size <= _FEW_UNKNOWNS
    for count, start in enumerate(_starts(density, prior)):
        point = start
        for power in _POWERS:
            point = _climb(density, point, np.diag(spread), power)
        # Starts that the smooth posterior has brought together go on together.
        near = [end for end in ends if np.abs((end[0] - point) / spread).max() < _TOGETHER]
        which = near[0][1] if near else _reach(density, point, modes, spread)
        ends.append((point, which))
        if which is None:
            continue
        reached += [0] * (len(modes) - len(reached))
        reached[which] += 1
        if count + 1 >= _FEWEST_STARTS[few] and reached[_deepest(modes)] >= _REACHED[few]:
            break
    return _that_matter(modes)


def with_modes_near(density: LogDensity, modes: list[Mode], points: np.ndarray) -> list[Mode]:
    """Return the modes that matter, with those that a climb from any of some points reaches."""
    every = list(modes)
    spread = np.sqrt(np.diag(modes[0].covariance))
    for point in points:
        _reach(density, point, every, spread)
    return _that_matter(every)


def climbed(density: Surface, starts: np.ndarray, covariance: np.ndarray) -> list[Mode]:
    """Return the modes that climbs from starts reach, that of the largest mass first; covariance is a first guess of the scale."""
    modes: list[Mode] = []
    for start in starts:
        _reach(density, start, modes, np.sqrt(np.diag(covariance)))
    return _that_matter(modes)


def _reach(density: Surface, start: np.ndarray, modes: list[Mode], spread: np.ndarray) -> int | None:
    """Climb from a start, and return the number of the mode it ends in, which is added where it is new."""
    point, metric = start, np.diag(spread)
    for _ in range(_CLIMBS):
        point = _climb(density, point, metric, 1.0)
        log_density, gradient = density.slope(point)
        if not np.isfinite(log_density):
            return None
        for number, mode in enumerate(modes):
            if _is_same(mode, point, log_density):
                return number
        covariance = _inverse(-density.curvature(point), spread)
        if gradient @ covariance @ gradient < _AT_REST:
            modes.append(Mode(point, log_density, covariance))
            return len(modes) - 1
        metric = np.linalg.cholesky(covariance)  # stopped on its way: go on in the local scale
    return None


def _that_matter(modes: list[Mode]) -> list[Mode]:
    largest = max((mode.log_mass for mode in modes), default=0.0)
    return sorted((m for m in modes if m.log_mass > largest - _NEGLIGIBLE), key=lambda mode: -mode.log_mass)


def _deepest(modes: list[Mode]) -> int:
    return int(np.argmax([mode.log_density for mode in modes]))


def _starts(density: LogDensity, prior: np.ndarray) -> np.ndarray:
    """Return where climbs begin: draws of the prior, half of them those under which the runs are likeliest."""
    likeliest = np.argsort(-density.parts(prior)[1])
    order = np.empty(_MOST_STARTS, dtype=int)
    order[0::2], order[1::2] = likeliest[: _MOST_STARTS // 2], np.arange(_MOST_STARTS // 2)
    return prior[order]


def _is_same(mode: Mode, point: np.ndarray, log_density: float) -> bool:
    return abs(mode.log_density - log_density) < _SAME and float(mode.distance(point[None])[0]) < _SAME


def _climb(density: Surface, start: np.ndarray, metric: np.ndarray, power: float) -> np.ndarray:
    """Return the maximum above a start, at a power of the likelihood."""
    from scipy.optimize import minimize

    def downhill(z: np.ndarray) -> tuple[float, Any]:
        value, gradient = density.slope(start + metric @ z, power)
        return (-value, -gradient @ metric) if np.isfinite(value) else (1e300, np.zeros(density.size))

    exact = power == 1.0
    options = {"maxiter": 400 if exact else 40, "maxcor": 30, "ftol": 1e-11 if exact else 1e-4, "gtol": 1e-2}
    best = minimize(downhill, np.zeros(density.size), jac=True, method="L-BFGS-B", options=options)
    return start + metric @ best.x


def _inverse(precision: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Return the covariance for a curvature; directions in which the density does not fall are as wide as the prior."""
    scale = np.outer(spread, spread)
    values, vectors = np.linalg.eigh(precision * scale)
    values = np.where(values > 0.2, values, 1.0)
    return (vectors / values) @ vectors.T * scale
