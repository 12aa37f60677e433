"""The pictures of a backtest and of a certificate."""

from __future__ import annotations

from itertools import cycle
from typing import Any, Final

import numpy as np
from matplotlib.figure import Figure

from bayes_scaling.evaluation.certificate import Certificate
from bayes_scaling.evaluation.outcome import MODEL, Backtest
from bayes_scaling.evaluation.ranks import band, ecdf_difference
from bayes_scaling.evaluation.scores import PROBS
from bayes_scaling.report.figures import (
    BLUE,
    CYCLE,
    INK,
    ORANGE,
    WIDTH,
    Captioned,
    canvas,
    captioned,
    grid,
    one_axes,
    styled,
)

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

    Examples
    --------
    >>> from bayes_scaling.evaluation.examples import example_backtest
    >>> len(plot_backtest(example_backtest()).axes)
    3
    """
    figure = canvas(WIDTH, 5.2)
    panels = figure.subplot_mosaic([["coverage", "transform"], ["distance", "distance"]])
    coverage, transform, distance = (panels[name] for name in ("coverage", "transform", "distance"))
    scores, by_distance = backtest.scores.set_index("method"), backtest.by_distance.set_index("method")
    coverage.plot([0, 100], [0, 100], color=INK, lw=0.8, alpha=0.6)
    for method, colour in zip(scores.index, cycle(CYCLE)):
        style: dict[str, Any] = {"ms": 4, "lw": 2} if method == MODEL else {"ms": 2.5, "lw": 0.9}
        covered = 100 * scores.loc[method, [f"coverage_{prob:g}" for prob in PROBS]]
        coverage.plot(100 * np.array(PROBS), covered, "o-", color=colour, **style)
        rows = by_distance.loc[[method]]
        distance.plot(rows["ahead"].astype(str), 100 * rows["median_error"], "o-", color=colour, label=method, **style)
    coverage.set(xlabel="probability (%)", ylabel="coverage (%)", title="Coverage")
    coverage.set(xlim=(45, 100), ylim=(0, 102))
    distance.set(xlabel=f"extrapolation in {backtest.facts['over']} (decades)", ylabel="median error (% of the loss)")
    distance.set(title="Error by distance", ylim=(0, None))
    pit = backtest.predictions["pit"][backtest.predictions["method"] == MODEL]
    transform.hist(pit, bins=_BINS, range=(0, 1), density=True, color=BLUE, alpha=0.6)
    transform.axhline(1, color=INK, lw=0.8, alpha=0.6)
    transform.set(xlabel="PIT", ylabel="density", title="Calibration (model)")
    figure.legend(*distance.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def backtest_picture(backtest: Backtest) -> Captioned:
    """Show a backtest on the page."""
    return captioned(
        plot_backtest(backtest),
        "Coverage of predictive intervals, on the diagonal where calibrated; probability integral transform, uniform where calibrated; "
        "median absolute error by extrapolation distance.",
    )


@styled
def coverage_picture(certificate: Certificate) -> Captioned:
    """Show the coverage of intervals by extrapolation distance for each truth."""
    figure, axes = one_axes(2.9)
    axes.axhline(90, color=INK, lw=0.8, alpha=0.6)
    for (truth, rows), colour in zip(certificate.coverage.groupby("truth", sort=False), (BLUE, ORANGE), strict=False):
        share, count = rows["coverage_0.9"].to_numpy(), rows["tables"].to_numpy()
        error = 100 * np.sqrt(np.clip(share * (1 - share), 0.25 / count, None) / count)
        axes.errorbar(rows["ahead"], 100 * share, yerr=error, fmt="o-", ms=4, color=colour, label=f"truth: {truth}")
    axes.set(xlabel="extrapolation distance (decades)", ylabel="coverage (%)", ylim=(40, 102))
    axes.legend(loc="lower left")
    return captioned(
        figure, "Coverage of 90 % predictive intervals by extrapolation distance, with one standard error; the line is 90 %."
    )


@styled
def rank_picture(certificate: Certificate) -> Captioned:
    """Show how far the ranks of each parameter are from uniform."""
    figure, panels = grid(certificate.ranks.shape[1], 3, 1.35)
    height = band(len(certificate.ranks))
    for axes, (name, ranks) in zip(panels, certificate.ranks.items(), strict=True):
        points, difference = ecdf_difference(ranks.to_numpy())
        axes.fill_between(points, -height, height, color=INK, alpha=0.12, lw=0)
        axes.plot(points, difference, color=BLUE)
        limit = 1.3 * max(float(height.max()), float(np.abs(difference).max()))
        axes.set(title=str(name), xticks=[0, 0.5, 1], ylim=(-limit, limit))
    return captioned(
        figure,
        "Empirical distribution function of the ranks of each parameter minus the uniform one. Band: covers the whole line "
        "with probability 95 % where ranks are uniform, one parameter at a time.",
    )
