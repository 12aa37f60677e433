"""Extrapolates 47 public learning curves from the half that is for fitting, beside M1 to M4 fitted to each.

BAYES_SCALING_MIRROR=<folder> python -m notebooks.population.curves

Curves are those of Alabdulmohsin et al. (2022), scored as there: root mean squared error of the log loss over the points
kept aside, which reach twice as far. Every outcome is kept in .population; what was interrupted goes on from there.
"""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import least_squares

from bayes_scaling.errors import BayesScalingWarning
from bayes_scaling.evaluation.clusters import mean_error
from bayes_scaling.evaluation.workers import digest_of, outcomes
from bayes_scaling.inference import fit
from bayes_scaling.laws import LAWS
from bayes_scaling.model.document import read_model
from bayes_scaling.posterior.predict import SAMPLE_DIMS
from bayes_scaling.posterior.rows import predict_rows
from bayes_scaling.runs.catalog import MIRROR
from bayes_scaling.runs.table import read_runs

HERE = Path(__file__).parent
STORE = HERE.parent.parent / ".population"
OURS = ("offset_d", "saturating_d")
SETTINGS: dict[str, Any] = {"draws": 500, "tune": 700, "seed": 0}
_STARTS = {
    "m1": [{"beta": 0.0, "c": np.log(0.5)}],
    "m2": [{"beta": 0.0, "c": np.log(0.5), "E": floor} for floor in (-1.0, -3.0)],
    "m3": [{"beta": 0.0, "c": np.log(0.5), "gamma": g} for g in (-2.0, -5.0)],
    "m4": [
        {"beta": 0.0, "c": np.log(0.5), "E": floor, "gap": 0.0, "alpha": alpha}
        for floor in (-1.0, -3.0)
        for alpha in (0.0, 1.0)
    ],
}
"""Logarithms from which least squares starts, at the middle of the curve and its typical loss."""


@dataclass(frozen=True)
class Curve:
    """One curve, extrapolated in one way."""

    run_id: str
    group: str
    way: str

    @property
    def name(self) -> str:
        """File name of the outcome."""
        document = read_model(self.way).digest if self.way in OURS else ""
        return f"curve-{digest_of(self.run_id, self.way, document, SETTINGS)}.csv"


def main() -> None:
    """Extrapolate every curve in every way, and write curves.json beside this file."""
    warnings.simplefilter("ignore", BayesScalingWarning)
    curves = points().drop_duplicates("run_id")[["run_id", "group"]].itertuples(index=False)
    pieces = [Curve(str(c.run_id), str(c.group), way) for c in curves for way in (*_STARTS, *OURS)]
    every = pd.concat(outcomes(pieces, _extrapolated, store=STORE, progress=True, label="curves"), ignore_index=True)
    best = every[every["way"].isin(_STARTS)].sort_values("rmse").groupby("run_id", as_index=False).first()
    every = pd.concat([every, best.assign(way="best of M1 to M4, known afterwards")])
    by = every.groupby("way", sort=False)
    told = pd.DataFrame({"curves": by.size(), "median": by["rmse"].median(), "mean": by["rmse"].mean()})
    pooled = by[["points", "inside_0.5", "inside_0.9"]].sum(min_count=1)
    told["coverage_0.5"], told["coverage_0.9"] = (pooled[f"inside_{p}"] / pooled["points"] for p in (0.5, 0.9))
    for p in (0.5, 0.9):  # a curve is covered or not nearly as a whole
        told[f"coverage_{p}_se"] = by.apply(
            lambda rows, p=p: mean_error(rows[f"inside_{p}"] / rows["points"], rows["points"], [rows["run_id"]])
        )
    told["by_curve_0.9"] = by.apply(lambda rows: (rows["inside_0.9"] / rows["points"]).mean())
    told["width"] = by["width"].median()
    domains = every.pivot_table(index="way", columns="group", values="rmse", aggfunc="median")
    rows = told.join(domains).reset_index().round(5)
    (HERE / "curves.json").write_text(rows.to_json(orient="records", indent=1) + "\n")


def points() -> pd.DataFrame:
    """Return the points of all curves."""
    folder = os.environ.get(MIRROR)
    if not folder:
        raise SystemExit(f"Public runs are taken from a mirror: name its folder in {MIRROR}.")
    return pd.read_csv(Path(folder) / "tidy" / "alabdulmohsin2022.curves.csv").rename(columns={"seen": "tokens"})


def _extrapolated(curve: Curve) -> pd.DataFrame:
    table = points()
    table = table.loc[table["run_id"] == curve.run_id, ["tokens", "loss", "training"]].sort_values("tokens")
    known, ahead = (table[table["training"] == half].drop(columns="training").reset_index(drop=True) for half in (1, 0))
    truth = np.log(ahead["loss"].to_numpy(float))
    found: dict[str, Any] = {"run_id": curve.run_id, "group": curve.group, "way": curve.way, "points": len(ahead)}
    if curve.way in OURS:
        runs = read_runs(known.assign(run_id=[f"point {n}" for n in range(len(known))]), name=curve.run_id)
        posterior = fit(runs, curve.way, progress=False, **SETTINGS)
        drawn = predict_rows(posterior, ahead)["measured_loss"].stack(s=SAMPLE_DIMS).transpose("s", "row")
        draws = np.log(drawn.values)
        forecast = np.median(draws, axis=0)
        for prob in (0.5, 0.9):
            low, high = np.quantile(draws, [(1 - prob) / 2, (1 + prob) / 2], axis=0)
            found[f"inside_{prob}"] = int(((low <= truth) & (truth <= high)).sum())
        found["width"] = float(np.median(high - low))
    else:
        forecast = _least_squares(curve.way, known, ahead)
    return pd.DataFrame([found | {"rmse": float(np.sqrt(((forecast - truth) ** 2).mean()))}])


def _least_squares(way: str, known: pd.DataFrame, ahead: pd.DataFrame) -> np.ndarray:
    """Return log losses ahead by the best least-squares fit of the log loss from several starts."""
    law = LAWS[way]
    middle, typical = (float(np.exp(np.log(known[c]).mean())) for c in ("tokens", "loss"))
    at, there = (table["tokens"].to_numpy(float) / middle for table in (known, ahead))
    measured = np.log(known["loss"].to_numpy(float) / typical)

    def log_law(logs: np.ndarray, x: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
        return np.log(law(x, **dict(zip(names, np.exp(logs), strict=True))))

    fits = []
    for start in _STARTS[way]:
        names = tuple(start)
        bounds = [(-12.0, 12.0)] * len(names)
        found = least_squares(
            lambda logs, names=names: log_law(logs, at, names) - measured,
            np.array(list(start.values())),
            bounds=tuple(np.array(bounds).T),
        )
        fits.append((found.cost, names, found.x))
    _, names, logs = min(fits, key=lambda fit: fit[0])
    return log_law(logs, there, names) + np.log(typical)


if __name__ == "__main__":
    main()
