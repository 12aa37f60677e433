"""Tables in files: CSV with any separator, Parquet, JSON and JSON Lines."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pandas as pd

from bayes_scaling.errors import TooLarge
from bayes_scaling.runs.bounds import opened
from bayes_scaling.runs.cells import cells_of, text_of
from bayes_scaling.runs.readers import reader

_SEPARATORS: Final = ",;\t|"
_DECIMAL_COMMA: Final = re.compile(r"[+-]?(?:\d{1,3}(?:\.\d{3})+|\d*),\d+(?:[eE][+-]?\d+)?\s*[kKmMbBgGtT]?")
_IN_SUCH_A_FILE: Final = re.compile(rf"{_DECIMAL_COMMA.pattern}|[+-]?\d{{1,3}}(?:\.\d{{3}})+")
"""Numbers with decimal commas, and with points between thousands."""
_THOUSANDS: Final = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+")
_LARGEST: Final = 200_000_000
"""Bytes of a log of a million entries."""


@reader("csv", "tsv", "txt", kind=("table", "checkpoints"))
def read_csv(path: Path) -> pd.DataFrame:
    r"""Read CSV as text, header apart, so that a repeated column is seen and a row of too many cells is an error.

    Cells are separated by what the header is: a comma, a semicolon, a tab, a bar, or spaces. Where it is a semicolon, ``3,45`` is a number with
    a decimal comma, as soon as one cell is no number otherwise.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import bayes_scaling as bs
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "runs.csv")
    ...     _ = path.write_text("run;params;tokens;loss\na;17M;1B;3,4\nb;30M;2B;3,1\n")
    ...     collected = bs.readers.read_table(path)
    >>> collected.runs.table[["run_id", "params", "tokens", "loss"]].values.tolist()
    [['a', 17000000.0, 1000000000.0, 3.4], ['b', 30000000.0, 2000000000.0, 3.1]]
    """
    settings: dict[str, Any] = {"dtype": str, "encoding": "utf-8-sig", "skipinitialspace": True, "keep_default_na": False}
    settings["sep"] = separator_of(path)
    with opened(path) as file:
        header = pd.read_csv(file, header=None, nrows=1, **settings).iloc[0].str.strip().map(text_of)
    with warnings.catch_warnings(), opened(path) as file:
        warnings.simplefilter("error", pd.errors.ParserWarning)
        table = cells_of(pd.read_csv(file, index_col=False, **settings)).set_axis(list(header), axis=1)
    return _with_decimal_points(table) if settings["sep"] == ";" else table


def separator_of(path: Path) -> str:
    """Return what separates the names in the first line of a file, outside quotes; spaces where the next has as many words."""
    with opened(path) as file:
        line, following = (re.sub(rb'"[^"]*"', b'""', file.readline(1_000_000)) for _ in range(2))
    counts = {mark: line.count(mark.encode()) for mark in _SEPARATORS}
    if not any(counts.values()) and len(line.split()) == len(following.split()) > 1:
        return r"\s+"
    return max(_SEPARATORS, key=lambda mark: counts[mark])


def _with_decimal_points(table: pd.DataFrame) -> pd.DataFrame:
    """Return cells with decimal points, where some cell can only be read with a decimal comma."""
    cells = [cell.strip() for column in range(table.shape[1]) for cell in table.iloc[:, column]]
    if not any(_DECIMAL_COMMA.fullmatch(cell) and not _THOUSANDS.fullmatch(cell) for cell in cells):
        return table
    return table.map(
        lambda cell: cell.replace(".", "").replace(",", ".") if _IN_SUCH_A_FILE.fullmatch(cell.strip()) else cell
    )


@reader("parquet", "pq", kind="checkpoints")
def read_parquet(path: Path) -> pd.DataFrame:
    """Read Parquet.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import pandas as pd
    >>> import bayes_scaling as bs
    >>> points = pd.DataFrame({"run": list("aaabbb"), "step": [1000, 2000, 4000] * 2, "params": [1.7e7] * 3 + [3e7] * 3})
    >>> points = points.assign(tokens=65536 * points["step"], loss=[3.9, 3.5, 3.3, 3.7, 3.2, 3.0])
    >>> with TemporaryDirectory() as folder:
    ...     points.to_parquet(Path(folder, "checkpoints.parquet"))
    ...     collected = bs.readers.read_checkpoints(Path(folder, "checkpoints.parquet"))
    >>> collected.runs.table[["run_id", "tokens", "loss"]].values.tolist()
    [['a', 262144000.0, 3.3], ['b', 262144000.0, 3.0]]
    >>> len(collected.curves)
    6
    """
    return pd.read_parquet(path)


@reader("jsonl", "ndjson", kind="checkpoints")
def read_json_lines(path: Path) -> pd.DataFrame:
    """Read JSON Lines, numbers as they stand."""
    with opened(path) as file:
        return pd.read_json(file, lines=True, dtype=False)


@reader("json", kind=("table", "checkpoints"))
def read_json(path: Path) -> pd.DataFrame | None:
    """Read a list of records: a JSON object a row."""
    records = json_of(path)
    if not isinstance(records, list) or not records or not all(isinstance(record, dict) for record in records):
        return None
    return pd.DataFrame(records)


def json_of(path: Path) -> Any:
    """Return the content of a JSON file of a size that can be read, in which no object says a thing twice."""
    with opened(path) as file:
        content = file.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise TooLarge(f"{path} has more than {_LARGEST // 10**6} MB: give the log of one run.")
    return json.loads(content.decode("utf-8"), object_pairs_hook=_once)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object, or refuse one that says a thing twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} occurs twice in one object")
    return found


def files_below(folder: Path, pattern: str, of: Callable[[Path], bool] = Path.is_file) -> list[Path]:
    """Return the files of a folder, and of those in it, that match a pattern, in the order of their names."""
    return sorted(path for path in folder.rglob(pattern) if of(path))
