"""The style of every figure, and what several figures draw."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any, ClassVar, Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from bayes_scaling.errors import ConflictingOptions
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.questions.drawing import Drawing, with_joined_marks
from bayes_scaling.wording import percent, power, short

INK: Final = "#123456"
"""Stands for the page's own text colour, dark on light and light on dark: see :func:`as_svg`."""
WIDTH: Final = 4.9
"""Inches: on a phone a point is then about a pixel."""
BLUE, ORANGE, GREEN, PURPLE, RED = "#2B83C4", "#E69F00", "#009E73", "#CC79A7", "#D55E00"
CYCLE: Final = (BLUE, ORANGE, GREEN, PURPLE, RED, "#56B4E9", "#999933", "#882255")

_STYLE: Final[Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "text.color": INK,
    "text.parse_math": False,
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
    "figure.facecolor": "white",
    "figure.constrained_layout.use": True,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "legend.fontsize": 8,
}
_SUBS: Final = (
    tuple(np.arange(10, 100) / 10),
    (1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 7.0, 8.0),
    (1.0, 1.5, 2.0, 3.0, 4.0, 6.0),
    (1.0, 2.0, 5.0),
    (1.0, 3.0),
)
styled = mpl.rc_context(_STYLE)
"""Decorator of a function that draws: in the report's style, whatever the user's own is."""


class Captioned(Drawing):
    """A figure with a caption, drawn for the width of a phone, that a page shows in its own colour."""

    macro: ClassVar[str] = "picture"
    caption: str = ""

    def svg(self) -> str:
        """Return the figure as SVG, on paper of its own."""
        with mpl.rc_context(_STYLE):  # some ticks are not made before
            return super().svg()

    @property
    def on_page(self) -> str:
        """The figure as SVG for a page: the caption keeps its identifiers apart from those of another figure there."""
        return as_svg(self, self.caption)


