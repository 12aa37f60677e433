"""Draws from the prior of a model, with the names and shapes the posterior has; no PyMC needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_scaling.model.discrepancy import Path, paths_of
from bayes_scaling.model.grouping import Groups, dimension, member
from bayes_scaling.model.levels import Levels, dimension_of
from bayes_scaling.model.priors import Prior
from bayes_scaling.model.reference import publish
from bayes_scaling.model.sharing import Sharing, sharings_of
from bayes_scaling.model.specification import Likelihood, ModelSpec
from bayes_scaling.model.systems import SystemSpec


def draw_prior(spec: ModelSpec, table: pd.DataFrame, rng: np.random.Generator, *, draws: int = 4000) -> xr.Dataset:
    """Draw every unknown of a model from its prior.

    Parameters
    ----------
    spec : ModelSpec
        The model.
    table : DataFrame
        The runs: they set the reference point, the groups, the paths of the walks and what rows share.
    rng : Generator
        Source of randomness.
    draws : int
        How many.

    Returns
    -------
    Dataset, dims (chain, draw, *groupings)
        The same variables as a posterior of this model; one chain.
    """
    source, groups = _Source(rng, draws), Groups.of(spec, table)
    found: dict[str, Any] = {}
    values: dict[str, Any] = {}
    for name, parameter in spec.parameters.items():
        if parameter.prior is None:
            continue
        effects = []
        for grouping in parameter.varies_by:
            assert parameter.spread is not None
            dim = dimension(grouping)
            found |= source.effects(name, dim, parameter.spread, len(groups.levels(grouping)))
            of_cell = xr.DataArray(groups.level_of_cell(grouping), dims=groups.dim)
            effects.append(found[f"{name}_effect_{dim}"].isel({dim: of_cell}))
        centre = source.values(parameter.prior)
        if effects:
            found[f"{name}_population"] = centre
        values[name] = member(centre, effects)
    found |= publish(spec, values, spec.reference_point(table))
    found |= source.noise(spec.likelihood)
    for path in paths_of(spec, table):
        found |= source.walk(path, spec.discrepancy[path.symbol].scale)
    for sharing in sharings_of(spec, table):
        found |= source.shared(sharing, spec.noise[sharing.name].scale)
    if spec.correlation is not None:
        found["length"] = source.values(spec.correlation.length)
    coords = {"chain": [0], "draw": range(draws)} | groups.coords(spec)
    return xr.Dataset(found).assign_coords(coords)


def draw_joint_prior(system: SystemSpec, levels: Levels, rng: np.random.Generator, *, draws: int = 4000) -> xr.Dataset:
    """Draw every unknown of a system of laws from its prior.

    Parameters
    ----------
    system : SystemSpec
        The system.
    levels : Levels
        The labels that its parameters vary over.
    rng : Generator
        Source of randomness.
    draws : int
        How many.

    Returns
    -------
    Dataset, dims (chain, draw, *labels)
        The same variables as a posterior of this system; one chain.
    """
    source = _Source(rng, draws)
    found: dict[str, Any] = {}
    values: dict[str, Any] = {}
    for name, parameter in system.parameters.items():
        if parameter.prior is None:
            continue
        values[name] = source.values(parameter.prior)
        for grouping in parameter.varies_by:
            assert parameter.spread is not None
            dim = dimension_of(name, grouping)
            found |= source.effects(name, dim, parameter.spread, len(levels.labels[dim]))
    found |= publish(system, values, system.reference)
    for observation in system.observations:
        found |= source.noise(observation.likelihood, f"_{observation.name}")
        if observation.correlation is not None:
            found[f"length_{observation.name}"] = source.values(observation.correlation.length)
    return xr.Dataset(found).assign_coords({"chain": [0], "draw": range(draws), **levels.labels})


@dataclass(frozen=True)
class _Source:
    """Draws from priors, laid out as one chain."""

    rng: np.random.Generator
    draws: int

    def values(self, prior: Prior) -> xr.DataArray:
        """Draw a number."""
        return xr.DataArray(prior.draw(self.rng, (1, self.draws)), dims=("chain", "draw"))

    def effects(self, name: str, dim: str, spread: Prior, count: int) -> dict[str, xr.DataArray]:
        """Draw the spread of a parameter over labels, and the effect of each."""
        width = self.values(spread)
        z = xr.DataArray(self.rng.standard_normal((1, self.draws, count)), dims=("chain", "draw", dim))
        return {f"{name}_spread_{dim}": width, f"{name}_effect_{dim}": width * z}

    def walk(self, path: Path, prior: Prior) -> dict[str, xr.DataArray]:
        """Draw the scale of a walk, and its steps."""
        scale = self.values(prior)
        z = self.rng.standard_normal((1, self.draws, len(path.widths)))
        steps = xr.DataArray(z * np.sqrt(path.widths), dims=("chain", "draw", path.dim), coords=path.coords)
        return {path.scale_name: scale, path.name: scale * steps}

    def shared(self, sharing: Sharing, prior: Prior) -> dict[str, xr.DataArray]:
        """Draw the scale of a part of the noise, and the effects that rows share."""
        scale = self.values(prior)
        if not sharing.labels:
            return {sharing.scale_name: scale}
        z = self.rng.standard_normal((1, self.draws, len(sharing.labels)))
        effects = xr.DataArray(z, dims=("chain", "draw", sharing.dim), coords=sharing.coords)
        return {sharing.scale_name: scale, sharing.effect_name: scale * effects}

    def noise(self, likelihood: Likelihood, suffix: str = "") -> dict[str, xr.DataArray]:
        """Draw what the likelihood does not know."""
        found = {f"sigma{suffix}": self.values(likelihood.sigma)}
        if likelihood.growth is not None:
            found["growth"] = self.values(likelihood.growth)
        return found | ({f"nu{suffix}": self.values(likelihood.nu)} if isinstance(likelihood.nu, Prior) else {})
