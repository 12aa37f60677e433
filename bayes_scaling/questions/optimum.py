"""Where the loss along a budget is least: in every draw, and for the one size to choose over all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import xarray as xr

from bayes_scaling.numerics import least_of_grid, minimise, newton
from bayes_scaling.quantities import params_at
from bayes_scaling.questions.risk import RiskMeasure, expectation
from bayes_scaling.questions.surface import DRAWS, FEWEST, Surface

_APART: Final = 0.01
"""Distance in log N over which the slope of the loss is taken."""
_CLOSE: Final = 1e-6
_TIE: Final = 1e-9
_WIDE: Final = 0.3
"""Step in log N of a grid over all sizes there are, which says where minima are plausible."""
_FINE: Final = 0.1
"""Step in log N by which minima are told apart."""
_NARROWED: Final = 16
"""Golden sections of a bracket of two fine steps, to a relative 1e-4 of N."""
_AT_ONCE: Final = 1_000_000
"""Losses that are worked out at once: some dozen arrays of them are held."""
MOST_LOST: Final = 1.25
"""Sizes at which the law alone expects as many times its least loss are no optimum, whatever the discrepancy."""
Losses = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From budgets and the log of sizes to losses, last dimension the draws, as :meth:`Surface.along`."""


def optima(surface: Surface, budgets: np.ndarray) -> np.ndarray:
    """Return the log of the size with the least mean loss in each draw, shape (budget, draw).

    To a relative 1e-5 of N for a law alone, and 1e-4 with its discrepancy.

    >>> from bayes_scaling.posterior.examples import example_fit
    >>> surface = Surface.asked(example_fit(chains=1, draws=1))
    >>> f"{np.exp(optima(surface, np.array([5.76e23]))).item():.4g}"
    '7.225e+10'
    """
    return _by_parts(_least_of_many if surface.discrepancy else _least_of_law, surface, budgets)


def least_loss(surface: Surface, budgets: np.ndarray) -> np.ndarray:
    """Return the mean loss of the best size in each draw, shape (budget, draw), to that of a fine step in log N."""
    find = _on_fine_grid if surface.discrepancy else _least_of_law
    return _by_parts(lambda surface, at: surface.along(at, find(surface, at)), surface, budgets)


