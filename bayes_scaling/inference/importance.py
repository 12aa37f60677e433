"""Adaptive multiple importance sampling over the modes of a posterior, with a defensive share of the prior.

Draws come from a mixture of Student-t distributions, one a mode at first, and of the prior. Every draw of every round is
weighted by its density over the density of all rounds together (Cornuet, Marin, Mira and Robert 2012), the mixture is
moved to the weighted draws, and where single draws stay too heavy a component is put around the heaviest (Raftery and
Bao 2010). The largest weights are smoothed by a generalised Pareto distribution, whose shape says whether to rely on them
(Vehtari, Simpson, Gelman, Yao and Gabry 2024).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from math import lgamma
from typing import TYPE_CHECKING, Final

import numpy as np

from bayes_scaling.inference.modes import Mode, shares_of
from bayes_scaling.model.density import LogDensity
from bayes_scaling.numerics import log_sum_exp, smoothed_weights

if TYPE_CHECKING:
    from bayes_scaling.inference.conditional import Conditional

_FEWEST_DEGREES: Final = 5
"""Degrees of freedom of the components in a few dimensions; in more they are as many as the dimensions.

Tails that are far heavier than those of a posterior that is nearly Normal waste most draws where the dimensions are many:
with 22 unknowns the effective size of 40,000 draws was 520 with five degrees of freedom, 860 with ten, 1,800 with twenty.
"""
_OF_THE_PRIOR: Final = 0.05
"""Share of draws from the prior."""
_FROM_THE_PRIOR: Final = 2000
"""Draws from the prior that are made at a time."""
_FEWEST: Final = 0.03
"""Share of draws that a mode has at the least in the first round."""
_STEPS: Final = 3
"""Steps of expectation maximisation after each round."""
_COMPONENTS: Final = 6
"""Components of a mixture that is fitted to points."""
_STEPS_TO_FIT: Final = 15
"""Steps of expectation maximisation with which it is fitted."""
_LEAST_SCALE: Final = 1e-3
"""Share of the scale of all points that a component fitted to them has at the least."""
_MOST_ROUNDS: Final = 14
_MOST_COMPONENTS: Final = 12


@dataclass(frozen=True)
class Mixture:
    """A mixture of Student-t distributions: shares, centres, and Cholesky factors of the scale matrices."""

    shares: np.ndarray
    centres: np.ndarray
    factors: np.ndarray

    @property
    def degrees(self) -> int:
        """Degrees of freedom."""
        return max(_FEWEST_DEGREES, self.centres.shape[1])

    @classmethod
    def over(cls, modes: list[Mode]) -> Mixture:
        """Return a component for each mode, of its Laplace mass."""
        shares = np.maximum(shares_of(modes), _FEWEST)
        factors = np.stack([np.linalg.cholesky(mode.covariance) for mode in modes])
        return cls(shares / shares.sum(), np.stack([mode.point for mode in modes]), factors)

    @classmethod
    def around(cls, points: np.ndarray, rng: np.random.Generator) -> Mixture:
        """Return a mixture fitted to equally weighted points by expectation maximisation; some may be the same point."""
        centres = points[rng.choice(len(points), _COMPONENTS, replace=False)]
        whole = np.atleast_2d(np.cov(points, rowvar=False))
        whole += 1e-9 * np.diag(np.diag(whole))
        mixture = cls(
            np.full(_COMPONENTS, 1 / _COMPONENTS),
            centres,
            np.repeat(np.linalg.cholesky(whole / 2)[None], _COMPONENTS, axis=0),
        )
        weights = np.full(len(points), 1 / len(points))
        for _ in range(_STEPS_TO_FIT):
            mixture = mixture.moved(points, weights, _LEAST_SCALE * whole)
        return mixture

    def draw(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Draw points, shape (point, coordinate)."""
        of = rng.choice(len(self.shares), size=count, p=self.shares)
        z = (
            rng.standard_normal((count, self.centres.shape[1]))
            * np.sqrt(self.degrees / rng.chisquare(self.degrees, count))[:, None]
        )
        return self.centres[of] + np.einsum("nij,nj->ni", self.factors[of], z)

    def distances(self, points: np.ndarray) -> np.ndarray:
        """Return the squared distance of each point from each component, shape (component, point)."""
        return np.stack(
            [
                ((inverse @ (points - centre).T) ** 2).sum(axis=0)
                for centre, inverse in zip(self.centres, self._inverses, strict=True)
            ]
        )

    @cached_property
    def _inverses(self) -> np.ndarray:
        return np.linalg.inv(self.factors)

    def log_parts(self, distances: np.ndarray) -> np.ndarray:
        """Return the log density of each component times its share, up to a constant that all share."""
        size = self.centres.shape[1]
        spread = np.log(np.diagonal(self.factors, axis1=1, axis2=2)).sum(axis=1)
        falls = 0.5 * (self.degrees + size) * np.log1p(distances / self.degrees)
        return (np.log(self.shares) - spread)[:, None] - falls

    def log_density(self, points: np.ndarray) -> np.ndarray:
        """Return the log density, shape (point,)."""
        size, degrees = self.centres.shape[1], self.degrees
        constant = lgamma((degrees + size) / 2) - lgamma(degrees / 2) - 0.5 * size * np.log(degrees * np.pi)
        return constant + log_sum_exp(self.log_parts(self.distances(points)))

    def moved(self, points: np.ndarray, weights: np.ndarray, least: np.ndarray | float = 0.0) -> Mixture:
        """Return the mixture moved to weighted draws: one step of expectation maximisation, careful where draws are few.

        The least scale is added to that of every component.
        """
        size, distances = points.shape[1], self.distances(points)
        parts = self.log_parts(distances)
        share = np.exp(parts - parts.max(axis=0))
        share = weights * share / share.sum(axis=0)
        totals = share.sum(axis=1)
        inner = share * (self.degrees + size) / (self.degrees + distances)
        effective = totals**2 / np.maximum((share**2).sum(axis=1), 1e-300)
        centres, factors = self.centres.copy(), self.factors.copy()
        for number in np.flatnonzero(effective > 2.0):
            centre = inner[number] @ points / inner[number].sum()
            trust = effective[number] / (effective[number] + size)
            away = points - centre
            scale = (inner[number] * away.T) @ away / totals[number]
            old = self.factors[number] @ self.factors[number].T
            centres[number] = trust * centre + (1 - trust) * self.centres[number]
            factors[number] = np.linalg.cholesky(trust * scale + (1 - trust) * old + least)
        shares = np.maximum(totals, 1e-3)
        return Mixture(shares / shares.sum(), centres, factors)

    def with_heaviest(self, points: np.ndarray, weights: np.ndarray, fit_on: int) -> Mixture:
        """Return the mixture with a component around the heaviest draw, of its neighbours."""
        heaviest = points[np.argmax(weights)]
        mean = weights @ points
        whole = ((weights * (points - mean).T) @ (points - mean)) + 1e-9 * np.eye(points.shape[1])
        near = np.argsort(((np.linalg.solve(np.linalg.cholesky(whole), (points - heaviest).T)) ** 2).sum(axis=0))[:fit_on]
        share = 0.5 * (weights[near] + 1 / len(points))
        away = points[near] - heaviest
        scale = (share / share.sum() * away.T) @ away
        jitter = np.diag(np.diag(whole)) / 1e6
        share_of_it = float(np.clip(weights[near].sum(), 0.05, 0.2))
        return Mixture(
            np.append((1 - share_of_it) * self.shares, share_of_it),
            np.vstack([self.centres, heaviest]),
            np.concatenate([self.factors, np.linalg.cholesky(scale + jitter)[None]]),
        )


