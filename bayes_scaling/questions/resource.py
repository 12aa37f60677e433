"""The loss of a group along the one resource that is spent: compute, at the best size, or the one input of a law."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr

from bayes_scaling.errors import NotLearned
from bayes_scaling.model.names import SAMPLE_DIMS
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.inputs import input_arrays
from bayes_scaling.posterior.predict import predict_at
from bayes_scaling.questions.optimum import least_loss, optima
from bayes_scaling.questions.surface import Surface, budget_ratio, splits_a_budget

RESOURCES = {"compute_flops": "compute", "tokens": "tokens", "params": "parameters"}
"""Columns of what is spent, and its name in a sentence."""


@dataclass(frozen=True)
class Along:
    """The loss of one group along a resource: functions of amounts, (amount,), that return (amount, draw).

    ``expected`` is to be asked of many amounts; ``at`` returns what is expected and what a new run measures.
    """

    expected: Callable[[np.ndarray], np.ndarray]
    at: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def resource_of(fit: Fit) -> str:
    """Return the column of what a fit's law spends, or refuse a law of other inputs.

    >>> from bayes_scaling.posterior.examples import example_fit
    >>> resource_of(example_fit())
    'compute_flops'
    """
    if splits_a_budget(fit):
        return "compute_flops"
    columns = list(fit.model.only.columns.values())
    if len(columns) != 1 or columns[0] not in RESOURCES:
        raise NotLearned(
            f"The law {fit.model.only.law} takes {', '.join(columns)}: the cost of a loss needs a law of N and D, or of "
            f"one of N, D and C."
        )
    return columns[0]


def spent(fit: Fit, column: str) -> np.ndarray:
    """Return what the runs of a fit spent: compute as budgets count it."""
    values = fit.table[column].to_numpy(float)
    return values / budget_ratio(fit) if column == "compute_flops" else values


def along(fit: Fit, labels: Mapping[str, str], seed: int) -> Along:
    """Return the loss of a group, whose labels are admitted, along what its law spends."""
    if splits_a_budget(fit):
        surface = Surface.of(fit, labels, seed)

        def at(budgets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            best, column = optima(surface, budgets), budgets[:, None]
            return surface.along(column, best), surface.measured_along(column, best)

        return Along(lambda budgets: least_loss(surface, budgets), at)
    column = resource_of(fit)

    def of_law(amounts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        given = input_arrays(fit, {column: xr.DataArray(amounts, dims="amount")})
        drawn = predict_at(fit, given, group=labels, seed=seed)
        shown = (drawn[name].transpose("amount", *SAMPLE_DIMS) for name in ("expected_loss", "measured_loss"))
        expected, measured = (losses.values.reshape(len(amounts), -1) for losses in shown)
        return expected, measured

    return Along(lambda amounts: of_law(amounts)[0], of_law)
