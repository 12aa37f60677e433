"""Executors: who does the jobs; processes on this machine, or workers of a Dask cluster."""

from __future__ import annotations

import os
import signal
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from itertools import islice
from typing import Any, Final, Protocol

from bayes_scaling.batch.job import Job, failure_of, perform
from bayes_scaling.batch.store import Store
from bayes_scaling.errors import BayesScalingError, InvalidRequest, OutOfRange, UnknownChoice
from bayes_scaling.evaluation.workers import own_parts, process_pool, register, version_of

Outcome = tuple[Job, dict[str, Any]]
_ATTEMPTS: Final = 3
"""How often a job may be in flight when a worker dies before it is tried alone."""
_AHEAD: Final = 2
"""Jobs handed out for each worker: the next one waits there."""
_SECONDS_TO_CONNECT: Final = 5


class WorkerDied(BayesScalingError):
    """The worker that did a job died, more than once."""


class Executor(Protocol):
    """Who does jobs."""

    @property
    def where(self) -> str:
        """Where, as a sentence."""
        ...

    def outcomes(self, jobs: Iterable[Job], store: Store) -> Iterator[Outcome]:
        """Yield each job with its record, as they are done."""
        ...

    def close(self) -> None:
        """Let go of the workers."""
        ...


def executor_of(name: str, workers: int | None) -> Executor:
    """Return the executor of a name: ``local``, ``dask://HOST:PORT`` or ``slurm``.

    Raises
    ------
    InvalidRequest
        If there is none of that name, or it cannot be reached.
    """
    if workers is not None and workers < 1:
        raise OutOfRange(f"The number of workers is {workers}: it has to be at least 1.")
    if name == "local":
        return Local(workers or os.cpu_count() or 1)
    if name.startswith("dask://") and name.removeprefix("dask://"):
        return OnDask(f"tcp://{name.removeprefix('dask://')}")
    if name == "slurm":
        return OnSlurm(workers or 1)
    raise UnknownChoice(f"There is no executor {name!r}: give local, dask://HOST:PORT or slurm.")


