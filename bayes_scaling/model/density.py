"""The log density of a model in numpy, for a whole batch of points at once: no PyMC, nothing is compiled.

The definition is the one PyMC samples (:mod:`bayes_scaling.model.definition`), read at numbers. A point is a vector on the
whole real space: logarithms of positive unknowns, log odds of bounded ones, free and standard ones as they are, but for some
that are explored in others (:mod:`bayes_scaling.model.straight`). Densities are with respect to it, determinants included, as
PyMC's are. Effects are integrated out in closed form.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Self

import numpy as np
import xarray as xr

from bayes_scaling.model import gaussian, names
from bayes_scaling.model.coordinates import LOG_LOSS, log_mean, log_ratio, standard_effect
from bayes_scaling.model.definition import define
from bayes_scaling.model.layout import Layout
from bayes_scaling.model.noise import Likelihood
from bayes_scaling.model.prior_draws import draw_prior
from bayes_scaling.model.priors import Prior
from bayes_scaling.model.straight import Coordinate, Straight
from bayes_scaling.model.unknowns import JointlyNormal

_CELLS: Final = 500_000
"""Numbers of one array that are in memory together: points times rows times effects, or times the square of the effects."""
_SHARING: Final = 20
"""Points that read a large basis at once: reading it takes longer than the arithmetic of one."""
_PASSES: Final = 5
"""Times that numbers of one place along runs are read again: fewer of them are faster, as they stay near the processor."""
_DRAWS_AT_ONCE: Final = 200
_STEP: Final = 1e-6
_LONG_STEP: Final = 1e-3
"""Steps of first and second differences, in logarithms: their errors are some 1e-6 of the curvature."""
_LOG_TWO_PI: Final = float(np.log(2 * np.pi))


class Surface:
    """A log density with its derivatives by differences; a subclass says its parts and its size."""

    @property
    def size(self) -> int:
        """How many numbers a point has."""
        raise NotImplementedError

    @property
    def rows(self) -> int:
        """Rows of the longest table; none where there is no table."""
        return 0

    def parts(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the log density of the prior, and of what was measured, each of shape (point,)."""
        raise NotImplementedError

    def on_some_rows(self, count: int) -> Self:
        """Return the same of some rows of a table that has many; itself where there is no such table."""
        return self

    def from_own_priors(self, points: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return points with one unknown each drawn anew from its prior, and by how much that prior's log density rose, shape (point,).

        Where no unknown has a prior of its own the points are as they were.
        """
        return points, np.zeros(len(points))

    def of(self, points: np.ndarray) -> np.ndarray:
        """Return the log density of the posterior, up to a constant, shape (point,)."""
        return sum(self.parts(points), start=np.zeros(len(points)))

    def slopes(self, points: np.ndarray, tempered: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
        """Return the log density at points, shape (point,), and its gradients by differences, shape (point, coordinate).

        Parameters
        ----------
        points : ndarray, shape (point, coordinate)
            Where.
        tempered : float
            Power of the likelihood.
        """
        steps = _STEP * np.vstack([np.zeros(self.size), np.eye(self.size)])
        prior, measured = self.parts((points[:, None] + steps).reshape(-1, self.size))
        values = (prior + tempered * measured).reshape(len(points), -1)
        with np.errstate(invalid="ignore"):
            gradients = (values[:, 1:] - values[:, :1]) / _STEP
        return values[:, 0], np.nan_to_num(gradients, nan=0.0, posinf=0.0, neginf=0.0)

    def curvature(self, point: np.ndarray) -> np.ndarray:
        """Return the matrix of second derivatives at a point, by central differences, shape (coordinate, coordinate)."""
        one, other = np.triu_indices(self.size)
        steps = _LONG_STEP * np.eye(self.size)
        corners = [point + a * steps[one] + b * steps[other] for a, b in ((1, 1), (1, -1), (-1, 1), (-1, -1))]
        values = self.of(np.vstack(corners)).reshape(4, -1)
        matrix = np.zeros((self.size, self.size))
        with np.errstate(invalid="ignore"):
            bent = values[0] - values[1] - values[2] + values[3]
        matrix[one, other] = matrix[other, one] = bent / (2 * _LONG_STEP) ** 2
        return matrix


class LogDensity(Surface):
    """The log density of a model on its tables.

    >>> import pandas as pd
    >>> from bayes_scaling.model.document import read_model
    >>> runs = pd.DataFrame({"params": [1e8, 1e9], "tokens": [2e9, 2e10], "loss": [3.4, 2.8]})
    >>> density = LogDensity(Layout.of(read_model("kaplan_nd"), {"loss": runs}))
    >>> [coordinate.name for coordinate in density.coordinates]
    ['alpha_N', 'alpha_D', 'D_c_log_ratio', 'log_loss_at_reference', 'sigma', 'nu']
    >>> density.of(density.start[None]).shape
    (1,)
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._data = layout.data()
        self._bases: dict[str, gaussian.Basis] = {}
        first = _Values(self, None, dense=False)
        with np.errstate(all="ignore"):
            define(layout, self._data, first)
        self.coordinates: tuple[Coordinate, ...] = tuple(first.coordinates)
        self.straight = Straight(layout, self.coordinates)
        self.start: np.ndarray = self.straight.from_pymc(np.concatenate(first.starts)[None])[0]
        """A point near the middle of the prior."""
        widths = (1 + sum(len(effect.labels) for effect in rows.effects) for _, rows in layout)
        sizes = [
            (min(len(rows), _CELLS // _SHARING), _PASSES * rows.runs * width, width**2)
            for (_, rows), width in zip(layout, widths, strict=True)
        ]
        widest = max(max(size) for size in sizes)
        self._at_once = max(1, _CELLS // widest)

    @property
    def size(self) -> int:
        """How many numbers a point has."""
        return len(self.start)

    @property
    def rows(self) -> int:
        """Rows of the longest table."""
        return self.layout.most_rows

    @cached_property
    def _few(self) -> LogDensity:
        """The model on next to no rows: what is stored of a point does not depend on them."""
        one = np.zeros(1, dtype=int)
        return LogDensity(self.layout.at_rows({name: rows.with_their_runs(one) for name, rows in self.layout.rows.items()}))

    def parts(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the log densities of prior and measurements at points, minus infinity where the law overflows."""
        prior, measured = zip(*(self._parts(part) for part in self._portions(points)), strict=True)
        return np.concatenate(prior), np.concatenate(measured)

    def _parts(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        try:
            values = self._values(points)
        except np.linalg.LinAlgError:  # of one point at least, whose covariance is singular to working precision
            if len(points) == 1:
                return np.full(1, -np.inf), np.full(1, -np.inf)
            halves = [self._parts(half) for half in np.array_split(points, 2)]
            return np.concatenate([half[0] for half in halves]), np.concatenate([half[1] for half in halves])
        return _finite(values.prior), _finite(values.measured)

    def on_some_rows(self, count: int) -> LogDensity:
        """Return the density of about so many rows of each observation, taken at random, runs as a whole; itself where it has no more."""
        layout = self.layout
        return self if self.rows <= count else LogDensity(layout.at_rows(layout.some_rows(count)))

    def draws(self, points: np.ndarray, shape: tuple[int, int]) -> xr.Dataset:
        """Return every stored unknown at points, dims (chain, draw, *groupings), under the names that a posterior has."""
        pieces = [self._few._values(part, dense=False).recorded for part in self._few._portions(points)]
        stored = {}
        for name, (_, dim) in pieces[0].items():
            values = np.concatenate([piece[name][0] for piece in pieces])
            if dim is None or (values.shape[1] == 1 and len(self.layout.coords.get(dim, ())) != 1):
                stored[name] = xr.DataArray(values.reshape(shape), dims=names.SAMPLE_DIMS)
            else:
                stored[name] = xr.DataArray(values.reshape(*shape, -1), dims=(*names.SAMPLE_DIMS, dim))
        return xr.Dataset(stored).assign_coords({"chain": range(shape[0]), "draw": range(shape[1]), **self.layout.coords})

    def from_prior(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Draw points from the prior, shape (point, coordinate)."""
        return self.points(draw_prior(self.layout, rng, draws=count))

    def points(self, draws: xr.Dataset) -> np.ndarray:
        """Return the points of draws of every unknown, shape (point, coordinate): the inverse of :meth:`draws`."""
        flat = {str(n): v.values.reshape(-1, *v.shape[2:]) for n, v in draws.transpose(*names.SAMPLE_DIMS, ...).items()}
        count = draws.sizes["chain"] * draws.sizes["draw"]
        points = np.zeros((count, self.size))
        model = self.layout.model

        def log_centre(name: str) -> np.ndarray:
            groupings = model.parameters[name].varies_by
            mean_effect = sum(flat[names.group_effect(name, grouping)].mean(axis=-1) for grouping in groupings)
            return np.log(flat[names.centre(name, flat)] / self.layout.units.get(name, 1.0)) + mean_effect

        terms = self.layout.terms
        by_name: dict[str, np.ndarray] = {}
        for name, parameter in model.parameters.items():
            by_name |= {log_mean(name): log_centre(name)} if parameter.prior is not None and parameter.varies_by else {}
            for grouping in parameter.varies_by:
                width = flat[names.spread(name, grouping)][:, None]
                by_name[standard_effect(name, grouping)] = flat[names.group_effect(name, grouping)] / width
        for name in terms[1:]:
            by_name[log_ratio(name)] = log_centre(name) - log_centre(terms[0])
        for suffix, rows in self.layout:
            if rows.outliers:
                assert rows.observation.likelihood.outliers is not None
                sd = flat[names.of_observation("outlier", suffix)]
                by_name[names.of_observation("outlier_z", suffix)] = rows.observation.likelihood.outliers.z(sd)
        multiples = {names.multiple(names.centre(name, flat)): (name, unit) for name, unit in self.layout.units.items()}
        for multiple, (name, unit) in multiples.items():
            flat[multiple] = flat[names.centre(name, flat)] / unit
        for coordinate in self.coordinates:
            if coordinate.name != LOG_LOSS:
                value = by_name.get(coordinate.name)
                if value is None:
                    assert coordinate.prior is not None
                    value = unbounded(flat[coordinate.name], coordinate.prior.support)
                points[:, coordinate.place] = value.reshape(count, -1)
        points = self.straight.from_pymc(points)
        if terms:
            # The loss at the reference point is proportional to the first term.
            whole = self._few._values(points, dense=False).recorded
            label = names.centre(terms[0], whole)
            (place,) = (coordinate.place for coordinate in self.coordinates if coordinate.name == LOG_LOSS)
            points[:, place] = np.log(flat[label][:, None] / whole[label][0])
        return points

    def from_own_priors(self, points: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return points with one unknown drawn anew from its prior, and by how much that prior's log density rose, shape (point,)."""
        own = [(each.place.start, each.prior) for each in self.coordinates if each.prior is not None]
        if not own:
            return points, np.zeros(len(points))
        place, prior = own[rng.integers(len(own))]
        others, log_determinant = self.straight.to_pymc(points)
        before = others[:, place].copy()
        with np.errstate(all="ignore"):  # a draw at the very end of a prior is at infinity, and is never taken
            others[:, place] = unbounded(prior.draw(rng, len(points)), prior.support)
            rise = log_density_of_free(prior, others[:, place]) - log_density_of_free(prior, before)
            others = self.straight.from_pymc(others)
            return others, rise + self.straight.to_pymc(others)[1] - log_determinant

    def _portions(self, points: np.ndarray) -> Iterator[np.ndarray]:
        for start in range(0, len(points), self._at_once):
            yield points[start : start + self._at_once]

    def _values(self, points: np.ndarray, *, dense: bool = True) -> _Values:
        there, log_determinant = self.straight.to_pymc(points)
        values = _Values(self, there, dense, log_determinant)
        with np.errstate(all="ignore"):
            define(self.layout, self._data, values)
        return values

    def rows_at(self, points: np.ndarray) -> tuple[dict[str, JointlyNormal], dict[str, np.ndarray]]:
        """Return the rows that are Normal together as they are at points, and residuals, (point, row), by their dimension."""
        values = self._values(points, dense=False)
        return values.jointly, values.residuals

    def draw_effects(self, draws: xr.Dataset, rng: np.random.Generator) -> dict[str, xr.DataArray]:
        """Draw the discrepancies and shared noise that are integrated out, given each draw of the rest.

        They are by their names in the posterior. Draws that repeat each other share what is worked out.
        """
        points, each = np.unique(self.points(draws), axis=0, return_inverse=True)
        shape = [draws.sizes[dim] for dim in names.SAMPLE_DIMS]
        found: dict[str, list[tuple[np.ndarray, ...]]] = {}
        for part in self._portions(points):
            at, residuals = self.rows_at(part)
            for dim, rows in at.items():
                if rows.effects:
                    arrays = _as_arrays(rows, residuals[dim])
                    moments = gaussian.effects_given_rows(arrays, self.basis(dim, rows))
                    found.setdefault(dim, []).append((*moments, arrays.widths))
        drawn: dict[str, xr.DataArray] = {}
        for suffix, rows in self.layout:
            if rows.effects:
                mean, root, widths = map(np.concatenate, zip(*found.pop(names.of_observation("run", suffix)), strict=True))
                z = np.empty((len(each), mean.shape[1]))
                for start in range(0, len(each), _DRAWS_AT_ONCE):
                    of = each[start : start + _DRAWS_AT_ONCE]
                    noise = rng.standard_normal((len(of), mean.shape[1], 1))
                    z[start : start + _DRAWS_AT_ONCE] = mean[of] + np.linalg.solve(root[of].swapaxes(-1, -2), noise)[..., 0]
                ends = np.cumsum([len(effect.labels) for effect in rows.effects])
                for effect, coefficients in zip(rows.effects, np.split(z * widths[each], ends, axis=1), strict=False):
                    dim = names.of_observation(effect.dim, suffix)
                    stored = coefficients.reshape(*shape, -1)
                    name = names.of_observation(effect.effect_name, suffix)
                    drawn[name] = xr.DataArray(stored, dims=(*names.SAMPLE_DIMS, dim), coords={dim: effect.labels})
        return drawn

    def basis(self, name: str, rows: JointlyNormal) -> gaussian.Basis:
        """Return the bases of an observation side by side, made once."""
        if name not in self._bases:
            effects = rows.effects
            scales = [np.broadcast_to(np.arange(width.shape[1]), basis.shape[1]) for width, basis in effects]
            starts = np.cumsum([0, *(width.shape[1] for width, _ in effects)])
            numbers = [start + scale for start, scale in zip(starts, scales, strict=False)]
            bases = [basis for _, basis in effects] or [np.empty((rows.mean.shape[1], 0))]
            numbers = np.concatenate([*numbers, np.empty(0, dtype=int)])
            self._bases[name] = gaussian.Basis(np.concatenate(bases, axis=1), numbers, rows.serial)
        return self._bases[name]


@dataclass
class _Values:
    """The :class:`~bayes_scaling.model.unknowns.Unknowns` of a model at points; arrays are (point, label or row)."""

    of: LogDensity
    points: np.ndarray | None
    dense: bool = True
    """Whether the density of rows that are Normal together is wanted, too."""
    prior: Any = 0.0
    measured: Any = 0.0
    coordinates: list[Coordinate] = field(default_factory=list)
    starts: list[np.ndarray] = field(default_factory=list)
    recorded: dict[str, tuple[np.ndarray, str | None]] = field(default_factory=dict)
    jointly: dict[str, JointlyNormal] = field(default_factory=dict)
    residuals: dict[str, np.ndarray] = field(default_factory=dict)
    _next: int = 0

    def _take(self, name: str, start: Any, size: int = 1, prior: Prior | None = None) -> np.ndarray:
        """Return the numbers of the next unknown; where there are no points, its start."""
        place = slice(self._next, self._next + size)
        self._next += size
        if self.points is not None:
            return self.points[:, place]
        self.coordinates.append(Coordinate(name, place, prior))
        self.starts.append(np.full(size, start))
        return self.starts[-1][None]

    def positive(self, name: str, prior: Prior) -> np.ndarray:
        start = unbounded(prior.median, prior.support) if self.points is None else 0.0
        free = self._take(name, start, prior=prior)
        value, log_determinant = _bounded(free, prior.support)
        self.prior = self.prior + (prior.log_density(value) + log_determinant)[:, 0]
        self.record(name, value)
        return value

    def free(self, name: str, start: float) -> np.ndarray:
        return self._take(name, start)

    def standard(self, name: str, dim: str, size: int) -> np.ndarray:
        z = self._take(name, 0.0, size)
        self.prior = self.prior - 0.5 * ((z**2).sum(axis=-1) + size * _LOG_TWO_PI)
        return z

    def with_prior(self, name: str, prior: Prior, log_value: np.ndarray) -> np.ndarray:
        value = np.exp(log_value)
        self.prior = self.prior + (prior.log_density(value) + log_value)[:, 0]
        return value

    def record(self, name: str, value: Any, dim: str | None = None) -> None:
        self.recorded.setdefault(name, (value, dim))

    def mean(self, effect: np.ndarray) -> np.ndarray:
        return effect.mean(axis=-1, keepdims=True)

    def pick(self, effect: np.ndarray, position: Any) -> np.ndarray:
        return effect[:, np.atleast_1d(position)]

    def of_rows(self, value: Any, group: np.ndarray) -> Any:
        return value[:, group] if np.ndim(value) == 2 and value.shape[1] > 1 else value

    def independent(
        self,
        name: str,
        likelihood: Likelihood,
        arguments: Mapping[str, Any],
        mean: np.ndarray,
        scale: np.ndarray,
        log_measured: np.ndarray,
        dim: str,
    ) -> None:
        self.residuals[dim] = log_measured - mean
        z = self.residuals[dim] / scale
        density = likelihood.log_density(z, **arguments) - np.log(scale)
        self.measured = self.measured + density.sum(axis=-1)

    def jointly_normal(self, name: str, rows: JointlyNormal, log_measured: np.ndarray, dim: str) -> None:
        residual = log_measured - rows.mean
        self.jointly[dim], self.residuals[dim] = rows, residual
        if not self.dense:
            return
        density = gaussian.log_density_at_draws(_as_arrays(rows, residual), self.of.basis(dim, rows))
        self.measured = self.measured + density


def _as_arrays(rows: JointlyNormal, residual: np.ndarray) -> gaussian.AtDraws:
    own = None if rows.own_variance is None or not np.any(rows.own_variance) else rows.own_variance
    widths = [np.broadcast_to(width, (len(width), matrix.shape[1])) for width, matrix in rows.effects]
    together = np.concatenate([*widths, np.empty((len(residual), 0))], axis=1)
    decay, share = rows.decay, None if rows.decay is None else rows.decay.run_share
    decay = None if decay is None else gaussian.Decay(decay.length[:, 0], None if share is None else share[:, 0])
    return gaussian.AtDraws(residual, rows.deviation, rows.growth, own, together, decay)


def log_density_of_free(prior: Prior, free: np.ndarray) -> np.ndarray:
    """Return the log density of a prior at numbers on the real line, with respect to them."""
    value, log_determinant = _bounded(free, prior.support)
    return prior.log_density(value) + log_determinant


def _bounded(free: np.ndarray, support: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Return numbers within bounds for numbers on the real line, and the log determinants."""
    low, high = support
    if np.isinf(high):
        return low + np.exp(free), free
    share = -np.logaddexp(0.0, -free)
    return low + (high - low) * np.exp(share), np.log(high - low) + 2 * share - free


def unbounded(value: Any, support: tuple[float, float]) -> Any:
    """Return the numbers on the real line of numbers within bounds."""
    low, high = support
    return np.log(value - low) if np.isinf(high) else np.log(value - low) - np.log(high - value)


def _finite(values: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values), values, -np.inf)
