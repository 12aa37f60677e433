"""Sampling a posterior: lay out, compile, run nutpie, draw the effects that were integrated out, check, keep."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bayes_scaling.errors import CheckpointWarning, InvalidModel
from bayes_scaling.inference.build import build
from bayes_scaling.inference.nuts import Settings, compiled, enough_draws, provenance, sample, statistics
from bayes_scaling.model.document import Model, default_model, read_model
from bayes_scaling.model.layout import Layout
from bayes_scaling.model.prior_draws import draw_prior
from bayes_scaling.model.tables import curves_of, rows_of, tables_of
from bayes_scaling.posterior.checks import checked
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.residuals import draw_effects
from bayes_scaling.runs.card import Card
from bayes_scaling.runs.catalog import runs_from
from bayes_scaling.runs.table import RunTable


def fit(
    runs: RunTable | pd.DataFrame | str | Path,
    model: str | Path | Model | None = None,
    *,
    curves: RunTable | None = None,
    discrepancy: bool = True,
    seed: int = 0,
    draws: int | None = None,
    tune: int = 1000,
    chains: int = 4,
    target_accept: float = 0.98,
    progress: bool | None = None,
) -> Fit:
    """Sample the posterior of a model given everything that was measured.

    Parameters
    ----------
    runs : RunTable, DataFrame, path or str
        Measured runs, or the name of a data set, whose curves come with it: see :func:`~bayes_scaling.read_runs`.
    model : str, path or Model, optional
        A shipped model's name, or a TOML document: see :func:`~bayes_scaling.read_model`. By default the shipped one
        that forecasts from what the runs have: see :func:`~bayes_scaling.model.document.default_model`.
    curves : RunTable, optional
        Points along the runs, where an observation is about them: see :func:`~bayes_scaling.load_curves`.
    discrepancy : bool
        Whether model discrepancy is part of the model, where its document says how; without it, intervals take the form of
        the law for granted.
    seed : int
        The same seed, data, model, machine and versions give the same draws.
    draws : int, optional
        Draws kept of each chain: see :func:`~bayes_scaling.inference.nuts.enough_draws` for how many by default.
    tune, chains : int
        Draws of warm-up of each chain, and chains.
    target_accept : float
        Acceptance rate the step size is tuned to; higher is slower and safer.
    progress : bool, optional
        Whether to show a progress bar; by default in a terminal and in Jupyter.

    Returns
    -------
    Fit
        Posterior, prior, sampler statistics, the rows used, the checks and the provenance. Nothing is written:
        :meth:`Fit.save` does that.

    Raises
    ------
    InvalidRuns
        If a table or a cell that the model needs is missing or bad.
    InvalidModel
        If document and runs do not go together.
    InvalidRequest
        If a sampler setting has no meaning.

    Notes
    -----
    nutpie with a low-rank mass matrix, measured at 27 times the effective draws per second of PyMC's own
    sampler on these posteriors. Compilation costs some seconds and comes first.
    """
    if model is None:
        runs = runs_from(runs)
        model = default_model(runs.table)
    read = read_model(model)
    if not discrepancy:
        read = read.without_discrepancy()
    table = runs_from(runs, needs=read.needs)
    draws = enough_draws(read, len(table)) if draws is None else draws
    settings = Settings(seed=seed, draws=draws, tune=tune, chains=chains, target_accept=target_accept)
    points = curves_of(table, curves)
    facts: dict[str, Any] = {"curves_origin": None if curves is None else list(curves.origin)} if not read.is_one else {}
    if points is not None and any(o.table not in ("runs", "shapes") for o in read.observations):
        facts["curves_digest"] = points.digest
    tables = {observation.name: rows_of(observation, table, points) for observation in read.observations}
    sampler = Sampler(read, tables)
    warn_of_checkpoints(table, sampler.layout, stacklevel=3)
    return sampler.fit(tables, settings, facts=facts | facts_of(table), card=table.card, progress=progress)


def facts_of(runs: RunTable) -> dict[str, Any]:
    """Return where a table came from, as a fit keeps it."""
    return {"runs": runs.name, "origin": list(runs.origin), "runs_digest": runs.digest}


class Sampler:
    """A compiled model, ready for many tables of one structure: the same groups and parts, any number of rows.

    Parameters
    ----------
    model : Model
        The model.
    tables : mapping of str to DataFrame
        The rows of each observation, by its name; they set the structure.
    """

    def __init__(self, model: Model, tables: Mapping[str, pd.DataFrame]) -> None:
        self.layout = Layout.of(model, tables)
        built = build(self.layout)
        self._dims = tuple(built.coords)  # their lengths are variables of the graph, too
        self._compiled = compiled(built)

    def fit(
        self,
        tables: Mapping[str, pd.DataFrame],
        settings: Settings,
        *,
        facts: Mapping[str, Any],
        card: Card,
        progress: bool | None = None,
    ) -> Fit:
        """Sample the posterior given tables.

        Parameters
        ----------
        tables : mapping of str to DataFrame
            The rows of each observation, by its name; their structure has to be the one the model was compiled for.
        settings : Settings
            How to sample.
        facts : mapping
            Where the tables came from.
        card : Card
            What they mean.
        progress : bool, optional
            As for :func:`fit`.

        Raises
        ------
        InvalidModel
            If groups, or what the tables tell apart, are others.
        """
        layout = Layout.of(self.layout.model, tables)
        if layout.coords != self.layout.coords:
            raise InvalidModel(f"The model was compiled for the groups {self.layout.coords}, the runs have {layout.coords}.")
        data = layout.data()
        graph = {variable.name for variable in self._compiled.shared_var_keys} - set(self._dims)
        if set(data) != graph:
            raise InvalidModel(
                f"The runs have {sorted(set(data) ^ graph)} more or less than what the model was compiled for."
            )
        raw, seconds = sample(self._compiled.with_data(**data), settings, progress)
        prior = draw_prior(layout, np.random.default_rng([settings.seed, 1]))
        posterior = raw["posterior"].to_dataset()
        posterior = posterior.assign(draw_effects(layout, posterior, np.random.default_rng([settings.seed, 2])))
        tree = {
            "posterior": posterior[[str(name) for name in prior]].load(),
            "sample_stats": statistics(raw["sample_stats"].to_dataset()),
            "prior": prior,
        }
        return checked(Fit.of(layout, tree, {**facts, **provenance(settings, card, seconds)}))


_COMPILED: dict[tuple[Any, ...], Sampler] = {}
"""Compiled models of this process, by document and structure."""


def sampler_for(model: Model, runs: RunTable) -> Sampler:
    """Return the compiled model of a document for tables with the structure of this one, compiled once a process."""
    tables = tables_of(model, runs)
    layout = Layout.of(model, tables)
    key = (layout.model.to_json(), tuple(sorted(layout.data())), str(layout.coords))
    if key not in _COMPILED:
        _COMPILED[key] = Sampler(model, tables)
    return _COMPILED[key]


def fit_table(model: Model, runs: RunTable, settings: Settings) -> Fit:
    """Sample the posterior of a model of one table by a compiled model that serves all tables of its structure."""
    return sampler_for(model, runs).fit(
        tables_of(model, runs), settings, facts=facts_of(runs), card=runs.card, progress=False
    )


def warn_of_checkpoints(runs: RunTable, layout: Layout, *, stacklevel: int) -> None:
    """Warn of rows that are points along runs, and of a model that takes them as independent."""
    count = int(runs.table["checkpoint"].sum()) if "checkpoint" in runs.table else 0
    if count and layout.model.is_one:
        taken = (
            "the model correlates the points of one"
            if layout.only.serial is not None
            else "whose errors are correlated, which the model does not know: intervals will be too narrow"
        )
        warnings.warn(
            f"{count} of {len(runs)} rows of {runs.name} are points along a run, whose learning rate had not come down; "
            f"{taken}. Keep the ends of runs with the condition 'not checkpoint'.",
            CheckpointWarning,
            stacklevel=stacklevel,
        )
