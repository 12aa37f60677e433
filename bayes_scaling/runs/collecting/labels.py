"""Other columns by which runs differ: words and settings, not what came out, nor what a tracker adds by itself."""

from __future__ import annotations

from typing import Final

import pandas as pd

from bayes_scaling.quantities import ALONG_A_RUN, BY_COLUMN
from bayes_scaling.runs.aliases import ALIASES, SHAPE, leaf
from bayes_scaling.runs.collecting.gathering import Gathering
from bayes_scaling.runs.collecting.names import WORDS
from bayes_scaling.runs.measure import is_outcome
from bayes_scaling.runs.units import PIECES

_TRACKER: Final = {
    *(
        "name",
        "notes",
        "user",
        "tags",
        "created",
        "runtime",
        "updated",
        "end_time",
        "start_time",
        "hostname",
        "host",
        "id",
        "github",
    ),
    *(
        "sweep",
        "ignored_panels",
        "timestamp",
        "wandb_version",
        "artifact_uri",
        "experiment_id",
        "job_type",
        "lifecycle_stage",
    ),
    *("description", "commit", "gpu_type", "best_metric", "state", "step", "global_step", "max_steps", "total_flos"),
}
_OF_OURS: Final = {
    *BY_COLUMN,
    *ALONG_A_RUN,
    *SHAPE,
    *WORDS,
    *PIECES,
    "checkpoint",
    *(set(ALIASES) - {"schedule", "optimizer", "corpus", "arch"}),
}
"""Columns that are made elsewhere, or only serve to make others."""


def labels_of(gathered: Gathering) -> pd.DataFrame:
    """Return the other columns of the runs: those a map or facts name, known ones, and fields that vary."""
    names, runs = gathered.names, gathered.runs
    used = {part for parts in names.fields.values() for part in parts}
    fields = gathered.fields.reindex(runs.index[~runs.index.duplicated()])
    chosen: dict[str, pd.Series] = {}
    for column in (*names.fields, *names.values):
        if column in _OF_OURS or column in runs:
            continue
        field = names.one(column)
        if column in names.values:
            chosen[column] = gathered.stated(column).loc[lambda cells: ~cells.index.duplicated()]
        elif field in fields:
            chosen[column] = fields[field]
    for name in map(str, fields):
        of_tracker = name.startswith("_") or leaf(name) in _TRACKER or is_outcome(name)
        if name not in used | _OF_OURS and name not in (*chosen, *runs) and not of_tracker and _varies(fields[name]):
            chosen[name] = fields[name]
    return pd.DataFrame(chosen, index=fields.index)


def _varies(cells: pd.Series) -> bool:
    """Whether a field is of plain values that differ."""
    plain = not cells.map(lambda cell: isinstance(cell, dict | list)).any()
    return plain and len(cells.astype(str).unique()) > 1
