"""Which runs are collected: those that ended, meet a condition, and are no other run again."""

from __future__ import annotations

from typing import Final

import pandas as pd

from bayes_scaling.runs.collecting.gathering import Gathering
from bayes_scaling.runs.condition import rows_where
from bayes_scaling.runs.to_fit import logged_again
from bayes_scaling.runs.validate import as_numbers, parse_cells

_BROKEN: Final = {"crashed", "failed", "killed", "preempted", "error", "diverged", "nan", "aborted", "cancelled", "canceled"}
_UNFINISHED: Final = {"running", "pending", "queued", "scheduled", "starting", "paused"}
_ENDS_EARLY: Final = 0.99
"""Share of its planned steps below which a run has not finished."""


def keep(gathered: Gathering, condition: str | None, *, unfinished: bool) -> None:
    """Leave out runs that do not meet the condition; and those that crashed or go on, unless the condition is on the state."""
    state, fields = gathered.names.one("state"), gathered.fields
    if condition:
        met = rows_where(condition, parse_cells(fields.reset_index(drop=True))[0], gathered.place)
        gathered.drop(fields.index[~met], f"does not meet --keep {condition}")
    if not unfinished:
        _leave_out_stopped(gathered)
    if state is None or (condition and state in condition):
        return
    for run, said in gathered.fields[state].items():
        word = str(said).strip().lower()
        if word in _BROKEN or (word in _UNFINISHED and not unfinished):
            gathered.drop([run], f"{state} is {said}")


def _leave_out_stopped(gathered: Gathering) -> None:
    """Leave out runs that say how many steps they were to take, and took fewer."""
    if {"global_step", "max_steps"} <= set(gathered.fields):
        taken, planned = (as_numbers(gathered.fields[name]) for name in ("global_step", "max_steps"))
        for run in gathered.fields.index[taken < _ENDS_EARLY * planned]:
            gathered.drop([run], f"it has not finished: step {taken[run]:,.0f} of {planned[run]:,.0f}")


def count_once(gathered: Gathering, labels: pd.DataFrame) -> None:
    """Leave out runs that are another one again: equal in everything but their names, to the last digit."""
    table = gathered.runs.reset_index(names="run_id")
    whole = pd.concat([table, labels.reset_index(drop=True)], axis=1)
    runs = list(table["run_id"])
    again = logged_again(whole.loc[:, ~whole.columns.duplicated()])
    gathered.drop_each(
        {runs[row]: f"it repeats {runs[first]}, to the last digit of its loss" for row, first in again.items()}
    )
    if len(gathered.curves):
        gathered.curves = gathered.curves[gathered.curves["run_id"].isin(gathered.runs.index)]
