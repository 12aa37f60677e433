"""The certificate as a page: coverage by extrapolation distance for each truth, and ranks of every parameter."""

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


def write_certificate(certificate: Certificate, path: str | Path) -> Path:
    """Write a certificate: one self-contained HTML page.

    Parameters
    ----------
    certificate : Certificate
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
        "title": f"Certificate: {certificate.facts['model']}, on the design of {certificate.facts['runs']}",
        "converged": bool(certificate.uniformity["uniform"].all()),
        "verdict": certificate.sentence,
        "answers": [],
        **{name: certificate.facts[name] for name in ("rows", "runs", "tables")},
        "coverage": _coverage_table(certificate),
        "uniformity": _uniformity_table(certificate),
        "figures": {
            "coverage": Picture(
                as_svg(_coverage(certificate), "coverage"),
                "Coverage of 90 % predictive intervals by extrapolation distance, with one standard error; the line is 90 %.",
            ),
            "ranks": Picture(
                as_svg(_ranks(certificate), "ranks"),
                "Empirical distribution function of the ranks of each parameter minus the uniform one. Band: covers the whole line "
                "with probability 95 % where ranks are uniform, one parameter at a time.",
            ),
        },
    }
    return write_whole(path, render("certificate.html", content))


@styled
def _coverage(certificate: Certificate) -> Figure:
    figure, axes = one_axes(6.4, 2.9)
    axes.axhline(90, color=INK, lw=0.8, alpha=0.6)
    for (truth, rows), colour in zip(certificate.coverage.groupby("truth", sort=False), (BLUE, ORANGE), strict=False):
        share, count = rows["coverage_0.9"].to_numpy(), rows["tables"].to_numpy()
        error = 100 * np.sqrt(np.clip(share * (1 - share), 0.25 / count, None) / count)
        axes.errorbar(rows["ahead"], 100 * share, yerr=error, fmt="o-", ms=4, color=colour, label=f"truth: {truth}")
    axes.set(xlabel="extrapolation distance (decades)", ylabel="coverage (%)", ylim=(40, 102))
    axes.legend(loc="lower left")
    return figure


@styled
def _ranks(certificate: Certificate) -> Figure:
    names = list(certificate.ranks)
    columns = 4
    rows = -(-len(names) // columns)
    figure, height = canvas(7.2, 1.35 * rows + 0.3), band(len(certificate.ranks))
    for number, name in enumerate(names):
        axes = figure.add_subplot(rows, columns, number + 1)
        points, difference = ecdf_difference(certificate.ranks[name].to_numpy())
        axes.fill_between(points, -height, height, color=INK, alpha=0.12, lw=0)
        axes.plot(points, difference, color=BLUE)
        limit = 1.3 * max(float(height.max()), float(np.abs(difference).max()))
        axes.set(title=str(name), xticks=[0, 0.5, 1], ylim=(-limit, limit))
        axes.tick_params(labelsize=7)
    return figure


def _coverage_table(certificate: Certificate) -> Table:
    cells = [
        [
            str(row["truth"]),
            f"{row['ahead']:g}",
            f"{row['tables']}",
            *(f"{100 * row[name]:.0f} %" for name in ("coverage_0.5", "coverage_0.9")),
            f"{100 * row['width']:.2g} %",
        ]
        for row in certificate.coverage.to_dict("records")
    ]
    columns = ("truth", "extrapolation (decades)", "tables", "coverage of 50 %", "coverage of 90 %", "width of 90 %")
    return Table(
        "Predictive intervals of a new run: coverage, and median width of the log loss.", columns, cells, ("truth",)
    )


def _uniformity_table(certificate: Certificate) -> Table:
    cells = [
        [str(name), f"{row['p']:.3g}", "passed" if row["uniform"] else "failed"]
        for name, row in certificate.uniformity.iterrows()
    ]
    caption = "Test of uniform ranks: p-value by simulation, limit 0.01 divided by the number of parameters."
    return Table(caption, ("parameter", "p-value", "result"), cells)
