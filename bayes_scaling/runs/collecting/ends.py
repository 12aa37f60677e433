"""Which point of its curve a run is taken at, and what a run measured that has none."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
import pandas as pd

from bayes_scaling.errors import UnknownEntry
from bayes_scaling.runs.aliases import numbers_named
from bayes_scaling.runs.collecting.gathering import Gathering
from bayes_scaling.runs.curves import ALONG, canonical_points
from bayes_scaling.runs.measure import source_of
from bayes_scaling.runs.validate import as_numbers

At = Literal["last", "min", "all"]
ENDS: Final = ("last", "min", "all")
_BLOWN_UP: Final = 1.5
"""Loss at the end over the least of a run from which on it is said to have diverged."""


def pick(gathered: Gathering, at: At) -> None:
    """Take one point of each run, or all, with what grows along it; leave out runs without a loss."""
    if at not in ENDS:
        raise UnknownEntry(f"A run cannot be taken at {at!r}: give one of {', '.join(ENDS)}.")
    gathered.refuse_none()
    theirs = gathered.names.one("loss")
    if theirs is None:
        gathered.runs = pd.DataFrame(index=gathered.fields.index)
    elif source_of(theirs, gathered.logged.fields)[0] in gathered.logged.points:
        gathered.curves = _curves(gathered, theirs)
        _points(gathered, at)
    else:
        _summaries(gathered, theirs)
    gathered.refuse_none()


def _curves(gathered: Gathering, theirs: str) -> pd.DataFrame:
    """Return the points of the loss, in the order of the steps."""
    logged = gathered.logged.points
    along = {column: name for column in ALONG if (name := gathered.names.one(column)) and name in logged}
    points = logged[logged["run_id"].astype(str).isin(gathered.fields.index)]
    curves = canonical_points(points, {"loss": theirs, **along}, gathered.place)
    for column, name in along.items():
        curves[column] = numbers_named(curves[column], name)
    order = next((column for column in ("steps", "tokens") if column in curves), None)
    curves = curves.assign(loss=as_numbers(curves["loss"]))
    return curves if order is None else curves.sort_values(order, kind="stable").reset_index(drop=True)


def _points(gathered: Gathering, at: At) -> None:
    taken: list[pd.DataFrame] = []
    by_run = dict(iter(gathered.curves.groupby("run_id", sort=False)))
    for run in list(gathered.fields.index):
        points = by_run.get(run)
        if points is None:
            gathered.drop([run], "no loss was logged")
            continue
        finite = points[np.isfinite(points["loss"])]
        where = f" at step {points['steps'].iloc[-1]:,.0f}" if "steps" in points else ""
        if finite.empty or (at != "min" and finite.index[-1] != points.index[-1]):
            gathered.drop([run], f"it diverged: its loss is not a number{where}")
            continue
        least, last = finite["loss"].min(), finite["loss"].iloc[-1]
        if at == "last" and last > _BLOWN_UP * least:
            gathered.rules.append(f"{run} may have diverged: it ends at {last:.4g}, its least loss is {least:.4g}")
        taken.append({"last": finite.tail(1), "min": finite.loc[[finite["loss"].idxmin()]], "all": finite}[at])
    gathered.refuse_none()
    if at == "min":
        gathered.rules.append("each run is taken at its least loss, which is biased low by the noise along the curve")
    gathered.curves = gathered.curves[
        gathered.curves["run_id"].isin(gathered.fields.index) & np.isfinite(gathered.curves["loss"])
    ]
    gathered.runs = pd.concat(taken).set_index("run_id")


def _summaries(gathered: Gathering, theirs: str) -> None:
    """Take the loss that stands beside each run; a run without one is left out."""
    base, made = source_of(theirs, list(gathered.fields))
    cells = gathered.fields[base]
    numbers = as_numbers(cells)
    gathered.runs = pd.DataFrame({"loss": numbers if made is None else made(numbers)}, index=gathered.fields.index)
    for run in gathered.runs.index[~np.isfinite(gathered.runs["loss"])]:
        cell = cells[run]
        blank = cell is None or cell != cell or not str(cell).strip()
        gathered.drop([run], f"no {base} was logged" if blank else f"its {base} is {cell}")
