"""The certificate as a page: coverage by distance for each truth, and the ranks of every unknown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from bayes_scaling.evaluation.certificate import Certificate
from bayes_scaling.evaluation.ranks import band, ecdf_difference
from bayes_scaling.files import write_whole
from bayes_scaling.report.figures import BLUE, INK, ORANGE, as_svg, canvas, one_axes, styled
from bayes_scaling.report.pictures import Picture
from bayes_scaling.report.rendering import render
from bayes_scaling.report.tables import Table


def write_certificate(found: Certificate, path: str | Path) -> Path:
    """Write a certificate: one self-contained HTML page.

    Parameters
    ----------
    found : Certificate
        What :func:`~bayes_scaling.certify` returned.
    path : str or path
        Where to; written in one piece.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    Unwritable
        If it cannot be written there.
    """
    content = {
        "title": f"Certificate: {found.facts['model']}, on the design of {found.facts['runs']}",
        "converged": bool(found.uniformity["uniform"].all()),
        "verdict": found.sentence,
        "answers": [],
        **{name: found.facts[name] for name in ("rows", "runs", "tables")},
        "coverage": _coverage_table(found),
        "uniformity": _uniformity_table(found),
        "figures": {
            "coverage": Picture(
                as_svg(_coverage(found), "coverage"),
                "Share of 90 % intervals that held, with the standard error of so many tables; the line is what they say.",
            ),
            "ranks": Picture(
                as_svg(_ranks(found), "ranks"),
                "How far the share of ranks below each point lies off the point; the band holds the whole line in 95 % of "
                "calibrated cases, one unknown at a time.",
            ),
        },
    }
    return write_whole(path, render("certificate.html", content))


@styled
def _coverage(found: Certificate) -> Figure:
    figure, axes = one_axes(6.4, 2.9)
    axes.axhline(90, color=INK, lw=0.8, alpha=0.6)
    for (truth, rows), colour in zip(found.coverage.groupby("truth", sort=False), (BLUE, ORANGE), strict=False):
        share, count = rows["coverage_0.9"].to_numpy(), rows["tables"].to_numpy()
        error = 100 * np.sqrt(np.clip(share * (1 - share), 0.25 / count, None) / count)
        axes.errorbar(rows["ahead"], 100 * share, yerr=error, fmt="o-", ms=4, color=colour, label=f"truth: {truth}")
    axes.set(xlabel="decades beyond the largest run", ylabel="held (%)", ylim=(40, 102))
    axes.legend(loc="lower left")
    return figure


@styled
def _ranks(found: Certificate) -> Figure:
    names = list(found.ranks)
    columns = 4
    rows = -(-len(names) // columns)
    figure, height = canvas(7.2, 1.35 * rows + 0.3), band(len(found.ranks))
    for number, name in enumerate(names):
        axes = figure.add_subplot(rows, columns, number + 1)
        points, difference = ecdf_difference(found.ranks[name].to_numpy())
        axes.fill_between(points, -height, height, color=INK, alpha=0.12, lw=0)
        axes.plot(points, difference, color=BLUE)
        limit = 1.3 * max(float(height.max()), float(np.abs(difference).max()))
        axes.set(title=str(name), xticks=[0, 0.5, 1], ylim=(-limit, limit))
        axes.tick_params(labelsize=7)
    return figure


def _coverage_table(found: Certificate) -> Table:
    cells = [
        [
            str(row["truth"]),
            f"{row['ahead']:g}",
            f"{row['tables']}",
            *(f"{100 * row[name]:.0f} %" for name in ("coverage_0.5", "coverage_0.9")),
            f"{100 * row['width']:.2g} %",
        ]
        for row in found.coverage.to_dict("records")
    ]
    columns = ("truth", "decades beyond", "tables", "50 % held", "90 % held", "90 % width")
    return Table("A new run's measured loss; widths are medians, of the log loss.", columns, cells, ("truth",))


def _uniformity_table(found: Certificate) -> Table:
    cells = [
        [str(name), f"{row['p']:.3g}", "passed" if row["uniform"] else "failed"] for name, row in found.uniformity.iterrows()
    ]
    caption = "p: how often uniform ranks stray as far. It fails below .01 over the number of unknowns."
    return Table(caption, ("unknown", "p", "result"), cells)
