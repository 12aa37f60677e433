"""Noise that rows share: repeats of one recipe, points along one run; which rows they are, and what each adds.

The scatter of a new run is a sum of Normal parts, each with a name and a scale of its own. Rows that share a label
share the effect of the part it belongs to; a row alone with its label has it in its own scatter. What is left goes
together along a run, where a table has points of one. A part that no two rows share cannot be told from the rest of
the scatter, and leaves the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_scaling.model.grouping import label_of
from bayes_scaling.model.scatter import PART, kept_from_before, neighbours
from bayes_scaling.model.specification import ModelSpec


@dataclass(frozen=True)
class Sharing:
    """Which rows share a part of the noise.

    Parameters
    ----------
    name : str
        The part.
    labels : tuple of str
        Labels of two or more rows.
    of_run : ndarray of int
        Which of the labels each row has; -1 where it is alone with its own.
    """

    name: str
    labels: tuple[str, ...]
    of_run: np.ndarray

    @property
    def dim(self) -> str:
        """Dimension of the labels."""
        return f"shared_{self.name}"

    @property
    def effect_name(self) -> str:
        """Name of the effects in a posterior: logarithms of factors, at the typical loss."""
        return f"noise_effect_{self.name}"

    @property
    def scale_name(self) -> str:
        """Name of the scale in a posterior."""
        return f"{PART}{self.name}"

    @property
    def coords(self) -> dict[str, np.ndarray]:
        """The labels."""
        return {self.dim: np.array(self.labels, dtype=str)}

    @property
    def alone(self) -> np.ndarray:
        """One for a row that is alone with its label, zero for one that shares it."""
        return (self.of_run < 0).astype(float)

    @property
    def design(self) -> np.ndarray:
        """What each label adds to each row, shape (run, label): one or nothing."""
        return (self.of_run[:, None] == np.arange(len(self.labels))).astype(float)

    def at_runs(self, draws: xr.Dataset) -> xr.DataArray:
        """Return the effect each row shares, nothing where it is alone, dims (chain, draw, run)."""
        which = xr.DataArray(np.maximum(self.of_run, 0), dims="run")
        found = draws[self.effect_name].isel({self.dim: which}).drop_vars(self.dim)
        return found * xr.DataArray(1.0 - self.alone, dims="run")


def sharing_of(name: str, by: Sequence[str], table: pd.DataFrame) -> Sharing:
    """Find which rows share a part.

    Parameters
    ----------
    name : str
        The part.
    by : sequence of str
        Columns that make up a label; those that the table lacks are passed over. A row that lacks a cell of one is alone.
    table : DataFrame
        The runs.

    Examples
    --------
    >>> runs = pd.DataFrame({"run_id": ["a", "b", "a", None], "loss": [3.0, 2.9, 2.8, 2.7]})
    >>> found = sharing_of("run", ["run_id", "lr"], runs)
    >>> found.labels, found.of_run.tolist()
    (('a',), [0, -1, 0, -1])
    """
    columns = [column for column in by if column in table and table[column].notna().any()]
    if not columns:
        return Sharing(name, (), np.full(len(table), -1))
    there = table[columns].notna() & (table[columns].map(str) != "")
    labels = table[columns].map(label_of).agg(", ".join, axis=1).where(there.all(axis=1))
    counts = labels.value_counts(sort=False)
    shared = [str(label) for label in counts.index[counts > 1]]
    number = {label: n for n, label in enumerate(shared)}
    return Sharing(name, tuple(shared), np.array([number.get(label, -1) for label in labels]))


def sharings_of(spec: ModelSpec, table: pd.DataFrame) -> list[Sharing]:
    """Return which rows share every part of a model's noise."""
    return [sharing_of(name, part.by, table) for name, part in spec.noise.items()]


def as_columns_allow(spec: ModelSpec, table: pd.DataFrame) -> ModelSpec:
    """Return a model with what its runs can tell apart of the noise: parts that some rows share, not all; runs with points.

    Examples
    --------
    >>> from bayes_scaling.model.documents import read_model
    >>> once = pd.DataFrame({"run_id": ["a", "b", "c"], "params": [1e8, 2e8, 4e8], "tokens": [1e9, 1e9, 1e9]})
    >>> sorted(as_columns_allow(read_model("kappa"), once).noise)
    []
    >>> sorted(as_columns_allow(read_model("kappa"), once.assign(params=[1e8, 1e8, 4e8])).noise)
    ['recipe']
    """
    told: dict[str, Any] = {
        "noise": {
            found.name: spec.noise[found.name]
            for found in sharings_of(spec, table)
            if found.labels and (len(found.labels) > 1 or found.alone.any())
        },
        "correlation": spec.correlation if (neighbours_in(spec, table)[0] >= 0).any() else None,
    }
    same = all(getattr(spec, name) == value for name, value in told.items())
    return spec if same else spec.model_copy(update=told)


def neighbours_in(spec: ModelSpec, table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return for each row the row before it along its run, and how far: none, where nothing says that rows go together."""
    correlation = spec.correlation
    if correlation is None or not {correlation.along, correlation.by} <= set(table):
        return np.full(len(table), -1), np.ones(len(table))
    return neighbours(table, correlation)


def kept_at_runs(spec: ModelSpec, table: pd.DataFrame, draws: xr.Dataset) -> tuple[np.ndarray, xr.DataArray | float]:
    """Return the row before each along its run, and the share of its scatter that each keeps, dims (chain, draw, run)."""
    before, distance = neighbours_in(spec, table)
    if spec.correlation is None:
        return before, 0.0
    rows, apart = xr.DataArray(before, dims="run"), xr.DataArray(distance, dims="run")
    return before, kept_from_before(rows, apart, draws["length"])


def shared_at_runs(sharings: Sequence[Sharing], draws: xr.Dataset) -> Any:
    """Return the sum of the effects that rows share, dims (chain, draw, run); 0.0 where they share none."""
    return sum((found.at_runs(draws) for found in sharings if found.labels), start=0.0)


def own_sigma(sharings: Sequence[Sharing], draws: xr.Dataset) -> xr.DataArray:
    """Return the scatter that each row has to itself: of what it shares, only that of which it is alone with its label.

    Returns
    -------
    DataArray, dims (chain, draw) or (chain, draw, run)
        A relative error at the typical loss.
    """
    if not sharings:
        return draws["sigma"]
    alone = ((draws[found.scale_name] ** 2) * xr.DataArray(found.alone, dims="run") for found in sharings)
    return (draws["sigma"] ** 2 + sum(alone, start=0.0)) ** 0.5
