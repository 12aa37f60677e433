"""The figures of a law of losses beyond its runs: forecast, and where a budget is split, its surface and what sizes lose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.predict import intervals, law_loss, predict, quantiles
from bayes_scaling.posterior.protocol import taking
from bayes_scaling.posterior.rows import predict_table
from bayes_scaling.posterior.variance import PARTS, shares_of
from bayes_scaling.quantities import completed, tokens_at, training_compute
from bayes_scaling.questions.allocation import chosen_runs
from bayes_scaling.questions.optimum import choose, optima, plausible
from bayes_scaling.questions.risk import expectation
from bayes_scaling.questions.surface import FEWEST, Surface, splits_a_budget
from bayes_scaling.report.figures import (
    BLUE,
    CYCLE,
    INK,
    ORANGE,
    RED,
    bands,
    captioned,
    legend,
    log_ticks,
    loss_label,
    one_axes,
    ribbon,
    styled,
)
from bayes_scaling.report.pictures import BEYOND
from bayes_scaling.wording import axis_label, flop, percent, short

_DRAWS: Final = 200
"""Draws of all chains that a figure of the surface is made of."""
_PROFILES: Final = 5
_SIZES: Final = 6
"""Sizes whose losses are drawn against compute, at the most."""
_LOST: Final = (0.1, 0.3, 1.0, 3.0, 10.0)
"""Regret, in per cent of the loss, at which a line is drawn."""
_OF_BUDGET: Final = "C = 6 N D (FLOP)"


def spent(fit: Fit, table: pd.DataFrame | None = None) -> np.ndarray:
    """Return the compute of runs as budgets count it: 6 N D, however the table does."""
    rows = fit.table if table is None else table
    return training_compute(rows["params"], rows["tokens"]).to_numpy(float)


def forecast_path(fit: Fit, prob: float, group: Mapping[str, str]) -> tuple[pd.DataFrame, str]:
    """Return intervals and shares of variance along the path a forecast is asked for, and the column it runs along.

    Where a budget is split the path has the choice at each, ``params`` and ``tokens``.
    """
    columns = ["compute_flops"] if splits_a_budget(fit) else list(fit.model.only.columns.values())
    column = columns[0]
    runs = spent(fit) if splits_a_budget(fit) else fit.table[column].to_numpy(float)
    path = np.geomspace(runs.min(), runs.max() * 10**BEYOND, 25)
    if splits_a_budget(fit):
        prediction = chosen_runs(fit, compute=list(path), group=group)
    else:
        inputs: dict[str, Any] = {c: np.exp(np.log(fit.table[c]).mean()) for c in columns[1:]}
        prediction = predict(fit, group=group, **inputs, **{column: xr.DataArray(path, dims=column)})
    rows = intervals(prediction, prob).assign(shares_of(prediction)[list(PARTS)].data_vars)
    if splits_a_budget(fit):
        rows = rows.assign({name: prediction[name] for name in ("params", "tokens")})
    return rows.to_dataframe().reset_index(), column


@taking("fit")
def forecast(
    fit: Fit,
    *,
    prob: float = 0.9,
    group: Mapping[str, str] | None = None,
    held_out: pd.DataFrame | None = None,
    ax: Axes | None = None,
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
    ax : Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.figure.Figure
        Jupyter shows it; ``savefig`` keeps it.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> forecast(example_fit()).axes[0].get_ylabel()
    'loss (nats/token)'
    """
    forecasts, column = forecast_path(fit, prob, group or {})
    predicted = None if held_out is None else predict_table(fit, held_out, prob=prob)
    return forecast_figure(fit, prob, forecasts, column, predicted, ax=ax)


