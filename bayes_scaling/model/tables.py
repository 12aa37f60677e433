"""Which rows an observation is about: of the runs, of their curves, or of what follows from the curves."""

from __future__ import annotations

from typing import Final

import pandas as pd

from bayes_scaling.errors import InvalidRuns
from bayes_scaling.model.systems import Observation
from bayes_scaling.runs.derived import DERIVED
from bayes_scaling.runs.table import RunTable

_OF_RUNS: Final = ("runs", "shapes")
"""Tables with a row a run; the others are about learning curves."""


def rows_of(observation: Observation, runs: RunTable, curves: RunTable | None) -> pd.DataFrame:
    """Return the rows an observation is about: of the runs, of their curves, or of what follows from the curves.

    Parameters
    ----------
    observation : Observation
        The observation.
    runs : RunTable
        One row a run.
    curves : RunTable, optional
        One row a point along a run.

    Returns
    -------
    DataFrame
        The rows, with every column the observation needs.

    Raises
    ------
    InvalidRuns
        If the table is not there, lacks a column or a cell, or has a run twice at one place.
    """
    if observation.table in _OF_RUNS:
        found = runs
    elif curves is None:
        raise InvalidRuns(
            f"The observation {observation.name} is about {observation.table}: hand over the learning curves (on the command line: --curves TABLE)."
        )
    else:
        found = curves
    table = (found.where(observation.where) if observation.where else found).table
    table = DERIVED[observation.table](table) if observation.table in DERIVED else table
    missing = [column for column in observation.needs if column not in table]
    if missing:
        raise InvalidRuns(
            f"The observation {observation.name} needs {', '.join(map(repr, missing))}; its rows have "
            f"{', '.join(map(str, table))}."
        )
    empty = table[list(observation.needs)].isna().any(axis=1)
    if empty.any():
        raise InvalidRuns(
            f"{int(empty.sum())} of {len(table)} rows of the observation {observation.name} have gaps: say which with where."
        )
    if observation.correlation is not None:
        place = [observation.correlation.by, observation.correlation.along]
        twice = table.duplicated(place)
        if twice.any():
            run, at = table.loc[twice, place].iloc[0]
            raise InvalidRuns(
                f"The observation {observation.name} has two rows of run {run} at {place[1]} {at:g}, whose residuals would be one: "
                f"keep one with where."
            )
    return table.reset_index(drop=True)
