"""A fit as Jupyter shows it: the verdict first, the parameters, and a small picture of the forecast."""

from __future__ import annotations

import warnings

import pandas as pd

import bayes_scaling
from bayes_scaling import display
from bayes_scaling.errors import BayesScalingError, BayesScalingWarning
from bayes_scaling.model.names import is_log
from bayes_scaling.posterior.checks import summarize
from bayes_scaling.posterior.fit import Fit

_DRAWS = 100
"""Draws of each chain that the picture is made of."""
_SIZE = (4.8, 2.7)


def shown(fit: Fit) -> str:
    """Return a fit as HTML, some twenty kilobytes.

    >>> from bayes_scaling.posterior.examples import example_fit
    >>> shown(example_fit())[:64]
    '<p>This posterior has not been checked for convergence.</p><p>Fi'
    """
    said = [display.paragraph(fit.verdict, strong=bool(fit.checks) and not fit.converged)]
    said += [] if fit.adequate else [display.paragraph(fit.adequacy, strong=True)]
    size = fit.posterior.sizes
    laws = ", ".join(f"{o.law} ({len(fit.rows(o.name))} rows)" for o in fit.model.observations)
    how = f"{size['chain']} chains of {size['draw']} draws"
    said += [display.paragraph(f"Fit of {laws} to {fit.facts['runs']}, {how}. Losses in {fit.loss_unit}.")]
    said += [display.listed(fit.pinned)] if fit.pinned else []
    parameters = summarize(fit)
    published = [str(label).partition("[")[0] in fit.model.parameters for label in parameters.index]
    others = [not is_log(str(label)) and not first for label, first in zip(parameters.index, published, strict=True)]
    parameters = pd.concat([parameters[published], parameters[others]])
    parameters.columns = ["median", "lower (90 %)", "upper (90 %)", "contraction"]
    return "".join([*said, display.table(parameters), _forecast(fit)])


def _forecast(fit: Fit) -> str:
    """Return the picture of the forecast, where the fit is of one law that forecasts a loss."""
    if not fit.model.is_one or fit.model.only.output != "loss":
        return ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", BayesScalingWarning)  # the verdict stands above the picture
            figure = bayes_scaling.plots.forecast(fit.thinned(_DRAWS))
    except BayesScalingError:  # a law without a resource to forecast along
        return ""
    for axes in figure.axes:
        axes.minorticks_off()
    figure.set_size_inches(*_SIZE)
    return f"<div>{figure.svg()}</div>"  # pyright: ignore[reportAttributeAccessIssue]
