"""Whether kinds of observation that could share a parameter do: the factors between their own values of it."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd

from bayes_scaling.model import names
from bayes_scaling.model.document import OBSERVATION
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.inputs import warn_unless_converged
from bayes_scaling.posterior.predict import quantiles


def agreement(fit: Fit, *, prob: float = 0.9) -> pd.DataFrame:
    """Return how far observations disagree about the parameters that a document lets differ between them.

    Parameters
    ----------
    fit : Fit
        A fit of a system in which a parameter says ``varies_by = "observation"``.
    prob : float
        Probability of the equal-tailed intervals.

    Returns
    -------
    DataFrame
        One row a parameter and pair of observations: ``parameter``, ``first``, ``second``; ``median``, ``lower``,
        ``upper`` of the second's value over the first's, at the reference point; ``larger``, the probability that it is
        above one; and ``agree``, whether one lies in the interval. Empty where every parameter is shared.

    Warns
    -----
    NotConvergedWarning
        If the fit failed a convergence check.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_system
    >>> agreement(example_system())[["parameter", "first", "second", "agree"]].head(1).values.tolist()
    [['N_c', 'curves', 'limited', True]]
    """
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
            said = {"parameter": name, "first": first, "second": second, "median": median, "lower": lower, "upper": upper}
            rows.append(said | {"larger": float((ratio > 1).mean()), "agree": bool(lower <= 1 <= upper)})
    columns = ["parameter", "first", "second", "median", "lower", "upper", "larger", "agree"]
    return pd.DataFrame(rows, columns=columns)
