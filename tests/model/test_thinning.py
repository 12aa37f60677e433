"""Some rows of a table of any length: which are taken, and what is said to be lost."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

import bayes_scaling as bs
from bayes_scaling.errors import BadCells, TooLarge
from bayes_scaling.laws import LAWS
from bayes_scaling.model import thinning
from bayes_scaling.runs import batches

TRUTH = {"E": 1.7, "A": 0.5, "a": 0.6, "B": 0.3, "b": 0.7, "kappa": 0.5}


def table(rows, seed=0):
    """Runs of which most are small, with noise of half a per cent."""
    rng = np.random.default_rng(seed)
    params = 10 ** (7.5 + 2 * rng.random(rows) ** 4)
    tokens = 10 ** rng.uniform(9.0, 11.0, rows)
    loss = LAWS["kappa"](params / 3e8, tokens / 1e10, **TRUTH) * np.exp(0.005 * rng.standard_normal(rows))
    return pd.DataFrame({"params": params, "tokens": tokens, "loss": loss})


def test_rows_are_taken_evenly_over_the_inputs_and_part_by_part(tmp_path, monkeypatch):
    every = table(6000)
    every.to_parquet(tmp_path / "runs.parquet")
    every.to_csv(tmp_path / "runs.csv", index=False)
    whole = thinning.thin(every, rows=1500)
    monkeypatch.setattr(batches, "_ROWS", 700)
    for name in ("runs.parquet", "runs.csv"):
        few = thinning.thin(tmp_path / name, rows=1500)
        pd.testing.assert_frame_equal(few.table, whole.table)
    large = every["params"] > 10**8.5
    assert (whole.table["params"] > 10**8.5).mean() > 2 * large.mean()
    assert set(whole.table["loss"]) <= set(every["loss"])
    assert len(whole) == 1500
    assert not thinning.thin(every, rows=1500, seed=1).table.equals(whole.table)
    assert not thinning.thin(every, rows=6000).notes


def test_runs_are_kept_whole():
    along = table(3000).assign(run_id=np.repeat(np.arange(300), 10), checkpoint=np.tile([True] * 9 + [False], 300))
    few = thinning.thin(along, rows=1000)
    assert few.table.groupby("run_id").size().eq(10).all()
    assert len(few) == 1000


def test_a_run_counts_once_however_many_points_it_has():
    run = np.array([0, 0, 0, 1, 2, 2, 3])
    counted = thinning.Counted(np.array([0, 0, 1, 1, 2, 2, 2]), run, pd.DataFrame(index=range(3)))
    assert counted.counts() == pytest.approx([2 / 3, 4 / 3, 2.0])
    assert counted.counts().sum() == pytest.approx(4.0)  # runs
    assert counted.counts(run == 2) == pytest.approx([0.0, 0.0, 1.0])


def test_fewer_rows_than_cells_leave_out_no_end_of_the_table():
    rng = np.random.default_rng(1)
    spread = table(4000).assign(params=10 ** rng.uniform(6.0, 9.0, 4000), tokens=10 ** rng.uniform(8.0, 11.0, 4000))
    few = thinning.thin(spread, rows=400)
    assert len(few) == 400
    for column in ("params", "tokens"):
        logs, kept = np.log10(spread[column]), np.log10(few.table[column])
        assert kept.mean() == pytest.approx(logs.mean(), abs=4 * logs.std() / 20)
        assert kept.std() == pytest.approx(logs.std(), rel=0.15)
    wider = [float(ends[1]) for ends in re.findall(r"([\d.]+) to ([\d.]+) times", few.notes[0])]
    assert wider == pytest.approx([10**0.5, 10**0.5], rel=0.25)  # without a discrepancy: the root of ten times fewer


def test_a_bad_cell_is_named_and_where(monkeypatch):
    monkeypatch.setattr(batches, "_ROWS", 700)
    bad = table(2000).assign(loss=lambda runs: runs["loss"].where(runs.index != 1500, -1.0))
    with pytest.raises(BadCells, match=r"Rows 1,401 to 2,000: .*\n?.*row 101, loss"):
        thinning.thin(bad, rows=100)


def test_a_table_beyond_the_memory_is_refused_before_it_is_read(tmp_path, monkeypatch):
    path = tmp_path / "runs.csv"
    table(1000).to_csv(path, index=False)
    assert batches.count_rows(path) == pytest.approx(1000, rel=0.1)
    monkeypatch.setattr(thinning, "memory", lambda: 1e6)
    with pytest.raises(TooLarge, match="bayes-scaling thin TABLE --rows 20000"):
        bs.fit(path)


def test_more_rows_lose_less():
    every = table(6000)
    lost = [
        float(re.findall(r"([\d.]+) to ([\d.]+) times", thinning.thin(every, rows=rows).notes[0])[0][1])
        for rows in (600, 3000)
    ]
    assert lost[0] > lost[1] > 1
    assert "Fewer than 2,000 rows" in thinning.thin(every, rows=600).notes[0]
    assert "Fewer than" not in thinning.thin(every, rows=3000).notes[0]


def test_what_is_lost_is_judged_ten_times_beyond_the_largest_compute(monkeypatch):
    judged, near = [], thinning.draws_near
    monkeypatch.setattr(thinning, "draws_near", lambda layout, rng: judged.append(layout) or near(layout, rng))
    thinning.thin(table(3000), rows=600)
    cells = judged[0].only.table
    far = cells.loc[cells["compute_flops"].idxmax()]
    runs = cells[cells["compute_flops"] < far["compute_flops"]]
    assert far["compute_flops"] == pytest.approx(10 * runs["compute_flops"].max(), rel=0.2)
    assert far["params"] * far["tokens"] == pytest.approx(10 * (runs["params"] * runs["tokens"]).max(), rel=0.2)
