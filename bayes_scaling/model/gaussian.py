"""Normal rows with shared effects and serial correlation: their density, innovations and effects, by blocks of one run.

The logarithm of what was measured is Normal around the law: ``y = mu + F z + u + e``. ``F z`` are the effects that rows
share, ``z`` standard Normal; ``u`` is noise with standard deviation ``scale`` that is correlated along a run (see
:class:`Decay`); ``e`` is each row's own error, of variance ``own_variance``, independent of everything. Runs
are blocks of the covariance of ``u + e``, padded to one length; rows that belong to no run of several stand alone. A row's
innovation is what the rows before it on its run leave unexplained; the effects need a matrix of their own number alone
(Woodbury). Where no row has an error of its own, and nothing lasts, the noise along a run is a Markov chain, and the row
before says all.

Everything is written once for PyTensor and for numpy with a leading batch of draws: a few functions of linear algebra
dispatch on the kind of array. In numpy the noise along a run is filtered from row to row, so that a run costs its length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, singledispatch
from typing import Any, Final

import numpy as np

from bayes_scaling.elementwise import exp, expm1, log

_LOG_TWO_PI: Final = float(np.log(2 * np.pi))
_DRAWS_AT_ONCE: Final = 200
_MOST_BLOCKS: Final = 12
"""Parts of a table that are worked through one after another; more are no faster than all at once."""
_FEW_ROWS: Final = 1.1
"""Rows over effects below which the covariance of the rows is worked with: up to there it is the faster, and from there on the slower."""
_CELLS: Final = 5_000_000
"""Draws, and numbers of one array, that are held in memory together."""


@singledispatch
def cholesky(matrix: Any) -> Any:
    """Return the lower Cholesky factor of each matrix."""
    return np.linalg.cholesky(matrix)


@singledispatch
def solve_lower(factor: Any, right: Any) -> Any:
    """Return the solution of a lower triangular system with a matrix on the right."""
    return np.linalg.solve(factor, right)


@singledispatch
def diagonal(matrix: Any) -> Any:
    """Return the diagonal of each matrix."""
    return np.diagonal(matrix, axis1=-2, axis2=-1)


@singledispatch
def joined(first: Any, second: Any, axis: int) -> Any:
    """Return two arrays one after the other along an axis."""
    return np.concatenate([first, second], axis=axis)


@singledispatch
def identity_like(matrix: Any) -> Any:
    """Return the identity of a matrix's size."""
    return np.eye(matrix.shape[-1])


@dataclass(frozen=True)
class Serial:
    """Which rows follow each other along one run: blocks of rows, padded to one length.

    ``rows`` are in the order of the run, shape (block, place), zero where padded; ``there`` is one for a row, zero for
    padding; ``at`` is the logarithm of the column along which they lie, and grows along padding too; ``alone`` are the rows
    that belong to no block.
    """

    rows: Any
    there: Any
    at: Any
    alone: Any

    @property
    def gap(self) -> Any:
        """Distance of each row of a block, but its first, from the row before it, shape (block, place - 1)."""
        return self.at[:, 1:] - self.at[:, :-1]

    @property
    def distance(self) -> Any:
        """Distance of any two rows of a block, shape (block, place, place)."""
        return abs(self.at[:, :, None] - self.at[:, None, :])

    @property
    def order(self) -> tuple[np.ndarray, np.ndarray]:
        """Block and place of every row of a block, and which rows these are: for numpy alone."""
        block, place = np.nonzero(self.there)
        return np.ravel_multi_index((block, place), self.there.shape), self.rows[block, place]


@dataclass(frozen=True)
class Decay:
    """How the correlation of two rows of a run falls with their distance: share + (1 - share) exp(-distance / length).

    ``length``, and ``run_share``, which is nothing where it is None, are numbers, or one number a draw, shape (...,).
    """

    length: Any
    run_share: Any | None = None

    def correlation(self, distance: Any) -> Any:
        """Return the correlation at distances, shape (..., *distances)."""
        fading = exp(-distance / self._beside(self.length, distance))
        if self.run_share is None:
            return fading
        share = self._beside(self.run_share, distance)
        return share + (1.0 - share) * fading

    def at(self, draws: slice) -> Decay:
        """Return it at some of the draws."""
        return Decay(self.length[draws], None if self.run_share is None else self.run_share[draws])

    @staticmethod
    def _beside(value: Any, distance: Any) -> Any:
        return value[(..., *[None] * distance.ndim)] if getattr(value, "ndim", 0) else value


