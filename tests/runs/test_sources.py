"""Each source, from files that its own library wrote in the test: runs and curves come out of it."""

from __future__ import annotations

import json
import os
import sqlite3
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bayes_scaling as bs
from bayes_scaling.errors import (
    AmbiguousSource,
    MissingLibrary,
    MissingSource,
    NoRows,
    UnknownEntry,
    UnknownFormat,
    UnreadableSource,
)

SAMPLES = Path(__file__).parent / "samples"
SIZES = {"17M": 1.7e7, "30M": 3e7}
BATCH, LENGTH = 64, 1024
STEPS = (100, 200, 300)


def loss_at(size, step):
    return round(2 + 50 * size**-0.2 + 20 * step**-0.5, 4)


def same_runs(collected, *, curves=True):
    """Both runs came out, with their ends, and the points along them."""
    table = collected.runs.table.set_index("run_id")
    assert set(table.index) == set(SIZES)
    for run, size in SIZES.items():
        assert table.loc[run, "params"] == size
        assert table.loc[run, "tokens"] == STEPS[-1] * BATCH * LENGTH
        assert table.loc[run, "loss"] == pytest.approx(loss_at(size, STEPS[-1]), abs=1e-6)
    if curves:
        assert collected.curves.groupby("run_id").size().to_dict() == dict.fromkeys(SIZES, len(STEPS))
        assert {"steps", "tokens", "params", "loss", "checkpoint"} <= set(collected.curves)
        bs.read_runs(collected.curves, card=collected.card, needs=("loss", "steps", "batch_tokens"))
    return table


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """Two runs that W&B logged without a network, with more than a block of history, and one that failed."""
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    for name, size in [*SIZES.items(), ("50M", 5e7)]:
        config = {"model": {"n_params": size}, "batch_size": BATCH, "seq_len": LENGTH, "schedule": "cosine"}
        run = wandb.init(project="ladder", name=name, config=config, dir=str(tmp_path))
        for step in range(1, STEPS[-1] + 1):
            run.log({"train/loss": 9.0, "notes/" + "x" * 150: step}, step=step)
            if step in STEPS:
                run.log({"val/loss": loss_at(size, step)}, step=step)
        run.finish(exit_code=1 if name == "50M" else 0)
    return tmp_path


