"""The pictures of the report: data and caption of each figure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from bayes_scaling.posterior.fit import Fit, scalars
from bayes_scaling.posterior.predict import inside, interval, intervals, law_loss, predict
from bayes_scaling.posterior.residuals import loss_at_runs, measured_at_runs
from bayes_scaling.posterior.rows import predict_table
from bayes_scaling.posterior.variance import PARTS, shares_of
from bayes_scaling.quantities import completed
from bayes_scaling.questions.allocation import allocate
from bayes_scaling.questions.surface import splits_a_budget
from bayes_scaling.questions.wording import axis_label, percent
from bayes_scaling.report import figures

BEYOND: Final = 2.0
"""Decades of compute (or of the law's own resource) the forecast goes beyond the runs."""


@dataclass(frozen=True)
class Picture:
    """A figure of the page."""

    svg: str
    caption: str


def fit_picture(fit: Fit, prob: float) -> Picture:
    """Show every run's measured loss against its posterior predictive interval."""
    predicted = measured_at_runs(fit, loss_at_runs(fit), np.random.default_rng(0))
    median, lower, upper = (a.values for a in interval(predicted, prob))
    loss = fit.table["loss"].to_numpy(float)
    figure = figures.measured_against_expected(loss, median, lower, upper, _groups(fit), fit.loss_unit)
    count = int(inside(loss, lower, upper).sum())
    return Picture(
        figures.as_svg(figure, "fit"),
        f"{count} of {len(loss)} runs lie inside their {percent(prob)} posterior predictive interval.",
    )


def residual_picture(fit: Fit) -> Picture:
    """Show the residuals of the log loss against every quantity."""
    runs = fit.table
    residual = np.log(runs["loss"].to_numpy(float)) - np.log(loss_at_runs(fit).median(("chain", "draw")).values)
    wanted = dict.fromkeys(c for c in ("params", "tokens", "compute_flops", *fit.model.only.columns.values()) if c in runs)
    panels = {axis_label(c): runs[c].to_numpy(float) for c in wanted}
    sigma = float(fit.posterior["sigma"].median())
    figure = figures.residuals(panels, residual, _groups(fit), sigma)
    return Picture(
        figures.as_svg(figure, "residuals"),
        f"Grey band: plus and minus sigma, the scale of the residual noise at the typical loss, {100 * sigma:.2g} %.",
    )


def prior_picture(fit: Fit) -> Picture:
    """Show prior and posterior of each parameter."""
    prior = dict(scalars(fit.prior))
    pairs = {n: (prior[n], d) for n, d in scalars(fit.posterior) if "[" not in n and not _derived(fit, n)}
    figure = figures.prior_against_posterior(pairs)
    return Picture(
        figures.as_svg(figure, "prior"),
        "Grey: prior. Blue: posterior. Densities are scaled to equal height; the axes are logarithmic.",
    )


def _derived(fit: Fit, name: str) -> bool:
    """Whether a parameter follows from another that is shown: a published coefficient from its value at the reference."""
    return f"{name}_at_reference" in fit.posterior


def contour_picture(fit: Fit, prob: float, group: Mapping[str, str]) -> Picture:
    """Show lines of equal loss and the compute-optimal path over N and D."""
    runs = fit.table
    ends = {c: (runs[c].min() / 1.5, runs[c].max() * 10 ** (BEYOND / 2)) for c in ("params", "tokens")}
    params = xr.DataArray(np.geomspace(*ends["params"], 60), dims="params")
    tokens = xr.DataArray(np.geomspace(*ends["tokens"], 60), dims="tokens")
    thinned = fit.thinned(500)
    loss = law_loss(thinned, {"params": params, "tokens": tokens}, group=group).median(("chain", "draw"))
    compute = np.geomspace(runs["compute_flops"].min(), runs["compute_flops"].max() * 10**BEYOND, 25)
    allocation = allocate(thinned, compute=list(compute), group=group)
    optimal = [
        np.stack([a.values for a in (lower, median, upper)], axis=1)
        for median, lower, upper in (interval(allocation[name], prob) for name in ("optimal_params", "optimal_tokens"))
    ]
    figure = figures.contours(
        params.values,
        tokens.values,
        loss.transpose("tokens", "params").values,
        (optimal[0], optimal[1], compute),
        (runs["params"].to_numpy(float), runs["tokens"].to_numpy(float)),
    )
    return Picture(
        figures.as_svg(figure, "contours"),
        f"Contours of the law's loss ({fit.loss_unit}, posterior median), compute-optimal path with its {percent(prob)} credible interval "
        "at each budget, and runs.",
    )


def forecast_path(fit: Fit, prob: float, group: Mapping[str, str]) -> tuple[xr.Dataset, str]:
    """Return intervals and shares of variance along the path a forecast is asked for, and the column it runs along."""
    if splits_a_budget(fit):
        column, runs = "compute_flops", fit.table["compute_flops"]
        compute = np.geomspace(runs.min(), runs.max() * 10**BEYOND, 41)
        return _with_shares(allocate(fit, compute=list(compute), group=group), prob), column
    columns = list(fit.model.only.columns.values())
    column, runs = columns[0], fit.table[columns[0]]
    inputs: dict[str, Any] = {c: np.exp(np.log(fit.table[c]).mean()) for c in columns[1:]}
    inputs[column] = xr.DataArray(np.geomspace(runs.min(), runs.max() * 10**BEYOND, 41), dims=column)
    return _with_shares(predict(fit, group=group, **inputs), prob), column


def _with_shares(prediction: xr.Dataset, prob: float) -> xr.Dataset:
    """Return intervals and shares of variance."""
    return intervals(prediction, prob).assign(shares_of(prediction)[list(PARTS)].data_vars)


def plot_forecast(
    fit: Fit, *, prob: float = 0.9, group: Mapping[str, str] | None = None, held_out: pd.DataFrame | None = None
) -> Figure:
    """Draw the loss beyond the runs: at the compute-optimal size of each budget, or along the law's one resource.

    Parameters
    ----------
    fit : Fit
        The fit.
    prob : float
        Probability of both intervals, of the mean loss and of a new run.
    group : mapping, optional
        Group the forecast is for, as for :func:`~bayes_scaling.predict`.
    held_out : DataFrame, optional
        Held-out runs with their measured loss, drawn beside their forecasts.

    Returns
    -------
    matplotlib.figure.Figure
        Jupyter shows it; ``savefig`` keeps it.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> plot_forecast(example_fit()).axes[0].get_ylabel()
    'loss (nats/token)'
    """
    forecasts, column = forecast_path(fit, prob, group or {})
    predicted = None if held_out is None else predict_table(fit, held_out, prob=prob)
    return _forecast_figure(fit, forecasts, column, predicted)


def forecast_picture(fit: Fit, forecasts: xr.Dataset, column: str, predicted: pd.DataFrame | None) -> Picture:
    """Show the loss beyond the runs, and held-out runs where there are any."""
    along = "at the compute-optimal size of each budget" if splits_a_budget(fit) else "along the input of the law"
    return Picture(
        figures.as_svg(_forecast_figure(fit, forecasts, column, predicted), "forecast"),
        f"Loss {along}. Dark: credible interval of the mean loss. Light: predictive interval of a new run. Dashed line: the largest "
        "fitted run.",
    )


def _forecast_figure(fit: Fit, forecasts: xr.Dataset, column: str, predicted: pd.DataFrame | None) -> Figure:
    runs, names = fit.table, ("median", "lower", "upper", "mean_lower", "mean_upper")
    band = figures.Band(forecasts[column].values, *(forecasts[name].values for name in names))
    marks, truth = None, None
    if predicted is not None:
        at = predicted.copy()
        completed(at)
        marks = figures.Band(at[column].to_numpy(float), *(predicted[name].to_numpy(float) for name in names))
        truth = predicted["loss"].to_numpy(float)
    measured = (runs[column].to_numpy(float), runs["loss"].to_numpy(float))
    return figures.forecast(band, axis_label(column), fit.loss_unit, float(runs[column].max()), measured, marks, truth)


def _groups(fit: Fit) -> list[str]:
    return [fit.groups.names[i] for i in fit.groups.of_run] if fit.groups.columns else [""] * len(fit.table)
