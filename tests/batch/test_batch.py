"""A batch on this machine: what comes out, what is not done again, and what failed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bayes_scaling as bs
from bayes_scaling.batch.plan import split
from bayes_scaling.errors import (
    BayesScalingWarning,
    InvalidRequest,
    InvalidSpecification,
    MissingOption,
    OutOfRange,
    UnknownChoice,
    UnknownName,
    Unwritable,
)
from tests.batch.tables import ladder, results, tables  # noqa: F401 - a fixture
from tests.command import command  # noqa: F401 - a fixture


def times(out: Path) -> dict[str, int]:
    """Return when each fit was written."""
    return {path.name: path.stat().st_mtime_ns for path in (out / "fits").iterdir()}


def test_a_batch_is_done_once_and_takes_further_questions(tables, command):  # noqa: F811
    out = tables.parent / "out"
    first = command("batch", tables, "--out", out, "--workers", 2)
    assert (first.code, first.err.splitlines()[0]) == (
        0,
        "3 of 3 fits to do, 0 done before, by 2 processes on this machine.",
    )
    assert "3 fits, 0 failed." in first.out
    stored, written = results(out), times(out)
    fits = bs.read_batch(out)
    assert fits[["table", "model"]].to_numpy().tolist() == [[name, "chinchilla"] for name in ("first", "second", "third")]
    assert fits["file"].str.fullmatch(r"fits/(first|second|third)-chinchilla-[0-9a-f]{8}\.nc").all()
    assert fits["converged"].all()
    one = fits["fit"][1].load()
    E = np.quantile(one.posterior["E"], [0.05, 0.5, 0.95])
    assert fits.loc[1, ["E_lower", "E", "E_upper"]].to_numpy(float) == pytest.approx(E, rel=1e-6)
    assert fits.loc[1, "forecast_at"] == pytest.approx(10 * one.table["compute_flops"].max())
    assert fits.loc[1, "forecast_decades"] == pytest.approx(1)

    again = command("batch", tables, "--out", out)
    assert (again.code, again.err) == (0, "")
    assert results(out) == stored
    assert times(out) == written

    document = tables.read_text()
    further = '[[questions]]\nquestion = "allocate"\ncompute = [1e21, 1e22]\n[[questions]]\nquestion = "bottleneck"\nparams = 1e9\ndataset_tokens = 1e10\nsteps = 1e4\nbatch_tokens = 1e6\n'
    tables.write_text(f"reports = true\n{document}{further}")
    dry = command("batch", tables, "--out", out, "--dry-run")
    assert "3 of 3 fits to do, 3 of which are stored and lack answers or a report; one took " in dry.out
    assert command("batch", tables, "--out", out, "--workers", 1).code == 0
    assert times(out) == written  # answered from the stored fits
    answers = bs.batch.read_answers(out)
    assert len(answers) == 6
    assert answers.set_index("question").loc["bottleneck", "refused"].str.contains("kaplan_ndsb needs").all()
    table = bs.batch.read_answers(out, "Allocate")
    asked = bs.ask(one, "allocate", compute=[1e21, 1e22]).tables["budgets"]
    assert table[table["table"] == "second"]["params"].tolist() == pytest.approx(asked["params"].tolist(), rel=1e-6)
    assert all((out / name).is_file() for name in bs.read_batch(out)["report"])
    assert (results(out)["index.html"]).count(b">report</a>") == 3


def test_what_fails_is_a_line_and_stops_nothing(tables, command):  # noqa: F811
    folder, out = tables.parent / "runs", tables.parent / "out"
    (folder / "broken.csv").write_text("params,tokens,loss\n1e8,2e9,3.1\n1e9,-2e10,x\n")
    (folder / "unreadable.csv").write_bytes(b"\xff\xfe\x00\x01params")
    ladder(9).drop(columns="tokens").to_csv(folder / "sizes.csv", index=False)
    done = command("batch", tables, "--out", out, "--workers", 2)
    assert done.code == 1
    failures = bs.batch.read_failures(out)
    assert failures[["table", "model", "error"]].to_numpy().tolist() == [
        ["broken", "", "BadCells"],
        ["sizes", "chinchilla", "MissingColumn"],
        ["unreadable", "", "UnreadableSource"],
    ]
    assert "row 2, tokens" in failures["reason"][0]
    assert "no column 'tokens'" in failures["reason"][1]
    assert len((out / "failures.jsonl").read_text().splitlines()) == 3
    assert bs.read_batch(out)["table"].tolist() == ["first", "second", "third"]
    assert "FAILED sizes, chinchilla: " in done.out

    kept = command("batch", tables, "--out", out)
    assert (kept.code, kept.err) == (1, "")  # nothing is tried again
    (folder / "sizes.csv").unlink()
    (folder / "unreadable.csv").unlink()
    (folder / "broken.csv").unlink()
    assert command("batch", tables, "--out", out).code == 0
    assert bs.batch.read_failures(out).empty


def test_a_failed_job_is_done_again_when_asked(tables, command):  # noqa: F811
    out = tables.parent / "out"
    command("batch", tables, "--out", out, "--workers", 1)
    undisturbed = results(out)
    record = next((out / "records").iterdir())
    failed = {"status": "failed", "error": "MemoryError", "reason": "There was none.", "source": ""}
    before = json.loads(record.read_text())
    record.write_text(json.dumps({**{n: before[n] for n in ("format", "digest", "table", "model")}, **failed}))
    assert command("batch", tables, "--out", out).code == 1
    assert bs.batch.read_failures(out)["reason"].tolist() == ["There was none."]
    assert command("batch", tables, "--out", out, "--retry", "failed", "--workers", 1).code == 0
    assert results(out) == undisturbed
    written, damaged = times(out), out / before["file"]
    record.write_text("{torn")
    damaged.write_bytes(damaged.read_bytes()[:-100])
    assert command("batch", tables, "--out", out, "--workers", 1).code == 0
    assert results(out) == undisturbed
    assert {name for name, time in times(out).items() if time != written[name]} == {damaged.name}


def test_a_report_that_fails_costs_no_fit(tables, command):  # noqa: F811
    out = tables.parent / "out"
    (tables.parent / "runs" / "third.csv").unlink()
    command("batch", tables, "--out", out, "--workers", 1)
    written, fits = times(out), bs.read_batch(out)
    in_the_way = out / fits["file"][0].replace("fits/", "reports/").replace(".nc", ".html")
    in_the_way.mkdir(parents=True)
    tables.write_text(f"reports = true\n{tables.read_text()}")
    first = command("batch", tables, "--out", out, "--workers", 1)
    assert first.code == 1
    assert "2 fits, 1 failed." in first.out
    assert bs.read_batch(out)["report"].astype(bool).tolist() == [False, True]
    failure = bs.batch.read_failures(out).iloc[0]
    assert (failure["table"], failure["error"]) == (fits["table"][0], "Unwritable")
    assert failure["reason"].startswith("The fit is stored, but its report failed: ")
    assert "1 failed before" in command("batch", tables, "--out", out, "--dry-run").out

    again = command("batch", tables, "--out", out)
    assert (again.code, again.err) == (1, "")  # nothing is tried again
    in_the_way.rmdir()
    assert command("batch", tables, "--out", out, "--retry", "failed", "--workers", 1).code == 0
    assert bs.read_batch(out)["report"].astype(bool).all()
    assert times(out) == written


def test_a_table_is_split_and_its_parts_named():
    runs = pd.concat(
        [ladder(1).assign(corpus="C4"), ladder(2).assign(corpus="The Pile"), ladder(3, 2).assign(corpus="Tiny")]
    )
    from bayes_scaling.batch.plan import named_tables

    named, unread = named_tables({"runs": runs}, ["corpus"], 3)
    assert [(each.label, len(each.runs)) for each in named] == [("runs-C4", 16), ("runs-The Pile", 16)]
    assert not unread
    assert named[1].runs.origin[-1] == "corpus == 'The Pile'"


def test_fit_many_is_the_same_from_python(tables, command, tmp_path):  # noqa: F811
    out = tables.parent / "out"
    command("batch", tables, "--out", out, "--workers", 1)
    files = {path.stem: path for path in sorted((tables.parent / "runs").iterdir())}
    given = {"nothing": tmp_path / "none.csv", **files}
    with pytest.warns(BayesScalingWarning, match="1 of 4 failed; the first is nothing, all models: There is no table"):
        fits = bs.fit_many(given, "chinchilla", out=out, draws=500, workers=1, progress=False)
    # Nothing was fitted again: tables, model and settings are those of the document.
    assert fits["file"].tolist() == [f"fits/{path.name}" for path in sorted((out / "fits").iterdir())]
    assert len(list((out / "fits").iterdir())) == 3


@pytest.mark.parametrize(
    ("settings", "kind", "named"),
    [
        ({"models": "chinchila"}, UnknownName, "did you mean 'chinchilla'"),
        ({"sampler": "gibbs"}, InvalidSpecification, "'gibbs'"),
        ({"drawz": 3}, InvalidSpecification, "drawz"),
        ({"questions": [{"question": "allocatee"}]}, InvalidSpecification, "did you mean 'allocate'"),
        (
            {"questions": [{"question": "allocate", "compute": [float("nan")]}]},
            InvalidSpecification,
            "The compute, number 1",
        ),
        ({"executor": "pigeons"}, UnknownChoice, "'pigeons'"),
        ({"executor": "dask://"}, UnknownChoice, "'dask://'"),
        ({"workers": 0}, OutOfRange, "workers"),
        ({"retry": "all"}, UnknownChoice, "'all'"),
        ({"prob": 1.5}, InvalidSpecification, "prob"),
        ({"pooled": "chinchilla"}, MissingOption, "3 sources, the batch has 1"),
        ({"pooled": "kappa"}, InvalidSpecification, "pooled"),
    ],
)
def test_a_batch_that_is_wrong_as_a_whole_is_refused(settings, kind, named, tmp_path):
    models = settings.pop("models", "chinchilla")
    with pytest.raises(kind, match=named):
        bs.fit_many({"runs": ladder(1)}, models, out=tmp_path / "out", progress=False, **settings)
    with pytest.raises(InvalidRequest, match="There is no batch in"):
        bs.read_batch(tmp_path / "out")


def test_workers_are_let_go_where_a_batch_is_refused(tmp_path, monkeypatch):
    class Workers:
        where, closed = "nowhere", False

        def close(self) -> None:
            self.closed = True

    workers = Workers()
    monkeypatch.setattr("bayes_scaling.batch.run.executor_of", lambda *_: workers)
    with pytest.raises(MissingOption, match="3 sources"):
        bs.fit_many({"runs": ladder(1)}, "chinchilla", out=tmp_path / "out", pooled="chinchilla", progress=False)
    assert workers.closed


def test_the_condition_of_each_part_selects_its_rows():
    labels = [None, "it's", 'a "b"', "1", "and"]
    rows = pd.DataFrame({"params": np.geomspace(1e8, 1e9, 10), "loss": 3.0, "my column": labels * 2, "size": [1.5, 2.0] * 5})
    table = bs.read_runs(rows.assign(**{"class": rows["size"] > 1.7}))
    columns = ["my column", "size", "class"]
    parts = dict(split(table, "runs", columns))
    assert len(parts) == 10
    for part in parts.values():
        assert table.where(part.origin[-1]).table["params"].tolist() == part.table["params"].tolist()


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ("models = []", "tables: is missing"),
        ('models = ["kappa"]\n[[tables]]\npath = "ladder"\nsplitby = "corpus"', "did you mean 'split_by'"),
        ('models = ["kappa", "kappa"]\n[[tables]]\npath = "ladder"', "two models are called kappa"),
        ('models = ["kappa"]\nworkers = 3\n[[tables]]\npath = "ladder"', "workers: unknown key"),
        ('models = ["kappa"]\n[[tables]]\npath = "none/*.csv"', "The pattern none/*.csv matches no table"),
        ("models = ['kappa'", "is not TOML"),
        ('models = ["kappa"]\n[sampling]\nseed = "one"\n[[tables]]\npath = "ladder"', "sampling.seed"),
    ],
)
def test_a_document_that_is_wrong_is_a_sentence(document, sentence, command, tmp_path):  # noqa: F811
    path = tmp_path / "jobs.toml"
    path.write_text(document)
    answer = command("batch", path, "--out", tmp_path / "out")
    assert answer.code == 2
    assert sentence in answer.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "document"),
    [
        ("summary.parquet", 'models = ["chinchilla"]\n[[tables]]\npath = "*.parquet"'),
        ("answers.parquet", 'models = ["chinchilla"]\n[[tables]]\npath = "answers.parquet"'),
        ("population-kappa.parquet", 'models = ["kappa"]\npooled = "kappa"\n[[tables]]\npath = "."'),
        ("index.html", 'models = ["chinchilla"]\n[[tables]]\npath = "ladder"\ncard = "index.html"'),
        ("failures.jsonl", 'models = ["chinchilla"]\n[[tables]]\npath = "ladder"'),
    ],
)
def test_no_result_is_written_over_what_is_read(name, document, command, tmp_path):  # noqa: F811
    given, path = tmp_path / name, tmp_path / ("failures.jsonl" if name == "failures.jsonl" else "jobs.toml")
    if name.endswith(".parquet"):
        ladder(1).to_parquet(given)
    elif name == "index.html":
        given.write_text('loss_unit = "nats/token"\n')
    path.write_text(document)
    before = given.read_bytes()
    answer = command("batch", path, "--out", tmp_path)
    assert (answer.code, f"{name} is an input of this command" in answer.err) == (2, True), answer.err
    assert given.read_bytes() == before
    assert {each.name for each in tmp_path.iterdir()} == {given.name, path.name}


def test_python_writes_no_result_over_a_table_either(tmp_path):
    table = tmp_path / "summary.parquet"
    ladder(1).to_parquet(table)
    before = table.read_bytes()
    with pytest.raises(Unwritable, match="is an input of this command"):
        bs.fit_many(table, "chinchilla", out=tmp_path, progress=False)
    assert table.read_bytes() == before


def test_two_batches_on_one_folder_do_nothing_twice(tables):  # noqa: F811
    out = tables.parent / "out"
    words = [sys.executable, "-m", "bayes_scaling", "batch", str(tables), "--out", str(out), "--workers", "1"]
    both = [subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=300)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert all("3 fits, 0 failed" in out for out in said)
    # A record is written once: each has one number of seconds, and no fit was replaced after its record.
    for record in (out / "records").iterdir():
        fit = out / json.loads(record.read_text())["file"]
        assert fit.stat().st_mtime_ns <= record.stat().st_mtime_ns
    assert not list((out / ".claims").iterdir())


def test_workers_end_when_their_parent_is_killed(tables):  # noqa: F811
    out = tables.parent / "out"
    words = [sys.executable, "-m", "bayes_scaling", "batch", str(tables), "--out", str(out), "--workers", "2"]
    parent = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    wait_until(lambda: len(children(parent.pid)) >= 2)
    workers = children(parent.pid)
    parent.kill()
    parent.wait()
    wait_until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))


def test_a_killed_worker_costs_the_jobs_in_flight_and_no_more(tables, command):  # noqa: F811
    out, undisturbed = tables.parent / "out", tables.parent / "undisturbed"
    assert command("batch", tables, "--out", undisturbed, "--workers", 2).code == 0
    words = [sys.executable, "-m", "bayes_scaling", "batch", str(tables), "--out", str(out), "--workers", "2"]
    parent = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: len(children(parent.pid)) >= 2)
    for worker in children(parent.pid)[:1]:
        os.kill(worker, 9)
    said, _ = parent.communicate(timeout=300)
    assert parent.returncode == 0, said
    assert results(out)["summary.parquet"] == results(undisturbed)["summary.parquet"]


def test_a_disk_that_is_full_is_a_line_for_each_fit(tables):  # noqa: F811
    out = tables.parent / "out"
    limited = (
        "import resource, sys\nresource.setrlimit(resource.RLIMIT_FSIZE, (1100000, 1100000))\n"
        "from bayes_scaling.cli import main\nmain()"
    )
    (tables.parent / "runs" / "third.csv").unlink()
    tables.write_text(tables.read_text().replace("draws = 500", "draws = 20000"))
    done = subprocess.run(
        [sys.executable, "-c", limited, "batch", str(tables), "--out", str(out), "--workers", "1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    failures = bs.batch.read_failures(out)
    assert failures["error"].tolist() == ["Unwritable"] * 2
    assert failures["reason"].str.contains("cannot be written").all()
    assert not list((out / "fits").iterdir())


def children(parent: int) -> list[int]:
    """Return the processes that a process has started and that run Python's workers."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                words = (entry / "cmdline").read_text()
            except OSError:
                continue
            if int(fields[1]) == parent and "loky" in words and "tracker" not in words:
                found.append(int(entry.name))
    return found


def wait_until(happens, seconds: float = 60) -> None:
    """Wait for something to happen, or fail."""
    event = threading.Event()
    for _ in range(int(seconds / 0.1)):
        if happens():
            return
        event.wait(0.1)
    raise AssertionError("it did not happen")
