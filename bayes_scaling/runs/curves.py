"""Learning curves out of what was logged: a row a point at which the loss was measured, under canonical names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from bayes_scaling.errors import MissingColumn, NotALoss, SeveralLosses
from bayes_scaling.quantities import BY_COLUMN
from bayes_scaling.runs.aliases import ALIASES, folded, losses_of, match
from bayes_scaling.runs.logged import Logged
from bayes_scaling.runs.measure import converted, remedy, source_of
from bayes_scaling.runs.readers import read_source
from bayes_scaling.runs.validate import as_numbers

ALONG: Final = ("steps", "tokens", "epochs", "compute_flops")
"""Columns beside the loss that grow along a run."""
_ENDS: Final = {"loss_min": "__MIN", "loss_max": "__MAX"}


def read_file(path: Path) -> pd.DataFrame:
    """Return the table of a file, cells as they stand; of what was logged the learning curves."""
    found = read_source(path)
    return canonical_curves(found, str(path)) if isinstance(found, Logged) else found


def canonical_curves(logged: Logged, place: str, columns: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Return the learning curves of what was logged, and what it says of their runs under our own names.

    ``columns`` are ours to theirs; the loss, where it is not among them, is the one held-out loss there is. What the source is stands in
    ``attrs["export"]``: see :mod:`bayes_scaling.runs.facts`.
    """
    if logged.points.empty and len(logged.fields):
        return logged.runs
    names = dict(columns or {})
    theirs = names.get("loss") or the_loss(map(str, logged.points), logged.what, place)
    guesses = {column: match(ALIASES[column], logged.points) for column in ALONG}
    along = {column: names.get(column) or guess for column, guess in guesses.items()}
    points = canonical_points(logged.points, {"loss": theirs, **{c: name for c, name in along.items() if name}}, place)
    whole = [column for column in points if points[column].notna().all() or column in ("loss", *_ENDS)]
    if along["tokens"]:
        whole = [column for column in whole if column != "tokens" or (as_numbers(points["tokens"]) > 0).all()]
    own = [column for column in logged.runs if column in BY_COLUMN and column not in (*ALONG, "loss")]
    table = points[whole].merge(logged.runs[["run_id", *own]], on="run_id", how="left").assign(checkpoint=True)
    table.attrs["export"] = f"{logged.what}, with {len(table)} points of {theirs}"
    return table


def the_loss(names: Iterable[str], what: str, place: str) -> str:
    """Return the one name that may be the loss, or refuse several and none."""
    asides = (*_ENDS.values(),)
    fields = [name for name in names if not name.endswith(asides) and folded(name) not in ("run_id", *ALIASES["steps"])]
    losses = losses_of(fields)
    if len(losses) == 1 and not remedy(losses[0]):
        return losses[0]
    if len(losses) == 1:
        raise NotALoss(f"{place}: {remedy(losses[0])}.")
    if losses:
        raise SeveralLosses(
            f"{place} is {what} that has several losses: {', '.join(losses)}; keep the columns of one, or say which: --columns "
            f"loss={losses[0]}."
        )
    raise MissingColumn(f"{place} is {what} that has no loss, only {', '.join(fields) or 'no entry'}; export the loss.")


def canonical_points(points: pd.DataFrame, names: Mapping[str, str], place: str) -> pd.DataFrame:
    """Return the points after the first step at which a loss was logged, with the columns that ``names`` has, ours to theirs.

    What grows along a run and was not logged at such a point is read between those at which it was, along straight lines in the steps.
    """
    theirs, made = source_of(names["loss"], points)
    for column, name in {**names, "loss": theirs}.items():
        if name not in points:
            raise MissingColumn(f"{place} has no metric {name!r} to use as {column}; found {', '.join(map(str, points))}.")
    table = pd.DataFrame({"run_id": points["run_id"].astype(str)})
    for column in ALONG:
        if column in names:
            table[column] = points[names[column]]
    ends = {"loss": theirs, **{end: theirs + mark for end, mark in _ENDS.items() if theirs + mark in points}}
    for column, name in ends.items():
        table[column] = points[name] if made is None else converted(points[name], made)
    if "steps" in table:
        steps = as_numbers(table["steps"])
        for column in ("tokens", "epochs", "compute_flops"):
            if column in table and as_numbers(table[column]).isna().any():
                table[column] = between(table["run_id"], steps, as_numbers(table[column]))
        table = table[steps != 0]
    table = table[table["loss"].notna() & (table["loss"].astype(str).str.strip() != "")]
    same = all((table[end].where(table[end].astype(str) != "", table["loss"]) == table["loss"]).all() for end in ends)
    table = table.drop(columns=[end for end in ends if end != "loss"]) if same else table
    if "steps" in table:
        table = table.drop_duplicates(["run_id", "steps"], keep="last")
    return table.reset_index(drop=True)


def between(runs: pd.Series, steps: pd.Series, values: pd.Series) -> pd.Series:
    """Return values of each run where some are missing, by straight lines between its neighbouring steps.

    >>> between(pd.Series(list("aaa")), pd.Series([10.0, 20, 30]), pd.Series([100.0, np.nan, 300.0])).tolist()
    [100.0, 200.0, 300.0]
    """
    filled = values.copy()
    for _, rows in steps.groupby(runs, sort=False):
        known = values[rows.index].dropna().index.intersection(rows.dropna().index)
        if len(known) > 1:
            order = rows[known].sort_values()
            read = np.interp(rows, order, values[order.index], left=np.nan, right=np.nan)
            filled[rows.index] = values[rows.index].fillna(pd.Series(read, rows.index))
    return filled