class Local:
    """Processes on this machine.

    A worker that dies, killed or out of memory, is replaced, and what was in flight is done again; a job in whose company
    workers died repeatedly is done alone, and fails if that worker dies too.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self.where = f"{workers} process{'es' * (workers > 1)} on this machine"

    def outcomes(self, jobs: Iterable[Job], store: Store) -> Iterator[Outcome]:
        """Yield each job with its record, as they are done."""
        waiting, attempts, alone = iter(jobs), Counter[str](), deque[Job]()
        again: deque[Job] = deque()
        while True:
            died: list[Job] = []
            yield from self._until_one_dies(_drained(again, waiting), store, self.workers, died)
            if not died:
                break
            attempts.update(job.digest for job in died)
            for job in died:
                (again if attempts[job.digest] < _ATTEMPTS else alone).append(job)
        for job in alone:
            died = []
            yield from self._until_one_dies(iter([job]), store, 1, died)
            if died:
                yield job, failure_of(job, WorkerDied("The worker died whenever it did this job: out of memory, or killed."))

    def close(self) -> None:
        """Do nothing: the processes have ended with their jobs."""

    @staticmethod
    def _until_one_dies(jobs: Iterator[Job], store: Store, workers: int, died: list[Job]) -> Iterator[Outcome]:
        """Yield outcomes; once a worker has died, leave what was in flight in ``died`` and stop."""
        flying: dict[Future[dict[str, Any]], Job] = {}
        first = list(islice(jobs, _AHEAD * workers))
        if not first:
            return
        with process_pool(workers) as pool:
            try:
                flying |= {pool.submit(perform, job, store): job for job in first}
                while flying:
                    done, _ = wait(flying, return_when=FIRST_COMPLETED)
                    for future in done:
                        error = future.exception()
                        if isinstance(error, BrokenProcessPool):
                            raise error
                        job = flying.pop(future)
                        yield job, future.result()
                        flying |= {pool.submit(perform, job, store): job for job in islice(jobs, 1)}
            except BrokenProcessPool:
                died += flying.values()


def _drained(first: deque[Job], then: Iterator[Job]) -> Iterator[Job]:
    """Yield what is in a queue as it is at that time, then the rest."""
    while True:
        job = first.popleft() if first else next(then, None)
        if job is None:
            return
        yield job


class OnDask:
    """Workers of a Dask cluster, which have this version of the package and see the store."""

    def __init__(self, address: str) -> None:
        self.client = self._client(address)
        self.where = f"{self._workers} workers of the Dask cluster at {address}; its dashboard: {self.client.dashboard_link}"

    def _client(self, address: Any) -> Any:
        try:
            from distributed import Client
        except ImportError:
            raise InvalidRequest("Dask is not installed: pip install 'bayes-scaling[batch]'.") from None
        try:
            return Client(address, timeout=_SECONDS_TO_CONNECT)
        except OSError:
            raise InvalidRequest(f"There is no Dask scheduler at {address}: start one, or give its address.") from None

    @property
    def _workers(self) -> int:
        return len(self.client.nthreads())

    def outcomes(self, jobs: Iterable[Job], store: Store) -> Iterator[Outcome]:
        """Yield each job with its record, as they are done; jobs of a worker that dies go to another."""
        from distributed import as_completed

        waiting, work = iter(jobs), partial(_on_worker, own=own_parts(), sent_by=version_of("bayes-scaling"))

        def submitted(count: int) -> dict[Any, Job]:
            # No cache of results by key: what is stored decides what is done.
            return {self.client.submit(work, job, store, pure=False): job for job in islice(waiting, count)}

        flying = submitted(_AHEAD * max(1, self._workers))
        done = as_completed(list(flying))
        for future in done:
            job = flying.pop(future)
            error = future.exception()
            yield job, future.result() if error is None else failure_of(job, _as_ours(error))
            for another, its in submitted(1).items():
                flying[another] = its
                done.add(another)

    def close(self) -> None:
        """Leave the cluster, which goes on."""
        self.client.close()


class OnSlurm(OnDask):
    """Workers that SLURM starts, by dask-jobqueue, whose configuration says what each of them is."""

    def __init__(self, workers: int) -> None:
        at_interrupt = signal.getsignal(signal.SIGINT)
        try:
            from dask_jobqueue import SLURMCluster
        except ImportError:
            raise InvalidRequest("dask-jobqueue is not installed: pip install 'bayes-scaling[batch]'.") from None
        finally:
            signal.signal(signal.SIGINT, at_interrupt)  # the import ends the process at one, without a word
        try:
            cluster = SLURMCluster()
        except (ValueError, RuntimeError, OSError) as error:
            raise InvalidRequest(
                "SLURM workers cannot be started: jobqueue.slurm in ~/.config/dask/jobqueue.yaml has to say at least the cores and "
                f"the memory of a job. dask-jobqueue: {str(error).splitlines()[0]}"
            ) from None
        cluster.scale(jobs=workers)
        self._cluster, self.client = cluster, self._client(cluster)
        self.where = f"{workers} jobs of SLURM; the dashboard of Dask: {self.client.dashboard_link}"

    def close(self) -> None:
        """End the workers."""
        super().close()
        self._cluster.close()


def _on_worker(job: Job, store: Store, *, own: Any, sent_by: str) -> dict[str, Any]:
    """Do a job on a worker of a cluster, which has to be of the version that sent it."""
    if (here := version_of("bayes-scaling")) != sent_by:
        worker = f"The worker has bayes-scaling {here}, the batch is of {sent_by}"
        return failure_of(job, InvalidRequest(f"{worker}: install the same version everywhere."))
    register(own)
    return perform(job, store)


def _as_ours(error: BaseException) -> BaseException:
    """Return the error of a job whose workers died as a sentence."""
    return WorkerDied(f"The workers that did this job died: {error}") if type(error).__name__ == "KilledWorker" else error
