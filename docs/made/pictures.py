"""Axes of the pictures of laws and priors: logarithms on a plain axis with few ticks, which draws in a tenth of the time."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayes_scaling.wording import number, power, short

_MOST = 6
_SUFFIXED = 1e15


def axes_of(width: float, height: float, *, left: float = 0.13) -> tuple[Figure, Axes]:
    """Return a figure and its axes, placed by hand."""
    figure = Figure(figsize=(width, height), layout="none")
    return figure, figure.add_axes((left, 0.6 / height, 0.97 - left, 1 - 0.75 / height))


def label_logarithms(axes: Axes, which: str) -> None:
    """Label an axis of decimal logarithms by the numbers themselves: whole decades, or less where it spans few."""
    low, high = axes.get_xlim() if which == "x" else axes.get_ylim()
    span = high - low
    if span > 1.2:
        ticks = np.arange(np.ceil(low), np.floor(high) + 1)[:: max(1, int(np.ceil(span / _MOST)))]
    else:
        numbers = np.array([1, 1.5, 2, 2.5, 3, 4, 5, 7]) if span > 0.3 else np.linspace(1, 9.75, 36 if span > 0.08 else 351)
        ticks = np.concatenate([np.log10(numbers) + decade for decade in np.arange(np.floor(low), np.ceil(high) + 1)])
        ticks = ticks[(ticks >= low) & (ticks <= high)]
        ticks = ticks[:: max(1, int(np.ceil(len(ticks) / _MOST)))]
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_ticks(ticks, [_written(10**tick) for tick in ticks])


def _written(value: float) -> str:
    return number(value) if value < 1e3 else short(value) if value < _SUFFIXED else power(value)
