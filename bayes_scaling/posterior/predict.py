"""From a fit to losses: the expected loss, a new run's measured loss, and how far beyond the data they are."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import xarray as xr

from bayes_scaling.errors import InvalidRequest
from bayes_scaling.model.discrepancy import paths_of, walk
from bayes_scaling.model.grouping import effects_at, member
from bayes_scaling.model.reference import law_parameters
from bayes_scaling.model.scatter import (
    level_of,
    measure,
    relative_se,
    sigma_of_new,
    typical_error,
    typical_loss,
)
from bayes_scaling.model.sharing import kept_at_runs, own_sigma, shared_at_runs, sharings_of
from bayes_scaling.posterior.extrapolation import reach
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.inputs import admit, input_arrays

SAMPLE_DIMS: Final = ("chain", "draw")
"""The dimensions of draws: everything else is what was asked about."""
INTERVAL_COLUMNS: Final = ("median", "lower", "upper", "mean_lower", "mean_upper")
"""The two intervals of a prediction: a new run's measured loss, and the law's expected one."""
REACHES: Final = ("params", "tokens", "compute_flops")


def predict(fit: Fit, *, group: Mapping[str, str] | None = None, seed: int = 0, **inputs: Any) -> xr.Dataset:
    """Predict the loss of runs, as draws from the posterior.

    Parameters
    ----------
    fit : Fit
        The fit.
    group : mapping, optional
        Label of the run in each grouping column of the model, such as ``{"corpus": "C4"}``. A label that
        is left out, or that the fit has not seen, means a group nobody has trained: its parameters are
        drawn from the population, and a warning says so.
    seed : int
        Of the measurement noise and of new groups.
    **inputs : float, sequence or DataArray
        Columns of the run: ``params``, ``tokens``, ``compute_flops`` or what else the law takes; what
        C = 6 N D gives may be left out. Sequences are runs, one an entry, along a dimension ``query``;
        DataArrays keep their dimensions and broadcast by name.

    Returns
    -------
    Dataset, dims (chain, draw, *input dims)
        ``law_loss``, the law's alone; ``expected_loss``, with what the law gets wrong there where the model has a
        discrepancy; ``measured_loss``, what a new run would measure, with its scatter and evaluation error. Coordinates: the inputs, and ``reach_params``, ``reach_tokens``,
        ``reach_compute_flops``: decades beyond the data, positive above the largest run, negative below
        the smallest, zero between.

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
    law = law_loss(fit, columns, group=group, seed=seed)
    level = level_at(fit, law)
    expected = _with_discrepancy(law, discrepancy(fit, columns, seed=seed), level)
    rng = np.random.default_rng([seed, zlib.crc32(repr(sorted(group.items())).encode())])
    measured = measured_anew(fit, expected, rng, level=level)
    coords = dict(columns) | {f"reach_{column}": reach(fit, column, columns[column]) for column in _reached(fit, columns)}
    return xr.Dataset(
        {"law_loss": law, "expected_loss": expected, "measured_loss": measured},
        coords=coords,
        attrs={"loss_unit": fit.loss_unit, "verdict": fit.verdict, "group": _said(group)},
    )


def measured_anew(
    fit: Fit, expected: xr.DataArray, rng: np.random.Generator, *, level: xr.DataArray | float = 1.0
) -> xr.DataArray:
    """Draw what new runs measure whose expected losses are given: every part of the noise is new.

    Parameters
    ----------
    fit : Fit
        The fit.
    expected : DataArray, dims (chain, draw, ...)
        Expected losses.
    rng : Generator
        Source of randomness.
    level : DataArray or float
        What :func:`level_at` returned.

    Returns
    -------
    DataArray, dims as ``expected``
        Measured losses.
    """
    sigma, error = sigma_of_new(fit.posterior), typical_relative_se(fit)
    return measure(expected, fit.spec.likelihood, fit.posterior, rng, sigma=sigma, relative_se=error, level=level)


