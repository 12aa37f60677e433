"""The backtest: every split, every method, the scores; in parallel, and resumed from stored outcomes."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from bayes_scaling.errors import OutOfRange, UnknownChoice, choose
from bayes_scaling.evaluation.baselines import BASELINES, NEEDS
from bayes_scaling.evaluation.origins import Origin, rolling_origins
from bayes_scaling.evaluation.outcome import MODEL, Backtest
from bayes_scaling.evaluation.scores import scored
from bayes_scaling.evaluation.trial import facts_of, on_trial, sampled
from bayes_scaling.evaluation.workers import digest_of, outcomes
from bayes_scaling.inference.sample import warn_of_checkpoints
from bayes_scaling.inference.settings import Settings
from bayes_scaling.model.document import Model, model_from_json, read_model
from bayes_scaling.model.layout import Layout
from bayes_scaling.model.tables import tables_of
from bayes_scaling.runs.table import RunTable
from bayes_scaling.runs.to_fit import runs_to_fit

LAW_ALONE: Final = "model without discrepancy"
PLAIN: Final = "plain posterior"
"""Name of the posterior of the additive law with heavy-tailed noise alone."""


@dataclass(frozen=True)
class _Job:
    """One split and one method: the input of a worker."""

    method: str
    model: str | None
    runs: RunTable
    origin: Origin
    over: str
    settings: dict[str, Any]

    @property
    def name(self) -> str:
        """File name of the outcome: the same for the same question alone."""
        job = (self.method, self.model, self.runs.digest, self.over, self.origin.cut, self.settings)
        return f"{self.origin.cut:.3g}-{digest_of(*job)}.csv"


def backtest(
    runs: RunTable | pd.DataFrame | str | Path,
    model: str | Path | Model | None = None,
    *,
    over: str = "compute_flops",
    per_decade: int = 4,
    least: int = 15,
    fewest_ahead: int = 3,
    baselines: bool | Collection[str] = True,
    seed: int = 0,
    draws: int | None = None,
    tune: int = 1000,
    workers: int = 1,
    store: str | Path | None = None,
    progress: bool | None = None,
) -> Backtest:
    """Forecast a table's own larger runs from its smaller ones at every cut, and score the forecasts.

    Parameters
    ----------
    runs : RunTable, DataFrame, path or str
        Measured runs, or the name of a data set.
    model : str, path or Model, optional
        The model to evaluate, of one law; by default as for :func:`~bayes_scaling.fit`.
    over : str
        Column of the resource to cut along.
    per_decade : int
        Steps per decade; a bin is the runs between two steps.
    least : int
        Fewest runs below a cut; half of the bins with runs lie below it too.
    fewest_ahead : int
        Fewest runs at or above a cut.
    baselines : bool or collection of str
        Whether to score, on the same splits, the model without its discrepancy, and on tables of N and D
        the posterior of the additive law and its Huber fits with bootstrap; or the names of some of these.
    seed, draws, tune : int
        Of each posterior: as for :func:`~bayes_scaling.fit`, four chains.
    workers : int
        Parallel processes.
    store : path, optional
        Folder for the outcome of each split: an interrupted backtest resumes from it.
    progress : bool, optional
        Whether to show a progress bar; by default in a terminal and in Jupyter.

    Returns
    -------
    Backtest
        Every forecast, and the scores.

    Raises
    ------
    InvalidRuns, InvalidModel, InvalidRequest
        If the table, the model or a setting cannot be used, or no cut leaves enough runs.

    Warns
    -----
    CheckpointWarning
        If rows are points along runs.

    Examples
    --------
    >>> import bayes_scaling as bs
    >>> runs = bs.load_runs("ladder").where("series == 'size'")
    >>> trial = backtest(
    ...     runs, "kaplan_n", over="params", per_decade=1, least=4, baselines=False, draws=200, progress=False
    ... )
    >>> trial.scores[["method", "forecasts", "runs"]].to_dict("records")
    [{'method': 'model', 'forecasts': 3, 'runs': 3}]
    """
    runs, spec = on_trial(runs, model, "a backtest")
    if workers < 1:
        raise OutOfRange(f"workers is {workers}: it has to be at least one.")
    table = runs_to_fit(runs, dict.fromkeys((*spec.needs, over)))
    layout = Layout.of(spec, tables_of(spec, table))
    cuts: dict[str, Any] = {"over": over, "per_decade": per_decade, "least": least, "fewest_ahead": fewest_ahead}
    origins = rolling_origins(table.table, **cuts)
    warn_of_checkpoints(table, layout, stacklevel=3)
    settings: dict[str, Any] = {"seed": seed, "draws": draws, "tune": tune}
    Settings(**settings)  # raises before any work is done
    methods = _methods(layout.model, table, baselines=baselines)
    jobs = [_Job(method, text, table, origin, over, settings) for origin in origins for method, text in methods.items()]
    predictions = pd.concat(
        outcomes(jobs, _outcome, workers=workers, store=store, progress=progress, label="splits and methods")
    )
    order = {method: number for number, method in enumerate(methods)}
    predictions = predictions.assign(run=_first_of_runs(table.table)[predictions["row"]])
    predictions = predictions.sort_values(
        ["cut", "method", "row"], key=lambda c: c.map(order) if c.name == "method" else c, ignore_index=True
    )
    return Backtest(predictions, {**facts_of(table, layout.model), **cuts, **settings})


def _first_of_runs(table: pd.DataFrame) -> np.ndarray:
    """Return for each row the first row of its run: points along one run go together, other rows are runs of their own."""
    rows = pd.Series(np.arange(len(table)))
    if "run_id" not in table:
        return rows.to_numpy()
    run = table["run_id"].reset_index(drop=True)
    return rows.groupby(run.where(run.notna(), rows), sort=False).transform("min").to_numpy()


def _methods(spec: Model, table: RunTable, *, baselines: bool | Collection[str]) -> dict[str, str | None]:
    """Return every method, with the document of those that are posteriors."""
    beside: dict[str, str | None] = {}
    if spec.only.discrepancy:
        beside[LAW_ALONE] = spec.without_discrepancy().to_json()
    if all(column in table.table and table.table[column].notna().all() for column in NEEDS):
        beside[PLAIN] = read_model("chinchilla").to_json()
        beside |= dict.fromkeys(BASELINES)
    wanted = () if baselines is False else beside if baselines is True else baselines
    for name in wanted:
        if name not in beside:
            raise UnknownChoice(f"There is no baseline {name!r} for this table and model; {choose(name, beside)}.")
    return {MODEL: spec.to_json()} | {name: text for name, text in beside.items() if name in wanted}


def _outcome(job: _Job) -> pd.DataFrame:
    """Return the scores of one method on one split, a row a run ahead."""
    fitted, ahead = job.runs.table.iloc[job.origin.fitted], job.runs.table.iloc[job.origin.ahead]
    if job.model is None:
        rng = np.random.default_rng([job.settings["seed"], len(fitted)])
        draws, converged = BASELINES[job.method](fitted, ahead, rng), True
    else:
        runs = replace(job.runs, table=fitted.reset_index(drop=True))
        fit, draws = sampled(model_from_json(job.model), runs, ahead.reset_index(drop=True), Settings(**job.settings))
        converged = fit.converged
    beyond = np.log10(ahead[job.over].to_numpy(float) / fitted[job.over].max())
    rows = pd.DataFrame({"method": job.method, "cut": job.origin.cut, "row": job.origin.ahead, "ahead": beyond})
    loss = ahead["loss"].to_numpy(float)
    return rows.assign(loss=loss, converged=converged).join(scored(np.log(loss), draws))
