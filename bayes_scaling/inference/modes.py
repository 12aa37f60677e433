"""The modes of a posterior: many starts from the prior, each climbed while the likelihood is turned up.

At a small power of the likelihood the posterior is smooth and nearly without side peaks; a maximum that is followed from
there to the whole likelihood ends in a deep one far more often than a climb that begins at the whole. Starts go on until
the modes that carry the mass were reached from several of them. All climb at once, as the density at many points together
costs little more than at one. Of a table of many rows some, taken at random, do what a power of the likelihood does: modes
are looked for with these, and followed to those of all rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from bayes_scaling.model.density import LogDensity, Surface

_POWERS: Final = (0.01, 0.1)
"""Powers of the likelihood at which a climb begins."""
ENOUGH_ROWS: Final = 1000
"""Rows with which modes are looked for."""
_MOST_STARTS: Final = 32
_FEW_UNKNOWNS: Final = 15
_FEWEST_STARTS: Final = {True: 12, False: 6}
_REACHED: Final = {True: 4, False: 2}
"""Starts, and those of them that have to end in modes that carry the mass, where the unknowns are few and where they are
many: a start costs the square of their number."""
_CANDIDATES: Final = 500
_FURTHER_STARTS: Final = 4
"""Starts that are added at a time where those were too few."""
_TOGETHER: Final = 0.05
"""Distance, in standard deviations of the prior, within which two climbs are one."""
_MOST_STEPS: Final = 400
_MOST_STEPS_TEMPERED: Final = 40
_LONGEST: Final = 2.0
"""Longest step of a climb, in standard deviations of the first guess of its scale."""
_REST: Final = 1e-5
_REST_TEMPERED: Final = 1e-2
"""Rise of the log density that a step promises, below which a climb is over."""
_CLIMBS: Final = 4
_AT_REST: Final = 0.05
"""Squared gradient, in the local scale, below which a climb has arrived."""
_SAME: Final = 1.0
"""Distance, in standard deviations of a mode, within which another one is the same."""
_LITTLE: Final = 3.0
"""Difference of log mass from which on a mode carries little: a twentieth."""
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
    few = density.on_some_rows(ENOUGH_ROWS)
    modes = _found(few, rng)
    if few is density:
        return modes
    followed: list[Mode] = []
    for mode in modes:
        _reach(density, mode.point[None], followed, mode.covariance)
    return _that_matter(followed)


def _found(density: LogDensity, rng: np.random.Generator) -> list[Mode]:
    """Return the modes that matter of those that starts from the prior reach."""
    prior = density.from_prior(rng, _CANDIDATES)
    spread = prior.std(axis=0)
    starts = _starts(density, prior)
    few = density.size <= _FEW_UNKNOWNS
    modes: list[Mode] = []
    ends: list[int] = []
    for part in np.split(starts, range(_FEWEST_STARTS[few], _MOST_STARTS, _FURTHER_STARTS)):
        points, counts = part, np.ones(len(part), dtype=int)
        for power in _POWERS:
            # Climbs that the smooth posterior has brought together go on together.
            points, counts = _together(_climb(density, points, np.diag(spread**2), power), counts, spread)
        for end, count in zip(_reach(density, points, modes, np.diag(spread**2)), counts, strict=True):
            ends += [] if end is None else [end] * count
        if sum(end in _leading(modes) for end in ends) >= _REACHED[few]:
            break
    return _that_matter(modes)


def with_modes_near(density: Surface, modes: list[Mode], points: np.ndarray) -> list[Mode]:
    """Return the modes that matter, with those that a climb from any of some points reaches."""
    every = list(modes)
    _reach(density, points, every, modes[0].covariance)
    return _that_matter(every)


def climbed(density: Surface, starts: np.ndarray, covariance: np.ndarray) -> list[Mode]:
    """Return the modes that climbs from starts reach, that of the largest mass first; covariance is a first guess of the scale."""
    modes: list[Mode] = []
    _reach(density, starts, modes, covariance)
    return _that_matter(modes)


def _reach(density: Surface, starts: np.ndarray, modes: list[Mode], covariance: np.ndarray) -> list[int | None]:
    """Climb from starts, and return the numbers of the modes they end in, which are added where they are new."""
    points, spread = _climb(density, starts, covariance, 1.0), np.sqrt(np.diag(covariance))
    return [_settled(density, point, modes, spread) for point in points]


def _settled(density: Surface, point: np.ndarray, modes: list[Mode], spread: np.ndarray) -> int | None:
    """Return the number of the mode in which a climb has ended; where it stopped on its way, it goes on in the local scale."""
    for _ in range(_CLIMBS):
        (log_density,), (gradient,) = density.slopes(point[None])
        if not np.isfinite(log_density):
            return None
        for number, mode in enumerate(modes):
            if _is_same(mode, point, log_density):
                return number
        curvature = density.curvature(point)
        if not np.isfinite(curvature).all():  # at the edge of where the density is finite
            return None
        covariance = _inverse(-curvature, spread)
        if gradient @ covariance @ gradient < _AT_REST:
            modes.append(Mode(point, float(log_density), covariance))
            return len(modes) - 1
        (point,) = _climb(density, point[None], covariance, 1.0)
    return None


def _that_matter(modes: list[Mode]) -> list[Mode]:
    largest = max((mode.log_mass for mode in modes), default=0.0)
    return sorted((m for m in modes if m.log_mass > largest - _NEGLIGIBLE), key=lambda mode: -mode.log_mass)


def _leading(modes: list[Mode]) -> set[int]:
    """Return the numbers of the modes beside which the others carry little."""
    largest = max((mode.log_mass for mode in modes), default=0.0)
    return {number for number, mode in enumerate(modes) if mode.log_mass > largest - _LITTLE}


def _starts(density: LogDensity, prior: np.ndarray) -> np.ndarray:
    """Return where climbs begin: draws of the prior, half of them those under which the runs are likeliest."""
    likeliest = np.argsort(-density.parts(prior)[1])
    order = np.empty(_MOST_STARTS, dtype=int)
    order[0::2], order[1::2] = likeliest[: _MOST_STARTS // 2], np.arange(_MOST_STARTS // 2)
    return prior[order]


def _is_same(mode: Mode, point: np.ndarray, log_density: float) -> bool:
    return abs(mode.log_density - log_density) < _SAME and float(mode.distance(point[None])[0]) < _SAME


def _together(points: np.ndarray, counts: np.ndarray, spread: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return one of all points that lie close together, and how many it stands for."""
    near = (np.abs(points[:, None] - points) / spread).max(axis=-1) < _TOGETHER
    first = near.argmax(axis=1)
    kept = np.unique(first)
    return points[kept], np.array([counts[first == number].sum() for number in kept])


