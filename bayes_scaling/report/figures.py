"""One function a figure: arrays in, a matplotlib figure out. What the arrays mean is stated by the caller."""

from __future__ import annotations

import functools
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from bayes_scaling.questions.wording import power, short

INK: Final = "#123456"
"""Stands for the page's own text colour, dark on light and light on dark: see :func:`as_svg`."""
BLUE, ORANGE, GREEN, PURPLE, RED = "#2B83C4", "#E69F00", "#009E73", "#CC79A7", "#D55E00"
CYCLE: Final = (BLUE, ORANGE, GREEN, PURPLE, RED, "#56B4E9", "#999933", "#882255")

_MOST_SUFFIXED: Final = 1e15
"""Ticks from here on are computes, in powers of ten."""
_STYLE: Final[Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.formatter.useoffset": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "figure.facecolor": "none",
    "figure.constrained_layout.use": True,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "legend.fontsize": 8,
}


def styled[**P](draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Draw in the report's style, whatever the user's own is."""

    @functools.wraps(draw)
    def in_style(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with mpl.rc_context(_STYLE):
            return draw(*args, **kwargs)

    return in_style


@dataclass(frozen=True)
class Band:
    """A curve with two intervals around it.

    Parameters
    ----------
    x : ndarray
        Where.
    median, lower, upper : ndarray
        Loss of a new run: predictive interval.
    mean_lower, mean_upper : ndarray
        Mean loss: credible interval.
    """

    x: np.ndarray
    median: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    mean_lower: np.ndarray
    mean_upper: np.ndarray


@styled
def measured_against_expected(
    measured: np.ndarray, median: np.ndarray, lower: np.ndarray, upper: np.ndarray, groups: Sequence[str], unit: str
) -> Figure:
    """Draw every run's measured loss against its posterior predictive interval."""
    figure, axes = one_axes(6.4, 3.9)
    low, high = min(lower.min(), measured.min()), max(upper.max(), measured.max())
    axes.plot([low, high], [low, high], color=INK, lw=0.8, alpha=0.6)
    for number, group in enumerate(dict.fromkeys(groups)):
        of = np.array([g == group for g in groups])
        colour = CYCLE[number % len(CYCLE)]
        error = bars(median[of], lower[of], upper[of])
        axes.errorbar(median[of], measured[of], xerr=error, fmt="o", ms=3.5, lw=0.8, color=colour, alpha=0.75, label=group)
    axes.set(xlabel=f"predicted loss of a new run, with interval ({unit})", ylabel=f"measured loss ({unit})")
    _legend(axes, groups)
    return figure


@styled
def residuals(panels: Mapping[str, np.ndarray], residual: np.ndarray, groups: Sequence[str], sigma: float) -> Figure:
    """Draw the residuals of the runs, in per cent of the loss, against each quantity on a log axis."""
    figure = canvas(6.4, 2.9)
    shared: Axes | None = None
    for number, (label, x) in enumerate(panels.items()):
        axes = figure.add_subplot(1, len(panels), number + 1, sharey=shared)
        shared = shared or axes
        axes.axhspan(-100 * sigma, 100 * sigma, color=INK, alpha=0.1, lw=0)
        axes.axhline(0, color=INK, lw=0.8, alpha=0.6)
        for place, group in enumerate(dict.fromkeys(groups)):
            of = np.array([g == group for g in groups])
            axes.plot(x[of], 100 * residual[of], "o", ms=3.5, color=CYCLE[place % len(CYCLE)], alpha=0.75, label=group)
        axes.set(xscale="log", xlabel=label)
        if number == 0:
            axes.set_ylabel("residual (%)")
            _legend(axes, groups)
        else:
            axes.tick_params(labelleft=False)
    return figure


@styled
def contours(
    params: np.ndarray,
    tokens: np.ndarray,
    loss: np.ndarray,
    path: tuple[np.ndarray, np.ndarray, np.ndarray],
    runs: tuple[np.ndarray, np.ndarray],
) -> Figure:
    """Draw lines of equal loss over N and D, the band of compute-optimal sizes, and the runs.

    Parameters
    ----------
    params, tokens : ndarray
        Axes of the grid.
    loss : ndarray of shape (tokens, params)
        Loss of the law, posterior median.
    path : tuple of ndarray of shape (budgets, 3)
        Lower, median and upper optimal N; the same for D; and the budgets.
    runs : tuple of ndarray
        N and D of the runs.
    """
    figure, axes = one_axes(6.4, 4.4)
    lines = axes.contour(params, tokens, loss, levels=12, colors=[INK], linewidths=0.7, alpha=0.7)
    axes.clabel(lines, fontsize=7, fmt="%.2f", inline=False)
    optimal_params, optimal_tokens, _ = path
    # A band across lines of equal compute: from (least N, most D) to (most N, least D) of each budget.
    outline = (
        np.concatenate([optimal_params[:, 0], optimal_params[::-1, 2]]),
        np.concatenate([optimal_tokens[:, 2], optimal_tokens[::-1, 0]]),
    )
    axes.fill(*outline, color=ORANGE, alpha=0.35, lw=0, label="compute-optimal, interval")
    axes.plot(optimal_params[:, 1], optimal_tokens[:, 1], color=ORANGE, lw=1.6, label="compute-optimal, median")
    axes.plot(*runs, "o", ms=3, color=BLUE, alpha=0.7, label="runs")
    axes.set(xscale="log", yscale="log", xlabel="N (parameters)", ylabel="D (tokens)")
    axes.set(xlim=(params.min(), params.max()), ylim=(tokens.min(), tokens.max()))
    axes.legend(loc="upper left")
    return figure


@styled
def forecast(
    band: Band,
    label: str,
    unit: str,
    edge: float,
    runs: tuple[np.ndarray, np.ndarray],
    held_out: Band | None = None,
    truth: np.ndarray | None = None,
) -> Figure:
    """Draw the extrapolated loss: both intervals, where the data end, and held-out losses where there are any."""
    figure, axes = one_axes(6.4, 3.9)
    axes.fill_between(band.x, band.lower, band.upper, color=BLUE, alpha=0.18, lw=0, label="loss of a new run")
    axes.fill_between(band.x, band.mean_lower, band.mean_upper, color=BLUE, alpha=0.4, lw=0, label="mean loss")
    axes.plot(band.x, band.median, color=BLUE, lw=1.4)
    axes.plot(*runs, "o", ms=3, color=INK, alpha=0.5, label="fitted runs")
    if held_out is not None:
        error = bars(held_out.median, held_out.lower, held_out.upper)
        axes.errorbar(held_out.x, held_out.median, yerr=error, fmt="_", color=ORANGE, lw=1.6, label="held-out run, forecast")
        if truth is not None:
            axes.plot(held_out.x, truth, "x", color=RED, ms=6, mew=1.6, label="held-out run, measured")
    axes.axvline(edge, color=INK, lw=0.8, ls="--", alpha=0.7)
    axes.annotate(" extrapolation", (edge, 1.0), xycoords=("data", "axes fraction"), va="top", fontsize=8, color=INK)
    axes.set(xscale="log", yscale="log", xlabel=label, ylabel=f"loss ({unit})")
    plain_log_ticks(axes)
    axes.legend(loc="lower left")
    return figure


@styled
def prior_against_posterior(pairs: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Figure:
    """Draw prior and posterior density of each parameter on a log axis."""
    columns = min(3, len(pairs))
    rows = -(-len(pairs) // columns)
    figure = canvas(6.4, 1.5 * rows + 0.3)
    for number, (name, (prior, posterior)) in enumerate(pairs.items()):
        axes = figure.add_subplot(rows, columns, number + 1)
        for draws, colour in ((prior, "#888888"), (posterior, BLUE)):
            middle = np.log(draws[(draws >= np.quantile(draws, 0.005)) & (draws <= np.quantile(draws, 0.995))])
            heights, edges = np.histogram(middle, bins=30)
            axes.stairs(heights / heights.max(), np.exp(edges), fill=True, color=colour, alpha=0.5, lw=0)
        axes.set(xscale="log", yticks=[], title=name)
        axes.spines["left"].set_visible(False)
        plain_log_ticks(axes, "x")
    return figure


def as_svg(figure: Figure, name: str) -> str:
    """Return a figure as SVG for a page: no header, stable, text as text, and in the page's own colour.

    Parameters
    ----------
    figure : Figure
        The figure.
    name : str
        Keeps the identifiers of one figure apart from those of another on the same page.
    """
    file = io.StringIO()
    with mpl.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure.savefig(
            file, format="svg", transparent=True, metadata={"Date": None, "Creator": None, "Type": None, "Format": None}
        )
    text = file.getvalue()
    # Names of groups repeat from figure to figure, and nothing refers to them.
    return re.sub(r'<g id="[^"]*">', "<g>", text[text.index("<svg") :]).replace(INK, "currentColor")


def canvas(width: float, height: float) -> Figure:
    """Return an empty figure of a size in inches."""
    return Figure(figsize=(width, height), layout="constrained")


def one_axes(width: float, height: float) -> tuple[Figure, Axes]:
    """Return a figure with one pair of axes."""
    figure = canvas(width, height)
    return figure, figure.add_subplot()


def bars(median: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """Return the lengths of error bars from a median to the ends of an interval."""
    return np.abs(np.array([lower, upper]) - median)


def _legend(axes: Axes, groups: Sequence[str]) -> None:
    if len(set(groups)) > 1:
        axes.legend()


def plain_log_ticks(axes: Axes, which: str = "y") -> None:
    """Write 2.5 and 300K rather than powers of ten where a log axis spans less than two decades."""
    axis = axes.yaxis if which == "y" else axes.xaxis
    low, high = axis.get_view_interval()
    if low > 0 and high / low < 100:
        several = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 7.0) if which == "y" else (1.0, 2.0, 5.0)
        axis.set_major_locator(LogLocator(subs=several if high / low < 10 else (1.0, 3.0)))
        axis.set_major_formatter(FuncFormatter(lambda x, _: short(x) if x < _MOST_SUFFIXED else power(x)))
        axis.set_minor_formatter(NullFormatter())
