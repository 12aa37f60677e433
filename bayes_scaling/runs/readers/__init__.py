"""Readers of tables, by suffix and content of their file: to add one, write one function in one file of this folder.

A reader is a function from a path to a DataFrame of the cells as they stand, or to None where the content is of another kind;
cells are validated later. Of several readers of a suffix the one that was registered last is asked first. One that is defined
elsewhere is registered when its module is imported.

A reader of what a tracker or trainer exported returns learning curves: a row a point, ``run_id``, ``steps``, ``loss``, what
else it says of each, and ``checkpoint``, true. In ``attrs["export"]`` it says what the file is, so that what such a file never
says, the size of the model and its batch, is asked for at once: see :mod:`bayes_scaling.runs.facts`.

>>> sorted(READERS)
['csv', 'json', 'jsonl', 'ndjson', 'parquet', 'pq']
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

Reader = Callable[[Path], pd.DataFrame | None]
READERS: Final[Registry[tuple[Reader, ...]]] = Registry("reader")
"""Readers by suffix, without its dot, in the order in which they are asked."""


def reader[R: Reader](*suffixes: str) -> Callable[[R], R]:
    """Register a function as the reader of files with these suffixes."""

    def register(read: R) -> R:
        READERS.update({suffix: (read, *READERS.get(suffix, ())) for suffix in suffixes})
        return read

    return register


for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")


def read_file(path: Path) -> pd.DataFrame:
    """Return the table of a file, cells as they stand, or say why there is none that its suffix promises."""
    if not path.is_file():
        raise InvalidRuns(f"There is no table {path}: give a CSV, Parquet or JSON Lines file, or an export.")
    kind = "".join(path.suffixes[-2:]).lower().removesuffix(".gz").rsplit(".", 1)[-1]
    if kind not in READERS:
        suffixes = ", ".join(f".{suffix}" for suffix in READERS)
        raise InvalidRuns(f"{path} is of an unknown kind {path.suffix!r}: give one of {suffixes} (or .gz of it).")
    try:
        table = next((table for read in READERS[kind] if (table := read(path)) is not None), None)
    except UnicodeDecodeError as error:
        raise InvalidRuns(
            f"{path} is not UTF-8 text (byte {error.object[error.start]:#04x} at {error.start}): save it as UTF-8."
        ) from None
    except pd.errors.EmptyDataError:
        raise InvalidRuns(f"{path} is empty: give a header and one row a run.") from None
    except pd.errors.ParserWarning:
        raise InvalidRuns(f"{path} cannot be read as {kind}: its rows have more cells than its header.") from None
    except InvalidRuns:
        raise
    except Exception as error:
        first = str(error).removeprefix("Error tokenizing data. C error: ").strip().splitlines()[0]
        raise InvalidRuns(f"{path} cannot be read as {kind}: {first}.") from None
    if table is None:
        known = ", ".join(sorted(str(read.__doc__).partition(":")[0].removeprefix("Read ") for read in READERS[kind]))
        raise InvalidRuns(f"{path} is {kind.upper()} of an unknown kind: of {kind.upper()}, {known} can be read.")
    if len(table.columns) == 1 and any(mark in str(table.columns[0]) for mark in ";\t|"):
        raise InvalidRuns(f"{path} is not separated by commas: its header is {table.columns[0]!r}; save it with commas.")
    return table
