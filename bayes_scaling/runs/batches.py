"""Tables of any length, part after part: nothing but a part is in memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pandas as pd

from bayes_scaling.errors import MissingSource, UnknownFormat
from bayes_scaling.runs.bounds import opened, refuse_wide
from bayes_scaling.runs.cells import cells_of, text_of
from bayes_scaling.runs.readers import suffix_of
from bayes_scaling.runs.readers.files import separator_of

_ROWS: Final = 200_000
"""Rows of a part."""


def batches_of(source: str | Path | pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Yield the rows of a table in parts, cells as they stand: of a DataFrame, a Parquet file, or a file of CSV.

    >>> [len(part) for part in batches_of(pd.DataFrame({"loss": [2.0, 3.0]}))]
    [2]
    """
    if not isinstance(source, str | Path):
        for start in range(0, len(source), _ROWS):
            yield source.iloc[start : start + _ROWS]
        return
    path, suffix = Path(source), suffix_of(source)
    if not path.is_file():
        raise MissingSource(f"There is no table {path}: give a CSV or Parquet file.")
    refuse_wide(path)
    if suffix in ("parquet", "pq"):
        from pyarrow.parquet import ParquetFile

        with ParquetFile(path) as file:
            for part in file.iter_batches(batch_size=_ROWS):
                yield part.to_pandas()
    elif suffix in ("csv", "tsv", "txt"):
        settings: dict[str, Any] = {
            "sep": separator_of(path),
            "dtype": str,
            "keep_default_na": False,
            "encoding": "utf-8-sig",
        }
        with opened(path, most=math.inf) as file, pd.read_csv(file, chunksize=_ROWS, **settings) as parts:
            for part in parts:
                yield cells_of(part).rename(columns=text_of)
    else:
        raise UnknownFormat(f"{path} cannot be read in parts: give a Parquet file, or CSV.")


def count_rows(path: Path) -> int:
    """Return how many rows a file has, without reading them: of CSV about so many, of others nothing."""
    suffix = suffix_of(path)
    if suffix in ("parquet", "pq"):
        from pyarrow import ArrowException
        from pyarrow.parquet import read_metadata

        try:
            return int(read_metadata(path).num_rows)
        except (ArrowException, OSError):
            return 0  # what is wrong with it, its reader says
    if suffix in ("csv", "tsv", "txt") and path.suffix.lower() != ".gz":
        with path.open("rb") as file:
            lines = file.readlines(100_000)
        return int(path.stat().st_size * len(lines) / max(1, sum(map(len, lines))))
    return 0
