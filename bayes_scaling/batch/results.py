"""The results of a batch: a table of fits, answers and failures, as files and as DataFrames."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import pandas as pd
from pandas.api.types import is_string_dtype
from pydantic_core import from_json

from bayes_scaling.batch.job import file_name
from bayes_scaling.batch.page import index_page
from bayes_scaling.batch.store import Store
from bayes_scaling.batch.summary import COLUMNS
from bayes_scaling.errors import InvalidRequest, InvalidResults, UnknownChoice, Unwritable, choose, first_fault
from bayes_scaling.posterior.fit import Fit, load_fit
from bayes_scaling.questions.registry import find

SUMMARY, ANSWERS, FAILURES, INDEX = "summary.parquet", "answers.parquet", "failures.jsonl", "index.html"
ANSWER_COLUMNS: Final = {
    "table": "name of the table",
    "model": "name of the model",
    "digest": "of the fit",
    "question": "class of the question",
    "asked": "its fields, JSON",
    "refused": "why there is no answer, where there is none",
    "sentence": "the answer in words",
    "caveats": "reasons not to rely on it, JSON",
    "answer": "the answer in numbers, JSON as the command line prints it with --json",
}
"""Columns of the answers, and what each is."""
_AGAIN: Final = "Run the batch again, which does only what is missing."
FAILURE_COLUMNS: Final = ("table", "model", "digest", "source", "error", "reason")


@dataclass(frozen=True)
class StoredFit:
    """A fit of a batch, loaded when it is asked for."""

    store: Store
    file: str

    def load(self) -> Fit:
        """Load the fit.

        Raises
        ------
        InvalidFit
            If its file is missing or damaged.
        """
        with self.store.local(self.file) as path:
            return load_fit(path)

    def __repr__(self) -> str:
        return f"<stored fit {self.file}>"

    def _repr_html_(self) -> str:
        return escape(repr(self))


def read_batch(folder: str | Path) -> pd.DataFrame:
    """Return the fits of a batch as a table.

    Parameters
    ----------
    folder : str or path
        What ``bayes-scaling batch --out`` or :func:`~bayes_scaling.fit_many` wrote: a path, or an address such as ``s3://bucket/batch``.

    Returns
    -------
    DataFrame
        A row a fit: the columns of :data:`~bayes_scaling.batch.summary.COLUMNS`, every parameter with its interval, and ``fit``,
        whose ``load()`` gives the :class:`~bayes_scaling.Fit`.

    Raises
    ------
    InvalidRequest
        If there is no batch.

    Examples
    --------
    >>> fits = read_batch("batch")                                                       # doctest: +SKIP
    >>> fits.query("converged").groupby("model")["forecast"].median()                    # doctest: +SKIP
    >>> fits.fit[0].load()                                                               # doctest: +SKIP
    """
    store = Store(folder)
    table = _read(store, SUMMARY, COLUMNS)
    table["fit"] = pd.Series([StoredFit(store, file) for file in table["file"]], dtype=object)
    return table


def read_answers(folder: str | Path, question: str = "", table: str = "") -> pd.DataFrame:
    """Return the answers of a batch: all of them, or the numbers of one question.

    Parameters
    ----------
    folder : str or path
        As for :func:`read_batch`.
    question : str, optional
        Name of a question, such as ``"allocate"``, or its class: a row for every fit and row of its table, numbers as columns.
    table : str, optional
        Table of the answer, where it has several; by default its first, or its values where it has none.

    Returns
    -------
    DataFrame
        The columns of :data:`ANSWER_COLUMNS`; or ``table``, ``model`` and the columns of the answer's table.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from bayes_scaling.batch.store import Store
    >>> failed = {"table": "C4", "model": "kappa", "digest": "0", "source": "c4.csv"}
    >>> failed |= {"error": "InvalidRuns", "reason": "It has no loss."}
    >>> with TemporaryDirectory() as folder:
    ...     write_results(Store(folder), [], [failed], {})
    ...     list(read_answers(folder).columns) == list(ANSWER_COLUMNS)
    True
    """
    answers = _read(Store(folder), ANSWERS, ANSWER_COLUMNS)
    if not question:
        return answers
    if wrong := [name for name in ANSWER_COLUMNS if not is_string_dtype(answers[name])]:
        raise InvalidResults(
            f"{ANSWERS} in {folder} is not a table of a batch: its {', '.join(wrong)} is not text. {_AGAIN}"
        )
    asked, entry = set(map(str, answers["question"])), find(question)
    question = question if entry is None else entry.kind
    if question not in asked:
        raise UnknownChoice(f"The batch has no answers to {question!r}; {choose(question, asked)}.")
    rows: list[dict[str, Any]] = []
    for line in answers[(answers["question"] == question) & (answers["refused"] == "")].to_dict("records"):
        answer = _object(line["answer"], f"An answer in {folder}")
        tables = {
            name: part for name, part in answer.items() if isinstance(part, list) and part and isinstance(part[0], dict)
        }
        if table and table not in tables:
            raise UnknownChoice(f"The answer to {question} has no table {table!r}; {choose(table, tables)}.")
        numbers = [{name: value for name, value in answer.items() if isinstance(value, int | float | str)}]
        part = tables[table] if table else next(iter(tables.values()), numbers)
        rows += [{"table": line["table"], "model": line["model"], **row} for row in part]
    return pd.DataFrame(rows)


def read_failures(folder: str | Path) -> pd.DataFrame:
    """Return what failed in a batch: ``table``, ``model``, ``error`` and ``reason``.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from bayes_scaling.batch.store import Store
    >>> failed = {"table": "C4", "model": "kappa", "digest": "0", "source": "c4.csv"}
    >>> failed |= {"error": "InvalidRuns", "reason": "It has no loss."}
    >>> with TemporaryDirectory() as folder:
    ...     write_results(Store(folder), [], [failed], {})
    ...     read_failures(folder)["reason"].tolist()
    ['It has no loss.']
    """
    store = Store(folder)
    try:
        lines = store.read(FAILURES).splitlines()
    except FileNotFoundError:
        raise _no_batch(folder) from None
    place = store.place(FAILURES)
    return pd.DataFrame([_object(line, f"A line of {place}") for line in lines], columns=list(FAILURE_COLUMNS))


def _object(text: str | bytes, place: str) -> dict[str, Any]:
    """Return what JSON that a batch wrote holds, or refuse what it did not write."""
    try:
        found = from_json(text)
    except (TypeError, ValueError) as error:
        raise InvalidResults(f"{place} is not as the batch wrote it: {first_fault(error)}. {_AGAIN}") from None
    if not isinstance(found, dict):
        raise InvalidResults(f"{place} is not as the batch wrote it: it is not a JSON object. {_AGAIN}")
    return found


def result_names(pooled: Iterable[str]) -> list[str]:
    """Return the names of the files of results, some models being pooled.

    >>> result_names(["kappa"])
    ['summary.parquet', 'answers.parquet', 'failures.jsonl', 'index.html', 'population-kappa.parquet']
    """
    return [SUMMARY, ANSWERS, FAILURES, INDEX, *map(_population, pooled)]


def _population(name: str) -> str:
    return f"population-{file_name(name)}.parquet"


def write_results(
    store: Store, done: Sequence[Mapping[str, Any]], failed: Sequence[Mapping[str, Any]], pooled: Mapping[str, pd.DataFrame]
) -> None:
    """Write what came out of a batch: the same records give the same files, byte for byte."""
    done = sorted(done, key=lambda record: (record["table"], record["model"], record["digest"]))
    failed = sorted(failed, key=lambda record: (record["table"], record["model"], record["digest"]))
    lines = [json.dumps({name: record[name] for name in FAILURE_COLUMNS}) for record in failed]
    files = {
        FAILURES: "".join(f"{line}\n" for line in lines).encode(),
        SUMMARY: _parquet(summary_table(done)),
        ANSWERS: _parquet(answers_table(done)),
        INDEX: index_page(done, failed, pooled).encode(),
        **{_population(name): _parquet(table) for name, table in pooled.items()},
    }
    for name, content in files.items():
        try:
            store.write(name, content)
        except Unwritable:
            store.give_up_reserve()
            store.write(name, content)


def summary_table(done: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return the rows of fits, in the order of their records."""
    rows = []
    for record in done:
        row = {
            **record["summary"],
            **{name: record[name] for name in ("table", "model", "source", "digest", "file", "report")},
        }
        rows.append({name: row.get(name) for name in COLUMNS} | row["parameters"])
    table = pd.DataFrame(rows, columns=None if rows else list(COLUMNS))
    numbers = [name for name in table if name not in COLUMNS or str(name).startswith(("forecast", "optimum"))]
    words = {"forecast_along", "forecast_note"}
    return table.astype({name: float for name in numbers if name not in words}).fillna(dict.fromkeys(words, ""))