def law_loss(fit: Fit, columns: Mapping[str, Any], *, group: Mapping[str, str] | None = None, seed: int = 0) -> xr.DataArray:
    """Return the law's loss for trusted inputs: the law, called on the posterior.

    Parameters
    ----------
    fit : Fit
        The fit.
    columns : mapping
        A number or DataArray for every column the law takes.
    group : mapping, optional
        Labels, as for :func:`predict`; nothing is warned about.
    seed : int
        Of new groups: one seed and label are one new group, whatever else is asked for.

    Returns
    -------
    DataArray, dims (chain, draw, *input dims)
        Expected loss, in the fit's unit.
    """
    law, parameters = fit.spec.the_law, parameters_in(fit, group or {}, seed=seed)
    loss = law(*(columns[column] for column in fit.spec.columns.values()), **parameters)
    if "chain" not in getattr(loss, "dims", ()):
        loss = loss * xr.ones_like(fit.posterior["sigma"])  # every parameter is fixed: each draw says the same
    return loss.transpose(*SAMPLE_DIMS, ...)


def discrepancy(fit: Fit, columns: Mapping[str, Any], *, seed: int = 0) -> xr.DataArray | float:
    """Return what the law gets wrong: the sum of the walks of the model, added to the log loss at its typical level.

    Parameters
    ----------
    fit : Fit
        The fit.
    columns : mapping
        A number or DataArray for every quantity that the model has a walk along.
    seed : int
        Of what lies beyond the runs: one seed is one walk for each draw, whatever else is asked for.

    Returns
    -------
    DataArray, dims (chain, draw, *input dims), or 0.0
        Zero where the model has no discrepancy.
    """
    paths = paths_of(fit.spec, fit.runs)
    return sum((walk(path, fit.posterior, columns[path.column], seed) for path in paths), start=0.0)


def level_at(fit: Fit, law: xr.DataArray) -> xr.DataArray | float:
    """Return by what factor scatter and discrepancy are larger than at the typical loss, where the law expects a loss."""
    posterior = fit.posterior
    return level_of(law, typical_loss(fit.runs), posterior["growth"]) if "growth" in posterior else 1.0


