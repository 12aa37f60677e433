"""Scores of forecasts of the log loss: 0.01 is one per cent."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from bayes_scaling.posterior.predict import inside, quantiles

PROBS: Final = (0.5, 0.8, 0.9, 0.95)
"""Probabilities whose intervals are scored."""


def interval_score(truth: np.ndarray, lower: np.ndarray, upper: np.ndarray, prob: float) -> np.ndarray:
    """Return width of the interval and 2 / (1 - prob) for each unit the truth lies outside it (Gneiting and Raftery 2007).

    Examples
    --------
    >>> interval_score(np.array([0.5, 1.5]), np.array([0.0, 0.0]), np.array([1.0, 1.0]), 0.9).round(9).tolist()
    [1.0, 11.0]
    """
    outside = np.clip(lower - truth, 0.0, None) + np.clip(truth - upper, 0.0, None)
    return upper - lower + 2 / (1 - prob) * outside


def crps(truth: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Return the continuous ranked probability score of draws, shape (draw, run): E|X - y| - E|X - X'| / 2.

    Examples
    --------
    >>> crps(np.array([0.0]), np.array([[-1.0], [1.0]])).tolist()
    [0.5]
    """
    ordered, count = np.sort(draws, axis=0), len(draws)
    # The mean distance of two draws is a weighted sum of the ordered ones.
    weights = (2 * np.arange(1, count + 1) - count - 1)[:, None]
    return np.abs(draws - truth).mean(axis=0) - (weights * ordered).sum(axis=0) / count**2


def log_score(truth: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Return the log density of the measured values, the draws smoothed by a Normal kernel of Silverman's width.

    Examples
    --------
    >>> draws = np.random.default_rng(0).standard_normal((4000, 1))
    >>> bool(abs(log_score(np.array([0.0]), draws)[0] + np.log(np.sqrt(2 * np.pi))) < 0.1)
    True
    """
    from scipy.special import logsumexp  # some tenths of a second that a stored fit is queried without

    spread = np.minimum(draws.std(axis=0), (np.diff(np.quantile(draws, [0.25, 0.75], axis=0), axis=0)[0]) / 1.349)
    width = np.clip(0.9 * spread * len(draws) ** -0.2, 1e-9, None)
    return logsumexp(-0.5 * ((draws - truth) / width) ** 2, axis=0) - np.log(len(draws) * width * np.sqrt(2 * np.pi))


def scored(truth: np.ndarray, draws: np.ndarray) -> pd.DataFrame:
    """Score draws of the log loss of new runs, shape (draw, run), against the measured log losses.

    One row a run: ``median``, the ``error`` of it, ``pit``, ``crps``, ``log_score``, and for each probability of :data:`PROBS`
    ``inside_{prob}`` and ``interval_score_{prob}``; ``lower`` and ``upper`` of 90 %.
    """
    median = np.median(draws, axis=0)
    columns: dict[str, np.ndarray] = {
        "median": median,
        "error": median - truth,
        "pit": (draws < truth).mean(axis=0),
        "crps": crps(truth, draws),
        "log_score": log_score(truth, draws),
    }
    for prob in PROBS:
        lower, upper = np.quantile(draws, quantiles(prob)[1:], axis=0)
        columns[f"inside_{prob:g}"] = inside(truth, lower, upper)
        columns[f"interval_score_{prob:g}"] = interval_score(truth, lower, upper, prob)
        if prob == 0.9:
            columns |= {"lower": lower, "upper": upper}
    return pd.DataFrame(columns)


def summarized(predictions: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Return the scores of many predictions, rows of :func:`scored`, averaged over groups of them.

    One row a group: ``runs``; ``coverage_{prob}``, a share; ``interval_score`` (of 90 %), ``crps`` and ``log_score``, means;
    ``median_error``, the median of the absolute error; ``width``, the median width of 90 %.
    """
    coverage = {f"coverage_{prob:g}": predictions[f"inside_{prob:g}"] for prob in PROBS}
    rows = predictions.assign(
        **coverage,
        interval_score=predictions["interval_score_0.9"],
        median_error=predictions["error"].abs(),
        width=predictions["upper"] - predictions["lower"],
    )
    groups = rows.groupby(by, sort=False, observed=True)
    means = groups[[*coverage, "interval_score", "crps", "log_score"]].mean()
    summary = means.join(groups[["median_error", "width"]].median())
    summary.insert(0, "runs", groups.size())
    return summary.reset_index()
