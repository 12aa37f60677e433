"""The chart of a tracker, exported as CSV: a column of steps, and columns ``RUN - METRIC``, ``..__MIN``, ``..__MAX`` for each run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pandas as pd

from bayes_scaling.errors import RepeatedColumn, UnknownFormat
from bayes_scaling.runs.cells import text_of
from bayes_scaling.runs.logged import Logged
from bayes_scaling.runs.readers import reader
from bayes_scaling.runs.readers.files import read_csv, separator_of

_STEPS: Final = ("Step", "_step", "step", "global_step", "trainer/global_step", "train/global_step")
_COLUMN: Final = re.compile(r"(?P<run>.+) - (?P<metric>.+?)(?P<end>__MIN|__MAX)?")
_OWN: Final = re.compile(r".+ - _step(?:__MIN|__MAX)?")


@reader("csv", kind="wandb")
def read_panel_export(path: Path) -> Logged | None:
    r"""Read the chart of a tracker: the points of each of its metrics along each run.

    The value is the mean of what a point of the chart stands for, several steps or several runs of a group; ``METRIC__MIN`` and
    ``METRIC__MAX`` are the least and the largest of it.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import bayes_scaling as bs
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "export.csv")
    ...     _ = path.write_text("Step,17M - val/loss,30M - val/loss\n1000,3.9,3.7\n2000,3.5,3.2\n")
    ...     collected = bs.readers.read_wandb(path, facts={"batch_tokens": 65536})
    >>> collected.runs.table[["run_id", "params", "tokens", "loss"]].values.tolist()
    [['17M', 17000000.0, 131072000.0, 3.5], ['30M', 30000000.0, 131072000.0, 3.2]]
    """
    place, *columns = read_csv_header(path)
    columns = [column for column in columns if not _OWN.fullmatch(column)]
    cells = [match for column in columns if (match := _COLUMN.fullmatch(column))]
    if not cells or len(cells) < len(columns):
        return None
    if place not in _STEPS:
        raise UnknownFormat(f"{path} is a chart over {place!r}: export it with the step on its horizontal axis.")
    twice = [column for column in columns if columns.count(column) > 1]
    if twice:
        raise RepeatedColumn(
            f"{path} has the column {twice[0]!r} more than once: several runs have one name; rename them in the tracker, or export "
            f"its table of runs with their IDs."
        )
    table, runs = read_csv(path), {}
    for match in cells:
        runs.setdefault(match["run"], {})[match["metric"] + (match["end"] or "")] = table[match[0]]
    points = pd.concat([_points(run, place, table[place], metrics) for run, metrics in runs.items()], ignore_index=True)
    names = list(runs)
    shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    what = f"a chart of {len(names)} run{'s' * (len(names) > 1)} ({shown})"
    return Logged(what, pd.DataFrame({"run_id": names}), points)


def read_csv_header(path: Path) -> list[str]:
    """Return the names of the columns of a CSV file."""
    settings = {"dtype": str, "encoding": "utf-8-sig", "keep_default_na": False, "sep": separator_of(path)}
    return pd.read_csv(path, header=None, nrows=1, **settings).iloc[0].str.strip().map(text_of).tolist()


def _points(run: str, place: str, steps: pd.Series, metrics: dict[str, pd.Series]) -> pd.DataFrame:
    """Return the points of one run: those at which something was logged."""
    logged = pd.concat([cells != "" for cells in metrics.values()], axis=1).any(axis=1)
    return pd.DataFrame({"run_id": run, place: steps, **metrics})[logged]
