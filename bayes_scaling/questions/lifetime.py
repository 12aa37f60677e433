"""A model that is trained once and served: the size and the training of least cost over its lifetime.

Serving a token takes two FLOP a parameter, training on one six (Kaplan et al. 2020, section 2.1). A smaller model trained
for longer reaches the same loss at more training and less serving (Sardana et al. 2024).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from math import log
from typing import Any, Final

import numpy as np
import pandas as pd
from pydantic import Field

from bayes_scaling.errors import InvalidRequest
from bayes_scaling.model.priors import Prior
from bayes_scaling.numerics import bisect
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.inputs import admit, positive
from bayes_scaling.posterior.predict import quantiles
from bayes_scaling.quantities import FLOP_PER_PARAMETER_AND_TOKEN, tokens_at, training_compute
from bayes_scaling.questions.base import Answer, OfText
from bayes_scaling.questions.picture import curve
from bayes_scaling.questions.surface import DRAWS, FEWEST, Supply, Surface, budgets_of, optima
from bayes_scaling.questions.wording import flop, short

FLOP_PER_PARAMETER_AND_SERVED_TOKEN: Final = FLOP_PER_PARAMETER_AND_TOKEN / 3
_SIZES: Final = 41
_MOST_TOKENS: Final = 1e22


def lifetime(
    fit: Fit,
    *,
    target: float,
    demand: float | Prior,
    supply: Supply | None = None,
    group: Mapping[str, str] | None = None,
    seed: int = 0,
    prob: float = 0.9,
) -> pd.DataFrame:
    """Return the size and the tokens that reach an expected loss at the least cost of training and serving together.

    Parameters
    ----------
    fit : Fit
        A fit of a law of N and D.
    target : float
        Expected loss to reach: the mean of the law's over the posterior.
    demand : float or Prior
        Tokens that will be served; a prior where they are uncertain. What is made least is the mean cost.
    prob : float
        Probability of the interval.

    Returns
    -------
    DataFrame
        Two rows: ``lifetime``, the choice, and ``training``, the choice of least training cost. ``params``,
        ``tokens``, ``tokens_per_param``; ``training_flops``, ``serving_flops``, ``total_flops``, means over the demand;
        ``total_lower``, ``total_upper``, the interval over the demand.

    Raises
    ------
    InvalidRequest
        If no size reaches the target, or the demand is no positive number.

    References
    ----------
    Sardana et al. (2024), who state the problem for point estimates.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> found = lifetime(example_fit(), target=2.1, demand=1e13)
    >>> found["tokens_per_param"].round(0).tolist()
    [377.0, 21.0]
    """
    labels = admit(fit, group or {}, seed)
    wanted = float(positive("loss", target))
    served = _served(demand, seed)
    surface = Surface.of(fit, labels, seed, supply).thinned(DRAWS["lifetime"])
    rows = [_row(*_cheapest(surface, wanted, float(of.mean())), served, prob) for of in (served, np.zeros(1))]
    return pd.DataFrame(rows, index=pd.Index(["lifetime", "training"], name="cares for"))


def overtraining(
    fit: Fit,
    *,
    compute: float,
    times: Any,
    supply: Supply | None = None,
    group: Mapping[str, str] | None = None,
    seed: int = 0,
    prob: float = 0.9,
) -> pd.DataFrame:
    """Return what it costs to train smaller models for longer with the same compute.

    Parameters
    ----------
    fit : Fit
        A fit of a law of N and D.
    compute : float
        Budget, FLOP.
    times : float or sequence
        How many times smaller than the compute-optimal size of each draw.
    prob : float
        Probability of the intervals.

    Returns
    -------
    DataFrame
        One row for each: ``times``; ``tokens_per_param`` there, the median; ``penalty``, by how much the loss
        is above the optimum's, median, with ``lower``, ``upper``.

    Raises
    ------
    InvalidRequest
        If a number is not positive.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> overtraining(example_fit(), compute=1e23, times=[1, 2, 4])["penalty"].round(3).tolist()
    [0.0, 0.007, 0.027]
    """
    labels = admit(fit, group or {}, seed)
    budget = float(budgets_of(compute))
    by = np.atleast_1d(np.asarray(times, float))
    if not (np.isfinite(by) & (by > 0)).all():
        raise InvalidRequest(f"times is {times!r}: it has to be a positive number, or a list of them.")
    surface = Surface.of(fit, labels, seed, supply)
    at = np.array([[budget]])
    best = optima(surface, at[0])
    moved = best - np.log(by)[:, None]
    excess = surface.along(at, moved) - surface.along(at, best)
    median, lower, upper = np.quantile(excess, quantiles(prob), axis=-1)
    ratio = np.median(tokens_at(budget, np.exp(moved)) / np.exp(moved), axis=-1)
    return pd.DataFrame({"times": by, "tokens_per_param": ratio, "penalty": median, "lower": lower, "upper": upper})


def tokens_to(surface: Surface, params: np.ndarray, target: float) -> np.ndarray:
    """Return the tokens on which sizes reach an expected loss; infinite where they never do.

    Parameters
    ----------
    surface : Surface
        The law's loss.
    params : ndarray, shape (size,)
        Sizes.
    target : float
        Mean over the draws of the loss to reach.

    Returns
    -------
    ndarray, shape (size,)
        Tokens.
    """

    def mean(tokens: np.ndarray) -> np.ndarray:
        return surface.loss(params[:, None], tokens[:, None]).mean(axis=-1)

    ends = np.log(FEWEST), np.full(len(params), np.log(_MOST_TOKENS))
    _, high = bisect(lambda log_tokens: target - mean(np.exp(log_tokens)), *ends, halvings=26)
    return np.where(mean(np.exp(ends[1])) > target, np.inf, np.exp(high))


def _cheapest(surface: Surface, target: float, served: float) -> tuple[float, float]:
    """Return the size and the tokens that reach the target at the least cost: on a grid, then on one between its neighbours."""
    sizes = np.geomspace(FEWEST, 1e16, _SIZES)
    total, tokens, best = np.empty(0), np.empty(0), 0
    for _ in range(2):
        if total.size:
            sizes = np.geomspace(sizes[max(best - 1, 0)], sizes[min(best + 1, len(sizes) - 1)], _SIZES)
        tokens = tokens_to(surface, sizes, target)
        total = _cost(sizes, tokens, served)
        if not np.isfinite(total).any():
            raise InvalidRequest(
                f"No size reaches an expected loss of {target:g}: the irreducible loss is about {_floor(surface):.3g}."
            )
        best = int(np.argmin(total))
    return float(sizes[best]), float(tokens[best])


def _served(demand: float | Prior, seed: int) -> np.ndarray:
    if isinstance(demand, Prior):
        return np.asarray(demand.draw(np.random.default_rng(seed), DRAWS["demand"]))
    return np.array([float(positive("tokens", demand))])


def _cost(params: np.ndarray, tokens: np.ndarray, served: float) -> np.ndarray:
    return training_compute(params, tokens) + FLOP_PER_PARAMETER_AND_SERVED_TOKEN * params * served


def _row(params: float, tokens: float, served: np.ndarray, prob: float) -> dict[str, float]:
    serving = FLOP_PER_PARAMETER_AND_SERVED_TOKEN * params * served
    training = float(training_compute(params, tokens))
    lower, upper = np.quantile(training + serving, quantiles(prob)[1:])
    return {
        "params": float(params),
        "tokens": float(tokens),
        "tokens_per_param": float(tokens / params),
        "training_flops": training,
        "serving_flops": float(serving.mean()),
        "total_flops": training + float(serving.mean()),
        "total_lower": float(lower),
        "total_upper": float(upper),
    }


def _floor(surface: Surface) -> float:
    return float(surface.loss(1e18, _MOST_TOKENS).mean())


class Lifetime(OfText):
    """The size of least cost over training and serving."""

    name = "lifetime"
    panel = "Budget"
    example = "lifetime fit.nc --loss 2.0 --demand 1e13 --demand-factor 3"

    target: float = Field(gt=0, description="Expected loss to reach.", json_schema_extra={"option": "--loss"})
    demand: float | Prior = Field(description="Tokens that will be served; their median, where uncertain.")
    demand_factor: float | None = Field(default=None, description="Factor within which the demand lies with 90 %.")

    @property
    def served(self) -> float | Prior:
        """The demand, as a prior where it is uncertain."""
        if self.demand_factor is None or isinstance(self.demand, Prior):
            return self.demand
        if not (self.demand > 0 and self.demand_factor > 1):
            raise InvalidRequest("The demand has to be positive, and its factor more than one.")
        return Prior.model_validate({"dist": "LogNormal", "mu": log(self.demand), "sigma": log(self.demand_factor) / 1.645})

    def _result(self, posterior: Fit) -> Answer:
        table = lifetime(posterior, target=self.target, demand=self.served, prob=self.prob, **self.given)
        best, plain = table.loc["lifetime"], table.loc["training"]
        spent = float(best["training_flops"])
        penalty = overtraining(posterior, compute=spent, times=[1, 2, 4, 8], prob=self.prob, **self.given)
        saved = 100 * (1 - best["total_flops"] / plain["total_flops"])
        sentence = (
            f"To serve this demand at an expected loss of {self.target:g} {posterior.loss_unit}, train {short(best['params'])} parameters "
            f"on {short(best['tokens'])} tokens ({best['tokens_per_param']:.0f} per parameter): {flop(best['total_flops'])} over its "
            f"lifetime, {saved:.0f} % less than the {short(plain['params'])} parameters of least training cost."
        )
        draw = partial(curve, table="overtraining", x="times", y="penalty", band=("lower", "upper"))
        return Answer(sentence, tables={"choice": table, "overtraining": penalty}, draw=draw, compute=spent)
