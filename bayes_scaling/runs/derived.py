"""Tables that follow from others: scans over batches, shapes of one size, lowest points of curves, steps to a loss, gradient noise scales."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import pandas as pd

from bayes_scaling.errors import MissingColumn, TooFewRuns
from bayes_scaling.numerics import first_crossing
from bayes_scaling.runs.sweeps import cells_of

_FEWEST_NEAR: Final = 3
"""Runs near the best of a cell below which it was not swept."""


def steps_to_loss(curves: pd.DataFrame, *, every: float = 0.04, least_batches: int = 4) -> pd.DataFrame:
    """Return the steps each run took to reach each of a series of losses, ``every`` apart in the logarithm.

    Steps are read between the two points of a curve around the first crossing, by straight lines in the logarithms. Runs
    of one size are a scan over batches, ``scan`` in the table; a loss that fewer batches of a scan reached is left out.

    >>> steps = np.geomspace(10, 1000, 30)
    >>> curve = lambda batch: pd.DataFrame(
    ...     {"run_id": str(batch), "params": 1e6, "batch_tokens": batch, "steps": steps,
    ...      "loss": 2 + (100 * (1 + 4096 / batch) / steps) ** 0.5})
    >>> table = steps_to_loss(pd.concat([curve(b) for b in (1024, 4096, 16384)]), least_batches=3)
    >>> one = table[table["scan"] == table["scan"].iloc[-1]]
    >>> (one["steps"] / (1 + 4096 / one["batch_tokens"])).round(0).nunique()
    1
    """
    _need(curves, ("run_id", "steps", "loss", "params", "batch_tokens"))
    lowest, highest = np.log(curves["loss"].min()), np.log(curves["loss"].max())
    losses = np.exp(np.arange(np.ceil(lowest / every), np.floor(highest / every) + 1) * every)
    tables = []
    for _, points in curves.sort_values("steps").groupby("run_id", sort=False):
        log_loss, log_steps = np.log(points["loss"].to_numpy(float)), np.log(points["steps"].to_numpy(float))
        falling = np.tile(-log_loss[:, None], len(losses))
        reached = np.exp(first_crossing(log_steps, falling, -np.log(losses), before=np.nan, never=np.nan))
        run = points.iloc[[0]][["run_id", "params", "batch_tokens"]]
        tables.append(run.merge(pd.DataFrame({"loss": losses, "steps": reached}), how="cross"))
    table = pd.concat(tables).dropna(subset="steps")
    enough = table.groupby(["params", "loss"])["batch_tokens"].transform("nunique") >= least_batches
    table = table[enough].reset_index(drop=True)
    if table.empty:
        raise TooFewRuns(f"No loss was reached at {least_batches} batches of one size: the curves hold no scan of batches.")
    return table.assign(
        scan=[f"N {params:.6g}, L {loss:.4f}" for params, loss in zip(table["params"], table["loss"], strict=True)]
    )


def gradient_noise(curves: pd.DataFrame, *, points: int = 4) -> pd.DataFrame:
    """Return the gradient noise scale along each run, from unbiased estimates at the points of its curve.

    One estimate of the squared gradient may be negative: ``points`` neighbouring ones are averaged, each serving once, the
    ratio tr(S)/|G|^2 in tokens is taken of the averages, and its error follows from their standard errors. Averages that are not
    positive are left out. Steps, tokens and loss are those at the middle of the points averaged. After McCandlish et al.
    (2018), equation (2.9) and appendix A.1.

    >>> rng = np.random.default_rng(1)
    >>> curve = pd.DataFrame({"run_id": "a", "steps": np.arange(1.0, 9.0), "tokens": np.arange(1.0, 9.0), "loss": 2.0,
    ...     "gradient_squared": 0.1 + 0.01 * rng.standard_normal(8), "gradient_trace": 400.0})
    >>> gradient_noise(curve)["noise_tokens"].between(3500, 4500).all()
    np.True_
    """
    _need(curves, ("run_id", "steps", "loss", "gradient_squared", "gradient_trace"))
    rows = []
    estimates = curves.dropna(subset=["gradient_squared", "gradient_trace"]).sort_values("steps")
    for _, run in estimates.groupby("run_id", sort=False):
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
        raise MissingColumn(
            f"The curves have no column {', '.join(map(repr, missing))}; found {', '.join(map(str, curves))}."
        )


def shapes(runs: pd.DataFrame, *, apart: float = 0.2, least_aspects: int = 2) -> pd.DataFrame:
    """Return runs that differ in shape at one size: those whose N lie close together, labelled by ``size``.

    Sizes whose neighbours in the logarithm of N lie further ``apart`` are two; one with fewer aspect ratios is left out.

    >>> runs = pd.DataFrame({"params": [1e6, 1.05e6, 0.95e6, 9e6], "aspect": [4.0, 16.0, 64.0, 16.0]})
    >>> shapes(runs)["size"].tolist()
    ['N 9.99e+05', 'N 9.99e+05', 'N 9.99e+05']
    """
    _need(runs, ("params", "aspect"))
    ordered = runs.sort_values("params", kind="stable")
    number = (np.log(ordered["params"]).diff() > apart).cumsum()
    enough = ordered["aspect"].groupby(number).transform("nunique") >= least_aspects
    if not enough.any():
        raise TooFewRuns(f"No size has runs of {least_aspects} aspect ratios, so that nothing can be learned about shapes.")
    middle = np.exp(np.log(ordered["params"]).groupby(number).transform("mean"))
    return ordered.assign(size=[f"N {value:.3g}" for value in middle])[enough].sort_index()


def near_best(runs: pd.DataFrame, *, within: float = 0.01, fewest: int = 5, furthest: float = 0.05) -> pd.DataFrame:
    """Return the runs of sweeps that are near the best of their size and data, ``cell`` in the table.

    Near is a loss at most a share ``within`` above the least of the cell, or one of the ``fewest`` least and at most
    ``furthest``. Sizes and data equal to a per cent are one cell; one with fewer than three such runs is left out. At the edge
    lucky runs are kept: where runs scatter by a tenth of ``within``, what it costs to be off the best comes out some 10 % too small
    (16 simulated tables), and the best where it is.

    >>> runs = pd.DataFrame({"params": 1e8, "tokens": [1e9, 1.001e9, 1e9, 1e9, 9e9], "loss": [3.0, 3.01, 3.1, 3.2, 2.0]})
    >>> near_best(runs)["cell"].tolist()
    ['N 1e+08, D 1e+09', 'N 1e+08, D 1e+09', 'N 1e+08, D 1e+09']
    """
    _need(runs, ("params", "tokens", "loss"))
    cell = cells_of(runs, ("params", "tokens"))
    of_cell = runs["loss"].groupby(cell)
    above, rank = runs["loss"] / of_cell.transform("min") - 1, of_cell.rank(method="first")
    near = (above <= within) | ((rank <= fewest) & (above <= furthest))
    enough = near & (near.groupby(cell).transform("sum") >= _FEWEST_NEAR)
    if not enough.any():
        raise TooFewRuns(f"No size and data have {_FEWEST_NEAR} runs near the best of them: there is no sweep.")
    middle = {column: np.exp(np.log(runs[column]).groupby(cell).transform("mean")) for column in ("params", "tokens")}
    labels = [f"N {params:.3g}, D {tokens:.3g}" for params, tokens in zip(middle["params"], middle["tokens"], strict=True)]
    return runs.assign(cell=labels)[enough]


def scans(runs: pd.DataFrame) -> pd.DataFrame:
    """Return runs that were trained to one loss or several at several batches, those of one size and loss labelled by ``scan``.

    Where the table has no steps, they are the tokens over the batch.

    >>> runs = pd.DataFrame({"params": 1e9, "batch_tokens": [1e6, 4e6], "tokens": [8e9, 1.6e10], "loss": 3.0})
    >>> scans(runs)[["steps", "scan"]].to_dict("list")
    {'steps': [8000.0, 4000.0], 'scan': ['N 1e+09, L 3.0000', 'N 1e+09, L 3.0000']}
    """
    missing = [column for column in ("batch_tokens", "loss") if column not in runs]
    missing += [] if {"steps", "tokens"} & set(runs) else ["steps"]
    if missing:
        raise MissingColumn(
            f"The runs have no column {', '.join(map(repr, missing))}: a scan of batches has the batch, the steps (or tokens) "
            f"that a loss took, and the loss; found {', '.join(map(str, runs))}."
        )
    steps = runs["steps"] if "steps" in runs else runs["tokens"] / runs["batch_tokens"]
    sizes = [f"N {size:.3g}, " for size in runs["params"]] if "params" in runs else [""] * len(runs)
    return runs.assign(steps=steps, scan=[f"{size}L {loss:.4f}" for size, loss in zip(sizes, runs["loss"], strict=True)])


def lowest(curves: pd.DataFrame) -> pd.DataFrame:
    """Return the lowest point of each run's curve, where training with early stopping would have ended.

    Runs on limited data are stopped where the test loss ceases to fall (Kaplan et al. 2020, section 4.2).

    >>> curve = pd.DataFrame({"run_id": list("aaabb"), "steps": [1, 2, 3, 1, 2], "loss": [3.0, 2.0, 2.5, 3.0, 2.9]})
    >>> lowest(curve)["steps"].tolist()
    [2, 2]
    """
    _need(curves, ("run_id", "loss"))
    return curves.loc[curves.groupby("run_id", sort=False)["loss"].idxmin()]


DERIVED: Final[dict[str, Callable[[pd.DataFrame], pd.DataFrame]]] = {
    "lowest": lowest,
    "near_best": near_best,
    "scans": scans,
    "shapes": shapes,
    "steps_to_loss": steps_to_loss,
    "gradient_noise": gradient_noise,
}
"""Tables that follow from another, by name: those but ``near_best``, ``scans`` and ``shapes`` from learning curves."""
