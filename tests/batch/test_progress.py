"""How far a batch is, where there is no terminal."""

from __future__ import annotations

import time

from bayes_scaling.batch import progress
from bayes_scaling.batch.progress import batch_progress


def test_lines_come_while_a_job_takes_long_and_end_with_the_batch(monkeypatch, capsys):
    monkeypatch.setattr(progress, "_SECONDS", 0.05)
    with batch_progress(3) as advance:
        time.sleep(0.3)
        advance(False)
        advance(True)
        time.sleep(0.3)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "0 of 3 fits done, 0 failed"
    assert lines[-1].startswith("2 of 3 fits done, 1 failed, ")
    assert lines[-1].endswith(" s left")
    time.sleep(0.15)
    assert capsys.readouterr().err == ""


def test_nothing_is_said_where_nothing_is_wanted(monkeypatch, capsys):
    monkeypatch.setattr(progress, "_SECONDS", 0.01)
    with batch_progress(3, progress=False) as advance:
        advance(True)
        time.sleep(0.1)
    assert capsys.readouterr().err == ""
