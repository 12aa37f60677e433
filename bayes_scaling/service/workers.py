"""The processes that answer: a fixed number of them; one that dies, or takes too long, is replaced by a new one."""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, Final

from bayes_scaling.service.answering import keep

if TYPE_CHECKING:
    from bayes_scaling.service.settings import Settings

_TRIES: Final = 2
"""How often a request is given to a worker, where one dies over it."""
_WATCH: Final = 0.5
"""Seconds between looks at workers that have nothing to do."""
_ENDS: Final = 5.0
"""Seconds that a worker has to end."""


class TooLong(Exception):
    """An answer took longer than it may."""


class Died(Exception):
    """Workers died over a request."""


@contextmanager
def _signals_kept_back() -> Generator[None]:
    """Start processes that Ctrl-C, or the end of a whole group, does not reach: this one ends them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # which takes signals again where it has to be started first
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Worker:
    """A process and the pipe to it. Threads of this process hold locks that a fork would copy: it starts afresh."""

    def __init__(self, kept: int) -> None:
        fresh = multiprocessing.get_context("spawn")
        self._pipe, end = fresh.Pipe()
        self._process = fresh.Process(target=_work, args=(end, kept), daemon=True)
        with _signals_kept_back():
            self._process.start()
        end.close()

    @property
    def alive(self) -> bool:
        """Whether the process is there."""
        return self._process.is_alive()

    def ask(self, function: Callable[..., Any], given: tuple[Any, ...]) -> Any:
        """Return what a function of a module gives; EOFError or OSError where the process died."""
        self._pipe.send((function, given))
        return self._pipe.recv()

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()

    def end(self) -> None:
        """Let the process end, for a short while, and see that it did."""
        self._pipe.close()
        self._process.join(_ENDS)
        self._process.kill()
        self._process.join()


def _work(pipe: Connection, kept: int) -> None:
    """Call what comes through a pipe, until it is closed."""
    keep(kept)
    with suppress(EOFError, OSError):
        while True:
            function, given = pipe.recv()
            pipe.send(function(*given))


class Workers:
    """A fixed number of processes, each with its own fits in memory, and a request at a time."""

    def __init__(self, settings: Settings, replaced: Callable[[], None]) -> None:
        self._count, self._kept, self._replaced = settings.workers, settings.fits, replaced
        self._all: set[_Worker] = set()
        self._free: asyncio.Queue[_Worker] = asyncio.Queue()
        self._starting: set[asyncio.Task[None]] = set()
        self._threads = ThreadPoolExecutor(
            3 * self._count
        )  # one waits for each worker, and for those just killed or started
        self._watching: asyncio.Task[None] | None = None

    @property
    def active(self) -> bool:
        """Whether requests are taken."""
        return self._watching is not None and not self._watching.done()

    async def start(self) -> None:
        """Start every process, let it import what answers need, and watch over it."""
        self._watching = asyncio.create_task(self._watch())
        await asyncio.gather(*(self._start() for _ in range(self._count)))

    async def run[Result](self, function: Callable[..., Result], *given: Any, seconds: float) -> Result:
        """Return what a function of a module gives in a worker; waiting for a free one counts too.

        Raises
        ------
        TooLong
            If it takes longer; the worker is stopped.
        Died
            If workers died over it.
        """
        try:
            async with asyncio.timeout(seconds):
                for _ in range(_TRIES):
                    with suppress(EOFError, OSError):
                        return await self._asked(await self._free.get(), function, given)
        except TimeoutError:
            raise TooLong from None
        raise Died

    async def _asked(self, worker: _Worker, function: Callable[..., Any], given: tuple[Any, ...]) -> Any:
        """Ask a worker; one that does not come to an end of it is replaced."""
        whole = False
        try:
            result = await asyncio.get_running_loop().run_in_executor(self._threads, worker.ask, function, given)
            whole = True
            return result
        finally:
            if whole:
                self._free.put_nowait(worker)
            else:
                self._replace(worker)

    async def _start(self) -> None:
        """Start a process, which is free once it has imported what answers need; where it dies before, another."""
        while True:
            worker = _Worker(self._kept)
            self._all.add(worker)
            with suppress(EOFError, OSError):
                await asyncio.get_running_loop().run_in_executor(self._threads, worker.ask, _ready, ())
                self._free.put_nowait(worker)
                return
            self._all.discard(worker)
            await asyncio.sleep(_WATCH)

    def _replace(self, worker: _Worker) -> None:
        worker.kill()
        self._all.discard(worker)
        self._replaced()
        task = asyncio.create_task(self._start())
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)

    async def _watch(self) -> None:
        """Replace workers that died with nothing to do."""
        while True:
            await asyncio.sleep(_WATCH)
            for worker in [self._free.get_nowait() for _ in range(self._free.qsize())]:
                if worker.alive:
                    self._free.put_nowait(worker)
                else:
                    self._replace(worker)

    async def stop(self) -> None:
        """End all processes."""
        for task in (self._watching, *self._starting):
            if task is not None:
                task.cancel()
        await asyncio.gather(*(asyncio.to_thread(worker.end) for worker in self._all))
        self._threads.shutdown(wait=False)


def _ready() -> bool:
    from bayes_scaling.questions.base import QUESTIONS

    return all(QUESTIONS.values())
