"""Why a forecast is as wide as it is: what the parameters, the form of the law and the noise add to its variance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr

from bayes_scaling.model.names import SAMPLE_DIMS
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.predict import predict, typical_relative_se

PARTS: Final = ("parameters", "discrepancy", "noise")
"""What the variance of a forecast is made of."""


def included(fit: Fit) -> str:
    """Say what the intervals of a fit include, and what they take for granted.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> included(example_fit())
    'Intervals include what the runs leave open about the parameters, and the scatter of a new run, 0.4 %; they take the form of the law for granted.'
    """
    known = (
        f"Intervals include what the runs leave open about the parameters, and the scatter of a new run{_said_of_noise(fit)}"
    )
    if fit.model.only.correlation is not None:
        known += ", or, further along a run of the fit, what of it is not known from its last point"
    if not fit.model.only.discrepancy:
        return f"{known}; they take the form of the law for granted."
    widths = [(s, 100 * float(fit.posterior[f"discrepancy_scale_{s}"].median())) for s in fit.model.only.discrepancy]
    said = ", ".join(f"{width:.2g} % a decade along {symbol}" for symbol, width in widths)
    return f"{known}, and what the law may get wrong: a random walk of the log loss, {said} (posterior medians)."


def noise_parts(fit: Fit) -> pd.DataFrame:
    """Return the parts of the scatter of a new run, each with a name.

    Parameters
    ----------
    fit : Fit
        The fit.

    Returns
    -------
    DataFrame
        One row a part: ``sd``, the posterior median of its scale at the typical loss, a relative error; ``what``, what it
        is. ``own`` is what no two rows of the fit share: of seeds, where the fit has repeats of a recipe; of recipes and
        all else, where it has none. ``evaluation`` is there where the runs state ``loss_se``. They add up in quadrature.

    Examples
    --------
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


def _said_of_noise(fit: Fit) -> str:
    parts = noise_parts(fit)
    if len(parts) == 1:
        return f", {100 * parts['sd'].iloc[0]:.2g} %"
    return " (" + ", ".join(f"{100 * sd:.2g} % {what}" for sd, what in zip(parts["sd"], parts["what"], strict=True)) + ")"


def variance_shares(fit: Fit, *, group: Mapping[str, str] | None = None, seed: int = 0, **inputs: Any) -> xr.Dataset:
    """Return the shares of the variance of a forecast log loss.

    The log of a new run's loss is a sum: the law's, what the law gets wrong there, and the scatter of runs. The share of
    a part is its covariance with the sum over the variance of the sum, so that shares add up to one. Among the runs,
    where law and discrepancy stand in for each other, one of them can be negative; far beyond, each is what it seems.

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
    law, expected, measured = (_log(prediction[name]) for name in ("law_loss", "expected_loss", "measured_loss"))
    variance = measured.var(SAMPLE_DIMS)
    parts = {"parameters": law, "discrepancy": expected - law, "noise": measured - expected}
    shares = {name: _covariance(part, measured) / variance for name, part in parts.items()}
    if "form" in prediction.coords:
        # What the laws of a mixture say on average differs from law to law: that much of it is their form.
        form = prediction["form"]
        each = ((form == name) * law.where(form == name).mean(SAMPLE_DIMS) for name in np.unique(form))
        of_form = sum(each, start=xr.zeros_like(law))
        shares["form"] = _covariance(of_form, measured) / variance
        shares["parameters"] = shares["parameters"] - shares["form"]
    return xr.Dataset({**shares, "sd": variance**0.5})


def shares_sentence(shares: xr.Dataset) -> str:
    """Say the shares of one forecast in words.

    Examples
    --------
    >>> shares_sentence(xr.Dataset({"parameters": 0.3, "discrepancy": 0.65, "noise": 0.05, "sd": 0.02}))
    'Of the variance of its logarithm (sd 2 %), 30 % is the parameters, 65 % what the law may get wrong, 5 % the scatter of runs.'
    """
    said = {
        "parameters": "the parameters",
        "form": "which law",
        "discrepancy": "what the law may get wrong",
        "noise": "the scatter of runs",
    }
    parts = [
        f"{max(0.0, 100 * float(shares[name])):.0f} % {'is ' if not i else ''}{words}"
        for i, (name, words) in enumerate(said.items())
        if name in shares
    ]
    return f"Of the variance of its logarithm (sd {100 * float(shares['sd']):.2g} %), {', '.join(parts)}."


def _log(draws: xr.DataArray) -> Any:
    return np.log(draws)


def _covariance(part: Any, whole: Any) -> xr.DataArray:
    return ((part - part.mean(SAMPLE_DIMS)) * (whole - whole.mean(SAMPLE_DIMS))).mean(SAMPLE_DIMS)
