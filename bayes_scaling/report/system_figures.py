"""Figures of a system of laws: arrays in, a matplotlib figure out, as in :mod:`~bayes_scaling.report.figures`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from bayes_scaling.report.figures import BLUE, CYCLE, INK, ORANGE, RED, bars, canvas, one_axes, plain_log_ticks, styled


@dataclass(frozen=True)
class Ribbon:
    """A curve with an interval around it.

    Parameters
    ----------
    x, median, lower, upper : ndarray
        Positions, and the curve with its interval.
    """

    x: np.ndarray
    median: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


@styled
def claims_forest(
    names: Sequence[str], ratio: np.ndarray, lower: np.ndarray, upper: np.ndarray, agrees: np.ndarray
) -> Figure:
    """Draw ours over what was published, one line a claim, with intervals; the vertical line is a ratio of one."""
    figure, axes = one_axes(6.4, 0.24 * len(names) + 0.7)
    place = np.arange(len(names))[::-1]
    axes.axvline(1.0, color=INK, lw=0.8, alpha=0.6)
    for agree, colour in ((True, BLUE), (False, ORANGE)):
        of = agrees == agree
        error = bars(ratio[of], lower[of], upper[of])
        label = "interval covers 1" if agree else "interval excludes 1"
        axes.errorbar(ratio[of], place[of], xerr=error, fmt="o", ms=3.5, lw=1.4, color=colour, label=label)
    axes.set(xscale="log", xlabel="ours over published", ylim=(-0.8, len(names) - 0.2))
    axes.set_yticks(place, labels=list(names))
    axes.tick_params(axis="y", labelsize=7, length=0)
    plain_log_ticks(axes, "x")
    axes.legend(loc="upper center", bbox_to_anchor=(0.3, -0.9 / (0.24 * len(names) + 0.7)), ncols=2)
    return figure


@styled
def measured_against_predicted(
    panels: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]], unit: str
) -> Figure:
    """Draw, for each observation, measured against predicted values, with the predictive interval of a new row."""
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    figure = canvas(6.4, 2.7 * rows)
    for number, (name, (measured, median, lower, upper)) in enumerate(panels.items()):
        axes = figure.add_subplot(rows, columns, number + 1)
        ends = [min(measured.min(), median.min()), max(measured.max(), median.max())]
        order = np.argsort(median)
        axes.fill_between(median[order], lower[order], upper[order], color=BLUE, alpha=0.18, lw=0)
        axes.plot(ends, ends, color=INK, lw=0.8, alpha=0.6)
        axes.plot(median, measured, "o", ms=2.6, color=BLUE, alpha=0.7)
        axes.set(xscale="log", yscale="log", title=name, xlabel="predicted", ylabel="measured")
        for which in ("x", "y"):
            plain_log_ticks(axes, which)
    figure.supxlabel(f"losses in {unit}; batches in tokens", fontsize=8)
    return figure


@styled
def residuals(panels: Mapping[str, np.ndarray], standardised: np.ndarray, usual: float) -> Figure:
    """Draw standardised residuals, given the residual before on the same run, against each input."""
    figure = canvas(6.4, 2.3)
    shared = None
    for number, (label, x) in enumerate(panels.items()):
        axes = figure.add_subplot(1, len(panels), number + 1, sharey=shared)
        shared = shared or axes
        axes.axhspan(-usual, usual, color=INK, alpha=0.1, lw=0)
        axes.axhline(0, color=INK, lw=0.8, alpha=0.6)
        axes.plot(x, standardised, "o", ms=2.6, color=BLUE, alpha=0.7)
        axes.set(xscale="log", xlabel=label)
        plain_log_ticks(axes, "x")
        if number == 0:
            axes.set_ylabel("standardised residual")
        else:
            axes.tick_params(labelleft=False)
    return figure


@styled
def batch_of_loss(band: Ribbon, noise: tuple[np.ndarray, np.ndarray] | None, published: np.ndarray, unit: str) -> Figure:
    """Draw the critical batch against the loss: its band, rescaled gradient noise, and the published line."""
    figure, axes = one_axes(6.4, 3.6)
    axes.fill_between(band.x, band.lower, band.upper, color=BLUE, alpha=0.3, lw=0, label="critical batch")
    axes.plot(band.x, band.median, color=BLUE, lw=1.4)
    if noise is not None:
        axes.plot(*noise, "o", ms=3.5, color=ORANGE, alpha=0.8, label="gradient noise scale over its ratio")
    axes.plot(band.x, published, "--", color=INK, lw=1, alpha=0.8, label="Kaplan et al., in nats per token of WebText2")
    axes.set(xscale="log", yscale="log", xlabel=f"loss ({unit})", ylabel="batch (tokens)")
    axes.invert_xaxis()
    plain_log_ticks(axes, "x")
    axes.legend(loc="center")
    return figure


@styled
def frontier_panels(panels: Mapping[str, tuple[Ribbon, np.ndarray | None]], edge: float) -> Figure:
    """Draw compute-optimal quantities against compute, with the published powers dashed, and the end of the data."""
    columns = 2
    rows = -(-len(panels) // columns)
    figure = canvas(6.4, 2.5 * rows)
    for number, (label, (band, published)) in enumerate(panels.items()):
        axes = figure.add_subplot(rows, columns, number + 1)
        axes.fill_between(band.x, band.lower, band.upper, color=BLUE, alpha=0.3, lw=0, label="ours")
        axes.plot(band.x, band.median, color=BLUE, lw=1.4)
        if published is not None:
            axes.plot(band.x, published, "--", color=INK, lw=1, alpha=0.8, label="Kaplan et al., Table 6")
        if edge > 0:
            axes.axvline(edge, color=INK, lw=0.8, ls=":", alpha=0.7)
        axes.set(xscale="log", yscale="log", ylabel=label)
        plain_log_ticks(axes)
        if number >= len(panels) - columns:
            axes.set_xlabel("compute at the critical batch (FLOP)")
        if number == 0:
            axes.legend()
    return figure


@styled
def stopping_points(bound: Ribbon, stopped: np.ndarray) -> Figure:
    """Draw the steps at which runs were best against the lower bound."""
    figure, axes = one_axes(6.4, 3.4)
    ends = [min(bound.lower.min(), stopped.min()) / 1.2, max(bound.upper.max(), stopped.max()) * 1.2]
    axes.fill_between(ends, ends, ends[1], color=INK, alpha=0.06, lw=0, label="at or after the bound")
    error = bars(bound.median, bound.lower, bound.upper)
    axes.errorbar(
        bound.median, stopped, xerr=error, fmt="o", ms=4, lw=1, color=BLUE, alpha=0.8, label="runs on limited data"
    )
    axes.plot(ends, ends, color=INK, lw=0.8, alpha=0.6)
    axes.set(
        xscale="log",
        yscale="log",
        xlim=ends,
        ylim=ends,
        xlabel="lower bound (5.7), in minimum steps",
        ylabel="step of the least loss, in minimum steps",
    )
    axes.legend()
    return figure


@styled
def efforts(losses: Sequence[str], steps: Sequence[Ribbon], tokens: Sequence[Ribbon]) -> Figure:
    """Draw the steps and the tokens to each loss against the size."""
    figure = canvas(6.4, 3.0)
    for number, (label, bands) in enumerate((("minimum steps", steps), ("minimum tokens", tokens))):
        axes = figure.add_subplot(1, 2, number + 1)
        for place, (loss, band) in enumerate(zip(losses, bands, strict=True)):
            colour = CYCLE[place % len(CYCLE)]
            axes.fill_between(band.x, band.lower, band.upper, color=colour, alpha=0.25, lw=0)
            axes.plot(band.x, band.median, color=colour, lw=1.4, label=f"loss {loss}")
        axes.set(xscale="log", yscale="log", xlabel="N (parameters)", ylabel=label)
        if number == 0:
            axes.legend()
    return figure


@styled
def shape_parabola(band: Ribbon, points: Mapping[str, tuple[np.ndarray, np.ndarray]], published: float) -> Figure:
    """Draw the loss penalty of the aspect ratio: the population's parabola, and each run over the best of its size."""
    figure, axes = one_axes(6.4, 3.4)
    axes.axhspan(0, 100 * published, color=INK, alpha=0.08, lw=0, label="published upper limit over a 40-fold range")
    axes.fill_between(band.x, 100 * band.lower, 100 * band.upper, color=BLUE, alpha=0.25, lw=0, label="population mean")
    axes.plot(band.x, 100 * band.median, color=BLUE, lw=1.4)
    for number, (label, (aspect, cost)) in enumerate(points.items()):
        axes.plot(aspect, 100 * cost, "o", ms=4, color=CYCLE[(number + 1) % len(CYCLE)], alpha=0.85, label=label)
    axes.axhline(0, color=RED, lw=0.6, alpha=0.5)
    axes.set(xscale="log", xlabel="aspect ratio, over the best of the size", ylabel="loss above the best shape (%)")
    axes.set_ylim(top=max(6.0, 130 * max(cost.max() for _, cost in points.values())))
    plain_log_ticks(axes, "x")
    axes.legend()
    return figure
