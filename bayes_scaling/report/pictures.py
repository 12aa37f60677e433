"""The pictures of the report: what a figure is given, and what stands under it."""

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
from bayes_scaling.report import figures
from bayes_scaling.report.wording import axis_label, percent

BEYOND: Final = 2.0
"""Decades of compute (or of the law's own resource) the forecast goes beyond the runs."""


@dataclass(frozen=True)
class Picture:
    """A figure of the page."""

    svg: str
    caption: str


def fit_picture(fit: Fit, prob: float) -> Picture:
    """Show every run's measured loss against the law's, with its interval."""
    scattered = measured_at_runs(fit, loss_at_runs(fit), np.random.default_rng(0))
    median, lower, upper = (a.values for a in interval(scattered, prob))
    loss = fit.table["loss"].to_numpy(float)
    figure = figures.measured_against_expected(loss, median, lower, upper, _groups(fit), fit.loss_unit)
    count = int(inside(loss, lower, upper).sum())
    return Picture(
        figures.as_svg(figure, "fit"),
        f"{count} of {len(loss)} runs lie inside their own {percent(prob)} interval for a new run.",
    )


def residual_picture(fit: Fit) -> Picture:
    """Show what is left of each run's loss against every quantity."""
    runs = fit.table
    residual = np.log(runs["loss"].to_numpy(float)) - np.log(loss_at_runs(fit).median(("chain", "draw")).values)
    wanted = dict.fromkeys(c for c in ("params", "tokens", "compute_flops", *fit.model.only.columns.values()) if c in runs)
    panels = {axis_label(c): runs[c].to_numpy(float) for c in wanted}
    sigma = float(fit.posterior["sigma"].median())
    figure = figures.residuals(panels, residual, _groups(fit), sigma)
    return Picture(
        figures.as_svg(figure, "residuals"),
        f"The grey band is the scale of the scatter at the typical loss, {100 * sigma:.2g} %.",
    )


def prior_picture(fit: Fit) -> Picture:
    """Show each unknown before and after the runs."""
    prior = dict(scalars(fit.prior))
    pairs = {n: (prior[n], d) for n, d in scalars(fit.posterior) if "[" not in n and not _derived(fit, n)}
    figure = figures.prior_against_posterior(pairs)
    return Picture(
        figures.as_svg(figure, "prior"),
        "Grey: before the runs. Blue: after. Each is scaled to its own height; the axes are logarithmic.",
    )


def _derived(fit: Fit, name: str) -> bool:
    """Whether an unknown follows from another that is shown: a published coefficient from its value at the reference."""
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
        f"Lines of equal expected loss ({fit.loss_unit}, posterior median), the compute-optimal path with its {percent(prob)} "
        "interval along each budget, and the runs.",
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
    """Return intervals, and beside them what the variance is made of."""
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
        Probability of both intervals, the law's and a new run's.
    group : mapping, optional
        Group the forecast is for, as for :func:`~bayes_scaling.predict`.
    held_out : DataFrame, optional
        Runs the fit has not seen, with their loss: forecast and truth are drawn on top.

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
    found, column = forecast_path(fit, prob, group or {})
    predicted = None if held_out is None else predict_table(fit, held_out, prob=prob)
    return _forecast_figure(fit, found, column, predicted)


def forecast_picture(fit: Fit, found: xr.Dataset, column: str, predicted: pd.DataFrame | None) -> Picture:
    """Show the loss beyond the runs, and held-out runs where there are any."""
    along = "at the compute-optimal size of each budget" if splits_a_budget(fit) else "along the law"
    return Picture(
        figures.as_svg(_forecast_figure(fit, found, column, predicted), "forecast"),
        f"The loss {along}: dark, its expectation; light, what one new run would measure. Right of the dashed line nothing "
        "has been measured.",
    )


def _forecast_figure(fit: Fit, found: xr.Dataset, column: str, predicted: pd.DataFrame | None) -> Figure:
    runs, names = fit.table, ("median", "lower", "upper", "mean_lower", "mean_upper")
    band = figures.Band(found[column].values, *(found[name].values for name in names))
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
