"""Roots, minima and quantiles, elementwise on plain arrays; the caller sets the number of steps."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import lgamma
from statistics import NormalDist
from typing import Any, Final

import numpy as np

_GOLDEN: Final = (5**0.5 - 1) / 2

_LEAST_LOG_RATIO: Final = 700.0
"""Log ratios are cut where they vanish beside the largest."""
_FEWEST_RATIOS: Final = 25
"""Ratios of whose tail a shape can be estimated."""


def bisect(f: Callable[[np.ndarray], Any], low: Any, high: Any, *, halvings: int = 50) -> tuple[np.ndarray, np.ndarray]:
    """Return a bracket around the root of a function that rises in each element; the bounds broadcast with its values.

    Without a change of sign both ends lie at the bound that is nearest to a root, to the width of the bracket; where `f` is
    not a number neither is.

    >>> low, high = bisect(lambda x: x**2 - np.array([2.0, 9.0]), 0.0, 4.0)
    >>> low.round(6).tolist()
    [1.414214, 3.0]
    """
    low, high = np.asarray(low, float), np.asarray(high, float)
    for _ in range(halvings):
        middle = (low + high) / 2
        value = np.asarray(f(middle))
        middle = np.where(np.isnan(value), np.nan, middle)
        low, high = np.where(value >= 0, low, middle), np.where(value < 0, high, middle)
    return low, high


def newton(
    f: Callable[[np.ndarray], tuple[Any, Any]],
    start: np.ndarray,
    *,
    steps: int,
    tolerance: float,
    largest: float = np.inf,
    bounds: tuple[Any, Any] = (-np.inf, np.inf),
) -> tuple[np.ndarray, bool]:
    """Return the root of a function, which comes with its derivative, and whether every element came to rest.

    A step below the tolerance is rest, none is larger than `largest`, and no element leaves the bounds. An element whose
    step is not a number stays where it is, and rests.

    >>> root, rests = newton(lambda x: (x**2 - np.array([2.0, 9.0]), 2 * x), np.ones(2), steps=20, tolerance=1e-12)
    >>> root.round(6).tolist(), rests
    ([1.414214, 3.0], True)
    """
    x = np.asarray(start, float)
    for _ in range(steps):
        value, derivative = f(x)
        with np.errstate(divide="ignore", invalid="ignore"):
            step = np.clip(-np.asarray(value) / derivative, -largest, largest)
        step = np.where(np.isnan(step), 0.0, step)
        x = np.clip(x + step, *bounds)
        if np.abs(step).max() < tolerance:
            return x, True
    return x, False


def least_of_grid(f: Callable[[np.ndarray], Any], low: Any, high: Any, *, grid: int) -> np.ndarray:
    """Return which point of a grid between two bounds has the least value, elementwise; the first of several.

    >>> least_of_grid(lambda x: (x - np.array([1.0, 2.0])) ** 2, np.zeros(2), np.full(2, 4.0), grid=5).tolist()
    [1, 2]
    """
    low, high = np.asarray(low, float), np.asarray(high, float)
    least = np.asarray(f(low + 0.0 * (high - low)))
    best = np.zeros(least.shape, dtype=int)
    for number, share in enumerate(np.linspace(0.0, 1.0, grid)[1:], start=1):
        value = np.asarray(f(low + share * (high - low)))
        best = np.where(value < least, number, best)
        least = np.fmin(value, least)
    return best


def minimise(f: Callable[[np.ndarray], Any], low: Any, high: Any, *, grid: int = 41, steps: int = 25) -> np.ndarray:
    """Return where a function is least between two bounds: the best point of a grid, then golden sections.

    The bounds broadcast with the function's values. Between the neighbours of the best point of the grid it has one
    minimum; the two steps of the grid are narrowed by 0.618 to the power of `steps`, and the middle is returned.

    >>> minimise(lambda x: (x - np.array([1.0, 2.0])) ** 2, np.zeros(2), np.full(2, 5.0)).round(4).tolist()
    [1.0, 2.0]
    """
    low, high = np.asarray(low, float), np.asarray(high, float)
    width = (high - low) / (grid - 1)
    best = least_of_grid(f, low, high, grid=grid)
    left, right = low + np.maximum(best - 1, 0) * width, low + np.minimum(best + 1, grid - 1) * width
    inner, outer = right - _GOLDEN * (right - left), left + _GOLDEN * (right - left)
    at_inner, at_outer = f(inner), f(outer)
    for _ in range(steps):
        falls = at_inner > at_outer  # the minimum lies right of `inner`; one of the two points serves again
        left, right = np.where(falls, inner, left), np.where(falls, right, outer)
        fresh = np.where(falls, left + _GOLDEN * (right - left), right - _GOLDEN * (right - left))
        at_fresh = f(fresh)
        inner, outer = np.where(falls, outer, fresh), np.where(falls, fresh, inner)
        at_inner, at_outer = np.where(falls, at_outer, at_fresh), np.where(falls, at_fresh, at_inner)
    return (left + right) / 2


def first_crossing(
    x: np.ndarray, y: np.ndarray, level: Any, *, before: float = -np.inf, never: float = np.inf
) -> np.ndarray:
    """Return where curves from below first reach a level, straight between their points: inverse interpolation.

    `x` has dims (point,) and rises, `y` has (point, ...), and the level is one for each curve, or for all. A curve that
    begins above its level is `before` it, one that does not reach it is at `never`.

    >>> first_crossing(np.arange(3.0), np.array([[0.0, 5.0, 0.0], [1.0, 6.0, 0.0], [4.0, 7.0, 0.0]]), 2.5).tolist()
    [1.5, -inf, inf]
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    level = np.broadcast_to(np.asarray(level, float), y.shape[1:])
    reached = y >= level
    first = np.clip(reached.argmax(axis=0), 1, len(x) - 1)
    low, high = (np.take_along_axis(y, of[None], axis=0)[0] for of in (first - 1, first))
    with np.errstate(divide="ignore", invalid="ignore"):
        place = x[first - 1] + (level - low) / (high - low) * (x[first] - x[first - 1])
    place = np.where(y[0] == level, x[0], np.where(y[0] > level, before, place))
    return np.where(reached.any(axis=0), place, never)