@dataclass(frozen=True)
class Whitened:
    """Residuals and effects with unit covariance, and the deviations of innovations: pairs of rows alone and of blocks."""

    residual: tuple[Any, ...]
    loadings: tuple[Any, ...]
    deviation: tuple[Any, ...]

    @property
    def log_scale(self) -> Any:
        """Sum over rows of the logarithm of the innovation's standard deviation."""
        return sum(log(part).sum(axis=-1) for part in self.deviation)


def whiten(
    residual: Any,
    scale: Any,
    own_variance: Any | None,
    loadings: Any | None,
    serial: Serial | None,
    decay: Decay | None = None,
) -> Whitened:
    """Bring residuals, and what effects load on rows, to unit covariance.

    Parameters
    ----------
    residual, scale, own_variance : array, shape (..., row)
        What was measured less what is expected; standard deviation of the correlated noise, and variance of each row's own
        error, which is None where no row has one.
    loadings : array, shape (..., row, effect), optional
        What each effect adds to each row at one standard deviation.
    serial : Serial, optional
        Rows that follow each other; all stand alone by default.
    decay : Decay, optional
        How their correlation falls.
    """
    if serial is None:
        deviation = _of_both(scale, own_variance)
        loaded = () if loadings is None else (loadings / deviation[..., None],)
        return Whitened((residual / deviation,), loaded, (deviation,))
    alone, rows, there = serial.alone, serial.rows, serial.there
    assert decay is not None
    deviation = _of_both(scale[..., alone], None if own_variance is None else own_variance[..., alone])
    within_run = scale[..., rows] * there
    own = None if own_variance is None else own_variance[..., rows]
    of_blocks, whitened = _within_runs(within_run, own, serial, decay)
    blocks = whitened((residual[..., rows] * there)[..., None])[..., 0]
    parts = [(residual[..., alone] / deviation, deviation), (_joined_blocks(blocks), _joined_blocks(of_blocks))]
    loaded = ()
    if loadings is not None:
        within = whitened(loadings[..., rows, :] * there[..., None])
        loaded = (loadings[..., alone, :] / deviation[..., None], _joined_blocks(within, 1))
    return Whitened(tuple(r for r, _ in parts), loaded, tuple(d for _, d in parts))


def _within_runs(scale: Any, own_variance: Any | None, serial: Serial, decay: Decay) -> tuple[Any, Callable[[Any], Any]]:
    """Return the deviations of innovations, and what whitens columns, of runs whose rows are shaped (..., block, place)."""
    if own_variance is None and decay.run_share is None:
        return _chain(scale, serial, decay)
    return along_runs(scale, 0.0 * scale if own_variance is None else own_variance, serial, decay)


def _of_both(scale: Any, own_variance: Any | None) -> Any:
    return scale if own_variance is None else (scale**2 + own_variance) ** 0.5


def _chain(scale: Any, serial: Serial, decay: Decay) -> tuple[Any, Callable[[Any], Any]]:
    """Return the deviations of innovations, and what whitens columns, where each row needs the one before it alone."""
    length = decay.length[..., None, None] if getattr(decay.length, "ndim", 0) else decay.length
    lengths, there = serial.gap / length, serial.there[:, 1:]
    before, left = exp(-lengths) * there, (-expm1(-2.0 * lengths)) ** 0.5 * there + (1.0 - there)
    deviation = scale + (1.0 - serial.there)

    def whitened(columns: Any) -> Any:
        z = columns / deviation[..., None]
        return joined(z[..., :1, :], (z[..., 1:, :] - before[..., None] * z[..., :-1, :]) / left[..., None], -2)

    return joined(deviation[..., :1], deviation[..., 1:] * left, -1), whitened


