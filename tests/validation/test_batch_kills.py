"""A batch that is killed at random moments, parent and workers: nothing finished is lost, nothing is done twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.batch.tables import RESULTS, ladder, results
from tests.batch.test_batch import children

pytestmark = pytest.mark.slow
KILLS = int(os.environ.get("BAYES_SCALING_KILLS", "40"))
"""How often a parent, a worker, or both are killed."""


def test_kills_lose_nothing_that_was_finished_and_do_nothing_twice(tmp_path):
    folder, document = tmp_path / "runs", tmp_path / "jobs.toml"
    folder.mkdir()
    for number in range(30):
        ladder(number).to_csv(folder / f"table{number:02d}.csv", index=False)
    document.write_text(
        'models = ["chinchilla", "kaplan_nd"]\n[sampling]\ndraws = 200\n[[tables]]\npath = "runs/*.csv"\n'
        '[[questions]]\nquestion = "allocate"\ncompute = [1e21]\n'
    )
    undisturbed, out = tmp_path / "undisturbed", tmp_path / "out"
    assert run(document, undisturbed).wait() == 0
    rng = np.random.default_rng(0)
    kills, ends, written = {"parent": 0, "worker": 0}, 0, {}
    while sum(kills.values()) < KILLS:
        batch = run(document, out)
        deadline = time.monotonic() + 3 + 9 * rng.random()
        while batch.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        if batch.poll() is not None:  # it came to its end: begin anew, so that there is something to kill
            assert batch.returncode == 0
            assert results(out)["summary.parquet"] == results(undisturbed)["summary.parquet"]
            ends += 1
            for path in sorted(out.rglob("*"), reverse=True):
                path.unlink() if path.is_file() else path.rmdir()
            written = {}
            continue
        what = rng.choice(["parent", "worker", "both"])
        for worker in children(batch.pid)[:1] if what != "parent" else ():
            os.kill(worker, 9)
            kills["worker"] += 1
        if what != "worker":
            batch.kill()
            kills["parent"] += 1
        batch.wait() if what != "worker" else finish_soon(batch, rng)
        now = finished(out)
        # A finished job is as it was, and its fit is whole.
        assert {name: now[name] for name in written} == written
        written = now
    assert run(document, out).wait() == 0
    assert {name: finished(out)[name] for name in written} == written
    for name in RESULTS:
        assert results(out)[name] == results(undisturbed)[name], name
    print(f"{kills} kills, {ends} ends; {len(finished(out))} jobs are as if nothing had happened")


def run(document: Path, out: Path) -> subprocess.Popen[bytes]:
    """Start the batch."""
    words = [sys.executable, "-m", "bayes_scaling", "batch", str(document), "--out", str(out), "--workers", "2"]
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def finish_soon(batch: subprocess.Popen[bytes], rng: np.random.Generator) -> None:
    """Let a batch whose worker was killed go on for a while, then kill it."""
    time.sleep(3 * rng.random())
    batch.kill()
    batch.wait()


def finished(out: Path) -> dict[str, tuple[int, int]]:
    """Return, for each job whose record is there, when the record and its fit were written."""
    records = {path: json.loads(path.read_text()) for path in (out / "records").glob("*.json")}
    return {
        record["file"]: (path.stat().st_mtime_ns, (out / record["file"]).stat().st_mtime_ns)
        for path, record in records.items()
    }
