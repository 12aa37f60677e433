# /// script
# requires-python = ">=3.11"
# dependencies = ["torch>=2.9", "numpy>=2", "rich>=14"]
# ///
"""Train the runs of `plan.csv` that `runs.csv` does not have yet; each finished run is added to it at once.

    uv run data/ladder/train.py                     # or python, where torch, numpy and rich are
    uv run data/ladder/train.py --only 'size-*' --workers 2 --device cpu

Every run is fixed by its row of the plan. A run that was cut off, by whatever, goes on from its last checkpoint to
bit-identical losses (on a CPU; on a GPU as far as its kernels are deterministic).
"""

from __future__ import annotations

import argparse
import fnmatch
import os
import signal
import sys
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, get_context
from multiprocessing.queues import SimpleQueue
from pathlib import Path

import corpus
import torch
from plan import Run, read_plan, read_table, write_table
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from training import Training

HERE = Path(__file__).parent


class Results:
    """`runs.csv` and `curves.csv` of a folder, in the order of the plan; each result is on disk once it is added."""

    def __init__(self, folder: Path, order: list[str]) -> None:
        self.paths = {name: folder / f"{name}.csv" for name in ("curves", "runs")}
        self.rows = {name: read_table(path) for name, path in self.paths.items()}
        self.place = {name: number for number, name in enumerate(order)}

    def __contains__(self, run: Run) -> bool:
        """Whether a run was trained."""
        return any(row["run_id"] == run.run_id for row in self.rows["runs"])

    def add(self, row: dict, curve: list[dict]) -> None:
        """Keep a result: its curve first, so that a run that is listed has one."""
        for name, new in (("curves", curve), ("runs", [row])):
            others = [old for old in self.rows[name] if old["run_id"] != row["run_id"]]
            written = [{key: str(value) for key, value in entry.items()} for entry in new]
            self.rows[name] = sorted(others + written, key=self._order)
            write_table(self.paths[name], self.rows[name])

    def _order(self, row: dict[str, str]) -> tuple[int, int]:
        return self.place.get(row["run_id"], len(self.place)), int(row["steps"])


def execute(plan: list[Run], results: Results, checkpoints: Path, workers: int, device: str, interval: float) -> None:
    """Train what the results lack, some runs at a time, under a progress bar."""
    missing = [run for run in plan if run not in results]
    if not missing:
        print("Every run of the plan was trained.", file=sys.stderr)
        return
    checkpoints.mkdir(parents=True, exist_ok=True)
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:3.0f} %"), TimeRemainingColumn())
    spawn = get_context("spawn")
    steps = spawn.SimpleQueue()
    with Progress(*columns, console=console) as progress:
        pool = ProcessPoolExecutor(workers, mp_context=spawn, initializer=_start, initargs=(steps, os.getpid()))
        total = progress.add_task(f"{len(missing)} runs", total=sum(run.work for run in missing))
        bars, finished = {}, 0
        jobs = {pool.submit(_train, run, checkpoints, device, interval): run for run in missing}
        while jobs:
            done, _ = wait(jobs, timeout=1, return_when=FIRST_COMPLETED)
            while not steps.empty():
                run, step = steps.get()
                if run not in bars:
                    bars[run] = progress.add_task(f"  {run.run_id}", total=run.steps)
                progress.update(bars[run], completed=step)
            for job in done:
                run = jobs.pop(job)
                row, curve = job.result()
                results.add(row, curve)
                _checkpoint(checkpoints, run).unlink(missing_ok=True)
                finished += run.work
                if run in bars:
                    progress.remove_task(bars.pop(run))
                console.print(f"{run.run_id}: loss {row['loss']:.4f} ± {row['heldout_se']:.4f} after {row['seconds']:.0f} s")
            shares = {task.id: task.percentage / 100 for task in progress.tasks}
            progress.update(total, completed=finished + sum(run.work * shares[bar] for run, bar in bars.items()))
        pool.shutdown()


_steps: SimpleQueue[tuple[Run, int]]
_parent: int


def _start(steps: SimpleQueue[tuple[Run, int]], parent: int) -> None:
    """Make ready a worker: one thread, so that sums are added in one order."""
    global _steps, _parent
    _steps, _parent = steps, parent
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends its workers
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS adds in any order
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True, warn_only=True)


def _train(run: Run, checkpoints: Path, device: str, interval: float) -> tuple[dict, list[dict]]:
    def saved(step: int) -> None:
        if os.getppid() != _parent:
            os._exit(1)  # whoever started this worker is gone; the next call goes on from the checkpoint
        _steps.put((run, step))

    return Training(run, _checkpoint(checkpoints, run), device).train(interval, saved)


def _checkpoint(folder: Path, run: Run) -> Path:
    return folder / f"{run.run_id}.pt"


def main() -> None:
    """Read the command line and train what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plan", type=Path, default=HERE / "plan.csv", help="the runs to train (default: %(default)s)")
    parser.add_argument("--folder", type=Path, default=HERE, help="where runs.csv and curves.csv go")
    parser.add_argument("--only", default="*", help="pattern of run_id, such as 'size-*'")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or another name torch knows (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="runs at a time, one thread each")
    parser.add_argument(
        "--checkpoint-seconds", type=float, default=60, help="time between checkpoints (default: %(default)s)"
    )
    given = parser.parse_args()
    try:
        corpus.read()
        torch.empty(1, device=given.device)
    except (corpus.CorpusError, RuntimeError) as error:
        sys.exit(str(error).splitlines()[0])
    plan = read_plan(given.plan)
    chosen = [run for run in plan if fnmatch.fnmatch(run.run_id, given.only)]
    if not chosen:
        sys.exit(f"No run of {given.plan} is called {given.only!r}.")
    given.folder.mkdir(parents=True, exist_ok=True)
    results = Results(given.folder, [run.run_id for run in plan])
    try:
        execute(chosen, results, corpus.WORK / "checkpoints", given.workers, given.device, given.checkpoint_seconds)
    except BrokenProcessPool:
        sys.exit("A worker was killed; what was finished is kept. Run this again to go on from the last checkpoints.")
    except KeyboardInterrupt:
        for worker in active_children():
            worker.kill()
        sys.exit("Interrupted; what was finished is kept. Run this again to go on from the last checkpoints.")


if __name__ == "__main__":
    main()
