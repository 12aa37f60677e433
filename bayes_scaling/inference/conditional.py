"""Effects of groups given everything else: a proposal in closed form, so that what is left to explore has few dimensions.

The likelihood knows the effects e = spread times z of groups, not their spread. Around a mode it is nearly Normal in them,
with a precision L that is worked out once; given a spread s, the effects then have the precision L + 1 / s^2 and a mean
that follows. Where the spread is small they shrink to zero, where it is large they are what the runs say: the funnel that
a proposal of one shape cannot follow. The other unknowns are explored in the density that is left when the effects are
integrated out in this approximation; the importance weights of the whole make up for it.
"""

from __future__ import annotations

from math import lgamma
from typing import Final

import numpy as np

from bayes_scaling.inference.modes import Mode, climbed
from bayes_scaling.model import names
from bayes_scaling.model.coordinates import standard_effect
from bayes_scaling.model.density import LogDensity, Surface

_STEP: Final = 1e-3
_DEGREES: Final = 12
"""Degrees of freedom of the effects' proposal."""


def effects_of(density: LogDensity) -> tuple[np.ndarray, np.ndarray]:
    """Return the coordinates that are standard effects of groups, and for each the coordinate of its spread."""
    places = {coordinate.name: np.arange(density.size)[coordinate.place] for coordinate in density.coordinates}
    effects, spreads = [np.empty(0, dtype=int)], [np.empty(0, dtype=int)]
    for name, parameter in density.layout.model.parameters.items():
        for grouping in parameter.varies_by:
            effects.append(places[standard_effect(name, grouping)])
            spreads.append(np.repeat(places[names.spread(name, grouping)], len(effects[-1])))
    return np.concatenate(effects), np.concatenate(spreads)