@dataclass(frozen=True)
class Weighted:
    """Weighted draws of a posterior.

    Parameters
    ----------
    points : ndarray, shape (draw, coordinate)
        Where they lie.
    log_density : ndarray, shape (draw,)
        Log density of the posterior, up to a constant.
    log_ratio : ndarray, shape (draw,)
        Logarithm of the importance ratio, not smoothed.
    rounds : int
        Rounds of adaptation.
    """

    points: np.ndarray
    log_density: np.ndarray
    log_ratio: np.ndarray
    rounds: int

    @cached_property
    def effective(self) -> float:
        """Effective sample size of weights the largest of which are cut: one over the sum of their squares; zero where none has a density."""
        return float(1 / (weights_of(self.log_ratio) ** 2).sum()) if self.is_somewhere else 0.0

    @cached_property
    def is_somewhere(self) -> bool:
        """Whether a draw has a density that is more than zero."""
        return bool(np.isfinite(self.log_ratio).any())

    @property
    def weights(self) -> np.ndarray:
        """Weights that sum to one, the largest smoothed by a generalised Pareto distribution."""
        return self._smoothed[0]

    @property
    def effective_smoothed(self) -> float:
        """Effective sample size of the smoothed weights."""
        return float(1 / (self.weights**2).sum())

    @property
    def tail_shape(self) -> float:
        """Shape k-hat of that distribution: the variance of the weights is finite below a half, means are reliable below 0.7."""
        return self._smoothed[1]

    @cached_property
    def _smoothed(self) -> tuple[np.ndarray, float]:
        return smoothed_weights(self.log_ratio)


