"""The cells of a run table: numbers where numbers belong, and every cell that is none."""

from __future__ import annotations

import re
from typing import Any, Final

import numpy as np
import pandas as pd

from bayes_scaling.errors import BadCell
from bayes_scaling.quantities import BY_COLUMN

_LARGEST_OF_OTHERS = {"loss_se": 1e3, "epochs": 1e9, "depth": 1e6, "width": 1e9, "heads": 1e6}
_MAXIMUM: Final = {column: quantity.maximum for column, quantity in BY_COLUMN.items()} | _LARGEST_OF_OTHERS
_TRUTH: Final = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False, "": False}
_MISSING: Final = {"", "nan", "na", "n/a", "null", "none"}
_DASHES: Final = {"-", "\N{EN DASH}", "\N{EM DASH}"}
"""What stands for a number that is missing."""
_WRITTEN: Final = re.compile(r"([+-]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d*)?(?:e[+-]?\d+)?)\s*([kmbgt]?)", re.IGNORECASE)
_SUFFIXES: Final = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9, "g": 1e9, "t": 1e12}


_LARGEST: Final = 10**300
_SMALLEST: Final = 1e-12
"""Numbers above zero and below are mistakes, of a format or of a unit."""


def parse_cells(raw: pd.DataFrame) -> tuple[pd.DataFrame, list[BadCell]]:
    """Return the table with numbers where numbers belong, and the cells that are none.

    Numbers may be written with separators of thousands and with a suffix: ``3,728,993``, ``18M``, ``0.6B``. A cell that is none is
    missing, and a column in which no cell is one is of words.

    >>> table, failures = parse_cells(pd.DataFrame({"params": ["18M", "925,921", "many"], "width": ["d64", "d128", "d256"]}))
    >>> table["params"].tolist(), table["width"].tolist(), len(failures)
    ([18000000.0, 925921.0, nan], ['d64', 'd128', 'd256'], 4)
    """
    failures: list[BadCell] = []
    table = pd.DataFrame(index=raw.index)
    for name, cells in raw.items():
        column = str(name)
        if column in _MAXIMUM:
            numbers = _numbers(column, cells, failures)
            words = bool(numbers.isna().all()) and not cells.map(_blank).all()
            table[column] = _labels(column, cells) if words else numbers
        elif column == "checkpoint":
            words = cells.map(lambda cell: "" if _blank(cell) else str(cell).strip().lower())
            failures += _bad(column, cells[~words.isin(_TRUTH)], "has to be true or false")
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
    numbers = as_numbers(cells)
    blank = cells.map(lambda cell: _blank(cell) or (isinstance(cell, str) and cell in _DASHES)) & numbers.isna()
    finite, maximum = np.isfinite(numbers), _MAXIMUM[column]
    smallest = 0.0 if column == "loss_se" else _SMALLEST
    good = finite & (numbers >= smallest) & (numbers <= maximum)
    if (blank | good).all():
        return numbers
    failures += _bad(column, cells[numbers.isna() & ~blank], "is not a number")
    failures += _bad(column, cells[np.isinf(numbers)], "has to be finite")
    low, positive = finite & (numbers < smallest), numbers > 0
    failures += _bad(column, cells[low & ~positive], "has to be positive")
    too_small = f"is smaller than {_SMALLEST:.0e}, which no run has; check the unit"
    failures += _bad(column, cells[low & positive], too_small)
    too_large = f"is larger than {maximum:.0e}, which no run has; check the unit"
    failures += _bad(column, cells[finite & (numbers > maximum)], too_large)
    return numbers.where(good)


def as_numbers(cells: pd.Series) -> pd.Series:
    """Return cells as numbers, NaN where one is none.

    >>> as_numbers(pd.Series(["2.5e9", "11.1B", "1,234.5", "12,34", True])).tolist()
    [2500000000.0, 11100000000.0, 1234.5, nan, nan]
    """
    if isinstance(cells.dtype, np.dtype) and cells.dtype.kind in "iuf":  # numbers already
        return cells.astype(float)
    cells = cells.astype(object)
    numbers = pd.to_numeric(cells.where(cells.map(_may_be_number).astype(bool)), errors="coerce").astype(float)
    missing = numbers.isna()
    if missing.any():
        numbers[missing.to_numpy()] = [_written(cell) for cell in cells[missing]]
    return numbers


def _may_be_number(cell: Any) -> bool:
    """Whether a cell is text or a real number: no truth value, date, list, or whole number that no float is as large as."""
    if isinstance(cell, int):
        return not isinstance(cell, bool) and abs(cell) < _LARGEST
    return isinstance(cell, str | float | np.integer | np.floating)


def _written(cell: Any) -> float:
    """Return a number as people write it."""
    match = _WRITTEN.fullmatch(cell.strip()) if isinstance(cell, str) else None
    if match is None or not any(digit.isdigit() for digit in match[1]):
        return np.nan
    return float(match[1].replace(",", "")) * _SUFFIXES[match[2].lower()]


def _blank(cell: Any) -> bool:
    if isinstance(cell, str):
        return cell.strip().lower() in _MISSING
    return cell is None or cell is pd.NA or (isinstance(cell, float) and np.isnan(cell))


def _bad(column: str, cells: pd.Series, reason: str) -> list[BadCell]:
    """Return cells that cannot be used, with the numbers of their rows, which count from 1."""
    shown = ("nothing" if _blank(cell) else repr(cell.item() if isinstance(cell, np.generic) else cell) for cell in cells)
    return [BadCell(int(row) + 1, column, value, reason) for row, value in zip(cells.index, shown, strict=True)]


def has_words(table: pd.DataFrame, column: str) -> bool:
    """Whether a column is of words where numbers belong."""
    return column in _MAXIMUM and not pd.api.types.is_numeric_dtype(table[column])


def missing_cells(table: pd.DataFrame, needed: set[str], failures: list[BadCell]) -> list[BadCell]:
    """Return the needed cells that are empty, but for those that are already listed as bad."""
    listed = {(cell.row, cell.column) for cell in failures}
    empty = [cell for column in sorted(needed) for cell in _bad(column, table[column][table[column].isna()], "is missing")]
    return [cell for cell in empty if (cell.row, cell.column) not in listed]


_PLACES: Final = ("tokens", "steps")
_MARKED: Final = (
    "mark all but the last of each in a column checkpoint (true); `bayes-scaling collect TABLE --out runs.csv` keeps the last, "
    "with --at all it marks them"
)


def repeated_runs(table: pd.DataFrame) -> list[BadCell]:
    """Return the rows that stand for a run (or for one point along it) that another row stands for."""
    if "run_id" not in table:
        return []
    runs = table["run_id"]
    final = ~table["checkpoint"] if "checkpoint" in table else pd.Series(True, index=table.index)
    along = [column for column in table if column not in ("loss", "loss_se")]
    failures = _bad("run_id", runs[runs.isna()], "is missing")
    for rows, key in ((final, ["run_id"]), (~final, along)):
        named = table[rows & runs.notna()]
        repeated = named["run_id"][named.duplicated(key)]
        place = next((column for column in _PLACES if column in named), None)
        if len(repeated) > 1 and place and not named.duplicated(["run_id", place]).any():
            count = named["run_id"].nunique()
            reason = f"{len(named)} rows are points along {count} run{'s' * (count > 1)}: {_MARKED}"
            failures += _bad("run_id", repeated[:1], reason)
        else:
            failures += _bad("run_id", repeated, "occurs in an earlier row too")
    return failures
