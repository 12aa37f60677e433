"""A batch from its plan to its results: do what is not done, keep what failed, write what came out."""

from __future__ import annotations

import time
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pandas as pd

from bayes_scaling.batch.document import Sampling, jobs_from
from bayes_scaling.batch.executors import Executor, executor_of
from bayes_scaling.batch.job import DONE, FAILED, HELD, Job, failures_of, record_of
from bayes_scaling.batch.plan import Plan, jobs_of, named_tables
from bayes_scaling.batch.progress import batch_progress
from bayes_scaling.batch.results import StoredFit, read_batch, result_names, write_results
from bayes_scaling.batch.store import Store
from bayes_scaling.errors import BayesScalingWarning, InvalidInputs, MissingOption, UnknownChoice
from bayes_scaling.files import refuse_overwriting
from bayes_scaling.model.document import Model, read_model
from bayes_scaling.questions.base import Question, plain
from bayes_scaling.runs.table import RunTable

RETRY: Final = ("none", "failed")
_POLL: Final = 1.0
_FEWEST_SOURCES: Final = 3


@dataclass(frozen=True)
class State:
    """What of a plan is there already: records of jobs that are done and that failed, and the jobs to do.

    ``fitted`` are the records of jobs to do whose fit is stored: answers, or a report, are missing.
    """

    done: list[dict[str, Any]]
    failed: list[dict[str, Any]]
    left: list[Job]
    fitted: list[dict[str, Any]]


def state_of(plan: Plan, store: Store, retry: str = "none") -> State:
    """Return how far a plan is."""
    if retry not in RETRY:
        raise UnknownChoice(f"retry is {retry!r}: it has to be failed or none.")
    records, fits = set(store.names("records")), set(store.names("fits"))
    done, failed, left, fitted = [], [], [], []
    for job in plan.jobs:
        record = record_of(store, job.record_file) if Path(job.record_file).name in records else None
        stored = record is not None and record["status"] == DONE and Path(job.file).name in fits
        job = replace(job, again=retry == "failed")
        if record is not None and stored and job.is_done(record):
            done.append(record)
            failed += failures_of(record)
        elif record is not None and record["status"] == FAILED and retry != "failed":
            failed.append(record)
        else:
            left.append(job)
            fitted += [record] if record is not None and stored else []
    return State(done, failed, left, fitted)


def run_batch(
    plan: Plan,
    store: Store,
    executor: Executor,
    *,
    retry: str = "none",
    pooled: Collection[str] = (),
    progress: bool | None = None,
    state: State | None = None,
) -> tuple[int, list[dict[str, Any]]]:
    """Do what is left of a plan, and write the results, also where it is interrupted.

    Parameters
    ----------
    plan : Plan
        Tables and jobs.
    store : Store
        Where everything is written.
    executor : Executor
        Who does the jobs.
    retry : {"none", "failed"}
        Whether jobs that failed before are done again.
    pooled : collection of str
        Models whose fits are pooled at the end.
    progress : bool, optional
        Whether to show how far it is.
    state : State, optional
        How far the plan is, where that is known.

    Returns
    -------
    int, list of dict
        How many fits there are, and the records of what failed.

    Raises
    ------
    Unwritable
        If a result would be written over a file that is read.
    """
    with closing(executor):
        if store.folder is not None:
            for name in result_names(pooled):
                refuse_overwriting(store.folder / name, *plan.read)
        _refuse_few_sources(plan, pooled)
        store.make()
        before = state if state is not None else state_of(plan, store, retry)
        done, failed = list(before.done), [*plan.unread, *before.failed]
        try:
            with batch_progress(len(before.left), progress) as advance:
                for record in _all_outcomes(before.left, store, executor):
                    done += [record] if record["status"] == DONE else []
                    failures = failures_of(record)
                    failed += failures
                    advance(bool(failures))
        except BaseException:
            write_results(store, done, failed, {})  # interrupted: what there is
            raise
    write_results(store, done, failed, {name: table for name in pooled if (table := _pooled(store, done, name)) is not None})
    return len(done), failed


def _refuse_few_sources(plan: Plan, pooled: Collection[str]) -> None:
    if pooled and len(found := {job.source for job in plan.jobs}) < _FEWEST_SOURCES:
        raise MissingOption(
            f"A model is pooled over at least {_FEWEST_SOURCES} sources, the batch has {len(found)}: leave pooled out, or add tables."
        )


def _pooled(store: Store, done: Sequence[Mapping[str, Any]], name: str) -> pd.DataFrame | None:
    """Pool the converged fits of a model, where enough sources are left."""
    used = [record for record in done if record["model"] == name and record["summary"]["converged"]]
    sources = {record["table"]: record["source"] for record in sorted(used, key=lambda record: record["table"])}
    if len(set(sources.values())) < _FEWEST_SOURCES:
        warnings.warn(
            f"{name} is not pooled: its converged fits come from {len(set(sources.values()))} sources, fewer than {_FEWEST_SOURCES}.",
            BayesScalingWarning,
            stacklevel=2,
        )
        return None
    from bayes_scaling.inference.population import pool, what_runs_say

    files = {record["table"]: record["file"] for record in used}
    return pool({table: what_runs_say(StoredFit(store, files[table]).load()) for table in sources}, sources)


def _all_outcomes(jobs: Sequence[Job], store: Store, executor: Executor) -> Iterator[dict[str, Any]]:
    """Yield the record of every job; those that another batch is doing are waited for."""
    left: Iterable[Job] = jobs
    while left:
        held = []
        for job, record in executor.outcomes(left, store):
            if record["status"] == HELD:
                held.append(job)
            else:
                yield record
        left = held
        if held:
            time.sleep(_POLL)


