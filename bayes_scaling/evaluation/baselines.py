"""Baselines on the same splits: the additive law by a Huber fit, with a bootstrap.

The fit is approach 3 of Hoffmann et al. (2022): the Huber loss of log residuals with delta 1e-3, from many starts. Its
bootstrap draws runs, or whole clusters of runs of one compute, with replacement; a new run's interval adds residuals
of the fit, drawn again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import numpy as np
import pandas as pd

from bayes_scaling.laws.chinchilla import chinchilla

DELTA: Final = 1e-3
"""Where the Huber loss of a log residual turns from a square into a line."""
RESAMPLES: Final = 100
_RESIDUALS: Final = 20
"""Residuals added to each resampled fit."""
_STARTS: Final = [
    (np.log(offset), np.log(term), np.log(term), np.log(exponent), np.log(exponent))
    for offset in (0.4, 1.3, 2.0)
    for term in (0.2, 1.0)
    for exponent in (0.2, 0.5)
]
_LOWEST, _HIGHEST = [-20.0, -15.0, -15.0, -5.0, -5.0], [8.0, 8.0, 8.0, 2.0, 2.0]

Baseline = Callable[[pd.DataFrame, pd.DataFrame, np.random.Generator], np.ndarray]
"""From measured runs and inputs of later runs to draws of their log loss, shape (draw, run)."""


def point_fit(measured: pd.DataFrame) -> dict[str, float]:
    """Return the constants of the additive law by its Huber fit: approach 3 of Hoffmann et al. (2022).

    Examples
    --------
    >>> N, D = (axis.ravel() for axis in np.meshgrid(np.geomspace(1e8, 1e10, 5), np.geomspace(1e9, 1e11, 5)))
    >>> law = dict(E=1.8, A=480.0, alpha=0.35, B=2000.0, beta=0.37)
    >>> constants = point_fit(pd.DataFrame({"params": N, "tokens": D, "loss": chinchilla(N, D, **law)}))
    >>> round(constants["alpha"], 3), round(constants["beta"], 3)
    (0.35, 0.37)
    """
    middle = _middle(measured)
    E, A, B, alpha, beta = np.exp(_best(_inputs(measured, middle), np.log(measured["loss"].to_numpy(float)))).tolist()
    return {"E": E, "A": A * middle["params"] ** alpha, "alpha": alpha, "B": B * middle["tokens"] ** beta, "beta": beta}


def _bootstrap(
    measured: pd.DataFrame,
    ahead: pd.DataFrame,
    rng: np.random.Generator,
    *,
    residuals: bool = True,
    by_budget: bool = False,
) -> np.ndarray:
    """Return draws of the fit, with its residuals or without, over resampled runs or budgets."""
    middle = _middle(measured)
    inputs, inputs_ahead = _inputs(measured, middle), _inputs(ahead, middle)
    log_loss = np.log(measured["loss"].to_numpy(float))
    best = _best(inputs, log_loss)
    clusters = np.arange(len(measured))
    if by_budget:  # the runs of a ladder in each tenth of a decade of compute
        clusters = np.round(10 * np.log10(measured["compute_flops"].to_numpy(float))).astype(int)
    members = [np.flatnonzero(clusters == label) for label in np.unique(clusters)]
    draws = np.empty((RESAMPLES, len(ahead)))
    for number in range(RESAMPLES):
        rows = np.concatenate([members[i] for i in rng.integers(len(members), size=len(members))])
        draws[number] = _log_law(_fitted([x[rows] for x in inputs], log_loss[rows], best)[0], inputs_ahead)
    if not residuals:
        return draws
    repeated = np.repeat(draws, _RESIDUALS, axis=0)
    return repeated + rng.choice(log_loss - _log_law(best, inputs), size=repeated.shape)


def _middle(measured: pd.DataFrame) -> dict[str, float]:
    """Return the geometric mean of each input."""
    return {column: float(np.exp(np.log(measured[column]).mean())) for column in ("params", "tokens")}


def _inputs(table: pd.DataFrame, middle: dict[str, float]) -> list[np.ndarray]:
    return [table[column].to_numpy(float) / value for column, value in middle.items()]


def _log_law(unknowns: np.ndarray, inputs: list[np.ndarray]) -> np.ndarray:
    E, A, B, alpha, beta = np.exp(unknowns)
    return np.log(chinchilla(*inputs, E=E, A=A, alpha=alpha, B=B, beta=beta))


def _best(inputs: list[np.ndarray], log_loss: np.ndarray) -> np.ndarray:
    """Return the unknowns of the best fit over all starts."""
    return min((_fitted(inputs, log_loss, start) for start in _STARTS), key=lambda fitted: fitted[1])[0]


def _fitted(inputs: list[np.ndarray], log_loss: np.ndarray, start: Any) -> tuple[np.ndarray, float]:
    """Return the unknowns of a fit, and its cost."""
    from scipy.optimize import least_squares  # some tenths of a second that only a backtest needs

    solution = least_squares(
        lambda unknowns: _log_law(unknowns, inputs) - log_loss,
        start,
        loss="huber",
        f_scale=DELTA,
        max_nfev=200,
        bounds=(_LOWEST, _HIGHEST),
    )
    return solution.x, float(solution.cost)


BASELINES: Final[dict[str, Baseline]] = {
    "huber + bootstrap": partial(_bootstrap, residuals=False),
    "huber + bootstrap + residuals": _bootstrap,
    "huber + cluster bootstrap + residuals": partial(_bootstrap, by_budget=True),
}
"""Baselines by name."""
NEEDS: Final = ("params", "tokens", "compute_flops")
"""Columns that the baselines need: inputs of the additive law of N and D."""
