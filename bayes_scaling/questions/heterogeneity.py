"""Heterogeneity between observations: the factors between their own values of a parameter that they could share."""

from __future__ import annotations

from itertools import combinations
from typing import Any, Final

import numpy as np
import pandas as pd

from bayes_scaling.model import names
from bayes_scaling.model.document import OBSERVATION
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.inputs import warn_unless_converged
from bayes_scaling.posterior.predict import quantiles
from bayes_scaling.questions.base import Answer, OfSystem
from bayes_scaling.wording import credible, number

_COLUMNS: Final = ["parameter", "first", "second", "median", "lower", "upper", "larger", "agree"]


def agreement(fit: Fit, *, prob: float = 0.9) -> pd.DataFrame:
    """Return the table ``pairs`` of :class:`Heterogeneity`."""
    warn_unless_converged(fit)
    rows = []
    for name, parameter in fit.model.parameters.items():
        if OBSERVATION not in parameter.varies_by:
            continue
        dim = fit.layout.codings[name, OBSERVATION].dim
        effects = fit.posterior[names.group_effect(name, OBSERVATION)]
        for first, second in combinations([observation.name for observation in fit.model.users(name)], 2):
            ratio = np.exp((effects.sel({dim: second}) - effects.sel({dim: first})).values)
            median, lower, upper = np.quantile(ratio, quantiles(prob))
            larger, agree = float((ratio > 1).mean()), bool(lower <= 1 <= upper)
            rows.append((name, first, second, median, lower, upper, larger, agree))
    return pd.DataFrame(rows, columns=_COLUMNS)


class Heterogeneity(OfSystem):
    """How far the observations of a system disagree about the parameters they could share.

    Asked of a fit of a system in which a parameter has ``varies_by = "observation"``.

    Table ``pairs``: a row a ``parameter`` and pair of observations, ``first`` and ``second``; ``median``, ``lower``, ``upper``
    of the second's value over the first's, at the reference point; ``larger``, the probability that it is above one; and
    ``agree``, whether one lies in the interval. Empty where every parameter is shared.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_system
    >>> pairs = Heterogeneity().answer(example_system()).tables["pairs"]
    >>> pairs[["parameter", "first", "second", "agree"]].head(1).values.tolist()
    [['N_c', 'curves', 'limited', True]]
    """

    name = "heterogeneity"
    panel = "Constants"
    aliases = ("agreement",)
    example = "heterogeneity system.nc"
    unused = (*OfSystem.unused, "override", "furthest")
    writes = "pairs"

    def _result(self, posterior: Any) -> Answer:
        table = agreement(posterior, prob=self.prob)
        lines = [
            f"{row['parameter']} is {number(row['median'])} times as large in {row['second']} as in {row['first']} "
            f"({credible(self.prob, number(row['lower']), number(row['upper']))}): they {'agree' if row['agree'] else 'differ'}."
            for row in table.to_dict("records")
        ]
        return Answer("\n".join(lines) or "The observations share every parameter.", tables={"pairs": table})
