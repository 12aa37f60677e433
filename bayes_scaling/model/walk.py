"""Model discrepancy along a quantity: a smooth random walk of the log loss over its decades."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
import pandas as pd
import xarray as xr
from pydantic import Field, field_validator

from bayes_scaling.model.effects import Effect, Path, Placed, Spline, one_or_many
from bayes_scaling.model.grouping import label_of
from bayes_scaling.quantities import QUANTITIES

_DIGITS: Final = 9
"""Decimals of decades to which places are compared: a change of unit moves them by rounding."""


class RandomWalk(Effect):
    """What the law gets wrong along one quantity: a random walk of the log loss over the quantity's decades.

    Independent Normal steps, averaged over ``smooth`` decades, so that the walk has a slope everywhere. It is zero in the
    middle of the runs (at their geometric mean; walks of several labels between the runs nearest to it), follows them where
    they are dense, and widens with the square root of the distance from them; among the runs and beyond them it is the same. The scale is its standard deviation a decade away,
    less what the averaging takes. One seed draws what no row has seen always the same, so that predictions and decisions
    of one request lie on one walk.

    Parameters
    ----------
    along : str, optional
        Symbol of the quantity; by default the name of the effect.
    by : tuple of str
        Columns whose labels have a walk each, of one scale; one walk for all by default.
    smooth : float
        Decades over which the walk is averaged.
    tolerance : float
        What the basis of a table may leave out of the walk: root mean square over the rows, as a share of the scale. At a
        scale of one per cent a decade, .01 is a hundredth of a per cent of the loss.
    """

    NAME: ClassVar[str] = "random walk"

    kind: str = "random walk"
    along: str = ""
    by: tuple[str, ...] = ()
    smooth: float = Field(default=0.07, ge=0.01, le=10.0)
    tolerance: float = Field(default=0.01, ge=1e-4, le=0.3)

    _by = field_validator("by", mode="before")(one_or_many)

    def columns(self, name: str) -> tuple[str, ...]:
        """Return the column of the quantity, and those that tell walks apart."""
        return QUANTITIES[self.along or name].column, *self.by

    def place(self, name: str, section: str, table: pd.DataFrame) -> Placed:
        """Place the walk on a table: the directions of the steps that its rows tell apart."""
        column = QUANTITIES[self.along or name].column
        decades = np.log10(table[column].to_numpy(float))
        origin = _between_rows(decades, self.smooth) if self.by else float(decades.mean())
        place = (decades - origin) / self.smooth
        label = table[list(self.by)].map(label_of).agg(":".join, axis=1) if self.by else pd.Series("", index=table.index)
        informed, bases, labels = {}, [], []
        for one in sorted(set(label)):
            rows = (label == one).to_numpy()
            steps, basis = _directions(place[rows], self.smooth, self.tolerance)
            whole = np.zeros((len(table), basis.shape[1]))
            whole[rows] = basis
            informed[one] = steps
            bases.append(whole)
            labels += [f"{one} {number}".strip() for number in range(basis.shape[1])]
        basis = np.concatenate(bases, axis=1)
        own = np.zeros(len(table))
        return Walk(name, section, basis, np.array(labels), own, column, origin, self.smooth, self.by, informed)


@dataclass(frozen=True)
class _Informed:
    """Steps that rows inform: the number of the first, and the directions among them that the rows tell apart.

    The columns of ``directions`` are orthonormal.
    """

    first: int
    directions: np.ndarray

    def completed(self, fresh: np.ndarray) -> np.ndarray:
        """Return standard Normal steps, shape (draw, step), without what they have along the directions.

        Of a basis of what the rows leave open any rotation is one as good, and each machine has its own: steps drawn in it
        would differ from one to the next.
        """
        return fresh - fresh @ self.directions @ self.directions.T


def _between_rows(decades: np.ndarray, smooth: float) -> float:
    """Return the middle of the rows, or of the wider gap beside a row that lies there.

    Walks of several labels would all leave such a row to its law, which passes through it, and the noise would go to nothing.

    >>> _between_rows(np.array([1.0, 2.0, 4.0]), 0.07), round(_between_rows(np.array([1.0, 2.0, 2.0, 3.5]), 0.2), 3)
    (2.3333333333333335, 2.75)

    Of gaps that are equal it is the lower, whatever the unit.

    >>> [round(_between_rows(np.log10(unit * np.array([1e7, 1e8, 1e9])) - np.log10(unit), 0.07), 6) for unit in (1.0, 0.103)]
    [7.5, 7.5]
    """
    _, first = np.unique(decades.round(_DIGITS), return_index=True)
    middle, places = float(decades.mean()), decades[first]
    nearest = int(np.abs(places - middle).round(_DIGITS).argmin())
    if abs(places[nearest] - middle) > smooth or len(places) < 2:
        return middle
    gaps = np.diff(places)
    beside = [number for number in (nearest - 1, nearest) if 0 <= number < len(gaps)]
    widest = max(beside, key=lambda number: gaps[number].round(_DIGITS))
    return float(places[widest] + gaps[widest] / 2)


def _directions(place: np.ndarray, smooth: float, tolerance: float) -> tuple[_Informed, np.ndarray]:
    """Return the steps that rows inform and the basis of their directions, for places in steps from the origin."""
    first = int(np.floor(min(place.min(), 0.0) - 0.5))
    last = int(np.ceil(max(place.max(), 0.0) + 0.5))
    numbers = np.arange(first, last)
    shares = (_share(place[:, None] - numbers) - _share(-numbers)) * np.sqrt(smooth)
    _, sizes, right = np.linalg.svd(shares, full_matrices=False)
    left = np.sqrt(np.cumsum(sizes[::-1] ** 2)[::-1] / len(place))  # what is left out with each direction and all after it
    count = max(1, int((left > tolerance).sum()))
    informed = _Informed(first, right[:count].T)
    return informed, shares @ informed.directions


def _share(x: Any) -> Any:
    """Return how much of a step from zero to one lies below a place, averaged over the half step around it.

    >>> _share(np.array([-0.5, 0.0, 0.5, 1.5])).tolist()
    [0.0, 0.125, 0.5, 1.0]
    """
    x = np.clip(np.asarray(x, dtype=float), -0.5, 1.5)
    return np.where(x < 0.5, 0.5 * (x + 0.5) ** 2, 1.0 - 0.5 * (1.5 - x) ** 2)


@dataclass(frozen=True, eq=False)
class Walk(Placed):
    """A random walk on a table; ``informed`` has the steps that the rows of each label inform."""

    column: str
    origin: float
    smooth: float
    by: tuple[str, ...]
    informed: Mapping[str, _Informed]

    def path(self, draws: xr.Dataset, group: Mapping[str, str], seed: int) -> Path:
        """Return the walk as a function of its quantity, one for each draw."""
        steps = self._steps(draws, group, seed)
        at_origin = _averaged(steps, np.zeros(1))

        def added(columns: Mapping[str, np.ndarray]) -> np.ndarray:
            place = (np.log10(np.atleast_1d(columns[self.column])) - self.origin) / self.smooth
            return (_averaged(steps, place) - at_origin) * np.sqrt(self.smooth)

        return added

    def spline(
        self, draws: xr.Dataset, group: Mapping[str, str], seed: int, within: Mapping[str, tuple[float, float]]
    ) -> Spline:
        """Return the walk as the spline that it is, its knots at the ends of its steps."""
        steps = self._steps(draws, group, seed)
        low, high = ((np.log10(end) - self.origin) / self.smooth for end in within[self.column])
        low, high = int(np.floor(low + 0.5)) - 1, int(np.floor(high + 0.5)) + 1
        knots, first = steps.between(low, high)
        knots = (knots[low - first : high - first + 1] - _averaged(steps, np.zeros(1))) * np.sqrt(self.smooth)
        return Spline(self.column, self.origin + low * self.smooth, self.smooth, knots)

    def _steps(self, draws: xr.Dataset, group: Mapping[str, str], seed: int) -> _Steps:
        label = ":".join(group.get(column, "") for column in self.by)
        return _Steps(self._known(draws, label, seed), self._flat(draws[self.scale_name]), label, self.name, seed)

    @staticmethod
    def _flat(values: xr.DataArray) -> np.ndarray:
        return values.transpose("chain", "draw", ...).values.reshape(values.sizes["chain"] * values.sizes["draw"], -1)

    def _known(self, draws: xr.Dataset, label: str, seed: int) -> tuple[int, np.ndarray]:
        """Return the number of the first step that rows inform, and these steps: what they leave open is drawn afresh."""
        if label not in self.informed:
            return 0, np.empty((draws.sizes["chain"] * draws.sizes["draw"], 0))
        one = self.informed[label]
        start = sum(other.directions.shape[1] for name, other in self.informed.items() if name < label)
        stored = self._flat(draws[self.effect_name])[:, start : start + one.directions.shape[1]]
        fresh = _generator(self.name, "among", label, seed).standard_normal((len(stored), len(one.directions)))
        scale = self._flat(draws[self.scale_name])
        return one.first, stored @ one.directions.T + scale * one.completed(fresh)


@dataclass
class _Steps:
    """The walk at its knots in every draw, as far from the origin as it was asked for: fresh steps follow those known."""

    known: tuple[int, np.ndarray]
    scale: np.ndarray
    label: str
    name: str
    seed: int

    def __post_init__(self) -> None:
        """Begin with the knots that known steps lie between."""
        self.first, steps = self.known
        # The draws of a knot stand beside each other: they are asked for together, hundreds of times an answer.
        self.knots = np.ascontiguousarray(np.concatenate([np.zeros((1, len(steps))), np.cumsum(steps.T, axis=0)]))
        self._below, self._above = (self._fresh(side) for side in ("below", "above"))

    def _fresh(self, side: str) -> Iterator[np.ndarray]:
        rng = _generator(self.name, side, self.label, self.seed)
        while True:
            yield self.scale[:, 0] * rng.standard_normal(len(self.scale))

    def between(self, low: int, high: int) -> tuple[np.ndarray, int]:
        """Return the walk at knots that reach from one number to another, and the number of the first."""
        while self.first > low:
            self.knots = np.concatenate([[self.knots[0] - next(self._below)], self.knots])
            self.first -= 1
        while self.first + len(self.knots) <= high:
            self.knots = np.concatenate([self.knots, [self.knots[-1] + next(self._above)]])
        return self.knots, self.first


def _averaged(steps: _Steps, place: np.ndarray) -> np.ndarray:
    """Return the walk, straight between its knots, averaged over the half step around a place; last dimension the draws."""
    nearest = np.floor(place + 0.5).astype(int)
    knots, first = steps.between(int(nearest.min()) - 1, int(nearest.max()) + 1)
    off, at = place - nearest, nearest - first
    if place.shape[-1] == 1:
        below, here, above = (knots[at[..., 0] + k] for k in (-1, 0, 1))
    else:
        flat, here = knots.ravel(), at * knots.shape[1] + np.arange(knots.shape[1])
        below, here, above = (flat.take(here + k * knots.shape[1]) for k in (-1, 0, 1))
    return 0.5 * (0.5 - off) ** 2 * below + (0.75 - off**2) * here + 0.5 * (0.5 + off) ** 2 * above


def _generator(name: str, part: str, label: str, seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(f"{name} {part} {label}".strip().encode())])
