"""How a budget splits between parameters and tokens: the law's loss over both, in every draw at once, and where it is least.

Plain arrays rather than named ones: a question about a budget asks for the loss of thousands of draws some dozen times,
and names would cost more than the law.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypedDict

import numpy as np
import xarray as xr

from bayes_scaling.errors import InvalidRequest
from bayes_scaling.laws import Law
from bayes_scaling.laws.repeated import effective_tokens
from bayes_scaling.numerics import minimise, newton
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.inputs import admit
from bayes_scaling.posterior.predict import SAMPLE_DIMS, parameters_in
from bayes_scaling.quantities import BY_COLUMN, params_at, tokens_at, training_compute
from bayes_scaling.questions.risk import RiskMeasure, expectation
from bayes_scaling.questions.wording import power

FEWEST: Final = 1e3
"""Parameters, and tokens, that a run has at the least."""
DRAWS: Final = {
    "start": 8,  # whose optima start Newton's method for all
    "target": 250,  # of each chain, for a probability over budgets: one half is then exact to 2 %
    "regret": 2000,  # for the regret of sizes
    "near_optimal": 400,  # for the mean loss over sizes
    "wasted": 200,  # for the budget that the best size would need
    "lifetime": 400,  # for the mean loss that sizes and tokens are to reach
    "recipes": 1000,  # for the probability that one recipe is better
    "robust": 2000,  # for the choice over several laws, shared by their weights
    "next_run": 1000,  # for the value of a run
    "risk": 4000,  # for the risk of a decision, which two posteriors are compared by
    "outcomes": 100,  # of a run, for its value by importance weights
    "demand": 4000,  # of an uncertain demand
    "cost": 4000,  # of price and utilisation
}
"""How many draws each answer rests on: of the posterior where a comment says nothing else, evenly spaced."""
_APART: Final = 0.01
"""Distance in log N over which the slope of the loss is taken."""
_CLOSE: Final = 1e-6
_TIE: Final = 1e-9


@dataclass(frozen=True)
class Supply:
    """Text there is to train on: distinct tokens, and what seeing them again is worth.

    Parameters
    ----------
    distinct : float
        Distinct tokens.
    repeats_worth : float
        R*_D of Muennighoff et al. (2023): the number of repetitions after which a further one is worth a third of a fresh
        token; theirs is 15.4.
    """

    distinct: float
    repeats_worth: float = 15.39

    def __post_init__(self) -> None:
        """Refuse what is no supply."""
        for name in ("distinct", "repeats_worth"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value > 0):
                raise InvalidRequest(f"The supply of text has {name} {value:g}: it has to be a positive number.")

    def worth(self, tokens: Any) -> Any:
        """Return the fresh tokens that as many tokens of this text are worth."""
        return effective_tokens(tokens, self.distinct, R_D=self.repeats_worth)


class Text(TypedDict, total=False):
    """What every function about a budget takes: the text there is, endless by default, the group's labels, and the seed."""

    supply: Supply | None
    group: Mapping[str, str] | None
    seed: int


