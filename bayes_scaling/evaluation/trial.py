"""What backtest, certificate and weights share: the model on trial, and its forecast of later runs."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from bayes_scaling.errors import BayesScalingWarning, InvalidModel
from bayes_scaling.inference.sample import fit_table
from bayes_scaling.inference.settings import Settings
from bayes_scaling.model.document import Model, default_model, read_model
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.residuals import flat_draws
from bayes_scaling.posterior.rows import predict_rows
from bayes_scaling.runs.catalog import runs_from
from bayes_scaling.runs.table import RunTable

_FURTHEST: Final = 50.0
"""Largest log loss of a forecast, either way: a heavy tail may draw absurd losses."""


def on_trial(
    runs: RunTable | pd.DataFrame | str | Path, model: str | Path | Model | None, use: str
) -> tuple[RunTable | pd.DataFrame | str | Path, Model]:
    """Return runs and the model to try on them, by default that of a fit; raise unless it is one observation of a loss."""
    if model is None:
        runs = runs_from(runs)
        model = default_model(runs.table)
    model = read_model(model)
    if not model.is_one or model.only.output != "loss":
        raise InvalidModel(
            f"{model.title or 'The model'} does not have exactly one observation of a loss, which {use} needs."
        )
    return runs, model


def facts_of(runs: RunTable, model: Model) -> dict[str, Any]:
    """Return name and digest of runs and model."""
    return {
        "runs": runs.name,
        "runs_digest": runs.digest,
        "model": model.title or model.only.law,
        "model_digest": model.digest,
    }


def sampled(model: Model, runs: RunTable, ahead: pd.DataFrame, settings: Settings) -> tuple[Fit, np.ndarray]:
    """Return a fit, and its draws of the log loss of later runs, shape (draw, run)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BayesScalingWarning)
        fit = fit_table(model, runs, settings)
        losses = predict_rows(fit, ahead, seed=settings.seed)["measured_loss"]
    return fit, np.log(np.clip(flat_draws(losses), np.exp(-_FURTHEST), np.exp(_FURTHEST)))
