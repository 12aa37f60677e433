"""Register what a fit forecasts, and score it against what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from bayes_scaling.backtesting.scores import scored
from bayes_scaling.errors import InvalidRequest
from bayes_scaling.fits import Fit
from bayes_scaling.ledger.ledger import append, read_ledger
from bayes_scaling.prediction import SAMPLE_DIMS, predict_rows
from bayes_scaling.reach import reach

QUANTILES: Final = tuple(round(q, 3) for q in np.linspace(0.005, 0.995, 100))
"""Levels at which a forecast is kept: enough for every score."""
_RUN: Final = "run_id"


def register_forecasts(
    fit: Fit, runs: pd.DataFrame, path: str | Path, *, note: str = "", seed: int = 0
) -> list[dict[str, Any]]:
    """Write down what a fit forecasts of runs, before they are measured.

    Parameters
    ----------
    fit : Fit
        The fit.
    runs : DataFrame
        One row a run: its ``run_id``, the law's inputs, and the model's grouping columns where it has any.
    path : str or path
        The ledger.
    note : str
        Anything to remember.
    seed : int
        As for :func:`~bayes_scaling.predict`.

    Returns
    -------
    list of dict
        The entries written; the last one's ``seal`` vouches for all.

    Raises
    ------
    InvalidRequest
        If a run has no name, or one that was forecast from the same fit already.
    """
    if _RUN not in runs or runs[_RUN].isna().any() or runs[_RUN].duplicated().any():
        raise InvalidRequest(
            f"Runs to forecast need a {_RUN} each, all different: by it they are found once they are measured."
        )
    names = [str(name) for name in runs[_RUN]]
    digest = digest_of(fit)
    known = {(e.get("run_id"), e.get("fit")) for e in read_ledger(path)} if Path(path).exists() else set()
    twice = [name for name in names if (name, digest) in known]
    if twice:
        raise InvalidRequest(
            f"The ledger has a forecast of {', '.join(twice)} from this fit already: a forecast is made once."
        )
    losses = predict_rows(fit, runs, seed=seed)["measured_loss"].stack(sample=SAMPLE_DIMS).transpose("row", "sample")
    inputs = [c for c in (*fit.spec.columns.values(), *fit.spec.group_columns, "compute_flops") if c in runs]
    entries = []
    for name, row, draws in zip(names, runs.to_dict("records"), losses.values, strict=True):
        said = {
            "run_id": name,
            "inputs": {c: _plain(row[c]) for c in dict.fromkeys(inputs)},
            "quantiles": [float(f"{q:.6g}") for q in np.quantile(draws, QUANTILES)],
            "loss_unit": fit.loss_unit,
            "reach": {
                c: round(float(reach(fit, c, row[c])), 3)
                for c in inputs
                if c in fit.runs and c in row and c not in fit.spec.group_columns
            },
            "converged": fit.converged,
            "fit": digest,
            "runs": fit.facts["runs"],
            "model": fit.spec.digest,
            "note": note,
        }
        entries.append(append(path, said))
    return entries


def digest_of(fit: Fit) -> str:
    """Return what names a fit: of its model, its runs and its draws."""
    import hashlib

    content = hashlib.sha256(fit.spec.digest.encode())
    content.update(str(fit.facts.get("runs_digest", fit.facts["runs"])).encode())
    content.update(np.ascontiguousarray(fit.posterior["sigma"].values).tobytes())
    return content.hexdigest()


@dataclass(frozen=True, eq=False)
class Scores:
    """How forecasts came out.

    Parameters
    ----------
    table : DataFrame
        One row a forecast that was measured: ``run_id``, ``written``, ``loss``, ``median``, ``lower`` and ``upper`` of 90 %,
        and the scores of :func:`~bayes_scaling.backtesting.scores.scored`, which are of the log loss.
    waiting : list of str
        Runs that were forecast and not measured.
    """

    table: pd.DataFrame
    waiting: list[str]

    @property
    def drift(self) -> tuple[float, float]:
        """How far and which way outcomes lie off forecasts: the mean PIT, and how often chance alone strays as far."""
        from math import erfc, sqrt

        pit = self.table["pit"].to_numpy(float)
        off = (pit.mean() - 0.5) * sqrt(12 * len(pit))
        return float(pit.mean()), float(erfc(abs(off) / sqrt(2)))

    @property
    def sentence(self) -> str:
        """The scores in a line."""
        count = len(self.table)
        waiting = f" Waiting for their runs: {', '.join(self.waiting)}." if self.waiting else ""
        if not count:
            return f"No run that was forecast has been measured.{waiting}"
        held = ", ".join(
            f"{p} % intervals held {int(self.table[c].sum())} of {count}"
            for p, c in ((90, "inside_0.9"), (50, "inside_0.5"))
        )
        mean, p = self.drift
        way = "above" if mean > 0.5 else "below"
        drift = (
            f" Losses come out {way} what was forecast more than chance would have them (mean PIT {mean:.2f}, p {p:.3f})."
            if p < 0.05
            else ""
        )
        return f"{held}; interval score of the log loss {self.table['interval_score_0.9'].mean():.3g}.{drift}{waiting}"


def score_forecasts(path: str | Path, measured: pd.DataFrame, *, last: str | None = None) -> Scores:
    """Compare the forecasts of a ledger with what was measured.

    Parameters
    ----------
    path : str or path
        The ledger; every seal is checked.
    measured : DataFrame
        ``run_id`` and ``loss``, in the unit of the forecasts.
    last : str, optional
        As for :func:`~bayes_scaling.ledger.ledger.read_ledger`.

    Returns
    -------
    Scores
        One row a forecast, in the order they were made.

    Raises
    ------
    InvalidRequest
        If the ledger was changed, or the table has no run_id and loss.
    """
    entries = read_ledger(path, last=last)
    if not {_RUN, "loss"} <= set(measured):
        raise InvalidRequest(f"Measured runs need the columns {_RUN} and loss; found {', '.join(map(str, measured))}.")
    outcomes = measured.assign(**{_RUN: measured[_RUN].map(str)}).dropna(subset=["loss"]).groupby(_RUN)["loss"].last()
    rows = []
    for entry in entries:
        if entry["run_id"] in outcomes:
            rows.append(_scored(entry, float(outcomes[entry["run_id"]])))
    waiting = [entry["run_id"] for entry in entries if entry["run_id"] not in outcomes]
    return Scores(pd.DataFrame(rows), waiting)


def _scored(entry: Mapping[str, Any], loss: float) -> dict[str, Any]:
    if not (np.isfinite(loss) and loss > 0):
        raise InvalidRequest(f"The measured loss of {entry['run_id']} is {loss:g}: it has to be a positive number.")
    levels, kept = np.array(QUANTILES), np.array(entry["quantiles"])
    draws = np.interp(np.linspace(levels[0], levels[-1], 2000), levels, np.log(kept))
    found = scored(np.log([loss]), draws[:, None]).iloc[0]
    median, lower, upper = np.interp([0.5, 0.05, 0.95], levels, kept)
    told = {"run_id": entry["run_id"], "written": entry["written"], "loss": loss}
    return told | found.to_dict() | {"median": median, "lower": lower, "upper": upper}


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value
