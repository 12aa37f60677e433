"""Workbooks of Excel: the first sheet that has a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from bayes_scaling.runs.readers import need, reader


@reader("xlsx", "xlsm", kind="excel")
def read_excel(path: Path) -> pd.DataFrame | None:
    """Read a workbook of Excel: the first sheet with a header and a row, what its formulas last gave.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import pandas as pd
    >>> import bayes_scaling as bs
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "runs.xlsx")
    ...     table = pd.DataFrame({"run": ["a", "b"], "params (M)": [17, 30], "tokens (B)": [1, 2], "val loss": [3.4, 3.1]})
    ...     table.to_excel(path, index=False)
    ...     collected = bs.readers.read_excel(path)
    >>> collected.runs.table[["run_id", "params", "tokens", "loss"]].values.tolist()
    [['a', 17000000.0, 1000000000.0, 3.4], ['b', 30000000.0, 2000000000.0, 3.1]]
    """
    openpyxl: Any = need("openpyxl", "excel", "to read workbooks of Excel")
    book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    try:
        for sheet in book.worksheets:
            rows = [row for row in sheet.iter_rows(values_only=True) if any(cell is not None for cell in row)]
            if len(rows) > 1:
                return _table(rows)
    finally:
        book.close()
    return None


def _table(rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    """Return the rows below the header, columns without a name left out where they are empty."""
    header = [None if cell is None else str(cell).strip() for cell in rows[0]]
    table = pd.DataFrame(rows[1:], columns=range(len(header)), dtype=object)
    named = [place for place, name in enumerate(header) if name or table[place].notna().any()]
    return table[named].set_axis([header[place] or f"column {place + 1}" for place in named], axis=1)
