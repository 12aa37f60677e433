"""How a table counts its compute beside C = 6 N D: attention, embeddings and recomputation make it another number."""

from __future__ import annotations

from typing import Final

import numpy as np

from bayes_scaling.posterior.fit import Fit
from bayes_scaling.quantities import training_compute

_WORTH_SAYING: Final = 0.02
"""Distance from 6 N D, relative, from which on it is said."""


def ratios(fit: Fit) -> np.ndarray:
    """Return the compute of each run over its 6 N D; one where the runs do not have all three, or are of several laws."""
    if not fit.model.is_one or not {"params", "tokens", "compute_flops"} <= set(fit.table):
        return np.ones(1)
    params, tokens, compute = (fit.table[column].to_numpy(float) for column in ("params", "tokens", "compute_flops"))
    known = compute / training_compute(params, tokens)
    return known[np.isfinite(known)] if np.isfinite(known).any() else np.ones(1)


def compute_ratio(fit: Fit) -> float:
    """Return the compute that the table counts where 6 N D is one: the median over its runs.

    What is measured along C, the model discrepancy and the extrapolation distance, is in the table's count; what a request
    asks for is 6 N D.

    >>> from bayes_scaling.posterior.examples import example_fit
    >>> compute_ratio(example_fit())
    1.0
    """
    return float(np.median(ratios(fit)))


def count_sentence(fit: Fit) -> str:
    """Return how the table's compute differs from 6 N D as a sentence; nothing where it does not.

    >>> from bayes_scaling.posterior.examples import example_fit
    >>> count_sentence(example_fit())
    ''
    """
    each = ratios(fit)
    middle = float(np.median(each))
    if abs(np.log(middle)) <= np.log1p(_WORTH_SAYING):
        return ""
    low, high = (f"{end:.2f}" for end in (each.min(), each.max()))
    spread = f" ({low} to {high})" if low != high else ""
    return f"The table's compute is {middle:.2f} times 6 N D{spread}: budgets are 6 N D."
