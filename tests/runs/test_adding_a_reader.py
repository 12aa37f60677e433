"""A reader of another kind of file is one function in one module, registered by its import."""

from __future__ import annotations

import importlib
import sys

import pytest

import bayes_scaling as bs
from bayes_scaling.errors import BadCells, UnknownFormat
from bayes_scaling.runs.readers import READERS

MODULE = """
import pandas as pd

from bayes_scaling.runs.readers import reader


@reader("notes")
def read_notes(path):
    rows = [dict(part.split("=") for part in line.split()) for line in path.read_text().splitlines()]
    return pd.DataFrame(rows)
"""


@pytest.fixture
def readers(tmp_path, monkeypatch):
    """A module with a reader, imported; gone afterwards."""
    (tmp_path / "reads_notes.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("reads_notes")
    del READERS["notes"], sys.modules["reads_notes"]


@pytest.mark.usefixtures("readers")
def test_its_cells_are_validated_as_any_other_s(tmp_path):
    path = tmp_path / "runs.notes"
    path.write_text("params=1e8 tokens=2e9 loss=3.4\nparams=1e9 tokens=2e10 loss=2.8\n")
    assert bs.read_runs(path).table["compute_flops"].tolist() == pytest.approx([1.2e18, 1.2e20])
    path.write_text("params=1e8 tokens=2e9 loss=low\n")
    with pytest.raises(BadCells):
        bs.read_runs(path)


def test_without_it_the_kind_is_unknown(tmp_path):
    (tmp_path / "runs.notes").write_text("params=1e8\n")
    with pytest.raises(UnknownFormat, match=r"\.notes"):
        bs.read_runs(tmp_path / "runs.notes")
