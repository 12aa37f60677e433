"""How far beyond the data: beside every number that leaves the package."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bayes_scaling.posterior.fit import Fit
from bayes_scaling.quantities import BY_COLUMN


def reach(fit: Fit, column: str, values: Any) -> Any:
    """Return how many decades a quantity lies above the largest run (positive) or below the smallest (negative).

    >>> from bayes_scaling.posterior.examples import example_fit
    >>> float(reach(example_fit(), "params", 1e12))
    2.0
    """
    measured = fit.table[column]
    return np.log10(values / np.clip(values, measured.min(), measured.max()))


def reach_sentence(reaches: Mapping[str, Any]) -> str:
    """Say in words how far beyond the data a single prediction is.

    >>> reach_sentence({"params": 0.84, "tokens": 0.0, "compute_flops": 1.6})
    'beyond the runs by 0.84 decades in N, 1.60 decades in C; D inside them'
    """
    # What would be written as 0.00 is inside.
    named = {BY_COLUMN[column].symbol: round(float(value), 2) for column, value in reaches.items()}
    beyond = [f"{v:.2f} decades in {s}" for s, v in named.items() if v > 0]
    below = [f"{-v:.2f} decades in {s}" for s, v in named.items() if v < 0]
    inside = [s for s, v in named.items() if v == 0]
    parts = [f"beyond the runs by {', '.join(beyond)}"] if beyond else []
    parts += [f"below the runs by {', '.join(below)}"] if below else []
    parts += [f"{', '.join(inside)} inside them" if parts else "inside the runs"] if inside else []
    return "; ".join(parts)
