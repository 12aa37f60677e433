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
from bayes_scaling.errors import InvalidModel
from bayes_scaling.model import names

_WHOLE = re.compile(r"-?\d+\.0+")
_RESERVED = {"chain", "draw", "run", "sample"}


def member(centre: Any, effects: list[Any]) -> Any:
    """Return a group's value: the population's centre times a factor for each grouping.

    Every parameter is positive, so groups differ by factors; an effect is the logarithm of one.

    Examples
    --------
    >>> round(float(member(2.0, [0.1, -0.1])), 6)
    2.0
    """
    return centre * exp(sum(effects[1:], effects[0])) if effects else centre


def dimension(columns: tuple[str, ...] | str) -> str:
    """Return the dimension name of a grouping.

    Examples
    --------
    >>> dimension("corpus:arch")
    'corpus_arch'
    """
    return "_".join(columns.split(":") if isinstance(columns, str) else columns)


@dataclass(frozen=True)
class Groups:
    """The groups of a table of rows.

    Parameters
    ----------
    columns : tuple of str
        The columns that tell groups apart; empty where nothing varies.
    cells : DataFrame
        One row for each combination of labels that the rows have, columns as above.
    of_run : ndarray of int
        Row of ``cells`` for every row of the table.
    """

    columns: tuple[str, ...]
    cells: pd.DataFrame
    of_run: np.ndarray

    @classmethod
    def of(cls, columns: tuple[str, ...], groupings: Iterable[str], table: pd.DataFrame) -> Groups:
        """Find the groups of a table.

        Raises
        ------
        InvalidModel
            If the table lacks a grouping column, or a cell of one.
        """
        for column in columns:
            if column in _RESERVED:
                raise InvalidModel(f"The model varies by {column!r}, a name kept for draws: rename the column.")
            if column not in table:
                raise InvalidModel(
                    f"The model varies by {column!r}, the runs have no such column; found {', '.join(map(str, table))}. "
                    f"Rename one with columns={{'{column}': '...'}} (on the command line: --columns {column}=...)."
                )
            if table[column].isna().any():
                row = int(np.flatnonzero(table[column].isna())[0]) + 1
                raise InvalidModel(f"The model varies by {column!r}, which is missing in row {row} of the runs.")
        if not columns:
            return cls((), pd.DataFrame(), np.zeros(len(table), dtype=int))
        labels = table[list(columns)].map(label_of)
        joined = {grouping: labels[grouping.split(":")] for grouping in (*groupings, ":".join(columns))}
        for grouping, parts in joined.items():
            if len(parts.drop_duplicates()) > len({":".join(row) for row in parts.itertuples(index=False, name=None)}):
                raise InvalidModel(f"Labels of {grouping} hold colons and cannot be told apart when joined: rename them.")
        cells = labels.drop_duplicates().sort_values(list(columns)).reset_index(drop=True)
        where = {tuple(cell): number for number, cell in enumerate(cells.itertuples(index=False, name=None))}
        return cls(columns, cells, np.array([where[row] for row in labels.itertuples(index=False, name=None)]))

    @property
    def dim(self) -> str:
        """Dimension of everything that has one value a group."""
        return dimension(self.columns)

    @property
    def names(self) -> list[str]:
        """Name of every group: its labels, joined by colons."""
        return [":".join(cell) for cell in self.cells.itertuples(index=False, name=None)]

    def labels(self, grouping: str) -> list[str]:
        """Return the label of every group in one grouping."""
        return [":".join(cell) for cell in self.cells[grouping.split(":")].itertuples(index=False, name=None)]

    def factor_levels(self, grouping: str) -> list[str]:
        """Return the different labels of a grouping, in the order the groups themselves have."""
        rows = self.cells[grouping.split(":")].itertuples(index=False, name=None)
        return [":".join(row) for row in sorted(set(rows))]


def label_of(value: Any) -> str:
    """Return a group's label as text: one spelling for 1, 1.0 and "1", and for true and "true".

    Examples
    --------
    >>> label_of(1.0), label_of("1.0"), label_of(True), label_of("C4")
    ('1', '1', 'true', 'C4')
    """
    if isinstance(value, bool | np.bool_):
        return str(value).lower()
    text = str(value)
    return text.partition(".")[0] if _WHOLE.fullmatch(text) else text


def label_in(grouping: str, group: Mapping[str, str]) -> str:
    """Return the label of a group in one grouping; a column that is left out is empty.

    Examples
    --------
    >>> label_in("corpus:arch", {"corpus": "C4", "arch": "a"})
    'C4:a'
    """
    return ":".join(group.get(column, "") for column in grouping.split(":"))


def effects_at(
    groupings: Iterable[str], name: str, group: Mapping[str, str], draws: xr.Dataset, seed: int
) -> list[xr.DataArray]:
    """Return the effects of one parameter in one group, drawn afresh where the fit has not seen the label.

    Parameters
    ----------
    groupings : iterable of str
        What the parameter varies by.
    name : str
        The parameter.
    group : mapping
        Label of every grouping column that is known.
    draws : Dataset, dims (chain, draw, ...)
        Posterior with ``{name}_effect_{grouping}`` and ``{name}_spread_{grouping}``.
    seed : int
        For labels the fit has not seen: one seed and label are one new group, whatever else is asked.

    Returns
    -------
    list of DataArray, dims (chain, draw)
        One logarithm of a factor for each grouping.
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
