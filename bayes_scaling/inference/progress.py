"""A progress bar, in a terminal and in Jupyter; elsewhere a line now and then of what takes long."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final

from bayes_scaling.wording import duration

_SECONDS: Final = 30.0
"""Between two lines where there is no bar, and before the first."""
_LEAST_SHARE: Final = 0.02
"""Share of the work from which what is left is estimated."""


def is_shown(progress: bool | None) -> bool:
    """Whether a progress bar is shown: as asked for, by default in a terminal and in Jupyter."""
    return progress if progress is not None else sys.stderr.isatty() or _is_a_kernel()


def _is_a_kernel() -> bool:
    """Whether this process is a kernel of Jupyter: that something has imported one says little."""
    kernels = sys.modules.get("ipykernel.kernelapp")
    return kernels is not None and kernels.IPKernelApp.initialized()


@contextmanager
def progress_bar(progress: bool | None = None) -> Generator[Callable[[str, float | None], None]]:
    """Show what is being done, and how much of it is.

    Parameters
    ----------
    progress : bool, optional
        Whether to show it; by default in a terminal and in Jupyter, and elsewhere a line on standard error each half minute.

    Yields
    ------
    callable
        To be called with what is being done, and the share of it that is.
    """
    if not is_shown(progress):
        yield (lambda label, share: None) if progress is False else _Lines().show
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:  # standard output is for answers
        task = bar.add_task("", total=1.0)
        yield lambda label, share: bar.update(task, description=label, completed=share or 0.0)


@contextmanager
def waiting(label: str, progress: bool | None = None) -> Generator[None]:
    """Print each half minute what is waited for, where no bar shows it and lines are wanted."""
    if is_shown(progress) or progress is False:
        yield
        return
    done, begun = threading.Event(), time.monotonic()

    def tell() -> None:
        while not done.wait(_SECONDS):
            print(f"{label}, {duration(time.monotonic() - begun)} so far", file=sys.stderr, flush=True)

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        done.set()
        teller.join()


class _Lines:
    """Lines that say what is being done, and how long it will take."""

    def __init__(self) -> None:
        self._label, self._begun, self._last = "", 0.0, time.monotonic()

    def show(self, label: str, share: float | None) -> None:
        """Print a line if the last one, or the beginning, is long ago."""
        now = time.monotonic()
        if label != self._label:
            self._label, self._begun = label, now
        if now - self._last < _SECONDS:
            return
        self._last = now
        left = ""
        if share is not None and share >= _LEAST_SHARE:
            left = f", {100 * share:.0f} % done, some {duration((now - self._begun) * (1 / share - 1))} left"
        print(f"{label}{left}", file=sys.stderr, flush=True)
