"""Tables that follow from others: shapes of one size, lowest points of curves, steps to a loss, gradient noise scales."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import pandas as pd

from bayes_scaling.errors import InvalidRuns

_SCAN = ("params", "loss")
"""What a scan of batches holds fixed."""


def steps_to_loss(curves: pd.DataFrame, *, every: float = 0.04, least_batches: int = 4) -> pd.DataFrame:
    """Return the steps each run took to reach each of a series of losses.

    Losses lie a factor apart. A run's steps to a loss are read between the two points of its curve around the first
    crossing, by straight lines in the logarithms. Runs of one size are a scan over batches; a loss that fewer batches of
    a scan reached is left out.

    Parameters
    ----------
    curves : DataFrame
        Points along runs: ``run_id``, ``steps``, ``loss``, ``params``, ``batch_tokens``.
    every : float
        Distance between losses in the logarithm.
    least_batches : int
        Batches that a scan needs at a loss.

    Returns
    -------
    DataFrame
        ``run_id``, ``params``, ``batch_tokens``, ``loss``, ``steps``, and ``scan``, a label for each size and loss.

    Raises
    ------
    InvalidRuns
        If the curves lack a column, or no scan has enough batches.

    Examples
    --------
    >>> steps = np.geomspace(10, 1000, 30)
    >>> curve = lambda batch: pd.DataFrame(
    ...     {"run_id": str(batch), "params": 1e6, "batch_tokens": batch, "steps": steps,
    ...      "loss": 2 + (100 * (1 + 4096 / batch) / steps) ** 0.5})
    >>> found = steps_to_loss(pd.concat([curve(b) for b in (1024, 4096, 16384)]), least_batches=3)
    >>> one = found[found["scan"] == found["scan"].iloc[-1]]
    >>> (one["steps"] / (1 + 4096 / one["batch_tokens"])).round(0).nunique()
    1
    """
    _need(curves, ("run_id", "steps", "loss", "params", "batch_tokens"))
    lowest, highest = np.log(curves["loss"].min()), np.log(curves["loss"].max())
    losses = np.exp(np.arange(np.ceil(lowest / every), np.floor(highest / every) + 1) * every)
    rows = []
    for name, points in curves.sort_values("steps").groupby("run_id", sort=False):
        log_loss, log_steps = np.log(points["loss"].to_numpy(float)), np.log(points["steps"].to_numpy(float))
        for loss in losses:
            below = np.flatnonzero(log_loss <= np.log(loss))
            if len(below) and below[0] > 0:
                left, right = below[0] - 1, below[0]
                share = (log_loss[left] - np.log(loss)) / (log_loss[left] - log_loss[right])
                steps = np.exp(log_steps[left] + share * (log_steps[right] - log_steps[left]))
                first = points.iloc[0]
                rows.append((name, first["params"], first["batch_tokens"], loss, steps))
    table = pd.DataFrame(rows, columns=["run_id", "params", "batch_tokens", "loss", "steps"])
    enough = table.groupby(list(_SCAN))["batch_tokens"].transform("nunique") >= least_batches
    table = table[enough].reset_index(drop=True)
    if table.empty:
        raise InvalidRuns(f"No loss was reached at {least_batches} batches of one size: the curves hold no scan of batches.")
    return table.assign(
        scan=[f"N {params:.6g}, L {loss:.4f}" for params, loss in zip(table["params"], table["loss"], strict=True)]
    )


def gradient_noise(curves: pd.DataFrame, *, points: int = 4) -> pd.DataFrame:
    """Return the gradient noise scale along each run, from unbiased estimates at the points of its curve.

    One estimate of the squared gradient may be negative; neighbouring ones are averaged, the ratio is taken of the
    averages, and its error follows from their scatter.

    Parameters
    ----------
    curves : DataFrame
        Points along runs: ``run_id``, ``steps``, ``loss``, ``gradient_squared``, ``gradient_trace``.
    points : int
        Points of a curve that are averaged; each serves once.

    Returns
    -------
    DataFrame
        ``noise_tokens``, the ratio tr(S)/|G|^2 in tokens, ``noise_tokens_se``, and at the middle of the points averaged
        ``steps``, ``tokens`` and ``loss``; other columns as they are along the run. Averages that are not positive are
        left out.

    Raises
    ------
    InvalidRuns
        If the curves lack a column.

    References
    ----------
    McCandlish et al. (2018), equation (2.9) and appendix A.1.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> curve = pd.DataFrame({"run_id": "a", "steps": np.arange(1.0, 9.0), "tokens": np.arange(1.0, 9.0), "loss": 2.0,
    ...     "gradient_squared": 0.1 + 0.01 * rng.standard_normal(8), "gradient_trace": 400.0})
    >>> gradient_noise(curve)["noise_tokens"].between(3500, 4500).all()
    np.True_
    """
    _need(curves, ("run_id", "steps", "loss", "gradient_squared", "gradient_trace"))
    rows = []
    for _, run in (
        curves.dropna(subset=["gradient_squared", "gradient_trace"]).sort_values("steps").groupby("run_id", sort=False)
    ):
        for start in range(0, len(run) - points + 1, points):
            part = run.iloc[start : start + points]
            squared, trace = part["gradient_squared"].mean(), part["gradient_trace"].mean()
            if squared <= 0 or trace <= 0:
                continue
            relative = np.hypot(part["gradient_squared"].sem() / squared, part["gradient_trace"].sem() / trace)
            row = part.iloc[points // 2].to_dict()
            middle = {name: float(np.exp(np.log(part[name]).mean())) for name in ("steps", "tokens", "loss") if name in part}
            rows.append(row | middle | {"noise_tokens": trace / squared, "noise_tokens_se": relative * trace / squared})
    return pd.DataFrame(rows)


def _need(curves: pd.DataFrame, columns: tuple[str, ...]) -> None:
    missing = [column for column in columns if column not in curves]
    if missing:
        raise InvalidRuns(f"The curves have no column {', '.join(map(repr, missing))}; found {', '.join(map(str, curves))}.")


def shapes(runs: pd.DataFrame, *, apart: float = 0.2, least_aspects: int = 2) -> pd.DataFrame:
    """Return runs that differ in shape at one size: those whose N lie close together.

    Parameters
    ----------
    runs : DataFrame
        Runs with ``params`` and ``aspect``.
    apart : float
        Sizes whose neighbours in the logarithm of N lie further apart than this are two.
    least_aspects : int
        Aspect ratios a size needs; others are left out.

    Returns
    -------
    DataFrame
        The runs, with ``size``, a label.

    Raises
    ------
    InvalidRuns
        If the runs lack a column, or no size has enough shapes.

    Examples
    --------
    >>> runs = pd.DataFrame({"params": [1e6, 1.05e6, 0.95e6, 9e6], "aspect": [4.0, 16.0, 64.0, 16.0]})
    >>> shapes(runs)["size"].tolist()
    ['N 9.99e+05', 'N 9.99e+05', 'N 9.99e+05']
    """
    _need(runs, ("params", "aspect"))
    ordered = runs.sort_values("params", kind="stable")
    number = (np.log(ordered["params"]).diff() > apart).cumsum()
    enough = ordered["aspect"].groupby(number).transform("nunique") >= least_aspects
    if not enough.any():
        raise InvalidRuns(f"No size has runs of {least_aspects} aspect ratios: there is nothing to tell of shapes.")
    middle = np.exp(np.log(ordered["params"]).groupby(number).transform("mean"))
    return ordered.assign(size=[f"N {value:.3g}" for value in middle])[enough].loc[lambda kept: kept.index.sort_values()]


def lowest(curves: pd.DataFrame) -> pd.DataFrame:
    """Return the lowest point of each run's curve: the loss where training with early stopping would have ended.

    Parameters
    ----------
    curves : DataFrame
        Points along runs: ``run_id``, ``loss``.

    Returns
    -------
    DataFrame
        One row a run, in the order of the runs.

    Raises
    ------
    InvalidRuns
        If the curves lack a column.

    References
    ----------
    Kaplan et al. (2020), section 4.2: runs on limited data are stopped where the test loss ceases to fall.

    Examples
    --------
    >>> curve = pd.DataFrame({"run_id": list("aaabb"), "steps": [1, 2, 3, 1, 2], "loss": [3.0, 2.0, 2.5, 3.0, 2.9]})
    >>> lowest(curve)["steps"].tolist()
    [2, 2]
    """
    _need(curves, ("run_id", "loss"))
    return curves.loc[curves.groupby("run_id", sort=False)["loss"].idxmin()]


DERIVED: Final[dict[str, Callable[[pd.DataFrame], pd.DataFrame]]] = {
    "lowest": lowest,
    "shapes": shapes,
    "steps_to_loss": steps_to_loss,
    "gradient_noise": gradient_noise,
}
"""Tables that follow from another, by name: those but ``shapes`` from learning curves."""