def answers_table(done: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return the answers of fits, in the order of their records and of the questions."""
    rows = []
    for record in done:
        for entry in record["answers"].values():
            answer = entry["answer"] or {}
            asked = dict(entry["asked"])
            rows.append(
                {
                    **{name: record[name] for name in ("table", "model", "digest")},
                    "question": answer.get("question", asked["question"]),
                    "asked": json.dumps(asked, sort_keys=True),
                    "refused": entry["refused"],
                    "sentence": answer.get("sentence", ""),
                    "caveats": json.dumps(answer.get("caveats", [])),
                    "answer": json.dumps(answer),
                }
            )
    return pd.DataFrame(rows, columns=list(ANSWER_COLUMNS))


def _parquet(table: pd.DataFrame) -> bytes:
    content = BytesIO()
    table.to_parquet(content, index=bool(table.index.name))
    return content.getvalue()


def _read(store: Store, name: str, needs: Collection[str]) -> pd.DataFrame:
    try:
        table = pd.read_parquet(BytesIO(store.read(name)))
    except FileNotFoundError:
        raise _no_batch(store.address) from None
    except (OSError, ValueError) as error:
        raise InvalidResults(f"{store.place(name)} cannot be read: {first_fault(error)}. {_AGAIN}") from None
    if lacking := [column for column in needs if column not in table]:
        raise InvalidResults(f"{store.place(name)} is not a table of a batch: it lacks {', '.join(lacking)}. {_AGAIN}")
    return table


def _no_batch(folder: str | Path) -> InvalidRequest:
    return InvalidRequest(f"There is no batch in {folder}: make one with `bayes-scaling batch jobs.toml --out {folder}`.")
