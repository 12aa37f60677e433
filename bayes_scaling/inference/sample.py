"""Sampling a posterior: compile, run nutpie, check, keep."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_scaling.errors import CheckpointWarning, InvalidModel
from bayes_scaling.inference.build import build_model, name_of_alone, name_of_design, name_of_input
from bayes_scaling.inference.marginal import draw_effects
from bayes_scaling.inference.nuts import Settings, compiled, enough_draws, plain, provenance, sample, statistics, tidied
from bayes_scaling.model.discrepancy import paths_of
from bayes_scaling.model.documents import default_model, read_model
from bayes_scaling.model.grouping import Groups, label_of
from bayes_scaling.model.prior_draws import draw_prior
from bayes_scaling.model.reference import fixed_values
from bayes_scaling.model.scatter import kept_from_before, level_of, relative_se, scale_of, typical_loss
from bayes_scaling.model.sharing import as_columns_allow, neighbours_in, own_sigma, sharings_of
from bayes_scaling.model.specification import ModelSpec
from bayes_scaling.posterior.checks import check
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.predict import SAMPLE_DIMS
from bayes_scaling.runs.catalog import runs_from
from bayes_scaling.runs.table import RunTable


def fit(
    runs: RunTable | pd.DataFrame | str | Path,
    model: str | Path | ModelSpec | None = None,
    *,
    discrepancy: bool = True,
    seed: int = 0,
    draws: int | None = None,
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
    model : str, path or ModelSpec, optional
        A shipped model's name, or a TOML document: see :func:`~bayes_scaling.read_model`. By default the shipped one
        that forecasts from what the runs have: see :func:`~bayes_scaling.model.documents.default_model`.
    discrepancy : bool
        Whether what the law may get wrong is part of the model, where its document says how; without it, intervals take
        the form of the law for granted.
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
    if model is None:
        runs = runs_from(runs)
        model = default_model(runs.table)
    spec = read_model(model)
    if not isinstance(spec, ModelSpec):
        raise InvalidModel(f"{spec.title or 'This model'} is a system of laws: sample it with fit_system.")
    if not discrepancy:
        spec = spec.without_discrepancy()
    table = runs_from(runs, needs=spec.needs)
    draws = enough_draws(spec, len(table)) if draws is None else draws
    settings = Settings(seed=seed, draws=draws, tune=tune, chains=chains, target_accept=target_accept)
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
        spec = as_columns_allow(spec, runs.table)
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
        warn_of_checkpoints(runs, spec, stacklevel=4)
        raw, seconds = sample(self._compiled.with_data(**self._data(runs, groups)), settings, progress)
        reference = spec.reference_point(runs.table)
        prior = draw_prior(spec, runs.table, np.random.default_rng([settings.seed, 1]))
        posterior = raw["posterior"].to_dataset()
        if spec.discrepancy or spec.noise:
            posterior = posterior.assign(_effects(spec, runs, posterior, np.random.default_rng([settings.seed, 2])))
        tree = xr.DataTree.from_dict(
            {
                "posterior": tidied(posterior, prior),
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
        data["typical_loss"] = typical_loss(runs.table)
        data |= {name_of_design(path.symbol): path.design(runs.table) for path in paths_of(self.spec, runs.table)}
        for sharing in sharings_of(self.spec, runs.table):
            data |= {name_of_design(sharing.name): sharing.design, name_of_alone(sharing.name): sharing.alone}
        before, distance = neighbours_in(self.spec, runs.table)
        data |= {"before": np.maximum(before, 0), "distance": distance, "follows": (before >= 0).astype(float)}
        data["group_of_run"] = groups.of_run
        used = {variable.name for variable in self._compiled.shared_var_keys}
        return {name: value for name, value in data.items() if name in used}


_COMPILED: dict[tuple[str, tuple[str, ...]], Sampler] = {}
"""Compiled models of this process, by document and groups."""


def sampler_for(spec: ModelSpec, runs: RunTable) -> Sampler:
    """Return the compiled model of a document for tables with the groups of this one, compiled once a process."""
    key = (
        as_columns_allow(spec, runs.table).to_json(),
        tuple(Groups.of(spec, runs.table).names) if spec.group_columns else (),
    )
    if key not in _COMPILED:
        _COMPILED[key] = Sampler(spec, runs)
    return _COMPILED[key]


def _effects(spec: ModelSpec, runs: RunTable, posterior: xr.Dataset, rng: np.random.Generator) -> dict[str, xr.DataArray]:
    """Draw what the sampler has integrated out given each draw of the rest: steps of walks, and the noise that rows share."""
    table, law = runs.table, spec.the_law
    paths, sharings = paths_of(spec, table), sharings_of(spec, table)
    inputs = [xr.DataArray(table[column].to_numpy(float), dims="run") for column in spec.columns.values()]
    parameters = {name: posterior[name] for name in law.parameters if name in posterior} | fixed_values(spec)
    expected = law(*inputs, **parameters) * xr.ones_like(posterior["sigma"])  # where every parameter is fixed, too
    expected = expected.stack(sample=SAMPLE_DIMS).transpose("sample", "run").values
    of_draw = {str(name): posterior[name].values.reshape(-1, 1) for name in posterior if posterior[name].ndim == 2}
    level = level_of(expected, typical_loss(table), of_draw["growth"]) if "growth" in of_draw else np.ones_like(expected)
    own: Any = own_sigma(sharings, posterior).stack(sample=SAMPLE_DIMS).transpose("sample", ...).values
    scale = scale_of(own if sharings else own[:, None], relative_se(table), level)
    before, distance = neighbours_in(spec, table)
    kept = kept_from_before(before, distance, of_draw["length"]) if "length" in of_draw else np.zeros_like(scale)
    residual = np.log(table["loss"].to_numpy(float)) - np.log(expected)
    designs = [part.design(table) for part in paths] + [part.design for part in sharings]
    counts = [each.shape[1] for each in designs]
    widths = np.concatenate(
        [np.repeat(of_draw[part.scale_name], n, axis=1) for part, n in zip([*paths, *sharings], counts, strict=True)], axis=1
    )
    design = np.concatenate(designs, axis=1)
    drawn = draw_effects(residual, scale, design, widths, level, kept, np.maximum(before, 0), rng) * widths
    parts = np.split(drawn, np.cumsum(counts)[:-1], axis=1)
    shape, found = posterior["sigma"].shape, {}
    for path, steps in zip(paths, parts[: len(paths)], strict=True):
        sized = (steps * np.sqrt(path.widths)).reshape(*shape, -1)
        found[path.name] = xr.DataArray(sized, dims=(*SAMPLE_DIMS, path.dim), coords=path.coords)
    for part, effects in zip(sharings, parts[len(paths) :], strict=True):
        sized = effects.reshape(*shape, -1)
        found[part.effect_name] = xr.DataArray(sized, dims=(*SAMPLE_DIMS, part.dim), coords=part.coords)
    return found


def warn_of_checkpoints(runs: RunTable, spec: ModelSpec, *, stacklevel: int) -> None:
    """Warn of rows that are points along runs, and of a model that takes them as independent."""
    count = int(runs.table["checkpoint"].sum()) if "checkpoint" in runs.table else 0
    if count:
        together = (neighbours_in(spec, runs.table)[0] >= 0).any()
        taken = (
            "the model lets the points of one go together"
            if together
            else "whose errors go together, which the model does not know: intervals will be too narrow"
        )
        warnings.warn(
            f"{count} of {len(runs)} rows of {runs.name} are points along a run, whose learning rate had not come down; "
            f"{taken}. Keep the ends of runs with the condition 'not checkpoint'.",
            CheckpointWarning,
            stacklevel=stacklevel,
        )


def _constant_data(spec: ModelSpec, runs: RunTable) -> xr.Dataset:
    wanted = ("run_id", "loss_se", "params", "params_total", "tokens", "compute_flops", *spec.told_apart_by)
    extras = [c for c in wanted if c in runs.table]
    kept = runs.table[list(dict.fromkeys([*spec.columns.values(), *spec.group_columns, *extras]))]
    labels = {name: kept[name].map(label_of).to_numpy(str) for name in spec.group_columns}
    return xr.Dataset({str(name): ("run", labels.get(str(name), plain(column))) for name, column in kept.items()})
