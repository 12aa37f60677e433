"""What a law gets wrong, as a random walk of the log loss along a quantity: where it is known, and how it goes on.

The walk has steps between knots that span the runs, evenly in decades, and is zero in the middle of them. Its value
anywhere among the runs is a sum of steps, each weighted by how much of it lies between there and the middle: the
weights depend on the design alone. Beyond the last knot it goes on by fresh steps, of which one seed always draws the
same, so that predictions of one request lie on one walk.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr

from bayes_scaling.model.specification import ModelSpec
from bayes_scaling.quantities import QUANTITIES

STEPS: Final = 8
"""Steps of a walk among the runs: eighths of the range, some quarter of a decade on a usual ladder."""
_NARROWEST: Final = 0.01
"""Decades that the knots span at the least, where all runs have the same of a quantity."""
_BEYOND: Final = np.concatenate([[0.0], np.geomspace(0.02, 20.0, 21)])
"""Knots beyond the runs, decades from the last: closer together near the runs, where the walk is asked for most."""


@dataclass(frozen=True)
class Path:
    """Where the walk along one quantity has its knots.

    Parameters
    ----------
    symbol : str
        The quantity.
    knots : ndarray
        Decades: log10 of the quantity, rising.
    origin : float
        Where the walk is zero: the mean of log10 over the runs.
    """

    symbol: str
    knots: np.ndarray
    origin: float

    @property
    def column(self) -> str:
        """Column of the quantity."""
        return QUANTITIES[self.symbol].column

    @property
    def dim(self) -> str:
        """Dimension of the steps."""
        return f"step_{self.symbol}"

    @property
    def name(self) -> str:
        """Name of the steps in a posterior."""
        return f"discrepancy_{self.symbol}"

    @property
    def scale_name(self) -> str:
        """Name of the scale in a posterior."""
        return f"discrepancy_scale_{self.symbol}"

    @property
    def widths(self) -> np.ndarray:
        """Decades between knots."""
        return np.diff(self.knots)

    @property
    def coords(self) -> dict[str, np.ndarray]:
        """Labels of the steps: the quantity at the upper knot of each."""
        return {self.dim: 10 ** self.knots[1:]}

    def weights(self, decades: Any) -> np.ndarray:
        """Return how much of each step lies between the origin and a place; beyond the last knot, all of it.

        Parameters
        ----------
        decades : array
            log10 of the quantity, any shape.

        Returns
        -------
        ndarray, one more dimension, of the steps
            Between -1 and 1.

        Examples
        --------
        >>> Path("C", np.array([0.0, 1.0, 2.0]), 1.0).weights([0.5, 2.0, 9.0]).tolist()
        [[-0.5, 0.0], [0.0, 1.0], [0.0, 1.0]]
        """
        return _shares(decades, self.knots) - _shares(self.origin, self.knots)

    def beyond(self, decades: Any) -> np.ndarray:
        """Return how far a place lies beyond the knots: decades, positive above, negative below, zero among them."""
        return np.asarray(decades) - np.clip(decades, self.knots[0], self.knots[-1])

    def design(self, table: pd.DataFrame) -> np.ndarray:
        """Return the weights of runs for steps of unit variance a decade, shape (run, step)."""
        return self.weights(np.log10(table[self.column].to_numpy(float))) * np.sqrt(self.widths)


def paths_of(spec: ModelSpec, table: pd.DataFrame) -> list[Path]:
    """Return the path of every walk of a model over a table of runs.

    Examples
    --------
    >>> from bayes_scaling.model.documents import read_model
    >>> runs = pd.DataFrame({"params": [1e8, 1e10], "tokens": [1e10, 1e12], "compute_flops": [6e18, 6e22]})
    >>> [(path.symbol, path.knots[[0, -1]].round(1).tolist()) for path in paths_of(read_model("kappa"), runs)]
    [('N', [8.0, 10.0]), ('D', [10.0, 12.0]), ('C', [18.8, 22.8])]
    """
    found = []
    for symbol in spec.discrepancy:
        decades = np.log10(table[QUANTITIES[symbol].column].to_numpy(float))
        low, high = float(decades.min()), float(decades.max())
        knots = np.linspace(low, max(high, low + _NARROWEST), STEPS + 1)
        found.append(Path(symbol, knots, float(decades.mean())))
    return found


def is_step(label: str) -> bool:
    """Whether a label of a posterior's number is a step of a walk: a logarithm of a factor, one of many.

    Examples
    --------
    >>> is_step("discrepancy_C[1e+18]"), is_step("discrepancy_scale_C"), is_step("E[a]")
    (True, False, False)
    """
    return label.startswith("discrepancy_") and "[" in label


def walk(path: Path, draws: xr.Dataset, values: xr.DataArray | float, seed: int) -> xr.DataArray:
    """Return a walk at values of its quantity, as the draws have it.

    Parameters
    ----------
    path : Path
        The path.
    draws : Dataset, dims (chain, draw, step)
        Posterior or prior with the steps and the scale of the walk.
    values : DataArray or float
        Of the quantity.
    seed : int
        Of the steps beyond the runs.

    Returns
    -------
    DataArray, dims (chain, draw, *dims of values)
        What is added to the log loss, before it grows with the loss.
    """
    decades: Any = np.log10(xr.DataArray(values))
    weights = xr.DataArray(path.weights(decades.values), dims=(*decades.dims, path.dim), coords=decades.coords)
    # Steps carry places as labels; the weights are in the same order and match by position.
    found = xr.dot(draws[path.name].drop_vars(path.dim, errors="ignore"), weights, dim=path.dim)
    distance = path.beyond(decades.values)
    if not distance.any():
        return found
    scale = draws[path.scale_name]
    for side, sign in (("above", 1.0), ("below", -1.0)):
        ahead = np.clip(sign * distance, 0.0, None)
        if ahead.any():
            rng = np.random.default_rng([seed, zlib.crc32(f"{path.symbol} {side}".encode())])
            fresh = rng.standard_normal((*scale.shape, len(_BEYOND) - 1)) * np.sqrt(np.diff(_BEYOND))
            steps = xr.DataArray(fresh, dims=(*scale.dims, path.dim)) * scale
            shares = xr.DataArray(_shares(ahead, _BEYOND), dims=(*decades.dims, path.dim), coords=decades.coords)
            found = found + xr.dot(steps, shares, dim=path.dim)
    return found


def _shares(decades: Any, knots: np.ndarray) -> np.ndarray:
    """Return how much of each step lies below a place, between nothing and all."""
    return np.clip((np.asarray(decades, dtype=float)[..., None] - knots[:-1]) / np.diff(knots), 0.0, 1.0)
