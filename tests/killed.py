"""Runs of the command line that are ended by a signal at some moment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

_STARTER = """
import json, os, signal, sys
import bayes_scaling.cli, bayes_scaling.inference.sample, bayes_scaling.evaluation.certify, bayes_scaling.report.trials
import bayes_scaling.report.page, bayes_scaling.runs.collecting.collect, bayes_scaling.evaluation.forecasts
STOPS = {signal.SIGINT, signal.SIGTERM}
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it, and what they start does too
for line in sys.stdin:
    folder, words = json.loads(line)
    sys.stdout.flush()
    # Python passes over an interrupt that comes while it forks, before there is a run to end.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    process = os.fork()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
    if not process:
        os.setsid()
        os.chdir(folder)
        log = os.open(folder + ".log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0), os.dup2(log, 1), os.dup2(log, 2)
        sys.argv = ["bayes-scaling", *words]
        bayes_scaling.cli.main()
        sys.exit(0)
    print(process, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)
"""
"""A process that has imported what the verbs import, and forks one for each run: most of a short run is imports."""


class Starter:
    """Starts the command line in processes, one at a time, each in a session of its own."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore::DeprecationWarning", "-c", _STARTER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path.cwd())},
        )
        return self

    def __exit__(self, *_: object) -> None:
        with self._process:  # closes the pipes, and waits
            pass
        assert self._process.returncode == 0

    def _write(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line)
        self._process.stdin.flush()

    def _number(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())

    def start(self, folder: Path, words: list[str]) -> int:
        """Start a run in a folder; return its process."""
        self._write(json.dumps([str(folder), words]) + "\n")
        return self._number()

    def wait(self) -> int:
        """Return the exit code of the run: of one that a signal ended, minus its number."""
        return self._number()

    def run(self, folder: Path, words: list[str]) -> float:
        """Run to the end, and return the seconds it took."""
        began = time.monotonic()
        self.start(folder, words)
        code = self.wait()
        assert code in (0, 1), output(folder)
        return time.monotonic() - began

    def kill(self, folder: Path, words: list[str], how: signal.Signals, when: Callable[[], bool]) -> bool:
        """Run until ``when`` is true, then end the process by a signal; return whether it was still there to be ended."""
        process = self.start(folder, words)
        while (there := is_running(process)) and not when():
            time.sleep(0.001)
        if there:
            os.kill(process, how)
        code = self.wait()
        assert "Traceback" not in output(folder) or code in (-how, 130, 143), output(folder)
        deadline = time.monotonic() + 10
        while session(process):
            assert time.monotonic() < deadline, f"of {words[0]} {session(process)} are there 10 s after their parent"
            time.sleep(0.05)
        return there


def output(folder: Path) -> str:
    """Return what a run said."""
    return Path(f"{folder}.log").read_text()


def is_running(process: int) -> bool:
    """Whether a process is there and has not ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def session(process: int) -> list[str]:
    """Return the commands of the processes of a session that are there."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, _, _, of, *_ = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(of) == process and state not in "ZX":
                    found.append((entry / "cmdline").read_text().replace("\0", " ")[:200])
            except OSError:
                continue
    return found
