"""The chart of a tracker, exported as CSV: a column of steps, and columns ``RUN - METRIC``, ``..__MIN``, ``..__MAX`` for each run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pandas as pd

from bayes_scaling.errors import InvalidRuns
from bayes_scaling.runs.readers import reader
from bayes_scaling.runs.readers.files import read_csv

_STEPS: Final = ("Step", "_step", "step", "global_step", "trainer/global_step")
_COLUMN: Final = re.compile(r"(?P<run>.+) - (?P<metric>.+?)(?P<end>__MIN|__MAX)?")
_HELD_OUT: Final = re.compile(r"val|eval|test|held", re.IGNORECASE)
_ENDS: Final = {None: "loss", "__MIN": "loss_min", "__MAX": "loss_max"}


@reader("csv")
def read_panel_export(path: Path) -> pd.DataFrame | None:
    """Read the chart of a tracker: a learning curve for each run, of the held-out loss where there is one.

    The value is the mean of what a point of the chart stands for, several steps or several runs of a group; ``loss_min`` and
    ``loss_max`` are the least and the largest of it, and left out where they are the value itself.
    """
    place, *columns = read_csv_header(path)
    cells = [match for column in columns if (match := _COLUMN.fullmatch(column))]
    if not cells or len(cells) < len(columns):
        return None
    metric = _loss_of(dict.fromkeys(match["metric"] for match in cells), path)
    if place not in _STEPS:
        raise InvalidRuns(f"{path} is a chart over {place!r}: export it with the step on its horizontal axis.")
    table, curves = read_csv(path), {}
    for match in cells:
        if match["metric"] == metric:
            curves.setdefault(match["run"], {})[_ENDS[match["end"]]] = table[match[0]]
    points = pd.concat([_curve(run, table[place], ends) for run, ends in curves.items()], ignore_index=True)
    if all(
        (points[end].fillna(points["loss"]) == points["loss"]).all() for end in ("loss_min", "loss_max") if end in points
    ):
        points = points.drop(columns=["loss_min", "loss_max"], errors="ignore")
    runs = list(curves)
    shown = ", ".join(runs[:5]) + (", ..." if len(runs) > 5 else "")
    points.attrs["export"] = f"a chart of {metric} of {len(runs)} run{'s' * (len(runs) > 1)} ({shown})"
    return points


def read_csv_header(path: Path) -> list[str]:
    """Return the names of the columns of a CSV file."""
    header = pd.read_csv(path, header=None, nrows=1, dtype=str, encoding="utf-8-sig", keep_default_na=False)
    return header.iloc[0].str.strip().tolist()


def _curve(run: str, steps: pd.Series, ends: dict[str, pd.Series]) -> pd.DataFrame:
    """Return the points of one run: those that were logged, after the first step."""
    logged = (ends["loss"] != "") & (pd.to_numeric(steps, errors="coerce") != 0)
    return pd.DataFrame({"run_id": run, "steps": steps, **ends, "checkpoint": True})[logged]


def _loss_of(metrics: dict[str, None], path: Path) -> str:
    """Return the metric that is the loss, on held-out text where there is one."""
    losses = [metric for metric in metrics if "loss" in metric.lower()]
    losses = [metric for metric in losses if _HELD_OUT.search(metric)] or losses
    if len(losses) == 1:
        return losses[0]
    shown = ", ".join(losses or metrics)
    what = (
        f"has several losses: {shown}; keep the columns of one" if losses else f"has no loss, only {shown}; export the loss"
    )
    raise InvalidRuns(f"{path} is a chart of a tracker that {what}.")