@dataclass(frozen=True)
class Surface:
    """The law's loss over N and D, in every draw: parameters have one value a draw, or are a number.

    ``first`` is the column of the law's first input, ``shape`` chains and draws.
    """

    law: Law
    first: str
    parameters: Mapping[str, Any]
    shape: tuple[int, int]
    supply: Supply | None = None

    @classmethod
    def of(cls, fit: Fit, labels: Mapping[str, str], seed: int = 0, supply: Supply | None = None) -> Surface:
        """Return the surface of a fit in one group, whose labels are admitted; refuse a law that is not of N and D."""
        if not splits_a_budget(fit):
            raise InvalidRequest(
                f"The law {fit.model.only.law} takes {', '.join(fit.model.only.columns.values())}: a budget is split between N "
                f"and D only by a law of both. Fit one of chinchilla, kappa or kaplan_nd."
            )
        chains, draws = fit.posterior["sigma"].transpose(*SAMPLE_DIMS).shape
        values = {
            name: value.transpose(*SAMPLE_DIMS).values.ravel() if isinstance(value, xr.DataArray) else value
            for name, value in parameters_in(fit, labels, seed=seed).items()
        }
        first = next(iter(fit.model.only.columns.values()))
        return cls(fit.model.only.the_law, first, values, (chains, draws), supply)

    @classmethod
    def asked(
        cls, fit: Fit, *, supply: Supply | None = None, group: Mapping[str, str] | None = None, seed: int = 0
    ) -> Surface:
        """Return the surface of a request, whose group is checked first."""
        return cls.of(fit, admit(fit, group or {}, seed), seed, supply)

    @property
    def draws(self) -> int:
        """Draws of all chains."""
        return self.shape[0] * self.shape[1]

    def loss(self, params: Any, tokens: Any) -> np.ndarray:
        """Return the loss of N and D, which broadcast with the draws along their last dimension."""
        worth = tokens if self.supply is None else self.supply.worth(tokens)
        given = (params, worth) if self.first == "params" else (worth, params)
        return np.asarray(self.law(*given, **self.parameters)) + np.zeros(self.draws)

    def along(self, budgets: np.ndarray, log_params: np.ndarray) -> np.ndarray:
        """Return the loss of sizes at budgets, last dimension the draws."""
        params = np.exp(log_params)
        return self.loss(params, tokens_at(budgets, params))

    def thinned(self, most: int) -> Surface:
        """Return the surface with at most some number of draws, evenly spaced."""
        if self.draws <= most:
            return self
        step = -(-self.draws // most)
        values = {n: v[::step] if isinstance(v, np.ndarray) else v for n, v in self.parameters.items()}
        return replace(self, parameters=values, shape=(1, -(-self.draws // step)))


def splits_a_budget(fit: Fit) -> bool:
    """Whether the law of a fit trades parameters against tokens."""
    only = fit.model.only if fit.model.is_one else None
    return only is not None and only.output == "loss" and set(only.columns.values()) == {"params", "tokens"}


def budgets_of(compute: Any) -> xr.DataArray:
    """Return budgets as an array of FLOP along ``compute_flops``, or refuse what is none.

    >>> budgets_of([1e21, 1e22]).dims
    ('compute_flops',)
    """
    try:
        values = np.asarray(compute, dtype=float)
    except (TypeError, ValueError):
        raise InvalidRequest(f"The compute is {compute!r}: give FLOP, a positive number or a list of them.") from None
    least, most = training_compute(FEWEST, FEWEST), BY_COLUMN["compute_flops"].maximum
    if values.ndim > 1:
        raise InvalidRequest(f"The compute has {values.ndim} dimensions: give one budget, or a list of them.")
    wrong = values[~((values > least) & (values <= most))]
    if wrong.size or not values.size:
        given = power(wrong.flat[0]) if wrong.size else "an empty list"
        raise InvalidRequest(f"The compute is {given}: it has to be FLOP, between {power(least)} and {power(most)}.")
    return xr.DataArray(values, dims=("compute_flops",) if values.ndim else ())


def optima(surface: Surface, budgets: np.ndarray) -> np.ndarray:
    """Return the log of the size with the least loss in each draw, shape (budget, draw), to a relative 1e-5 of N.

    Newton's method from the optimum of a few draws, which is found on a grid and by golden sections; where it does not
    come to rest, all draws take that way. The loss along a budget has one minimum in log N for every law of N and D here.

    >>> from bayes_scaling.posterior.examples import example_fit
    >>> surface = Surface.asked(example_fit(chains=1, draws=1))
    >>> f"{np.exp(optima(surface, np.array([5.76e23]))).item():.4g}"
    '7.225e+10'
    """
    at = np.asarray(budgets, float)[:, None]
    ends = (np.log(FEWEST), np.log(params_at(at, FEWEST)))
    few = surface.thinned(DRAWS["start"])
    start = np.median(minimise(lambda x: few.along(at, x), *ends), axis=-1, keepdims=True)

    def slope(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        below, here, above = (surface.along(at, x + d) for d in (-_APART, 0.0, _APART))
        first, second = (above - below) / (2 * _APART), (above - 2 * here + below) / _APART**2
        return first, np.where(second > 0, second, np.abs(first))  # where it bends down, one step downhill

    x = start + np.zeros((1, surface.draws))
    x, rests = newton(slope, x, steps=12, tolerance=_CLOSE, largest=1.0, bounds=ends)
    return x if rests else minimise(lambda x: surface.along(at, x), *ends)


Losses = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From budgets and the log of sizes to losses, last dimension the draws, as :meth:`Surface.along`."""


def choose(
    losses: Losses, budgets: np.ndarray, measure: RiskMeasure, best: np.ndarray, limits: tuple[Any, Any] | None = None
) -> np.ndarray:
    """Return the log of the one size that makes the risk of the law's loss least, for each budget.

    The choice lies among ``best``, what :func:`optima` returned, and between the limits, least and most log N, if any.
    """
    at = np.asarray(budgets, float)[:, None]

    def risk(x: np.ndarray) -> np.ndarray:
        loss = losses(at, x[:, None])
        if measure is expectation:
            return loss.mean(axis=-1)
        # Where the risk is flat, as that of a loss that is reached for sure, the mean decides.
        return np.asarray(measure(xr.DataArray(loss[None], dims=("chain", "budget", "draw")))) + _TIE * loss.mean(axis=-1)

    low, high = best.min(axis=-1) - 0.1, best.max(axis=-1) + 0.1
    if limits is not None:
        low, high = (np.clip(end, *limits) for end in (low, high))
    return minimise(risk, low, high, grid=13, steps=18)
