"""Certify the calibration of a model on a design: simulate, fit, and compute ranks and coverage."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from bayes_scaling.errors import InvalidModel, OutOfRange
from bayes_scaling.evaluation.certificate import BROKEN, FROM_THE_MODEL, Certificate
from bayes_scaling.evaluation.ranks import rank_of
from bayes_scaling.evaluation.simulate import AHEAD, from_broken_laws, from_the_model
from bayes_scaling.evaluation.trial import facts_of, on_trial, sampled
from bayes_scaling.evaluation.workers import digest_of, outcomes
from bayes_scaling.inference.settings import Settings
from bayes_scaling.model.document import Model, model_from_json
from bayes_scaling.model.layout import Layout
from bayes_scaling.model.tables import tables_of
from bayes_scaling.runs.catalog import runs_from
from bayes_scaling.runs.table import RunTable, read_runs

_RANKED = 100
"""Draws of a rank statistic: about as many as are independent."""
_MOST_TABLES: Final = 10_000
"""Simulated tables of each truth at the most: more are days."""


@dataclass(frozen=True)
class _Job:
    """One simulated table: the input of a worker."""

    truth: str
    number: int
    model: str
    design: RunTable
    settings: dict[str, Any]

    @property
    def name(self) -> str:
        """File name of the outcome: the same for the same question alone."""
        job = (self.truth, self.number, self.model, self.design.digest, self.settings)
        return f"{self.number:04d}-{digest_of(*job)}.csv"


def certify(
    runs: RunTable | pd.DataFrame | str | Path,
    model: str | Path | Model | None = None,
    *,
    discrepancy: bool = True,
    tables: int = 200,
    broken: bool = True,
    seed: int = 0,
    draws: int | None = None,
    tune: int = 1000,
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
        The design; of its losses only the standard errors are used, and what chooses the rows that a model is about (runs
        near the best of a sweep): the simulated tables have these rows.
    model : str, path or Model, optional
        A model of one law; by default as for :func:`~bayes_scaling.fit`.
    discrepancy : bool
        As for :func:`~bayes_scaling.fit`.
    tables : int
        Simulated tables for each truth.
    broken : bool
        Whether to simulate from broken laws too.
    seed, draws, tune : int
        Of simulation, and of each posterior as for :func:`~bayes_scaling.fit`, four chains.
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

    Examples
    --------
    >>> import bayes_scaling as bs
    >>> runs = bs.load_runs("ladder").where("series == 'size'")
    >>> certificate = certify(runs, "kaplan_n", tables=2, broken=False, draws=200, progress=False)
    >>> certificate.coverage[["ahead", "tables"]].to_dict("list")
    {'ahead': [0.5, 1.0, 2.0], 'tables': [2, 2, 2]}
    """
    if tables < 1 or workers < 1:
        raise OutOfRange(f"tables is {tables} and workers {workers}: each has to be at least one.")
    if tables > _MOST_TABLES:
        raise OutOfRange(
            f"tables is {tables:.4g}: at most {_MOST_TABLES:,} are simulated, which estimate a coverage of 90 % to within 0.3 %."
        )
    runs, spec = on_trial(runs, model, "a certificate")
    if not discrepancy:
        spec = spec.without_discrepancy()
    if broken and spec.groupings:
        raise InvalidModel("Broken laws are simulated for one group: leave them out for a model with groups (--no-broken).")
    design = runs_from(runs, needs=spec.needs)
    spec, design = _on_its_rows(spec, design)
    settings: dict[str, Any] = {"seed": seed, "draws": draws, "tune": tune}
    Settings(**settings)  # raises before any work is done
    truths = (FROM_THE_MODEL, BROKEN) if broken else (FROM_THE_MODEL,)
    jobs = [_Job(truth, n, spec.to_json(), design, settings) for truth in truths for n in range(tables)]
    every = pd.concat(outcomes(jobs, _outcome, workers=workers, store=store, progress=progress, label="simulated tables"))
    every = every.sort_values(
        ["truth", "table"],
        key=lambda c: c.map(truths.index) if c.name == "truth" else c,
        kind="stable",
        ignore_index=True,
    )
    ranks = every[every["what"] == "rank"].pivot_table(index="table", columns="of", values="pit", sort=False)
    forecasts = every[every["what"] == "forecast"].assign(ahead=lambda rows: rows["of"].astype(float))
    forecasts = forecasts[["truth", "table", "ahead", "pit", "width", "converged"]]
    facts = {**facts_of(design, spec), "rows": len(design), "tables": tables, **settings}
    return Certificate(ranks.reset_index(drop=True), forecasts.reset_index(drop=True), facts)


def _on_its_rows(spec: Model, design: RunTable) -> tuple[Model, RunTable]:
    """Return the model as it is fitted, and the rows that it is about as the design: what chooses them chooses them once."""
    tables = tables_of(spec, design)
    spec = Layout.of(spec, tables).model
    if spec.only.table == "runs" and not spec.only.where:
        return spec, design
    about = spec.only.model_copy(update={"table": "runs", "where": ""})
    return spec.model_copy(update={"observations": (about,)}), read_runs(tables[spec.only.name], name=design.name)


def _outcome(job: _Job) -> pd.DataFrame:
    """Return the rank of every true parameter and of every later loss of one simulated table, a row each."""
    spec = model_from_json(job.model)
    simulate = from_the_model if job.truth == FROM_THE_MODEL else from_broken_laws
    rng = np.random.default_rng([job.settings["seed"], job.number, int(job.truth == BROKEN)])
    with np.errstate(over="ignore", invalid="ignore"):
        table = simulate(spec, job.design, rng)
        settings = replace(Settings(**job.settings), seed=int(rng.integers(2**31)))
        fit, draws = sampled(spec, table.runs, table.ahead.drop(columns="loss"), settings)
    rows = []
    for name, truth in table.truth.items():
        values = fit.posterior[name].values.ravel()
        rows.append({"what": "rank", "of": name, "pit": rank_of(truth, values[:: max(1, len(values) // _RANKED)])})
    for ahead, measured, forecast in zip(AHEAD, np.log(table.ahead["loss"]), draws.T, strict=True):
        low, high = np.quantile(forecast, [0.05, 0.95])
        pit = rank_of(float(measured), forecast)
        rows.append({"what": "forecast", "of": f"{ahead:g}", "pit": pit, "width": high - low})
    return pd.DataFrame(rows).assign(truth=job.truth, table=job.number, converged=fit.converged)
