"""The plan of a batch: its tables, read, and a job for each table and model."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pandas as pd

from bayes_scaling.batch.document import Jobs, Tables
from bayes_scaling.batch.job import FAILED, FORMAT, Job
from bayes_scaling.errors import BayesScalingError, InvalidInputs, MissingColumn, choose, gathered_warnings
from bayes_scaling.model.document import Model
from bayes_scaling.runs.catalog import runs_from
from bayes_scaling.runs.condition import rows_with
from bayes_scaling.runs.readers import READERS, suffix_of
from bayes_scaling.runs.table import RunTable, read_runs

_PATTERN: Final = frozenset("*?[")


@dataclass(frozen=True)
class Plan:
    """Jobs; what cannot be read, records of a failure each; what was left out or warned of, sentences; and the files that are read."""

    jobs: list[Job]
    unread: list[dict[str, Any]]
    notes: list[str]
    read: list[str | Path]


@dataclass(frozen=True)
class Named:
    """A table, its name in the results, and where it comes from."""

    label: str
    source: str
    runs: RunTable


def plan_of(jobs: Jobs, document: Path) -> Plan:
    """Return the plan of a document, whose paths are relative to its folder; a table that cannot be read stops no other.

    Raises
    ------
    BayesScalingError
        If a model is wrong, or a pattern matches nothing.
    """
    folder = document.parent
    models = jobs.read_models(folder)
    read: list[str | Path] = [document]
    unread: list[dict[str, Any]] = []
    notes: list[str] = []
    named: list[Named] = []
    for place in jobs.tables:
        read += [folder / place.card] if place.card else []
        for path, label in _files(place, folder):
            read += [path] if isinstance(path, Path) else []
            with gathered_warnings() as said:
                try:
                    named += _parts(_read(place, path, folder), label, place, notes)
                except BayesScalingError as error:
                    unread.append(_unread(label, str(path), error))
            notes += said
    return Plan(jobs_of(named, models, jobs), unread, notes, read)


def jobs_of(tables: Sequence[Named], models: Mapping[str, tuple[Model, Mapping[str, Any]]], jobs: Jobs) -> list[Job]:
    """Return a job for each table and model, all else as the document says.

    Raises
    ------
    InvalidRequest
        If two tables have one name.
    """
    labels = pd.Series([each.label for each in tables])
    if len(twice := labels[labels.duplicated()]):
        raise InvalidInputs(f"Two tables are called {twice.iloc[0]}: give one of them another name.")
    sampling, rest = jobs.sampling.model_dump(exclude_defaults=True), (jobs.questions, jobs.prob, jobs.reports)
    return [
        Job(each.runs, each.label, each.source or each.label, name, model, options, sampling, *rest)
        for each in tables
        for name, (model, options) in models.items()
    ]


def split(runs: RunTable, label: str, columns: Sequence[str], fewest: int = 1) -> Iterator[tuple[str, RunTable | int]]:
    """Yield the parts of a table by the labels of columns; of one with too few rows their number.

    >>> table = pd.DataFrame({"params": [1e8, 1e9, 1e10], "loss": [3.4, 2.8, 2.4], "corpus": ["C4", "C4", "Pile"]})
    >>> [(name, part if isinstance(part, int) else len(part)) for name, part in split(read_runs(table), "runs", ["corpus"], 2)]
    [('runs-C4', 2), ('runs-Pile', 1)]
    """
    if missing := [column for column in columns if column not in runs.table]:
        raise MissingColumn(f"{label} has no column {missing[0]!r} to split by; {choose(missing[0], map(str, runs.table))}.")
    for labels, rows in runs.table.groupby(list(columns), sort=True, dropna=False):
        name = "-".join([label, *map(str, labels)])
        conditions = " and ".join(rows_with(column, label) for column, label in zip(columns, labels, strict=True))
        part = replace(runs, table=rows.reset_index(drop=True), origin=(*runs.origin, "--where", conditions))
        yield name, part if len(rows) >= fewest else len(rows)


def _parts(runs: RunTable, label: str, place: Tables, notes: list[str]) -> list[Named]:
    """Return the tables that one file holds."""
    if not place.split_by:
        return [Named(label, place.source, runs)]
    parts = []
    for name, part in split(runs, label, place.split_by, place.fewest_rows):
        if isinstance(part, int):
            notes.append(f"{name} has {part} row{'s' * (part > 1)}, fewer than {place.fewest_rows}: it is left out.")
        else:
            parts.append(Named(name, place.source, part))
    return parts


def _read(place: Tables, path: Path | str, folder: Path) -> RunTable:
    options = {"columns": place.columns, "where": place.where, "loss_unit": place.loss_unit, "facts": place.facts}
    card = {"card": folder / place.card} if place.card else {}
    return runs_from(path, **{name: value for name, value in options.items() if value}, **card)


def _files(place: Tables, folder: Path) -> list[tuple[Path | str, str]]:
    """Return the files that an entry of the document means, each with its name; or the one data set."""
    path = folder / place.path
    if _PATTERN & set(place.path):
        start = folder if not Path(place.path).is_absolute() else Path(Path(place.path).anchor)
        found = sorted(
            each for each in start.glob(str(Path(place.path).relative_to(Path(place.path).anchor))) if each.is_file()
        )
        what = f"The pattern {place.path}"
    elif path.is_dir():
        found = sorted(each for each in path.iterdir() if each.is_file() and _is_table(each))
        what = f"The folder {place.path}"
    else:
        known = path if path.exists() or Path(place.path).suffix else place.path
        return [(known, place.name or _stem(Path(place.path)))]
    if not found:
        raise InvalidInputs(
            f"{what} matches no table: give files of {', '.join(f'.{kind}' for kind in READERS if kind.isalnum())}."
        )
    if place.name and len(found) > 1:
        raise InvalidInputs(f"{what} matches {len(found)} tables, which cannot all be called {place.name}.")
    if place.name:
        return [(found[0], place.name)]
    return list(zip(found, _names(found), strict=True))


def _names(paths: Sequence[Path]) -> list[str]:
    """Return a name for each file: its own, with those of its folders where others have it too.

    >>> _names([Path("a/runs.csv"), Path("b/runs.csv")]), _names([Path("a/c4-1.1B.csv"), Path("a/c4-1.4B.csv.gz")])
    (['a-runs', 'b-runs'], ['c4-1.1B', 'c4-1.4B'])
    """
    parts = [[*path.parts[:-1], _stem(path)] for path in paths]
    for count in range(1, max(map(len, parts)) + 1):
        names = ["-".join(each[-count:]).strip("/") for each in parts]
        if len(set(names)) == len(names):
            return names
    return [path.name for path in paths]


def _stem(path: Path) -> str:
    """Return the name of a file without what says its kind."""
    return re.sub(rf"\.{re.escape(suffix_of(path))}(\.gz)?$", "", path.name, flags=re.IGNORECASE)


def _is_table(path: Path) -> bool:
    return suffix_of(path) in READERS and not path.name.startswith(".")


def _unread(label: str, path: str, error: BayesScalingError) -> dict[str, Any]:
    """Return the record of a table that cannot be read; it stands for all models."""
    return {
        **{"format": FORMAT, "digest": "", "table": label, "source": path, "model": ""},
        **{"status": FAILED, "error": type(error).__name__, "reason": str(error)},
    }


def named_tables(
    tables: Mapping[str, Any] | RunTable | pd.DataFrame | str | Path, split_by: Sequence[str] = (), fewest_rows: int = 1
) -> tuple[list[Named], list[dict[str, Any]]]:
    """Return tables that Python gives: by name, or one to split; and records of those that cannot be read."""
    given = tables if isinstance(tables, Mapping) else {getattr(tables, "name", "runs"): tables}
    if not isinstance(tables, Mapping) and isinstance(tables, str | Path):
        given = {_stem(Path(tables)): tables}
    named, unread = [], []
    for label, table in given.items():
        try:
            runs = read_runs(table) if isinstance(table, pd.DataFrame) else runs_from(table)
            if not split_by:
                named.append(Named(str(label), "", runs))
                continue
            parts = split(runs, str(label), split_by, fewest_rows)
            named += [Named(name, "", part) for name, part in parts if not isinstance(part, int)]
        except BayesScalingError as error:
            unread.append(_unread(str(label), "", error))
    return named, unread