class Conditional:
    """The effects of groups given all other unknowns, in Laplace's approximation around one point.

    Parameters
    ----------
    density : LogDensity
        The posterior of a model in which parameters vary.
    point : ndarray, shape (coordinate,)
        Around which point.
    """

    def __init__(self, density: LogDensity, point: np.ndarray) -> None:
        self._density = density
        self.effects, self.spreads = effects_of(density)
        self.others = np.setdiff1d(np.arange(density.size), self.effects)
        """All other coordinates."""
        self._linear = np.setdiff1d(self.others, self.spreads)
        self._around = point
        self._information, self._score, self._cross = self._expand(point)

    def scales(self, points: np.ndarray) -> np.ndarray:
        """Return the spread of each effect, shape (point, effect): it is sampled by its logarithm."""
        return np.exp(points[:, self.spreads])

    def _expand(self, point: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return precision of the effects, score and mixed derivatives of the likelihood, in effects and other unknowns."""
        scale = self.scales(point[None])[0]
        directions = np.zeros((len(self.effects) + len(self._linear), len(point)))
        directions[np.arange(len(self.effects)), self.effects] = _STEP / scale
        directions[len(self.effects) + np.arange(len(self._linear)), self._linear] = _STEP
        count = len(self.effects)
        one, other = np.triu_indices(count)
        mixed = np.repeat(np.arange(count), len(self._linear))
        with_linear = count + np.tile(np.arange(len(self._linear)), count)
        first, second = np.append(one, mixed), np.append(other, with_linear)
        corners = [point + a * directions[first] + b * directions[second] for a, b in ((1, 1), (1, -1), (-1, 1), (-1, -1))]
        values = self._density.parts(np.vstack(corners))[1].reshape(4, -1)
        curved = (values[0] - values[1] - values[2] + values[3]) / (2 * _STEP) ** 2
        slopes = self._density.parts(np.vstack([point + directions[:count], point - directions[:count]]))[1].reshape(2, -1)
        information = np.zeros((count, count))
        information[one, other] = information[other, one] = -curved[: len(one)]
        eigenvalues, vectors = np.linalg.eigh(information)
        least = 10 * count * np.finfo(float).eps * eigenvalues.max(initial=0.0)  # of less the rounding takes the sign
        information = (vectors * np.maximum(eigenvalues, least)) @ vectors.T
        return information, (slopes[0] - slopes[1]) / (2 * _STEP), -curved[len(one) :].reshape(count, -1)

    def moments(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and precision of the effects given the other unknowns, shapes (point, effect) and (point, effect, effect)."""
        scale = self.scales(points)
        precision = self._information + (scale**-2)[:, :, None] * np.eye(len(self.effects))
        around = self._around[self.effects] * self.scales(self._around[None])[0]
        moved = points[:, self._linear] - self._around[self._linear]
        pull = self._information @ around + self._score - moved @ self._cross.T
        return np.linalg.solve(precision, pull[..., None])[..., 0], precision

    def complete(self, others: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw the effects for other unknowns, and return whole points."""
        points = self._placed(others)
        mean, precision = self.moments(points)
        root = np.linalg.cholesky(precision)
        tail = np.sqrt(_DEGREES / rng.chisquare(_DEGREES, len(points)))[:, None]
        noise = np.linalg.solve(root.swapaxes(-1, -2), rng.standard_normal(mean.shape)[..., None])[..., 0]
        points[:, self.effects] = (mean + tail * noise) / self.scales(points)
        return points

    def at_mean(self, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return whole points with the effects at their mean, and the precision of the effects there."""
        points = self._placed(others)
        mean, precision = self.moments(points)
        points[:, self.effects] = mean / self.scales(points)
        return points, precision

    def _placed(self, others: np.ndarray) -> np.ndarray:
        """Return whole points whose effects are zero."""
        points = np.zeros((len(others), self._density.size))
        points[:, self.others] = others
        return points

    def log_density(self, points: np.ndarray) -> np.ndarray:
        """Return the log density of the effects at points given their other unknowns, shape (point,)."""
        count, scale = len(self.effects), self.scales(points)
        mean, precision = self.moments(points)
        away = points[:, self.effects] * scale - mean
        square = np.einsum("ni,nij,nj->n", away, precision, away)
        constant = lgamma((_DEGREES + count) / 2) - lgamma(_DEGREES / 2) - 0.5 * count * np.log(_DEGREES * np.pi)
        log_scale = 0.5 * np.linalg.slogdet(precision)[1] + np.log(scale).sum(axis=1)
        return constant + log_scale - 0.5 * (_DEGREES + count) * np.log1p(square / _DEGREES)


class Collapsed(Surface):
    """The posterior of all unknowns but the effects of groups, these integrated out by Laplace's approximation."""

    def __init__(self, density: LogDensity, conditional: Conditional) -> None:
        self._density, self._conditional = density, conditional

    @property
    def size(self) -> int:
        """How many numbers a point has."""
        return len(self._conditional.others)

    def parts(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the log density of the prior, with the volume of the effects, and of what was measured."""
        with np.errstate(all="ignore"):
            whole, precision = self._conditional.at_mean(points)
            volume = -0.5 * np.linalg.slogdet(precision)[1] - whole[:, self._conditional.spreads].sum(axis=1)
        prior, measured = self._density.parts(whole)
        return prior + volume, measured


def collapse(density: LogDensity, point: np.ndarray, covariance: np.ndarray) -> tuple[Conditional, list[Mode]]:
    """Return the effects of groups given the rest, expanded around a point, and the modes of the rest.

    Parameters
    ----------
    density : LogDensity
        The posterior of a model in which parameters vary.
    point : ndarray, shape (coordinate,)
        A mode, or better the mean of the posterior.
    covariance : ndarray, shape (coordinate, coordinate)
        Scale of the posterior there.
    """
    conditional = Conditional(density, point)
    within = covariance[np.ix_(conditional.others, conditional.others)]
    return conditional, climbed(Collapsed(density, conditional), point[None, conditional.others], within)


def mean_of(conditional: Conditional, points: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mean of weighted draws, of the effects themselves and not of standard ones."""
    mean = weights @ points
    effects = weights @ (points[:, conditional.effects] * conditional.scales(points))
    mean[conditional.effects] = effects / conditional.scales(mean[None])[0]
    return mean
