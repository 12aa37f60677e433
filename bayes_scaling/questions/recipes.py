"""Two recipes fitted together: which is better at a compute, by how much compute, and where they cross."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr
from pydantic import Field

from bayes_scaling.errors import InvalidRequest
from bayes_scaling.numerics import first_crossing
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.inputs import admit
from bayes_scaling.posterior.predict import SAMPLE_DIMS, growth_at, measured_anew, quantiles
from bayes_scaling.questions.base import Answer, Positive, Question
from bayes_scaling.questions.picture import curve
from bayes_scaling.questions.surface import DRAWS, Surface, budgets_of, optima
from bayes_scaling.questions.wording import credible, flop

_GRID: Final = 121
_BEYOND: Final = 1e4
"""Compute multipliers are searched between a ten-thousandth and ten thousand."""


def compare_recipes(
    fit: Fit, a: Mapping[str, str], b: Mapping[str, str], *, compute: Any, prob: float = 0.9, seed: int = 0
) -> pd.DataFrame:
    """Return how likely one group of runs is better than another at a compute, each at its own best size.

    Parameters
    ----------
    fit : Fit
        A fit of a law of N and D whose parameters vary by a column of the runs: ``kappa_by_group``, say.
    a, b : mapping
        The recipes: a label of each grouping column.
    compute : float or sequence
        Budgets, FLOP.
    prob : float
        Probability of the intervals.
    seed : int
        Of groups that are new to the fit.

    Returns
    -------
    DataFrame
        One row a budget: ``compute_flops``; ``chance`` that the expected loss of `a` is less than that of `b`;
        ``chance_of_runs`` that a new run of `a` measures less than one of `b`; ``gain``, the loss of `b` less that of `a`,
        with ``gain_lower``, ``gain_upper``; ``multiplier``, how many times the budget `b` needs to be as good as `a`, with
        ``multiplier_lower``, ``multiplier_upper``, infinite where it never is.

    Raises
    ------
    InvalidRequest
        If the model has no groups, the recipes are the same, or a budget is not positive.

    Notes
    -----
    Losses on different texts, or by different tokenizers, cannot be compared: the recipes have to be judged by one text.
    """
    fit = _thinned(fit)
    surfaces = surfaces_of(fit, a, b, seed)
    budgets = np.atleast_1d(budgets_of(compute).values)
    rng = np.random.default_rng([seed, 5])
    grid = np.geomspace(budgets.min() / _BEYOND, budgets.max() * _BEYOND, _GRID)
    ours, theirs = (surface.along(budgets[:, None], optima(surface, budgets)) for surface in surfaces)
    curve = surfaces[1].along(grid[:, None], optima(surfaces[1], grid))
    rows = []
    for budget, of_a, of_b in zip(budgets, ours, theirs, strict=True):
        gain = np.quantile(of_b - of_a, quantiles(prob))
        times = np.exp(first_crossing(np.log(grid), -curve, -of_a)) / budget
        multiplier = np.quantile(times, quantiles(prob), method="nearest")
        rows.append(
            {
                "compute_flops": budget,
                "chance": float((of_a < of_b).mean()),
                "chance_of_runs": float((_measured(fit, of_a, rng) < _measured(fit, of_b, rng)).mean()),
                **dict(zip(("gain", "gain_lower", "gain_upper"), gain, strict=True)),
                **dict(zip(("multiplier", "multiplier_lower", "multiplier_upper"), multiplier, strict=True)),
            }
        )
    return pd.DataFrame(rows)


def crossing(
    fit: Fit, a: Mapping[str, str], b: Mapping[str, str], *, furthest: float = 6.0, prob: float = 0.9, seed: int = 0
) -> pd.Series:
    """Return where two recipes cross: the compute beyond which the one that is behind at the runs is ahead.

    Parameters
    ----------
    furthest : float
        Decades beyond the largest run to search.
    prob : float
        Probability of the interval.

    Returns
    -------
    Series
        ``chance`` that they cross between the smallest run and the furthest compute; ``ahead``, the chance that `a` is
        ahead at the furthest; ``compute_flops``, with ``lower``, ``upper``, the last crossing of the draws that have one.

    Raises
    ------
    InvalidRequest
        As for :func:`compare_recipes`.
    """
    surfaces = surfaces_of(_thinned(fit), a, b, seed)
    spent = fit.table["compute_flops"]
    grid = np.geomspace(float(spent.min()), float(spent.max()) * 10**furthest, _GRID)
    ours, theirs = (surface.along(grid[:, None], optima(surface, grid)) for surface in surfaces)
    ahead = ours < theirs
    turns = ahead[1:] != ahead[:-1]
    crosses = turns.any(axis=0)
    last = len(grid) - 2 - turns[::-1].argmax(axis=0)
    where = np.sqrt(grid[last] * grid[last + 1])[crosses]
    found = {"chance": float(crosses.mean()), "ahead": float(ahead[-1].mean())}
    ends = np.quantile(where, quantiles(prob)) if where.size else np.full(3, np.nan)
    return pd.Series(found | dict(zip(("compute_flops", "lower", "upper"), ends, strict=True)))


def surfaces_of(fit: Fit, a: Mapping[str, str], b: Mapping[str, str], seed: int) -> tuple[Surface, Surface]:
    """Return the law's loss in each of two groups.

    Raises
    ------
    InvalidRequest
        If the model has no groups, or both are the same.
    """
    if not fit.model.group_columns:
        raise InvalidRequest("The model has no groups to compare: fit one that varies by a column, such as kappa_by_group.")
    labels = [admit(fit, recipe, seed) for recipe in (a, b)]
    if labels[0] == labels[1]:
        raise InvalidRequest(f"Both recipes are {labels[0]}: name two.")
    ours, theirs = (Surface.of(fit, label, seed) for label in labels)
    return ours, theirs


def _thinned(fit: Fit) -> Fit:
    return fit.thinned(-(-DRAWS["recipes"] // fit.posterior.sizes["chain"]))


def _measured(fit: Fit, expected: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return what new runs measure whose expected losses are given, a draw of the fit each."""
    shape = fit.posterior.sizes["chain"], fit.posterior.sizes["draw"]
    law = xr.DataArray(expected.reshape(shape), dims=SAMPLE_DIMS, coords={d: fit.posterior[d] for d in SAMPLE_DIMS})
    return measured_anew(fit, law, rng, growth=growth_at(fit, law)).values.ravel()


