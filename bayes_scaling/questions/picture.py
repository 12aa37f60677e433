"""The figures of answers: one quantity over another, with its interval, and bars."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bayes_scaling.wording import axis_label

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from bayes_scaling.questions.base import Answer


def curve(answer: Answer, *, table: str, x: str, y: str, band: tuple[str, str] | None = None, log: str = "x") -> Figure:
    """Return the figure of one table of an answer, y over x; a band names the columns of the ends of an interval.

    Axes named in ``log`` (``x``, ``xy`` or nothing) are logarithmic.

    >>> from bayes_scaling.posterior.examples import example_fit
    >>> from bayes_scaling.questions.base import ask
    >>> ask(example_fit(), "regret", compute=1e23).figure().axes[0].get_xlabel()
    'N (parameters)'
    """
    from bayes_scaling.questions.drawing import canvas

    rows = answer.tables[table].sort_values(x)
    figure = canvas(6.4, 3.4)
    axes = figure.subplots()
    if band is not None:
        axes.fill_between(rows[x], rows[band[0]], rows[band[1]], alpha=0.2, lw=0)
    axes.plot(rows[x], rows[y], marker="o" if len(rows) < 12 else "")
    scales = {f"{axis}scale": "log" for axis in log if np.all(rows[{"x": x, "y": y}[axis]] > 0)}
    axes.set(xlabel=axis_label(x), ylabel=axis_label(y).replace("_", " "), **scales)
    return figure


def bars(answer: Answer, *, tables: Mapping[str, str], x: str, xlabel: str, most: int = 12) -> Figure:
    """Return horizontal bars of one column of several tables, a panel each; ``tables`` names the column of their labels.

    Of each table the first rows are shown that have a value, the first of them on top.
    """
    from bayes_scaling.questions.drawing import canvas

    shown = {name: answer.tables[name].dropna(subset=[x]).head(most) for name in tables}
    figure = canvas(7.2, 1.2 + 0.26 * max(map(len, shown.values())))
    for axes, (name, rows) in zip(figure.subplots(1, len(shown), squeeze=False).ravel(), shown.items(), strict=True):
        axes.barh(range(len(rows)), rows[x])
        axes.set(yticks=range(len(rows)), yticklabels=rows[tables[name]], title=name.replace("_", " "))
        axes.axvline(0, lw=0.8, color="black")
        axes.invert_yaxis()
    figure.supxlabel(xlabel)
    return figure
