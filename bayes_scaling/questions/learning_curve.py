"""The loss of training by a system's learning curve, in every draw at once: the law, its discrepancy, and what a new run measures.

A run is its size, the loss that the law expects of it and its batch: steps, tokens and compute follow in closed form, as the
critical batch is that of the law's loss. Plain arrays, last dimension the draws, as for :class:`~bayes_scaling.questions.surface.Surface`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import xarray as xr
from pydantic import Field

from bayes_scaling.elementwise import exp, log, minimum
from bayes_scaling.errors import NotLearned
from bayes_scaling.laws.batch import critical_batch, steps_to_loss
from bayes_scaling.laws.kaplan import kaplan_n
from bayes_scaling.model.effects import Path
from bayes_scaling.numerics import bisect, newton
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.inputs import admit
from bayes_scaling.posterior.predict import (
    SAMPLE_DIMS,
    with_effects,
)
from bayes_scaling.posterior.residuals import flat_draws
from bayes_scaling.quantities import BY_COLUMN, training_compute, training_tokens
from bayes_scaling.questions.base import OfSystem
from bayes_scaling.questions.new_run import NewRunNoise

_OF_CURVE: Final = ("N_c", "alpha_N", "S_c", "alpha_S")
"""Parameters that make a law of a loss a learning curve."""
NEEDS: Final = (*_OF_CURVE, "B_star", "alpha_B")
"""Parameters a fit has to have."""
AMOUNTS: Final = ("params", "steps", "steps_min", "batch_tokens", "dataset_tokens")
"""Inputs of a learning curve on endless data, along which there may be a discrepancy."""
_CLOSEST: Final = -40.0
"""Logarithm of the least loss above the converged one that is told from nothing."""
_FURTHEST: Final = 6.0


def laws_of(fit: Fit, observation: str | None = None) -> dict[str, xr.DataArray]:
    """Return the parameters of L(N, S_min) and of the critical batch, with an offset if any; refuse a fit that lacks one.

    They are those of the observation whose losses are meant, the first learning curve by default; what its law has not is
    as the first observation has it.
    """
    name = _curve_of(fit, observation)
    own = fit.views[name].posterior if name else xr.Dataset()
    learned = fit.learned | {n: own[n] for n in (*NEEDS, "E") if n in own and set(own[n].dims) == {*SAMPLE_DIMS}}
    missing = [parameter for parameter in NEEDS if parameter not in learned]
    if missing:
        raise NotLearned(
            f"This needs {', '.join(NEEDS)}; the fit does not estimate {', '.join(missing)}: fit a system such as kaplan_system."
        )
    return {n: learned[n] for n in (*NEEDS, "E") if n in learned}


def _curve_of(fit: Fit, observation: str | None) -> str | None:
    """Return the observation whose losses are meant: the one that is named, or else the first learning curve, if any."""
    curves = [o.name for o in fit.model.observations if o.output == "loss" and set(_OF_CURVE) <= set(o.the_law.parameters)]
    if observation is None:
        return curves[0] if curves else None
    if fit.model.observation(observation).name not in curves:
        raise NotLearned(
            f"{observation} is not a learning curve, which is a loss whose law has {', '.join(_OF_CURVE)}. Learning curves of "
            f"this fit: {', '.join(curves) or 'none'}."
        )
    return observation


@dataclass(frozen=True)
class LearningCurve:
    """The loss of runs on endless data as one observation of a system measures it.

    Parameters
    ----------
    observation : str
        Name of the observation.
    laws : mapping
        The parameters of L(N, S_min) and of the critical batch, an array each, one value a draw.
    discrepancy : tuple of callable
        What each model discrepancy adds to the log loss: :meth:`~bayes_scaling.model.effects.Placed.path`.
    along : frozenset of str
        Columns along which there is a discrepancy.
    noise : NewRunNoise
        What a new run adds, or several do.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_system
    >>> curve = LearningCurve.of(example_system(chains=1, draws=1))
    >>> loss = curve.at_compute(1e21, 2e9)
    >>> curve.observation, loss.round(3).tolist(), curve.steps_min(2e9, loss).round(-2).tolist()
    ('curves', [2.379], [24600.0])
    """

    observation: str
    laws: Mapping[str, np.ndarray]
    discrepancy: tuple[Path, ...]
    along: frozenset[str]
    noise: NewRunNoise

    @classmethod
    def of(cls, fit: Fit, observation: str | None = None, seed: int = 0, runs: int | None = None) -> LearningCurve:
        """Return the curve of a fit, with the noise of one run or of several; refuse a fit that measures none."""
        laws, name = laws_of(fit, observation), _curve_of(fit, observation)
        if name is None:
            raise NotLearned(
                f"No observation of this fit is a learning curve, a loss whose law has {', '.join(_OF_CURVE)}: the loss of a "
                f"new run cannot be predicted. Fit a system such as kaplan_system."
            )
        view = fit.views[name]
        admit(view, {}, seed)
        draws, rows = view.posterior, view.layout.only
        along = {
            c for label, effect in rows.observation.discrepancy.items() for c in effect.columns(label) if c in BY_COLUMN
        }
        if not along <= set(AMOUNTS):
            raise NotLearned(
                f"{name} has a model discrepancy along {', '.join(sorted(along - set(AMOUNTS)))}, which this question does not "
                f"support: fit a model without it."
            )
        return cls(
            observation=name,
            laws={n: flat_draws(value) for n, value in laws.items()},
            discrepancy=tuple(effect.path(draws, {}, seed) for effect in rows.discrepancy),
            along=frozenset(along),
            noise=NewRunNoise.of(view, {}, seed, runs),
        )

    @property
    def expected(self) -> LearningCurve:
        """The curve without noise: what it measures is the mean loss."""
        return replace(self, noise=self.noise.zero)

    @property
    def law_alone(self) -> LearningCurve:
        """The curve without noise and without discrepancy: what it measures is the law's loss."""
        return replace(self.expected, discrepancy=())

    def converged(self, params: Any) -> np.ndarray:
        """Return the law's loss after endless training."""
        return kaplan_n(params, N_c=self.laws["N_c"], alpha_N=self.laws["alpha_N"], E=self.laws.get("E", 0.0))

    def critical_batch(self, loss: Any) -> np.ndarray:
        """Return the critical batch where the law expects a loss."""
        return critical_batch(loss, B_star=self.laws["B_star"], alpha_B=self.laws["alpha_B"])

    def steps_min(self, params: Any, loss: Any) -> np.ndarray:
        """Return the least steps with which the law expects a loss, infinite where no number is enough."""
        with np.errstate(divide="ignore"):
            left = abs(minimum(self.converged(params) - loss, 0.0))
            return self.laws["S_c"] * left ** (-1 / self.laws["alpha_S"])

    def steps(self, params: Any, loss: Any, batch: Any) -> np.ndarray:
        """Return the steps with which the law expects a loss at a batch."""
        return steps_to_loss(batch, S_least=self.steps_min(params, loss), B_crit=self.critical_batch(loss))

    def measured(self, params: Any, loss: Any, batch: Any) -> np.ndarray:
        """Return what runs measure of which the law expects a loss."""
        growth = self.noise.growth_at(loss)
        added = sum((path(self._columns(params, loss, batch)) for path in self.discrepancy), start=0.0)
        return self.noise.measured(with_effects(loss, added, growth), growth)

    def reaching(self, target: float, params: Any, batch: Callable[[Any], Any]) -> np.ndarray:
        """Return what the law expects where a run measures the target, in each draw; not a number where it never does.

        The batch is a function of the law's loss: one number for all, or what a number of steps asks for.
        """
        converged = self.converged(params)

        def above(log_left: Any) -> np.ndarray:
            loss = converged + np.exp(log_left)
            return np.log(self.measured(params, loss, batch(loss)) / target)

        low, high = bisect(above, _CLOSEST, _FURTHEST)
        return np.where(above(np.array(_CLOSEST)) < 0, converged + np.exp((low + high) / 2), np.nan)

    def at_compute(self, compute_min: Any, params: Any) -> np.ndarray:
        """Return what the law expects of sizes trained at the critical batch as far as a compute C_min takes them."""
        return loss_at_compute(compute_min, params, **self.laws)

    def at_critical_batch(self, compute_min: Any, log_params: Any) -> np.ndarray:
        """Return what sizes measure that are trained at the critical batch as far as a compute C_min takes them."""
        params = np.exp(log_params)
        loss = self.at_compute(compute_min, params)
        return self.measured(params, loss, self.critical_batch(loss))

    def _columns(self, params: Any, loss: Any, batch: Any) -> dict[str, np.ndarray]:
        """Return what a discrepancy may be along; no more than the size where that is all."""
        if self.along <= {"params"}:
            return {"params": np.asarray(params, float)}
        return {
            name: np.clip(np.asarray(value, float), 1.0, BY_COLUMN[name].maximum)
            for name, value in self.amounts(params, loss, batch).items()
        }

    def amounts(self, params: Any, loss: Any, batch: Any) -> dict[str, Any]:
        """Return size, steps, least steps, batch and data with which the law expects a loss, by column."""
        least = self.steps_min(params, loss)
        steps = steps_to_loss(batch, S_least=least, B_crit=self.critical_batch(loss))
        return dict(zip(AMOUNTS, (params, steps, least, batch, training_tokens(steps, batch)), strict=True))


