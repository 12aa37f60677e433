"""The best of a sweep: one row for each cell of runs that differ in what was swept alone, its selection bias taken out.

The least of several noisy losses is biased low, by less than the expected minimum of as many Normal numbers where the
losses expected differ. How much it is follows from the sweeps of all cells: near its optimum the log loss is a parabola in
the logarithm of what was swept, as high and as far along as each cell has it, and as curved in all of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations_with_replacement
from typing import Final

import numpy as np
import pandas as pd

from bayes_scaling.errors import InvalidRuns, MissingColumn, TooFewRuns, choose
from bayes_scaling.runs.table import RunTable

EQUAL: Final = 0.01
"""Distance in the logarithm within which numbers of a cell are equal: tokens are whole steps of a batch."""
_FEWEST_VALUES: Final = 3
"""Values of a number, the median over cells, from which on a parabola goes through them."""
_WINDOWS: Final = (np.inf, 0.2, 0.1, 0.05, 0.03, 0.02, 0.01)
"""Log losses above the best of a cell up to which its runs are described, widest first."""
_REFUTED: Final = 0.05
"""Probability of the F test below which a window is no parabola."""
_FEWEST_FREE: Final = 3
"""Degrees of freedom below which nothing is known of the noise."""
_CURVED: Final = 4.0
"""Curvature over its standard error above which a sweep has an optimum."""
_SHOWN: Final = 4
"""Cells that a sentence names."""
_PRECISION: Final = 1e-10
"""Smallest singular value over the largest that counts."""
_STEP: Final = 1e-3
"""Distance over which the slope of a surface is taken, exact for one of second order."""
_RECIPE: Final = (
    *("params_total", "dataset_tokens", "batch_tokens", "depth", "width", "heads", "lr", "schedule", "warmup"),
    *("optimizer", "arch", "corpus", "group"),
)
"""Columns in which runs of a cell may differ only where they were swept."""


@dataclass(frozen=True, eq=False)
class Sweep:
    """The best runs of sweeps.

    Parameters
    ----------
    runs : RunTable
        The best run of each cell: ``loss``, expected at the cell's optimum; ``loss_se``, its standard error;
        ``loss_measured``, what the run measured.
    cells : DataFrame
        A row a cell: its columns; ``runs``; ``measured``, ``loss`` and ``loss_se``; ``correction``, a share of the loss;
        ``edge``, the numbers swept of which the best is the first or the last value that was tried.
    sentence : str
        In words.
    noise : float
        Standard deviation of the log loss of single runs.
    """

    runs: RunTable
    cells: pd.DataFrame
    sentence: str
    noise: float

    def __repr__(self) -> str:
        return f"<Sweep of {self.runs.name}: {self.sentence}>"


def best_of(runs: RunTable, columns: Collection[str], *, of: Iterable[str] = ("params", "tokens")) -> Sweep:
    r"""Return the best run of each cell with the loss expected at its optimum, and the standard error of that.

    Runs of a cell have equal values in the columns ``of``, numbers to a per cent. The log losses of all cells are fitted
    together by least squares, :math:`y = a_c + b_c' x + x' H x + g`: x are the logarithms of the numbers swept, and H and the
    effects g of words are the same in all cells. Runs up to some distance above the best of their cell count, the largest one
    at which terms of third and fourth order are not significant; their residuals are the noise.

    Where numbers alone were swept, the loss is that of the vertex, less the bias of a fitted minimum, which is
    :math:`-\mathrm{tr}((2H)^{-1} V) / 2` for slopes there of covariance V. Otherwise, or where the sweep is not curved, it is the least
    loss measured, less the bias of the least of Normal numbers around the losses fitted.

    Parameters
    ----------
    runs : RunTable
        The runs of the sweeps.
    columns : collection of str
        What was swept, such as ``("lr", "warmup")``: a number with three values or more a cell, or words.
    of : iterable of str
        Columns that make up a cell: inputs of the law, and groups.

    Returns
    -------
    Sweep
        The runs to fit, and what was done.

    Raises
    ------
    InvalidRuns
        If a column is not there, runs of a cell differ in another part of the recipe, or too few runs were made to know
        their noise.

    Examples
    --------
    >>> from bayes_scaling.runs.table import read_runs
    >>> rates, rng = np.geomspace(1e-3, 1e-2, 5), np.random.default_rng(0)
    >>> table = pd.DataFrame({"params": np.repeat([1e7, 1e8, 1e9], 5), "tokens": 1e10, "lr": np.tile(rates, 3)})
    >>> table["loss"] = 3 * np.exp(0.02 * np.log(table["lr"] / 3e-3) ** 2 + 0.003 * rng.standard_normal(15))
    >>> best_of(read_runs(table), ["lr"]).runs.table["loss"].round(1).tolist()
    [3.0, 3.0, 3.0]
    """
    columns, table = tuple(dict.fromkeys(columns)), runs.table.reset_index(drop=True)
    of = tuple(column for column in dict.fromkeys(of) if column not in columns)
    for column in (*columns, *of):
        if column not in table or table[column].isna().any():
            here = "has gaps" if column in table else f"is not there; {choose(column, map(str, table))}"
            raise MissingColumn(f"The best of a sweep of {', '.join(columns)}: in {runs.name} the column {column!r} {here}.")
    cell = cells_of(table, of)
    _refuse_other_differences(table, cell, columns, of)
    numbers = [column for column in columns if _is_number(table[column], cell)]
    words = table[[column for column in columns if column not in numbers]].map(str).agg(", ".join, axis=1)
    log_loss = np.log(table["loss"].to_numpy(float))
    best = pd.Series(log_loss).groupby(cell).idxmin().to_numpy()
    x = np.log(table[numbers].to_numpy(float))
    surface = _Surface.of(log_loss, cell, x, words.to_numpy(str))
    optimum, error, said = surface.optima(log_loss)
    loss, measured = np.exp(optimum), np.exp(log_loss[best])
    edge = _edges(table[numbers], cell, best)
    cells = table.loc[best, list(of)].assign(runs=np.bincount(cell), measured=measured, loss=loss, loss_se=loss * error)
    cells = cells.assign(correction=loss / measured - 1, edge=edge).reset_index(drop=True)
    sentence = _sentence(cells, columns, of, surface, said)
    kept = table.loc[best].assign(loss=loss, loss_se=loss * error, loss_measured=measured).reset_index(drop=True)
    origin = (*runs.origin, "--best-of", ",".join(columns))
    return Sweep(replace(runs, table=kept, origin=origin, notes=(*runs.notes, sentence)), cells, sentence, surface.noise)


def cells_of(table: pd.DataFrame, of: tuple[str, ...]) -> np.ndarray:
    """Return the number of each row's cell, in the order of the table: runs equal in some columns, numbers to a per cent."""
    keys = pd.DataFrame(index=table.index)
    for column in of:
        values = table[column]
        if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values) and (values > 0).all():
            ordered = np.log(values).sort_values()
            values = (ordered.diff() > EQUAL).cumsum()
        keys[column] = values
    return keys.groupby(list(of), sort=False).ngroup().to_numpy() if of else np.zeros(len(table), int)


