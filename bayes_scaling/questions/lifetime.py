"""A model that is trained once and served: the size and the training of least cost over its lifetime."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import log
from typing import Any, Final, Unpack

import numpy as np
import pandas as pd
from pydantic import Field

from bayes_scaling.errors import OutOfRange, Unreachable
from bayes_scaling.model.priors import Prior
from bayes_scaling.numerics import first_root
from bayes_scaling.posterior.extrapolation import reach_sentence
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.inputs import positive
from bayes_scaling.posterior.predict import quantiles
from bayes_scaling.quantities import FLOP_PER_PARAMETER_AND_TOKEN, tokens_at, training_compute
from bayes_scaling.questions.allocation import law_clause
from bayes_scaling.questions.base import Answer, OfText
from bayes_scaling.questions.guardrails import distance, stated_distances
from bayes_scaling.questions.optimum import MOST_LOST, optima
from bayes_scaling.questions.picture import curve
from bayes_scaling.questions.surface import DRAWS, FEWEST, Surface, Text, budgets_of, thinned
from bayes_scaling.wording import credible, flop, probability, short

FLOP_PER_PARAMETER_AND_SERVED_TOKEN: Final = FLOP_PER_PARAMETER_AND_TOKEN / 3
_SIZES: Final = 41
_FINER: Final = 15
_NARROWED: Final = 3
"""Grids of so many sizes, each between the neighbours of the best of the one before, to a fifth of a per cent of N."""
_TOKENS: Final = np.geomspace(FEWEST, 1e22, 23)
"""Tokens between which the first that reach a loss are looked for."""


def lifetime(
    fit: Fit, *, target: float, demand: float | Prior, sure: float | None = None, prob: float = 0.9, **text: Unpack[Text]
) -> pd.DataFrame:
    """Return the table ``choice`` of :class:`Lifetime`, for a demand that is a number of tokens or a prior of it."""
    if sure is not None and not 0 < sure < 1:
        raise OutOfRange(f"The probability is {sure:g}: it has to lie between 0 and 1, say 0.9.")
    surface = Surface.asked(thinned(fit, "lifetime" if sure is None else "sure"), **text)
    loss = float(positive("loss", target))
    mean, served = _served(demand, text.get("seed", 0))
    means = (mean, 0.0)
    params, tokens = _cheapest(surface, loss, sure, means).T
    of_law = _cheapest(surface.law_alone, loss, sure, means)[:, 0] if surface.discrepancy else params
    training = training_compute(params, tokens)
    serving = FLOP_PER_PARAMETER_AND_SERVED_TOKEN * params * mean
    lower, upper = np.array([_total(surface, size, loss, served, quantiles(prob)[1:]) for size in params]).T
    columns = {
        "params": params,
        "tokens": tokens,
        "tokens_per_param": tokens / params,
        "training_flops": training,
        "serving_flops": serving,
        "total_flops": training + serving,
        "total_lower": lower,
        "total_upper": upper,
        "chance": (surface.measured(params[:, None], tokens[:, None]) <= loss).mean(axis=-1),
        "law_params": of_law,
    }
    runs = {"params": params, "tokens": tokens, "compute_flops": training}
    columns |= {f"reach_{name}": distance(fit, name, values) for name, values in runs.items()}
    return pd.DataFrame(columns, index=pd.Index(["lifetime", "training"], name="cares for"))


def _served(demand: float | Prior, seed: int) -> tuple[float, np.ndarray]:
    """Return the mean of a demand, and draws of it.

    >>> round(_served(Prior(dist="LogNormal", mu=0.0, sigma=2.0), 0)[0], 3)  # e^2, of which draws say little
    7.389
    """
    if not isinstance(demand, Prior):
        tokens = float(positive("demand", demand, of="tokens"))
        return tokens, np.array([tokens])
    draws = np.asarray(demand.draw(np.random.default_rng(seed), DRAWS["demand"]))
    given = demand.arguments
    mean = float(np.exp(given["mu"] + 0.5 * given["sigma"] ** 2) if demand.dist == "LogNormal" else draws.mean())
    positive("demand", mean, of="tokens")
    return mean, draws


def _cheapest(surface: Surface, target: float, sure: float | None, demands: Sequence[float]) -> np.ndarray:
    """Return for each demand the size and the tokens that reach the target at the least cost.

    They are looked for on a grid of sizes, then on ever finer ones between the neighbours of the best.
    """
    grid = np.geomspace(FEWEST, 1e16, _SIZES)
    tokens = _tokens_to(surface, grid, target, sure)
    if not np.isfinite(tokens).any():
        floor = float(surface.law_alone.loss(1e18, _TOKENS[-1]).mean())
        how = "a mean loss" if sure is None else f"with a probability of {sure:g} a loss"
        raise Unreachable(f"No size reaches {how} of {target:g}: the irreducible loss is about {floor:.3g}.")
    chosen = []
    for served in demands:
        sizes, needed = grid, tokens
        for _ in range(_NARROWED):
            best = int(np.argmin(_cost(sizes, needed, served)))
            sizes = np.geomspace(sizes[max(best - 1, 0)], sizes[min(best + 1, len(sizes) - 1)], _FINER)
            needed = _tokens_to(surface, sizes, target, sure)
        best = int(np.argmin(_cost(sizes, needed, served)))
        if sizes[best] <= 1.01 * FEWEST:
            raise Unreachable(
                f"The size of least cost that reaches {target:g} may have fewer than {short(FEWEST)} parameters, where the search ends: ask "
                f"for a lower loss."
            )
        chosen.append((sizes[best], needed[best]))
    return np.array(chosen)


def _cost(params: Any, tokens: Any, served: Any) -> Any:
    """Return the compute of training and serving."""
    return training_compute(params, tokens) + FLOP_PER_PARAMETER_AND_SERVED_TOKEN * params * served


def _tokens_to(surface: Surface, params: np.ndarray, target: float, sure: float | None) -> np.ndarray:
    """Return the fewest tokens with which sizes reach a loss: on average or, where one is given, with a probability."""

    def reached(log_tokens: np.ndarray) -> np.ndarray:
        at = params[:, None], np.exp(log_tokens)[..., None]
        gain = (
            target - surface.loss(*at).mean(axis=-1)
            if sure is None
            else (surface.measured(*at) <= target).mean(axis=-1) - sure
        )
        return np.where(surface.law_alone.loss(*at).mean(axis=-1) <= MOST_LOST * target, gain, -1.0)

    return np.exp(first_root(reached, np.log(_TOKENS)))


def _total(surface: Surface, params: float, target: float, served: np.ndarray, levels: Sequence[float]) -> np.ndarray:
    """Return quantiles of the cost of a size, trained in each draw until its mean loss reaches the target, and served."""

    def reached(log_tokens: np.ndarray) -> np.ndarray:
        at = params, np.exp(log_tokens)
        return np.where(surface.law_alone.loss(*at) <= MOST_LOST * target, target - surface.loss(*at), -1.0)

    needed = np.exp(first_root(reached, np.log(_TOKENS)))
    count = max(needed.size, served.size)
    return np.quantile(_cost(params, np.resize(needed, count), np.resize(served, count)), levels, method="nearest")


def overtraining(fit: Fit, *, compute: float, times: Any, prob: float = 0.9, **text: Unpack[Text]) -> pd.DataFrame:
    """Return what it costs to train smaller models for longer with the same compute, the table of :class:`Lifetime`.

    >>> from bayes_scaling.posterior.examples import example_fit
    >>> overtraining(example_fit(), compute=1e23, times=[1, 2, 4])["penalty"].round(3).tolist()
    [0.0, 0.007, 0.027]
    """
    budget = float(budgets_of(compute))
    by = np.atleast_1d(np.asarray(times, float))
    if not (np.isfinite(by) & (by > 0)).all():
        raise OutOfRange(f"times is {times!r}: it has to be a positive number, or a list of them.")
    surface = Surface.asked(fit, **text)
    at = np.array([[budget]])
    best = optima(surface, at[0])
    moved = best - np.log(by)[:, None]
    excess = surface.along(at, moved) - surface.along(at, best)
    median, lower, upper = np.quantile(excess, quantiles(prob), axis=-1)
    ratio = np.median(tokens_at(budget, np.exp(moved)) / np.exp(moved), axis=-1)
    return pd.DataFrame({"times": by, "tokens_per_param": ratio, "penalty": median, "lower": lower, "upper": upper})


class Lifetime(OfText):
    """The size of least cost over training and serving.

    Serving a token takes two FLOP a parameter, training on one six (Kaplan et al. 2020, section 2.1). A smaller model trained
    for longer reaches the same loss at more training and less serving (Sardana et al. 2024, who state the problem for point
    estimates). What is made least is the mean cost over the demand. What is reached is the mean over the posterior of the
    mean loss, which a run then measures at about even odds; or, with ``sure``, the loss with that probability of a run.
    Asked of a fit of a law of N and D.

    Table ``choice``: two rows, ``lifetime``, the choice, and ``training``, that of least training cost; ``params``,
    ``tokens``, ``tokens_per_param``; ``training_flops``, ``serving_flops``, ``total_flops``, means over the demand;
    ``total_lower``, ``total_upper``, the interval over posterior and demand of what that size costs if it is trained until its
    mean loss is the target, infinite where it may never be; ``chance`` that a new run of it measures the target or less;
    ``law_params``, the size by the law alone; ``reach_params``, ``reach_tokens`` and ``reach_compute_flops``, decades beyond the
    runs. Table ``overtraining``, at the compute of the choice: a
    row for ``times``, how many times smaller than the compute-optimal size of each draw; ``tokens_per_param`` there, the
    median; ``penalty``, by how much the loss is above the optimum's, median, with ``lower``, ``upper``.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> answer = Lifetime(target=2.1, demand=1e13).answer(example_fit())
    >>> answer.tables["choice"]["tokens_per_param"].round(0).tolist()
    [397.0, 20.0]
    """

    name = "lifetime"
    panel = "Budget"
    about_budgets = True
    example = "lifetime fit.nc --loss 2.0 --demand 1e13 --demand-factor 3"

    target: float = Field(gt=0, description="Loss to reach.", json_schema_extra={"option": "--loss"})
    sure: float | None = Field(
        default=None, gt=0, lt=1, description="Probability with which a run reaches it; by default the mean loss has to."
    )
    demand: float | Prior = Field(description="Tokens that will be served; their median, where uncertain.")
    demand_factor: float | None = Field(
        default=None,
        gt=1,
        le=1000,
        description="Factor around the median within which the demand lies with probability 90 %.",
    )

    @property
    def served(self) -> float | Prior:
        """The demand, as a prior where it is uncertain."""
        if self.demand_factor is None or isinstance(self.demand, Prior):
            return self.demand
        positive("demand", self.demand, of="tokens")
        return Prior.model_validate({"dist": "LogNormal", "mu": log(self.demand), "sigma": log(self.demand_factor) / 1.645})

    def _result(self, posterior: Fit) -> Answer:
        table = lifetime(posterior, target=self.target, demand=self.served, sure=self.sure, prob=self.prob, **self.given)
        best, plain = table.loc["lifetime"], table.loc["training"]
        spent = float(best["training_flops"])
        penalty = overtraining(posterior, compute=spent, times=[1, 2, 4, 8], prob=self.prob, **self.given)
        saved = 100 * (1 - best["total_flops"] / plain["total_flops"])
        goal = f"{'an expected' if self.sure is None else 'a'} loss of {self.target:g} {posterior.loss_unit}"
        least, most = best["total_lower"], best["total_upper"]
        interval = (
            credible(self.prob, flop(least), flop(most))
            if np.isfinite(most)
            else f"{flop(least)} or more, without an upper limit, since it may never get there"
        )
        sentence = (
            f"To serve this demand at {goal}, train {short(best['params'])} parameters{law_clause(best['law_params'], best['params'])} "
            f"on {short(best['tokens'])} tokens ({best['tokens_per_param']:.0f} per parameter): {flop(best['total_flops'])} over its "
            f"lifetime, {saved:.0f} % less than the {short(plain['params'])} parameters of least training cost. A run measures that "
            f"loss with a probability of {probability(best['chance'])}. The total cost, if it is trained until the mean loss is that low: {interval}. "
            f"The run is {reach_sentence(stated_distances(best))}."
        )
        draw = partial(curve, table="overtraining", x="times", y="penalty", band=("lower", "upper"))
        return Answer(sentence, tables={"choice": table, "overtraining": penalty}, draw=draw, compute=spent)
