"""Draws from the prior of a model, with the names and shapes the posterior has; no PyMC needed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from bayes_scaling.grouping import Groups, dimension, member
from bayes_scaling.levels import Levels, dimension_of
from bayes_scaling.priors import Prior
from bayes_scaling.reference import publish
from bayes_scaling.specification import ModelSpec
from bayes_scaling.systems import SystemSpec, published_values


def draw_prior(
    spec: ModelSpec, reference: Mapping[str, float], groups: Groups, rng: np.random.Generator, *, draws: int = 4000
) -> xr.Dataset:
    """Draw every unknown of a model from its prior.

    Parameters
    ----------
    spec : ModelSpec
        The model.
    reference : mapping
        The reference point, a number for each input of the law.
    groups : Groups
        The groups of the runs.
    rng : Generator
        Source of randomness.
    draws : int
        How many.

    Returns
    -------
    Dataset, dims (chain, draw, *groupings)
        The same variables as a posterior of this model; one chain.
    """
    shape = {"chain": 1, "draw": draws}

    def sample(prior: Prior, extra: Mapping[str, int] | None = None) -> xr.DataArray:
        sizes = {**shape, **(extra or {})}
        return xr.DataArray(prior.draw(rng, tuple(sizes.values())), dims=tuple(sizes))

    found: dict[str, Any] = {}
    values: dict[str, Any] = {}
    for name, parameter in spec.parameters.items():
        if parameter.prior is None:
            continue
        effects = []
        for grouping in parameter.varies_by:
            assert parameter.spread is not None
            dim = dimension(grouping)
            spread = found[f"{name}_spread_{dim}"] = sample(parameter.spread)
            levels = xr.DataArray(rng.standard_normal((1, draws, len(groups.levels(grouping)))), dims=("chain", "draw", dim))
            found[f"{name}_effect_{dim}"] = spread * levels
            of_cell = xr.DataArray(groups.level_of_cell(grouping), dims=groups.dim)
            effects.append(found[f"{name}_effect_{dim}"].isel({dim: of_cell}))
        centre = sample(parameter.prior)
        if effects:
            found[f"{name}_population"] = centre
        values[name] = member(centre, effects)
    found |= publish(spec, values, reference)
    found["sigma"] = sample(spec.likelihood.sigma)
    if isinstance(spec.likelihood.nu, Prior):
        found["nu"] = sample(spec.likelihood.nu)
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

    def sample(prior: Prior) -> xr.DataArray:
        return xr.DataArray(prior.draw(rng, (1, draws)), dims=("chain", "draw"))

    found: dict[str, Any] = {}
    values: dict[str, Any] = {}
    for name, parameter in system.parameters.items():
        if parameter.prior is None:
            continue
        values[name] = sample(parameter.prior)
        if system.kinds[name].moves:
            found[f"{name}_at_reference"] = values[name]
        for grouping in parameter.varies_by:
            assert parameter.spread is not None
            dim = dimension_of(name, grouping)
            spread = found[f"{name}_spread_{dim}"] = sample(parameter.spread)
            z = rng.standard_normal((1, draws, len(levels.labels[dim])))
            found[f"{name}_effect_{dim}"] = spread * xr.DataArray(z, dims=("chain", "draw", dim))
    unknown = published_values(system, values)
    found |= {name: unknown[name] for name in values}
    for observation in system.observations:
        found[f"sigma_{observation.name}"] = sample(observation.likelihood.sigma)
        if isinstance(observation.likelihood.nu, Prior):
            found[f"nu_{observation.name}"] = sample(observation.likelihood.nu)
        if observation.correlation is not None:
            found[f"length_{observation.name}"] = sample(observation.correlation.length)
    return xr.Dataset(found).assign_coords({"chain": [0], "draw": range(draws)} | levels.coords)
