"""A model that is trained once and served: the size and the training of least cost over its lifetime."""

from __future__ import annotations

from functools import partial
from math import log
from typing import Any, Final, Unpack

import numpy as np
import pandas as pd
from pydantic import Field

from bayes_scaling.errors import InvalidRequest
from bayes_scaling.model.priors import Prior
from bayes_scaling.numerics import bisect
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.inputs import positive
from bayes_scaling.posterior.predict import quantiles
from bayes_scaling.quantities import FLOP_PER_PARAMETER_AND_TOKEN, tokens_at, training_compute
from bayes_scaling.questions.base import Answer, OfText
from bayes_scaling.questions.picture import curve
from bayes_scaling.questions.surface import DRAWS, FEWEST, Surface, Text, budgets_of, optima
from bayes_scaling.questions.wording import flop, short

FLOP_PER_PARAMETER_AND_SERVED_TOKEN: Final = FLOP_PER_PARAMETER_AND_TOKEN / 3
_SIZES: Final = 41
_MOST_TOKENS: Final = 1e22


def lifetime(fit: Fit, *, target: float, demand: float | Prior, prob: float = 0.9, **text: Unpack[Text]) -> pd.DataFrame:
    """Return the table ``choice`` of :class:`Lifetime`, for a demand that is a number of tokens or a prior of it."""
    surface = Surface.asked(fit, **text).thinned(DRAWS["lifetime"])
    loss = float(positive("loss", target))
    served = (
        np.asarray(demand.draw(np.random.default_rng(text.get("seed", 0)), DRAWS["demand"]))
        if isinstance(demand, Prior)
        else np.array([float(positive("tokens", demand))])
    )
    best = np.array([_cheapest(surface, loss, mean) for mean in (float(served.mean()), 0.0)])
    params, tokens = best.T
    training = training_compute(params, tokens)
    serving = FLOP_PER_PARAMETER_AND_SERVED_TOKEN * params[:, None] * served
    lower, upper = np.quantile(training[:, None] + serving, quantiles(prob)[1:], axis=-1)
    columns = {
        "params": params,
        "tokens": tokens,
        "tokens_per_param": tokens / params,
        "training_flops": training,
        "serving_flops": serving.mean(axis=-1),
        "total_flops": training + serving.mean(axis=-1),
        "total_lower": lower,
        "total_upper": upper,
    }
    return pd.DataFrame(columns, index=pd.Index(["lifetime", "training"], name="cares for"))


def _cheapest(surface: Surface, target: float, served: float) -> tuple[float, float]:
    """Return the size and the tokens that reach the target at the least cost: on a grid, then on one between its neighbours."""

    def cheapest_of(sizes: np.ndarray) -> tuple[int, float]:
        tokens = _tokens_to(surface, sizes, target)
        total = training_compute(sizes, tokens) + FLOP_PER_PARAMETER_AND_SERVED_TOKEN * sizes * served
        best = int(np.argmin(total))
        if not np.isfinite(total[best]):
            floor = float(surface.loss(1e18, _MOST_TOKENS).mean())
            raise InvalidRequest(
                f"No size reaches an expected loss of {target:g}: the irreducible loss is about {floor:.3g}."
            )
        return best, float(tokens[best])

    grid = np.geomspace(FEWEST, 1e16, _SIZES)
    best, _ = cheapest_of(grid)
    finer = np.geomspace(grid[max(best - 1, 0)], grid[min(best + 1, _SIZES - 1)], _SIZES)
    best, tokens = cheapest_of(finer)
    return float(finer[best]), tokens


def _tokens_to(surface: Surface, params: np.ndarray, target: float) -> np.ndarray:
    """Return the tokens on which sizes reach an expected loss, the mean over the draws; infinite where they never do."""

    def mean(log_tokens: np.ndarray) -> np.ndarray:
        return surface.loss(params[:, None], np.exp(log_tokens)[:, None]).mean(axis=-1)

    ends = np.log(FEWEST), np.full(len(params), np.log(_MOST_TOKENS))
    _, high = bisect(lambda log_tokens: target - mean(log_tokens), *ends, halvings=26)
    return np.where(mean(ends[1]) > target, np.inf, np.exp(high))


def overtraining(fit: Fit, *, compute: float, times: Any, prob: float = 0.9, **text: Unpack[Text]) -> pd.DataFrame:
    """Return what it costs to train smaller models for longer with the same compute, the table of :class:`Lifetime`.

    >>> from bayes_scaling.posterior.examples import example_fit
    >>> overtraining(example_fit(), compute=1e23, times=[1, 2, 4])["penalty"].round(3).tolist()
    [0.0, 0.007, 0.027]
    """
    budget = float(budgets_of(compute))
    by = np.atleast_1d(np.asarray(times, float))
    if not (np.isfinite(by) & (by > 0)).all():
        raise InvalidRequest(f"times is {times!r}: it has to be a positive number, or a list of them.")
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
    estimates). What is made least is the mean cost over the demand; what is reached, the mean of the law's loss over the
    posterior of a law of N and D.

    Table ``choice``: two rows, ``lifetime``, the choice, and ``training``, that of least training cost; ``params``,
    ``tokens``, ``tokens_per_param``; ``training_flops``, ``serving_flops``, ``total_flops``, means over the demand;
    ``total_lower``, ``total_upper``, the interval over the demand. Table ``overtraining``, at the compute of the choice: a
    row for ``times``, how many times smaller than the compute-optimal size of each draw; ``tokens_per_param`` there, the
    median; ``penalty``, by how much the loss is above the optimum's, median, with ``lower``, ``upper``.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> answer = Lifetime(target=2.1, demand=1e13).answer(example_fit())
    >>> answer.tables["choice"]["tokens_per_param"].round(0).tolist()
    [377.0, 21.0]
    """

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
