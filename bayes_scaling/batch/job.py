"""A job: one model fitted to one table, its questions answered, all of it stored; what a worker does."""

from __future__ import annotations

import json
import threading
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

from bayes_scaling.batch.document import asked
from bayes_scaling.batch.store import Store
from bayes_scaling.batch.summary import forecast_of, summary_of
from bayes_scaling.errors import BayesScalingError, InvalidFit, gathered_warnings
from bayes_scaling.evaluation.workers import digest_of, version_of
from bayes_scaling.model.document import Model
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.questions.base import plain
from bayes_scaling.runs.table import RunTable

FORMAT: Final = 2
DONE, FAILED, HELD = "done", "failed", "held"
_REPORT: Final = "report"
_ONE_AT_A_TIME: Final = threading.Lock()
"""Warnings are gathered, and models compiled, for a whole process: workers of Dask may call from several threads."""
_VERSIONS: Final = ("numpy", "pymc", "nutpie")
"""Packages, beside this one, whose version can change the draws."""


@dataclass(frozen=True)
class Job:
    """One model and one table.

    Parameters
    ----------
    table : RunTable
        The runs, data and not a path: a worker may not see the file.
    label : str
        Name of the table in the results.
    source : str
        Where the table comes from.
    name : str
        Name of the model in the results.
    model : Model
        The model.
    options : mapping
        What else :func:`~bayes_scaling.fit` takes of the model: groups, pins.
    sampling : mapping
        How to sample.
    questions : tuple of mapping
        Questions to ask of the fit.
    prob : float
        Probability of the intervals of its summary.
    report : bool
        Whether to write its report.
    again : bool
        Whether to do it in spite of a record that it failed.
    """

    table: RunTable
    label: str
    source: str
    name: str
    model: Model
    options: Mapping[str, Any] = field(default_factory=dict)
    sampling: Mapping[str, Any] = field(default_factory=dict)
    questions: tuple[Mapping[str, Any], ...] = ()
    prob: float = 0.9
    report: bool = False
    again: bool = False

    @cached_property
    def digest(self) -> str:
        """What is fitted, and under which names, in sixteen digits: table, model, settings, versions. Questions and reports can be added."""
        libraries = {name: version_of(name) for name in _VERSIONS}
        of_table = {"digest": self.table.digest, "name": self.label, "origin": list(self.table.origin)}
        return digest_of(of_table, self.name, self.model.digest, plain(self.options), plain(self.sampling), libraries)

    @property
    def file(self) -> str:
        """Name of the file of the fit."""
        return f"fits/{file_name(self.label)}-{file_name(self.name)}-{self.digest[:8]}.nc"

    @property
    def report_file(self) -> str:
        """Name of the file of the report."""
        return self.file.replace("fits/", "reports/").removesuffix(".nc") + ".html"

    @property
    def record_file(self) -> str:
        """Name of the file that says how the job ended."""
        return f"records/{self.digest}.json"

    def is_done(self, record: Mapping[str, Any] | None) -> bool:
        """Whether a record holds all that is asked for, or says why it cannot be had."""
        if record is None or record["status"] != DONE or record["summary"]["prob"] != self.prob:
            return False
        if self.again and record["failures"]:
            return False
        wanted = {digest_of(each) for each in self.questions} | ({_REPORT} if self.report else set())
        return wanted <= {*record["answers"], *record["failures"], *([_REPORT] if record["report"] else [])}


def file_name(label: str) -> str:
    """Return a label as part of a file's name: letters, digits and dashes, not too many.

    >>> file_name("C4 & The Pile/1.2"), len(file_name("x" * 500))
    ('C4-The-Pile-1.2', 60)
    """
    kept = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "._") else "-" for letter in label)
    return "-".join(filter(None, kept.split("-"))).strip(".")[:60] or "table"


def perform(job: Job, store: Store) -> dict[str, Any]:
    """Do a job in a worker, store its outcome, and return its record. An error is part of the record, and stops nothing else."""
    try:
        with _ONE_AT_A_TIME, store.claim(job.digest) as ours:
            if not ours:
                return {"status": HELD}
            before = record_of(store, job.record_file)
            if before is not None and (job.is_done(before) or (before["status"] == FAILED and not job.again)):
                return before  # another batch was faster
            record = _performed(job, store, before if before is not None and before["status"] == DONE else None)
            store.write(job.record_file, json.dumps(record, separators=(",", ":")).encode())
            return record
    except Exception as error:  # the store, a bug of ours, or memory
        return failure_of(job, error)


