"""Jobs: in parallel, with a progress bar, each outcome stored once it is there, so that an interrupted run resumes."""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import pickle
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Executor, as_completed
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, Protocol

import cloudpickle
import pandas as pd

from bayes_scaling.errors import BeyondMachine, InvalidRequest
from bayes_scaling.files import make_folder, memory, read_text, write_whole
from bayes_scaling.inference.progress import is_shown
from bayes_scaling.laws import LAWS
from bayes_scaling.model.effects import Effect
from bayes_scaling.model.noise import Likelihood
from bayes_scaling.model.priors import OWN
from bayes_scaling.plugins import Registry
from bayes_scaling.wording import duration

_LARGEST: Final = 2**30
_BYTES_OF_A_WORKER: Final = 2**28
"""What a fresh process takes at the least: Python with PyMC."""
_WORTH_SAYING: Final = 60.0
"""Seconds of work that are announced."""


class Job(Protocol):
    """The input of a worker."""

    @property
    def name(self) -> str:
        """File name of the outcome: the same for the same question alone."""
        ...


version_of: Final = cache(version)
"""The version of an installed package, read once."""


def digest_of(*question: Any) -> str:
    """Return sixteen digits that are the same for the same question to the same version of the package."""
    text = json.dumps([version_of("bayes-scaling"), *question], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def outcomes[J: Job](
    jobs: Sequence[J],
    work: Callable[[J], pd.DataFrame],
    *,
    workers: int = 1,
    store: str | Path | None = None,
    progress: bool | None = None,
    label: str = "",
) -> Iterator[pd.DataFrame]:
    """Yield the outcome of every job: those in the folder ``store`` first, others as they are done, and stored there.

    With several workers ``work`` is a function that a fresh process can import. The progress bar, in a terminal and in Jupyter
    by default, has a label for what the jobs are. Where there is none, and it was not declined, what is left is estimated from the first
    outcome and said on standard error, if it is more than a minute.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    folder = Path(store) if store is not None else None
    if folder is not None:
        make_folder(folder)
    stored = {} if folder is None else {job.name: of_it for job in jobs if (of_it := _stored(folder / job.name)) is not None}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not is_shown(progress)) as bar:
        task = bar.add_task(label, total=len(jobs), completed=len(stored))
        yield from stored.values()
        left, begun = [job for job in jobs if job.name not in stored], time.monotonic()
        for number, (job, outcome) in enumerate(_done(left, work, workers)):
            if number == 0 and progress is None and bar.disable:
                announce(time.monotonic() - begun, len(left) - 1, workers, label)
            if folder is not None:
                write_whole(folder / job.name, _sealed(outcome.to_csv(index=False)))
            bar.advance(task)
            yield outcome


def announce(seconds: float, left: int, workers: int, label: str) -> None:
    """Say on standard error how long the jobs that are left take, if as long as the first, where that is more than a minute."""
    if (needed := seconds * math.ceil(left / workers)) > _WORTH_SAYING:
        what = f"{left} of {left + 1} {label} are left" if label else f"{left} of {left + 1} jobs are left"
        print(f"{what}: about {duration(needed)}, if each takes {seconds:.2g} s as the first did.", file=sys.stderr)


def refuse_too_many_workers(workers: int) -> None:
    """Refuse more processes than fit into the memory of this machine.

    >>> refuse_too_many_workers(1_000_000)
    Traceback (most recent call last):
    ...
    bayes_scaling.errors.BeyondMachine: 1000000 workers take at least 2.7e+05 GB of memory, this machine has ...: ask for fewer.
    """
    needed, there = workers * _BYTES_OF_A_WORKER, memory()
    if needed > there:
        raise BeyondMachine(
            f"{workers} workers take at least {needed / 1e9:.2g} GB of memory, this machine has {there / 1e9:.2g} GB: ask for fewer."
        )


def _sealed(text: str) -> str:
    """Return the content of a stored outcome: a line with the digest of all after it, then the table."""
    return f"sha256 {hashlib.sha256(text.encode()).hexdigest()}\n{text}"


def _stored(path: Path) -> pd.DataFrame | None:
    """Return a stored outcome; none where there is none, or it is not as it was written, so that the job is done again."""
    try:
        _, _, text = (content := read_text(path, most=_LARGEST)).partition("\n")
        return pd.read_csv(io.StringIO(text)) if content == _sealed(text) else None
    except (OSError, ValueError):
        return None


def _done[J: Job](jobs: Sequence[J], work: Callable[[J], pd.DataFrame], workers: int) -> Iterator[tuple[J, pd.DataFrame]]:
    if workers == 1:
        yield from ((job, work(job)) for job in jobs)
        return
    with process_pool(workers) as pool:
        waiting = {pool.submit(work, job): job for job in jobs}
        for future in as_completed(waiting):
            yield waiting[future], future.result()


@contextmanager
def process_pool(workers: int) -> Generator[Executor]:
    """Give fresh processes that know what a notebook or a plug-in has registered; they end with the block, and with this process."""
    from loky import ProcessPoolExecutor

    refuse_too_many_workers(workers)
    pool = ProcessPoolExecutor(
        workers, initializer=_begin, initargs=(own_parts(), os.getpid()), env={"OMP_NUM_THREADS": "1"}
    )
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=True, kill_workers=True)
        raise
    pool.shutdown(wait=True)


def _begin(own: list[dict[str, bytes]], parent: int) -> None:
    """Begin a worker process; one whose parent was killed would go on, holding a core."""

    def end_with_parent() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
    register(own)


def _registries() -> tuple[Registry[Any], ...]:
    """Return what a model document names."""
    return LAWS, Effect.REGISTRY, Likelihood.REGISTRY, OWN


def own_parts() -> list[dict[str, bytes]]:
    """Return what a notebook or a plug-in has registered, as a fresh process takes it."""
    return [
        {name: _packed(registry.what, name, thing) for name, thing in registry.own.items()} for registry in _registries()
    ]


def _packed(what: str, name: str, thing: Any) -> bytes:
    try:
        return cloudpickle.dumps(thing)
    except Exception as error:
        raise InvalidRequest(
            f"The {what} {name!r} cannot be sent to another process: {error}. Ask for one worker."
        ) from None


def register(own: list[dict[str, bytes]]) -> None:
    """Register in a fresh process what was sent to it."""
    for registry, things in zip(_registries(), own, strict=True):
        registry.update({name: pickle.loads(packed) for name, packed in things.items()})