def _refuse_other_differences(table: pd.DataFrame, cell: np.ndarray, columns: tuple[str, ...], of: tuple[str, ...]) -> None:
    for column in _RECIPE:
        if column in table and column not in (*columns, *of):
            differ = int(table[column].groupby(cell).nunique(dropna=False).gt(1).sum())
            if differ:
                raise InvalidRuns(
                    f"Runs of {differ} of {cell.max() + 1} cells equal in {', '.join(of)} differ in {column} as well as in "
                    f"{', '.join(columns)}: sweep it too (--best-of {','.join((*columns, column))}), or keep one value (--where)."
                )


def _is_number(values: pd.Series, cell: np.ndarray) -> bool:
    """Whether a column is swept as a number: it has a logarithm, and values enough for a parabola."""
    is_number = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    return is_number and bool((values > 0).all()) and values.groupby(cell).nunique().median() >= _FEWEST_VALUES


def _edges(swept: pd.DataFrame, cell: np.ndarray, best: np.ndarray) -> list[str]:
    """Return for each cell the numbers of which its best run has the first or the last value."""
    low, high, chosen = (
        of_it.to_numpy() for of_it in (swept.groupby(cell).min(), swept.groupby(cell).max(), swept.loc[best])
    )
    at_end = (low < high) & ((chosen == low) | (chosen == high))
    return [", ".join(name for name, there in zip(swept, row, strict=True) if there) for row in at_end]


