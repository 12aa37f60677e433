"""Why a forecast is as wide as it is: what the parameters, the form of the law and the noise add to its variance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr

from bayes_scaling.model.names import SAMPLE_DIMS
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.mixture import shared_draws
from bayes_scaling.posterior.predict import predict, typical_relative_se

PARTS: Final = ("parameters", "discrepancy", "noise")
"""What the variance of a forecast is made of."""
_CONSTANT: Final = 1e-24
"""Variance of a logarithm below which it is a constant."""


def included(fit: Fit) -> str:
    """Return what the intervals of a fit include, and what they are conditional on, as a sentence.

    >>> from bayes_scaling.posterior.examples import example_fit
    >>> included(example_fit())
    'Intervals include parameter uncertainty and the residual noise of a new run, 0.4 %; they are conditional on the form of the law.'
    """
    parts = f"Intervals include parameter uncertainty and the residual noise of a new run{_noise_sentence(fit)}"
    if fit.model.only.correlation is not None:
        parts += ", or, further along a run of the fit, its noise given the last residual"
    if not fit.model.only.discrepancy:
        return f"{parts}; they are conditional on the form of the law."
    widths = [(s, 100 * float(fit.posterior[f"discrepancy_scale_{s}"].median())) for s in fit.model.only.discrepancy]
    listed = ", ".join(f"{width:.2g} % a decade along {symbol}" for symbol, width in widths)
    return f"{parts}, and model discrepancy: a random walk of the log loss, {listed} (posterior medians)."


def noise_parts(fit: Fit) -> pd.DataFrame:
    """Return the variance components of the residual noise of a new run: ``sd``, a relative error, and ``what`` it is of.

    ``sd`` is the posterior median of a scale at the typical loss. ``own`` is what no two rows of the fit share: of seeds,
    where the fit has repeats of a recipe; of recipes and all else, where it has none. ``evaluation`` is there where the runs
    state ``loss_se``. They add up in quadrature.

    >>> from bayes_scaling.posterior.examples import example_fit
    >>> noise_parts(example_fit())["what"].tolist()
    ['of a run']
    """
    shared = {e.name: float(fit.posterior[e.scale_name].median()) for e in fit.layout.only.noise}
    own = "of a seed" if "recipe" in shared else "of a run" if "run" not in shared else "of a point of a run"
    rows = {"own": (float(fit.posterior["sigma"].median()), own)}
    rows |= {name: (sd, f"of a {name}") for name, sd in shared.items()}
    error = typical_relative_se(fit)
    if error:
        rows["evaluation"] = (error, "of the evaluation")
    return pd.DataFrame.from_dict(rows, orient="index", columns=["sd", "what"])


def _noise_sentence(fit: Fit) -> str:
    parts = noise_parts(fit)
    if len(parts) == 1:
        return f", {100 * parts['sd'].iloc[0]:.2g} %"
    return " (" + ", ".join(f"{100 * sd:.2g} % {what}" for sd, what in zip(parts["sd"], parts["what"], strict=True)) + ")"


def variance_shares(fit: Fit, *, group: Mapping[str, str] | None = None, seed: int = 0, **inputs: Any) -> xr.Dataset:
    """Return the shares of the variance of a forecast log loss.

    The variance is explained step by step, in this order: by the parameters (of a mixture, by which law first), by model
    discrepancy given these, and by noise, which is the rest. A share is what its step explains beyond the steps before it,
    by linear regression over the draws; shares are not negative and add up to one. What discrepancy and parameters explain
    together, as among the runs, counts for the parameters.

    Parameters
    ----------
    fit : Fit
        The fit.
    group, seed, **inputs
        As for :func:`~bayes_scaling.predict`.

    Returns
    -------
    Dataset, input dims
        ``parameters``, ``discrepancy``, ``noise``: shares; ``sd``, the standard deviation of the log loss.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> shares = variance_shares(example_fit(), params=7e10, tokens=1.4e12)
    >>> float(shares["discrepancy"]), round(float(shares["parameters"] + shares["noise"]), 9)
    (0.0, 1.0)
    """
    return shares_of(predict(fit, group=group, seed=seed, **inputs))


def shares_of(prediction: xr.Dataset) -> xr.Dataset:
    """Return the shares of a prediction that has been made: what :func:`variance_shares` returns."""
    of_run = prediction["measured_loss"]
    rest = [dim for dim in of_run.dims if dim not in SAMPLE_DIMS]
    # Plain arrays, (draw, ...): names cost more than the sums.
    logs = (np.log(_flat(prediction[f"{part}_loss"], of_run)) for part in ("law", "expected", "measured"))
    law, expected, measured = (array - np.nanmean(array, axis=0) for array in logs)
    steps = {"parameters": law, "discrepancy": expected}
    if "form" in prediction.coords:
        # What the laws of a mixture predict on average differs from law to law: that much of it is their form.
        form = _flat(prediction["form"], of_run)
        of_form = np.zeros(law.shape)
        for name in np.unique(prediction["form"]):
            of_form = np.where(form == name, np.nanmean(np.where(form == name, law, np.nan), axis=0), of_form)
        steps = {"form": of_form, **steps}
    variance = np.nanmean(measured**2, axis=0)
    shares: dict[str, np.ndarray] = {}
    explained: list[np.ndarray] = []
    for name, part in steps.items():
        for earlier in explained:
            part = part - _slope(part, earlier) * earlier
        explained.append(part)
        shares[name] = _slope(measured, part) * np.nanmean(part * measured, axis=0) / variance
    shares["noise"] = np.clip(1 - sum(shares.values()), 0.0, None)
    kept = {name: c for name, c in prediction.coords.items() if set(c.dims) <= set(rest)}
    return xr.Dataset({name: (rest, share) for name, share in {**shares, "sd": variance**0.5}.items()}, kept)


def _flat(array: xr.DataArray, like: xr.DataArray) -> np.ndarray:
    """Return an array of draws as another one is, (draw, ...)."""
    rest = [dim for dim in like.dims if dim not in SAMPLE_DIMS]
    whole = array if set(array.dims) == set(like.dims) else array.broadcast_like(like)
    values = whole.transpose(*SAMPLE_DIMS, *rest).to_numpy()
    return values.reshape(-1, *values.shape[len(SAMPLE_DIMS) :])


def _slope(outcome: np.ndarray, by: np.ndarray) -> np.ndarray:
    """Return the slope of a regression through the origin, nothing on a constant."""
    scale = np.nanmean(by**2, axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = np.nanmean(outcome * by, axis=0) / scale
    return np.where(scale > _CONSTANT, slope, 0.0)


def shares_sentence(shares: xr.Dataset) -> str:
    """Return the shares of one forecast as a sentence; whole per cents that add up to a hundred.

    >>> shares_sentence(xr.Dataset({"parameters": 0.305, "discrepancy": 0.645, "noise": 0.05, "sd": 0.02}))
    'Variance of the log loss (sd 2 %), in this order: 31 % parameters, 64 % model discrepancy, 5 % residual noise.'
    """
    words = {"form": "form of the law", "parameters": "parameters"}
    words |= {"discrepancy": "model discrepancy", "noise": "residual noise"}
    given = {name: float(shares[name]) for name in words if name in shares}
    if not np.isfinite(list(given.values())).all():
        return "The log loss has no variance."
    listed = ", ".join(f"{count} % {words[name]}" for name, count in shared_draws(given, 100).items())
    return f"Variance of the log loss (sd {100 * float(shares['sd']):.2g} %), in this order: {listed}."
