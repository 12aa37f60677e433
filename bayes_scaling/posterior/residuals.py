"""The rows a fit has seen: what is expected there, what is left, and how dense it is."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import xarray as xr

from bayes_scaling.model import gaussian, names
from bayes_scaling.model.layout import Rows
from bayes_scaling.model.names import SAMPLE_DIMS
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.predict import (
    growth_at,
    likelihood_arguments,
    scattered,
    standard_noise,
    with_effects,
)

_CELLS: Final = 20_000_000
"""Numbers of one array, draws times rows, that are in memory together."""


def law_at_runs(fit: Fit) -> xr.DataArray:
    """Return the law's output at the rows of a fit, each in its own group, dims (chain, draw, run)."""
    return _law(fit.layout.only, fit.model.fixed, fit.posterior)


def loss_at_runs(fit: Fit) -> xr.DataArray:
    """Return what is expected at the rows of a fit, dims (chain, draw, run): law, discrepancy and noise that rows share."""
    law = law_at_runs(fit)
    added = sum((effect.at_rows(fit.posterior) for effect in fit.layout.only.effects), start=0.0)
    return with_effects(law, added, growth_at(fit, law))


def measured_at_runs(fit: Fit, expected: xr.DataArray, rng: np.random.Generator) -> xr.DataArray:
    """Draw what rows would measure again, given what :func:`loss_at_runs` expects: what each has to itself is new."""
    rows, noise = fit.layout.only, standard_noise(fit, expected, rng)
    scale, own_variance = row_scales(fit, growth_at(fit, law_at_runs(fit)))
    if rows.serial is None:
        return scattered(expected, (scale**2 + own_variance) ** 0.5, noise)
    along = gaussian.correlated(flat_draws(noise), rows.serial, decay_of(fit.posterior))
    correlated = noise.copy(data=along.reshape(noise.shape))
    own = standard_noise(fit, expected, rng) if bool((own_variance > 0).any()) else 0.0
    return scattered(expected, 1.0, scale * correlated + own_variance**0.5 * own)


def innovations(fit: Fit) -> tuple[xr.DataArray, xr.DataArray]:
    """Return the standardised residual of each row given the rows before it on its run, and its standard deviation.

    Where the model is right the first are independent draws of the likelihood at scale one; the second are relative errors.
    """
    rows, expected = fit.layout.only, loss_at_runs(fit)
    residual: Any = (xr.DataArray(rows.log_measured, dims="run") - np.log(expected)).transpose(*SAMPLE_DIMS, "run")
    arrays = xr.broadcast(residual, *row_scales(fit, growth_at(fit, law_at_runs(fit))))
    flat, scale, own_variance = map(flat_draws, arrays)
    decay = decay_of(fit.posterior) if rows.serial is not None else None
    z, deviation = gaussian.innovations(flat, scale, own_variance, rows.serial, decay)
    return residual.copy(data=z.reshape(residual.shape)), residual.copy(data=deviation.reshape(residual.shape))


def usual_residual(fit: Fit, prob: float) -> float:
    """Return how many standard deviations either way a row lies with a probability, where the model is right.

    >>> from bayes_scaling.posterior.examples import example_system
    >>> fit = example_system()
    >>> [round(usual_residual(fit.view(name), 0.9), 2) for name in ("curves", "noise")]
    [1.64, 2.13]
    """
    likelihood = fit.model.only.likelihood
    arguments = {name: getattr(value, "values", value) for name, value in likelihood.arguments(fit.posterior).items()}
    return float(likelihood.quantile((1 + prob) / 2, **arguments))


def log_likelihood(fit: Fit) -> xr.Dataset:
    """Return the log density of (the logarithm of) every row given the rows before it on its run, dims (chain, draw, run).

    Of several observations the variable is ``measured_{name}``, along ``run_{name}``.

    >>> from bayes_scaling.posterior.examples import example_fit
    >>> log_likelihood(example_fit())["measured"].dims
    ('chain', 'draw', 'run')
    """
    densities = {}
    for name, view in fit.views.items():
        z, deviation = innovations(view)
        likelihood, suffix = view.model.only.likelihood, fit.model.suffix(fit.model.observation(name))
        standard = likelihood.log_density(z.values, **likelihood_arguments(view, z))
        density = z.copy(data=standard) - np.log(deviation)
        densities[names.of_observation("measured", suffix)] = density.rename(run=names.of_observation("run", suffix))
    return xr.Dataset(densities)


def _law(rows: Rows, fixed: dict[str, float], draws: xr.Dataset) -> xr.DataArray:
    """Return the law's output at rows, for draws of one observation."""
    law, group = rows.observation.the_law, xr.DataArray(rows.groups.of_run, dims="run")
    parameters: dict[str, Any] = {}
    for name in law.parameters:
        if name in draws:
            value = draws[name]
            dim = rows.groups.dim if rows.groups.columns else ""
            parameters[name] = value.isel({dim: group}).drop_vars(dim, errors="ignore") if dim in value.dims else value
        elif name in fixed:
            parameters[name] = fixed[name]
    inputs = [xr.DataArray(values, dims="run") for values in rows.inputs.values()]
    return (law(*inputs, **parameters) + xr.zeros_like(draws["sigma"])).transpose(*SAMPLE_DIMS, "run")


def row_scales(fit: Fit, growth: Any) -> tuple[xr.DataArray, xr.DataArray]:
    """Return the standard deviation of each row's correlated noise, the variance of its own error, dims (chain, draw, run)."""
    return _parts(fit.layout.only, fit.posterior, growth)


def _parts(rows: Rows, draws: xr.Dataset, growth: Any) -> tuple[xr.DataArray, xr.DataArray]:
    shares = ((draws[e.scale_name] ** 2) * xr.DataArray(e.own, dims="run") for e in rows.noise)
    variance = draws["sigma"] ** 2 + sum(shares, start=0.0)
    own_variance: Any = xr.DataArray(rows.relative_error**2, dims="run") + 0.0 * draws["sigma"]
    if "nugget" in draws:
        own_variance = own_variance + (draws["nugget"] * growth) ** 2
    if rows.outliers:
        of_rows = xr.DataArray(rows.units_of_outliers, dims=("run", names.OUTLIER))
        own_variance = own_variance + xr.dot(
            draws["outlier"].drop_vars(names.OUTLIER, errors="ignore") ** 2, of_rows, dim=names.OUTLIER
        )
    return variance**0.5 * growth, own_variance


def decay_of(draws: xr.Dataset) -> gaussian.Decay:
    """Return how the correlation along a run falls in each draw."""
    share = flat_draws(draws["run_share"]) if "run_share" in draws else None
    return gaussian.Decay(flat_draws(draws["length"]), share)


def flat_draws(draws: xr.DataArray) -> np.ndarray:
    """Return draws as an array, shape (draw, ...)."""
    ordered = draws.transpose(*SAMPLE_DIMS, ...)
    return ordered.values.reshape(-1, *ordered.shape[2:])
