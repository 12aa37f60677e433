"""How a measured loss scatters around the law: the likelihood, as draws."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr

from bayes_scaling.elementwise import exp
from bayes_scaling.errors import InvalidModel
from bayes_scaling.model.specification import Correlation, Likelihood

PART: Final = "noise_scale_"
"""What the name of the scale of a part of the noise that rows share begins with, in a posterior."""


def scale_of(sigma: Any, relative_se: Any, level: Any = 1.0) -> Any:
    """Return the scale of the log residual: run-to-run scatter and evaluation error, in quadrature.

    Parameters
    ----------
    sigma : float or array
        Scatter of runs at the typical loss.
    relative_se : float or array
        Standard error of the evaluation over the loss.
    level : float or array
        By what factor the scatter is larger here than at the typical loss: see :func:`level_of`.

    Examples
    --------
    >>> scale_of(0.003, 0.004)
    0.005
    """
    return ((sigma * level) ** 2 + relative_se**2) ** 0.5


def level_of(expected: Any, typical: Any, growth: Any) -> Any:
    """Return by what factor scatter and discrepancy are larger where the law expects a loss than at the typical one.

    Examples
    --------
    >>> level_of(4.0, 2.0, 2.0)
    4.0
    """
    return (expected / typical) ** growth


def typical_loss(table: pd.DataFrame) -> float:
    """Return the loss at which the scatter is sigma: the geometric mean of the runs.

    Examples
    --------
    >>> round(typical_loss(pd.DataFrame({"loss": [2.0, 8.0]})), 9)
    4.0
    """
    return float(np.exp(np.log(table["loss"].to_numpy(float)).mean()))


def sigma_of_new(draws: xr.Dataset) -> xr.DataArray:
    """Return the scatter of a new run, which shares nothing with those measured: every part of the noise, in quadrature.

    Examples
    --------
    >>> draws = xr.Dataset({"sigma": 0.003, "noise_scale_recipe": 0.004})
    >>> round(float(sigma_of_new(draws)), 9)
    0.005
    """
    shared = [draws[name] for name in draws if str(name).startswith(PART)]
    return sum((scale**2 for scale in shared), start=draws["sigma"] ** 2) ** 0.5 if shared else draws["sigma"]


def measure(
    expected: xr.DataArray,
    likelihood: Likelihood,
    draws: xr.Dataset,
    rng: np.random.Generator,
    *,
    sigma: xr.DataArray | None = None,
    relative_se: xr.DataArray | float = 0.0,
    level: xr.DataArray | float = 1.0,
    along: tuple[np.ndarray, xr.DataArray | float] | None = None,
) -> xr.DataArray:
    """Draw the measured loss of new runs whose expected loss is given.

    Parameters
    ----------
    expected : DataArray, dims (chain, draw, ...)
        The law's loss.
    likelihood : Likelihood
        How losses scatter.
    draws : Dataset, dims (chain, draw)
        ``sigma``, and ``nu`` where the likelihood has one.
    rng : Generator
        Source of randomness.
    sigma : DataArray, optional
        Scatter of each at the typical loss; by default ``sigma`` of the draws.
    relative_se : DataArray or float
        Standard error of the evaluation over the loss.
    level : DataArray or float
        As for :func:`scale_of`.
    along : tuple of ndarray and DataArray, optional
        The row before each along its run, and the share of its noise that each keeps, where rows go together.

    Returns
    -------
    DataArray, dims as ``expected``
        One measured loss for each expected one, in the same unit.
    """
    noise = xr.DataArray(rng.standard_normal(expected.shape), dims=expected.dims, coords=expected.coords)
    if along is not None:
        before, kept = along
        noise = noise.copy(
            data=correlated(noise.values, before, (kept + xr.zeros_like(noise)).transpose(*noise.dims).values)
        )
    if likelihood.dist == "StudentT":
        nu: Any = draws.get("nu", likelihood.nu)
        chi2 = rng.chisquare((nu + xr.zeros_like(expected)).transpose(*expected.dims).values)
        noise = noise * (nu / xr.zeros_like(expected).copy(data=chi2)) ** 0.5
    with np.errstate(over="ignore"):  # a very heavy tail may draw a run that failed altogether
        return expected * np.exp(scale_of(draws["sigma"] if sigma is None else sigma, relative_se, level) * noise)


def standardized(loss: Any, expected: Any, sigma: Any, relative_se: Any, level: Any = 1.0) -> Any:
    """Return how many scales a measured loss lies above the expected one, on the log scale.

    Examples
    --------
    >>> round(float(standardized(2.02, 2.0, 0.01, 0.0)), 3)
    0.995
    """
    return (np.log(loss) - np.log(expected)) / scale_of(sigma, relative_se, level)


def relative_se(table: pd.DataFrame, measured: str = "loss") -> np.ndarray:
    """Return each row's standard error over what was measured, zero where the table has none.

    Examples
    --------
    >>> relative_se(pd.DataFrame({"loss": [2.0, 4.0], "loss_se": [0.01, None]}))
    array([0.005, 0.   ])
    """
    error = f"{measured}_se"
    if error not in table:
        return np.zeros(len(table))
    return (table[error] / table[measured]).fillna(0.0).to_numpy(float)


def typical_error(errors: np.ndarray) -> float:
    """Return the evaluation error a new run would have: the median of those that are stated, zero where none is.

    Examples
    --------
    >>> typical_error(np.array([0.0, 0.01, 0.03]))
    0.02
    """
    known = errors[errors > 0]
    return float(np.median(known)) if known.size else 0.0


def neighbours(table: pd.DataFrame, correlation: Correlation) -> tuple[np.ndarray, np.ndarray]:
    """Return for each row the row before it along its run, and how far in the logarithm.

    Parameters
    ----------
    table : DataFrame
        Points along runs.
    correlation : Correlation
        Along which column, and which column tells runs apart.

    Returns
    -------
    tuple of ndarray
        Position of the row before, -1 where there is none; the distance, one where there is none. A row that does not say
        its run, or its place, goes with no other.

    Raises
    ------
    InvalidModel
        If two rows of a run lie at one place.

    Examples
    --------
    >>> from bayes_scaling.model.priors import Prior
    >>> length = Prior(dist="LogNormal", mu=0.0, sigma=1.0)
    >>> points = pd.DataFrame({"run_id": ["a", "b", "a"], "steps": [20.0, 5.0, 10.0]})
    >>> before, distance = neighbours(points, Correlation(length=length))
    >>> before.tolist(), distance.round(3).tolist()
    ([2, -1, -1], [0.693, 1.0, 1.0])
    """
    along = table[correlation.along].to_numpy(float)
    before, distance = np.full(len(table), -1), np.ones(len(table))
    known = table[correlation.by].notna() & (table[correlation.by].map(str) != "") & np.isfinite(along)
    rows_of = np.flatnonzero(known.to_numpy())
    for label, members in table.iloc[rows_of].groupby(correlation.by, sort=False).indices.items():
        rows = rows_of[members]
        ordered = rows[np.argsort(along[rows], kind="stable")]
        apart = np.diff(np.log(along[ordered]))
        if (apart <= 0).any():
            raise InvalidModel(
                f"Two rows of run {label!r} have {correlation.along} {along[ordered[:-1][apart <= 0][0]]:g}: points of one run at one place "
                f"measure the same. Keep one of them."
            )
        before[ordered[1:]] = ordered[:-1]
        distance[ordered[1:]] = apart
    return before, distance


def uncorrelated(values: Any, before: Any, kept: Any) -> Any:
    """Return what the row before it on its run leaves unsaid of each row, variance 1 - kept^2 where values had one.

    Parameters
    ----------
    values : array
        Rows along the last dimension, in units of their scale.
    before, kept : array
        What :func:`neighbours` and :func:`kept_from_before` returned.

    Examples
    --------
    >>> uncorrelated(np.array([1.0, 0.9]), np.array([0, 0]), np.array([0.0, 0.5])).tolist()
    [1.0, 0.4]
    """
    return values - kept * values[..., before]


def correlated(noise: np.ndarray, before: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Return standard noise that goes together along runs, from noise that does not.

    Parameters
    ----------
    noise : ndarray
        Independent, of variance one; rows along the last dimension.
    before : ndarray
        What :func:`neighbours` returned.
    kept : ndarray, shape as ``noise``
        What :func:`kept_from_before` returned.

    Examples
    --------
    >>> correlated(np.array([1.0, 0.0]), np.array([-1, 0]), np.array([0.0, 0.6])).tolist()
    [1.0, 0.6]
    """
    found, left = noise.copy(), list(range(len(before)))
    done: set[int] = {-1}
    while left:
        for row in [r for r in left if before[r] in done]:
            if before[row] >= 0:
                share = kept[..., row]
                found[..., row] = share * found[..., before[row]] + (1 - share**2) ** 0.5 * noise[..., row]
            done.add(row)
        left = [r for r in left if r not in done]
    return found


def kept_from_before(before: Any, distance: Any, length: Any) -> Any:
    """Return the share of the residual before it that each row keeps, zero for the first of a run.

    Examples
    --------
    >>> kept_from_before(np.array([-1, 0]), np.array([1.0, np.log(2)]), 1.0).tolist()
    [0.0, 0.5]
    """
    return exp(-distance / length) * (before >= 0).astype(float)
