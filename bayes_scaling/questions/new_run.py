"""What a new run adds to its mean loss, in every draw at once: plain arrays, last dimension the draws."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bayes_scaling.model.noise import standard_deviation, variance_function
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.predict import (
    SAMPLE_DIMS,
    new_run_sd,
    noise_generator,
    scattered,
    standard_noise,
    typical_relative_se,
)
from bayes_scaling.posterior.residuals import flat_draws


@dataclass(frozen=True)
class NewRunNoise:
    """The noise of a run that shares nothing with those measured.

    Parameters
    ----------
    growth, floor : ndarray, optional
        Exponent and floor of the variance function, where there are any.
    typical : float
        The loss at which scales are stated.
    sd, error : ndarray, float
        Residual standard deviation there, the nugget too, and the standard error of a run. Noise that is correlated along a
        run has its whole scale at any one point.
    standard : ndarray
        Residual at scale one, or those of several runs, shape (run, draw).
    """

    growth: np.ndarray | None
    floor: np.ndarray | None
    typical: float
    sd: np.ndarray
    error: float
    standard: np.ndarray

    @classmethod
    def of(cls, fit: Fit, labels: Mapping[str, str], seed: int = 0, runs: int | None = None) -> NewRunNoise:
        """Return the noise of one run of a group, or of several."""
        draws = fit.posterior
        sigma = draws["sigma"].transpose(*SAMPLE_DIMS)
        like = sigma if runs is None else sigma.expand_dims(run=runs)
        return cls(
            growth=flat_draws(draws["growth"]) if "growth" in draws else None,
            floor=flat_draws(draws["floor"]) if "floor" in draws else None,
            typical=fit.layout.only.typical,
            sd=flat_draws((new_run_sd(fit) ** 2 + draws.get("nugget", 0.0) ** 2) ** 0.5),
            error=typical_relative_se(fit),
            standard=flat_draws(standard_noise(fit, like, noise_generator(labels, seed))).T,
        )

    @property
    def zero(self) -> NewRunNoise:
        """Noise of no size: what is measured is what is expected."""
        return replace(self, standard=np.zeros(self.sd.shape))

    def growth_at(self, law: Any) -> Any:
        """Return the factor by which noise and discrepancy are larger where the law expects a loss."""
        return 1.0 if self.growth is None else variance_function(law, self.typical, self.growth, self.floor)

    def measured(self, expected: Any, growth: Any) -> np.ndarray:
        """Return what is measured for expected losses and the variance function there."""
        return scattered(expected, standard_deviation(self.sd, self.error, growth), self.standard)

    def thinned(self, step: int) -> NewRunNoise:
        """Return the noise in every ``step``-th draw."""
        growth, floor = (None if each is None else each[::step] for each in (self.growth, self.floor))
        return replace(self, growth=growth, floor=floor, sd=self.sd[::step], standard=self.standard[..., ::step])
