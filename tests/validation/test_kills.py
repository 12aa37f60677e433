"""Runs ended at random moments: nothing finished is lost, nothing is there in half, and what is run again is as if nothing was."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from bayes_scaling.evaluation.ledger import read_ledger, repair
from bayes_scaling.evaluation.workers import _stored
from bayes_scaling.files import read_json
from bayes_scaling.posterior.fit import load_fit
from tests.batch.tables import ladder
from tests.killed import Starter, output

KILLS = int(os.environ.get("BAYES_SCALING_KILLS", "40"))
"""How often each verb is ended."""
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
ENDS = 8
"""Kills after which a run is let go on to its end, and compared."""
SPLITS = ["--over", "params", "--per-decade", "2", "--least", "8"]
SHORT = ["--model", "chinchilla", "--draws", "100", "--tune", "100"]
VERBS = {
    "fit": ["fit", "runs.csv", "--model", "chinchilla", "--draws", "200", "--out", "out/fit.nc"],
    "report": ["report", "fit.nc", "--out", "out/report.html"],
    "thin": ["thin", "runs.csv", "--rows", "10", "--out", "out/few.parquet"],
    "collect": ["collect", "runs.csv", "--out", "out/runs.csv"],
    "backtest": ["backtest", "runs.csv", *SHORT, *SPLITS, "--no-baselines", "--out", "out"],
    "backtest by two": ["backtest", "runs.csv", *SHORT, *SPLITS, "--no-baselines", "--workers", "2", "--out", "out"],
    "certify": ["certify", "runs.csv", *SHORT, "--tables", "3", "--out", "out"],
    "weigh": ["weigh", "runs.csv", "--model", "chinchilla", "--model", "kaplan_nd", *SPLITS, "--out", "out"],
}


@pytest.fixture(scope="module")
def starter():
    with Starter() as found:
        yield found


@pytest.fixture
def folder(tmp_path, starter):
    ladder(0).assign(run_id=[f"run{number}" for number in range(16)]).to_csv(tmp_path / "runs.csv", index=False)
    starter.run(tmp_path, [*VERBS["fit"][:-1], "fit.nc"])
    (tmp_path / "out").mkdir()
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("verb", VERBS)
def test_what_is_run_again_is_as_if_it_had_not_been_killed(verb, folder, starter):
    kill_and_compare(verb, folder, starter, KILLS)


def test_a_fit_that_is_killed_twice(folder, starter):
    kill_and_compare("fit", folder, starter, 2)


def kill_and_compare(verb, folder, starter, times):
    """End a verb so many times, now and then let it come to its end, and compare what is there with an undisturbed run."""
    words, out = VERBS[verb], folder / "out"
    seconds = starter.run(folder, words)
    undisturbed = contents(out)
    again(out)
    rng, counts, before = np.random.default_rng(0), Counter(), {}
    while (killed := sum(counts.values()) - counts["ends"]) < times:
        how, moment = SIGNALS[rng.integers(4)], time.monotonic() + 1.1 * seconds * rng.random()
        writes = (
            out if rng.random() < 0.5 else None
        )  # half of the kills are when something is being written, once that is so late
        there = starter.kill(
            folder, words, how, lambda at=moment, of=writes: time.monotonic() > at and is_writing(of, at, seconds)
        )
        counts[how.name if there else "ends"] += 1
        found = contents(out)
        assert {name: found.get(name) for name in before} == before or not there, "what was finished is lost"
        assert set(found.items()) <= set(undisturbed.items()), output(folder)
        before = {name: content for name, content in found.items() if name.startswith(("splits/", "tables/"))}
        if (killed + 1) % ENDS == 0 or not there or killed + 1 >= times:
            starter.run(folder, words)
            assert contents(out) == undisturbed
            assert not list(folder.rglob("*.unfinished"))
            again(out)
            before = {}
    print(f"\n{verb}: {dict(counts)}")


def is_writing(out, since, seconds):
    """Whether a file is being written; after a while the answer is yes, and with no folder to look at."""
    return out is None or time.monotonic() > since + seconds or any(out.rglob("*.unfinished"))


def again(out):
    shutil.rmtree(out)
    out.mkdir()


def contents(out):
    """Return what each finished file of a folder holds, but for the time it took; one that is not whole is an error."""
    return {
        str(path.relative_to(out)): content(path)
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name[0] != "."
    }


def content(path: Path) -> object:
    if path.suffix == ".nc":
        return load_fit(path).digest
    if path.parent.name in ("splits", "tables"):
        assert _stored(path) is not None, path
    if path.suffix == ".json":
        read = read_json(path, lambda document: document, what="result", made_by="the verb")
        return str(read["weights"] if path.name == "weights.json" else read)
    return path.read_bytes()


@pytest.mark.slow
def test_a_ledger_that_was_told_of_a_forecast_has_it(folder, starter):
    ledger, rng, counts, told = folder / "out" / "ledger.jsonl", np.random.default_rng(1), Counter(), []
    seconds, number = 1.0, 0
    while sum(counts.values()) - counts["ends"] < KILLS:
        number += 1
        (folder / "planned.csv").write_text(f"run_id,params,tokens\nrun{number},1e10,2e11\n")
        words = ["forecast", "fit.nc", "--inputs", "planned.csv", "--ledger", "out/ledger.jsonl"]
        if number == 1:
            seconds = starter.run(folder, words)
            told.append("run1")
            continue
        moment = time.monotonic() + 1.1 * seconds * rng.random()
        how = SIGNALS[rng.integers(4)]
        there = starter.kill(folder, words, how, lambda at=moment: time.monotonic() > at)
        counts[how.name if there else "ends"] += 1
        if "are registered" in output(folder):
            told.append(f"run{number}")
        repair(ledger)
        names = [entry["run_id"] for entry in read_ledger(ledger)]
        assert set(told) <= set(names)
        assert len(set(names)) == len(names)
        if f"run{number}" not in names:
            starter.run(folder, words)
            told.append(f"run{number}")
    numbers = {tuple(entry["quantiles"]) for entry in read_ledger(ledger)}
    assert len(numbers) == 1  # the same forecast, whoever was killed
    print(f"\nforecast: {dict(counts)}, {len(told)} entries")


@pytest.mark.slow
def test_a_service_that_is_killed_leaves_no_process_and_no_file(folder, starter):
    rng, counts, before = np.random.default_rng(2), Counter(), contents(folder)
    for _ in range(KILLS // 2):
        how, moment = SIGNALS[rng.integers(4)], time.monotonic() + 6 * rng.random()
        words = ["serve", ".", "--port", "0", "--workers", "1"]
        assert starter.kill(folder, words, how, lambda at=moment: time.monotonic() > at), output(folder)
        counts[how.name] += 1
        assert contents(folder) == before
        assert not list(folder.rglob("*.unfinished"))
    print(f"\nserve: {dict(counts)}")
