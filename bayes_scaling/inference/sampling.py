"""Sampling a posterior: compile, run nutpie, check, keep."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_scaling.datasets import runs_from
from bayes_scaling.diagnostics import check
from bayes_scaling.documents import read_model
from bayes_scaling.errors import CheckpointWarning, InvalidModel
from bayes_scaling.fits import Fit
from bayes_scaling.grouping import Groups, label_of
from bayes_scaling.inference.model import build_model, name_of_input
from bayes_scaling.inference.nuts import Settings, compiled, plain, provenance, sample, statistics, tidied
from bayes_scaling.prior_draws import draw_prior
from bayes_scaling.runs import RunTable
from bayes_scaling.scatter import relative_se
from bayes_scaling.specification import ModelSpec


def fit(
    runs: RunTable | pd.DataFrame | str | Path,
    model: str | Path | ModelSpec,
    *,
    seed: int = 0,
    draws: int = 2000,
    tune: int = 1000,
    chains: int = 4,
    target_accept: float = 0.98,
    progress: bool | None = None,
) -> Fit:
    """Sample the posterior of a model given measured runs.

    Parameters
    ----------
    runs : RunTable, DataFrame, path or str
        Measured runs, or the name of a data set: see :func:`~bayes_scaling.read_runs`.
    model : str, path or ModelSpec
        A shipped model's name, or a TOML document: see :func:`~bayes_scaling.read_model`.
    seed : int
        The same seed, data, model, machine and versions give the same draws.
    draws, tune, chains : int
        Draws kept and draws of warm-up, for each chain, and chains.
    target_accept : float
        Acceptance rate the step size is tuned to; higher is slower and safer.
    progress : bool, optional
        Whether to show a progress bar; by default in a terminal and in Jupyter.

    Returns
    -------
    Fit
        Posterior, prior, sampler statistics, the runs used, the checks and the provenance. Nothing is
        written: :meth:`Fit.save` does that.

    Raises
    ------
    InvalidRuns
        If a cell the model needs is bad.
    InvalidModel
        If document and runs do not go together.
    InvalidRequest
        If a sampler setting has no meaning.

    Notes
    -----
    nutpie with a low-rank mass matrix, measured at 27 times the effective draws per second of PyMC's own
    sampler on these posteriors. Compilation costs some seconds and comes first.
    """
    settings = Settings(seed=seed, draws=draws, tune=tune, chains=chains, target_accept=target_accept)
    spec = read_model(model)
    if not isinstance(spec, ModelSpec):
        raise InvalidModel(f"{spec.title or 'This model'} is a system of laws: sample it with fit_system.")
    table = runs_from(runs, needs=spec.needs)
    return Sampler(spec, table).fit(table, settings, progress=progress)


class Sampler:
    """A compiled model, ready for many tables of one structure: the same groups, any number of rows.

    Parameters
    ----------
    spec : ModelSpec
        The model.
    runs : RunTable
        A table; it sets the groups.
    """

    def __init__(self, spec: ModelSpec, runs: RunTable) -> None:
        self.spec = spec
        self.groups = Groups.of(spec, runs.table)
        self._compiled = compiled(build_model(spec, runs), freeze=False)

    def fit(self, runs: RunTable, settings: Settings, *, progress: bool | None = None) -> Fit:
        """Sample the posterior given a table.

        Parameters
        ----------
        runs : RunTable
            The runs; their groups have to be those the model was compiled for.
        settings : Settings
            How to sample.
        progress : bool, optional
            As for :func:`fit`.

        Raises
        ------
        InvalidModel
            If the groups are others.
        """
        spec, groups = self.spec, Groups.of(self.spec, runs.table)
        if groups.columns and groups.names != self.groups.names:
            raise InvalidModel(f"The model was compiled for the groups {self.groups.names}, the runs have {groups.names}.")
        _warn_of_checkpoints(runs)
        raw, seconds = sample(self._compiled.with_data(**self._data(runs, groups)), settings, progress)
        reference = spec.reference_point(runs.table)
        prior = draw_prior(spec, reference, groups, np.random.default_rng([settings.seed, 1]))
        tree = xr.DataTree.from_dict(
            {
                "posterior": tidied(raw["posterior"].to_dataset(), prior),
                "sample_stats": statistics(raw["sample_stats"].to_dataset()),
                "prior": prior,
                "constant_data": _constant_data(spec, runs),
                "observed_data": xr.Dataset({"loss": ("run", runs.table["loss"].to_numpy(float))}),
            }
        )
        facts = {
            "runs": runs.name,
            "origin": list(runs.origin),
            "runs_digest": runs.digest,
            **provenance(settings, runs.card, seconds),
        }
        unchecked = Fit(tree, spec, reference, facts)
        return replace(unchecked, checks=tuple(check(unchecked).to_dict("records")))

    def _data(self, runs: RunTable, groups: Groups) -> dict[str, Any]:
        """Return what the compiled model reads of a table; it refuses names its graph does not use."""
        data: dict[str, Any] = {name_of_input(n): runs.table[c].to_numpy(float) for n, c in self.spec.columns.items()}
        data |= {f"reference_{n}": value for n, value in self.spec.reference_point(runs.table).items()}
        data["relative_se"] = relative_se(runs.table)
        data["log_loss"] = np.log(runs.table["loss"].to_numpy(float))
        data["group_of_run"] = groups.of_run
        used = {variable.name for variable in self._compiled.shared_var_keys}
        return {name: value for name, value in data.items() if name in used}


def _warn_of_checkpoints(runs: RunTable) -> None:
    count = int(runs.table["checkpoint"].sum()) if "checkpoint" in runs.table else 0
    if count:
        warnings.warn(
            f"{count} of {len(runs)} rows of {runs.name} are points along a run, whose learning rate had not come down and "
            f"whose errors go together: intervals will be too narrow. Keep the ends of runs with the condition "
            f"'not checkpoint'.",
            CheckpointWarning,
            stacklevel=4,
        )


def _constant_data(spec: ModelSpec, runs: RunTable) -> xr.Dataset:
    extras = [c for c in ("run_id", "loss_se", "params", "params_total", "tokens", "compute_flops") if c in runs.table]
    kept = runs.table[list(dict.fromkeys([*spec.columns.values(), *spec.group_columns, *extras]))]
    labels = {name: kept[name].map(label_of).to_numpy(str) for name in spec.group_columns}
    return xr.Dataset({str(name): ("run", labels.get(str(name), plain(column))) for name, column in kept.items()})
