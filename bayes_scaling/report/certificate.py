"""The certificate as a page: coverage by extrapolation distance for each truth, and ranks of every parameter."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bayes_scaling.evaluation.certificate import Certificate
from bayes_scaling.report.page import table_of, write_page
from bayes_scaling.report.trials import coverage_picture, rank_picture


def write_certificate(certificate: Certificate, path: str | Path) -> Path:
    """Write a certificate as one self-contained HTML page, in one piece, and return the file.

    Raises
    ------
    Unwritable
        If it cannot be written there.
    """
    facts, uniformity = certificate.facts, certificate.uniformity.reset_index(names="parameter")
    coverage = {
        "truth": "{truth}",
        "extrapolation (decades)": "{ahead:g}",
        "tables": "{tables}",
        "coverage of 50 %": "{coverage_0.5:.0f %}",
        "coverage of 90 %": "{coverage_0.9:.0f %}",
        "width of 90 %": "{width:.2g %}",
    }
    ranks = {"parameter": "{parameter}", "p-value": "{p:.3g}", "result": "{result}"}
    return write_page(
        path,
        title=f"Certificate: {facts['model']}, on the design of {facts['runs']}",
        verdict=certificate.sentence,
        converged=bool(uniformity["uniform"].all()),
        answers=[],
        conventions=f"{facts['tables']} tables of {facts['rows']} runs were simulated for each truth, on the design of {facts['runs']}, and "
        "fitted with the same settings. The extrapolation distance is counted in decades beyond the largest run, divided evenly among "
        "the inputs of the law.",
        sections={
            "Coverage of predictive intervals": [
                coverage_picture(certificate),
                table_of(
                    certificate.coverage,
                    "Predictive intervals of a new run: coverage, and median width of the log loss.",
                    coverage,
                    ("truth",),
                ),
            ],
            "Simulation-based calibration": [
                rank_picture(certificate),
                table_of(
                    uniformity.assign(result=np.where(uniformity["uniform"], "passed", "failed")),
                    "Test of uniform ranks: p-value by simulation, limit 0.01 divided by the number of parameters.",
                    ranks,
                ),
            ],
        },
    )