class Recipes(Question):
    """The better of two recipes at a compute, with a probability, and what it saves in compute."""

    name = "recipes"
    panel = "Budget"
    example = "recipes fit.nc --a group=C4 --b group=RedPajama --compute 1e22"
    unused = ("group",)
    writes = "recipes"

    a: dict[str, str] = Field(description="One recipe: its label in each grouping column.")
    b: dict[str, str] = Field(description="The other.")
    compute: tuple[Positive, ...] = Field(min_length=1, description="Budget, FLOP; repeatable.")

    def _result(self, posterior: Fit) -> Answer:
        asked: dict[str, Any] = {"prob": self.prob, "seed": self.seed}
        table = compare_recipes(posterior, self.a, self.b, compute=list(self.compute), **asked)
        crosses = crossing(posterior, self.a, self.b, **asked)
        ours, theirs = (", ".join(recipe.values()) for recipe in (self.a, self.b))
        lines = [
            f"At {flop(row['compute_flops'])} {ours} is better than {theirs} with a probability of {row['chance']:.2f}; {theirs} needs "
            f"{row['multiplier']:.3g} times the compute "
            f"({credible(self.prob, f'{row["multiplier_lower"]:.3g}', f'{row["multiplier_upper"]:.3g}')})."
            for row in table.to_dict("records")
        ]
        lines.append(f"They cross with a probability of {crosses['chance']:.2f} within six decades beyond the runs.")
        draw = partial(curve, table="recipes", x="compute_flops", y="gain", band=("gain_lower", "gain_upper"))
        return Answer("\n".join(lines), tables={"recipes": table, "crossing": crosses.to_frame().T}, draw=draw)
