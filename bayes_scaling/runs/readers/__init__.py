"""Readers of tables, by the suffix of their file: to add one, write one function in one file of this folder.

A reader is a function from a path to a DataFrame of the cells as they stand; cells are validated later. One that is defined
elsewhere is registered when its module is imported.

>>> sorted(READERS)
['csv', 'jsonl', 'ndjson', 'parquet', 'pq']
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pandas as pd

from bayes_scaling.errors import InvalidRuns
from bayes_scaling.plugins import Registry

Reader = Callable[[Path], pd.DataFrame]
READERS: Final[Registry[Reader]] = Registry("reader")
"""Readers by suffix, without its dot."""


def reader(*suffixes: str) -> Callable[[Reader], Reader]:
    """Register a function as the reader of files with these suffixes."""

    def register(read: Reader) -> Reader:
        READERS.update(dict.fromkeys(suffixes, read))
        return read

    return register


for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")


def read_file(path: Path) -> pd.DataFrame:
    """Return the table of a file, cells as they stand, or say why there is none that its suffix promises."""
    if not path.is_file():
        raise InvalidRuns(f"There is no table {path}: give a CSV, Parquet or JSON Lines file.")
    kind = "".join(path.suffixes[-2:]).lower().removesuffix(".gz").rsplit(".", 1)[-1]
    if kind not in READERS:
        suffixes = ", ".join(f".{suffix}" for suffix in READERS)
        raise InvalidRuns(f"{path} is of an unknown kind {path.suffix!r}: give one of {suffixes} (or .gz of it).")
    try:
        table = READERS[kind](path)
    except UnicodeDecodeError as error:
        raise InvalidRuns(
            f"{path} is not UTF-8 text (byte {error.object[error.start]:#04x} at {error.start}): save it as UTF-8."
        ) from None
    except pd.errors.EmptyDataError:
        raise InvalidRuns(f"{path} is empty: give a header and one row a run.") from None
    except pd.errors.ParserWarning:
        raise InvalidRuns(f"{path} cannot be read as {kind}: its rows have more cells than its header.") from None
    except Exception as error:
        first = str(error).removeprefix("Error tokenizing data. C error: ").strip().splitlines()[0]
        raise InvalidRuns(f"{path} cannot be read as {kind}: {first}.") from None
    if len(table.columns) == 1 and any(mark in str(table.columns[0]) for mark in ";\t|"):
        raise InvalidRuns(f"{path} is not separated by commas: its header is {table.columns[0]!r}; save it with commas.")
    return table
