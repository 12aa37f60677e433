"""Which rows an observation is about: of the runs, of their curves, or of what follows from the curves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd

from bayes_scaling.errors import BadCells, InvalidRuns, MissingColumn, RepeatedRun
from bayes_scaling.model.document import OF_RUNS, Model, Observation
from bayes_scaling.model.grouping import label_of
from bayes_scaling.runs.catalog import available_curves, load_curves, runs_from
from bayes_scaling.runs.derived import DERIVED
from bayes_scaling.runs.table import RunTable
from bayes_scaling.runs.validate import has_words


def tables_of(model: Model, runs: Any, curves: Any = None) -> dict[str, pd.DataFrame]:
    """Return the rows of every observation of a model, by name, of runs and the points along them: see :func:`rows_of`."""
    read = runs_from(runs, needs=model.needs)
    points = curves_of(read, curves) if model.of_curves else None
    return {observation.name: rows_of(observation, read, points) for observation in model.observations}


def curves_of(runs: RunTable, curves: Any = None) -> RunTable | None:
    """Return the points along the runs at hand: of the table handed over, or of the data set that the runs are."""
    if curves is None:
        shipped = runs.origin and runs.origin[0] in available_curves()
        points = load_curves(runs.origin[0]) if shipped else None
    else:
        points = curves if isinstance(curves, RunTable) else runs_from(curves)
    if points is not None and "run_id" in runs.table and "run_id" in points.table:
        theirs = points.table["run_id"].map(label_of).isin(runs.table["run_id"].map(label_of))
        points = replace(points, table=points.table[theirs].reset_index(drop=True))
    return points


def rows_of(observation: Observation, runs: RunTable, curves: RunTable | None) -> pd.DataFrame:
    """Return the rows an observation is about, with every column it needs.

    A table that is not there, lacks a column or a cell, or has a run twice at one place is refused.
    """
    source = runs if observation.table in OF_RUNS else curves
    if source is None:
        raise InvalidRuns(
            f"The observation {observation.name} needs {observation.table}: give the learning curves "
            f"(on the command line: --curves TABLE)."
            + (
                " A table with the steps to a loss at each batch goes with the model steps_to_loss."
                * (observation.table == "steps_to_loss")
            )
        )
    table = (source.where(observation.where) if observation.where else source).table
    table = DERIVED[observation.table](table) if observation.table in DERIVED else table
    missing = [column for column in observation.needs if column not in table or has_words(table, column)]
    if missing:
        raise MissingColumn(
            f"The observation {observation.name} needs {', '.join(map(repr, missing))}; its rows have "
            f"{', '.join(map(str, table))}."
        )
    empty = table[list(observation.needs)].isna().any(axis=1)
    if empty.any():
        raise BadCells(
            f"{int(empty.sum())} of {len(table)} rows of the observation {observation.name} have gaps: select the complete rows with where."
        )
    if observation.correlation is not None and observation.table != "runs":
        place = [observation.correlation.by, observation.correlation.along]
        twice = table.duplicated(place)
        if twice.any():
            run, at = table.loc[twice, place].iloc[0]
            raise RepeatedRun(
                f"The observation {observation.name} has two rows of run {run} at {place[1]} {at:g}: keep one of them with where."
            )
    return table.reset_index(drop=True)