def record_of(store: Store, name: str) -> dict[str, Any] | None:
    """Return the record of a file; one that is not there, torn, or of another format counts as none."""
    try:
        record = json.loads(store.read(name))
    except (FileNotFoundError, ValueError, RecursionError):
        return None
    whole = isinstance(record, dict) and record.get("format") == FORMAT and record.get("status") in (DONE, FAILED)
    return record if whole else None


def failure_of(job: Job, error: BaseException) -> dict[str, Any]:
    """Return the record of a job that ended with an error."""
    return _head(job) | {"status": FAILED} | _reason(error)


def failures_of(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what failed of a job: the job itself, or answers and the report of a fit that is stored."""
    if record["status"] == FAILED:
        return [dict(record)]
    return [dict(record) | {"status": FAILED} | failure for failure in record["failures"].values()]


def _reason(error: BaseException, what: str = "") -> dict[str, Any]:
    """Return an error in words; one that is not the user's, with the place in the code."""
    known = isinstance(error, BayesScalingError)
    reason = what + (str(error) if known else f"An unexpected {type(error).__name__}: {error}")
    place = {} if known else {"traceback": traceback.format_exception(error)[-3:]}
    return {"error": type(error).__name__, "reason": reason} | place


def _head(job: Job) -> dict[str, Any]:
    return {"format": FORMAT, "digest": job.digest, "table": job.label, "source": job.source, "model": job.name}


def _new(job: Job) -> dict[str, Any]:
    """Return the record of a fit that nothing was asked of."""
    return _head(job) | {"status": DONE, "file": job.file, "report": "", "answers": {}}


def _performed(job: Job, store: Store, before: Mapping[str, Any] | None) -> dict[str, Any]:
    """Fit, or load the fit that is stored; then the answers and the report, of which none that fails costs another."""
    started = time.perf_counter()
    with gathered_warnings() as said:
        try:
            fitted = _stored(job, store) or _fitted(job, store)
            seconds = {"sampling": fitted.facts.get("seconds_of_sampling"), "fit": time.perf_counter() - started}
            record = dict(before) if before is not None else _new(job)
            if "summary" not in record or record["summary"]["prob"] != job.prob:
                record |= {"summary": summary_of(fitted, job.prob), "forecast": forecast_of(fitted, job.prob)}
        except Exception as error:
            return failure_of(job, error)
        answers, failures = {}, {}
        for given in job.questions:
            key = digest_of(given)
            try:
                answers[key] = record["answers"].get(key) or _answer(given, fitted)
            except Exception as error:
                failures[key] = _reason(error, f"The fit is stored, but its answer to {given.get('question')} failed: ")
        if job.report and not record["report"]:
            try:
                record["report"] = _reported(job, store, fitted)
            except Exception as error:
                failures[_REPORT] = _reason(error, "The fit is stored, but its report failed: ")
    times = {"seconds": seconds | {"all": time.perf_counter() - started}}
    return plain(record | {"answers": answers, "failures": failures, "notes": said} | times)


def _stored(job: Job, store: Store) -> Fit | None:
    """Load the fit of a job; one that is not there, or damaged, is none."""
    from bayes_scaling.posterior.fit import load_fit

    if not store.has(job.file):
        return None
    try:
        with store.local(job.file) as path:
            return load_fit(path)
    except InvalidFit:
        return None


def _fitted(job: Job, store: Store) -> Fit:
    """Fit, and store the fit."""
    from bayes_scaling.inference.sample import fit

    # The table's name in the results is the one in the file.
    fitted = fit(replace(job.table, name=job.label), job.model, progress=False, **job.options, **job.sampling)
    with store.whole(job.file) as path:
        fitted.save(path)
    return fitted


def _reported(job: Job, store: Store, fitted: Fit) -> str:
    """Write the report, and return the name of its file."""
    from bayes_scaling.report import write_report

    with store.whole(job.report_file) as path:
        write_report(fitted, path, prob=job.prob)
    return job.report_file


def _answer(given: Mapping[str, Any], fitted: Fit) -> dict[str, Any]:
    """Return an answer as JSON has it; a question that is refused is an answer too."""
    try:
        return {"asked": dict(given), "refused": "", "answer": asked(given).answer(fitted).to_dict()}
    except BayesScalingError as error:
        return {"asked": dict(given), "refused": str(error), "answer": None}