def fit_many(
    tables: Mapping[str, RunTable | pd.DataFrame | str | Path] | RunTable | pd.DataFrame | str | Path,
    models: Sequence[str | Path | Model] | Mapping[str, str | Path | Model] | str | Path | Model = "kappa",
    *,
    out: str | Path,
    split_by: str | Sequence[str] = (),
    fewest_rows: int = 1,
    questions: Sequence[Question | Mapping[str, Any]] = (),
    prob: float = 0.9,
    reports: bool = False,
    pooled: str | Collection[str] = (),
    workers: int | None = None,
    executor: str = "local",
    retry: str = "none",
    progress: bool | None = None,
    **settings: Any,
) -> pd.DataFrame:
    """Fit many models to many tables; what is done already is not done again.

    Parameters
    ----------
    tables : mapping of str to table, or one table
        Measured runs by name: RunTable, DataFrame, path, or name of a data set. One table is split by ``split_by``.
    models : model, sequence or mapping of models
        What to fit to every table: names of shipped models, documents, or models by name.
    out : str or path
        Folder of the results: a path, or an address that fsspec knows, such as ``s3://bucket/batch``.
    split_by : str or sequence of str
        Columns whose labels divide a table into tables of their own.
    fewest_rows : int
        Parts with fewer rows are left out.
    questions : sequence of Question or mapping
        Questions to ask of each fit, such as ``bs.question("allocate", compute=[1e21])`` or
        ``{"question": "allocate", "compute": [1e21]}``.
    prob : float
        Probability of the intervals of the summary.
    reports : bool
        Whether to write a report of each fit.
    pooled : str or collection of str
        Names of models whose fits are pooled: see :func:`~bayes_scaling.inference.population.pool`.
    workers : int, optional
        Processes of the local executor; one for each core by default.
    executor : str
        ``"local"``, ``"dask://HOST:PORT"`` or ``"slurm"``.
    retry : {"none", "failed"}
        Whether to do again what failed before.
    progress : bool, optional
        Whether to show how far it is; by default a bar in a terminal and in Jupyter, elsewhere a line every ten seconds.
    **settings
        As for :func:`~bayes_scaling.fit`: ``seed``, ``draws``, ``sampler``, ``discrepancy``, ``robust``, ``anyway``, ``by``.

    Returns
    -------
    DataFrame
        A row a fit: see :func:`~bayes_scaling.read_batch`. Answers and failures are read by
        :func:`~bayes_scaling.batch.read_answers` and :func:`~bayes_scaling.batch.read_failures`.

    Raises
    ------
    InvalidRequest, InvalidSpecification
        If the batch as a whole is wrong. A table that cannot be read, or a fit that fails, stops no other.

    Warns
    -----
    BayesScalingWarning
        If something failed.

    Examples
    --------
    >>> import bayes_scaling as bs
    >>> runs = bs.load_runs("hoffmann2022")                                              # doctest: +SKIP
    >>> fits = bs.fit_many({"hoffmann2022": runs}, ["kappa", "chinchilla"], out="batch", workers=2)  # doctest: +SKIP
    >>> fits[["table", "model", "converged", "forecast"]]                                # doctest: +SKIP
    """
    columns = (split_by,) if isinstance(split_by, str) else tuple(split_by)
    named, unread = named_tables(tables, columns, fewest_rows)
    of_sampling = {name: settings.pop(name) for name in Sampling.model_fields if name in settings}
    by_name = _by_name(models)
    # The rules of a document hold here too.
    rules = jobs_from(
        {
            "tables": [{"path": "as given"}],
            "models": [{"model": "as given", "name": name, **settings} for name in by_name],
            "sampling": of_sampling,
            "questions": [_given(each) for each in questions],
            "prob": prob,
            "reports": reports,
            "pooled": [pooled] if isinstance(pooled, str) and pooled else list(pooled),
        }
    )
    read = {
        name: (read_model(model), fitted.options)
        for (name, model), fitted in zip(by_name.items(), rules.models, strict=True)
    }
    jobs = jobs_of(named, read, rules)
    tables_given = tables.values() if isinstance(tables, Mapping) else [tables]
    _, failed = run_batch(
        Plan(jobs, unread, [], [table for table in tables_given if isinstance(table, str | Path)]),
        Store(out),
        executor_of(executor, workers),
        retry=retry,
        pooled=rules.pooled,
        progress=progress,
    )
    if failed:
        first = f"{failed[0]['table']}, {failed[0]['model'] or 'all models'}: {failed[0]['reason']}"
        warnings.warn(
            f"{len(failed)} of {len(jobs) + len(unread)} failed; the first is {first} See bs.batch.read_failures({str(out)!r}).",
            BayesScalingWarning,
            stacklevel=2,
        )
    return read_batch(out)


def _by_name(models: Any) -> Mapping[str, str | Path | Model]:
    """Return models by name: documents by their own, a model of Python's by its laws."""
    if isinstance(models, Mapping):
        return models
    each = [models] if isinstance(models, str | Path | Model) else list(models)
    names = ["-".join(dict.fromkeys(o.law for o in m.observations)) if isinstance(m, Model) else Path(m).stem for m in each]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InvalidInputs(f"Two models are called {twice[0]}: give them by name, {{'mine': model, ...}}.")
    return dict(zip(names, each, strict=True))


def _given(asked: Question | Mapping[str, Any]) -> dict[str, Any]:
    """Return a question as a document has it."""
    if isinstance(asked, Question):
        return {"question": asked.name, **asked.model_dump(mode="json", exclude_defaults=True)}
    return plain(asked)
