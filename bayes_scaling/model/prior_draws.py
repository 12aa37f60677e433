"""Draws from the prior of a model, with the names and shapes the posterior has; no PyMC needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import xarray as xr
from pydantic import BaseModel

from bayes_scaling.model import names
from bayes_scaling.model.grouping import member
from bayes_scaling.model.layout import Coding, Layout, Rows
from bayes_scaling.model.priors import DISTRIBUTIONS, Prior
from bayes_scaling.model.reference import publish


def draw_prior(layout: Layout, rng: np.random.Generator, *, draws: int = 4000) -> xr.Dataset:
    """Draw the variables of a posterior from the prior, dims (chain, draw, *groupings), in one chain."""
    model = layout.model

    def one(prior: Prior) -> xr.DataArray:
        return xr.DataArray(prior.draw(rng, (1, draws)), dims=names.SAMPLE_DIMS)

    drawn: dict[str, xr.DataArray] = {}
    centres: dict[str, xr.DataArray] = {}
    effects: dict[str, list[tuple[xr.DataArray, Coding]]] = {}
    for name, parameter in model.parameters.items():
        if parameter.prior is None:
            continue
        for grouping, coding in layout.codings_of(name):
            assert parameter.spread is not None
            width = one(parameter.spread)
            z = rng.standard_normal((1, draws, len(coding.labels)))
            effect = width * xr.DataArray(z, dims=(*names.SAMPLE_DIMS, coding.dim))
            drawn |= {names.spread(name, grouping): width, names.group_effect(name, grouping): effect}
            effects.setdefault(name, []).append((effect, coding))
        centres[name] = one(parameter.prior) * layout.units.get(name, 1.0)
    drawn |= stored_parameters(layout, centres, effects)
    for suffix, rows in layout:
        own_dims = [*(effect.dim for effect in rows.effects), names.OUTLIER]
        dims = {dim: names.of_observation(dim, suffix) for dim in own_dims}
        for name, value in _noise(rows, one, rng).items():
            drawn[names.of_observation(name, suffix)] = value.rename({d: n for d, n in dims.items() if d in value.dims})
    return xr.Dataset(drawn).assign_coords({"chain": [0], "draw": range(draws), **layout.coords})


def prior_of(layout: Layout, seed: int) -> xr.Dataset:
    """Draw the prior of a fit that was sampled with a seed: the same again, so that a file need not keep it."""
    return draw_prior(layout, np.random.default_rng([seed, 1]))


def can_be_drawn_again(part: Any) -> bool:
    """Whether the priors in a model, or in a part of one, are drawn by numpy alone, without PyMC or a plug-in.

    >>> from bayes_scaling.model.document import read_model
    >>> can_be_drawn_again(read_model("kappa"))
    True
    """
    if isinstance(part, Prior):
        return part.dist in DISTRIBUTIONS
    inner = part.__dict__ if isinstance(part, BaseModel) else part
    if isinstance(inner, Mapping):
        inner = tuple(inner.values())
    return not isinstance(inner, tuple) or all(can_be_drawn_again(each) for each in inner)


def stored_parameters(
    layout: Layout, centres: dict[str, Any], effects: dict[str, list[tuple[xr.DataArray, Coding]]]
) -> dict[str, Any]:
    """Return what a posterior stores of the parameters: published ones, values at the reference, centres of populations.

    Of one observation a parameter that varies is published for every group of rows, beside its population's centre; of
    several the centre is published, and each observation has its own in its view.
    """
    model = layout.model
    if not model.is_one:
        return publish(model, centres, layout.reference)

    def of_groups(effect: xr.DataArray, coding: Coding) -> xr.DataArray:
        position = coding.positions[model.only.name]
        if isinstance(position, np.ndarray):
            position = xr.DataArray(position, dims=layout.only.groups.dim)
        return effect.isel({coding.dim: position}).drop_vars(coding.dim, errors="ignore")

    values = {name: member(centre, [of_groups(*e) for e in effects.get(name, [])]) for name, centre in centres.items()}
    return {names.population(name): centres[name] for name in effects} | publish(model, values, layout.reference)


def _noise(rows: Rows, one: Callable[[Prior], xr.DataArray], rng: np.random.Generator) -> dict[str, xr.DataArray]:
    """Draw the unknowns of an observation's noise, and its effects."""
    observation, likelihood = rows.observation, rows.observation.likelihood
    drawn = {"sigma": one(likelihood.sigma)}
    if likelihood.growth is not None:
        drawn["growth"] = one(likelihood.growth)
    if likelihood.floor is not None:
        drawn["floor"] = one(likelihood.floor)
    if likelihood.outliers is not None and rows.outliers:
        z = rng.standard_normal((*drawn["sigma"].shape, len(rows.outliers)))
        drawn["outlier"] = xr.DataArray(likelihood.outliers.sd(z), dims=(*names.SAMPLE_DIMS, names.OUTLIER))
    drawn |= {name: one(prior) for name, prior in likelihood.unknowns.items()}
    for effect in rows.effects:
        scale = one(observation.effects[effect.section, effect.name].scale)
        z = rng.standard_normal((*scale.shape, len(effect.labels)))
        coefficients = xr.DataArray(z, dims=(*scale.dims, effect.dim), coords=effect.coords)
        drawn |= {effect.scale_name: scale, effect.effect_name: scale * coefficients}
    if observation.correlation is not None:
        drawn["length"] = one(observation.correlation.length)
        if observation.correlation.run_share is not None:
            drawn["run_share"] = one(observation.correlation.run_share)
        if observation.correlation.nugget is not None:
            drawn["nugget"] = one(observation.correlation.nugget)
    return drawn
