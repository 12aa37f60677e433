"""How far a batch is: a bar in a terminal and in Jupyter, elsewhere a line every ten seconds."""

from __future__ import annotations

import sys
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
        task, state, started = bar.add_task("", total=total, failed=0, rate=0.0), {"done": 0, "failed": 0}, time.monotonic()

        def advance(failed: bool) -> None:
            state["done"] += 1
            state["failed"] += failed
            rate = state["done"] / max(time.monotonic() - started, 1e-9)
            bar.update(task, advance=1, failed=state["failed"], rate=rate)

        yield advance


def _lines(total: int) -> Generator[Callable[[bool], None]]:
    state, started = {"done": 0, "failed": 0, "last": time.monotonic()}, time.monotonic()

    def advance(failed: bool) -> None:
        state["done"] += 1
        state["failed"] += failed
        now = time.monotonic()
        if now - state["last"] >= _SECONDS:
            state["last"] = now
            rate = state["done"] / (now - started)
            print(
                f"{state['done']} of {total} fits done, {state['failed']} failed, {rate:.2g} a second, "
                f"{(total - state['done']) / rate:.0f} s left",
                file=sys.stderr,
                flush=True,
            )

    yield advance
