"""From a fit to losses: the mean loss, a new run's measured loss, and how far beyond the data they are."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from functools import singledispatch
from typing import Any, Final

import numpy as np
import xarray as xr

from bayes_scaling.elementwise import exp
from bayes_scaling.errors import BeyondMachine, OutOfRange
from bayes_scaling.files import memory
from bayes_scaling.model import names
from bayes_scaling.model.effects import along
from bayes_scaling.model.grouping import effects_at, member
from bayes_scaling.model.layout import Rows
from bayes_scaling.model.names import SAMPLE_DIMS
from bayes_scaling.model.noise import standard_deviation, typical_error, variance_function
from bayes_scaling.model.reference import law_parameters
from bayes_scaling.posterior.extrapolation import reach
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.inputs import admit, input_arrays

INTERVAL_COLUMNS: Final = ("median", "lower", "upper", "mean_lower", "mean_upper")
"""The two intervals of a prediction: a new run's measured loss, and the expected one."""
REACHES: Final = ("params", "tokens", "compute_flops")
_COPIES: Final = 10
"""Arrays of a number for each draw and run that a prediction and its intervals hold at a time."""
_SHARE_OF_MEMORY: Final = 0.5


@singledispatch
def predict(fit: Fit, *, group: Mapping[str, str] | None = None, seed: int = 0, **inputs: Any) -> xr.Dataset:
    """Predict the loss of runs, as draws from the posterior.

    Parameters
    ----------
    fit : Fit or Mixture
        What to predict from; the draws of a mixture have a coordinate ``form``, the name of their fit.
    group : mapping, optional
        Label of the run in each grouping column of the model, such as ``{"corpus": "C4"}``. A label that
        is left out, or that the fit has not seen, means a group nobody has trained: its parameters are
        drawn from the population, and a warning says so.
    seed : int
        Of the measurement noise and of new groups. Two calls with one seed draw the same noise: which of two runs measures less is
        told by both in one call, or by different seeds.
    **inputs : float, sequence or DataArray
        Columns of the run: ``params``, ``tokens``, ``compute_flops`` or what else the law takes; what
        C = 6 N D gives may be left out, and compute then becomes what the runs of the fit count it as. Sequences are runs,
        one an entry, along a dimension ``query``; DataArrays keep their dimensions and broadcast by name.

    Returns
    -------
    Dataset, dims ``(chain, draw, *input dims)``
        ``law_loss``, the law's alone; ``expected_loss``, with model discrepancy where the model has one;
        ``measured_loss``, what a new run would measure, with residual noise and evaluation error. Coordinates: the
        inputs, and ``reach_params``, ``reach_tokens``, ``reach_compute_flops``: decades beyond the data, positive above
        the largest run, negative below the smallest, zero between.

    Raises
    ------
    InvalidRequest
        If an input is missing, unknown or not a positive number, or the group is not one of the model's.

    Warns
    -----
    NotConvergedWarning
        If the fit failed a convergence check.
    NewGroupWarning
        If the group is one the fit has not seen.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> prediction = predict(example_fit(), params=7e10, tokens=1.4e12)
    >>> prediction["expected_loss"].dims
    ('chain', 'draw')
    >>> round(float(prediction.reach_compute_flops), 1)
    1.7
    """
    return predict_at(fit, input_arrays(fit, inputs), group=admit(fit, group or {}, seed), seed=seed)


def predict_at(fit: Fit, columns: Mapping[str, Any], *, group: Mapping[str, str], seed: int = 0) -> xr.Dataset:
    """Predict for inputs and a group that have been checked; what :func:`predict` returns."""
    sizes = {dim: size for values in columns.values() for dim, size in getattr(values, "sizes", {}).items()}
    refuse_too_many(fit, math.prod(sizes.values()))
    law = law_loss(fit, columns, group=group, seed=seed)
    growth = growth_at(fit, law)
    added = along(fit.discrepancy_paths(group, seed), fit.draws, columns)
    expected = with_effects(law, added, growth)
    measured = measured_anew(fit, expected, noise_generator(group, seed), growth=growth)
    axes = [c for c in dict.fromkeys((*REACHES, *fit.model.only.columns.values())) if c in columns and c in fit.table]
    label = ", ".join(f"{column}={value}" for column, value in group.items())
    return xr.Dataset(
        {"law_loss": law, "expected_loss": expected, "measured_loss": measured},
        coords=sample_coords(fit)
        | dict(columns)
        | {f"reach_{column}": reach(fit, column, columns[column]) for column in axes},
        attrs={"loss_unit": fit.loss_unit, "verdict": fit.verdict, "group": label},
    )


