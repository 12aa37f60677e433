"""How far a batch is: a bar in a terminal and in Jupyter, elsewhere a line every ten seconds."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final

from bayes_scaling.inference.progress import is_shown

_SECONDS: Final = 10.0


@contextmanager
def batch_progress(total: int, progress: bool | None = None) -> Generator[Callable[[bool], None]]:
    """Show jobs done, failed, their rate and the time left.

    Parameters
    ----------
    total : int
        Jobs to do.
    progress : bool, optional
        Whether to show a bar; by default in a terminal and in Jupyter. False shows nothing; None elsewhere writes lines to
        standard error.

    Yields
    ------
    callable
        To be called at the end of each job with whether it failed.
    """
    if is_shown(progress):
        yield from _bar(total)
    elif progress is None:
        yield from _lines(total)
    else:
        yield lambda failed: None


def _bar(total: int) -> Generator[Callable[[bool], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("fits"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[failed]} failed, {task.fields[rate]:.2g} a second"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task, count = bar.add_task("", total=total, failed=0, rate=0.0), _Count(total)

        def advance(failed: bool) -> None:
            count.add(failed)
            bar.update(task, advance=1, failed=count.failed, rate=count.rate)

        yield advance


def _lines(total: int) -> Generator[Callable[[bool], None]]:
    count, ended = _Count(total), threading.Event()

    def tell() -> None:
        while not ended.wait(_SECONDS):
            print(count, file=sys.stderr, flush=True)

    teller = threading.Thread(target=tell, daemon=True)  # a single job may take minutes
    teller.start()
    try:
        yield count.add
    finally:
        ended.set()
        teller.join()


class _Count:
    """Jobs that have ended, of so many, and those of them that failed.

    >>> count = _Count(3)
    >>> print(count)
    0 of 3 fits done, 0 failed
    >>> count.add(True)
    >>> str(count).split(", ")[:2]
    ['1 of 3 fits done', '1 failed']
    """

    def __init__(self, total: int) -> None:
        self.total, self.done, self.failed, self._started = total, 0, 0, time.monotonic()

    def add(self, failed: bool) -> None:
        """Count a job that has ended."""
        self.done += 1
        self.failed += failed

    @property
    def rate(self) -> float:
        """Jobs a second."""
        return self.done / max(time.monotonic() - self._started, 1e-9)

    def __str__(self) -> str:
        """Return how far it is, and how long the rest takes."""
        known = f"{self.done} of {self.total} fits done, {self.failed} failed"
        return (
            f"{known}, {self.rate:.2g} a second, {(self.total - self.done) / self.rate:.0f} s left" if self.done else known
        )