def first_root(f: Callable[[np.ndarray], Any], grid: np.ndarray, *, halvings: int = 24) -> np.ndarray:
    """Return where a function first rises to zero along a grid, to half a step to the power of `halvings`, in each element.

    It takes a number of the grid, or one for each element, and may fall again; an element that stays below zero at the grid's
    points is at infinity.

    >>> first_root(lambda x: np.array([1.0, 9.0]) - (x - 3) ** 2, np.linspace(0.0, 4.0, 5)).round(6).tolist()
    [2.0, 0.0]
    """
    risen = np.array([np.asarray(f(np.asarray(x))) >= 0 for x in grid])
    first = risen.argmax(axis=0)
    _, root = bisect(f, grid[np.maximum(first - 1, 0)], grid[first], halvings=halvings)
    return np.where(risen.any(axis=0), root, np.inf)


def weighted_quantile(values: np.ndarray, weights: np.ndarray, at: Any) -> np.ndarray:
    """Return quantiles of draws whose weights sum to one: a draw stands in the middle of its weight, straight in between.

    >>> weighted_quantile(np.array([3.0, 1.0, 2.0]), np.array([0.5, 0.25, 0.25]), [0.125, 0.5]).tolist()
    [1.0, 2.3333333333333335]
    """
    order = np.argsort(values)
    below = np.cumsum(weights[order]) - 0.5 * weights[order]
    return np.interp(at, below, values[order])


def log_sum_exp(values: np.ndarray) -> np.ndarray:
    """Return the logarithm of the sum of exponentials along the first axis.

    >>> log_sum_exp(np.array([[-1000.0, 0.0], [-1000.0, np.log(3.0)]])).round(6).tolist()
    [-999.306853, 1.386294]
    """
    largest = values.max(axis=0)
    return largest + np.log(np.exp(values - largest).sum(axis=0))


def normal_scores(ranks: np.ndarray, count: int) -> np.ndarray:
    """Return what a standard Normal sample of this size has, nearly, at ranks from one to the size, whole or half (Blom 1958).

    >>> normal_scores(np.array([1.0, 2.0, 3.0]), 3).round(4).tolist()
    [-0.8694, 0.0, 0.8694]
    """
    return np.interp(ranks, *_scores_of_ranks(count))


@cache
def _scores_of_ranks(count: int) -> tuple[np.ndarray, np.ndarray]:
    ranks, normal = np.arange(2, 2 * count + 1) / 2, NormalDist()
    return ranks, np.array([normal.inv_cdf(share) for share in ((ranks - 3 / 8) / (count + 1 / 4)).tolist()])


