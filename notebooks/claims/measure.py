"""Fits every data set the page of claims is about, and keeps what it needs: `results.json` and the pictures.

    python -m notebooks.claims.measure [NAME ...]

Public tables are read from the folder that BAYES_SCALING_MIRROR names; they are no part of this repository.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import bayes_scaling as bs
from bayes_scaling.consequences.claims import claims
from bayes_scaling.fits import Fit, JointFit

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"


def public(name: str, suffix: str = "") -> pd.DataFrame:
    """Return a public table as it was tidied."""
    return pd.read_csv(Path(os.environ["BAYES_SCALING_MIRROR"]) / "tidy" / f"{name}{suffix}.csv")


def told(fit: Fit | JointFit, **facts: Any) -> dict[str, Any]:
    """Return what the page says of a fit."""
    rows = {o.name: len(fit.rows(o.name)) for o in fit.spec.observations} if isinstance(fit, JointFit) else {"runs": len(fit.runs)}
    adequacy = [c for c in fit.checks if c["about"] == "adequacy"]
    summary = bs.summarize(fit)
    return {
        "rows": rows,
        "converged": fit.converged,
        "verdict": fit.verdict,
        "failed": [c["check"] for c in adequacy if not c["passed"]],
        "checks": len(adequacy),
        "seconds": fit.facts["seconds_of_sampling"],
        "parameters": {
            str(n): [float(row[c]) for c in ("median", "lower", "upper", "contraction")] for n, row in summary.iterrows()
        },
        "claims": {r.claim: [r.median, r.lower, r.upper, r.verdict] for r in _claims(fit).itertuples()},
        **facts,
    }


def _claims(fit: Fit | JointFit) -> pd.DataFrame:
    try:
        return claims(fit)
    except bs.BayesScalingError:
        return pd.DataFrame(columns=["claim", "median", "lower", "upper", "verdict"])
