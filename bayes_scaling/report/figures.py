"""The style of every figure, and what several figures draw."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from bayes_scaling.drawing import canvas
from bayes_scaling.posterior.fit import Fit
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
styled = mpl.rc_context(_STYLE)
"""Decorator of a function that draws: in the report's style, whatever the user's own is."""


def as_svg(figure: Figure, name: str) -> str:
    """Return a figure as SVG for a page: no header, stable, text as text, and in the page's own colour.

    The name keeps the identifiers of one figure apart from those of another on the same page.
    """
    file = io.StringIO()
    with mpl.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure.savefig(
            file, format="svg", transparent=True, metadata={"Date": None, "Creator": None, "Type": None, "Format": None}
        )
    text = file.getvalue()
    # Names of groups repeat from figure to figure, and nothing refers to them.
    return re.sub(r'<g id="[^"]*">', "<g>", text[text.index("<svg") :]).replace(INK, "currentColor")


def one_axes(width: float, height: float) -> tuple[Figure, Axes]:
    """Return a figure with one pair of axes."""
    figure = canvas(width, height)
    return figure, figure.add_subplot()


def grid(
    count: int, columns: int, row_height: float, *, width: float = 6.4, sharey: bool = False
) -> tuple[Figure, list[Axes]]:
    """Return a figure with so many pairs of axes, in rows of at most ``columns``."""
    columns = min(columns, count)
    rows = -(-count // columns)
    figure = canvas(width, row_height * rows + 0.3)
    panels = figure.subplots(rows, columns, squeeze=False, sharey=sharey).ravel().tolist()
    for empty in panels[count:]:
        empty.remove()
    return figure, panels[:count]


def ribbon(axes: Axes, x: Any, curve: Sequence[Any], label: str = "", *, color: str = BLUE, alpha: float = 0.3) -> None:
    """Draw a median and, shaded and with a label, the interval around it; ``curve`` is median, lower and upper end."""
    median, lower, upper = curve
    axes.fill_between(x, lower, upper, color=color, alpha=alpha, lw=0, label=label)
    axes.plot(x, median, color=color, lw=1.4)


def dots(axes: Axes, curve: Sequence[Any], y: Any, label: str = "", *, color: str = BLUE) -> None:
    """Draw dots at heights ``y``, each with a horizontal bar: ``curve`` is median, lower and upper end."""
    median, lower, upper = (np.asarray(bound, float) for bound in curve)
    error = np.abs([lower - median, upper - median])
    axes.errorbar(median, y, xerr=error, fmt="o", ms=3, lw=0.9, color=color, alpha=0.8, label=label)


def by_group(fit: Fit) -> dict[str, np.ndarray]:
    """Return the positions of the rows of each group of a fit; of all rows, without a name, where it has no groups."""
    groups = fit.groups
    if not groups.columns:
        return {"": np.arange(len(fit.table))}
    return {groups.names[group]: np.flatnonzero(groups.of_run == group) for group in dict.fromkeys(groups.of_run)}


def plain_log_ticks(axes: Axes, which: str = "y") -> None:
    """Write 2.5 and 300K rather than powers of ten where a log axis spans less than two decades."""
    axis = axes.yaxis if which == "y" else axes.xaxis
    low, high = axis.get_view_interval()
    if low > 0 and high / low < 100:
        several = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 7.0) if which == "y" else (1.0, 2.0, 5.0)
        axis.set_major_locator(LogLocator(subs=several if high / low < 10 else (1.0, 3.0)))
        axis.set_major_formatter(FuncFormatter(lambda x, _: short(x) if x < _MOST_SUFFIXED else power(x)))
        axis.set_minor_formatter(NullFormatter())
