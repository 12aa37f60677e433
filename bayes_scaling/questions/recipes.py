"""Two recipes fitted together: which is better at a compute, by how much compute, and where they cross."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import numpy as np
import pandas as pd
from pydantic import Field

from bayes_scaling.errors import InvalidRequest
from bayes_scaling.numerics import first_crossing
from bayes_scaling.posterior.compute import compute_ratio
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.inputs import admit
from bayes_scaling.posterior.predict import quantiles
from bayes_scaling.questions.base import Answer, Positive, Question, with_interval
from bayes_scaling.questions.optimum import least_loss, optima
from bayes_scaling.questions.picture import curve
from bayes_scaling.questions.surface import Surface, budgets_of, thinned
from bayes_scaling.questions.wording import credible, flop, number

_GRID: Final = 121
_BEYOND: Final = 1e4
"""Compute multipliers are searched between a ten-thousandth and ten thousand."""


def compare_recipes(
    fit: Fit, a: Mapping[str, str], b: Mapping[str, str], *, compute: Any, prob: float = 0.9, seed: int = 0
) -> pd.DataFrame:
    """Return how likely recipe `a` is better than `b` at budgets, each at its own best size: the table of :class:`Recipes`."""
    surfaces = _surfaces(thinned(fit, "recipes"), a, b, seed)
    budgets = np.atleast_1d(budgets_of(compute).values)
    grid = np.geomspace(budgets.min() / _BEYOND, budgets.max() * _BEYOND, _GRID)
    at = budgets[:, None]
    sizes = [optima(surface, budgets) for surface in surfaces]
    ours, theirs = (surface.along(at, best) for surface, best in zip(surfaces, sizes, strict=True))
    ahead = np.less(*(surface.measured_along(at, best) for surface, best in zip(surfaces, sizes, strict=True)))
    path = least_loss(surfaces[1], grid)
    rows = []
    for budget, of_a, of_b, wins in zip(budgets, ours, theirs, ahead, strict=True):
        times = np.exp(first_crossing(np.log(grid), -path, -of_a)) / budget
        rows.append(
            {
                "compute_flops": budget,
                "chance": float((of_a < of_b).mean()),
                "chance_of_runs": float(wins.mean()),
                **with_interval("gain", np.quantile(of_b - of_a, quantiles(prob))),
                **with_interval("multiplier", np.quantile(times, quantiles(prob), method="nearest")),
            }
        )
    return pd.DataFrame(rows)


def crossing(
    fit: Fit, a: Mapping[str, str], b: Mapping[str, str], *, furthest: float = 6.0, prob: float = 0.9, seed: int = 0
) -> pd.Series:
    """Return where recipes cross up to some decades beyond the largest run, the row ``crossing`` of :class:`Recipes`."""
    surfaces = _surfaces(thinned(fit, "recipes"), a, b, seed)
    spent = fit.table["compute_flops"] / compute_ratio(fit)
    grid = np.geomspace(float(spent.min()), float(spent.max()) * 10**furthest, _GRID)
    ours, theirs = (least_loss(surface, grid) for surface in surfaces)
    ahead = ours < theirs
    turns = ahead[1:] != ahead[:-1]
    crosses = turns.any(axis=0)
    last = len(grid) - 2 - turns[::-1].argmax(axis=0)
    where = np.sqrt(grid[last] * grid[last + 1])[crosses]
    ends = np.quantile(where, quantiles(prob)) if where.size else np.full(3, np.nan)
    chances = {"chance": float(crosses.mean()), "ahead": float(ahead[-1].mean())}
    return pd.Series(chances | dict(zip(("compute_flops", "lower", "upper"), ends, strict=True)))


def _surfaces(fit: Fit, a: Mapping[str, str], b: Mapping[str, str], seed: int) -> tuple[Surface, Surface]:
    """Return the loss in each of two groups, or refuse what cannot be compared."""
    if not fit.model.group_columns:
        raise InvalidRequest("The model has no groups to compare: fit one that varies by a column, such as kappa_by_group.")
    of_a, of_b = (admit(fit, recipe, seed) for recipe in (a, b))
    if of_a == of_b:
        raise InvalidRequest(f"Both recipes are {of_a}: name two.")
    return Surface.of(fit, of_a, seed), Surface.of(fit, of_b, seed)


class Recipes(Question):
    """The better of two recipes at a compute, with a probability, and what it saves in compute.

    Asked of a fit of a law of N and D whose parameters vary by a column of the runs: ``kappa_by_group``, say. Losses on
    different texts, or by different tokenizers, cannot be compared: the recipes have to be judged by one text.

    Table ``recipes``: a row a budget; ``compute_flops``; ``chance`` that the expected loss of `a` is less than that of `b`;
    ``chance_of_runs`` that a new run of `a` measures less than one of `b`; ``gain``, the loss of `b` less that of `a`, with
    ``gain_lower``, ``gain_upper``; ``multiplier``, how many times the budget `b` needs to be as good as `a`, with
    ``multiplier_lower``, ``multiplier_upper``, infinite where it never is. Table ``crossing``: one row; ``chance`` that they
    cross between the smallest run and six decades beyond the largest; ``ahead``, the chance that `a` is ahead there;
    ``compute_flops``, with ``lower``, ``upper``, the last crossing of the draws that have one.

    Examples
    --------
    >>> recipes = Recipes(a={"group": "C4"}, b={"group": "RedPajama"}, compute=[1e22])
    >>> recipes.compute
    (1e+22,)
    """

    name = "recipes"
    panel = "Budget"
    example = "recipes fit.nc --a group=C4 --b group=RedPajama --compute 1e22"
    unused = ("group",)
    writes = "recipes"

    a: dict[str, str] = Field(description="One recipe: its label in each grouping column.")
    b: dict[str, str] = Field(description="The other.")
    compute: tuple[Positive, ...] = Field(min_length=1, description="Budget, FLOP; repeatable.")

    def _result(self, posterior: Fit) -> Answer:
        settings: dict[str, Any] = {"prob": self.prob, "seed": self.seed}
        table = compare_recipes(posterior, self.a, self.b, compute=list(self.compute), **settings)
        crosses = crossing(posterior, self.a, self.b, **settings)
        ours, theirs = (", ".join(recipe.values()) for recipe in (self.a, self.b))
        lines = [
            f"At {flop(row['compute_flops'])} {ours} is better than {theirs} with a probability of {row['chance']:.2f}; {theirs} needs "
            f"{number(row['multiplier'])} times the compute "
            f"({credible(self.prob, number(row['multiplier_lower']), number(row['multiplier_upper']))})."
            for row in table.to_dict("records")
        ]
        lines.append(f"They cross with a probability of {crosses['chance']:.2f} within six decades beyond the runs.")
        draw = partial(curve, table="recipes", x="compute_flops", y="gain", band=("gain_lower", "gain_upper"))
        return Answer("\n".join(lines), tables={"recipes": table, "crossing": crosses.to_frame().T}, draw=draw)
