"""A progress bar, in a terminal and in Jupyter."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager


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
    shown = progress if progress is not None else sys.stderr.isatty() or "ipykernel" in sys.modules
    if not shown:
        yield lambda label, share: None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    with Progress(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), transient=True) as bar:
        task = bar.add_task("", total=1.0)
        yield lambda label, share: bar.update(task, description=label, completed=share or 0.0)
