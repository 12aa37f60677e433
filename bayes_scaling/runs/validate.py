"""The cells of a run table: numbers where numbers belong, and every cell that is none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pandas as pd

from bayes_scaling.errors import BadCell
from bayes_scaling.quantities import BY_COLUMN

_LARGEST_OF_OTHERS = {"loss_se": 1e3, "epochs": 1e9, "depth": 1e6, "width": 1e9, "heads": 1e6, "lr": 1e3}
_MAXIMUM: Final = {column: quantity.maximum for column, quantity in BY_COLUMN.items()} | _LARGEST_OF_OTHERS
_TRUTH: Final = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False, "": False}
_MISSING: Final = {"", "nan", "na", "n/a", "null", "none"}


def parse_cells(raw: pd.DataFrame) -> tuple[pd.DataFrame, list[BadCell]]:
    """Return the table with numbers where numbers belong, and the cells that are none."""
    failures: list[BadCell] = []
    table = pd.DataFrame(index=raw.index)
    for name in raw.columns:
        column, cells = str(name), raw[name]
        if column in _MAXIMUM:
            table[column] = _numbers(column, cells, failures)
        elif column == "checkpoint":
            words = cells.map(lambda cell: "" if _blank(cell) else str(cell).strip().lower())
            for row, _word in words[~words.isin(_TRUTH)].items():
                failures.append(BadCell(_row(row), column, _shown(cells[row]), "has to be true or false"))
            table[column] = words.map(lambda word: _TRUTH.get(word, False)).astype(bool)
        else:
            table[column] = _labels(column, cells)
    return table, failures


def _labels(column: str, cells: pd.Series) -> pd.Series:
    """Return a column of the user's own: truth values or numbers where every cell is one, else words."""
    if pd.api.types.is_numeric_dtype(cells.dtype):
        return cells
    words = cells.map(lambda cell: None if _blank(cell) else str(cell).strip()).astype(object)
    if words.notna().all() and words.str.lower().isin(("true", "false")).all():
        return words.str.lower() == "true"
    numbers = pd.to_numeric(words, errors="coerce")
    is_label = column in ("run_id", "group")
    return words if is_label or words.isna().all() or numbers[words.notna()].isna().any() else numbers


def _numbers(column: str, cells: pd.Series, failures: list[BadCell]) -> pd.Series:
    blank = cells.map(_blank)
    truth = cells.map(lambda cell: isinstance(cell, bool | np.bool_))
    numbers = pd.to_numeric(cells.where(~blank & ~truth), errors="coerce").astype(float)
    smallest = 0.0 if column == "loss_se" else np.nextafter(0, 1)
    reasons = {
        "is not a number": numbers.isna() & ~blank,
        "has to be finite": np.isinf(numbers),
        "has to be positive": np.isfinite(numbers) & (numbers < smallest),
        f"is larger than {_MAXIMUM[column]:.0e}, which no run has; check the unit": np.isfinite(numbers)
        & (numbers > _MAXIMUM[column]),
    }
    for reason, bad in reasons.items():
        failures += [BadCell(_row(row), column, _shown(cells[row]), reason) for row in cells.index[bad]]
    return numbers


def _blank(cell: Any) -> bool:
    if isinstance(cell, str):
        return cell.strip().lower() in _MISSING
    return cell is None or cell is pd.NA or (isinstance(cell, float) and np.isnan(cell))


def _shown(cell: Any) -> str:
    return repr(cell.item() if isinstance(cell, np.generic) else cell)


def _row(index: Any) -> int:
    return int(index) + 1


def missing_cells(table: pd.DataFrame, needed: set[str], failures: list[BadCell]) -> Iterator[BadCell]:
    """Yield the needed cells that are empty, but for those already found bad."""
    known = {(cell.row, cell.column) for cell in failures}
    for column in sorted(needed):
        for row in table.index[table[column].isna()]:
            if (_row(row), column) not in known:
                yield BadCell(_row(row), column, "nothing", "is missing")


def repeated_runs(table: pd.DataFrame) -> list[BadCell]:
    """Return the rows that stand for a run (or for one point along it) that another row stands for."""
    if "run_id" not in table:
        return []
    final = ~table["checkpoint"] if "checkpoint" in table else pd.Series(True, index=table.index)
    failures = [BadCell(_row(row), "run_id", "nothing", "is missing") for row in table.index[table["run_id"].isna()]]
    along = [column for column in table if column not in ("run_id", "loss", "loss_se")]
    for rows, key in ((table[final], ["run_id"]), (table[~final], ["run_id", *along])):
        named = rows[rows["run_id"].notna()]
        for row in named.index[named.duplicated(key)]:
            failures.append(BadCell(_row(row), "run_id", repr(table["run_id"][row]), "stands in an earlier row too"))
    return failures
