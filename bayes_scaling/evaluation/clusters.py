"""How sure a score is: standard errors of means and medians over forecasts that share errors.

Forecasts of one cut share the error of one fit, those of one run its residual, those of one source its recipe, and n of them
say far less than n independent ones. Errors are cluster-robust (Liang and Zeger 1986): what is summed is the squared deviation
of whole clusters; of two kinds of cluster that cross, of both, less what both count (Cameron, Gelbach and Miller 2011), and no
less than of either kind alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from bayes_scaling.numerics import weighted_quantile

FEW: Final = 20
"""Clusters below which a standard error is stated with its own uncertainty, which is 16 % there."""


def mean_error(values: Any, weights: Any, clusters: Sequence[Any]) -> float:
    """Return the standard error of a weighted mean of values that are correlated within clusters.

    Parameters
    ----------
    values, weights : array, shape (forecast,)
        What is averaged, and how much each counts.
    clusters : sequence of array, shape (forecast,)
        Labels of one kind of cluster, or of two kinds.

    Returns
    -------
    float
        The standard error; not a number where a kind has one cluster alone.

    Examples
    --------
    Ten equal values in each of four clusters say as much as four values:

    >>> of = np.repeat([0, 1, 2, 3], 10)
    >>> round(mean_error(np.repeat([0.0, 1.0, 1.0, 0.0], 10), np.ones(40), [of]), 3)
    0.289
    """
    values, weights = np.asarray(values, float), np.asarray(weights, float)
    influence = weights * (values - np.average(values, weights=weights)) / weights.sum()
    codes = [pd.factorize(np.asarray(labels))[0] for labels in clusters]
    single = [_variance(influence, labels) for labels in codes]
    if len(codes) == 1:
        return float(np.sqrt(single[0]))
    first, second = codes
    both = _variance(influence, pd.factorize(first * (second.max() + 1) + second)[0])
    return float(np.sqrt(np.max([sum(single) - both, *single])))


def share_error(covered: Any, weights: Any, clusters: Sequence[Any]) -> float:
    """Return the standard error of a coverage: where all or none are covered, which shows no error, half of one cluster in all.

    >>> share_error([True] * 8, np.ones(8), [[1, 1, 2, 2, 3, 3, 4, 4]])
    0.125
    """
    covered = np.asarray(covered, float)
    if np.ptp(covered):
        return mean_error(covered, weights, clusters)
    count = min(len(np.unique(np.asarray(labels))) for labels in clusters)
    return 0.5 / count if count > 1 else float("nan")


def _variance(influence: np.ndarray, labels: np.ndarray) -> float:
    totals = np.bincount(labels, influence)
    return float((totals**2).sum() * len(totals) / (len(totals) - 1)) if len(totals) > 1 else np.nan


def median_error(values: Any, weights: Any, clusters: Sequence[Any]) -> float:
    """Return the standard error of a weighted median: half the distance of the quantiles that its own rank is sure of (Woodruff 1952).

    >>> values = np.arange(1000.0)
    >>> round(median_error(values, np.ones(1000), [values]), 1)
    15.8
    """
    values, weights = np.asarray(values, float), np.asarray(weights, float)
    weights = weights / weights.sum()
    below = values <= weighted_quantile(values, weights, 0.5)
    rank = mean_error(below, weights, clusters)
    low, high = weighted_quantile(values, weights, np.clip([0.5 - rank, 0.5 + rank], 0.0, 1.0))
    return float(high - low) / 2


def relative_error(clusters: int) -> float:
    """Return how uncertain a standard error from some clusters is itself, as a share of it, were their deviations Normal.

    >>> round(relative_error(9), 2)
    0.25
    """
    return float(1 / np.sqrt(2 * (clusters - 1))) if clusters > 1 else float("nan")


def once(runs: Any) -> np.ndarray:
    """Return the weights by which a run counts once, however many forecasts there are of it.

    >>> once(["a", "b", "a"]).tolist()
    [0.5, 1.0, 0.5]
    """
    series = pd.Series(runs)
    return (1 / series.groupby(series).transform("size")).to_numpy(float)


def plus_minus(error: float, kinds: str = "") -> str:
    """Write a standard error of a share in per cent, with the kinds of cluster it is by; nothing where there is none.

    >>> plus_minus(0.042, "cuts and runs"), plus_minus(float("nan"))
    (' (± 4 % by cuts and runs)', '')
    """
    return f" (± {100 * error:.0f} %{f' by {kinds}' if kinds else ''})" if np.isfinite(error) else ""


def doubt(clusters: int, kind: str) -> str:
    """Say in a sentence how far standard errors from so few clusters can be relied on; nothing where there are enough.

    >>> doubt(5, "cuts")
    'With 5 cuts the standard errors are themselves uncertain, by some 35 %.'
    """
    if clusters >= FEW:
        return ""
    if clusters < 2:
        return f"There is only one of the {kind}, and its forecasts share errors: no standard error can be stated."
    return f"With {clusters} {kind} the standard errors are themselves uncertain, by some {100 * relative_error(clusters):.0f} %."