@styled
def forecast_figure(
    fit: Fit,
    prob: float,
    forecasts: pd.DataFrame,
    column: str,
    predicted: pd.DataFrame | None = None,
    budgets: Sequence[float] = (),
    ax: Axes | None = None,
) -> Figure:
    """Draw a forecast along its path, held-out runs and budgets that were asked for."""
    x, of_budgets = forecasts[column], splits_a_budget(fit)
    figure, axes = one_axes(3.6, ax)
    bands(axes, x, (forecasts["lower"], forecasts["upper"]), (forecasts["mean_lower"], forecasts["mean_upper"]), prob)
    axes.plot(x, forecasts["median"], color=BLUE, lw=1.4)
    runs = spent(fit) if of_budgets else fit.table[column].to_numpy(float)
    axes.plot(runs, fit.table["loss"], "o", ms=3, color=INK, alpha=0.5, label="fitted runs")
    if predicted is not None:
        rows = predicted.copy()
        completed(rows)
        at, median = spent(fit, rows) if of_budgets else rows[column], rows["median"]
        error = [median - rows["lower"], rows["upper"] - median]
        axes.errorbar(at, median, yerr=error, fmt="_", color=ORANGE, lw=1.6, label="held-out run, forecast")
        axes.plot(at, rows["loss"], "x", color=RED, ms=6, mew=1.6, label="held-out run, measured")
    if budgets:
        at = np.log(budgets)
        median = np.exp(np.interp(at, np.log(x), np.log(forecasts["median"])))
        axes.plot(budgets, median, "D", color=RED, ms=4.5, label="asked")
    axes.axvline(runs.max(), color=INK, lw=0.8, ls="--", alpha=0.7)
    axes.annotate(" extrapolation", (runs.max(), 1.0), xycoords=("data", "axes fraction"), va="top", fontsize=8, color=INK)
    label = _OF_BUDGET if of_budgets else axis_label(column)
    axes.set(xscale="log", yscale="log", xlabel=label, ylabel=loss_label(fit))
    log_ticks(axes)
    legend(axes)
    along = "at the compute-optimal size of each budget" if of_budgets else "along the input of the law"
    return captioned(figure, f"Loss {along}: median and {percent(prob)} intervals. Dashed line: the largest fitted run.")


@styled
@taking("fit")
def envelope(fit: Fit, *, prob: float = 0.9, group: Mapping[str, str] | None = None, ax: Axes | None = None) -> Figure:
    """Draw the loss of each size against compute, the runs of that size, and the envelope of all sizes.

    Parameters
    ----------
    fit : Fit
        A fit of a law of N and D.
    prob : float
        Probability of the interval of the envelope.
    group : mapping, optional
        Group of the losses, as for :func:`~bayes_scaling.predict`.
    ax : Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.figure.Figure
        Jupyter shows it; ``savefig`` keeps it.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> envelope(example_fit()).axes[0].get_xlabel()
    'C = 6 N D (FLOP)'
    """
    surface, runs = _surface(fit, group), spent(fit)
    budgets = np.geomspace(runs.min(), runs.max() * 10, 25)
    figure, axes = one_axes(3.6, ax)
    every = np.unique(fit.table["params"].to_numpy(float))
    sizes = every[np.unique(np.linspace(0, len(every) - 1, min(len(every), _SIZES)).astype(int))]
    for colour, size in zip(cycle(CYCLE[1:]), sizes):
        rows = (fit.table["params"] == size).to_numpy()
        own = np.geomspace(runs[rows].min() / 2, max(runs[rows].max() * 3, runs[rows].min() * 30), 25)
        axes.plot(own, np.median(surface.along(own[:, None], np.log(size)), axis=-1), color=colour, lw=1.0)
        axes.plot(runs[rows], fit.table["loss"][rows], "o", ms=3.5, color=colour, label=f"N = {short(float(size))}")
    others = ~fit.table["params"].isin(sizes).to_numpy()
    axes.plot(runs[others], fit.table["loss"][others], "o", ms=2, color=INK, alpha=0.35)
    losses = surface.along(budgets[:, None], _choices(surface, budgets)[:, None])
    ribbon(axes, budgets, np.quantile(losses, quantiles(prob), axis=-1), "envelope, best size")
    axes.set(xscale="log", yscale="log", xlabel=_OF_BUDGET, ylabel=loss_label(fit))
    log_ticks(axes)
    legend(axes, 3)
    return captioned(
        figure,
        f"Mean loss against compute for single sizes (posterior median) with their runs; blue: the best size of each budget, "
        f"{percent(prob)} credible interval.",
    )