def refuse_too_many(fit: Fit, runs: int) -> None:
    """Refuse runs whose predictions would not fit into the memory of this machine.

    >>> from bayes_scaling.posterior.examples import example_fit
    >>> refuse_too_many(example_fit(), 10**12)
    Traceback (most recent call last):
    ...
    bayes_scaling.errors.BeyondMachine: Predictions of 1,000,000,000,000 runs by 400 draws take about 3.2e+07 GB, ...
    """
    draws = math.prod(fit.posterior.sizes[dim] for dim in SAMPLE_DIMS)
    needed, most = 8.0 * _COPIES * draws * runs, _SHARE_OF_MEMORY * memory()
    if needed > most:
        raise BeyondMachine(
            f"Predictions of {runs:,} runs by {draws:,} draws take about {needed / 1e9:.2g} GB, this machine allows {most / 1e9:.2g} GB: "
            f"predict some {max(1, int(runs * most / needed)):,} at a time, or use a thinned fit (fit.thinned)."
        )


def sample_coords(fit: Fit) -> dict[str, Any]:
    """Return the coordinates of chains and draws, as the posterior has them."""
    return {name: fit.posterior.coords[name] for name in SAMPLE_DIMS if name in fit.posterior.coords}


def noise_generator(group: Mapping[str, str], seed: int) -> np.random.Generator:
    """Return what draws the residual noise of new runs of a group: one seed and group always draw the same."""
    return np.random.default_rng([seed, zlib.crc32(repr(sorted(group.items())).encode())])


def measured_anew(
    fit: Fit, expected: xr.DataArray, rng: np.random.Generator, *, growth: xr.DataArray | float = 1.0
) -> xr.DataArray:
    """Draw what new runs measure whose expected losses are given, dims as these: every component of the noise is new."""
    scale = standard_deviation(new_run_sd(fit), own_sd(fit, growth), growth)
    return scattered(expected, scale, standard_noise(fit, expected, rng))


def standard_noise(fit: Fit, like: xr.DataArray, rng: np.random.Generator) -> xr.DataArray:
    """Draw residuals of the likelihood at scale one, dims as ``like``."""
    return like.copy(data=fit.model.only.likelihood.standard(rng, like.shape, **likelihood_arguments(fit, like)))


def likelihood_arguments(fit: Fit, like: xr.DataArray) -> dict[str, np.ndarray]:
    """Return the likelihood's arguments beside location and scale, of the shape of draws."""
    arguments = fit.model.only.likelihood.arguments(fit.draws)
    return {name: (value + xr.zeros_like(like)).transpose(*like.dims).values for name, value in arguments.items()}


def scattered(expected: Any, scale: Any, noise: Any) -> Any:
    """Return measured losses for expected ones, standard deviations and standard noise."""
    # A very heavy tail may draw a run that failed altogether; beside a walk that no loss survives it measures nothing.
    with np.errstate(over="ignore", invalid="ignore"):
        return expected * exp(scale * noise)


def new_run_sd(fit: Fit) -> xr.DataArray:
    """Return the residual standard deviation of a new run, which shares nothing with those measured, at the typical loss.

    Its own error is no part of it: see :func:`own_sd`.
    """
    draws = fit.draws
    parts = [draws[effect.scale_name] for effect in fit.layout.only.noise]
    return sum((part**2 for part in parts), start=draws["sigma"] ** 2) ** 0.5 if parts else draws["sigma"]


def own_sd(fit: Fit, growth: Any, error: Any | None = None) -> Any:
    """Return the standard deviation of a row's own error where the noise is larger by a factor: its nugget and standard error.

    The standard error is that of a new run by default.
    """
    return standard_deviation(fit.draws.get("nugget", 0.0), typical_relative_se(fit) if error is None else error, growth)