def loss_at_compute(
    compute_min: Any, params: Any, *, N_c: Any, alpha_N: Any, S_c: Any, alpha_S: Any, B_star: Any, alpha_B: Any, E: Any = 0.0
) -> np.ndarray:
    """Return the law's loss of a size that is trained at its critical batch as far as a compute C_min takes it.

    >>> from bayes_scaling.laws.efficient import compute_to_loss
    >>> table3 = dict(N_c=6.5e13, alpha_N=0.077, S_c=2.1e3, alpha_S=0.76, B_star=2.1e8, alpha_B=0.21)
    >>> round(float(loss_at_compute(compute_to_loss(1e9, 2.6, **table3), 1e9, **table3)), 9)
    2.6
    """
    converged = kaplan_n(params, N_c=N_c, alpha_N=alpha_N, E=E)

    laws = {"S_c": S_c, "alpha_S": alpha_S, "B_star": B_star, "alpha_B": alpha_B}

    def excess(log_left: np.ndarray) -> tuple[Any, Any]:
        return compute_excess(log_left, compute_min, params, converged, **laws)

    # Concave and falling: after the first step Newton's method comes from one side.
    start = np.zeros(np.broadcast_shapes(*(np.shape(each) for each in (compute_min, converged, S_c))))
    log_left, _ = newton(excess, start, steps=60, tolerance=1e-12)
    return converged + np.exp(log_left)


def compute_excess(
    log_left: Any, compute_min: Any, params: Any, converged: Any, *, S_c: Any, alpha_S: Any, B_star: Any, alpha_B: Any
) -> tuple[Any, Any]:
    """Return the log of what a loss takes at the critical batch over a compute C_min, and its slope in the log of what is left.

    What is left is the loss above the converged one.
    """
    left = exp(log_left)
    batch = critical_batch(converged + left, B_star=B_star, alpha_B=alpha_B)
    spent = training_compute(params, training_tokens(S_c * left ** (-1 / alpha_S), batch))
    return log(spent / compute_min), -1 / alpha_S - left / (converged + left) / alpha_B


class OfCurve(OfSystem):
    """A question about the losses of a learning curve: those that its observation measures, discrepancy and noise with it."""

    unused = ("group",)

    observation: str | None = Field(
        default=None, description="Observation whose losses to use; by default the first learning curve of the model."
    )
