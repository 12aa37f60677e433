"""What is Normal and added to the log of what was measured: model discrepancy along a quantity, noise that rows share.

An effect is a class: to add one, write a subclass of :class:`Effect` with its name and :meth:`Effect.place` in one file.
Placed on a table it is a basis: with ``z`` standard Normal it adds ``scale * basis @ z`` to the rows, times the variance
function. Density, draws and residuals need the basis alone; forecasts ask :meth:`Placed.at`, decisions :meth:`Placed.path`.

Under ``[discrepancy.NAME]`` of a document an effect is model discrepancy, and part of the expected loss of a new run
too; under ``[noise.NAME]`` it is noise that rows share, which a new run draws afresh.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

import numpy as np
import pandas as pd
import xarray as xr
from pydantic import Field, field_validator

from bayes_scaling.model import names
from bayes_scaling.model.grouping import label_of
from bayes_scaling.model.priors import Prior
from bayes_scaling.model.registry import Registered
from bayes_scaling.plugins import Registry
from bayes_scaling.quantities import QUANTITIES

STEPS: Final = 8
"""Steps of a random walk among the runs: eighths of the range, some quarter of a decade on a usual ladder."""
_NARROWEST: Final = 0.01
"""Decades that the knots span at the least, where all runs have the same of a quantity."""
_BEYOND: Final = np.concatenate([[0.0], np.geomspace(0.02, 20.0, 21)])
"""Knots beyond the runs, decades from the last: closer together near the runs, where the walk is asked for most."""


def one_or_many(value: Any) -> Any:
    """Return a word as one of many, and a list as a tuple."""
    return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


@dataclass(frozen=True, eq=False)
class Placed:
    """An effect on a table: its basis, and the names of its variables in a posterior.

    Parameters
    ----------
    name : str
        Name of the effect in its document.
    section : str
        ``"discrepancy"`` or ``"noise"``.
    basis : ndarray, shape (row, coefficient)
        What a standard Normal coefficient adds to each row at scale one.
    labels : ndarray, shape (coefficient,)
        Label of each coefficient.
    unit : ndarray, shape (coefficient,)
        Stored effect over scale times coefficient.
    own : ndarray, shape (row,)
        Part of the variance scale^2 that each row has to itself.
    """

    name: str
    section: str
    basis: np.ndarray
    labels: np.ndarray
    unit: np.ndarray
    own: np.ndarray

    @property
    def scale_name(self) -> str:
        """Name of the scale in a posterior."""
        return names.scale_of_effect(self.section, self.name)

    @property
    def effect_name(self) -> str:
        """Name of the coefficients in a posterior: logarithms of factors, at the typical loss."""
        return names.effect(self.section, self.name)

    @property
    def dim(self) -> str:
        """Dimension of the coefficients."""
        return names.dimension_of_effect(self.section, self.name)

    @property
    def coords(self) -> dict[str, np.ndarray]:
        """Labels of the coefficients."""
        return {self.dim: self.labels}

    @property
    def tells_rows_apart(self) -> bool:
        """Whether the table can tell the effect from the rest: some rows share it, and not all of them the same."""
        return bool(len(self.labels))

    def at_rows(self, draws: xr.Dataset) -> Any:
        """Return what the effect adds to each row of its table, dims (chain, draw, run)."""
        if not len(self.labels):
            return 0.0
        weights = xr.DataArray(self.basis / self.unit, dims=("run", self.dim))
        return xr.dot(draws[self.effect_name].drop_vars(self.dim, errors="ignore"), weights, dim=self.dim)

    def at(self, draws: xr.Dataset, columns: Mapping[str, Any], group: Mapping[str, str], seed: int) -> Any:
        """Return what the effect adds at new inputs, dims (chain, draw, *dims of the columns); nothing by default."""
        return 0.0

    def path(self, draws: xr.Dataset, group: Mapping[str, str], seed: int) -> Callable[[Mapping[str, np.ndarray]], Any]:
        """Return what the effect adds as a function of plain columns, which broadcast with all draws along their last dimension.

        It is what :meth:`at` says with the same seed, for a question that asks many times; nothing by default.
        """
        return lambda columns: 0.0


class Effect(Registered):
    """A Normal effect on the log of what was measured.

    Parameters
    ----------
    kind : str
        What sort of effect: ``"random walk"``, ``"shared"``, or one that was added.
    scale : Prior
        Prior on its scale at the typical loss, a relative error.
    why : str
        Why this effect and this prior, in a sentence.
    """

    REGISTRY: ClassVar[Registry[type[Effect]]] = Registry("effect")
    KEY: ClassVar[str] = "kind"

    kind: str
    scale: Prior
    why: str = ""

    def columns(self, name: str) -> tuple[str, ...]:
        """Return the columns that a table has to have."""
        return ()

    @property
    def labels_by(self) -> tuple[str, ...]:
        """Columns that say which rows share the effect, where a table has them."""
        return ()

    def place(self, name: str, section: str, table: pd.DataFrame) -> Placed:
        """Place the effect on a table."""
        raise NotImplementedError


class RandomWalk(Effect):
    """What the law gets wrong along one quantity: a random walk of the log loss over the quantity's decades.

    It is zero in the middle of the runs (at their geometric mean), follows them where they are dense, and widens with the
    square root of the distance from them. Beyond the last knot it goes on by fresh steps, of which one seed always draws
    the same, so that predictions of one request lie on one walk. The scale is its standard deviation a decade away.

    Parameters
    ----------
    along : str, optional
        Symbol of the quantity; by default the name of the effect.
    by : tuple of str
        Columns whose labels have a walk each, of one scale; one walk for all by default.
    """

    NAME: ClassVar[str] = "random walk"

    kind: str = "random walk"
    along: str = ""
    by: tuple[str, ...] = ()

    _by = field_validator("by", mode="before")(one_or_many)

    def columns(self, name: str) -> tuple[str, ...]:
        """Return the column of the quantity, and those that tell walks apart."""
        return QUANTITIES[self.along or name].column, *self.by

    def place(self, name: str, section: str, table: pd.DataFrame) -> Placed:
        """Place the walk on a table: steps between knots that span the rows evenly in decades."""
        column = QUANTITIES[self.along or name].column
        decades = np.log10(table[column].to_numpy(float))
        low, high = float(decades.min()), float(decades.max())
        knots = np.linspace(low, max(high, low + _NARROWEST), STEPS + 1)
        origin = float(decades.mean())
        unit = np.sqrt(np.diff(knots))
        basis, labels = (_shares(decades, knots) - _shares(origin, knots)) * unit, 10 ** knots[1:]
        groups: tuple[str, ...] = ()
        if self.by:
            row_label = table[list(self.by)].map(label_of).agg(":".join, axis=1)
            groups = tuple(sorted(set(row_label)))
            basis = np.concatenate([basis * (row_label == g).to_numpy(float)[:, None] for g in groups], axis=1)
            labels = np.array([f"{g} {step:.4g}" for g in groups for step in labels])
        units, own = np.tile(unit, max(1, len(groups))), np.zeros(len(table))
        return Walk(name, section, basis, labels, units, own, column, knots, origin, self.by, groups)


@dataclass(frozen=True, eq=False)
class Walk(Placed):
    """A random walk on a table."""

    column: str = ""
    knots: np.ndarray = field(default_factory=lambda: np.zeros(2))
    origin: float = 0.0
    by: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()

    def weights(self, decades: Any) -> np.ndarray:
        """Return how much of each step lies between the origin and a place, in decades; beyond the last knot, all of it.

        >>> nothing = np.zeros(0)
        >>> walk = Walk("C", "discrepancy", nothing, nothing, nothing, nothing, "", np.array([0.0, 1.0, 2.0]), 1.0)
        >>> walk.weights([0.5, 2.0, 9.0]).tolist()
        [[-0.5, 0.0], [0.0, 1.0], [0.0, 1.0]]
        """
        return _shares(decades, self.knots) - _shares(self.origin, self.knots)

    def at(self, draws: xr.Dataset, columns: Mapping[str, Any], group: Mapping[str, str], seed: int) -> Any:
        """Return the walk at values of its quantity, dims (chain, draw, *dims of the values)."""
        decades: Any = np.log10(xr.DataArray(columns[self.column]))
        scale, label = draws[self.scale_name], ":".join(group.get(column, "") for column in self.by)
        weights = xr.DataArray(self.weights(decades.values), dims=(*decades.dims, self.dim), coords=decades.coords)
        added = xr.dot(self._steps(draws, label, seed), weights, dim=self.dim)
        distance = decades.values - np.clip(decades.values, self.knots[0], self.knots[-1])
        for side, sign in (("above", 1.0), ("below", -1.0)):
            ahead = np.clip(sign * distance, 0.0, None)
            if ahead.any():
                fresh = self._fresh(side, label, seed).standard_normal((*scale.shape, len(_BEYOND) - 1))
                steps = xr.DataArray(fresh * np.sqrt(np.diff(_BEYOND)), dims=(*scale.dims, self.dim)) * scale
                shares = xr.DataArray(_shares(ahead, _BEYOND), dims=(*decades.dims, self.dim), coords=decades.coords)
                added = added + xr.dot(steps, shares, dim=self.dim)
        return added

    def path(self, draws: xr.Dataset, group: Mapping[str, str], seed: int) -> Callable[[Mapping[str, np.ndarray]], Any]:
        """Return the walk as a function of plain columns: straight between its knots."""
        scale, label = draws[self.scale_name], ":".join(group.get(column, "") for column in self.by)
        steps = self._steps(draws, label, seed).values.reshape(-1, STEPS)
        inside = self.weights(self.knots) @ steps.T

        def beyond(side: str) -> np.ndarray:
            fresh = self._fresh(side, label, seed).standard_normal((*scale.shape, len(_BEYOND) - 1))
            ahead = np.cumsum(fresh * np.sqrt(np.diff(_BEYOND)) * scale.values[..., None], axis=-1)
            return ahead.reshape(-1, len(_BEYOND) - 1).T

        knots = np.concatenate([self.knots[0] - _BEYOND[:0:-1], self.knots, self.knots[-1] + _BEYOND[1:]])
        values = np.concatenate([(inside[0] + beyond("below"))[::-1], inside, inside[-1] + beyond("above")])
        slopes, every = np.diff(values, axis=0) / np.diff(knots)[:, None], np.arange(values.shape[1])

        def walk(columns: Mapping[str, np.ndarray]) -> np.ndarray:
            place = np.atleast_1d(np.clip(np.log10(columns[self.column]), knots[0], knots[-1]))
            below = np.clip(np.searchsorted(knots, place) - 1, 0, len(knots) - 2)
            at = below[..., 0] if place.shape[-1] == 1 else (below, every)
            return values[at] + (place - knots[below]) * slopes[at]

        return walk

    def _steps(self, draws: xr.Dataset, label: str, seed: int) -> xr.DataArray:
        """Return the steps among the runs, drawn afresh where a walk is of a label that no row has."""
        stored = draws[self.effect_name].drop_vars(self.dim, errors="ignore")
        if not self.by:
            return stored
        if label in self.groups:
            first = self.groups.index(label) * STEPS
            return stored.isel({self.dim: slice(first, first + STEPS)})
        scale = draws[self.scale_name]
        fresh = self._fresh("among", label, seed).standard_normal((*scale.shape, STEPS))
        return xr.DataArray(fresh * self.unit[:STEPS], dims=(*scale.dims, self.dim)) * scale

    def _fresh(self, side: str, label: str, seed: int) -> np.random.Generator:
        name = f"{self.name} {side}" + (f" {label}" if self.by else "")
        return np.random.default_rng([seed, zlib.crc32(name.encode())])


class Shared(Effect):
    """Noise that rows with one label share, as repeats share a recipe: one Normal effect on the log loss a label.

    A row alone with its label has the effect in its own noise. Where no two rows share a label, or all do, the table cannot
    tell the effect from the rest, and it leaves the model.

    Parameters
    ----------
    by : tuple of str
        Columns that make up the label; those that a table lacks are passed over. A row that lacks a cell of one is alone.
    """

    NAME: ClassVar[str] = "shared"

    kind: str = "shared"
    by: tuple[str, ...] = Field(min_length=1)

    _by = field_validator("by", mode="before")(one_or_many)

    @property
    def labels_by(self) -> tuple[str, ...]:
        """Columns that make up the label."""
        return self.by

    def place(self, name: str, section: str, table: pd.DataFrame) -> Placed:
        """Place the effect on a table: a column of its basis for each label of two or more rows."""
        columns = [column for column in self.by if column in table and table[column].notna().any()]
        labels = pd.Series(index=table.index, dtype=object)
        if columns:
            there = table[columns].notna() & (table[columns].map(str) != "")
            labels = table[columns].map(label_of).agg(", ".join, axis=1).where(there.all(axis=1))
        counts = labels.value_counts(sort=False)
        shared = [str(label) for label in counts.index[counts > 1]]
        which = pd.Index(shared, dtype=object).get_indexer(pd.Index(labels, dtype=object))
        basis = (which[:, None] == np.arange(len(shared))).astype(float)
        own = (which < 0).astype(float)
        return SharedByRows(name, section, basis, np.array(shared, dtype=str), np.ones(len(shared)), own)


class SharedByRows(Placed):
    """Noise that rows of a table share."""

    @property
    def tells_rows_apart(self) -> bool:
        """Whether some rows share a label, and not all of them one."""
        return bool(len(self.labels)) and (len(self.labels) > 1 or bool(self.own.any()))


def _shares(decades: Any, knots: np.ndarray) -> np.ndarray:
    """Return how much of each step lies below a place, between nothing and all."""
    return np.clip((np.asarray(decades, dtype=float)[..., None] - knots[:-1]) / np.diff(knots), 0.0, 1.0)