def _climb(density: Surface, starts: np.ndarray, covariance: np.ndarray, power: float) -> np.ndarray:
    """Return the maxima above starts, at a power of the likelihood: all climb at once, each by its own quasi-Newton steps.

    A step that does not rise enough is shortened until it does, and each that does improves the inverse of the curvature
    (Broyden, Fletcher, Goldfarb and Shanno; Nocedal and Wright 2006, section 6.1). The covariance is what it is at first.
    """
    most, rest = (_MOST_STEPS, _REST) if power == 1.0 else (_MOST_STEPS_TEMPERED, _REST_TEMPERED)
    scale = np.sqrt(np.diag(covariance))
    points = starts.copy()
    values, slopes = density.slopes(points, power)
    inverses = np.repeat(covariance[None], len(points), axis=0)
    steps, rises = _ascent(inverses, slopes, scale)
    climbing, fresh = np.flatnonzero(np.isfinite(values) & (rises > rest)), np.ones(len(points), dtype=bool)
    for _ in range(most):
        if not len(climbing):
            break
        trials = points[climbing] + steps[climbing]
        found, their_slopes = density.slopes(trials, power)
        risen = found >= values[climbing] + 1e-4 * rises[climbing]
        now = climbing[risen]
        curved = slopes[now] - their_slopes[risen]
        inverses[now] = _improved(inverses[now], steps[now], curved, fresh[now])
        fresh[now] = False
        points[now], values[now], slopes[now] = trials[risen], found[risen], their_slopes[risen]
        steps[now], rises[now] = _ascent(inverses[now], slopes[now], scale)
        short = climbing[~risen]
        with np.errstate(invalid="ignore"):
            fall = values[short] + rises[short] - found[~risen]  # what the straight line promised and the curve did not keep
        shrink = np.clip(np.where(np.isfinite(fall), 0.5 * rises[short] / fall, 0.0), 0.1, 0.5)
        steps[short] *= shrink[:, None]
        rises[short] *= shrink
        climbing = climbing[rises[climbing] > rest]
    return points


def _ascent(inverses: np.ndarray, slopes: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the next step of each climb, of a limited length, and how much a straight line rises along it."""
    steps = (inverses @ slopes[..., None])[..., 0]
    steps /= np.maximum(np.linalg.norm(steps / scale, axis=-1, keepdims=True) / _LONGEST, 1.0)
    return steps, (steps * slopes).sum(axis=-1)


def _improved(inverses: np.ndarray, steps: np.ndarray, curved: np.ndarray, fresh: np.ndarray) -> np.ndarray:
    """Return the inverses of the curvature after steps along which the slopes fell by so much; where they rose, as they were."""
    along = (steps * curved).sum(axis=-1)
    bent = (inverses @ curved[..., None])[..., 0]
    across = (curved * bent).sum(axis=-1)
    falls = along > 1e-10 * np.abs(across)
    along, across = np.where(falls, along, 1.0), np.where(falls, across, 1.0)
    first = np.where(fresh & falls, along / across, 1.0)[:, None]  # the first step says how large the whole is
    inverses, bent, across = inverses * first[..., None], bent * first, across * first[:, 0]
    outer = steps[:, :, None] * bent[:, None, :]
    square = steps[:, :, None] * steps[:, None, :]
    change = ((1 + across / along)[:, None, None] * square - outer - outer.swapaxes(-1, -2)) / along[:, None, None]
    return inverses + np.where(falls[:, None, None], change, 0.0)


def _inverse(precision: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Return the covariance for a curvature; directions in which the density does not fall are as wide as the prior."""
    scale = np.outer(spread, spread)
    values, vectors = np.linalg.eigh(precision * scale)
    values = np.where(values > 0.2, values, 1.0)
    return (vectors / values) @ vectors.T * scale