@styled
@taking("fit")
def isoflop(
    fit: Fit,
    *,
    prob: float = 0.9,
    group: Mapping[str, str] | None = None,
    budgets: Sequence[float] = (),
    ax: Axes | None = None,
) -> Figure:
    """Draw isoFLOP profiles: the mean loss of sizes at fixed budgets, and where it is least.

    Parameters
    ----------
    fit : Fit
        A fit of a law of N and D.
    prob : float
        Probability of the intervals of the profile and of the size at its minimum.
    group : mapping, optional
        Group of the losses, as for :func:`~bayes_scaling.predict`.
    budgets : sequence of float, optional
        Budgets, FLOP; by default five from the smallest run to beyond the largest.
    ax : Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.figure.Figure
        Jupyter shows it; ``savefig`` keeps it.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> isoflop(example_fit(), budgets=[1e20, 1e22]).axes[0].get_xlabel()
    'N (parameters)'
    """
    surface, runs = _surface(fit, group), spent(fit)
    at = np.array(budgets, float) if len(budgets) else np.geomspace(runs.min() * 2, runs.max() * 10, _PROFILES)
    best, choices = optima(surface, at), _choices(surface, at)
    figure, axes = one_axes(3.6, ax)
    for colour, budget, each, choice in zip(cycle(CYCLE), at, best, choices):
        sizes = np.linspace(choice - np.log(12), choice + np.log(12), 31)
        sizes = sizes[tokens_at(budget, np.exp(sizes)) >= FEWEST]
        losses = surface.along(budget, sizes[:, None])
        ribbon(axes, np.exp(sizes), np.quantile(losses, quantiles(prob), axis=-1), flop(float(budget)), color=colour)
        least = float(np.median(surface.along(budget, np.full(1, choice)[:, None])))
        axes.plot(np.exp(np.quantile(each, quantiles(prob)[1:])), [least, least], color=colour, lw=2.5, alpha=0.9)
        axes.plot(np.exp(choice), least, "D", ms=5, color=colour, mec=INK, mew=0.8)
        near = np.abs(np.log(runs / budget)) < np.log(1.25)
        axes.plot(fit.table["params"][near], fit.table["loss"][near], "o", ms=3, color=colour, alpha=0.8)
    axes.set(xscale="log", yscale="log", xlabel="N (parameters)", ylabel=loss_label(fit))
    log_ticks(axes)
    legend(axes, 3)
    return captioned(
        figure,
        f"Mean loss of sizes at fixed budgets, {percent(prob)} credible bands. Diamond: the choice; bar: {percent(prob)} interval of the "
        "best size. Dots: runs within 25 % of the budget.",
    )


@styled
@taking("fit")
def regret(
    fit: Fit,
    *,
    group: Mapping[str, str] | None = None,
    budgets: Sequence[float] = (),
    ax: Axes | None = None,
) -> Figure:
    """Draw what sizes lose over the best one, in per cent of the loss, at every budget.

    Parameters
    ----------
    fit : Fit
        A fit of a law of N and D.
    group : mapping, optional
        Group of the losses, as for :func:`~bayes_scaling.predict`.
    budgets : sequence of float, optional
        Budgets that were asked for, FLOP, which are marked.
    ax : Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.figure.Figure
        Jupyter shows it; ``savefig`` keeps it.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> regret(example_fit(), budgets=[1e22]).axes[0].get_ylabel()
    'N (parameters)'
    """
    surface, runs = _surface(fit, group), spent(fit)
    at = np.geomspace(runs.min(), max([runs.max() * 10**BEYOND, *budgets]), 17)
    choices = _choices(surface, at)
    sizes = np.linspace(choices.min() - np.log(8), choices.max() + np.log(8), 45)
    least = surface.along(at[:, None], optima(surface, at))
    lost = np.full((len(at), len(sizes)), np.nan)
    for place, budget in enumerate(at):
        allowed = tokens_at(budget, np.exp(sizes)) >= FEWEST
        losses = surface.along(budget, sizes[allowed][:, None])
        lost[place, allowed] = 100 * np.maximum(losses / least[place] - 1, 0.0).mean(axis=-1)
    figure, axes = one_axes(3.9, ax)
    shades = [to_rgba(BLUE, alpha) for alpha in (0.6, 0.45, 0.3, 0.18, 0.08)]
    axes.contourf(at, np.exp(sizes), lost.T, levels=[0.0, *_LOST], colors=shades)
    lines = axes.contour(at, np.exp(sizes), lost.T, levels=_LOST, colors=[INK], linewidths=0.6, alpha=0.6)
    axes.plot(at, np.exp(choices), color=ORANGE, lw=1.6, label="the choice")
    axes.plot(runs, fit.table["params"], "o", ms=2.5, color=INK, alpha=0.5, label="fitted runs")
    if len(budgets):
        asked = np.exp(np.interp(np.log(budgets), np.log(at), choices))
        axes.plot(budgets, asked, "D", ms=5, color=RED, label="asked")
    axes.set(xscale="log", yscale="log", xlabel=_OF_BUDGET, ylabel="N (parameters)", ylim=np.exp(sizes[[0, -1]]))
    axes.clabel(lines, fontsize=8, fmt="%g %%")  # lines make way for what is on them, on the scale there is
    log_ticks(axes)
    legend(axes, 3)
    return captioned(
        figure, "Regret: how far the mean loss of a size lies above that of the best one, mean in per cent of the loss."
    )