def test_offline_runs_of_wandb(offline):
    files = sorted(offline.rglob("*.wandb"))
    assert len(files) == 3
    assert min(file.stat().st_size for file in files) > 2 * 32768
    for read in (bs.readers.collect, bs.readers.read_wandb):
        collected = read(offline)
        same_runs(collected)
        assert collected.dropped.to_dict("list") == {"run_id": ["50M"], "reason": ["state is failed"]}
        assert "params = model.n_params" in collected.assumed
        assert "batch_tokens = batch_size x seq_len" in collected.assumed
        assert "loss = val/loss; nats/token" in collected.assumed
    cut = files[0].read_bytes()
    (offline / "run-cut.wandb").write_bytes(cut[: len(cut) // 2])  # as a run that was killed leaves it
    with pytest.raises(NoRows, match="crashed"):
        bs.readers.collect(offline / "run-cut.wandb")
    taken = bs.readers.collect(offline / "run-cut.wandb", keep="state == 'crashed'")
    assert taken.runs.table["steps"].item() in STEPS[:2]
    (offline / "other.wandb").write_bytes(b"something else")
    with pytest.raises(UnreadableSource):
        bs.readers.collect(offline / "other.wandb")


def test_a_project_of_wandb_by_its_address(monkeypatch):
    """The server is a stand-in: names, states, settings, summaries and every point are asked of the library as it offers them."""
    wandb = pytest.importorskip("wandb")

    class Run:
        def __init__(self, name, size, state):
            self.name, self.id, self.state = name, f"id-{size:g}", state
            self.config = {"n_params": size, "batch_size": BATCH, "seq_len": LENGTH}
            self.summary, self.size = {"val/loss": 1.0, "_step": 300}, size

        def scan_history(self):
            return iter([{"_step": step, "val/loss": loss_at(self.size, step)} for step in STEPS])

    runs = [Run(name, size, "finished") for name, size in SIZES.items()] + [Run("17M", 9e9, "crashed")]
    asked = []
    monkeypatch.setattr(wandb, "Api", lambda: type("Api", (), {"runs": lambda self, path: asked.append(path) or runs})())
    collected = bs.readers.read_wandb("wandb://team/ladder", keep="state == 'finished'")
    assert asked == ["team/ladder"]
    assert collected.runs.table["run_id"].tolist() == ["17M (id-1.7e+07)", "30M"]
    assert len(collected.curves) == 6
    runs.clear()
    with pytest.raises(NoRows, match="team/ladder"):
        bs.readers.read_wandb("wandb://team/ladder")


def test_the_history_of_a_run_of_wandb(tmp_path):
    rows = [
        {"_step": step, "_runtime": 1.0, "val/loss": loss_at(1.7e7, step), "tokens": step * BATCH * LENGTH} for step in STEPS
    ]
    table = pd.DataFrame(rows)
    (tmp_path / "17M.json").write_text(json.dumps(rows))
    table.to_csv(tmp_path / "17M.csv", index=False)
    table.to_json(tmp_path / "17M.jsonl", orient="records", lines=True)
    for suffix in ("json", "csv", "jsonl"):
        collected = bs.readers.read_wandb(tmp_path / f"17M.{suffix}")
        assert collected.runs.table[["run_id", "params", "loss"]].to_dict("list") == {
            "run_id": ["17M"],
            "params": [1.7e7],
            "loss": [loss_at(1.7e7, 300)],
        }
        assert collected.runs.table["tokens"].item() == 300 * BATCH * LENGTH
        assert len(collected.curves) == 3


def test_the_table_of_runs_of_wandb(tmp_path):
    table = pd.DataFrame(
        {
            "Name": [*SIZES, "late"],
            "State": ["finished", "finished", "running"],
            "Created": "2026-01-01",
            "Runtime": [1, 2, 3],
            "Tags": "",
            "model.n_params": [*SIZES.values(), 1e8],
            "batch_size": BATCH,
            "seq_len": LENGTH,
            "trainer/global_step": STEPS[-1],
            "val/loss": [*(loss_at(size, STEPS[-1]) for size in SIZES.values()), 9.0],
        }
    )
    table.to_csv(tmp_path / "export.csv", index=False)
    collected = bs.readers.read_wandb(tmp_path / "export.csv")
    found = same_runs(collected, curves=False)
    assert not {"Created", "Runtime", "Tags"} & set(found)
    assert collected.dropped.to_dict("list") == {"run_id": ["late"], "reason": ["State is running"]}


@pytest.mark.parametrize("store", ["files", "database"])
def test_stores_of_mlflow(tmp_path, monkeypatch, store):
    tracking = pytest.importorskip("mlflow.tracking")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    folder, database = tmp_path / "mlruns", tmp_path / "mlflow.db"
    with warnings.catch_warnings():  # of the library that writes, not of the reader
        warnings.simplefilter("ignore")
        client = tracking.MlflowClient(tracking_uri=folder.as_uri() if store == "files" else f"sqlite:///{database}")
        experiment = client.create_experiment("ladder", artifact_location=(tmp_path / "artifacts").as_uri())
        for name, size in [*SIZES.items(), ("50M", 5e7)]:
            run = client.create_run(experiment, run_name=name).info.run_id
            for key, value in {"n_params": size, "batch_size": BATCH, "max_seq_len": LENGTH}.items():
                client.log_param(run, key, value)
            for step in STEPS:
                client.log_metric(run, "val_loss", loss_at(size, step), step=step)
            client.log_metric(run, "final_score", 0.5)
            client.set_terminated(run, "KILLED" if name == "50M" else "FINISHED")
    monkeypatch.delenv("MLFLOW_ALLOW_FILE_STORE")
    sources = [tmp_path, folder] if store == "files" else [tmp_path, database, f"sqlite:///{database}"]
    for source in sources:
        collected = bs.readers.read_mlflow(source)
        same_runs(collected)
        assert collected.dropped.to_dict("list") == {"run_id": ["50M"], "reason": ["state is KILLED"]}
    assert "MLFLOW_ALLOW_FILE_STORE" not in os.environ


def test_a_database_that_is_not_mlflow_s_is_refused(tmp_path):
    pytest.importorskip("mlflow.tracking")
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("create table runs (a)")
    other.close()
    with pytest.raises(UnreadableSource, match=r"other\.db"):
        bs.readers.collect(tmp_path / "other.db")
    with pytest.raises(MissingSource):
        bs.readers.collect(f"sqlite:///{tmp_path}/none.db")


def test_a_folder_of_tensorboard(tmp_path):
    writer = pytest.importorskip("tensorboard.summary.writer.event_file_writer")
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams import summary_v2

    for name in SIZES:
        events = writer.EventFileWriter(str(tmp_path / name))
        events.add_event(
            Event(summary=summary_v2.hparams_pb({"batch_size": BATCH, "block_size": LENGTH, "schedule": "wsd"}))
        )
        for step in STEPS:
            value = Summary.Value(tag="val/loss", simple_value=loss_at(SIZES[name], step))
            events.add_event(Event(step=step, wall_time=1.0, summary=Summary(value=[value])))
        events.close()
    collected = bs.readers.read_tensorboard(tmp_path)
    same_runs(collected)
    assert any(line.startswith("params = the size in the name of the run") for line in collected.assumed)
    assert set(collected.runs.table["schedule"]) == {"wsd"}
    one = bs.readers.read_tensorboard(tmp_path / "17M")
    assert one.runs.table["run_id"].tolist() == ["17M"]


def test_logs_of_lightning(tmp_path):
    collected = bs.readers.read_lightning(SAMPLES / "lightning")
    same_runs(collected)
    assert "batch_tokens = batch_size x block_size" in collected.assumed
    one = bs.readers.read_lightning(SAMPLES / "lightning" / "17M" / "version_0" / "metrics.csv")
    assert one.runs.table["run_id"].tolist() == ["17M"]
    folder = tmp_path / "run" / "version_0"
    folder.mkdir(parents=True)
    (folder / "metrics.csv").write_text("step,val_loss\n1,3.0\n2,2.5\n")
    (folder / "hparams.yaml").write_text(
        "n_params: 1e7\nbetas: !!python/tuple [0.9, 0.95]\nmodel: !!python/object/apply:os.system ['x']\n"
    )
    assert (
        bs.readers.read_lightning(tmp_path, facts={"params": 1e7, "batch_tokens": 65536}).runs.table["tokens"].item()
        == 131072
    )
    (folder / "hparams.yaml").write_text("a: [")
    with pytest.raises(UnreadableSource, match=r"hparams\.yaml"):
        bs.readers.read_lightning(tmp_path)


def test_logs_that_lightning_writes_now(tmp_path):
    loggers = pytest.importorskip("lightning.pytorch.loggers", reason="Lightning needs torch")
    for name, size in SIZES.items():
        logger = loggers.CSVLogger(tmp_path, name=name)
        logger.log_hyperparams({"n_params": size, "batch_size": BATCH, "block_size": LENGTH})
        for step in STEPS:
            logger.log_metrics({"val_loss": loss_at(size, step)}, step=step)
        logger.save()
    same_runs(bs.readers.read_lightning(tmp_path))


def test_the_log_a_trainer_wrote():
    collected = bs.readers.read_trainer(SAMPLES / "trainer")
    table = same_runs(collected)
    assert table["compute_flops"].to_numpy() == pytest.approx(6 * table["params"] * table["tokens"])
    one = bs.readers.read_trainer(SAMPLES / "trainer" / "17M" / "checkpoint-300" / "trainer_state.json")
    assert one.runs.table["run_id"].tolist() == ["17M"]


def test_the_log_that_a_trainer_writes_now(tmp_path):
    callbacks = pytest.importorskip("transformers.trainer_callback", reason="transformers is no library of the tests")
    for name, size in SIZES.items():
        (tmp_path / name).mkdir()
        log = [{"step": step, "epoch": 0.1, "eval_loss": loss_at(size, step)} for step in STEPS]
        state = callbacks.TrainerState(global_step=300, max_steps=300, log_history=log)
        state.save_to_json(str(tmp_path / name / "trainer_state.json"))
    same_runs(bs.readers.read_trainer(tmp_path, facts={"batch_tokens": BATCH * LENGTH}))


def trainer_state(folder, size, *, steps=STEPS, done=STEPS[-1]):
    entries = [{"step": step - 50, "loss": 9.0, "epoch": step / 1e3} for step in steps]
    entries += [{"step": step, "eval_loss": loss_at(size, step), "epoch": step / 1e3} for step in steps]
    entries.sort(key=lambda entry: entry["step"])
    folder.mkdir(parents=True)
    state = {
        "log_history": entries,
        "global_step": done,
        "max_steps": STEPS[-1],
        "total_flos": 6 * size * done * BATCH * LENGTH,
    }
    state["num_input_tokens_seen"] = done * BATCH * LENGTH
    (folder / "trainer_state.json").write_text(json.dumps(state))


def test_folders_of_a_trainer(tmp_path):
    for name, size in SIZES.items():
        trainer_state(tmp_path / name / "checkpoint-200", size, steps=STEPS[:2], done=200)
        trainer_state(tmp_path / name / "checkpoint-300", size)
    trainer_state(tmp_path / "50M" / "checkpoint-200", 5e7, steps=STEPS[:2], done=200)
    collected = bs.readers.read_trainer(tmp_path)
    table = same_runs(collected)
    assert collected.dropped.to_dict("list") == {"run_id": ["50M"], "reason": ["it has not finished: step 200 of 300"]}
    assert table["compute_flops"].to_numpy() == pytest.approx(6 * table["params"] * table["tokens"])
    assert len(bs.readers.read_trainer(tmp_path, unfinished=True).runs) == 3


def test_sizes_of_a_trainer_come_from_the_configuration_beside_its_log(tmp_path):
    trainer_state(tmp_path / "llama" / "checkpoint-300", 1e8)
    shape = {"num_hidden_layers": 4, "hidden_size": 256, "intermediate_size": 688, "num_attention_heads": 8}
    shape |= {"num_key_value_heads": 2, "vocab_size": 1000, "hidden_act": "silu", "tie_word_embeddings": False}
    (tmp_path / "llama" / "checkpoint-300" / "config.json").write_text(json.dumps(shape | {"architectures": ["x"]}))
    state = tmp_path / "llama" / "checkpoint-300" / "trainer_state.json"
    state.write_text(json.dumps({k: v for k, v in json.loads(state.read_text()).items() if k != "total_flos"}))
    collected = bs.readers.read_trainer(tmp_path)
    layer = 2 * 256 * 256 + 2 * 256 * 64 + 3 * 256 * 688
    assert collected.runs.table["params"].item() == 4 * layer
    assert collected.runs.table["params_total"].item() == 4 * layer + 2 * 1000 * 256
    assert "grouped keys and values" in collected.card.notes
    assert "is its own (as logged)" in collected.card.notes


def test_workbooks_of_excel(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.title = "notes"
    book.active.append(["see the other sheet"])
    sheet = book.create_sheet("runs")
    sheet.append(["run", "params (M)", "tokens (B)", "val loss", None])
    for name, size in SIZES.items():
        sheet.append([name, size / 1e6, STEPS[-1] * BATCH * LENGTH / 1e9, loss_at(size, STEPS[-1]), None])
    book.save(tmp_path / "runs.xlsx")
    collected = bs.readers.read_excel(tmp_path / "runs.xlsx")
    same_runs(collected, curves=False)
    assert "params = params (M), in units of 1e+06" in collected.assumed


@pytest.mark.parametrize("suffix", ["parquet", "jsonl", "csv"])
def test_tables_of_checkpoints(tmp_path, suffix):
    points = pd.DataFrame(
        [
            {"run": run, "n_params": size, "step": step, "tokens": step * BATCH * LENGTH, "loss": loss_at(size, step)}
            for run, size in SIZES.items()
            for step in STEPS
        ]
    ).assign(batch_tokens=BATCH * LENGTH)
    path = tmp_path / f"points.{suffix}"
    {
        "parquet": points.to_parquet,
        "csv": points.to_csv,
        "jsonl": lambda p, **_: points.to_json(p, orient="records", lines=True),
    }[suffix](path, index=False)
    same_runs(bs.readers.read_checkpoints(path))
    every = bs.readers.read_checkpoints(path, at="all")
    assert len(every.runs) == 6
    assert every.runs.table["checkpoint"].all()
    least = bs.readers.read_checkpoints(path, at="min")
    assert "biased low" in least.card.notes


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("runs.tsv", "run\tparams\ttokens\tloss\n17M\t17,000,000\t19660800\t{a}\n30M\t30M\t1.96608e7\t{b}\n"),
        ("runs.csv", "run;params;tokens;loss\n17M;17.000.000;19660800;{a}\n30M;30M;19660800;{b}\n"),
        ("runs.txt", "run|params|tokens|loss\n17M|17M|19660800|{a}\n30M|0.03B|19660800|{b}\n"),
        (
            "runs.json",
            '[{{"run": "17M", "params": 1.7e7, "tokens": 19660800, "loss": {a}}}, {{"run": "30M", "params": "30M", "tokens": 19660800, "loss": {b}}}]',
        ),
    ],
)
def test_tables_are_read_as_what_they_are(tmp_path, name, text):
    numbers = {key: str(loss_at(size, STEPS[-1])) for key, size in zip("ab", SIZES.values(), strict=True)}
    if ";" in text:
        numbers = {key: number.replace(".", ",") for key, number in numbers.items()}
    (tmp_path / name).write_text(text.format(**numbers))
    same_runs(bs.readers.collect(tmp_path / name), curves=False)
    table = bs.read_runs(tmp_path / name).table
    assert table["params"].tolist() == list(SIZES.values())
    assert np.allclose(table["loss"], [loss_at(size, STEPS[-1]) for size in SIZES.values()])


def test_a_library_that_is_missing_is_named_with_its_extra(tmp_path, monkeypatch):
    monkeypatch.setattr("bayes_scaling.runs.readers.find_spec", lambda name: None)
    (tmp_path / "events.out.tfevents.1").write_bytes(b"")
    with pytest.raises(MissingLibrary, match=r"tensorboard.*bayes-scaling\[tensorboard\]"):
        bs.readers.collect(tmp_path)


def test_a_folder_of_two_kinds_asks_which(tmp_path):
    trainer_state(tmp_path / "17M", 1.7e7)
    (tmp_path / "17M" / "metrics.csv").write_text("step,val_loss\n1,3.0\n")
    with pytest.raises(AmbiguousSource, match="--from lightning or --from trainer"):
        bs.readers.collect(tmp_path)
    assert len(bs.readers.read_trainer(tmp_path).runs) == 1
    with pytest.raises(UnknownEntry, match="did you mean 'wandb'"):
        bs.readers.collect(tmp_path, kind="wandbs")
    with pytest.raises(UnknownFormat, match="mlflow"):
        bs.readers.read_mlflow(tmp_path)
