"""Runs as a tracker, a trainer or a table has them: fields of each run and points along it, under the names of their source."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd


@dataclass(frozen=True, eq=False)
class Logged:
    """What a source says of its runs; nothing is renamed, converted or left out yet.

    Parameters
    ----------
    what : str
        What the source is, in words: ``"a chart of 4 runs"``.
    runs : DataFrame
        A row a run: ``run_id``, its configuration and what its end was, a field a column.
    points : DataFrame
        A row a logged point: ``run_id``, the steps and metrics; no rows where only ends are known.
    notes : tuple of str
        What the reader had to decide, sentences.

    Examples
    --------
    >>> Logged("a table", pd.DataFrame({"run_id": ["a"], "N": [1e8]}))
    <Logged: a table; 1 run, 0 points>
    """

    what: str
    runs: pd.DataFrame
    points: pd.DataFrame = field(default_factory=lambda: pd.DataFrame({"run_id": []}))
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        runs, points = len(self.runs), len(self.points)
        return f"<Logged: {self.what}; {runs} run{'s' * (runs != 1)}, {points} point{'s' * (points != 1)}>"

    @property
    def fields(self) -> list[str]:
        """Names of all fields: those of points first, then those of runs."""
        return [str(name) for name in dict.fromkeys([*self.points, *self.runs]) if name != "run_id"]


def of_runs(what: str, entries: list[tuple[str, dict[str, object], pd.DataFrame]], notes: tuple[str, ...] = ()) -> Logged:
    """Return what is logged of runs, each with its name, its fields and its points.

    >>> of_runs("a log", [("a", {"config": {"n_layer": 2}}, pd.DataFrame({"step": [1], "loss": [3.0]}))]).runs.to_dict("list")
    {'run_id': ['a'], 'config.n_layer': [2]}
    """
    runs = pd.DataFrame([{"run_id": name, **flat(fields)} for name, fields, _ in entries])
    points = [table.assign(run_id=name) for name, _, table in entries if len(table)]
    along = pd.concat(points, ignore_index=True) if points else pd.DataFrame({"run_id": []})
    return Logged(what, runs, along, notes)


def flat(fields: dict[str, object], before: str = "") -> dict[str, object]:
    """Return nested fields under names with dots; a list is what it has no name for, and left out.

    >>> flat({"model": {"n_layer": 4}, "lr": 0.1, "tags": ["a"]})
    {'model.n_layer': 4, 'lr': 0.1}
    """
    found: dict[str, object] = {}
    for name, value in fields.items():
        if isinstance(value, dict):
            found |= flat(value, f"{before}{name}.")
        elif not isinstance(value, list | tuple | set):
            found[f"{before}{name}"] = value
    return found


def points_of(rows: list[dict[str, object]]) -> pd.DataFrame:
    """Return logged points as a table; a metric that was logged as NaN is the word, and one that was not logged is missing.

    >>> points_of([{"step": 1, "loss": float("nan")}, {"step": 2}])["loss"].tolist()
    ['NaN', nan]
    """
    return pd.DataFrame([{name: "NaN" if value != value else value for name, value in row.items()} for row in rows])