def binomial_below(count: int, trials: int, prob: float) -> float:
    """Return the probability of at most so many successes.

    >>> round(binomial_below(1, 3, 0.5), 9)
    0.5
    """
    k = np.arange(1, count + 1)
    ratios = np.log((trials - k + 1) / k) + np.log(prob) - np.log1p(-prob)
    return min(1.0, float(np.exp(trials * np.log1p(-prob) + np.append(0.0, np.cumsum(ratios))).sum()))


def beta_below(x: np.ndarray, a: float, b: float, *, terms: int = 300) -> np.ndarray:
    """Return the probability that a Beta(a, b) variable lies below x, by its continued fraction (DLMF 8.17.22).

    >>> beta_below(np.array([0.0, 0.3, 0.5, 1.0]), 2.0, 2.0).round(6).tolist()
    [0.0, 0.216, 0.5, 1.0]
    """
    x = np.asarray(x, float)
    far = x > (a + 1) / (a + b + 2)  # from the other end it converges faster
    y, first, second = np.where(far, 1 - x, x), np.where(far, b, a), np.where(far, a, b)
    whole = np.zeros_like(y)
    for m in range(terms, 0, -1):
        odd = -(first + m) * (first + second + m) * y / ((first + 2 * m) * (first + 2 * m + 1))
        even = m * (second - m) * y / ((first + 2 * m - 1) * (first + 2 * m))
        whole = even / (1 + odd / (1 + whole))
    whole = -(first + second) * y / (first + 1) / (1 + whole)
    log_scale = lgamma(a + b) - lgamma(a) - lgamma(b)
    with np.errstate(divide="ignore"):
        front = np.exp(first * np.log(y) + second * np.log1p(-y) + log_scale) / first
    below = front / (1 + whole)
    return np.where(far, 1 - below, below)


def smoothed_weights(log_ratio: np.ndarray) -> tuple[np.ndarray, float]:
    """Return importance weights that sum to one, the largest smoothed by a generalised Pareto distribution, and its shape.

    The shape k-hat says how heavy the tail of the ratios is: their variance is finite below 0.5, means are reliable below 0.7,
    and of too few ratios nothing is known (Vehtari, Simpson, Gelman, Yao and Gabry 2024).

    Examples
    --------
    >>> weights, shape = smoothed_weights(np.random.default_rng(0).normal(0.0, 0.5, 1000))
    >>> round(float(weights.sum()), 9), shape < 0.5
    (1.0, True)
    """
    weights = np.exp(np.maximum(log_ratio - log_ratio.max(), -_LEAST_LOG_RATIO))
    count = len(weights)
    if count < _FEWEST_RATIOS or np.ptp(weights) == 0:
        return weights / weights.sum(), np.inf if np.ptp(log_ratio) else 0.0
    tail = int(3 * count**0.5) if count > 225 else count // 5
    order = np.argsort(weights)
    heaviest, cut = order[-tail:], weights[order[-tail - 1]]
    shape, scale = _generalised_pareto(weights[heaviest] - cut)
    if np.isfinite(shape):
        beyond = -np.log1p(-(np.arange(tail) + 0.5) / tail)
        smooth = cut + scale * (np.expm1(shape * beyond) / shape if shape else beyond)
        weights[heaviest] = np.minimum(smooth, 1.0)
    return weights / weights.sum(), shape


def _generalised_pareto(excesses: np.ndarray) -> tuple[float, float]:
    """Return shape and scale of a generalised Pareto distribution for excesses that rise (Zhang and Stephens 2009).

    The shape is pulled towards a half as ten more excesses would; it is infinite where the excesses have no such tail.
    """
    count = len(excesses)
    quartile, largest = excesses[int(count / 4 + 0.5) - 1], excesses[-1]
    if quartile <= excesses[0] or not largest > 0:
        return np.inf, np.nan
    grid = 30 + int(count**0.5)
    rates = 1 / largest + (1 - np.sqrt(grid / (np.arange(grid) + 0.5))) / (3 * quartile)
    shapes = np.log1p(-rates[:, None] * excesses).mean(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        heights = count * (np.log(-rates / shapes) - shapes - 1)
    plausible = np.exp(heights - np.nanmax(heights))
    plausible = np.where(plausible > 1e-14, plausible, 0.0)
    rate = float(rates @ plausible / plausible.sum())
    shape = float(np.log1p(-rate * excesses).mean())
    return (count * shape + 5) / (count + 10), -shape / rate