def plausible(surface: Surface, budgets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the log of the sizes between which the best one is looked for, shape (budget,)."""
    at = np.asarray(budgets, float)[:, None]
    if not surface.discrepancy:
        return among(optima(surface, budgets))
    low, high = _near(surface, at, *_sensible(surface, at))
    return low[:, 0], high[:, 0]


def among(best: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of the optima of all draws, and a little more, shape (budget,)."""
    return best.min(axis=-1) - 0.1, best.max(axis=-1) + 0.1


def _by_parts(find: Callable[[Surface, np.ndarray], np.ndarray], surface: Surface, budgets: np.ndarray) -> np.ndarray:
    """Return what is found at budgets, some of them at a time, so that memory is bounded."""
    at = np.asarray(budgets, float)[:, None]
    parts = np.array_split(at, min(len(at), -(-at.size * surface.draws // _AT_ONCE)))
    return np.concatenate([find(surface, part) for part in parts])


def _least_of_law(surface: Surface, at: np.ndarray) -> np.ndarray:
    """Return the optima of a law alone, whose loss along a budget has one minimum in log N.

    Newton's method from the optimum of a few draws, which is found on a grid and by golden sections; where it does not
    come to rest, all draws take that way.
    """
    ends = _ends(at)
    few = surface.thinned(DRAWS["start"])
    start = np.median(minimise(lambda x: few.along(at, x), *ends), axis=-1, keepdims=True)

    def slope(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        below, here, above = (surface.along(at, x + d) for d in (-_APART, 0.0, _APART))
        first, second = (above - below) / (2 * _APART), (above - 2 * here + below) / _APART**2
        return first, np.where(second > 0, second, np.abs(first))  # where it bends down, one step downhill

    x = start + np.zeros((1, surface.draws))
    x, rests = newton(slope, x, steps=12, tolerance=_CLOSE, largest=1.0, bounds=ends)
    return x if rests else minimise(lambda x: surface.along(at, x), *ends)


def _least_of_many(surface: Surface, at: np.ndarray) -> np.ndarray:
    """Return the optima of a law and its discrepancy, whose loss along a budget may have several minima in log N.

    A fine grid says in which of its steps the least minimum lies, and golden sections where.
    """
    low, high = _sensible(surface, at)
    best = _on_fine_grid(surface, at)
    bracket = np.maximum(best - _FINE, low), np.minimum(best + _FINE, high)
    return minimise(lambda x: surface.along(at, x), *bracket, grid=3, steps=_NARROWED)


def _on_fine_grid(surface: Surface, at: np.ndarray) -> np.ndarray:
    """Return the point of a fine grid with the least loss in each draw: of plausible sizes, of all where it is at their edge."""
    low, high = _sensible(surface, at)
    near = _near(surface, at, low, high)
    best = _on_grid(surface, at, *near, _FINE)
    outside = ((best <= near[0]) & (near[0] > low)) | ((best >= near[1]) & (near[1] < high))
    return np.where(outside, _on_grid(surface, at, low, high, _FINE), best) if outside.any() else best


def _near(surface: Surface, at: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where the optima of a few draws lie on a wide grid, as far again on either side, and three steps more."""
    located = _on_grid(surface.thinned(DRAWS["located"]), at, low, high, _WIDE)
    middle, reach = np.median(located, axis=-1, keepdims=True), np.ptp(located, axis=-1, keepdims=True) + 3 * _WIDE
    return np.maximum(middle - reach, low), np.minimum(middle + reach, high)


def _sensible(surface: Surface, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the log of the sizes of budgets between which the law loses little enough for its discrepancy to make it good.

    Far off, where the law expects many times the loss of any run, the discrepancy is as many times larger, and says nothing.
    """
    law = surface.thinned(DRAWS["located"]).law_alone
    low, high = (end + 0.0 * at for end in _ends(at))
    x = low + np.linspace(0.0, 1.0, int(np.ceil(np.max(high - low) / _WIDE)) + 1) * (high - low)
    loss = law.along(at[..., None], x[..., None])
    good = np.median(loss / loss.min(axis=1, keepdims=True), axis=-1) <= MOST_LOST
    first, last = good.argmax(axis=1), good.shape[1] - 1 - good[:, ::-1].argmax(axis=1)
    first, last = np.maximum(first - 1, 0), np.minimum(last + 1, good.shape[1] - 1)
    return np.take_along_axis(x, first[:, None], axis=1), np.take_along_axis(x, last[:, None], axis=1)


def _on_grid(surface: Surface, at: np.ndarray, low: Any, high: Any, step: float) -> np.ndarray:
    """Return the point with the least loss in each draw of a grid whose steps are no wider than asked, shape (budget, draw)."""
    count = int(np.ceil(np.max(high - low) / step)) + 1
    best = least_of_grid(lambda x: surface.along(at, x), low, high, grid=count)
    return low + best / (count - 1) * (high - low)


def _ends(at: np.ndarray) -> tuple[Any, Any]:
    """Return the log of the smallest and of the largest size of budgets."""
    return np.log(FEWEST), np.log(params_at(at, FEWEST))


def judged(surface: Surface, measure: RiskMeasure) -> Losses:
    """Return the losses that a risk measure judges: the mean those expected, any other what a new run measures."""
    return surface.along if measure is expectation else surface.measured_along


def choose(
    losses: Losses,
    budgets: np.ndarray,
    measure: RiskMeasure,
    within: tuple[np.ndarray, np.ndarray],
    limits: tuple[float, float] | None = None,
) -> np.ndarray:
    """Return the log of the one size that makes the risk of a loss least, for each budget.

    It lies within what :func:`plausible` or :func:`among` returned, and between the limits, least and most log N, if any.
    """
    at = np.asarray(budgets, float)[:, None]

    def risk(x: np.ndarray) -> np.ndarray:
        loss = losses(at, x[:, None])
        if measure is expectation:
            return loss.mean(axis=-1)
        # Where the risk is flat, as that of a loss that is reached for sure, the mean decides.
        return np.asarray(measure(xr.DataArray(loss[None], dims=("chain", "budget", "draw")))) + _TIE * loss.mean(axis=-1)

    low, high = within if limits is None else (np.clip(end, *limits) for end in within)
    steps = int(np.ceil(np.max(high - low) / _WIDE))
    return minimise(risk, low, high, grid=max(13, steps + 1), steps=18)
