"""The pictures of what the laws of Kaplan et al. (2020) imply: claims, critical batch, efficient training, shape."""

from __future__ import annotations

from textwrap import fill
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from bayes_scaling.laws import LAWS
from bayes_scaling.laws.constants import published
from bayes_scaling.model.document import Observation
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.predict import interval
from bayes_scaling.posterior.residuals import loss_at_runs
from bayes_scaling.quantities import PF_DAY
from bayes_scaling.questions.claims import VERDICTS
from bayes_scaling.questions.derive import derive
from bayes_scaling.questions.effort import effort
from bayes_scaling.questions.frontier import frontier, largest
from bayes_scaling.report.figures import (
    BLUE,
    CYCLE,
    INK,
    ORANGE,
    RED,
    Captioned,
    captioned,
    dots,
    grid,
    legend,
    log_ticks,
    loss_label,
    one_axes,
    ribbon,
    styled,
)
from bayes_scaling.report.pictures import BEYOND, DRAWS
from bayes_scaling.wording import credible, number, percent, short

_TABLE_6: Final = {"params": "N", "batch_tokens": "B", "steps_min": "S", "tokens": "D"}
"""Quantities with a power of compute in Table 6 of Kaplan et al. (2020), and their symbols there."""
_SHAPE_COST: Final = 0.03
"""Upper limit of the loss penalty over a 40-fold range of the aspect ratio (Kaplan et al. 2020, section 3.1)."""


@styled
def claims_figure(table: pd.DataFrame) -> Figure:
    """Draw ours over the published number, or over the limit, one line a claim that is a pure number; bars are what is equal to it."""
    rows = table[(table["unit"] == "1") & table["median"].notna()]
    ends = rows["published"].map(lambda text: [float(end) for end in text.split(" to ")])
    is_limit = ends.str[0] == rows["region_lower"]
    middle = ends.map(np.mean).where(~is_limit, ends.str[-1]).to_numpy(float)
    ours = {name: rows[name].to_numpy() / middle for name in ("median", "lower", "upper", "region_lower", "region_upper")}
    place = np.arange(len(rows))[::-1]
    figure, axes = one_axes(0.4 * len(rows) + 0.9)
    axes.axvline(1.0, color=INK, lw=0.8, alpha=0.6)
    least = 0.5 * min(ours["lower"].min(), 1.0)
    left = np.maximum(ours["region_lower"], least)  # a limit may begin at zero
    axes.barh(
        place, ours["region_upper"] - left, left=left, height=0.7, color=INK, alpha=0.1, lw=0, label="practically equal"
    )
    for verdict, colour in zip(VERDICTS, (BLUE, ORANGE, INK), strict=True):
        chosen = (rows["verdict"] == verdict).to_numpy()
        dots(axes, tuple(ours[name][chosen] for name in ("median", "lower", "upper")), place[chosen], verdict, color=colour)
    axes.set(xscale="log", xlabel="ours over published, or over the limit", ylim=(-0.8, len(rows) - 0.2), xlim=(least, None))
    axes.set_yticks(place, labels=[fill(claim, 34) for claim in rows["claim"]])
    axes.tick_params(axis="y", labelsize=8, length=0)
    log_ticks(axes, "x")
    legend(axes)
    return figure


def claims_picture(table: pd.DataFrame, prob: float) -> Captioned:
    """Show ours over the published number for every claim."""
    return captioned(
        claims_figure(table),
        f"Each claim of Kaplan et al. (2020): our {percent(prob)} interval over the number, which was published without one. Bars: what is "
        "practically equal to it; an interval inside agrees, one wholly outside disagrees, any other cannot tell. Exponents and "
        "ratios are shown; sizes, batches and losses depend on tokenizer, corpus and count of parameters and are in the table.",
    )


