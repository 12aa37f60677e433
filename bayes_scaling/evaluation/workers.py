"""Many pieces of long work: in parallel, with a progress bar, each kept once it is done, so that what was stopped goes on."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import pickle
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, Protocol

import cloudpickle
import pandas as pd

from bayes_scaling.errors import InvalidRequest
from bayes_scaling.files import make_folder, write_whole
from bayes_scaling.inference.distributions import OWN
from bayes_scaling.laws import LAWS
from bayes_scaling.model.effects import Effect
from bayes_scaling.model.noise import Likelihood
from bayes_scaling.plugins import Registry


class Piece(Protocol):
    """A piece of work that a process can be handed."""

    @property
    def name(self) -> str:
        """File name of the outcome: the same for the same question alone."""
        ...


def digest_of(*question: Any) -> str:
    """Return sixteen digits that are the same for the same question to the same version of the package."""
    said = json.dumps([version("bayes-scaling"), *question], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def outcomes[P: Piece](
    pieces: Sequence[P],
    work: Callable[[P], pd.DataFrame],
    *,
    workers: int = 1,
    store: Path | None = None,
    progress: bool | None = None,
    label: str = "",
) -> Iterator[pd.DataFrame]:
    """Do every piece of work that is not done yet.

    Parameters
    ----------
    pieces : sequence
        Each with a ``name``.
    work : callable
        From a piece to its outcome, a table; a function that a fresh process can import, where there are several.
    workers : int
        Processes.
    store : path, optional
        Folder in which outcomes are kept, and looked for first.
    progress : bool, optional
        Whether to show a progress bar; by default in a terminal and in Jupyter.
    label : str
        What the pieces are, beside the bar.

    Yields
    ------
    DataFrame
        Outcomes: those that were there first, others as they are done.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    if store is not None:
        make_folder(store)
    there = {piece.name: store / piece.name for piece in pieces if store is not None and (store / piece.name).is_file()}
    left = [piece for piece in pieces if piece.name not in there]
    shown = progress if progress is not None else sys.stderr.isatty() or "ipykernel" in sys.modules
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, disable=not shown) as bar:
        task = bar.add_task(label, total=len(pieces), completed=len(there))
        for piece in pieces:
            if piece.name in there:
                yield pd.read_csv(there[piece.name])
        for piece, outcome in _worked(left, work, workers):
            if store is not None:
                write_whole(store / piece.name, outcome.to_csv(index=False))
            bar.advance(task)
            yield outcome


def _worked[P: Piece](
    pieces: Sequence[P], work: Callable[[P], pd.DataFrame], workers: int
) -> Iterator[tuple[P, pd.DataFrame]]:
    if workers == 1:
        for piece in pieces:
            yield piece, work(piece)
        return
    # Fresh processes: threads of a sampler do not live through a fork.
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=fresh, initializer=_register, initargs=(_own(),)) as pool:
        waiting = {pool.submit(work, piece): piece for piece in pieces}
        try:
            for done in as_completed(waiting):
                yield waiting[done], done.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


_REGISTRIES: Final[tuple[Registry[Any], ...]] = (LAWS, Effect.REGISTRY, Likelihood.REGISTRY, OWN)
"""What a model document names."""


def _own() -> list[dict[str, bytes]]:
    """Return what a notebook or a plug-in has registered, as a fresh process takes it."""
    return [{name: _packed(registry.what, name, thing) for name, thing in registry.own.items()} for registry in _REGISTRIES]


def _packed(what: str, name: str, thing: Any) -> bytes:
    try:
        return cloudpickle.dumps(thing)
    except Exception as error:
        raise InvalidRequest(
            f"The {what} {name!r} cannot be sent to another process: {error}. Ask for one worker."
        ) from None


def _register(own: list[dict[str, bytes]]) -> None:
    """Register in a fresh process what was sent to it."""
    for registry, things in zip(_REGISTRIES, own, strict=True):
        registry.update({name: pickle.loads(packed) for name, packed in things.items()})
