"""A progress bar, in a terminal and in Jupyter."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager


def is_shown(progress: bool | None) -> bool:
    """Whether a progress bar is shown: as asked for, by default in a terminal and in Jupyter."""
    return progress if progress is not None else sys.stderr.isatty() or "ipykernel" in sys.modules


@contextmanager
def progress_bar(progress: bool | None = None) -> Generator[Callable[[str, float | None], None]]:
    """Show what is being done, and how much of it is.

    Parameters
    ----------
    progress : bool, optional
        Whether to show it; by default in a terminal and in Jupyter.

    Yields
    ------
    callable
        To be called with what is being done, and the share of it that is.
    """
    if not is_shown(progress):
        yield lambda label, share: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:  # standard output is for answers
        task = bar.add_task("", total=1.0)
        yield lambda label, share: bar.update(task, description=label, completed=share or 0.0)
