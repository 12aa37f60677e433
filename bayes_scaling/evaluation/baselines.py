"""Baselines on the same splits: the additive law by a Huber fit, with a bootstrap.

The fit is approach 3 of Hoffmann et al. (2022): the Huber loss of log residuals with delta 1e-3, from many starts. Its
bootstrap draws runs, or whole clusters of runs of one compute, with replacement; a new run's interval adds residuals
of the fit, drawn again.
"""

from __future__ import annotations

from collections.abc import Callable
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

    Parameters
    ----------
    measured : DataFrame
        Runs with ``params``, ``tokens`` and ``loss``.

    Returns
    -------
    dict of str to float
        ``E``, ``A``, ``alpha``, ``B``, ``beta``.

    Examples
    --------
    >>> N, D = (axis.ravel() for axis in np.meshgrid(np.geomspace(1e8, 1e10, 5), np.geomspace(1e9, 1e11, 5)))
    >>> law = dict(E=1.8, A=480.0, alpha=0.35, B=2000.0, beta=0.37)
    >>> constants = point_fit(pd.DataFrame({"params": N, "tokens": D, "loss": chinchilla(N, D, **law)}))
    >>> round(constants["alpha"], 3), round(constants["beta"], 3)
    (0.35, 0.37)
    """
    middle = {column: float(np.exp(np.log(measured[column]).mean())) for column in ("params", "tokens")}
    at = [measured[c].to_numpy(float) / middle[c] for c in middle]
    log_loss = np.log(measured["loss"].to_numpy(float))
    best = min((_fitted(at, log_loss, start) for start in _STARTS), key=lambda fitted: fitted[1])[0]
    E, A, B, alpha, beta = (float(value) for value in np.exp(best))
    return {"E": E, "A": A * middle["params"] ** alpha, "alpha": alpha, "B": B * middle["tokens"] ** beta, "beta": beta}


def _draws(
    measured: pd.DataFrame, ahead: pd.DataFrame, rng: np.random.Generator, clusters: Any, residuals: bool
) -> np.ndarray:
    middle = {column: float(np.exp(np.log(measured[column]).mean())) for column in ("params", "tokens")}
    at, there = ([table[c].to_numpy(float) / middle[c] for c in middle] for table in (measured, ahead))
    log_loss = np.log(measured["loss"].to_numpy(float))
    best = min((_fitted(at, log_loss, start) for start in _STARTS), key=lambda fitted: fitted[1])[0]
    labels, draws = np.unique(clusters), []
    members = [np.flatnonzero(clusters == label) for label in labels]
    for _ in range(RESAMPLES):
        rows = np.concatenate([members[i] for i in rng.integers(len(members), size=len(members))])
        again = _fitted([x[rows] for x in at], log_loss[rows], best)[0]
        draws.append(_log_law(again, there))
    fits = np.array(draws)
    if not residuals:
        return fits
    left = log_loss - _log_law(best, at)
    repeated = np.repeat(fits, _RESIDUALS, axis=0)
    return repeated + rng.choice(left, size=repeated.shape)


def _log_law(unknowns: Any, inputs: list[np.ndarray]) -> np.ndarray:
    E, A, B, alpha, beta = np.exp(unknowns)
    return np.log(chinchilla(*inputs, E=E, A=A, alpha=alpha, B=B, beta=beta))


def _fitted(inputs: list[np.ndarray], log_loss: np.ndarray, start: Any) -> tuple[np.ndarray, float]:
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


def _each(measured: pd.DataFrame) -> np.ndarray:
    return np.arange(len(measured))


def _budgets(measured: pd.DataFrame) -> np.ndarray:
    """Return the budget of each run of a ladder: bins of a tenth of a decade of compute."""
    return np.round(10 * np.log10(measured["compute_flops"].to_numpy(float))).astype(int)


BASELINES: Final[dict[str, Baseline]] = {
    "huber + bootstrap": lambda measured, ahead, rng: _draws(measured, ahead, rng, _each(measured), residuals=False),
    "huber + bootstrap + residuals": lambda measured, ahead, rng: _draws(
        measured, ahead, rng, _each(measured), residuals=True
    ),
    "huber + cluster bootstrap + residuals": lambda measured, ahead, rng: _draws(
        measured, ahead, rng, _budgets(measured), residuals=True
    ),
}
"""Baselines by name."""
NEEDS: Final = ("params", "tokens", "compute_flops")
"""Columns that the baselines need: inputs of the additive law of N and D."""
