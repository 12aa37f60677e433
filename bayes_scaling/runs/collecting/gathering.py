"""Runs on their way from fields to columns: what each step reads and adds to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from bayes_scaling.errors import InvalidRuns, NoRows
from bayes_scaling.quantities import BY_COLUMN
from bayes_scaling.runs.aliases import numbers_named
from bayes_scaling.runs.collecting.names import WORDS, Names
from bayes_scaling.runs.logged import Logged
from bayes_scaling.runs.units import PIECES
from bayes_scaling.runs.validate import as_numbers


@dataclass
class Gathering:
    """Runs that are being collected.

    ``fields`` are those of the runs that are left, by name; ``runs`` the columns made so far, of a row a run or a point of one; ``curves``
    the points; ``rules`` and ``dropped`` what has been decided, in sentences.
    """

    logged: Logged
    names: Names
    place: str
    fields: pd.DataFrame
    runs: pd.DataFrame = field(default_factory=pd.DataFrame)
    curves: pd.DataFrame = field(default_factory=pd.DataFrame)
    rules: list[str] = field(default_factory=list)
    dropped: list[tuple[str, str]] = field(default_factory=list)
    unit: str = "nats/token"
    params_are: str = ""

    def drop(self, runs: Iterable[Any], reason: str) -> None:
        """Leave out runs, for a reason."""
        self.drop_each(dict.fromkeys(runs, reason))

    def drop_each(self, reasons: Mapping[Any, str]) -> None:
        """Leave out runs, each for its own reason."""
        self.dropped += [(str(run), reason) for run, reason in reasons.items()]
        self.fields = self.fields.drop(index=list(reasons))
        self.runs = self.runs[~self.runs.index.isin(list(reasons))]

    def refuse_none(self) -> None:
        """Refuse a source of which no run is left."""
        if len(self.fields):
            return
        reasons = "; ".join(f"{run}: {reason}" for run, reason in self.dropped[:5]) + (
            "; ..." if len(self.dropped) > 5 else ""
        )
        raise NoRows(
            f"No run of {self.place} is left: {reasons}. Runs that have not finished are taken with --unfinished, others with --keep and "
            f"a condition on their state."
        )

    def value(self, column: str) -> pd.Series | None:
        """Return a column of the runs as numbers: a value for all, a field, or the product of several; None where there is none."""
        if column in self.names.values:
            cells = self.stated(column)
            numbers = as_numbers(cells)
            if numbers.isna().any() and (column in BY_COLUMN or column in WORDS or column in PIECES):
                raise InvalidRuns(f"The fact {column}={cells[numbers.isna()].iloc[0]} is not a number.")
            return numbers
        total: pd.Series | None = None
        for part in self.names.fields.get(column, ()):
            if part in self.fields:
                cells = self.fields[part].reindex(self.runs.index)
            elif part in self.logged.points:
                cells = self.logged.points.dropna(subset=[part]).groupby("run_id")[part].last().reindex(self.runs.index)
            else:
                return None
            numbers = numbers_named(cells, part)
            total = numbers if total is None else total * numbers
        return total

    def stated(self, column: str) -> pd.Series:
        """Return a value that was given for all runs, or for each."""
        given = self.names.values[column]
        return (
            given.loc[self.runs.index] if isinstance(given, pd.Series) else pd.Series(given, self.runs.index, dtype=object)
        )
