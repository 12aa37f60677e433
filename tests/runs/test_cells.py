"""Texts that a spreadsheet would run are inert in what is written, and as they were in what is read."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import bayes_scaling.service
from bayes_scaling.cli import app
from bayes_scaling.model.thinning import thin
from bayes_scaling.posterior.examples import example_fit
from bayes_scaling.runs.batches import batches_of
from bayes_scaling.runs.cells import cells_of, csv_of
from bayes_scaling.runs.collecting.collect import collect
from bayes_scaling.runs.readers.files import read_csv
from tests.javascript import evaluated

FORMULAS = ["=1+1", "+cmd", "-2+3", "@SUM(A1)", '=HYPERLINK("http://a","b")', "'=1"]
RUNS = pd.DataFrame(
    {"run_id": FORMULAS, "params": 1e8, "tokens": [1e9 + n for n in range(6)], "loss": 3.0, "=kind": ["-1", *"+-@'b"]}
)


def starts_of(text):
    return {cell.lstrip('"')[:1] for line in text.splitlines() for cell in line.split(",") if cell}


def test_numbers_are_left_alone_and_formulas_are_not():
    table = pd.DataFrame({"x": [-1.5, 2.0], "text": ["-1.5", "+2e3"], "=n": ["=1", "-x"]})
    assert csv_of(table) == "x,text,'=n\n-1.5,-1.5,'=1\n2.0,+2e3,'-x\n"
    assert csv_of(table.set_index("=n")) == "'=n,x,text\n'=1,-1.5,-1.5\n'-x,2.0,+2e3\n"


def test_our_reader_takes_back_what_was_written(tmp_path):
    (tmp_path / "runs.csv").write_text(csv_of(RUNS), newline="")
    assert not starts_of(csv_of(RUNS)) & set("=+@\t")
    for read in (read_csv(tmp_path / "runs.csv"), pd.concat(batches_of(tmp_path / "runs.csv"))):
        assert list(read) == list(RUNS)
        assert read["run_id"].tolist() == FORMULAS
        assert read["=kind"].tolist() == RUNS["=kind"].tolist()


def test_the_page_writes_the_same():
    source = (Path(bayes_scaling.service.__file__).parent / "static" / "charts.js").read_text()
    rows = RUNS.assign(tokens=1, params=-2, loss=0.5).to_dict("records")
    written = evaluated(
        f"{source[source.index('export function csv') :].replace('export', '')}; return csv({json.dumps(rows)})"
    )
    assert written.splitlines() == csv_of(pd.DataFrame(rows)).splitlines()


@given(st.lists(st.text(alphabet="=+-@'\ta1 ", max_size=5), min_size=1, max_size=5))
def test_writing_and_reading_is_nothing(texts):
    written = csv_of(pd.DataFrame({"text": texts}))
    cells = [line.strip('"') for line in written.splitlines()[1:]]
    assert cells_of(pd.DataFrame({"text": cells}))["text"].tolist() == texts
    for cell in cells:
        assert cell[:1] not in ("=", "+", "-", "@", "\t") or float(cell) == float(cell)


@pytest.mark.filterwarnings("ignore::bayes_scaling.errors.RepeatedRunsWarning")
def test_every_table_that_a_verb_writes(tmp_path):
    (tmp_path / "runs.csv").write_text(csv_of(RUNS), newline="")
    example_fit().save(tmp_path / "fit.nc")
    predict = ["predict", f"{tmp_path / 'fit.nc'}", "--inputs", f"{tmp_path / 'runs.csv'}"]
    for words in (
        ["thin", f"{tmp_path / 'runs.csv'}", "--rows", "5", "--out", f"{tmp_path / 'few.csv'}"],
        [*predict, "--out", f"{tmp_path / 'predictions.csv'}"],
        ["collect", f"{tmp_path / 'runs.csv'}", "--out", f"{tmp_path / 'ours.csv'}"],
    ):
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, done.output
        text = (tmp_path / words[-1]).read_text()
        assert any(f"'{name}" in text for name in FORMULAS)
        assert not starts_of(text) & set("=+@\t")
    assert not starts_of(CliRunner().invoke(app, predict).stdout) & set("=+@\t")
    assert set(thin(tmp_path / "few.csv").table["run_id"]) < set(FORMULAS)
    assert set(collect(tmp_path / "ours.csv").runs.table["run_id"]) == set(FORMULAS)