def as_svg(figure: Figure, name: str) -> str:
    """Return a figure as SVG for a page: no header, stable, text as text, and in the page's own colour.

    The name keeps the identifiers of one figure apart from those of another on the same page.
    """
    file = io.StringIO()
    with mpl.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure.savefig(file, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator", "Type", "Format")))
    text = with_joined_marks(file.getvalue())
    # Names of groups repeat from figure to figure, and nothing refers to them.
    return re.sub(r'<g id="[^"]*"(/?)>', r"<g\1>", text[text.index("<svg") :]).replace(INK, "currentColor")


def captioned(figure: Any, caption: str) -> Any:
    """Give a figure its caption, and return it; a figure of somebody else has none."""
    if isinstance(figure, Captioned):
        figure.caption = caption
    return figure


def canvas(width: float, height: float) -> Captioned:
    """Return an empty figure of a size in inches."""
    return Captioned(figsize=(width, height), layout="constrained")


def one_axes(height: float, ax: Axes | None = None, *, width: float = WIDTH) -> tuple[Any, Axes]:
    """Return a figure with one pair of axes, or the axes that somebody has, with their figure."""
    if ax is not None:
        return ax.figure, ax
    figure = canvas(width, height)
    return figure, figure.add_subplot()


def grid(
    count: int, columns: int, row_height: float, ax: Axes | None = None, *, width: float = WIDTH, sharey: bool = False
) -> tuple[Any, list[Axes]]:
    """Return a figure with so many pairs of axes, in rows of at most ``columns``; or the axes somebody has, where one is enough."""
    if ax is not None:
        if count != 1:
            raise ConflictingOptions(f"This figure has {count} panels, ax is one pair of axes: leave ax out.")
        return ax.figure, [ax]
    columns = min(columns, count)
    rows = -(-count // columns)
    figure = canvas(width, row_height * rows + 0.3)
    panels = figure.subplots(rows, columns, squeeze=False, sharey=sharey).ravel().tolist()
    for empty in panels[count:]:
        empty.remove()
    return figure, panels[:count]


def legend(axes: Axes, columns: int = 2) -> None:
    """Put the legend below the axes, where it hides nothing, long labels one a line; one label needs none."""
    handles, labels = axes.get_legend_handles_labels()
    if len(labels) < 2:
        return
    labels = [cut(label) for label in labels]
    columns = columns if max(map(len, labels)) <= 60 // columns else 1
    if isinstance(axes.figure, Captioned):
        axes.figure.legend(handles, labels, loc="outside lower center", ncols=columns)
    else:
        axes.legend(handles, labels)


def cut(text: str, most: int = 50) -> str:
    """Cut a label that has no room.

    >>> cut("short"), len(cut("x" * 3000))
    ('short', 50)
    """
    return text if len(text) <= most else f"{text[: most - 1]}\N{HORIZONTAL ELLIPSIS}"


def bands(axes: Axes, x: Any, new_run: Sequence[Any], mean: Sequence[Any], prob: float, *, color: str = BLUE) -> None:
    """Draw the two intervals so that they are told apart: the predictive one edged and light, the credible one dark."""
    axes.fill_between(x, *new_run, color=color, alpha=0.15, lw=0)
    for number, end in enumerate(new_run):
        label = "" if number else f"predictive, a new run ({percent(prob)})"
        axes.plot(x, end, color=color, lw=1.0, ls=(0, (4, 2)), label=label)
    axes.fill_between(x, *mean, color=color, alpha=0.45, lw=0, label=f"credible, the mean ({percent(prob)})")


def ribbon(axes: Axes, x: Any, curve: Any, label: str = "", *, color: str = BLUE, alpha: float = 0.3) -> None:
    """Draw a median and, shaded and with a label, the interval around it; ``curve`` is median, lower and upper end."""
    median, lower, upper = curve
    axes.fill_between(x, lower, upper, color=color, alpha=alpha, lw=0, label=label)
    axes.plot(x, median, color=color, lw=1.4)


def dots(axes: Axes, curve: Sequence[Any], y: Any, label: str = "", *, color: str = BLUE) -> None:
    """Draw dots at heights ``y``, each with a horizontal bar: ``curve`` is median, lower and upper end."""
    median, lower, upper = (np.asarray(bound, float) for bound in curve)
    error = np.abs([lower - median, upper - median])
    axes.errorbar(median, y, xerr=error, fmt="o", ms=3, lw=0.9, color=color, alpha=0.8, label=label)


def loss_label(fit: Fit) -> str:
    """Return what an axis of losses is called."""
    return f"loss ({cut(fit.loss_unit, 24)})"


def by_group(fit: Fit) -> dict[str, np.ndarray]:
    """Return the positions of the rows of each group of a fit; of all rows, without a name, where it has no groups."""
    groups = fit.groups
    if not groups.columns:
        return {"": np.arange(len(fit.table))}
    return {groups.names[group]: np.flatnonzero(groups.of_run == group) for group in dict.fromkeys(groups.of_run)}


def log_ticks(axes: Axes, which: str = "xy", *, most: int = 7) -> None:
    """Write the ticks of log axes as all numbers are written: 2.5, 300K and, of FLOP, 1e13; no more than there is room for.

    Axes have to be labelled before.
    """
    for name in which:
        axis = axes.xaxis if name == "x" else axes.yaxis
        low, high = sorted(axis.get_view_interval())
        if 0 < low < high:
            axis.set_major_locator(LogLocator(subs=_subs(low, high, most), numticks=most))
            write = power if "FLOP" in axis.get_label_text() else short
            axis.set_major_formatter(FuncFormatter(lambda value, _, write=write: write(value)))
            axis.set_minor_locator(NullLocator())


def _subs(low: float, high: float, most: int) -> tuple[float, ...]:
    """Return the multiples of powers of ten at which a log axis has ticks: the most that there is room for.

    >>> _subs(1.0, 2.0, 7), _subs(1.0, 20.0, 7), _subs(1.0, 1e9, 7)
    ((1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 7.0, 8.0), (1.0, 2.0, 5.0), (1.0,))
    """
    powers = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    for several in _SUBS:
        at = np.outer(powers, several)
        if ((at >= low) & (at <= high)).sum() <= most:
            return several
    return (1.0,)