@dataclass(frozen=True)
class _Surface:
    """The log loss of all cells by least squares; x are logarithms of the numbers swept, less their mean in the cell.

    Coefficients are a height and slopes of each cell, then what is shared: second-order terms and the effects of words.
    """

    cell: np.ndarray
    x: np.ndarray
    word: np.ndarray
    used: np.ndarray
    coefficients: np.ndarray
    covariance: np.ndarray
    spanned: np.ndarray
    noise: float
    inflation: float
    window: float
    is_refuted: bool

    @classmethod
    def of(cls, log_loss: np.ndarray, cell: np.ndarray, x: np.ndarray, words: np.ndarray) -> _Surface:
        """Fit the widest window that is a parabola; where none is, the narrowest whose noise is known."""
        of_cell = pd.Series(log_loss).groupby(cell)
        above, rank = log_loss - of_cell.transform("min").to_numpy(), of_cell.rank(method="first").to_numpy()
        x = x - pd.DataFrame(x).groupby(cell).transform("mean").to_numpy()
        word = np.unique(words, return_inverse=True)[1]
        fitted: _Surface | None = None
        for window in _WINDOWS:
            used = (above <= window) | (rank <= 2 * x.shape[1] + 1)
            design = _design(cell[used], x[used], word[used], int(cell.max()) + 1, int(word.max()) + 1)
            inverse = np.linalg.pinv(design, rcond=_PRECISION)
            coefficients = inverse @ log_loss[used]
            residuals, spanned = log_loss[used] - design @ coefficients, inverse @ design
            free = len(residuals) - round(np.trace(spanned))
            if free < _FEWEST_FREE:
                break
            noise, inflation = float(np.sqrt(residuals @ residuals / free)), float(np.sqrt(free / (free - 2)))
            is_refuted = _is_refuted(design, x[used], log_loss[used], residuals, free)
            covariance = noise**2 * inverse @ inverse.T
            fitted = cls(cell, x, word, used, coefficients, covariance, spanned, noise, inflation, window, is_refuted)
            if not is_refuted:
                break
        if fitted is None:
            raise TooFewRuns(
                f"{len(cell)} runs in {cell.max() + 1} cells are too few to estimate the noise of a sweep from the residuals around a "
                f"common curvature: sweep more values or cells, or repeat some runs with other seeds."
            )
        return fitted

    @property
    def count(self) -> int:
        """Number of cells."""
        return int(self.cell.max()) + 1

    @cached_property
    def _shared(self) -> slice:
        """Place of the second-order terms among the coefficients."""
        p = self.x.shape[1]
        return slice(self.count * (1 + p), self.count * (1 + p) + p * (p + 1) // 2)

    @cached_property
    def _hessian(self) -> np.ndarray:
        p = self.x.shape[1]
        upper = np.zeros((p, p))
        upper[np.triu_indices(p)] = self.coefficients[self._shared]
        return upper + upper.T

    @cached_property
    def is_curved(self) -> bool:
        """Whether the loss rises away from an optimum in every direction of the numbers swept, far beyond its error."""
        p = self.x.shape[1]
        values, vectors = np.linalg.eigh(self._hessian)
        directions = 2 * np.stack([np.outer(v, v)[np.triu_indices(p)] for v in vectors.T]) if p else np.zeros((0, 0))
        variance = np.einsum("ki,ij,kj->k", directions, self.covariance[self._shared, self._shared], directions)
        return bool(p and (values > _CURVED * np.sqrt(variance)).all())

    @property
    def is_parabola(self) -> bool:
        """Whether the optimum is the vertex of a parabola: numbers alone were swept, and the loss is curved in them."""
        return self.is_curved and self.word.max() == 0

    def optima(self, log_loss: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the log loss expected at the optimum of each cell, its standard error, and whether the sweep says it."""
        found = np.array([self._optimum(number, log_loss) for number in range(self.count)])
        return found[:, 0], found[:, 1] * self.inflation, found[:, 2] > 0

    def _optimum(self, number: int, log_loss: np.ndarray) -> tuple[float, float, bool]:
        p, members = self.x.shape[1], self.used & (self.cell == number)
        place = np.zeros(p)
        if self.is_curved:
            slopes = self.coefficients[self.count + p * number : self.count + p * (number + 1)]
            place = -np.linalg.solve(self._hessian, slopes)
        there = np.unique(self.word[members])
        rows = self._rows(number, np.tile(place, (len(there), 1)), there)
        row = rows[np.argmin(rows @ self.coefficients)]
        least = float(log_loss[members].min())
        own = [number, *range(self.count + p * number, self.count + p * (number + 1))]
        if self.is_curved and not np.allclose(np.diag(self.spanned)[own], 1.0, atol=1e-6):
            return least, self.noise, False
        if self.is_parabola:
            steps = np.concatenate([place + _STEP * np.eye(p), place - _STEP * np.eye(p)])
            ahead, behind = np.split(self._rows(number, steps, np.zeros(2 * p, int)), 2)
            slope = (ahead - behind) / (2 * _STEP)
            bias = -np.trace(np.linalg.solve(self._hessian, slope @ self.covariance @ slope.T)) / 2
            return float(row @ self.coefficients - bias), float(np.sqrt(row @ self.covariance @ row)), True
        mean = self._rows(number, self.x[members], self.word[members]) @ self.coefficients
        expected, sd = least_of_normals(mean, self.noise)
        target = float(row @ self.coefficients) if self.is_curved else float(mean.min())
        return least - expected + target, sd, True

    def _rows(self, number: int, x: np.ndarray, word: np.ndarray) -> np.ndarray:
        return _design(np.full(len(x), number), x, word, self.count, int(self.word.max()) + 1)


def _design(cell: np.ndarray, x: np.ndarray, word: np.ndarray, cells: int, words: int) -> np.ndarray:
    """Return what each coefficient adds to each row: heights of cells, slopes of cells, products of second order, words."""
    own = (cell[:, None] == np.arange(cells)).astype(float)
    slopes = (own[:, :, None] * x[:, None, :]).reshape(len(cell), -1)
    return np.concatenate([own, slopes, _products(x, 2), (word[:, None] == np.arange(1, words)).astype(float)], axis=1)


def _products(x: np.ndarray, order: int) -> np.ndarray:
    chosen = list(combinations_with_replacement(range(x.shape[1]), order))
    return np.stack([x[:, list(which)].prod(axis=1) for which in chosen], axis=1) if chosen else np.zeros((len(x), 0))


def _is_refuted(design: np.ndarray, x: np.ndarray, log_loss: np.ndarray, residuals: np.ndarray, free: int) -> bool:
    """Whether terms of third and fourth order take more from the residuals than chance does, by an F test."""
    from scipy.special import fdtrc  # some tenths of a second that a table without sweeps is read without

    whole = np.concatenate([design, _products(x, 3), _products(x, 4)], axis=1)
    coefficients, _, rank, _ = np.linalg.lstsq(whole, log_loss, rcond=_PRECISION)
    rest, left = log_loss - whole @ coefficients, len(log_loss) - rank
    if not 0 < left < free:
        return False
    ratio = (residuals @ residuals - rest @ rest) / (free - left) / (rest @ rest / left)
    return bool(fdtrc(free - left, left, max(ratio, 0.0)) < _REFUTED)


def least_of_normals(mean: np.ndarray, sd: float) -> tuple[float, float]:
    """Return expected value and standard deviation of the least of independent Normal numbers.

    >>> [round(value, 4) for value in least_of_normals(np.zeros(5), 1.0)]
    [-1.163, 0.669]
    """
    from scipy.special import log_ndtr

    start = mean.min() - 9 * sd
    t = np.linspace(start, mean.min() + 9 * sd, 2001)
    beyond = np.exp(log_ndtr((mean[:, None] - t) / sd).sum(axis=0))
    first, second = np.trapezoid(beyond, t), np.trapezoid(2 * (t - start) * beyond, t)
    return float(start + first), float(np.sqrt(second - first**2))


def _sentence(
    cells: pd.DataFrame, columns: tuple[str, ...], of: tuple[str, ...], surface: _Surface, said: np.ndarray
) -> str:
    runs, swept = cells["runs"], ", ".join(columns)
    count = f"{runs.min()}" if runs.min() == runs.max() else f"{runs.min()} to {runs.max()}"
    taken = "the vertex of a parabola" if surface.is_parabola else "the least value without selection bias"
    range_ = f"up to {100 * surface.window:g} % above the best of their cell " if np.isfinite(surface.window) else ""
    lines = [
        f"Best of {count} over {swept} in {len(cells)} cells of equal {', '.join(of)}: the least loss is corrected by "
        f"{100 * cells['correction'].mean():+.2g} % on average, to {taken}. Runs {range_}scatter by {100 * surface.noise:.2g} % around "
        f"the fit of all cells."
    ]
    if surface.is_refuted:
        lines.append("No range around the best is described by a parabola: the residual noise includes its misfit.")
    if not said.all():
        lines.append(
            f"{_named(cells[~said], of)} too few values to estimate an optimum: the least loss stays as it was measured."
        )
    if (at_edge := cells[cells["edge"] != ""]).size:
        lines.append(f"{_named(at_edge, of)} the best {swept} at an end of the sweep, and the optimum may lie beyond.")
    return " ".join(lines)


def _named(cells: pd.DataFrame, of: tuple[str, ...]) -> str:
    """Return cells by their columns, a few of many, and the verb."""
    shown = [
        " and ".join(f"{n} {v:.4g}" if isinstance(v, float) else f"{n} {v}" for n, v in row.items())
        for row in cells[list(of)].to_dict("records")
    ]
    more = f"; and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return f"{len(shown)} cell{'s' * (len(shown) > 1)} ({'; '.join(shown[:_SHOWN])}{more}) {'have' if len(shown) > 1 else 'has'}"
