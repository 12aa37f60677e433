"""Gaussian processes by dense linear algebra: what rows say of a random walk that they do not reach."""

from __future__ import annotations

from typing import Any

import numpy as np

INSIDE = (np.arange(400) + 0.5) / 400 - 0.5


def shares(values: Any, smooth: float, origin: float, steps: np.ndarray) -> np.ndarray:
    """Return how much of every step of a walk lies between the origin and a value, averaged over the half step around both."""

    def averaged(place: np.ndarray) -> np.ndarray:
        return np.clip(place[:, None, None] + INSIDE[:, None] - steps, 0, 1).mean(axis=1)

    return (averaged((np.log10(values) - origin) / smooth) - averaged(np.zeros(1))) * np.sqrt(smooth)


def conditioned(brute: Any, N: np.ndarray, D: np.ndarray, smooth: float = 0.07) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and variance of the log expected loss of new runs in every draw, given its parameters and scales, (run, draw)."""
    table, steps, count = brute.fit.table, np.arange(-80, 80), len(brute.fit.table)
    columns = {"N": (table["params"], N), "D": (table["tokens"], D), "C": (table["compute_flops"], 6 * N * D)}
    covariances = {}
    for name, (rows, new) in columns.items():
        origin = np.log10(rows).mean()
        both = np.concatenate([shares(values.astype(float), smooth, origin, steps) for values in (rows.to_numpy(), new)])
        covariances[name] = both @ both.T
    labels = (
        table.groupby(["params", "tokens", "batch_tokens", "steps", "depth", "width", "heads", "lr"]).ngroup().to_numpy()
    )
    law = np.log(np.concatenate([brute.law(table["params"], table["tokens"]), brute.law(N, D)]))
    means, variances = [], []
    for draw in range(law.shape[1]):
        p = {name: values[draw] for name, values in brute.of.items()}
        growth = brute.growth(np.exp(law))[:, draw]
        walks = sum(p[f"discrepancy_scale_{name}"] ** 2 * matrix for name, matrix in covariances.items())
        walks = walks * growth[:, None] * growth
        own = p["sigma"] ** 2 * np.eye(count) + p["noise_scale_recipe"] ** 2 * (labels[:, None] == labels)
        rows = walks[:count, :count] + own * growth[:count, None] * growth[:count]
        residual = np.log(table["loss"].to_numpy()) - law[:count, draw]
        weights = np.linalg.solve(rows, walks[:count, count:])
        means.append(law[count:, draw] + weights.T @ residual)
        variances.append(np.diag(walks[count:, count:]) - (weights * walks[:count, count:]).sum(axis=0))
    return np.array(means).T, np.array(variances).T
