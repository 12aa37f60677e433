"""What a page needs to find compute-optimal training by itself: the formulas of :func:`~bayes_scaling.frontier` in JavaScript.

They are those of Python, called on symbols; the page solves them in each draw, by the same steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from bayes_scaling.errors import InvalidRequest
from bayes_scaling.model.effects import Spline
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.residuals import flat_draws
from bayes_scaling.quantities import BY_COLUMN, training_compute, training_tokens
from bayes_scaling.questions.frontier import REACH, efficient, efficient_at, efficient_excess_at
from bayes_scaling.questions.guardrails import SPENT_OVER_LEAST
from bayes_scaling.questions.learning_curve import AMOUNTS, LearningCurve, compute_excess, laws_of

INPUTS = ("params", "steps", "batch_tokens")
"""Columns of a run that is trained at a batch, in the order of what a page chooses."""
_ABOVE_CONVERGED = ("S_c", "alpha_S", "B_star", "alpha_B")
Formulas = dict[str, tuple[Callable[..., Any], list[str]]]


def curve_of(fit: Fit, name: str, columns: Sequence[str]) -> LearningCurve | None:
    """Return the learning curve of an observation whose runs are of N, S and B; None where it is none."""
    if sorted(columns) != sorted(INPUTS):
        return None
    try:
        return LearningCurve.of(fit, name)
    except InvalidRequest:
        return None


def drawn_of(fit: Fit, name: str) -> dict[str, np.ndarray]:
    """Return the parameters of a learning curve and of its critical batch, an array each, as the page names them."""
    return {f"c_{parameter}": flat_draws(value) for parameter, value in laws_of(fit, name).items()}


def formulas_of(
    curve: LearningCurve, drawn: Sequence[str], of_law: Callable[[Any, Any, Mapping[str, Any]], tuple[Any, Any]]
) -> Formulas:
    """Return the formulas of compute-optimal training, each with the names of its arguments: those of its own, then the draw's."""

    def of_draw(formula: Callable[..., Any], *own: str) -> tuple[Callable[..., Any], list[str]]:
        def called(*symbols: Any) -> Any:
            draw = dict(zip(drawn, symbols[len(own) :], strict=True))
            laws = {name.removeprefix("c_"): value for name, value in draw.items() if name.startswith("c_")}
            return formula(replace(curve, laws=laws), draw, *symbols[: len(own)])

        return called, [*own, *drawn]

    def excess(one: LearningCurve, _: Any, log_left: Any, compute_min: Any, params: Any) -> Any:
        laws = {name: one.laws[name] for name in _ABOVE_CONVERGED}
        return compute_excess(log_left, compute_min, params, one.converged(params), **laws)

    def at_critical_batch(one: LearningCurve, _: Any, params: Any, loss: Any) -> Any:
        return list(one.amounts(params, loss, one.critical_batch(loss)).values())

    return {
        "converged": of_draw(lambda one, _, params: one.converged(params), "N"),
        "computeExcess": of_draw(excess, "logLeft", "computeMin", "N"),
        "atCriticalBatch": of_draw(at_critical_batch, "N", "loss"),
        "efficientExcess": of_draw(
            lambda one, _, log_t, spent: efficient_excess_at(log_t, spent, **one.laws), "logT", "computeMin"
        ),
        "efficientSize": of_draw(lambda one, _, log_t: efficient_at(log_t, **one.laws)["params"], "logT"),
        "ofLaw": of_draw(lambda one, draw, loss, added: of_law(loss, added, draw), "law", "added"),
        "trainingCompute": (lambda N, S, B: training_compute(N, training_tokens(S, B)), ["N", "S", "B"]),
        "leastCompute": (lambda C: C / SPENT_OVER_LEAST, ["C"]),
    }


def budgets_of(fit: Fit, beyond: float) -> dict[str, float]:
    """Return the budgets that a page answers for: those of the runs, and decades beyond them."""
    spent = training_compute(fit.table["params"], training_tokens(fit.table["steps"], fit.table["batch_tokens"]))
    most = float(spent.max())
    return {"low": float(spent.min()), "high": most * 10**beyond, "start": most * 10.0}


def reached(curve: LearningCurve, budgets: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    """Return the least and the largest of all that a discrepancy may be along, where the best size of a budget is looked for."""
    spent = np.array([[budgets["low"]], [budgets["high"]]]) / SPENT_OVER_LEAST
    named = {name: xr.DataArray(values, dims="draw").expand_dims("chain") for name, values in curve.laws.items()}
    best = efficient(xr.DataArray(spent[:, 0], dims="compute"), **named)["params"].transpose("compute", "chain", "draw")
    sizes = best.values[:, 0] * np.exp([[[-REACH]], [[0.0]], [[REACH]]])
    law = curve.at_compute(spent, sizes)
    amounts = curve.amounts(sizes, law, curve.critical_batch(law))
    within = {name: np.clip(values, 1.0, BY_COLUMN[name].maximum) for name, values in amounts.items()}
    return {name: (float(values.min()), float(values.max())) for name, values in within.items()}


def data_of(columns: Sequence[str], splines: Sequence[Spline], budgets: Mapping[str, float]) -> dict[str, Any]:
    """Return where N, S and B stand among the inputs of a page, which budgets it answers for, and what the discrepancy is along."""
    return {
        "at": [columns.index(column) for column in INPUTS],
        "along": [AMOUNTS.index(spline.column) for spline in splines],
        "most": [BY_COLUMN[column].maximum for column in AMOUNTS],
        **budgets,
    }