@singledispatch
def along_runs(scale: Any, own_variance: Any, serial: Serial, decay: Decay) -> tuple[Any, Callable[[Any], Any]]:
    """Return the deviations of innovations, and what whitens columns, where each row needs all before it."""
    filtered = _Filter(scale, own_variance * serial.there + (1.0 - serial.there), serial, decay)
    return filtered.deviation, filtered.whitened


def by_factors(scale: Any, own_variance: Any, serial: Serial, decay: Decay) -> tuple[Any, Callable[[Any], Any]]:
    """Return what :func:`along_runs` does, by a Cholesky factor of the covariance of each run."""
    covariance = scale[..., :, None] * scale[..., None, :] * decay.correlation(serial.distance)
    variance = own_variance * serial.there + (1.0 - serial.there)
    factor = cholesky(covariance + variance[..., None] * identity_like(covariance))
    return diagonal(factor), lambda columns: solve_lower(factor, columns)


class _Filter:
    """Noise along runs and each row's own error, from row to row (Kalman 1960): what all rows before say of the next.

    The noise is ``scale`` times a fading part, of variance one less the share of the run, and a lasting one. Arrays are
    (..., block, place).
    """

    def __init__(self, scale: np.ndarray, own_variance: np.ndarray, serial: Serial, decay: Decay) -> None:
        length = decay.length[..., None, None] if np.ndim(decay.length) else decay.length
        self.scale, self.kept, self.lasts = scale, np.exp(-serial.gap / length), decay.run_share is not None
        share: Any = decay.run_share if self.lasts else 0.0
        share = share[..., None] if np.ndim(share) else share
        fading, lasting, both = 1.0 - share, share, 0.0
        self.fades, self.lasting, self.deviation = (np.empty(scale.shape) for _ in range(3))
        for place in range(scale.shape[-1]):
            if place:
                kept = self.kept[..., place - 1]
                fading, both = kept**2 * fading + (1.0 - kept**2) * (1.0 - share), kept * both
            noise, own = scale[..., place] ** 2, own_variance[..., place]
            variance = noise * (fading + 2.0 * both + lasting) + own
            self.deviation[..., place] = variance**0.5
            self.fades[..., place] = scale[..., place] * (fading + both) / variance**0.5
            self.lasting[..., place] = scale[..., place] * (lasting + both) / variance**0.5
            apart = noise * (fading * lasting - both**2) if self.lasts else 0.0
            fading, lasting, both = (
                (sign * apart + part * own) / variance for part, sign in ((fading, 1), (lasting, 1), (both, -1))
            )

    def whitened(self, columns: np.ndarray) -> np.ndarray:
        """Return columns, (..., block, place, column), less what the rows before say of them, in standard deviations."""
        shape = np.broadcast_shapes(columns.shape[:-1], self.deviation.shape)
        columns = np.broadcast_to(columns, (*shape, columns.shape[-1]))
        return np.stack(list(self.innovations(lambda place: columns[..., place, :].copy())), axis=-2)

    def innovations(self, columns: Callable[[int], np.ndarray]) -> Iterator[np.ndarray]:
        """Yield, place after place, columns less what the rows before say of them, in standard deviations.

        ``columns`` returns those of a place, (..., block, column), which are written over.
        """
        places, by_deviation, expected = self.deviation.shape[-1], 1.0 / self.deviation, None
        for place in range(places):
            white = columns(place)
            expected = expected or _Expected(self, white.shape)
            white -= expected.at(place)
            white *= by_deviation[..., place, None]
            yield white
            if place < places - 1:
                expected.learn(place, white)

    def correlated(self, noise: np.ndarray) -> np.ndarray:
        """Return noise with its correlation along runs from independent noise, (..., block, place)."""
        result, expected = np.empty(noise.shape), _Expected(self, (*noise.shape[:-1], 1))
        for place in range(noise.shape[-1]):
            new = noise[..., place, None]
            result[..., place] = (expected.at(place) + self.deviation[..., place, None] * new)[..., 0]
            expected.learn(place, new)
        return result