@styled
@taking("fit")
def surface(
    fit: Fit,
    *,
    prob: float = 0.9,
    group: Mapping[str, str] | None = None,
    budgets: Sequence[float] = (),
    ax: Axes | None = None,
) -> Figure:
    """Draw lines of equal loss over N and D, the band of compute-optimal sizes, and the runs.

    Parameters
    ----------
    fit : Fit
        A fit of a law of N and D.
    prob : float
        Probability of the interval of the optimum.
    group : mapping, optional
        Group of the losses, as for :func:`~bayes_scaling.predict`.
    budgets : sequence of float, optional
        Budgets that were asked for, FLOP, whose choices are marked.
    ax : Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.figure.Figure
        Jupyter shows it; ``savefig`` keeps it.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> surface(example_fit()).axes[0].get_ylabel()
    'D (tokens)'
    """
    split, runs = _surface(fit, group), fit.table
    params, tokens = (
        xr.DataArray(np.geomspace(runs[c].min() / 1.5, runs[c].max() * 10 ** (BEYOND / 2), 50), dims=c)
        for c in ("params", "tokens")
    )
    few = fit.thinned(-(-_DRAWS // fit.posterior.sizes["chain"]))
    loss = law_loss(few, {"params": params, "tokens": tokens}, group=dict(group or {})).median(("chain", "draw"))
    of_runs = spent(fit)
    compute = np.geomspace(of_runs.min(), max([of_runs.max() * 10**BEYOND, *budgets]), 17)
    best = np.exp(optima(split, compute))
    N, least_N, most_N = np.quantile(best, quantiles(prob), axis=-1)
    D, most_D, least_D = (tokens_at(compute, size) for size in (N, least_N, most_N))
    figure, axes = one_axes(4.0, ax)
    lines = axes.contour(
        params, tokens, loss.transpose("tokens", "params").values, levels=10, colors=[INK], linewidths=0.7, alpha=0.6
    )
    # A band across lines of equal compute: from (least N, most D) to (most N, least D) of each budget.
    outline = np.concatenate([least_N, most_N[::-1]]), np.concatenate([most_D, least_D[::-1]])
    axes.fill(*outline, color=ORANGE, alpha=0.35, lw=0, label=f"compute-optimal ({percent(prob)})")
    axes.plot(N, D, color=ORANGE, lw=1.6, label="its median")
    axes.plot(runs["params"], runs["tokens"], "o", ms=3, color=BLUE, alpha=0.7, label="runs")
    if len(budgets):
        chosen = np.exp(_choices(split, np.array(budgets, float)))
        axes.plot(chosen, tokens_at(np.array(budgets), chosen), "D", ms=5, color=RED, label="asked, the choice")
    axes.set(xscale="log", yscale="log", xlabel="N (parameters)", ylabel="D (tokens)")
    axes.set(xlim=(params.min(), params.max()), ylim=(tokens.min(), tokens.max()))
    axes.clabel(lines, fontsize=8, fmt=lambda value: f"{value:.3g}")
    log_ticks(axes)
    legend(axes)
    return captioned(
        figure,
        f"Contours of the law's loss ({fit.loss_unit}, posterior median), compute-optimal path with its {percent(prob)} credible interval "
        "at each budget, and runs.",
    )


def _surface(fit: Fit, group: Mapping[str, str] | None) -> Surface:
    """Return the surface that figures are drawn of, with some of the draws."""
    return Surface.asked(fit, group=group).thinned(_DRAWS)


def _choices(surface: Surface, budgets: np.ndarray) -> np.ndarray:
    """Return the log of the size of least mean loss at budgets."""
    return choose(surface.along, budgets, expectation, plausible(surface, budgets))