@styled
def batch_picture(fit: Fit, prob: float) -> Captioned | None:
    """Show the critical batch as a function of the loss, beside rescaled gradient noise and the published line."""
    losses = pd.concat([pd.Series(dtype=float), *(rows["loss"] for rows in map(fit.rows, fit.views) if "loss" in rows)])
    if not {"B_star", "alpha_B"} <= set(fit.learned) or losses.empty:
        return None
    loss = xr.DataArray(np.geomspace(losses.min(), losses.max(), 40), dims="loss")
    figure, axes = one_axes(3.6)
    ribbon(axes, loss, interval(derive(fit, "critical_batch", loss=loss), prob), "critical batch")
    for observation in fit.model.observations:
        if observation.law == "noise_scale":
            rows = fit.rows(observation.name)
            batch = rows[observation.output] / float(fit.learned["noise_ratio"].median())
            axes.plot(rows["loss"], batch, "o", ms=3.5, color=ORANGE, alpha=0.8, label="gradient noise scale over its ratio")
    theirs = LAWS["critical_batch"](loss.values, **published("kaplan2020 eq 1.4").values)
    axes.plot(loss, theirs, "--", color=INK, lw=1, alpha=0.8, label="Kaplan et al., in nats per token of WebText2")
    axes.set(xscale="log", yscale="log", xlabel=loss_label(fit), ylabel="batch (tokens)")
    axes.invert_xaxis()
    log_ticks(axes)
    legend(axes, 1)
    lowest = interval(derive(fit, "critical_batch", loss=losses.min()), prob)
    median, lower, upper = (short(float(bound)) for bound in lowest)
    return captioned(
        figure,
        f"At the lowest loss measured, {losses.min():.3g} {fit.loss_unit}, the critical batch is {median} tokens "
        f"({credible(prob, lower, upper)}). Kaplan et al. report 1M to 2M tokens at the convergence of their largest "
        "models; their line is in nats per token of WebText2, another unit.",
    )


@styled
def frontier_picture(fit: Fit, prob: float) -> Captioned:
    """Show compute-optimal size, data, batch and steps against compute, and the end of the data."""
    edge = largest(fit, "compute_flops")
    compute = np.geomspace((edge or PF_DAY) / 1e3, (edge or PF_DAY) * 10**BEYOND, 31)
    path, table6 = frontier(fit.thinned(DRAWS), compute=compute), published("kaplan2020 table 6").values
    labels = {"params": "N", "tokens": "D (tokens)", "batch_tokens": "B (tokens)", "steps_min": "S_min"}
    labels["loss"] = loss_label(fit)
    figure, panels = grid(len(labels), 2, 2.4)
    for axes, (name, label) in zip(panels, labels.items(), strict=True):
        ribbon(axes, compute, interval(path[name], prob), "ours")
        if name in _TABLE_6:
            spent = path["compute_min_flops"].values / PF_DAY
            theirs = table6[f"{_TABLE_6[name]}_e"] * spent ** table6[f"{_TABLE_6[name]}_power"]
            axes.plot(compute, theirs, "--", color=INK, lw=1, alpha=0.8, label="Kaplan et al., Table 6")
        if edge > 0:
            axes.axvline(edge, color=INK, lw=0.8, ls=":", alpha=0.7)
        axes.set(xscale="log", yscale="log", xlabel="C at the critical batch (FLOP)", ylabel=label)
        log_ticks(axes, "x", most=4)
        log_ticks(axes, "y")
    legend(panels[-1], 1)
    return captioned(
        figure,
        f"Compute-optimal training by L(N, S_min) and the critical batch, {percent(prob)} intervals. Compute is spent at the critical batch, "
        "twice C_min. Dotted line: the largest compute measured. Dashed: the powers of Table 6 of Kaplan et al., for another tokenizer "
        "and corpus.",
    )


@styled
def stopping_picture(table: pd.DataFrame, prob: float) -> Captioned:
    """Show the step of the least loss of runs on limited data against the lower bound."""
    figure, axes = one_axes(3.4)
    ends = [min(table["lower"].min(), table["stopped"].min()) / 1.2, max(table["upper"].max(), table["stopped"].max()) * 1.2]
    axes.fill_between(ends, ends, ends[1], color=INK, alpha=0.06, lw=0, label="at or after the bound")
    dots(axes, [table[name] for name in ("bound", "lower", "upper")], table["stopped"], "runs on limited data")
    axes.plot(ends, ends, color=INK, lw=0.8, alpha=0.6)
    axes.set(xscale="log", yscale="log", xlim=ends, ylim=ends, xlabel="lower bound (5.7), in minimum steps")
    axes.set_ylabel("step of the least loss, in minimum steps")
    log_ticks(axes)
    legend(axes)
    after = int((table["above"] > 0.5).sum())
    return captioned(
        figure,
        f"{after} of {len(table)} runs on limited data had their least loss at or after the posterior median of the bound (5.7); "
        f"{percent(prob)} intervals of the bound.",
    )


