"""How many independent draws those of a posterior are worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pandas as pd
import xarray as xr

from bayes_scaling.model.names import SAMPLE_DIMS
from bayes_scaling.numerics import normal_scores

KINDS: Final = ("bulk", "tail")
"""Of the ranks, and of the shares of the draws below the 5 % and above the 95 % quantile, the smaller (Vehtari et al. 2021)."""
_TAIL: Final = 0.05
_FEWEST: Final = 4


def effective_sizes(
    draws: xr.Dataset, statistics: xr.Dataset, kinds: Sequence[str] = KINDS
) -> dict[str, dict[str, np.ndarray]]:
    """Return effective sample sizes of each kind, of every variable.

    Walkers do not depend on each other, but the draws of one do: their means say by how much the mean of all varies. Of chains
    the autocorrelation says it.

    Parameters
    ----------
    draws : Dataset, dims (chain, draw, ...)
        A posterior.
    statistics : Dataset, dims (chain, draw)
        Its ``sample_stats``: where they have ``walker``, the draws are those of walkers.
    kinds : sequence of str
        ``"bulk"``, ``"tail"`` and ``"mean"``.

    Returns
    -------
    dict
        Kind to variable to array, of the variable's shape without chain and draw; empty of fewer than four draws a chain. It is
        no number where a variable never changes.

    Examples
    --------
    >>> same = xr.DataArray([[1.0, 1.0, 5.0, 5.0, 2.0, 2.0, 4.0, 4.0]], dims=("chain", "draw"))
    >>> walker = xr.DataArray([[0, 0, 1, 1, 2, 2, 3, 3]], dims=("chain", "draw"))
    >>> sizes = effective_sizes(same.to_dataset(name="x"), walker.to_dataset(name="walker"), ["mean"])
    >>> float(sizes["mean"]["x"])  # each walker stood still, so that 8 draws are worth 4 less one
    3.0
    """
    if draws.sizes["draw"] < _FEWEST:
        return {}
    if "walker" not in statistics:
        import arviz_stats  # a second of imports that only draws of NUTS need

        return {
            kind: {str(name): array.values for name, array in arviz_stats.ess(draws, method=kind).data_vars.items()}
            for kind in kinds
        }
    walkers = statistics["walker"].transpose(*SAMPLE_DIMS).values.ravel()
    every = {str(name): array.transpose(*SAMPLE_DIMS, ...).values for name, array in draws.data_vars.items()}
    return {
        kind: {
            name: of_walkers(values.reshape(len(walkers), -1), walkers, kind).reshape(values.shape[2:])
            for name, values in every.items()
        }
        for kind in kinds
    }


def smallest(sizes: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Return the smallest of each variable."""
    return {name: float(np.min(of_it)) for name, of_it in sizes.items()}


def of_walkers(draws: np.ndarray, walkers: np.ndarray, kind: str) -> np.ndarray:
    """Return the effective size of each column of draws, shape (draw, variable), of which those of a walker are beside each other."""
    if kind == "mean":
        return _of_mean(draws, walkers)
    if kind == "bulk":
        return _of_mean(normal_scores(pd.DataFrame(draws).rank().to_numpy(), len(draws)), walkers)
    low, high = np.quantile(draws, (_TAIL, 1 - _TAIL), axis=0)
    return np.minimum(*(_of_mean(beyond.astype(float), walkers) for beyond in (draws <= low, draws >= high)))


def _of_mean(values: np.ndarray, walkers: np.ndarray) -> np.ndarray:
    """Return the variance of draws over that of their mean: values has shape (draw, variable)."""
    first = np.flatnonzero(np.append(True, walkers[1:] != walkers[:-1]))
    away = values - values.mean(axis=0)
    sums = np.add.reduceat(away, first, axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        of_mean = (sums**2).sum(axis=0) / len(values) ** 2 * len(first) / (len(first) - 1)
        return np.minimum((away**2).mean(axis=0) / of_mean, len(values))
