"""The pictures of any fit: measured against predicted, residuals, priors, and of a law of losses its surface and forecast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayes_scaling.posterior.fit import Fit, scalars
from bayes_scaling.posterior.predict import inside, interval, intervals, law_loss, predict
from bayes_scaling.posterior.residuals import innovations, loss_at_runs, measured_at_runs, usual_residual
from bayes_scaling.posterior.rows import predict_table
from bayes_scaling.posterior.variance import PARTS, shares_of
from bayes_scaling.quantities import completed
from bayes_scaling.questions.allocation import allocate
from bayes_scaling.questions.surface import splits_a_budget
from bayes_scaling.questions.wording import axis_label, credible, percent
from bayes_scaling.report.figures import (
    BLUE,
    CYCLE,
    INK,
    ORANGE,
    RED,
    by_group,
    dots,
    grid,
    one_axes,
    plain_log_ticks,
    styled,
)
from bayes_scaling.report.page import Picture

BEYOND: Final = 2.0
"""Decades of compute (or of the law's own resource) the forecast goes beyond the runs."""
DRAWS: Final = 500
"""Draws of each chain that a picture is made of, where it does not need all."""


@styled
def measured_picture(fit: Fit, prob: float) -> Picture:
    """Show what every row measured against its posterior predictive interval, a panel an observation."""
    figure, panels = grid(len(fit.views), 2, 2.7 if len(fit.views) > 1 else 3.6)
    count, total, rng = 0, 0, np.random.default_rng(0)
    for axes, (name, view) in zip(panels, fit.views.items(), strict=True):
        predicted = measured_at_runs(view, loss_at_runs(view), rng)
        median, lower, upper = (bound.values for bound in interval(predicted, prob))
        output = view.model.only.output
        measured = view.table[output].to_numpy(float)
        for colour, (group, rows) in zip(cycle(CYCLE), by_group(view).items()):
            dots(axes, (median[rows], lower[rows], upper[rows]), measured[rows], group, color=colour)
        ends = [min(measured.min(), lower.min()), max(measured.max(), upper.max())]
        axes.plot(ends, ends, color=INK, lw=0.8, alpha=0.6)
        quantity = f"loss ({fit.loss_unit})" if output == "loss" else axis_label(output)
        title = "" if fit.model.is_one else f"{name}: {view.model.only.law}"
        axes.set(xscale="log", yscale="log", title=title, xlabel=f"predicted {quantity}", ylabel=f"measured {quantity}")
        for which in ("x", "y"):
            plain_log_ticks(axes, which)
        _legend(axes, view)
        count, total = count + int(inside(measured, lower, upper).sum()), total + len(measured)
    return Picture(
        figure, f"{count} of {total} rows lie inside their {percent(prob)} posterior predictive interval, drawn as a bar."
    )


def residual_picture(fit: Fit) -> Picture:
    """Show the residuals of the log loss, in per cent, against every quantity."""
    residual = np.log(fit.table["loss"].to_numpy(float)) - np.log(loss_at_runs(fit).median(("chain", "draw")).values)
    columns = dict.fromkeys(("params", "tokens", "compute_flops", *fit.model.only.columns.values()))
    sigma = 100 * float(fit.posterior["sigma"].median())
    figure = _residuals(fit, [c for c in columns if c in fit.table], 100 * residual, sigma, "residual (%)")
    return Picture(
        figure, f"Grey band: plus and minus sigma, the scale of the residual noise at the typical loss, {sigma:.2g} %."
    )


def standardised_picture(fit: Fit, name: str) -> Picture:
    """Show the standardised residuals of one observation, given the residual before on the same run, against its inputs."""
    view = fit.view(name)
    z = innovations(fit.thinned(DRAWS).view(name))[0].median(("chain", "draw")).values
    columns, correlation = list(view.model.only.columns.values()), view.model.only.correlation
    figure = _residuals(view, columns, z, usual_residual(view, 0.9), "standardised residual")
    caption = f"{name}: standardised residuals, with a grey band expected to contain 90 % of them."
    if correlation is not None:
        median, lower, upper = (float(np.exp(bound)) for bound in interval(view.posterior["length"], 0.9))
        caption += (
            " Each is conditional on the residual before on the same run; the serial correlation falls to 1/e over a factor "
            f"{median:.2g} ({credible(0.9, f'{lower:.2g}', f'{upper:.2g}')}) in {correlation.along}."
        )
    return Picture(figure, caption)


@styled
def _residuals(fit: Fit, columns: Sequence[str], residual: np.ndarray, usual: float, label: str) -> Figure:
    figure, panels = grid(len(columns), len(columns), 2.3, sharey=True)
    for axes, column in zip(panels, columns, strict=True):
        axes.axhspan(-usual, usual, color=INK, alpha=0.1, lw=0)
        axes.axhline(0, color=INK, lw=0.8, alpha=0.6)
        for colour, (group, rows) in zip(cycle(CYCLE), by_group(fit).items()):
            x = fit.table[column].to_numpy(float)[rows]
            axes.plot(x, residual[rows], "o", ms=3, color=colour, alpha=0.7, label=group)
        axes.set(xscale="log", xlabel=axis_label(column))
        plain_log_ticks(axes, "x")
    panels[0].set_ylabel(label)
    _legend(panels[0], fit)
    return figure


def _legend(axes: Axes, fit: Fit) -> None:
    if len(by_group(fit)) > 1:
        axes.legend()


@styled
def prior_picture(fit: Fit) -> Picture:
    """Show prior and posterior density of each parameter that follows from no other."""
    prior, posterior = dict(scalars(fit.prior)), dict(scalars(fit.posterior))
    # A published coefficient follows from its value at the reference.
    names = [name for name in posterior if "[" not in name and f"{name}_at_reference" not in posterior]
    figure, panels = grid(len(names), 3, 1.5)
    for axes, name in zip(panels, names, strict=True):
        for draws, colour in ((prior[name], "#888888"), (posterior[name], BLUE)):
            middle = np.log(draws[(draws >= np.quantile(draws, 0.005)) & (draws <= np.quantile(draws, 0.995))])
            heights, edges = np.histogram(middle, bins=30)
            axes.stairs(heights / heights.max(), np.exp(edges), fill=True, color=colour, alpha=0.5, lw=0)
        axes.set(xscale="log", yticks=[], title=name)
        axes.spines["left"].set_visible(False)
        plain_log_ticks(axes, "x")
    return Picture(figure, "Grey: prior. Blue: posterior. Densities are scaled to equal height; the axes are logarithmic.")


@styled
def contour_picture(fit: Fit, prob: float, group: Mapping[str, str]) -> Picture:
    """Show lines of equal loss over N and D, the band of compute-optimal sizes, and the runs."""
    runs, thinned = fit.table, fit.thinned(DRAWS)
    params, tokens = (
        xr.DataArray(np.geomspace(runs[c].min() / 1.5, runs[c].max() * 10 ** (BEYOND / 2), 60), dims=c)
        for c in ("params", "tokens")
    )
    loss = law_loss(thinned, {"params": params, "tokens": tokens}, group=group).median(("chain", "draw"))
    compute = np.geomspace(runs["compute_flops"].min(), runs["compute_flops"].max() * 10**BEYOND, 25)
    optimum = allocate(thinned, compute=list(compute), group=group)
    N, least_N, most_N = (bound.values for bound in interval(optimum["optimal_params"], prob))
    D, least_D, most_D = (bound.values for bound in interval(optimum["optimal_tokens"], prob))
    figure, axes = one_axes(6.4, 4.4)
    loss_lines = loss.transpose("tokens", "params").values
    lines = axes.contour(params, tokens, loss_lines, levels=12, colors=[INK], linewidths=0.7, alpha=0.7)
    axes.clabel(lines, fontsize=7, fmt="%.2f", inline=False)
    # A band across lines of equal compute: from (least N, most D) to (most N, least D) of each budget.
    outline = np.concatenate([least_N, most_N[::-1]]), np.concatenate([most_D, least_D[::-1]])
    axes.fill(*outline, color=ORANGE, alpha=0.35, lw=0, label="compute-optimal, interval")
    axes.plot(N, D, color=ORANGE, lw=1.6, label="compute-optimal, median")
    axes.plot(runs["params"], runs["tokens"], "o", ms=3, color=BLUE, alpha=0.7, label="runs")
    axes.set(xscale="log", yscale="log", xlabel="N (parameters)", ylabel="D (tokens)")
    axes.set(xlim=(params.min(), params.max()), ylim=(tokens.min(), tokens.max()))
    axes.legend(loc="upper left")
    return Picture(
        figure,
        f"Contours of the law's loss ({fit.loss_unit}, posterior median), compute-optimal path with its {percent(prob)} credible interval "
        "at each budget, and runs.",
    )


def forecast_path(fit: Fit, prob: float, group: Mapping[str, str]) -> tuple[pd.DataFrame, str]:
    """Return intervals and shares of variance along the path a forecast is asked for, and the column it runs along."""
    columns = ["compute_flops"] if splits_a_budget(fit) else list(fit.model.only.columns.values())
    column, runs = columns[0], fit.table[columns[0]]
    path = np.geomspace(runs.min(), runs.max() * 10**BEYOND, 41)
    if splits_a_budget(fit):
        prediction = allocate(fit, compute=list(path), group=group)
    else:
        inputs: dict[str, Any] = {c: np.exp(np.log(fit.table[c]).mean()) for c in columns[1:]}
        prediction = predict(fit, group=group, **inputs, **{column: xr.DataArray(path, dims=column)})
    rows = intervals(prediction, prob).assign(shares_of(prediction)[list(PARTS)].data_vars)
    return rows.to_dataframe().reset_index(), column


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
    return forecast_picture(fit, forecasts, column, predicted).figure


@styled
def forecast_picture(fit: Fit, forecasts: pd.DataFrame, column: str, predicted: pd.DataFrame | None) -> Picture:
    """Show the loss beyond the runs, and held-out runs where there are any."""
    x, runs = forecasts[column], fit.table
    figure, axes = one_axes(6.4, 3.9)
    for ends, alpha, label in (("", 0.18, "loss of a new run"), ("mean_", 0.4, "mean loss")):
        lower, upper = forecasts[f"{ends}lower"], forecasts[f"{ends}upper"]
        axes.fill_between(x, lower, upper, color=BLUE, alpha=alpha, lw=0, label=label)
    axes.plot(x, forecasts["median"], color=BLUE, lw=1.4)
    axes.plot(runs[column], runs["loss"], "o", ms=3, color=INK, alpha=0.5, label="fitted runs")
    if predicted is not None:
        held_out = predicted.copy()
        completed(held_out)
        at, median = held_out[column], held_out["median"]
        error = [median - held_out["lower"], held_out["upper"] - median]
        axes.errorbar(at, median, yerr=error, fmt="_", color=ORANGE, lw=1.6, label="held-out run, forecast")
        axes.plot(at, held_out["loss"], "x", color=RED, ms=6, mew=1.6, label="held-out run, measured")
    edge = runs[column].max()
    axes.axvline(edge, color=INK, lw=0.8, ls="--", alpha=0.7)
    axes.annotate(" extrapolation", (edge, 1.0), xycoords=("data", "axes fraction"), va="top", fontsize=8, color=INK)
    axes.set(xscale="log", yscale="log", xlabel=axis_label(column), ylabel=f"loss ({fit.loss_unit})")
    plain_log_ticks(axes)
    axes.legend(loc="lower left")
    along = "at the compute-optimal size of each budget" if splits_a_budget(fit) else "along the input of the law"
    return Picture(
        figure,
        f"Loss {along}. Dark: credible interval of the mean loss. Light: predictive interval of a new run. Dashed line: the largest "
        "fitted run.",
    )
