"""Files that are small and stand for much, and tables that are wider than any: a sentence, soon, in little memory."""

from __future__ import annotations

import gzip
import json
import resource
import time
from itertools import repeat

import numpy as np
import pandas as pd
import pytest

from bayes_scaling.errors import InvalidRuns
from bayes_scaling.model.thinning import thin
from bayes_scaling.runs.batches import batches_of
from bayes_scaling.runs.collecting.collect import collect
from bayes_scaling.runs.table import read_inputs, read_runs

WIDE = [f"c{number}" for number in range(100_000)]
SECONDS, BYTES = 60, 10**9


def bomb(path, *, start=b"", again=b"\0"):
    """Write some megabytes that unpack to more than four billion."""
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(start)
    packed = gzip.compress(again * (2**24 // len(again)))
    with path.open("ab") as file:
        file.writelines(repeat(packed, 256))
    return path


@pytest.mark.parametrize("read", [read_runs, collect, pytest.param(thin, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("name", "start", "again"),
    [
        ("runs.csv.gz", b"", b"\0"),
        ("runs.csv.gz", b"params,tokens,loss\n", b"1e8,2e9,3.0\n"),
        ("runs.csv.gz", b"params,tokens,loss\n", b"1"),
        ("runs.jsonl.gz", b"", b'{"params": 1e8}\n'),
        ("runs.json.gz", b"[", b"[1],"),
    ],
)
def test_a_bomb(read, name, start, again, tmp_path):
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    with pytest.raises(InvalidRuns):
        read(bomb(tmp_path / name, start=start, again=again))
    assert time.monotonic() - began < SECONDS
    assert 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) < BYTES


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """A table of a hundred thousand columns, and a folder of it in files of every kind."""
    table = pd.DataFrame(np.ones((2, len(WIDE))), columns=WIDE).assign(
        params=[1e8, 1e9], tokens=[2e9, 2e10], loss=[3.4, 2.8]
    )
    folder = tmp_path_factory.mktemp("wide")
    table.to_csv(folder / "runs.csv", index=False)
    table.to_csv(folder / "runs.tsv.gz", index=False, sep="\t")
    table[WIDE[:10_000]].to_parquet(folder / "runs.parquet")
    records = [json.dumps(record) for record in table.to_dict("records")]
    (folder / "runs.jsonl").write_text("\n".join(records))
    (folder / "runs.json").write_text(f"[{','.join(records)}]")
    return table, folder


@pytest.mark.parametrize("read", [read_runs, collect, thin])
@pytest.mark.parametrize("kind", ["csv", "tsv.gz", "parquet", "jsonl", "json", "a DataFrame"])
def test_a_hundred_thousand_columns(read, kind, wide):
    table, folder = wide
    began = time.monotonic()
    with pytest.raises(InvalidRuns):
        read(table if kind == "a DataFrame" else folder / f"runs.{kind}")
    assert time.monotonic() - began < SECONDS


def test_a_packed_table_of_equal_rows_is_read(tmp_path):
    rows = "1e8,2e9,3.0\n" * 3 + "1e9,2e10,2.8\n"
    (tmp_path / "runs.csv.gz").write_bytes(gzip.compress(f"params,tokens,loss\n{rows * 2000}".encode()))
    assert len(read_inputs(tmp_path / "runs.csv.gz")) == sum(map(len, batches_of(tmp_path / "runs.csv.gz"))) == 8000
