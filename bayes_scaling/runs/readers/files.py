"""CSV, Parquet and JSON Lines."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pandas as pd

from bayes_scaling.runs.readers import reader


@reader("csv")
def read_csv(path: Path) -> pd.DataFrame:
    """Read CSV as text, header apart, so that a repeated column is seen and a row of too many cells is an error."""
    settings: dict[str, Any] = {"dtype": str, "encoding": "utf-8-sig", "skipinitialspace": True, "keep_default_na": False}
    header = pd.read_csv(path, header=None, nrows=1, **settings).iloc[0].str.strip()
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        return pd.read_csv(path, index_col=False, **settings).set_axis(list(header), axis=1)


@reader("parquet", "pq")
def read_parquet(path: Path) -> pd.DataFrame:
    """Read Parquet."""
    return pd.read_parquet(path)


@reader("jsonl", "ndjson")
def read_json_lines(path: Path) -> pd.DataFrame:
    """Read JSON Lines, numbers as they stand."""
    return pd.read_json(path, lines=True, dtype=False)
