"""Tables too large to fit: some rows stand for all, and what that loses is worked out.

Rows are taken by their inputs and by chance, never by their loss, so that the posterior of those that are kept is one of the same
model, only wider. They are taken as evenly over the inputs as there are rows: law and discrepancy are learned from where runs lie,
and there are few where it matters most. A run whose points are correlated is kept as a whole.

What is lost is the expected information of the design: with the log loss Normal around the law, every row adds to the precision of
unknowns and discrepancy, and cells of all rows and of those kept give the standard deviations of one forecast. It depends on how
large the discrepancy is, which no row tells before it is fitted: what further rows say of a law that is wrong by more than that is
little. Said is the range between the discrepancy that the prior has and none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import xarray as xr

from bayes_scaling.errors import InvalidModel, InvalidRuns, NoRows, OutOfRange, TooLarge
from bayes_scaling.files import memory
from bayes_scaling.model.design import draws_near, slopes_of
from bayes_scaling.model.document import Model, default_model, read_model
from bayes_scaling.model.layout import Layout
from bayes_scaling.runs.batches import batches_of, count_rows
from bayes_scaling.runs.table import RunTable, read_inputs, read_runs

_CELL: Final = 0.05
"""Decades of each input within which rows are alike."""
_CELLS_OF_AN_AXIS: Final = 8192
_TARGET: Final = 0.02
"""Share of the rows of the design that the forecast is, so that no direction it needs is left out of the discrepancy's basis."""
_MANY: Final = 2000
"""Rows from which on the scales of noise and discrepancy are well known."""
_BYTES_OF_A_ROW: Final = 8_000
"""Memory that a row takes while it is fitted, at the least."""


