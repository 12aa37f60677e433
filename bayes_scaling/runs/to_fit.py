"""Runs that a law is fitted to: their losses are losses, and each run counts once."""

from __future__ import annotations

import warnings
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Final

import pandas as pd
from pandas.api.types import is_numeric_dtype

from bayes_scaling.errors import DivergedRunsWarning, ImplausibleCountsWarning, RepeatedRunsWarning
from bayes_scaling.quantities import BY_COLUMN
from bayes_scaling.runs.catalog import runs_from
from bayes_scaling.runs.measure import LEAST_GUESSING, of_guessing, refuse_what_is_no_loss
from bayes_scaling.runs.table import RunTable

_DIGITS: Final = 4
"""Digits of a loss from which on two runs do not measure the same by chance."""
_SHOWN: Final = 3
_FEWEST: Final = {"params": 300.0, "tokens": 3000.0}
"""Counts below which no language model is of use: smaller ones are of another unit."""
_ANYWAY: Final = "--anyway"


def runs_to_fit(
    source: str | Path | pd.DataFrame | RunTable, needs: Collection[str] = ("loss",), *, anyway: bool = False
) -> RunTable:
    """Return runs whose loss does not rise with size and data, without rows that repeat another under another name.

    Parameters
    ----------
    source : path, DataFrame, RunTable or str
        As for :func:`~bayes_scaling.runs.catalog.runs_from`.
    needs : collection of str
        Columns that must be there without gaps.
    anyway : bool
        Whether to take the table as it stands; one that was taken so stays as it is.

    Raises
    ------
    InvalidRuns
        If the table cannot be used, or its loss is a score or a perplexity.

    Warns
    -----
    RepeatedRunsWarning
        If rows are left out since they repeat another.
    DivergedRunsWarning
        If losses are as large as that of guessing.
    ImplausibleCountsWarning
        If sizes or tokens are too few to be counts.

    Examples
    --------
    >>> runs_to_fit(pd.DataFrame({"params": [1e8, 2e8, 4e8, 8e8], "loss": [0.11, 0.18, 0.21, 0.26]}))
    Traceback (most recent call last):
    ...
    bayes_scaling.errors.NotALoss: runs: loss rises with N (p = 0.042 for no rise), as a score does, ...
    """
    runs = runs_from(source, needs=needs)
    if anyway or _ANYWAY in runs.origin:
        return replace(runs, origin=(*(word for word in runs.origin if word != _ANYWAY), _ANYWAY))
    refuse_what_is_no_loss(runs.table, runs.measure, runs.card.loss_unit, runs.name)
    labels = runs.table["run_id"] if "run_id" in runs.table else pd.Series([f"row {row + 1}" for row in runs.table.index])
    _warn_of_guessing(runs, labels)
    _warn_of_counts(runs)
    again = logged_again(runs.table)
    if not again:
        return runs
    shown = ", ".join(f"{labels[row]} as {labels[first]}" for row, first in list(again.items())[:_SHOWN])
    warnings.warn(
        f"{len(again)} of {len(runs)} rows of {runs.name} repeat another to the last digit under another name ({shown}"
        f"{', ...' if len(again) > _SHOWN else ''}): each run is counted once. To count them all: --anyway (in Python anyway=True).",
        RepeatedRunsWarning,
        stacklevel=3,
    )
    return replace(runs, table=runs.table.drop(index=list(again)).reset_index(drop=True))


def _warn_of_guessing(runs: RunTable, labels: pd.Series) -> None:
    """Name the runs whose loss is that of guessing, and how to leave them out."""
    high = of_guessing(runs.table, runs.card.loss_unit)
    if high.empty:
        return
    shown = ", ".join(f"{labels[row]} with {loss:.4g}" for row, loss in high.iloc[:_SHOWN].items())
    more, limit = ", ..." if len(high) > _SHOWN else "", LEAST_GUESSING[runs.card.loss_unit]
    warnings.warn(
        f"{len(high)} of {len(runs)} losses of {runs.name} are as large as that of guessing ({shown}{more}): such a run has diverged, and "
        f"distorts every forecast. Leave it out: --where 'loss < {limit:g}' (in Python runs.where(\"loss < {limit:g}\")).",
        DivergedRunsWarning,
        stacklevel=4,
    )


def _warn_of_counts(runs: RunTable) -> None:
    """Warn of sizes and tokens that are too few for a model and its training text."""
    for column, fewest in _FEWEST.items():
        if column in runs.table and (middle := float(runs.table[column].median())) < fewest:
            warnings.warn(
                f"{column} of {runs.name} has a median of {middle:.3g}, too few {BY_COLUMN[column].unit} for a language model. If it is in "
                f"millions or billions, say so in the name of the column: name it '{column} (B)' and give --columns '{column}={column} (B)'.",
                ImplausibleCountsWarning,
                stacklevel=4,
            )


def logged_again(table: pd.DataFrame) -> dict[int, int]:
    """Return the rows that equal an earlier one in all but names, and that one; losses of few digits are equal by chance.

    >>> table = pd.DataFrame({"run_id": ["a", "b", "c"], "params": 1e8, "loss": [3.1234, 3.1251, 3.1234]})
    >>> logged_again(table)
    {2: 0}
    """
    if max(len(f"{abs(loss):.10g}".replace(".", "").lstrip("0")) for loss in table["loss"]) < _DIGITS:
        return {}
    names = [c for c in table if not is_numeric_dtype(table[c]) and table[c].nunique() == len(table)]
    cells = table.drop(columns=list({*names, "run_id"} & set(table)))
    kind = cells.groupby(list(cells), dropna=False, sort=False).ngroup().to_numpy()
    earliest = pd.Series(range(len(table))).groupby(kind).transform("first")
    return {row: earlier for row, earlier in enumerate(earliest) if row != earlier}
