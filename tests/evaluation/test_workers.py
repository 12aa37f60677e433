"""Long work is announced with what it takes, and refused where the machine has not the memory."""

from __future__ import annotations

from itertools import count
from typing import NamedTuple

import pandas as pd
import pytest

from bayes_scaling.errors import BeyondMachine
from bayes_scaling.evaluation import workers
from bayes_scaling.evaluation.workers import outcomes, process_pool


class Job(NamedTuple):
    name: str


@pytest.mark.parametrize(("seconds", "said"), [(1.0, ""), (30.0, "4 of 5 simulated tables are left: about 2 minutes")])
def test_more_than_a_minute_is_said_once(seconds, said, monkeypatch, capsys):
    clock = count(step=seconds)
    monkeypatch.setattr(workers.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(workers, "is_shown", lambda progress: False)
    jobs = [Job(str(number)) for number in range(5)]
    found = list(outcomes(jobs, lambda job: pd.DataFrame({"job": [job.name]}), label="simulated tables"))
    assert len(found) == 5
    heard = capsys.readouterr().err
    assert heard.startswith(said)
    assert heard.count("\n") == bool(said)


def test_more_workers_than_the_memory_takes_are_refused(monkeypatch):
    monkeypatch.setattr(workers, "memory", lambda: 8e9)
    with pytest.raises(BeyondMachine, match="64 workers"), process_pool(64):
        pass