@dataclass(frozen=True)
class Counted:
    """What one pass over a table has found.

    Parameters
    ----------
    cell : ndarray, shape (row,)
        Number of the cell of each row.
    run : ndarray, shape (row,)
        Number of its run, or of the row itself where it stands alone.
    means : DataFrame
        Mean logarithm of every column of a cell.
    """

    cell: np.ndarray
    run: np.ndarray
    means: pd.DataFrame

    def some_rows(self, rows: int, seed: int) -> np.ndarray:
        """Return which rows are kept: of every cell one run, then a second one, cells in any order, until there are so many rows."""
        sizes = np.bincount(self.run)
        cell_of_run = np.zeros(len(sizes), dtype=np.int64)
        cell_of_run[self.run] = self.cell  # that of its last row
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(sizes))
        by_cell = order[np.argsort(cell_of_run[order], kind="stable")]
        of_cell = cell_of_run[by_cell]
        turn = np.arange(len(by_cell)) - np.searchsorted(of_cell, of_cell)
        # Cells in any order: where a turn ends early, no end of the table is left out.
        in_turn = by_cell[np.lexsort((rng.permutation(len(turn)), turn))]
        kept = np.zeros(len(sizes), dtype=bool)
        kept[in_turn[np.cumsum(sizes[in_turn]) <= rows]] = True
        return kept[self.run]

    def counts(self, kept: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Return how many rows that tell of their own a cell has; a run of correlated points counts as one."""
        whole = 1.0 / np.bincount(self.run)[self.run[kept]]
        return np.bincount(self.cell[kept], weights=whole, minlength=len(self.means))


def thin(
    source: str | Path | pd.DataFrame,
    *,
    rows: int = 20_000,
    model: str | Path | Model | None = None,
    columns: Mapping[str, str] | None = None,
    seed: int = 0,
) -> RunTable:
    """Return some rows of a table of any length, and say what that loses.

    The table is read twice, part by part: some thirty bytes of memory a row.

    Parameters
    ----------
    source : path or DataFrame
        A Parquet file, or CSV.
    rows : int
        Rows to keep, at the most.
    model : str, path or Model, optional
        The model of one law that is to be fitted; by default as for :func:`~bayes_scaling.fit`.
    columns : mapping, optional
        Canonical names and the table's own, as for :func:`~bayes_scaling.read_runs`.
    seed : int
        Which rows are taken.

    Returns
    -------
    RunTable
        The rows, whose note says of how many they are, and by what factor forecasts are expected to be wider.

    Raises
    ------
    InvalidRuns
        If the table cannot be read in parts, or a cell of it cannot be used.

    Examples
    --------
    >>> from bayes_scaling.laws import LAWS
    >>> rng = np.random.default_rng(0)
    >>> N, D = 10 ** rng.uniform(7, 9, 5000), 10 ** rng.uniform(9, 11, 5000)
    >>> loss = (1.7 + (1e8 / N) ** 0.3 + (1e10 / D) ** 0.3) * np.exp(0.01 * rng.standard_normal(5000))
    >>> few = thin(pd.DataFrame({"params": N, "tokens": D, "loss": loss}), rows=1000)
    >>> len(few), few.notes[0].partition(":")[0]
    (1000, '1,000 of 5,000 rows, taken at random (seed 0), as evenly over params and tokens as there are rows')
    """
    if rows < 1:
        raise OutOfRange(f"The number of rows to keep is {rows}: it has to be at least 1.")
    first = read_inputs(next(iter(batches_of(source)), pd.DataFrame()), columns=columns)
    read = read_model(default_model(first.columns) if model is None else model)
    if not read.is_one or read.groupings or read.only.table != "runs":
        raise InvalidModel(
            "Rows are taken for a model of one law of runs, without groups: name one, or thin each group by itself."
        )
    counted = _counted(source, read, columns)
    total = len(counted.cell)
    kept = counted.some_rows(rows, seed)
    parts, start = [], 0
    for part in batches_of(source):
        parts.append(part[kept[start : start + len(part)]])
        start += len(part)
    name = "runs" if isinstance(source, pd.DataFrame) else Path(source).name.split(".")[0]
    runs = read_runs(pd.concat(parts, ignore_index=True), columns=columns, name=name)
    if kept.all():
        return runs
    inputs = " and ".join(read.only.columns.values())
    note = f"{len(runs):,} of {total:,} rows, taken at random (seed {seed}), as evenly over {inputs} as there are rows: "
    return replace(runs, notes=(*runs.notes, note + _loss_of_information(counted, kept, read)))


def refuse_too_many(source: str | Path | pd.DataFrame | RunTable) -> None:
    """Refuse a table that does not fit into the memory of this machine, before it is read."""
    is_name = isinstance(source, str | Path)
    rows = (count_rows(Path(source)) if Path(source).is_file() else 0) if is_name else len(source)
    needed, there = rows * _BYTES_OF_A_ROW, memory()
    if needed > there:
        raise TooLarge(
            f"{rows:,} rows would take {needed / 1e9:.0f} GB of memory to fit, this machine has {there / 1e9:.0f}: fit some of them. "
            f"`bayes-scaling thin TABLE --rows 20000 --out few.csv` selects them, and reports the loss of precision (in Python bayes_scaling.model.thinning.thin)."
        )


def _counted(source: str | Path | pd.DataFrame, model: Model, columns: Mapping[str, str] | None) -> Counted:
    """Go over a table, and return the cells of its rows."""
    axes, needs = list(model.only.columns.values()), list(model.needs)
    codes, runs, names, sums = [], [], dict[str, int](), []
    start = 0
    for part in batches_of(source):
        try:
            table = read_inputs(part, columns=columns, needs=needs)
        except InvalidRuns as error:
            said = str(error).splitlines()[0]
            raise type(error)(f"Rows {start + 1:,} to {start + len(part):,}: {said}", error.failures) from None
        logs = np.log10(table[needs].to_numpy(float))
        code = np.zeros(len(table), dtype=np.int64)
        for axis in axes:
            place = np.floor(logs[:, needs.index(axis)] / _CELL).astype(np.int64) + _CELLS_OF_AN_AXIS // 2
            code = code * _CELLS_OF_AN_AXIS + np.clip(place, 0, _CELLS_OF_AN_AXIS - 1)
        codes.append(code)
        sums.append(pd.DataFrame(logs, columns=needs).assign(rows=1.0).groupby(code).sum())
        if model.only.correlation is not None and model.only.correlation.by in table:
            runs.append(np.array([names.setdefault(str(run), len(names)) for run in table[model.only.correlation.by]]))
        start += len(part)
    if not codes:
        raise NoRows("The table has no rows: give one row a run.")
    total = pd.concat(sums).groupby(level=0).sum()
    cell = np.searchsorted(total.index.to_numpy(), np.concatenate(codes))
    run = np.concatenate(runs) if runs else np.arange(len(cell))
    return Counted(cell, run, total[needs].div(total["rows"], axis=0).reset_index(drop=True))


def _loss_of_information(counted: Counted, kept: np.ndarray, model: Model) -> str:
    """Return by what factor the standard deviations of two forecasts are expected to be larger than those of all rows."""
    means, axes = counted.means, list(model.only.columns.values())
    largest = means.loc[means[axes].sum(axis=1).idxmax()]
    middle = means.loc[((means[axes] - means[axes].mean()) ** 2).sum(axis=1).idxmin()]
    beyond = largest + pd.Series({c: 1.0 / len(axes) for c in axes}).reindex(means.columns, fill_value=0.0)
    if "compute_flops" in means:
        beyond["compute_flops"] = largest["compute_flops"] + 1.0
    targets = [beyond, middle]
    times = max(1, int(_TARGET * len(means)))
    table = 10 ** pd.concat([means, *([target.to_frame().T for target in targets] * times)], ignore_index=True)
    layout = Layout.of(model, {model.only.name: table})
    near = draws_near(layout, np.random.default_rng(0))
    padding, places = np.zeros(2 * times), np.array([len(means), len(means) + 1])
    counts = [np.append(counted.counts(rows), padding) for rows in (slice(None), kept)]
    ratios = []
    for discrepancy in (True, False):
        of_all, of_kept = (_deviations(layout, near, each, places, discrepancy=discrepancy) for each in counts)
        ratios.append(np.median(of_kept / of_all, axis=0))
    far, middle = (" to ".join(f"{ratio:.3g}" for ratio in sorted(each)) for each in np.transpose(ratios))
    said = (
        f"the standard deviation of the mean loss ten times beyond the largest compute is expected to be {far} times that of all rows, "
        f"in the middle of the runs {middle} times (with the discrepancy of the prior, and without any)."
    )
    if counts[1].sum() < _MANY:
        said += f" Fewer than {_MANY:,} rows also say less about noise and discrepancy: intervals may be wider than that."
    return said


def _deviations(
    layout: Layout, near: xr.Dataset, counts: np.ndarray, places: np.ndarray, *, discrepancy: bool
) -> np.ndarray:
    """Return the expected standard deviation of the mean log loss at some rows, for rows that count so often, shape (draw, place)."""
    found = []
    expected = len(layout.only.discrepancy) if discrepancy else 0  # noise that rows share is no part of the mean loss
    for each in slopes_of(layout, layout, near):
        columns = np.concatenate([each.slopes, *each.loadings[:expected]], axis=1)
        weights = counts / (each.scale**2 + each.own_variance)
        prior = np.append(each.prior_precision, np.ones(columns.shape[1] - len(each.prior_precision)))
        precision = (columns.T * weights) @ columns + np.diag(prior)
        found.append(np.sqrt(np.einsum("pi,ij,pj->p", columns[places], np.linalg.inv(precision), columns[places])))
    return np.array(found)