def parameters_in(fit: Fit, group: Mapping[str, str], *, seed: int = 0) -> dict[str, Any]:
    """Return the published parameters of the law in one group.

    Returns
    -------
    dict of str to DataArray, dims (chain, draw)
        One for each parameter; a fixed one is a plain number.
    """
    spec, draws = fit.spec, fit.posterior
    values = {}
    for name, parameter in spec.parameters.items():
        if parameter.prior is None:
            continue
        if parameter.varies_by:
            values[name] = member(draws[f"{name}_population"], effects_at(spec, name, group, draws, seed))
        else:
            moved = f"{name}_at_reference"
            values[name] = draws[moved if moved in draws else name]
    return law_parameters(spec.the_law, spec, values, fit.reference)


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
        the law's expected loss; attribute ``prob``.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> found = intervals(predict(example_fit(), params=7e10, tokens=1.4e12), prob=0.9)
    >>> bool(found["lower"] < found["mean_lower"] < found["median"] < found["mean_upper"] < found["upper"])
    True
    """
    measured, expected = interval(prediction["measured_loss"], prob), interval(prediction["expected_loss"], prob)
    return xr.Dataset(
        dict(zip(INTERVAL_COLUMNS, (*measured, *(bound for i, bound in enumerate(expected) if i)), strict=True)),
        coords={name: c for name, c in prediction.coords.items() if not {*c.dims} & {*SAMPLE_DIMS}},
        attrs={**prediction.attrs, "prob": prob},
    )


def interval(draws: xr.DataArray, prob: float) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray]:
    """Return median, lower and upper end of the equal-tailed interval of probability ``prob``.

    Raises
    ------
    InvalidRequest
        If ``prob`` is no probability strictly between 0 and 1.

    Examples
    --------
    >>> draws = xr.DataArray(np.arange(101.0)[None], dims=("chain", "draw"))
    >>> [round(float(x), 6) for x in interval(draws, 0.9)]
    [50.0, 5.0, 95.0]
    """
    dims = [dim for dim in SAMPLE_DIMS if dim in draws.dims]
    found = draws.quantile(levels(prob), dim=dims).drop_vars("quantile")
    median, lower, upper = (found.isel(quantile=i) for i in range(3))
    return median, lower, upper


def levels(prob: float) -> list[float]:
    """Return the quantiles of an equal-tailed interval: middle, lower and upper end.

    Examples
    --------
    >>> levels(0.5)
    [0.5, 0.25, 0.75]
    """
    if not 0 < prob < 1:
        raise InvalidRequest(f"The probability of an interval is {prob:g}: it has to lie between 0 and 1, say 0.9.")
    return [0.5, (1 - prob) / 2, (1 + prob) / 2]


def typical_relative_se(fit: Fit) -> float:
    """Return the evaluation error a new run would have: the median over the runs that state one."""
    return typical_error(relative_se(fit.runs))


def inside(loss: Any, lower: Any, upper: Any) -> Any:
    """Return whether losses lie inside their intervals, ends included.

    Examples
    --------
    >>> inside(np.array([1.0, 2.0, 3.0]), 1.0, 2.5).tolist()
    [True, True, False]
    """
    return (lower <= loss) & (loss <= upper)


def measured_at_runs(fit: Fit, expected: xr.DataArray, rng: np.random.Generator) -> xr.DataArray:
    """Draw what the runs of a fit would measure again: the noise that rows share stays, what each has to itself is new.

    Parameters
    ----------
    fit : Fit
        The fit.
    expected : DataArray, dims (chain, draw, run)
        What :func:`loss_at_runs` returned.
    rng : Generator
        Source of randomness.

    Returns
    -------
    DataArray, dims (chain, draw, run)
        Measured losses.
    """
    errors = xr.DataArray(relative_se(fit.runs), dims="run")
    level = level_at(fit, law_at_runs(fit))
    sigma = own_sigma(sharings_of(fit.spec, fit.runs), fit.posterior)
    along = kept_at_runs(fit.spec, fit.runs, fit.posterior) if fit.spec.correlation is not None else None
    return measure(
        expected, fit.spec.likelihood, fit.posterior, rng, sigma=sigma, relative_se=errors, level=level, along=along
    )


def loss_at_runs(fit: Fit) -> xr.DataArray:
    """Return the expected loss at the runs of the fit: the law's, with what it gets wrong there and the noise that rows share.

    Returns
    -------
    DataArray, dims (chain, draw, run)
        Expected loss.
    """
    law, table = law_at_runs(fit), fit.runs
    columns = {
        path.column: xr.DataArray(table[path.column].to_numpy(float), dims="run") for path in paths_of(fit.spec, table)
    }
    shared = shared_at_runs(sharings_of(fit.spec, table), fit.posterior)
    return _with_discrepancy(law, discrepancy(fit, columns) + shared, level_at(fit, law))


def law_at_runs(fit: Fit) -> xr.DataArray:
    """Return the law's loss at the runs of the fit, each in its own group.

    Returns
    -------
    DataArray, dims (chain, draw, run)
        The law's loss.
    """
    columns = fit.spec.columns.values()
    parts = []
    for number in range(max(1, len(fit.groups.cells))):
        rows = np.flatnonzero(fit.groups.of_run == number)
        group = dict(fit.groups.cells.iloc[number]) if fit.groups.columns else {}
        at = {c: xr.DataArray(fit.runs[c].to_numpy(float)[rows], dims="run", coords={"run": rows}) for c in columns}
        parts.append(law_loss(fit, at, group=group))
    return xr.concat(parts, dim="run").sortby("run")


def _with_discrepancy(law: xr.DataArray, added: Any, level: Any) -> xr.DataArray:
    with np.errstate(over="ignore"):  # a prior may draw a walk that no loss survives
        return law * np.exp(added * level)


def _said(label: Mapping[str, str]) -> str:
    return ", ".join(f"{column}={value}" for column, value in label.items())


def _reached(fit: Fit, arrays: Mapping[str, Any]) -> list[str]:
    measured = fit.runs
    wanted = [*REACHES, *(c for c in fit.spec.columns.values() if c not in REACHES)]
    return [column for column in wanted if column in arrays and column in measured]
