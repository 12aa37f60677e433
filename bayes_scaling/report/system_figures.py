"""Figures of a system of laws: arrays in, a matplotlib figure out, as in :mod:`~bayes_scaling.report.figures`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from bayes_scaling.report.figures import BLUE, CYCLE, INK, ORANGE, RED, canvas, one_axes, plain_log_ticks, styled


@dataclass(frozen=True)
class Ribbon:
    """A curve with an interval around it.

    Parameters
    ----------
    x, median, lower, upper : ndarray
        Where, and what.
    """

    x: np.ndarray
    median: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


@styled
def claims_forest(
    names: Sequence[str], ratio: np.ndarray, lower: np.ndarray, upper: np.ndarray, agrees: np.ndarray
) -> Figure:
    """Draw ours over what was published, one line a claim, with intervals; a vertical line is agreement."""
    figure, axes = one_axes(6.4, 0.24 * len(names) + 0.7)
    place = np.arange(len(names))[::-1]
    axes.axvline(1.0, color=INK, lw=0.8, alpha=0.6)
    for agree, colour in ((True, BLUE), (False, ORANGE)):
        of = agrees == agree
        reach = np.abs(np.array([lower[of], upper[of]]) - ratio[of])
        label = "the published number lies inside" if agree else "it does not"
        axes.errorbar(ratio[of], place[of], xerr=reach, fmt="o", ms=3.5, lw=1.4, color=colour, label=label)
    axes.set(xscale="log", xlabel="ours over the paper's", ylim=(-0.8, len(names) - 0.2))
    axes.set_yticks(place, labels=list(names))
    axes.tick_params(axis="y", labelsize=7, length=0)
    plain_log_ticks(axes, "x")
    axes.legend(loc="upper center", bbox_to_anchor=(0.3, -0.9 / (0.24 * len(names) + 0.7)), ncols=2)
    return figure


@styled
def observed_against_expected(
    panels: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]], unit: str
) -> Figure:
    """Draw, for each observation, what was measured against what its law expects with the interval of a new row."""
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
        axes.set(xscale="log", yscale="log", title=name, xlabel="expected", ylabel="measured")
        for which in ("x", "y"):
            plain_log_ticks(axes, which)
    figure.supxlabel(f"losses in {unit}; batches in tokens", fontsize=8)
    return figure


@styled
def surprises(panels: Mapping[str, np.ndarray], surprise: np.ndarray, usual: float) -> Figure:
    """Draw what each row has that the law and the row before it did not expect, in scales, against each input."""
    figure = canvas(6.4, 2.3)
    shared = None
    for number, (label, x) in enumerate(panels.items()):
        axes = figure.add_subplot(1, len(panels), number + 1, sharey=shared)
        shared = shared or axes
        axes.axhspan(-usual, usual, color=INK, alpha=0.1, lw=0)
        axes.axhline(0, color=INK, lw=0.8, alpha=0.6)
        axes.plot(x, surprise, "o", ms=2.6, color=BLUE, alpha=0.7)
        axes.set(xscale="log", xlabel=label)
        plain_log_ticks(axes, "x")
        if number == 0:
            axes.set_ylabel("surprise (scales)")
        else:
            axes.tick_params(labelleft=False)
    return figure


@styled
def batch_of_loss(band: Ribbon, noise: tuple[np.ndarray, np.ndarray] | None, published: np.ndarray, unit: str) -> Figure:
    """Draw the critical batch against the loss: its band, gradient noise brought to the same scale, and the paper's line."""
    figure, axes = one_axes(6.4, 3.6)
    axes.fill_between(band.x, band.lower, band.upper, color=BLUE, alpha=0.3, lw=0, label="critical batch")
    axes.plot(band.x, band.median, color=BLUE, lw=1.4)
    if noise is not None:
        axes.plot(*noise, "o", ms=3.5, color=ORANGE, alpha=0.8, label="gradient noise scale over its ratio")
    axes.plot(band.x, published, "--", color=INK, lw=1, alpha=0.8, label="Kaplan et al., their nats a token of WebText2")
    axes.set(xscale="log", yscale="log", xlabel=f"loss ({unit})", ylabel="batch (tokens)")
    axes.invert_xaxis()
    plain_log_ticks(axes, "x")
    axes.legend(loc="center")
    return figure


@styled
def frontier_panels(panels: Mapping[str, tuple[Ribbon, np.ndarray | None]], edge: float) -> Figure:
    """Draw compute-optimal quantities against compute, with the paper's powers dashed, and where the data end."""
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
    reach = np.abs(np.array([bound.lower, bound.upper]) - bound.median)
    axes.errorbar(
        bound.median, stopped, xerr=reach, fmt="o", ms=4, lw=1, color=BLUE, alpha=0.8, label="runs on limited data"
    )
    axes.plot(ends, ends, color=INK, lw=0.8, alpha=0.6)
    axes.set(
        xscale="log",
        yscale="log",
        xlim=ends,
        ylim=ends,
        xlabel="lower bound (5.7), least steps",
        ylabel="best at, least steps",
    )
    axes.legend()
    return figure


@styled
def efforts(losses: Sequence[str], steps: Sequence[Ribbon], tokens: Sequence[Ribbon]) -> Figure:
    """Draw the steps and the tokens to each loss against the size."""
    figure = canvas(6.4, 3.0)
    for number, (label, bands) in enumerate((("least steps", steps), ("least tokens", tokens))):
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
    """Draw what the aspect ratio costs: the population's parabola, and each run over the best of its size."""
    figure, axes = one_axes(6.4, 3.4)
    axes.axhspan(0, 100 * published, color=INK, alpha=0.08, lw=0, label="published: less than this over a 40-fold range")
    axes.fill_between(
        band.x, 100 * band.lower, 100 * band.upper, color=BLUE, alpha=0.25, lw=0, label="the centre of the population"
    )
    axes.plot(band.x, 100 * band.median, color=BLUE, lw=1.4)
    for number, (label, (aspect, cost)) in enumerate(points.items()):
        axes.plot(aspect, 100 * cost, "o", ms=4, color=CYCLE[(number + 1) % len(CYCLE)], alpha=0.85, label=label)
    axes.axhline(0, color=RED, lw=0.6, alpha=0.5)
    axes.set(xscale="log", xlabel="aspect ratio, over the best of the size", ylabel="above the best shape (%)")
    axes.set_ylim(top=max(6.0, 130 * max(cost.max() for _, cost in points.values())))
    plain_log_ticks(axes, "x")
    axes.legend()
    return figure
