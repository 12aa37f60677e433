"""How wide the forecast of a fit is at its largest run, and decades beyond it."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from bayes_scaling.model.grouping import label_of
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.predict import intervals, predict
from bayes_scaling.quantities import RESOURCES

DECADES: Final = (0.0, 1.0, 2.0)
"""Decades of the resource beyond the largest run."""


def horizon(fit: Fit, prob: float = 0.9) -> pd.DataFrame | None:
    """Return the forecast of a new run at the largest one and beyond it, all else as it was there; None where there is none.

    Size and data grow alike, each by the root of what compute does.

    Parameters
    ----------
    fit : Fit
        A fit of one law.
    prob : float
        Probability of the intervals.

    Returns
    -------
    DataFrame or None
        ``decades`` beyond the largest run, ``median``, ``lower``, ``upper``; the index is the resource, by its name. The attribute
        ``group`` is that of the largest run, where the model has groups.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> ahead = horizon(example_fit())
    >>> ahead.index.name, ahead["decades"].tolist(), bool(ahead["median"].is_monotonic_decreasing)
    ('compute_flops', [0.0, 1.0, 2.0], True)
    """
    if not fit.model.is_one or fit.model.only.output != "loss":
        return None
    columns, table = [*fit.model.only.columns.values()], fit.table
    growing = [column for column in columns if column in RESOURCES]
    resource = growing[0] if len(growing) == 1 else "compute_flops"
    if not growing or resource not in table:
        return None
    largest = table.iloc[int(table[resource].to_numpy(float).argmax())]
    factors = 10 ** np.array(DECADES)
    inputs = {
        column: largest[column] * (factors ** (1 / len(growing)) if column in growing else np.ones_like(factors))
        for column in columns
    }
    group = {column: label_of(largest[column]) for column in fit.model.group_columns}
    ahead = intervals(predict(fit, group=group, **inputs), prob)
    rows = {name: ahead[name].values for name in ("median", "lower", "upper")}
    found = pd.DataFrame({"decades": DECADES, **rows}, index=pd.Index(largest[resource] * factors, name=resource))
    found.attrs["group"] = group
    return found
