"""Scores of forecasts of the log loss: 0.01 is one per cent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from bayes_scaling.evaluation.clusters import mean_error, median_error, once, share_error
from bayes_scaling.numerics import weighted_quantile
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


def summarized(predictions: pd.DataFrame, by: Sequence[str], clusters: Sequence[str] = ("cut", "run")) -> pd.DataFrame:
    """Return the scores of many forecasts, rows of :func:`scored`, over groups of them.

    In each group a measured loss, as the column ``row`` names it, counts once: each of its forecasts has the weight 1 / how many
    there are.

    Parameters
    ----------
    predictions : DataFrame
        Forecasts, one a row, with the columns ``by``, ``row``, ``run`` and ``clusters``; losses measured along one run are of
        several rows and one run.
    by : sequence of str
        Columns that name a group.
    clusters : sequence of str
        One or two columns: forecasts with the same label share errors. Of one table the cut, whose forecasts are of one fit,
        and the run, which is ahead of several cuts and may have several rows; of several tables the source.

    Returns
    -------
    DataFrame
        One row a group: ``forecasts``, ``rows``, ``runs`` and ``clusters``, how many, of the kind of which there are fewest;
        ``coverage_{prob}``, a share; ``interval_score`` (of 90 %), ``crps``, ``log_score`` and ``pit``, means;
        ``median_error``, the median of the absolute error; ``width``, the median width of 90 %; and ``{name}_se``, the
        cluster-robust standard error of each but the width, see :mod:`~bayes_scaling.evaluation.clusters`. Cuts of one table
        share most of their runs as well, so that errors by cuts are on the low side.
    """
    groups = predictions.groupby(list(by), sort=False, observed=True)
    rows = [dict(zip(by, key, strict=True)) | _summary(group, clusters) for key, group in groups]
    return pd.DataFrame(rows)


def _summary(group: pd.DataFrame, clusters: Sequence[str]) -> dict[str, Any]:
    weights, labels = once(group["row"].to_numpy()), [group[kind].to_numpy() for kind in clusters]
    means = {f"coverage_{prob:g}": group[f"inside_{prob:g}"].to_numpy(float) for prob in PROBS}
    means["interval_score"] = group["interval_score_0.9"].to_numpy(float)
    means |= {name: group[name].to_numpy(float) for name in ("crps", "log_score", "pit")}
    share, error = weights / weights.sum(), group["error"].abs().to_numpy(float)
    counts: dict[str, Any] = {"forecasts": len(group)} | {f"{kind}s": group[kind].nunique() for kind in ("row", "run")}
    counts |= {"clusters": min(len(set(each)) for each in labels)}
    width = (group["upper"] - group["lower"]).to_numpy(float)
    medians = {"median_error": weighted_quantile(error, share, 0.5), "width": weighted_quantile(width, share, 0.5)}
    of = {name: share_error if name.startswith("coverage") else mean_error for name in means}
    errors = {f"{name}_se": of[name](values, weights, labels) for name, values in means.items()}
    errors["median_error_se"] = median_error(error, weights, labels)
    averages = {name: float(share @ values) for name, values in means.items()}
    return counts | averages | {name: float(value) for name, value in medians.items()} | errors