def law_loss(fit: Fit, columns: Mapping[str, Any], *, group: Mapping[str, str] | None = None, seed: int = 0) -> xr.DataArray:
    """Return the law's loss for inputs and a group that have been checked, dims ``(chain, draw, *input dims)``."""
    only = fit.model.only
    loss = only.the_law(*(columns[c] for c in only.columns.values()), **parameters_in(fit, group or {}, seed=seed))
    if "chain" not in getattr(loss, "dims", ()):
        loss = loss * xr.ones_like(fit.draws["sigma"])  # every parameter is fixed: each draw has the same
    return loss.transpose(*SAMPLE_DIMS, ...)


def growth_at(fit: Fit, law: xr.DataArray) -> xr.DataArray | float:
    """Return the variance function where the law expects a loss: by what factor noise and discrepancy are larger there."""
    return growth_where(fit.layout.only, fit.draws, law)


def growth_where(rows: Rows, draws: xr.Dataset, law: Any) -> Any:
    """Return the variance function of an observation for draws of it."""
    return variance_function(law, rows.typical, draws["growth"], draws.get("floor")) if "growth" in draws else 1.0


def parameters_in(fit: Fit, group: Mapping[str, str], *, seed: int = 0) -> dict[str, Any]:
    """Return the published parameters of the law in one group, dims (chain, draw); a fixed one is a plain number."""
    model, draws = fit.model, fit.draws
    values = {}
    for name in model.priors:
        effects = effects_at(model.parameters[name].varies_by, name, group, draws, seed)
        values[name] = member(draws[names.centre(name, draws)], effects)
    return law_parameters(model.only.the_law, model, values, fit.reference)


def intervals(prediction: xr.Dataset, prob: float = 0.9) -> xr.Dataset:
    """Return the intervals of a prediction.

    Parameters
    ----------
    prediction : Dataset, dims (chain, draw, ...)
        What :func:`predict` returned.
    prob : float
        Probability of the equal-tailed intervals.

    Returns
    -------
    Dataset, input dims
        ``median``, ``lower``, ``upper`` of a new run's measured loss; ``mean_lower``, ``mean_upper`` of
        the mean loss; attribute ``prob``.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> bounds = intervals(predict(example_fit(), params=7e10, tokens=1.4e12), prob=0.9)
    >>> bool(bounds["lower"] < bounds["mean_lower"] < bounds["median"] < bounds["mean_upper"] < bounds["upper"])
    True
    """
    measured, expected = interval(prediction["measured_loss"], prob), interval(prediction["expected_loss"], prob)
    return xr.Dataset(
        dict(zip(INTERVAL_COLUMNS, (*measured, *expected[1:]), strict=True)),
        coords={name: c for name, c in prediction.coords.items() if not {*c.dims} & {*SAMPLE_DIMS}},
        attrs={**prediction.attrs, "prob": prob},
    )


def interval(draws: xr.DataArray, prob: float) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray]:
    """Return median, lower and upper end of the equal-tailed interval of probability ``prob``.

    >>> draws = xr.DataArray(np.arange(101.0)[None], dims=("chain", "draw"))
    >>> [round(float(x), 6) for x in interval(draws, 0.9)]
    [50.0, 5.0, 95.0]
    """
    dims = [dim for dim in SAMPLE_DIMS if dim in draws.dims]
    gaps = bool(draws.isnull().any())  # looking for them in each of many runs takes twenty times as long
    median, lower, upper = (
        draws.quantile(quantiles(prob), dim=dims, skipna=gaps).drop_vars("quantile").transpose("quantile", ...)
    )
    return median, lower, upper


def quantiles(prob: float) -> list[float]:
    """Return the quantiles of an equal-tailed interval: middle, lower and upper end.

    >>> quantiles(0.5)
    [0.5, 0.25, 0.75]
    """
    if not 0 < prob < 1:
        raise OutOfRange(f"The probability of an interval is {prob:g}: it has to lie between 0 and 1, say 0.9.")
    return [0.5, (1 - prob) / 2, (1 + prob) / 2]


def typical_relative_se(fit: Fit) -> float:
    """Return the relative standard error a new run would have: the median over the runs that state one."""
    return typical_error(fit.layout.only.relative_error)


def inside(loss: Any, lower: Any, upper: Any) -> Any:
    """Return whether losses lie inside their intervals, ends included."""
    return (lower <= loss) & (loss <= upper)


def with_effects(law: Any, added: Any, growth: Any) -> Any:
    """Return a law's loss with what effects add to its logarithm."""
    with np.errstate(over="ignore"):  # a prior may draw a walk that no loss survives
        return law * exp(added * growth)
