"""Texts in CSV that a spreadsheet would take for a formula, and run: they are written with an apostrophe before, and read without."""

from __future__ import annotations

import re
from typing import Any, Final

import pandas as pd

_FORMULA: Final = re.compile(r"'*[=+\-@\t\r]")


def csv_of(table: pd.DataFrame) -> str:
    """Return a table as CSV, with its index where that has a name; texts and names of columns that are formulas have an apostrophe.

    >>> print(csv_of(pd.DataFrame({"run_id": ["=1+1", "a"], "loss": [-2.5, 3.0], "step": ["-1e3", "@"]})), end="")
    run_id,loss,step
    '=1+1,-2.5,-1e3
    a,3.0,'@
    """
    whole = table.reset_index() if table.index.name else table
    texts = {name: cells.map(_inert) for name, cells in whole.items() if not pd.api.types.is_numeric_dtype(cells)}
    return whole.assign(**texts).set_axis([_inert(name) for name in whole.columns], axis=1).to_csv(index=False)


def cells_of(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table of texts, read from CSV, as it was before :func:`csv_of` wrote it.

    >>> cells_of(pd.DataFrame({"run_id": ["'=1+1", "'tis", "''-x"]}))["run_id"].tolist()
    ['=1+1', "'tis", "'-x"]
    """
    quoted = {name: cells for name, cells in table.items() if cells.str.startswith("'", na=False).any()}
    return table.assign(**{name: cells.map(text_of) for name, cells in quoted.items()}) if quoted else table


def text_of(cell: Any) -> Any:
    """Return a cell of CSV as it was before :func:`csv_of` wrote it."""
    return cell[1:] if isinstance(cell, str) and cell.startswith("'") and _FORMULA.match(cell) else cell


def _inert(cell: Any) -> Any:
    """Return a cell with an apostrophe before it where it is a text that a spreadsheet would take for a formula, and no number."""
    return f"'{cell}" if isinstance(cell, str) and _FORMULA.match(cell) and not _is_number(cell) else cell


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text
