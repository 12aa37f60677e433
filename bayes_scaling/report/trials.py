"""The picture of a backtest: coverage, calibration, and error by extrapolation distance."""

from __future__ import annotations

from typing import Final

import numpy as np
from matplotlib.figure import Figure

from bayes_scaling.evaluation.outcome import MODEL, Backtest
from bayes_scaling.evaluation.scores import PROBS
from bayes_scaling.report.figures import BLUE, CYCLE, INK, as_svg, canvas, styled
from bayes_scaling.report.pictures import Picture

_BINS: Final = 10


@styled
def plot_backtest(backtest: Backtest) -> Figure:
    """Draw a backtest: coverage against probability, probability integral transform, and error by distance.

    Parameters
    ----------
    backtest : Backtest
        Result of :func:`~bayes_scaling.backtest`.

    Returns
    -------
    matplotlib.figure.Figure
        Jupyter shows it; ``savefig`` keeps it.
    """
    figure = canvas(9.6, 3.4)
    coverage, transform, distance = (figure.add_subplot(1, 3, number) for number in (1, 2, 3))
    colours = {method: CYCLE[i % len(CYCLE)] for i, method in enumerate(backtest.scores["method"])}
    coverage.plot([0, 100], [0, 100], color=INK, lw=0.8, alpha=0.6)
    for row in backtest.scores.to_dict("records"):
        covered = [100 * row[f"coverage_{prob:g}"] for prob in PROBS]
        ours = row["method"] == MODEL
        coverage.plot(
            [100 * prob for prob in PROBS],
            covered,
            "o-",
            ms=4 if ours else 2.5,
            lw=2 if ours else 0.9,
            color=colours[row["method"]],
        )
    coverage.set(
        xlabel="probability of the interval (%)",
        ylabel="coverage (%)",
        xlim=(45, 100),
        ylim=(0, 102),
        title="Coverage",
    )

    mine = backtest.predictions[backtest.predictions["method"] == MODEL]
    counts, edges = np.histogram(mine["pit"], bins=_BINS, range=(0, 1))
    transform.bar(edges[:-1], counts / len(mine) * _BINS, width=1 / _BINS, align="edge", color=BLUE, alpha=0.6)
    transform.axhline(1, color=INK, lw=0.8, alpha=0.6)
    transform.set(xlabel="probability integral transform", ylabel="density", title="Calibration (model)")

    table = backtest.by_distance
    for method, rows in table.groupby("method", sort=False):
        ours = method == MODEL
        distance.plot(
            rows["ahead"].astype(str),
            100 * rows["median_error"],
            "o-",
            ms=4 if ours else 2.5,
            lw=2 if ours else 0.9,
            color=colours[str(method)],
            label=str(method),
        )
    distance.set(
        xlabel=f"extrapolation in {backtest.facts['over']} (decades)",
        ylabel="median error (% of the loss)",
        title="Error by distance",
    )
    distance.tick_params(axis="x", labelsize=7)
    distance.set_ylim(0, None)
    figure.legend(*distance.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def backtest_picture(backtest: Backtest) -> Picture:
    """Show a backtest on the page."""
    return Picture(
        as_svg(plot_backtest(backtest), "backtest"),
        "Left: coverage of predictive intervals, on the diagonal where calibrated. Middle: probability integral transform, uniform "
        "where calibrated. Right: median absolute error by extrapolation distance.",
    )
