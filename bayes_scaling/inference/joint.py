"""A system of laws: one PyMC model over the union of its parameters, drawn once, and its posterior."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
import xarray as xr
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from bayes_scaling.errors import InvalidModel
from bayes_scaling.inference.build import add_measured
from bayes_scaling.inference.coordinates import effects_of_levels, population, variable
from bayes_scaling.inference.nuts import Settings, compiled, plain, provenance, sample, statistics, tidied
from bayes_scaling.model.documents import read_model
from bayes_scaling.model.grouping import label_of, member
from bayes_scaling.model.levels import Levels, dimension_of
from bayes_scaling.model.prior_draws import draw_joint_prior
from bayes_scaling.model.reference import law_parameters, publish
from bayes_scaling.model.scatter import kept_from_before, neighbours, relative_se, scale_of
from bayes_scaling.model.systems import Observation, SystemSpec
from bayes_scaling.model.tables import rows_of
from bayes_scaling.posterior.checks import check
from bayes_scaling.posterior.fit import JointFit
from bayes_scaling.runs.card import Card
from bayes_scaling.runs.catalog import available_curves, load_curves, runs_from
from bayes_scaling.runs.table import RunTable


def fit_system(
    runs: RunTable | pd.DataFrame | str | Path,
    model: str | Path | SystemSpec,
    *,
    curves: RunTable | None = None,
    seed: int = 0,
    draws: int = 2000,
    tune: int = 1000,
    chains: int = 4,
    target_accept: float = 0.98,
    progress: bool | None = None,
) -> JointFit:
    """Sample the joint posterior of a system of laws given everything that was measured.

    Parameters
    ----------
    runs : RunTable, DataFrame, path or str
        Measured runs, or the name of a data set, whose curves come with it.
    model : str, path or SystemSpec
        A shipped system's name, or a TOML document with observations.
    curves : RunTable, optional
        Points along the runs, where an observation is about them: see :func:`~bayes_scaling.load_curves`. Points of
        runs that are not among ``runs`` are left out.
    seed, draws, tune, chains, target_accept, progress
        As for :func:`~bayes_scaling.fit`.

    Returns
    -------
    JointFit
        Posterior, prior, sampler statistics, the rows of each observation, the checks and the provenance.

    Raises
    ------
    InvalidRuns
        If a table or a cell that an observation needs is missing or bad.
    InvalidModel
        If the document is one law alone, or does not go with the tables.
    """
    settings = Settings(seed=seed, draws=draws, tune=tune, chains=chains, target_accept=target_accept)
    system = read_model(model)
    if not isinstance(system, SystemSpec):
        raise InvalidModel(f"{system.title or system.law} is a model of one law: sample it with fit.")
    return sample_system(system, runs_from(runs), curves, settings, progress=progress)


def sample_system(
    system: SystemSpec,
    runs: RunTable,
    curves: RunTable | None,
    settings: Settings,
    *,
    progress: bool | None = None,
) -> JointFit:
    """Sample the joint posterior of a system given tables that have been read; what :func:`fit_system` returns."""
    handed_over = None if curves is None else list(curves.origin)
    if curves is None and runs.origin and runs.origin[0] in available_curves():
        curves = load_curves(runs.origin[0])
    if curves is not None and "run_id" in runs.table:
        theirs = curves.table["run_id"].isin(runs.table["run_id"])
        curves = replace(curves, table=curves.table[theirs].reset_index(drop=True))
    tables = {observation.name: rows_of(observation, runs, curves) for observation in system.observations}
    facts = {
        "runs": runs.name,
        "origin": list(runs.origin),
        "curves_origin": handed_over,
        "runs_digest": runs.digest,
        "curves_digest": curves.digest if curves is not None else "",
    }
    return SystemSampler(system, tables).fit(tables, settings, facts=facts, card=runs.card, progress=progress)


class SystemSampler:
    """A compiled system, ready for many tables that differ in nothing but what was measured, and with which error.

    Parameters
    ----------
    system : SystemSpec
        The system.
    tables : mapping of str to DataFrame
        The rows of each observation, by its name, as :func:`~bayes_scaling.runs.derived.rows_of` gives them.
    """

    def __init__(self, system: SystemSpec, tables: Mapping[str, pd.DataFrame]) -> None:
        self.system = system
        self.levels = Levels.of(system, tables)
        self._compiled = compiled(build_system(system, tables), freeze=False)

    def fit(
        self,
        tables: Mapping[str, pd.DataFrame],
        settings: Settings,
        *,
        facts: Mapping[str, Any],
        card: Card,
        progress: bool | None = None,
    ) -> JointFit:
        """Sample the posterior given tables.

        Parameters
        ----------
        tables : mapping of str to DataFrame
            The tables the system was compiled for, but for what was measured.
        settings : Settings
            How to sample.
        facts : mapping
            Where the tables came from.
        card : Card
            What they mean.
        progress : bool, optional
            As for :func:`fit_system`.
        """
        system = self.system
        data = {name: value for o in system.observations for name, value in _data(o, tables[o.name]).items()}
        raw, seconds = sample(self._compiled.with_data(**data), settings, progress)
        prior = draw_joint_prior(system, self.levels, np.random.default_rng([settings.seed, 1]))
        groups = {
            "posterior": tidied(raw["posterior"].to_dataset(), prior),
            "sample_stats": statistics(raw["sample_stats"].to_dataset()),
            "prior": prior,
        }
        for observation in system.observations:
            groups[f"observations/{observation.name}"] = _kept(system, observation, tables[observation.name])
        known = {**facts, **provenance(settings, card, seconds)}
        unchecked = JointFit(xr.DataTree.from_dict(groups), system, dict(system.reference), known)
        return replace(unchecked, checks=tuple(check(unchecked).to_dict("records")))


def _kept(system: SystemSpec, observation: Observation, table: pd.DataFrame) -> xr.Dataset:
    """Return what a fit keeps of the rows of an observation."""
    varies_by = [
        column
        for name in observation.the_law.parameters
        if name in system.parameters
        for grouping in system.parameters[name].varies_by
        for column in grouping.split(":")
    ]
    extras = ("run_id", "series", "params", "tokens", "steps", "batch_tokens", "compute_flops", f"{observation.output}_se")
    # A number is its own label; true and false are labels, and no numbers.
    wordy = [c for c in varies_by if c in table and (is_bool_dtype(table[c]) or not is_numeric_dtype(table[c]))]
    labels = {c: table[c].map(label_of).to_numpy(str) for c in wordy}
    numbers = {c: plain(table[c]) for c in [*observation.needs, *varies_by, *extras] if c in table and c not in labels}
    return xr.Dataset({column: ("run", values) for column, values in (numbers | labels).items()})


def build_system(system: SystemSpec, tables: Mapping[str, pd.DataFrame]) -> pm.Model:
    """Build the PyMC model of a system; nothing is sampled.

    Parameters
    ----------
    system : SystemSpec
        The system.
    tables : mapping of str to DataFrame
        The rows of each observation, by its name, as :func:`~bayes_scaling.runs.derived.rows_of` gives them.

    Returns
    -------
    pymc.Model
        Values at the reference point as free variables, published parameters as deterministics, the logarithm of what
        was measured observed, one node for each observation.
    """
    levels, kinds = Levels.of(system, tables), system.kinds
    with pm.Model(coords=dict(levels.labels)) as model:
        centres: dict[str, Any] = {}
        effects: dict[str, list[tuple[str, Any]]] = {}
        for name, parameter in system.parameters.items():
            if parameter.prior is None:
                continue
            for grouping in parameter.varies_by:
                dim, prior = dimension_of(name, grouping), parameter.spread
                assert prior is not None
                effects.setdefault(name, []).append((grouping, effects_of_levels(name, dim, prior)))
            label = f"{name}_at_reference" if kinds[name].moves else name
            if name in effects:
                mean = sum(pt.mean(effect) for _, effect in effects[name])
                centres[name] = population(name, label, parameter.prior, mean)
            else:
                centres[name] = variable(label, parameter.prior)
        for name, value in publish(system, centres, system.reference).items():
            if name not in model.named_vars:
                pm.Deterministic(name, value)
        for observation in system.observations:
            table = tables[observation.name]
            values = {
                name: member(
                    centre,
                    [effect[levels.of_rows(name, grouping, observation)] for grouping, effect in effects.get(name, [])],
                )
                for name, centre in centres.items()
                if name in observation.the_law.parameters
            }
            parameters = law_parameters(observation.the_law, system, values, system.reference)
            inputs = [table[column].to_numpy(float) for column in observation.columns.values()]
            _observe(observation, table, pt.log(observation.the_law(*inputs, **parameters)))
    return model


def _observe(observation: Observation, table: pd.DataFrame, log_expected: Any) -> None:
    """Add what was measured: residuals of its logarithm, one after the other along each run where they go together."""
    name = observation.name
    sigma = variable(f"sigma_{name}", observation.likelihood.sigma)
    data = {key: pm.Data(key, value) for key, value in _data(observation, table).items()}
    log_measured = data[f"log_{name}"]
    if observation.correlation is None:
        location, scale = log_expected, scale_of(sigma, data[f"relative_se_{name}"])
    else:
        before, distance = neighbours(table, observation.correlation)
        length = variable(f"length_{name}", observation.correlation.length)
        kept = kept_from_before(before, distance, length)
        residual = log_measured - log_expected
        location = log_expected + kept * residual[np.maximum(before, 0)]
        scale = sigma * pt.sqrt(1 - kept**2)
    add_measured(observation.likelihood, location, scale, log_measured, suffix=f"_{name}")


def _data(observation: Observation, table: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return what may differ between the tables of one compiled system."""
    data = {f"log_{observation.name}": np.log(table[observation.output].to_numpy(float))}
    if observation.correlation is None:
        data[f"relative_se_{observation.name}"] = relative_se(table, observation.output)
    return data
