"""Groups of rows: which row belongs where, and how a group's parameter follows from the population's."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_scaling.elementwise import exp
from bayes_scaling.errors import InvalidGrouping, choose
from bayes_scaling.model import names
from bayes_scaling.quantities import BY_COLUMN

_WHOLE = re.compile(r"-?\d+\.0+")
_RESERVED = {"chain", "draw", "run", "sample"}


def member(centre: Any, effects: list[Any]) -> Any:
    """Return a group's value: the population's centre times a factor for each grouping.

    Every parameter is positive, so groups differ by factors; an effect is the logarithm of one.

    >>> round(float(member(2.0, [0.1, -0.1])), 6)
    2.0
    """
    return centre * exp(sum(effects[1:], effects[0])) if effects else centre


def dimension(columns: tuple[str, ...] | str) -> str:
    """Return the dimension name of a grouping.

    >>> dimension("corpus:arch")
    'corpus_arch'
    """
    return "_".join(columns.split(":") if isinstance(columns, str) else columns)


def check_groups(table: pd.DataFrame, columns: Iterable[str]) -> None:
    """Refuse columns whose labels are no groups of rows to fit by: absent, incomplete, of one label, or a label a row.

    >>> check_groups(pd.DataFrame({"schedule": ["cosine", "cosine"]}), ["schedule"])
    Traceback (most recent call last):
    ...
    bayes_scaling.errors.InvalidGrouping: Every run has the schedule 'cosine': there are no groups to tell apart, leave by='schedule' (--by schedule) out.
    """
    for column in columns:
        if column in BY_COLUMN:
            raise InvalidGrouping(f"{column} is a quantity of the runs, not a grouping: fit by a column of labels.")
        if column not in table:
            raise InvalidGrouping(f"The runs have no column {column!r} to fit by; {choose(column, map(str, table))}.")
        labels = table[column].map(label_of).where(table[column].notna(), "")
        if (labels.str.strip() == "").any():
            row = int(np.flatnonzero(labels.str.strip() == "")[0]) + 1
            raise InvalidGrouping(
                f"{column} is missing in row {row} of the runs: label every run, or keep those that have one (--where)."
            )
        if len(labels.unique()) == 1:
            raise InvalidGrouping(
                f"Every run has the {column} {labels.iloc[0]!r}: there are no groups to tell apart, leave by={column!r} "
                f"(--by {column}) out."
            )
        if labels.nunique() == len(labels):
            raise InvalidGrouping(f"Every run has a different {column}: a group needs several runs, fit by another column.")


@dataclass(frozen=True)
class Groups:
    """The groups of a table of rows: the columns that tell them apart, and one of ``cells`` for each combination of labels.

    ``of_run`` is the row of ``cells`` for every row of the table. Nothing varies where there are no columns.
    """

    columns: tuple[str, ...]
    cells: pd.DataFrame
    of_run: np.ndarray

    @classmethod
    def of(cls, columns: tuple[str, ...], groupings: Iterable[str], table: pd.DataFrame) -> Groups:
        """Find the groups of a table, or refuse one that lacks a grouping column, or a cell of one."""
        for column in columns:
            if column in _RESERVED:
                raise InvalidGrouping(f"The model varies by {column!r}, a name reserved for draws: rename the column.")
            if column not in table:
                raise InvalidGrouping(
                    f"The model varies by {column!r}, the runs have no such column; found {', '.join(map(str, table))}. "
                    f"Rename one with columns={{'{column}': '...'}} (on the command line: --columns {column}=...)."
                )
            if table[column].isna().any():
                row = int(np.flatnonzero(table[column].isna())[0]) + 1
                raise InvalidGrouping(f"The model varies by {column!r}, which is missing in row {row} of the runs.")
        if not columns:
            return cls((), pd.DataFrame(), np.zeros(len(table), dtype=int))
        labels = table[list(columns)].map(label_of)
        joined = {grouping: labels[grouping.split(":")] for grouping in (*groupings, ":".join(columns))}
        for grouping, parts in joined.items():
            if len(parts.drop_duplicates()) > len({":".join(row) for row in parts.itertuples(index=False, name=None)}):
                raise InvalidGrouping(
                    f"Labels of {grouping} contain colons and cannot be told apart when joined: rename them."
                )
        cells = labels.drop_duplicates().sort_values(list(columns)).reset_index(drop=True)
        return cls(columns, cells, pd.MultiIndex.from_frame(cells).get_indexer(pd.MultiIndex.from_frame(labels)))

    @property
    def dim(self) -> str:
        """Dimension of everything that has one value a group."""
        return dimension(self.columns)

    @property
    def names(self) -> list[str]:
        """Name of every group: its labels, joined by colons."""
        return self.labels(":".join(self.columns))

    def labels(self, grouping: str) -> list[str]:
        """Return the label of every group in one grouping."""
        return [":".join(cell) for cell in self.cells[grouping.split(":")].itertuples(index=False, name=None)]

    def factor_levels(self, grouping: str) -> list[str]:
        """Return the different labels of a grouping, in the order the groups themselves have."""
        rows = self.cells[grouping.split(":")].itertuples(index=False, name=None)
        return [":".join(row) for row in sorted(set(rows))]


def label_of(value: Any) -> str:
    """Return a group's label as text: one spelling for 1, 1.0 and "1", and for true and "true".

    >>> label_of(1.0), label_of("1.0"), label_of(True), label_of("C4")
    ('1', '1', 'true', 'C4')
    """
    if isinstance(value, bool | np.bool_):
        return str(value).lower()
    text = str(value)
    return text.partition(".")[0] if _WHOLE.fullmatch(text) else text


def label_in(grouping: str, group: Mapping[str, str]) -> str:
    """Return the label of a group in one grouping; a column that is left out is empty.

    >>> label_in("corpus:arch", {"corpus": "C4", "arch": "a"})
    'C4:a'
    """
    return ":".join(group.get(column, "") for column in grouping.split(":"))


def effects_at(
    groupings: Iterable[str], name: str, group: Mapping[str, str], draws: xr.Dataset, seed: int
) -> list[xr.DataArray]:
    """Return the effects of one parameter in one group, a logarithm of a factor for each grouping, dims (chain, draw).

    A label that the draws have not seen is drawn afresh: one seed and label are one new group, whatever else is asked.
    """
    effects = []
    for grouping in groupings:
        seen = draws[names.group_effect(name, grouping)]
        (dim,) = (d for d in seen.dims if d not in names.SAMPLE_DIMS)
        label = label_in(grouping, group)
        if label in seen.coords[dim].values:
            effects.append(seen.sel({dim: label}, drop=True))
        else:
            spread = draws[names.spread(name, grouping)]
            rng = np.random.default_rng([seed, zlib.crc32(f"{name} {grouping} {label}".encode())])
            effects.append(spread * rng.standard_normal(spread.shape))
    return effects
