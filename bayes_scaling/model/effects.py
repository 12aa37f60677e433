"""What is Normal and added to the log of what was measured: model discrepancy along a quantity, noise that rows share.

An effect is a class: to add one, write a subclass of :class:`Effect` with its name and :meth:`Effect.place` in one file.
Placed on a table it is a basis: with ``z`` standard Normal it adds ``scale * basis @ z`` to the rows, times the variance
function. Density, draws and residuals need the basis alone; forecasts and decisions ask :meth:`Placed.path`.

Under ``[discrepancy.NAME]`` of a document an effect is model discrepancy, and part of the mean loss of a new run
too; under ``[noise.NAME]`` it is noise that rows share, which a new run draws afresh.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import xarray as xr
from pydantic import Field, field_validator

from bayes_scaling.errors import InvalidRequest
from bayes_scaling.model import names
from bayes_scaling.model.grouping import label_of
from bayes_scaling.model.priors import Prior
from bayes_scaling.model.registry import Registered
from bayes_scaling.plugins import Registry

Path = Callable[[Mapping[str, np.ndarray]], Any]
"""From arrays of columns, which broadcast with all draws of all chains along their last dimension, to what an effect adds
to the log loss at the typical loss, last dimension the draws."""


def _nothing(columns: Mapping[str, np.ndarray]) -> float:
    return 0.0


def one_or_many(value: Any) -> Any:
    """Return a word as one of many, and a list as a tuple."""
    return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


@dataclass(frozen=True)
class Spline:
    """A quadratic spline of the logarithm of a column, one a draw: 1/2 (1/2 - o)^2 below + (3/4 - o^2) here + 1/2 (1/2 + o)^2 above.

    Knots stand ``spacing`` decades apart, ``here`` is the nearest one and o how far it is, in steps.

    Parameters
    ----------
    column : str
        Name of the column.
    first : float
        Logarithm to base ten of the column at the first knot.
    spacing : float
        Decades between knots.
    knots : ndarray, shape (knot, draw)
        Values at the knots.
    """

    column: str
    first: float
    spacing: float
    knots: np.ndarray


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
    own : ndarray, shape (row,)
        Part of the variance scale^2 that each row has to itself.
    """

    name: str
    section: str
    basis: np.ndarray
    labels: np.ndarray
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
        weights = xr.DataArray(self.basis, dims=("run", self.dim))
        return xr.dot(draws[self.effect_name].drop_vars(self.dim, errors="ignore"), weights, dim=self.dim)

    def path(self, draws: xr.Dataset, group: Mapping[str, str], seed: int) -> Path:
        """Return what the effect adds at new inputs as a function of them; nothing by default."""
        return _nothing

    def spline(
        self, draws: xr.Dataset, group: Mapping[str, str], seed: int, within: Mapping[str, tuple[float, float]]
    ) -> Spline | None:
        """Return :meth:`path` as a spline, for a program that knows nothing of effects; None where it adds nothing.

        ``within`` has the least and the largest value of every column it is asked at.

        Raises
        ------
        InvalidRequest
            If what the effect adds is no such spline.
        """
        if self.path(draws, group, seed) is _nothing:
            return None
        raise InvalidRequest(f"The effect {self.name} is not a spline of the logarithm of one column.")

    def at(self, draws: xr.Dataset, columns: Mapping[str, Any], group: Mapping[str, str], seed: int) -> Any:
        """Return what the effect adds at new inputs, dims (chain, draw, *dims of the columns)."""
        return along([self.path(draws, group, seed)], draws, columns)


def along(paths: Sequence[Path], draws: xr.Dataset, columns: Mapping[str, Any]) -> Any:
    """Return what effects add together at new inputs, dims (chain, draw, *dims of the columns); nothing where they add nothing."""
    paths = [path for path in paths if path is not _nothing]
    if not paths:
        return 0.0
    given = xr.broadcast(*(xr.DataArray(values) for values in columns.values()))
    at = {name: values.values[..., None] for name, values in zip(columns, given, strict=True)}
    added = sum(np.asarray(path(at)) for path in paths)
    shape = [draws.sizes[dim] for dim in names.SAMPLE_DIMS]
    coords = {name: c for name, c in draws.coords.items() if c.dims in ((dim,) for dim in names.SAMPLE_DIMS)}
    whole = np.moveaxis(np.asarray(added), -1, 0).reshape(*shape, *given[0].shape)
    return xr.DataArray(whole, {**coords, **given[0].coords}, (*names.SAMPLE_DIMS, *given[0].dims))


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
        return SharedByRows(name, section, basis, np.array(shared, dtype=str), own)


class SharedByRows(Placed):
    """Noise that rows of a table share."""

    @property
    def tells_rows_apart(self) -> bool:
        """Whether some rows share a label, and not all of them one."""
        return bool(len(self.labels)) and (len(self.labels) > 1 or bool(self.own.any()))
