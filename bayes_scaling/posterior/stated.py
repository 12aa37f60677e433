"""The priors that a document states, one by one, at the draws of a fit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
import xarray as xr

from bayes_scaling.model import names
from bayes_scaling.model.density import log_density_of_free, unbounded
from bayes_scaling.model.document import Observation
from bayes_scaling.model.priors import Prior
from bayes_scaling.posterior.fit import Fit

_STEP: Final = 1e-4
_WIDE, _POINTS = 40.0, 16_001
"""Half the width, and points, of the grid on which moments of a prior are taken."""


@dataclass(frozen=True, eq=False)
class StatedPrior:
    """One prior of a document, and the draws of what it is on.

    A prior is looked at on the scale that is the whole real line: of the logarithm, or of the log odds between the ends of a
    prior that has both. A LogNormal prior is Normal there, and moves as a whole.

    Parameters
    ----------
    name : str
        Name of the unknown in the posterior.
    prior : Prior
        The prior.
    place : ndarray, shape (draw, number)
        Draws on the real line; the errors of rows that went wrong are several numbers with one prior.
    """

    name: str
    prior: Prior
    place: np.ndarray

    @cached_property
    def sd(self) -> float:
        """Standard deviation of the prior on the real line, by quadrature; of a LogNormal it is stated."""
        if self.prior.dist == "LogNormal":
            return self.prior.arguments["sigma"]
        grid = on_real_line(np.asarray(self.prior.median), self.prior) + np.linspace(-_WIDE, _WIDE, _POINTS)
        log_density = replace(self, place=grid[:, None]).log_density()
        weights = np.exp(log_density - np.nanmax(log_density))
        weights = np.where(np.isfinite(weights), weights, 0.0) / np.nansum(weights)
        return float(np.sqrt(weights @ (grid - weights @ grid) ** 2))

    def log_density(self, moved: float = 0.0) -> np.ndarray:
        """Return the log density at the draws of the prior, or of the prior moved up by some of its standard deviations."""
        place = self.place - moved * self.sd if moved else self.place
        with np.errstate(all="ignore"):
            return log_density_of_free(self.prior, place).sum(axis=-1)

    def score(self) -> np.ndarray:
        """Return the derivative of the log density at the draws as the prior moves up, by one of its standard deviations.

        Of a LogNormal prior it is how many of its standard deviations a draw lies above its median.
        """
        return (self.log_density(_STEP) - self.log_density(-_STEP)) / (2 * _STEP)


def on_real_line(value: np.ndarray, prior: Prior) -> np.ndarray:
    """Return numbers within the bounds of a prior as logarithms or log odds.

    >>> on_real_line(np.array([0.5]), Prior(dist="Uniform", lower=0.0, upper=1.0)).tolist()
    [0.0]
    """
    return unbounded(value, prior.support)


def stated_priors(fit: Fit) -> list[StatedPrior]:
    """Return every prior of a fit: of parameters, of spreads between groups, of noise and of scales of discrepancy.

    Effects of groups and steps of a discrepancy have no prior that a document states: theirs follows from a scale.

    >>> from bayes_scaling.posterior.examples import example_fit
    >>> [stated.name for stated in stated_priors(example_fit())]
    ['E', 'A_at_reference', 'alpha', 'B_at_reference', 'beta', 'sigma', 'nu']
    """
    draws, units = fit.posterior, fit.layout.units

    def stated(name: str, prior: Prior, unit: float = 1.0) -> StatedPrior:
        value = draws[name].transpose(*names.SAMPLE_DIMS, ...).values
        return StatedPrior(name, prior, on_real_line(value.reshape(fit_size(draws), -1) / unit, prior))

    found = []
    for name, parameter in fit.model.parameters.items():
        if parameter.prior is not None:
            found.append(stated(names.centre(name, draws), parameter.prior, units.get(name, 1.0)))
        if parameter.spread is not None:
            found += [stated(names.spread(name, grouping), parameter.spread) for grouping in parameter.varies_by]
    for suffix, rows in fit.layout:
        found += [stated(names.of_observation(n, suffix), prior) for n, prior, _ in noise_priors(rows.observation)]
        outliers = rows.observation.likelihood.outliers
        if outliers is not None and rows.outliers:
            found.append(stated(names.of_observation("outlier", suffix), outliers.scale))
    return found


def fit_size(draws: xr.Dataset) -> int:
    """Return how many draws all chains have."""
    return draws.sizes["chain"] * draws.sizes["draw"]


def noise_priors(observation: Observation) -> Iterator[tuple[str, Prior, str]]:
    """Yield name, prior and reason of the unknowns of an observation's noise and effects, but for rows that went wrong."""
    likelihood, correlation = observation.likelihood, observation.correlation
    yield "sigma", likelihood.sigma, likelihood.why
    for name, prior in likelihood.unknowns.items():
        yield name, prior, "Weight of the tail: 1 is a Cauchy distribution, 30 is close to a Normal one."
    if likelihood.growth is not None:
        yield "growth", likelihood.growth, "Noise and discrepancy are proportional to the mean loss to this power."
    if likelihood.floor is not None:
        yield "floor", likelihood.floor, "Share of the noise at the typical loss that is left where the loss is small."
    for (section, name), effect in observation.effects.items():
        yield names.scale_of_effect(section, name), effect.scale, effect.why
    if correlation is not None:
        yield "length", correlation.length, correlation.why
        if correlation.run_share is not None:
            yield "run_share", correlation.run_share, "Share of the noise that the points of a run have in common."
        if correlation.nugget is not None:
            yield "nugget", correlation.nugget, "Independent error of a row beside its standard error."