class _Expected:
    """What the rows before say of the noise of the next one: its fading and its lasting part; worked out in place."""

    def __init__(self, along: _Filter, shape: tuple[int, ...]) -> None:
        self._along = along
        self._fading, self._lasting, self._added = (np.zeros(shape) for _ in range(3))

    def at(self, place: int) -> np.ndarray:
        """Return what is expected at a place, having gone there."""
        if place:
            self._fading *= self._along.kept[..., place - 1, None]
        noise = self._fading + self._lasting if self._along.lasts else self._fading
        return np.multiply(noise, self._along.scale[..., place, None], out=self._added)

    def learn(self, place: int, white: np.ndarray) -> None:
        """Take in what was new at a place, in standard deviations."""
        self._fading += np.multiply(white, self._along.fades[..., place, None], out=self._added)
        if self._along.lasts:
            self._lasting += np.multiply(white, self._along.lasting[..., place, None], out=self._added)


def solved(
    columns: np.ndarray, scale: np.ndarray, own_variance: np.ndarray | None, serial: Serial | None, decay: Decay | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return columns, (row, column), divided by the covariance of the noise, and the diagonal of its inverse: at one draw.

    >>> solved(np.array([[1.0]]), np.array([2.0]), None, None, None)
    (array([[0.25]]), array([0.25]))
    """
    diagonal = _of_both(scale, own_variance) ** -2.0
    result = columns * diagonal[:, None]
    if serial is None:
        return result, diagonal
    assert decay is not None
    runs, places = serial.rows.shape
    at_once = max(1, _CELLS // (places * max(places, columns.shape[1])))
    for start in range(0, runs, at_once):
        part = slice(start, start + at_once)
        some = Serial(serial.rows[part], serial.there[part], serial.at[part], serial.alone[:0])
        there, rows = some.there[..., None], some.rows
        own = None if own_variance is None else own_variance[rows]
        _, whitened = _within_runs(scale[rows] * some.there, own, some, decay)
        root = whitened(np.eye(places) * there) * there.swapaxes(-1, -2)
        within = root.swapaxes(-1, -2) @ (root @ (columns[rows] * there))
        place, of = some.order
        result[of] = _joined_blocks(within, 1)[place]
        diagonal[of] = _joined_blocks((root**2).sum(axis=-2))[place]
    return result, diagonal


def _joined_blocks(values: Any, trailing: int = 0) -> Any:
    """Return (..., block, place, *trailing) as (..., block times place, *trailing)."""
    shape = [values.shape[i] for i in range(values.ndim)]
    lead = len(shape) - trailing - 2
    return values.reshape((*shape[:lead], -1, *shape[lead + 2 :]))


def log_density(white: Whitened, rows: Any) -> Any:
    """Return the log density of whitened rows, effects integrated out, one number a draw; ``rows`` is how many there are."""
    square = sum((part**2).sum(axis=-1) for part in white.residual)
    if not white.loadings:
        return -0.5 * (square + rows * _LOG_TWO_PI) - white.log_scale
    precision, weighted = _of_effects(white)
    root = cholesky(precision)
    explained = solve_lower(root, weighted[..., None])[..., 0]
    spread = 2 * log(diagonal(root)).sum(axis=-1) + rows * _LOG_TWO_PI
    return -0.5 * (square - (explained**2).sum(axis=-1) + spread) - white.log_scale


@dataclass(frozen=True)
class Basis:
    """Bases of all effects side by side, shape (row, effect), and products of them that densities at many draws share.

    ``scale`` numbers the scales: effects of one number have one standard deviation; ``serial`` says which rows follow each other.
    """

    matrix: np.ndarray
    scale: np.ndarray
    serial: Serial | None = None

    @cached_property
    def alone(self) -> Basis:
        """The basis at the rows that belong to no run of several."""
        return Basis(self.matrix if self.serial is None else self.matrix[self.serial.alone], self.scale)

    @cached_property
    def by_place(self) -> np.ndarray:
        """The basis at the rows of runs, first all first rows, shape (place, run, effect), zero where padded."""
        assert self.serial is not None
        return np.ascontiguousarray((self.matrix[self.serial.rows] * self.serial.there[..., None]).swapaxes(0, 1))

    @cached_property
    def blocks(self) -> list[tuple[np.ndarray, np.ndarray, Basis]]:
        """Rows, effects and basis of each part of the table that shares no effect with another, such as a group.

        Empty where there is one part, or so many that one after another is no faster than all at once.

        >>> basis = Basis(np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0]]), np.array([0, 0]))
        >>> [(rows.tolist(), effects.tolist()) for rows, effects, _ in basis.blocks]
        [([0, 2], [0]), ([1], [1])]
        """
        there = self.matrix != 0
        count = len(there)
        label = np.arange(count)
        while True:
            of_effect = np.where(there, label[:, None], count).min(axis=0)
            lowest = np.minimum(label, np.where(there, of_effect, count).min(axis=1, initial=count))
            if (lowest == label).all():
                break
            label = lowest
        parts = [(np.flatnonzero(label == one), np.flatnonzero(of_effect == one)) for one in np.unique(label)]
        if not 1 < len(parts) <= _MOST_BLOCKS:
            return []
        return [(rows, effects, Basis(self.matrix[np.ix_(rows, effects)], self.scale[effects])) for rows, effects in parts]

    def covariance(self, widths: np.ndarray) -> np.ndarray:
        """Return the covariance of rows that effects of these standard deviations bring, (draw, row, row)."""
        rows = len(self.matrix)
        return (widths[:, self._first] ** 2 @ self._kernels).reshape(-1, rows, rows)

    @cached_property
    def _first(self) -> np.ndarray:
        return np.unique(self.scale, return_index=True)[1]

    @cached_property
    def _kernels(self) -> np.ndarray:
        """Products of rows, summed over the effects of each scale, shape (scale, row times row)."""
        of_scale = (self.matrix[:, self.scale == number] for number in self.scale[self._first])
        return np.stack([(part @ part.T).ravel() for part in of_scale])

    @cached_property
    def gram(self) -> np.ndarray:
        """Sums over rows of the products of two effects, shape (effect, effect)."""
        return self.matrix.T @ self.matrix

    @cached_property
    def products(self) -> np.ndarray:
        """Products of two effects in each row, shape (row, effect times effect)."""
        return (self.matrix[:, :, None] * self.matrix[:, None, :]).reshape(len(self.matrix), self.matrix.shape[1] ** 2)

    def weighted_gram(self, weights: np.ndarray) -> np.ndarray:
        """Return sums over rows of the products, each row with its weight; (draw, row)."""
        effects = self.matrix.shape[1]
        if self.matrix.size * effects <= _CELLS:
            return (weights @ self.products).reshape(len(weights), effects, effects)
        return np.stack([(self.matrix.T * row) @ self.matrix for row in weights])


@dataclass(frozen=True)
class AtDraws:
    """Rows that are Normal together at a batch of draws.

    ``residual`` is (draw, row), ``own_variance`` and ``growth`` too, or one for all draws or rows, ``deviation`` is that of the noise
    at the typical loss, and ``widths`` the standard deviation of each effect, (draw, effect); noise and effects grow by ``growth``,
    each row's own error does not.
    """

    residual: np.ndarray
    deviation: np.ndarray
    growth: Any
    own_variance: Any | None
    widths: np.ndarray
    decay: Decay | None = None

    def at(self, rows: np.ndarray, effects: Any = slice(None)) -> AtDraws:
        """Return some of the rows, and some of the effects."""

        def of(values: Any) -> Any:
            return values[..., rows] if np.shape(values)[-1:] == self.residual.shape[1:] else values

        residual, deviation, growth, own = map(of, (self.residual, self.deviation, self.growth, self.own_variance))
        return AtDraws(residual, deviation, growth, own, self.widths[:, effects], self.decay)

    @cached_property
    def scale(self) -> np.ndarray:
        """Standard deviation relative to the variance function, where effects do not depend on the row."""
        own = self.own_variance
        return self.deviation if own is None else (self.deviation**2 + own / self.growth**2) ** 0.5

    @cached_property
    def z(self) -> np.ndarray:
        """Residuals in standard deviations."""
        return self.residual / (self.growth * self.scale)

    @property
    def log_scale(self) -> np.ndarray:
        """Sum over rows of the logarithm of the standard deviation."""
        return np.broadcast_to(np.log(self.growth * self.scale), self.residual.shape).sum(axis=-1)


def log_density_at_draws(at: AtDraws, basis: Basis) -> np.ndarray:
    """Return the log density of rows at a batch of draws, effects integrated out.

    It is what :func:`log_density` is of the same rows whitened, by products of the basis that all draws share.
    Parts of the table that share no effect are independent.
    """
    rows, effects = at.residual.shape[1], at.widths.shape[1]
    if basis.serial is None and basis.blocks:
        parts = (log_density_at_draws(at.at(of_part, effects), part) for of_part, effects, part in basis.blocks)
        return sum(parts, start=np.zeros(len(at.residual)))
    if basis.serial is None and rows < _FEW_ROWS * effects:  # by the covariance of the rows
        joint = np.empty((len(at.z), rows + 1, rows + 1))
        joint[:, :-1, :-1] = basis.covariance(at.widths)
        place = np.arange(rows)
        joint[:, place, place] += at.scale**2
        joint[:, -1, :-1], joint[:, -1, -1] = at.z * at.scale, (at.z**2).sum(axis=-1) + 1.0
        # The last row of the factor is the residuals in standard deviations, each given those before it.
        root = np.linalg.cholesky(joint)
        square = (root[:, -1, :-1] ** 2).sum(axis=-1)
        spread = 2 * np.log(diagonal(root)[:, :-1] / at.scale).sum(axis=-1) + rows * _LOG_TWO_PI
        return -0.5 * (square + spread) - at.log_scale
    # The last row of the factor of the effects' precision, with what the rows say of them beside it, is what they explain.
    joint, log_scale = _joint_at_draws(at, basis)
    root = diagonal(np.linalg.cholesky(joint))
    spread = 2 * np.log(root[:, :-1]).sum(axis=-1) + rows * _LOG_TWO_PI
    return -0.5 * (root[:, -1] ** 2 - 1.0 + spread) - log_scale


def effects_given_rows(at: AtDraws, basis: Basis) -> tuple[np.ndarray, np.ndarray]:
    """Return mean of the standard effects given the rows, (draw, effect), and the Cholesky factors of their precision."""
    joint, _ = _joint_at_draws(at, basis)
    precision, weighted = joint[:, :-1, :-1], joint[:, -1, :-1]
    return np.linalg.solve(precision, weighted[..., None])[..., 0], cholesky(precision)


def _joint_at_draws(at: AtDraws, basis: Basis) -> tuple[np.ndarray, np.ndarray]:
    """Return the precision of standard effects given rows, and the sum of the logarithms of the rows' standard deviations.

    Beside the precision, in the last row, stand its product with their mean, and one more than the sum of the squared residuals.
    """
    alone, widths = at if basis.serial is None else at.at(basis.serial.alone), at.widths
    square = (alone.z**2).sum(axis=-1)
    log_scale = alone.log_scale
    if alone.scale.shape[1] == 1 and basis.serial is None:
        widths = widths / alone.scale
        gram, with_residual = basis.gram, alone.z @ basis.alone.matrix
    else:
        gram = basis.alone.weighted_gram(np.broadcast_to(alone.scale, alone.z.shape) ** -2.0)
        with_residual = (alone.z / alone.scale) @ basis.alone.matrix
    if basis.serial is not None:
        of_runs, of_scale = _along_runs(at, basis)
        gram, with_residual = gram + of_runs[:, :-1, :-1], with_residual + of_runs[:, -1, :-1]
        square, log_scale = square + of_runs[:, -1, -1], log_scale + of_scale
    joint = np.zeros((len(at.residual), widths.shape[1] + 1, widths.shape[1] + 1))
    np.multiply(gram, widths[:, None, :], out=joint[:, :-1, :-1])
    joint[:, :-1, :-1] *= widths[:, :, None]
    joint[:, -1, :-1] = with_residual * widths
    joint[:, -1, -1] = square
    place = np.arange(widths.shape[1] + 1)
    joint[:, place, place] += 1.0
    return joint, log_scale


def _along_runs(at: AtDraws, basis: Basis) -> tuple[np.ndarray, np.ndarray]:
    """Return sums of products of effects and of residuals over runs at unit covariance, and the logarithm of their scale."""
    serial, decay = basis.serial, at.decay
    assert serial is not None
    assert decay is not None
    runs, there = serial.rows, serial.there
    growth = (at.growth + np.zeros_like(at.residual))[:, runs]
    scale = (at.deviation + np.zeros_like(at.residual))[:, runs] * growth * there
    own = 0.0 if at.own_variance is None else (at.own_variance + np.zeros_like(at.residual))[:, runs]
    along = _Filter(scale, own * there + (1.0 - there), serial, decay)
    residual = at.residual[:, runs] * there
    joint: Any = 0.0
    columns = np.empty((len(scale), len(runs), basis.by_place.shape[2] + 1))

    def of_place(place: int) -> np.ndarray:
        np.multiply(basis.by_place[place], growth[..., place, None], out=columns[..., :-1])
        columns[..., -1] = residual[..., place]
        return columns

    for white in along.innovations(of_place):
        joint = joint + white.swapaxes(-1, -2) @ white
    return joint, np.log(along.deviation).sum(axis=(-1, -2))


def _of_effects(white: Whitened) -> tuple[Any, Any]:
    """Return the precision of the effects given the rows, and the precision times their mean."""
    gram = sum(part.swapaxes(-1, -2) @ part for part in white.loadings)
    weighted = sum(
        (part.swapaxes(-1, -2) @ residual[..., None])[..., 0]
        for part, residual in zip(white.loadings, white.residual, strict=True)
    )
    return gram + identity_like(gram), weighted


def _stated(own_variance: np.ndarray) -> np.ndarray | None:
    return own_variance if own_variance.any() else None


def innovations(
    residual: np.ndarray, scale: np.ndarray, own_variance: np.ndarray, serial: Serial | None, decay: Decay | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return what the rows before each on its run leave unexplained, in standard deviations, and these: both (draw, row).

    >>> one, two = np.array([[0.0, 1.0]]), np.array([[0.0, 0.0]])
    >>> innovations(one, two + 0.5, two, None, None)[0].tolist()
    [[0.0, 2.0]]
    """
    z, deviation = np.empty(residual.shape), np.empty(residual.shape)
    for start in range(0, len(residual), _DRAWS_AT_ONCE):
        part = slice(start, start + _DRAWS_AT_ONCE)
        of_part = None if decay is None else decay.at(part)
        white = whiten(residual[part], scale[part], _stated(own_variance[part]), None, serial, of_part)
        if serial is None:
            z[part], deviation[part] = white.residual[0], white.deviation[0]
            continue
        place, rows = serial.order
        for full, pair in ((z, white.residual), (deviation, white.deviation)):
            full[part, serial.alone] = pair[0]
            full[part, rows] = pair[1][:, place]
    return z, deviation


def correlated(noise: np.ndarray, serial: Serial, decay: Decay) -> np.ndarray:
    """Return standard noise that is correlated along runs, (draw, row), from noise that is not."""
    result = noise.copy()
    place, rows = serial.order
    for start in range(0, len(noise), _DRAWS_AT_ONCE):
        part = slice(start, start + _DRAWS_AT_ONCE)
        there = np.broadcast_to(serial.there, (len(noise[part]), *serial.there.shape))
        along = _Filter(there, 1.0 - there, serial, decay.at(part))
        result[part, rows] = _joined_blocks(along.correlated(noise[part][:, serial.rows] * there))[:, place]
    return result
