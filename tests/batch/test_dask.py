"""A batch on a Dask cluster: a real scheduler and real worker processes on this machine."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import bayes_scaling as bs
from bayes_scaling.batch.executors import executor_of
from bayes_scaling.batch.store import Store
from bayes_scaling.errors import InvalidRequest
from tests.batch.tables import ladder, results

pytest.importorskip("distributed")
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """Start a scheduler and four workers, each a process of its own without a nanny; return the address and the workers."""
    folder = tmp_path_factory.mktemp("dask")
    scheduler = [
        "scheduler",
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--no-dashboard",
        "--scheduler-file",
        str(folder / "at.json"),
    ]
    processes = [started(folder, scheduler)]
    for _ in range(300):
        if (folder / "at.json").is_file() and '"address"' in (folder / "at.json").read_text():
            break
        time.sleep(0.1)
    address = re.search(r'"address": "tcp://([^"]+)"', (folder / "at.json").read_text())
    assert address is not None
    worker = [
        "worker",
        f"tcp://{address[1]}",
        "--no-nanny",
        "--nthreads",
        "1",
        "--no-dashboard",
        "--local-directory",
        str(folder),
    ]
    workers = [started(folder, worker) for _ in range(4)]
    yield f"dask://{address[1]}", workers
    for process in (*workers, *processes):
        process.kill()
        process.wait()


def started(folder: Path, words: list[str]) -> subprocess.Popen[bytes]:
    """Start a process of Dask, as its command line does."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    code = "from dask.__main__ import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, *words],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def test_the_results_are_those_of_this_machine_although_a_worker_is_killed(cluster, tmp_path):
    address, workers = cluster
    given = {f"table{number}": ladder(number) for number in range(8)}
    settings = {"draws": 200, "seed": 3, "progress": False}
    there, here = tmp_path / "there", tmp_path / "here"

    def kill_in_the_middle() -> None:
        while len(Store(there).names("records")) < 2:
            time.sleep(0.05)
        workers[0].kill()

    killer = threading.Thread(target=kill_in_the_middle)
    killer.start()
    on_dask = bs.fit_many(given, "chinchilla", out=there, executor=address, **settings)
    killer.join()
    assert workers[0].wait(10) != 0
    local = bs.fit_many(given, "chinchilla", out=here, workers=2, **settings)
    assert results(there) == results(here)
    for one, same in zip(on_dask["fit"], local["fit"], strict=True):
        assert one.load().posterior.identical(same.load().posterior)


def test_a_scheduler_that_is_not_there_is_a_sentence():
    with pytest.raises(InvalidRequest, match=r"There is no Dask scheduler at tcp://127\.0\.0\.1:9"):
        executor_of("dask://127.0.0.1:9", None)


def test_slurm_without_a_configuration_is_a_sentence():
    if importlib.util.find_spec("dask_jobqueue") is None:
        pytest.skip("dask-jobqueue is not installed")
    at_interrupt = signal.getsignal(signal.SIGINT)
    with pytest.raises(InvalidRequest, match=r"jobqueue\.slurm in ~/\.config/dask/jobqueue\.yaml has to say"):
        executor_of("slurm", 2)
    assert signal.getsignal(signal.SIGINT) is at_interrupt  # the import of dask_jobqueue replaces it