@styled
def effort_picture(fit: Fit, prob: float) -> Captioned | None:
    """Show the minimum steps and minimum tokens to three losses against the size."""
    rows = pd.concat([rows for rows in map(fit.rows, fit.views) if {"params", "loss"} <= set(rows)])
    params = xr.DataArray(np.geomspace(rows["params"].min(), rows["params"].max() * 10, 40), dims="params")
    figure, panels = grid(2, 2, 2.9)
    thin, reached = fit.thinned(DRAWS), False
    for colour, loss in zip(CYCLE, np.quantile(rows["loss"], [0.7, 0.4, 0.1]), strict=False):
        needed = effort(thin, loss=float(loss), params=params)
        sure = (needed["reaches"] > 0.95).values
        if not sure.any():
            continue
        reached = True
        for axes, name in zip(panels, ("steps_min", "tokens_min"), strict=True):
            curve = interval(needed[name].isel(params=sure), prob)
            ribbon(axes, params[sure], curve, f"loss {number(loss)}", color=colour)
    for axes, label in zip(panels, ("minimum steps", "minimum tokens"), strict=True):
        axes.set(xscale="log", yscale="log", xlabel="N (parameters)", ylabel=label)
        log_ticks(axes)
    if not reached:
        return None
    legend(panels[-1], 1)
    return captioned(
        figure,
        "Minimum steps (batch far above the critical one) and minimum tokens (batch far below it) to three losses with unlimited data, "
        "for sizes that reach the loss with probability above 0.95. Larger models need fewer of both.",
    )


def shape_picture(fit: Fit, observation: Observation, prob: float) -> Captioned:
    """Show the loss penalty of the aspect ratio over the best of each size."""
    return captioned(
        shape_figure(fit, observation, prob),
        f"{observation.name}: loss of runs over the predicted loss of the best shape of their size, other effects removed; the band is the "
        f"{percent(prob)} interval of the population's parabola.",
    )


@styled
def shape_figure(fit: Fit, observation: Observation, prob: float) -> Figure:
    """Draw the loss penalty of the aspect ratio: the population's parabola, and each run over the best of its size."""
    draws, rows = fit.view(observation.name).posterior, fit.rows(observation.name)
    ratio = xr.DataArray(np.geomspace(1 / 40, 40, 81), dims="ratio")
    parabola: Any = np.exp(draws["aspect_cost_population"] * np.log(ratio) ** 2)
    expected = loss_at_runs(fit.thinned(DRAWS).view(observation.name)).median(("chain", "draw")).values
    sizes = rows["size"].astype(str)
    best, cost = (
        draws[name].median(("chain", "draw")).to_series()[sizes].to_numpy() for name in ("aspect_best", "aspect_cost")
    )
    away = rows["aspect"].to_numpy(float) / best
    penalty = 100 * (np.exp(cost * np.log(away) ** 2) * rows[observation.output].to_numpy(float) / expected - 1)
    figure, axes = one_axes(3.4)
    label = "published upper limit over a 40-fold range"
    axes.axhspan(0, 100 * _SHAPE_COST, color=INK, alpha=0.08, lw=0, label=label)
    ribbon(axes, ratio, interval(100 * (parabola - 1), prob), "population mean", alpha=0.25)
    for place, size in enumerate(dict.fromkeys(sizes), start=1):
        members = (sizes == size).to_numpy()
        colour = CYCLE[place % len(CYCLE)]
        axes.plot(away[members], penalty[members], "o", ms=4, color=colour, alpha=0.85, label=size)
    axes.axhline(0, color=RED, lw=0.6, alpha=0.5)
    axes.set(xscale="log", xlabel="aspect ratio, over the best of the size", ylabel="loss above the best shape (%)")
    axes.set_ylim(top=max(6.0, 1.3 * penalty.max()))
    log_ticks(axes, "x")
    legend(axes)
    return figure
