"""Learning curves out of what a tracker or a trainer exports, and what such a file never says."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pandas as pd
import pytest

import bayes_scaling as bs
from bayes_scaling.errors import (
    BadCells,
    InvalidRuns,
    MissingColumn,
    RepeatedRun,
    SeveralLosses,
    TooLarge,
    UnknownEntry,
    UnknownFormat,
    UnreadableSource,
)
from bayes_scaling.runs.curves import read_file
from bayes_scaling.runs.table import read_inputs

STEPS = [0, 100, 200, 300]
LOSS = {"17M": [10.0, 5.0, 4.0, None], "sweep - 30M": [10.0, 4.5, 3.5, 3.0]}
"""A run that ended early, and one whose name has the separator in it."""
SIZES = pd.DataFrame({"run_id": list(LOSS), "params": [1.7e7, 3e7], "batch_tokens": [131072, 262144]})


def chart(path, *, place="Step", metric="val/loss", spread=0.0, more=()):
    columns = {place: STEPS}
    for run, losses in LOSS.items():
        values = pd.Series(losses, dtype=float)
        for name, shift in (("", 0.0), ("__MIN", -spread), ("__MAX", spread)):
            columns[f"{run} - {metric}{name}"] = values + shift
            columns |= {f"{run} - {other}{name}": values * 2 for other in more}
    pd.DataFrame(columns).to_csv(path, index=False)
    return path


def log(path, **changes):
    entries = [
        {"epoch": 0.1, "learning_rate": 3e-4, "loss": 6.0, "step": 50},
        {"eval_loss": 5.0, "eval_runtime": 1.5, "step": 100},
    ]
    entries += [{"epoch": 0.3, "loss": 4.0, "step": 150}, {"eval_loss": 3.9, "step": 200}, {"train_loss": 4.4, "step": 200}]
    path.parent.mkdir(exist_ok=True)
    path.write_text(
        json.dumps({"best_metric": None, "global_step": 200, "log_history": entries, "max_steps": 500} | changes)
    )
    return path


def test_a_chart_has_a_curve_for_each_run(tmp_path):
    runs = bs.read_runs(chart(tmp_path / "chart.csv"), facts=SIZES)
    assert set(runs.table) == {"run_id", "steps", "loss", "checkpoint", "params", "batch_tokens", "tokens", "compute_flops"}
    assert runs.table["checkpoint"].all()
    ends = runs.table.groupby("run_id").tail(1).set_index("run_id")
    assert ends["loss"].to_dict() == {"17M": 4.0, "sweep - 30M": 3.0}
    assert ends["tokens"].to_dict() == {"17M": 200 * 131072, "sweep - 30M": 300 * 262144}
    assert runs.table["steps"].min() == 100  # before the first step no law says anything


def test_least_and_largest_are_no_runs(tmp_path):
    table = read_file(chart(tmp_path / "chart.csv", spread=0.25))
    assert set(table["run_id"]) == set(LOSS)
    numbers = table[["loss", "loss_min", "loss_max"]].astype(float)
    np.testing.assert_allclose(numbers["loss_max"] - numbers["loss"], 0.25)
    np.testing.assert_allclose(numbers["loss"] - numbers["loss_min"], 0.25)
    assert "loss_min" not in read_file(chart(tmp_path / "same.csv"))  # as a chart of every step has them


def test_the_held_out_loss_is_taken_and_several_are_named(tmp_path):
    table = read_file(chart(tmp_path / "chart.csv", more=("train/loss", "lr")))
    assert table["loss"].astype(float).max() == 5.0
    with pytest.raises(SeveralLosses, match=r"val/loss, eval/c4_loss.*--columns loss=val/loss"):
        read_file(chart(tmp_path / "two.csv", more=("eval/c4_loss",)))
    with pytest.raises(MissingColumn, match=r"loss.*accuracy"):
        read_file(chart(tmp_path / "none.csv", metric="accuracy"))
    with pytest.raises(UnknownFormat, match="'Relative Time'"):
        read_file(chart(tmp_path / "time.csv", place="Relative Time"))


def test_any_other_table_is_read_as_before(tmp_path):
    path = tmp_path / "runs.csv"
    pd.DataFrame({"params": [1e8, 1e9], "tokens": [2e9, 2e10], "loss": [3.4, 2.8], "a - b": 1}).to_csv(path, index=False)
    assert list(bs.read_runs(path).table) == ["params", "tokens", "loss", "a - b", "compute_flops"]


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_the_log_of_a_trainer_is_a_curve(tmp_path, suffix):
    path = log(tmp_path / "small" / "trainer_state.json")
    if suffix:
        path.with_suffix(".json.gz").write_bytes(gzip.compress(path.read_bytes()))
    runs = bs.read_runs(f"{path}{suffix}", facts={"params": 1e8, "batch_tokens": 512})
    assert runs.table[["run_id", "steps", "loss", "tokens"]].to_dict("list") == {
        "run_id": ["small"] * 2,
        "steps": [100.0, 200.0],
        "loss": [5.0, 3.9],
        "tokens": [51200.0, 102400.0],
    }
    assert runs.table["checkpoint"].all()


def test_a_log_without_evaluations_has_its_training_loss_and_its_tokens(tmp_path):
    entries = [{"loss": 6.0 - k, "step": 10 * k, "epoch": k / 10, "num_input_tokens_seen": 5120 * k} for k in range(4)]
    folder = tmp_path / "run"
    folder.mkdir()
    path = log(
        folder / "checkpoint-30" / "trainer_state.json", log_history=entries, num_input_tokens_seen=15360, global_step=30
    )
    table = read_file(path)
    assert set(table["run_id"]) == {"run"}  # checkpoints of a run lie in folders of their own
    assert table[["steps", "loss", "tokens"]].to_numpy().tolist() == [[10, 5.0, 5120], [20, 4.0, 10240], [30, 3.0, 15360]]
    assert set(table["batch_tokens"]) == {512.0}
    with pytest.raises(MissingColumn, match="params"):
        bs.read_runs(path)
    assert bs.read_runs(path, facts={"params": 1e8}).table["compute_flops"].iloc[-1] == pytest.approx(6 * 1e8 * 15360)


def test_what_an_export_does_not_say_is_asked_for_at_once(tmp_path):
    for path, what in (
        (chart(tmp_path / "chart.csv"), r"a chart of 2 runs \(17M, sweep - 30M\), with 5 points of val/loss"),
        (log(tmp_path / "run" / "trainer_state.json"), "the log of a trainer, with 2 points of eval_loss"),
    ):
        with pytest.raises(InvalidRuns) as caught:
            bs.read_runs(path, needs=["loss", "params", "tokens"])
        caught.match(what)
        caught.match(r"does not say params \(parameters\) and batch_tokens \(tokens a step\) of its runs")
        caught.match(
            r"--facts params=\.\.\.,batch_tokens=\.\.\. .* --facts RUNS\.csv, a table of run_id, params, batch_tokens"
        )
        assert len(str(caught.value).splitlines()) == 1


def test_facts_are_joined_by_run_or_refused(tmp_path):
    path = chart(tmp_path / "chart.csv")
    SIZES.to_csv(tmp_path / "sizes.csv", index=False)
    runs = bs.read_runs(path, facts=tmp_path / "sizes.csv")
    assert runs.table.groupby("run_id")["params"].first().to_dict() == {"17M": 1.7e7, "sweep - 30M": 3e7}
    assert runs.origin == (str(path), "--facts", str(tmp_path / "sizes.csv"))
    with pytest.raises(UnknownEntry, match="'sweep - 30M'"):
        bs.read_runs(path, facts=SIZES[:1])
    with pytest.raises(RepeatedRun, match="'17M'"):
        bs.read_runs(path, facts=pd.concat([SIZES, SIZES]))
    with pytest.raises(MissingColumn, match="'run_id'"):
        bs.read_runs(path, facts=SIZES.drop(columns="run_id"))
    with pytest.raises(BadCells, match="row 1, params"):
        bs.read_runs(path, facts={"params": "large", "batch_tokens": 512})
    own = pd.DataFrame({"run_id": ["a", "b"], "params": [1e8, 1e9], "tokens": [2e9, 2e10], "loss": [3.4, 2.8]})
    told = bs.read_runs(own, facts={"params": 5.0, "corpus": "C4"})
    assert told.table["params"].tolist() == [1e8, 1e9]  # what the table says itself stays
    assert told.table["corpus"].tolist() == ["C4", "C4"]


@pytest.mark.parametrize(
    ("content", "kind", "named"),
    [
        ("[1, 2]", UnknownFormat, "list of records, the history of a run of W&B, trainer_state.json"),
        ('{"a": 1}', UnknownFormat, "JSON"),
        ("{", UnreadableSource, "json"),
        ('{"log_history": [], "log_history": []}', UnreadableSource, "'log_history'"),
        ('{"log_history": [1]}', UnreadableSource, "log_history"),
        ('{"log_history": [{"step": "1", "loss": 3.0}]}', UnreadableSource, "whole number as its step"),
        ('{"log_history": [{"step": true, "loss": 3.0}]}', UnreadableSource, "whole number as its step"),
        ('{"log_history": []}', MissingColumn, "loss"),
        (
            '{"log_history": [{"step": 1, "eval_a_loss": 3.0, "eval_b_loss": 3.0}]}',
            SeveralLosses,
            "eval_a_loss, eval_b_loss",
        ),
        ("[" * 100_000, UnreadableSource, "json"),
    ],
)
def test_json_is_read_strictly(tmp_path, content, kind, named):
    path = tmp_path / "trainer_state.json"
    path.write_text(content)
    with pytest.raises(kind, match=r"trainer_state\.json") as caught:
        bs.read_runs(path)
    assert named in str(caught.value)


def test_json_has_a_largest_size(tmp_path, monkeypatch):
    monkeypatch.setattr("bayes_scaling.runs.readers.files._LARGEST", 100)
    with pytest.raises(TooLarge):
        bs.read_runs(log(tmp_path / "run" / "trainer_state.json"))


@pytest.mark.parametrize("loss", ["NaN", "Infinity", '"low"', "-1.0"])
def test_a_loss_that_is_none_is_a_bad_cell(tmp_path, loss):
    path = tmp_path / "trainer_state.json"
    path.write_text(f'{{"log_history": [{{"step": 1, "loss": 3.0}}, {{"step": 2, "loss": {loss}}}]}}')
    with pytest.raises(BadCells, match="row 2, loss"):
        bs.read_runs(path, facts={"params": 1e8, "batch_tokens": 512})


def test_a_curve_for_a_run_under_way_needs_no_facts_yet(tmp_path):
    table = read_inputs(log(tmp_path / "run" / "trainer_state.json"), needs=["loss"])
    assert table[["steps", "loss"]].to_numpy().tolist() == [[100, 5.0], [200, 3.9]]