def weights_of(log_ratio: np.ndarray) -> np.ndarray:
    """Return weights that sum to one, the largest cut at the root of their number times the mean (Ionides 2008)."""
    weights = np.exp(log_ratio - log_ratio.max())
    weights = np.minimum(weights, weights.mean() * np.sqrt(len(weights)))
    return weights / weights.sum()


def sample_by_importance(
    density: LogDensity,
    modes: list[Mode],
    rng: np.random.Generator,
    conditional: Conditional | None = None,
    *,
    start: Mixture | None = None,
    effective: float = 4000.0,
    most: int = 40000,
    progress: Callable[[float], None] | None = None,
) -> Weighted:
    """Draw from a posterior until the effective sample size is reached, or no more draws may be made.

    Parameters
    ----------
    density : LogDensity
        The posterior.
    modes : list of Mode
        Its modes; where there is a conditional, those of the unknowns that it is given.
    rng : Generator
        Source of randomness.
    conditional : Conditional, optional
        The effects of groups given the other unknowns.
    start : Mixture, optional
        What the first draws are from, by default a component for each mode.
    effective : float
        Effective sample size to reach.
    most : int
        Draws at the most.
    progress : callable, optional
        Told the share of the work that is done.
    """
    others = slice(None) if conditional is None else conditional.others
    batch = 40 * len(modes[0].point)
    mixture = start or Mixture.over(modes)
    of_prior = np.empty((0, density.size))
    proposals: list[tuple[Mixture, int]] = []
    empty = Weighted(np.empty((0, density.size)), np.empty(0), np.empty(0), 0)
    drawn, priors, given, by_proposal = empty, np.empty(0), np.empty(0), np.empty((0, 0))
    for number in range(_MOST_ROUNDS):
        count = batch
        if number >= 2:
            efficiency = max(drawn.effective / len(drawn.points), 0.02)
            count = int(
                np.clip((effective - drawn.effective) / efficiency * 1.1, batch, 4 * batch if number < 4 else most // 10)
            )
        count = min(count, most - len(drawn.points))
        if count <= 0:
            break
        from_prior = rng.binomial(count, _OF_THE_PRIOR)
        proposed = mixture.draw(rng, count - from_prior)
        proposed = proposed if conditional is None else conditional.complete(proposed, rng)
        if from_prior > len(of_prior):  # a draw costs little, a call much
            of_prior = density.from_prior(rng, max(_FROM_THE_PRIOR, from_prior))
        points, of_prior = np.vstack([proposed, of_prior[:from_prior]]), of_prior[from_prior:]
        prior, measured = density.parts(points)
        proposals.append((mixture, count))
        given = np.append(given, np.zeros(count) if conditional is None else conditional.log_density(points))
        on_new = np.stack([each.log_density(points[:, others]) for each, _ in proposals])
        on_old = mixture.log_density(drawn.points[:, others]) if number else np.empty(0)
        by_proposal = np.hstack([np.vstack([by_proposal, on_old]) if number else np.empty((1, 0)), on_new])
        priors = np.append(priors, prior)
        log_density = np.append(drawn.log_density, prior + measured)
        ratio = log_density - _log_of_all(by_proposal + given, priors, np.array([n for _, n in proposals]))
        drawn = Weighted(np.vstack([drawn.points, points]), log_density, ratio, number + 1)
        if progress is not None:
            progress(min(1.0, drawn.effective / effective))
        if number >= 2 and drawn.effective >= effective:
            break
        if not drawn.is_somewhere:
            continue  # nothing says where to move
        weights = weights_of(ratio)
        for _ in range(_STEPS):
            mixture = mixture.moved(drawn.points[:, others], weights)
        if number >= 1 and drawn.effective < 0.25 * len(drawn.points) and len(mixture.shares) < _MOST_COMPONENTS:
            near = max(5 * len(modes[0].point), len(weights) // 20)
            mixture = mixture.with_heaviest(drawn.points[:, others], weights, near)
    return replace(drawn, log_ratio=drawn.log_ratio - drawn.log_ratio.max()) if drawn.is_somewhere else drawn


def _log_of_all(by_proposal: np.ndarray, priors: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the log density of the rounds together at every draw: by_proposal has shape (round, draw)."""
    of_mixtures = log_sum_exp(by_proposal + np.log(counts / counts.sum())[:, None])
    return np.logaddexp(np.log1p(-_OF_THE_PRIOR) + of_mixtures, np.log(_OF_THE_PRIOR) + priors)
