"""Certify the calibration of a model on a design: simulate, fit, and compute ranks and coverage."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bayes_scaling.errors import BayesScalingWarning, InvalidModel, InvalidRequest
from bayes_scaling.evaluation.backtest import of_one_loss
from bayes_scaling.evaluation.certificate import BROKEN, FROM_THE_MODEL, Certificate
from bayes_scaling.evaluation.ranks import rank_of
from bayes_scaling.evaluation.simulate import AHEAD, from_broken_laws, from_the_model
from bayes_scaling.evaluation.workers import digest_of, outcomes
from bayes_scaling.inference.sample import fit_table
from bayes_scaling.inference.settings import Settings
from bayes_scaling.model.document import Model, default_model, model_from_json, read_model
from bayes_scaling.model.layout import Layout
from bayes_scaling.model.names import SAMPLE_DIMS
from bayes_scaling.model.tables import tables_of
from bayes_scaling.posterior.rows import predict_rows
from bayes_scaling.runs.catalog import runs_from
from bayes_scaling.runs.table import RunTable

_FAILED = 1e20
_RANKED = 100
"""Draws of a rank statistic: about as many as are independent."""


@dataclass(frozen=True)
class _Table:
    """One simulated table: the input of a worker."""

    truth: str
    number: int
    model: str
    design: RunTable
    settings: dict[str, Any]

    @property
    def name(self) -> str:
        """File name of the outcome: the same for the same question alone."""
        table = (self.truth, self.number, self.model, self.design.digest, self.settings)
        return f"{self.number:04d}-{digest_of(*table)}.csv"


def certify(
    runs: RunTable | pd.DataFrame | str | Path,
    model: str | Path | Model | None = None,
    *,
    discrepancy: bool = True,
    tables: int = 200,
    broken: bool = True,
    seed: int = 0,
    draws: int = 500,
    tune: int = 500,
    workers: int = 1,
    store: str | Path | None = None,
    progress: bool | None = None,
) -> Certificate:
    """Simulate tables for a design, fit each, and return ranks and coverage of intervals.

    Two truths: draws from the model's own priors, where ranks are uniform and coverage is nominal if the sampler is correct;
    and broken power laws, which no model here contains, where coverage shows the effect of the model discrepancy.

    Parameters
    ----------
    runs : RunTable, DataFrame, path or str
        The design; of its losses only the standard errors are used.
    model : str, path or Model, optional
        A model of one law; by default as for :func:`~bayes_scaling.fit`.
    discrepancy : bool
        As for :func:`~bayes_scaling.fit`.
    tables : int
        Simulated tables for each truth.
    broken : bool
        Whether to simulate from broken laws too.
    seed, draws, tune : int
        Of simulation and of each posterior, four chains.
    workers : int
        Parallel processes.
    store : path, optional
        Folder for the outcome of each table: an interrupted run resumes from it.
    progress : bool, optional
        Whether to show a progress bar; by default in a terminal and in Jupyter.

    Returns
    -------
    Certificate
        Ranks, coverage by extrapolation distance, and a sentence for a report.

    Raises
    ------
    InvalidRuns, InvalidModel, InvalidRequest
        If the design, the model or a setting cannot be used.

    References
    ----------
    Talts, Betancourt, Simpson, Vehtari and Gelman (2018).
    """
    if tables < 1 or workers < 1:
        raise InvalidRequest(f"tables is {tables} and workers {workers}: each has to be at least one.")
    if model is None:
        runs = runs_from(runs)
        model = default_model(runs.table)
    spec = of_one_loss(read_model(model), "a certificate")
    if not discrepancy:
        spec = spec.without_discrepancy()
    if broken and spec.groupings:
        raise InvalidModel("Broken laws are simulated for one group: leave them out for a model with groups (--no-broken).")
    design = runs_from(runs, needs=spec.needs)
    spec = Layout.of(spec, tables_of(spec, design)).model
    settings: dict[str, Any] = {"seed": seed, "draws": draws, "tune": tune}
    Settings(**settings)  # raises before any work is done
    truths = (FROM_THE_MODEL, BROKEN) if broken else (FROM_THE_MODEL,)
    pieces = [_Table(truth, n, spec.to_json(), design, settings) for truth in truths for n in range(tables)]
    folder = Path(store) if store is not None else None
    every = pd.concat(
        outcomes(pieces, _outcome, workers=workers, store=folder, progress=progress, label="simulated tables"),
        ignore_index=True,
    ).sort_values(["truth", "table"], key=lambda c: c.map(truths.index) if c.name == "truth" else c, kind="stable")
    ranks = every[every["what"] == "rank"].pivot_table(index="table", columns="of", values="pit", sort=False)
    forecasts = every[every["what"] == "forecast"].assign(ahead=lambda t: t["of"].astype(float))
    facts = {
        "runs": design.name,
        "runs_digest": design.digest,
        "rows": len(design),
        "model": spec.title or spec.only.law,
        "model_digest": spec.digest,
        "tables": tables,
        **settings,
    }
    columns = ["truth", "table", "ahead", "pit", "width", "converged"]
    return Certificate(ranks.reset_index(drop=True), forecasts[columns].reset_index(drop=True), facts)


def _outcome(piece: _Table) -> pd.DataFrame:
    spec = model_from_json(piece.model)
    simulate = from_the_model if piece.truth == FROM_THE_MODEL else from_broken_laws
    rng = np.random.default_rng([piece.settings["seed"], piece.number, int(piece.truth == BROKEN)])
    with warnings.catch_warnings(), np.errstate(over="ignore", invalid="ignore"):
        warnings.simplefilter("ignore", BayesScalingWarning)
        table = simulate(spec, piece.design, rng)
        settings = replace(Settings(**piece.settings), seed=int(rng.integers(2**31)))
        fit = fit_table(spec, table.runs, settings)
        predicted = predict_rows(fit, table.ahead.drop(columns="loss"), seed=settings.seed)["measured_loss"]
    draws = predicted.stack(sample=SAMPLE_DIMS).transpose("row", "sample").values
    # A heavy tail may draw absurd losses: intervals are of clipped ones.
    forecast = np.log(np.clip(draws, 1 / _FAILED, _FAILED))
    rows = []
    for name, truth in table.truth.items():
        values = fit.posterior[name].values.ravel()
        rows.append({"what": "rank", "of": name, "pit": rank_of(truth, values[:: max(1, len(values) // _RANKED)])})
    for ahead, measured, given in zip(AHEAD, np.log(table.ahead["loss"]), forecast, strict=True):
        low, high = np.quantile(given, [0.05, 0.95])
        rows.append({"what": "forecast", "of": f"{ahead:g}", "pit": rank_of(float(measured), given), "width": high - low})
    return pd.DataFrame(rows).assign(truth=piece.truth, table=piece.number, converged=fit.converged)
