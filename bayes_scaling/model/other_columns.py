"""Columns of a table that a model does not use: into which levels they divide its rows."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from bayes_scaling.model.layout import Rows
from bayes_scaling.quantities import QUANTITIES
from bayes_scaling.runs.measure import is_outcome

_RESOURCES: Final = {
    QUANTITIES[symbol].column for symbol in ("N", "N_total", "N_embedding", "D", "S", "S_min", "C", "C_min", "L")
}
"""Columns of size, data, compute and loss: what a law misses in them is a trend, and no structure of the table."""
_NAMES: Final = {"run_id", "checkpoint", "loss_unit", "unit", "units", "metric", "run", "chain", "draw", "sample", "."}
_FEW: Final = 6
"""Numbers of a column up to which each is a level of its own."""
_DETERMINED: Final = 0.98
"""Share of the variance of a column that the inputs explain, from which on it says nothing else."""
_OUTCOME: Final = 0.95
"""Rank correlation with what was measured, from which on a column of numbers is another outcome."""


def other_columns(rows: Rows) -> dict[str, np.ndarray]:
    """Return the levels of each column of a table that could divide its rows, as numbers from zero, shape (row,).

    Words and truth values are levels, and numbers of a few values; of more, the thirds. A gap is a level. Left out are: what the
    model uses; quantities of size, data, compute and loss, other outcomes, and names; and what goes with the inputs so closely
    that a law which misses them would look the same: levels that lie apart along one of them, and numbers that follow from them.

    >>> from bayes_scaling.posterior.examples import example_fit
    >>> other_columns(example_fit().layout.only)
    {}
    """
    observation = rows.observation
    used = {*observation.needs, f"{observation.output}_se", *rows.groups.columns, *_RESOURCES, *_NAMES}
    names = [str(column) for column in rows.table if str(column) not in used and not is_outcome(str(column))]
    inputs = np.log(np.stack(list(rows.inputs.values()), axis=1))
    found = {name: levels for name in names if (levels := _levels(rows.table[name], inputs, rows.measured)) is not None}
    return {name: levels for name, levels in found.items() if not _lie_apart(levels, inputs)}


def is_of_thirds(column: pd.Series) -> bool:
    """Whether the levels of a column are thirds of its numbers."""
    return is_numeric_dtype(column) and not is_bool_dtype(column) and column.nunique() > _FEW


def _levels(column: pd.Series, inputs: np.ndarray, measured: np.ndarray) -> np.ndarray | None:
    if is_of_thirds(column):
        numbers = column.to_numpy(float)
        ranks = column.rank(pct=True)
        there = np.isfinite(numbers)
        is_count = column.nunique() == len(column) and np.ptp(numbers) == len(column) - 1
        if is_count or _follows(numbers[there], inputs[there]):
            return None
        if abs(np.corrcoef(ranks[there], pd.Series(measured).rank()[there])[0, 1]) > _OUTCOME:
            return None
        column = np.ceil(3 * ranks)
    labels = column.map(str).where(column.notna(), "")
    alone = labels.map(labels.value_counts()) == 1
    levels, names = pd.factorize(labels.where(~alone, "\0"))
    most = (len(levels) - len(inputs[0])) // 3
    if not 2 <= len(names) <= most or 2 * alone.sum() > len(levels):
        return None
    return levels


def _follows(numbers: np.ndarray, inputs: np.ndarray) -> bool:
    """Whether numbers, or their logarithms, are all but linear in the logarithms of the inputs."""
    forms = [numbers, np.log(numbers)] if (numbers > 0).all() else [numbers]
    known = np.column_stack(
        [np.ones(len(inputs)), inputs, *(inputs.T[:, None] * inputs.T[None])[np.triu_indices(inputs.shape[1])]]
    )
    for form in forms:
        left = form - known @ np.linalg.lstsq(known, form, rcond=None)[0]
        if left.var() <= (1 - _DETERMINED) * form.var():
            return True
    return False


def _lie_apart(levels: np.ndarray, inputs: np.ndarray) -> bool:
    """Whether levels follow each other, without overlap, along an input, or the product or ratio of two."""
    axes = [*inputs.T]
    axes += [a + sign * b for i, a in enumerate(inputs.T) for b in inputs.T[i + 1 :] for sign in (1, -1)]
    for axis in axes:
        ends = pd.Series(axis).groupby(levels).agg(["min", "max"]).sort_values("min")
        if (ends["min"].to_numpy()[1:] > ends["max"].to_numpy()[:-1] + 1e-9).all():
            return True
    return False
