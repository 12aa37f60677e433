"""A table as what was logged: each row a run, or a point of one where its steps vary along a run."""

from __future__ import annotations

import ast
import json
from collections.abc import Hashable
from typing import Final

import pandas as pd

from bayes_scaling.errors import NoRows, RepeatedColumn, RepeatedRun
from bayes_scaling.runs.aliases import ALIASES, match
from bayes_scaling.runs.bounds import refuse_columns
from bayes_scaling.runs.logged import Logged, flat

_IDS: Final = ALIASES["run_id"][:5]
"""Names of a column that names runs, and not the models they train."""
_MARKS: Final = ("id", "run_id", "sweep", "group", "created", "start_time")
"""Names of columns by which runs of one name are told apart."""


def tabular(table: pd.DataFrame, place: str, kind: str | None = None) -> Logged:
    """Return what a table has logged.

    >>> tabular(pd.DataFrame({"name": list("aaabbb"), "step": [1, 2, 3] * 2, "loss": 3.0, "N": [1e6] * 3 + [2e6] * 3}), "runs")
    <Logged: a table of 6 points along 2 runs; 2 runs, 6 points>
    """
    refuse_columns(table.shape[1], place)
    table = _expanded(table.reset_index(drop=True).rename(columns=str))
    if table.empty:
        raise NoRows(f"{place} has no rows: give one row a run.")
    twice = table.columns[table.columns.duplicated()]
    if len(twice):
        raise RepeatedColumn(f"{place} has more than one column {twice[0]!r}: keep one.")
    label = match(_IDS, table)
    if label is not None and table[label].duplicated().any():
        others = [column for column in table if column != label]
        step = match(ALIASES["steps"], others) or (match(ALIASES["tokens"], others) if kind == "checkpoints" else None)
        if step and not table.duplicated([label, step]).any() and table.groupby(label)[step].size().max() > 2:
            return _points(table, label, step)
        return _told_apart(table, label, place)
    if label is None:
        label = match(ALIASES["run_id"], table)
        label = label if label is not None and table[label].is_unique else None
    ids = pd.Series([f"row {row + 1}" for row in table.index]) if label is None else table[label].astype(str)
    return _rows(table.drop(columns=[] if label is None else [label]), ids)


def _rows(fields: pd.DataFrame, ids: pd.Series, notes: tuple[str, ...] = ()) -> Logged:
    fields = fields.drop(columns=[column for column in fields if column == "run_id"])
    return Logged(
        f"a table of {len(fields)} row{'s' * (len(fields) != 1)}",
        pd.concat([ids.rename("run_id"), fields], axis=1),
        notes=notes,
    )


def _points(table: pd.DataFrame, label: str, step: str) -> Logged:
    """Return a table of points along runs: columns that do not vary along any run are of the runs."""
    table = table.rename(columns={label: "run_id"}).assign(run_id=table[label].astype(str))
    values = table.groupby("run_id", sort=False).nunique(dropna=False)
    varies = (values > 1).any()
    along = [column for column in table if column != "run_id" and (varies[column] or column == step)]
    runs = table.drop(columns=along).drop_duplicates("run_id").reset_index(drop=True)
    return Logged(f"a table of {len(table)} points along {len(runs)} runs", runs, table[["run_id", *along]])


def _told_apart(table: pd.DataFrame, label: str, place: str) -> Logged:
    """Return a table in which runs share names, under names of their own: with an ID, a sweep or a time; or refuse it."""
    names, shared = table[label].astype(str), table[label].duplicated(keep=False)
    for mark in _MARKS:
        found = match((mark,), [column for column in table if column != label])
        if found is not None and not table.duplicated([label, found]).any():
            ids = names.where(~shared, names + " (" + table[found].astype(str) + ")")
            return _rows(table.drop(columns=label), ids, (f"{shared.sum()} runs share names and are told apart by {found}",))
    once = table.drop_duplicates()
    different = names[once.index][once[label].duplicated()]
    if different.empty:  # whole rows are repeated: the same runs
        count = len(table) - len(once)
        notes = (f"{count} row{'s repeat' if count > 1 else ' repeats'} another one in full: counted once",)
        return _rows(once.drop(columns=label).reset_index(drop=True), names[once.index].reset_index(drop=True), notes)
    rows = [str(row + 1) for row in once.index[names[once.index] == different.iloc[0]]]
    raise RepeatedRun(
        f"{place} has {len(rows)} runs of one name, {different.iloc[0]!r} (rows {', '.join(rows)}), which differ: two sweeps share it. "
        f"Export their IDs too, a column ID, or rename those of one."
    )


def _expanded(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table in which cells that are dictionaries, or their text, are columns of their own, as ``config.n_layer``."""
    for column in list(table):
        cells = table[column]
        if table.columns.tolist().count(column) > 1 or not len(cells) or cells.dtype.kind in "iufb":
            continue
        parsed = cells.map(_dictionary)
        if parsed.notna().all():
            inside = pd.DataFrame([flat(cell, f"{column}.") for cell in parsed])
            table = pd.concat([table.drop(columns=column), inside], axis=1)
        elif not all(isinstance(cell, Hashable) for cell in cells):
            table[column] = cells.map(str)
    return table


def _dictionary(cell: object) -> dict[str, object] | None:
    """Return a cell that is a dictionary, in JSON or as Python writes it; None of any other."""
    if isinstance(cell, dict):
        return cell
    if not isinstance(cell, str) or not cell.lstrip().startswith("{"):
        return None
    for read in (json.loads, ast.literal_eval):
        try:
            found = read(cell)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        return found if isinstance(found, dict) else None
    return None
