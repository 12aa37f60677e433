"""Is this fit to be believed? Named checks, each with a value, a threshold and what to try next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_scaling.fits import Fit


@dataclass(frozen=True)
class _Rule:
    """A check: how its value is found, and which values pass."""

    name: str
    about: str
    comparison: str
    threshold: float
    advice: str

    def passes(self, value: float) -> bool:
        return bool(value <= self.threshold if self.comparison == "at most" else value >= self.threshold)


_LONGER = "sample longer (--tune, --draws), or give tighter priors to the parameters named"
CONVERGENCE = (
    _Rule("largest R-hat", "convergence", "at most", 1.01, _LONGER),
    _Rule("smallest bulk ESS", "convergence", "at least", 400, _LONGER),
    _Rule("smallest tail ESS", "convergence", "at least", 400, _LONGER),
    _Rule("divergences", "convergence", "at most", 0, "raise target_accept, or keep the prior on a spread off zero"),
    _Rule("smallest E-BFMI", "convergence", "at least", 0.3, "look for a prior with a very heavy tail"),
    _Rule("share of trees at full depth", "convergence", "at most", 0.05, _LONGER),
)
ADEQUACY = (
    _Rule("share of runs inside their 90 % interval", "adequacy", "at least", 0.8, "the scatter is not what the likelihood says: look at the residuals"),
    _Rule("trend of residuals with N", "adequacy", "at most", 0.5, "the law bends where the data do not: try kappa, or group the runs"),
    _Rule("trend of residuals with D", "adequacy", "at most", 0.5, "the law bends where the data do not: try kappa, or group the runs"),
    _Rule("trend of residuals with C", "adequacy", "at most", 0.5, "the law bends where the data do not: try kappa, or group the runs"),
)
