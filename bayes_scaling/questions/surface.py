"""The loss that is predicted over parameters and tokens, in every draw at once: the law times its discrepancy, and its noise.

Plain arrays rather than named ones: a question about a budget asks for the loss of thousands of draws some dozen times,
and names would cost more than the law.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypedDict

import numpy as np
import xarray as xr

from bayes_scaling.errors import NotLearned, OutOfRange
from bayes_scaling.laws import Law
from bayes_scaling.laws.repeated import effective_tokens
from bayes_scaling.posterior.compute import compute_ratio
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.inputs import admit
from bayes_scaling.posterior.predict import (
    SAMPLE_DIMS,
    parameters_in,
    with_effects,
)
from bayes_scaling.posterior.residuals import flat_draws
from bayes_scaling.quantities import BY_COLUMN, tokens_at, training_compute
from bayes_scaling.questions.new_run import NewRunNoise
from bayes_scaling.wording import power

FEWEST: Final = 1e3
"""Parameters, and tokens, that a run has at the least."""
DRAWS: Final = {
    "start": 8,  # whose optima start Newton's method for all
    "located": 256,  # whose optima say which sizes are plausible
    "target": 250,  # of each chain, for a probability over budgets: one half is then exact to 2 %
    "regret": 2000,  # for the regret of sizes
    "near_optimal": 400,  # for the mean loss over sizes
    "wasted": 200,  # for the budget that the best size would need
    "lifetime": 400,  # for the mean loss that sizes and tokens are to reach
    "sure": 1000,  # for the probability that they reach it
    "recipes": 1000,  # for the probability that one recipe is better, each at its best sizes
    "robust": 2000,  # for the choice over several laws, shared by their weights
    "next_run": 4000,  # for the value of a run
    "risk": 4000,  # for the risk of a decision, which two posteriors are compared by
    "outcomes": 400,  # of a run, for its value by importance weights
    "demand": 4000,  # of an uncertain demand
    "cost": 4000,  # of price and utilisation
}
"""How many draws each answer rests on: of the posterior where a comment says nothing else, evenly spaced."""


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

    Examples
    --------
    >>> bool(Supply(1e12).worth(4e12) < 4e12)  # four epochs are worth less than as many fresh tokens
    True
    """

    distinct: float
    repeats_worth: float = 15.39

    def __post_init__(self) -> None:
        """Refuse what is no supply."""
        for name in ("distinct", "repeats_worth"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value > 0):
                raise OutOfRange(f"The supply of text has {name} {value:g}: it has to be a positive number.")
        if self.distinct < 1:
            raise OutOfRange(f"The supply of text has {self.distinct:g} distinct tokens: it has to have at least one.")

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
    """The loss over N and D that :func:`~bayes_scaling.predict` expects and measures, in every draw at once.

    Arrays have one value a draw. A thinned surface has every ``step``-th draw of a ``total``, with the discrepancy of each.

    Parameters
    ----------
    law : Law
        The law.
    first : str
        Column of its first input.
    parameters : mapping
        Its parameters, an array or a number each.
    shape : tuple of int
        Chains and draws.
    discrepancy : tuple of callable
        What each model discrepancy adds to the log loss, from plain columns: :meth:`~bayes_scaling.model.effects.Placed.path`.
    noise : NewRunNoise
        What a new run adds: its residual is the same at every size, so that risks are compared by common random numbers.
    ratio : float
        Compute as the table counts it over 6 N D.
    supply : Supply, optional
        Text there is.
    """

    law: Law
    first: str
    parameters: Mapping[str, Any]
    shape: tuple[int, int]
    discrepancy: tuple[Callable[[Mapping[str, np.ndarray]], Any], ...]
    noise: NewRunNoise
    ratio: float
    supply: Supply | None = None
    step: int = 1
    total: int = 0

    @classmethod
    def of(cls, fit: Fit, labels: Mapping[str, str], seed: int = 0, supply: Supply | None = None) -> Surface:
        """Return the surface of a fit in one group, whose labels are admitted; refuse a law that is not of N and D."""
        if not splits_a_budget(fit):
            raise NotLearned(
                f"The law {fit.model.only.law} takes {', '.join(fit.model.only.columns.values())}: a budget is split between N "
                f"and D only by a law of both. Fit one of chinchilla, kappa or kaplan_nd."
            )
        values = parameters_in(fit, labels, seed=seed)
        sigma = fit.posterior["sigma"].transpose(*SAMPLE_DIMS)
        return cls(
            law=fit.model.only.the_law,
            first=next(iter(fit.model.only.columns.values())),
            parameters={n: flat_draws(value) if isinstance(value, xr.DataArray) else value for n, value in values.items()},
            shape=(sigma.shape[0], sigma.shape[1]),
            discrepancy=fit.discrepancy_paths(labels, seed),
            noise=NewRunNoise.of(fit, labels, seed),
            ratio=compute_ratio(fit),
            supply=supply,
            total=sigma.size,
        )

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

    @property
    def law_alone(self) -> Surface:
        """The surface without its discrepancy."""
        return replace(self, discrepancy=())

    def loss(self, params: Any, tokens: Any) -> np.ndarray:
        """Return the mean loss of N and D, which broadcast with the draws along their last dimension."""
        return self._expected(params, tokens)[0]

    def measured(self, params: Any, tokens: Any) -> np.ndarray:
        """Return what a new run of N and D measures, which broadcast with the draws along their last dimension."""
        return self.noise.measured(*self._expected(params, tokens))

    def along(self, budgets: np.ndarray, log_params: np.ndarray) -> np.ndarray:
        """Return the mean loss of sizes at budgets, last dimension the draws."""
        params = np.exp(log_params)
        return self.loss(params, tokens_at(budgets, params))

    def measured_along(self, budgets: np.ndarray, log_params: np.ndarray) -> np.ndarray:
        """Return what a new run of sizes at budgets measures, last dimension the draws."""
        params = np.exp(log_params)
        return self.measured(params, tokens_at(budgets, params))

    def thinned(self, most: int) -> Surface:
        """Return the surface with at most some number of draws, evenly spaced, each with its own discrepancy."""
        if self.draws <= most:
            return self
        step = -(-self.draws // most)
        values = {n: v[::step] if isinstance(v, np.ndarray) else v for n, v in self.parameters.items()}
        return replace(
            self,
            parameters=values,
            shape=(1, -(-self.draws // step)),
            noise=self.noise.thinned(step),
            step=self.step * step,
        )

    def _expected(self, params: Any, tokens: Any) -> tuple[np.ndarray, Any]:
        """Return the mean loss of N and D, and the variance function where the law expects it."""
        worth = tokens if self.supply is None else self.supply.worth(tokens)
        given = (params, worth) if self.first == "params" else (worth, params)
        law = np.asarray(self.law(*given, **self.parameters)) + np.zeros(self.draws)
        growth = self.noise.growth_at(law)
        if not self.discrepancy:
            return law, growth
        columns = {"params": params, "tokens": worth, "compute_flops": self.ratio * training_compute(params, tokens)}
        return with_effects(law, self._added({n: np.asarray(value, float) for n, value in columns.items()}), growth), growth

    def _added(self, columns: Mapping[str, np.ndarray]) -> Any:
        """Return what the discrepancy adds to the log loss at scale of the typical one: of all draws, those that are kept."""
        if self.step > 1:
            columns = {n: v if v.shape[-1:] in ((), (1,)) else _spread(v, self.step, self.total) for n, v in columns.items()}
        added = np.asarray(sum(path(columns) for path in self.discrepancy))
        return added[..., :: self.step] if added.ndim else added


def _spread(values: np.ndarray, step: int, total: int) -> np.ndarray:
    """Return values of every so many draws as values of all, each repeated until the next.

    >>> _spread(np.array([1.0, 2.0]), 2, 3).tolist()
    [1.0, 1.0, 2.0]
    """
    return np.repeat(values, step, axis=-1)[..., :total]


def thinned(fit: Fit, purpose: str) -> Fit:
    """Return a fit with the draws that an answer rests on."""
    return fit.thinned(-(-DRAWS[purpose] // fit.posterior.sizes["chain"]))


def budget_ratio(fit: Fit) -> float:
    """Return the compute that the table counts for a budget of one: budgets are 6 N D where a law splits them."""
    return compute_ratio(fit) if splits_a_budget(fit) else 1.0


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
        raise OutOfRange(f"The compute is {compute!r}: give FLOP, a positive number or a list of them.") from None
    least, most = training_compute(FEWEST, FEWEST), BY_COLUMN["compute_flops"].maximum
    if values.ndim > 1:
        raise OutOfRange(f"The compute has {values.ndim} dimensions: give one budget, or a list of them.")
    wrong = values[~((values > least) & (values <= most))]
    if wrong.size or not values.size:
        given = power(wrong.flat[0]) if wrong.size else "an empty list"
        raise OutOfRange(f"The compute is {given}: it has to be FLOP, more than {power(least)} and at most {power(most)}.")
    return xr.DataArray(values, dims=("compute_flops",) if values.ndim else ())
