"""The certificate: ranks and coverage on simulated tables, and a sentence that summarises them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

from bayes_scaling.evaluation.ranks import p_of_uniform
from bayes_scaling.evaluation.result import Result
from bayes_scaling.files import read_json

FROM_THE_MODEL: Final = "the model"
BROKEN: Final = "broken laws"
LEAST_P: Final = 0.01
"""p-value, divided by the number of parameters, below which ranks are not uniform."""


@dataclass(frozen=True, eq=False)
class Certificate(Result):
    """Calibration of a model on tables simulated for a design.

    ``ranks`` has one row a table simulated from the model and one column a parameter: the share of the posterior below the
    truth. ``forecasts`` has one row a simulated table and a distance: ``truth`` (where the table comes from), ``ahead`` (decades),
    ``pit`` (share of the forecast below what was measured), ``width`` (of the 90 % interval of the log loss), ``converged``.
    ``facts`` name the design, the model and the settings.

    Examples
    --------
    >>> from bayes_scaling.evaluation.examples import example_certificate
    >>> example_certificate().coverage[["truth", "ahead", "tables"]].head(2).to_dict("records")
    [{'truth': 'the model', 'ahead': 0.5, 'tables': 80}, {'truth': 'the model', 'ahead': 1.0, 'tables': 80}]
    """

    ranks: pd.DataFrame
    forecasts: pd.DataFrame
    facts: dict[str, Any]

    @property
    def uniformity(self) -> pd.DataFrame:
        """For each parameter ``p``, the p-value of uniform ranks, and ``uniform``, whether it is above the limit."""
        p = pd.Series({str(name): p_of_uniform(self.ranks[name].to_numpy()) for name in self.ranks}, name="p")
        return pd.DataFrame({"p": p, "uniform": p >= LEAST_P / max(1, len(p))})

    @property
    def coverage(self) -> pd.DataFrame:
        """By truth and decades ahead: ``tables``, ``coverage_0.5``, ``coverage_0.9``, shares; ``width``, the median."""
        distance = (self.forecasts["pit"] - 0.5).abs()
        covered = self.forecasts.assign(**{f"coverage_{prob}": distance <= prob / 2 for prob in (0.5, 0.9)})
        groups = covered.groupby(["truth", "ahead"], sort=False)
        rows = groups[["coverage_0.5", "coverage_0.9"]].mean().assign(width=groups["width"].median())
        rows.insert(0, "tables", groups.size())
        return rows.reset_index()

    @property
    def tables(self) -> Mapping[str, pd.DataFrame]:
        """Coverage, uniformity of each unknown, every rank and every forecast."""
        uniformity = self.uniformity.reset_index(names="unknown")
        return {"coverage": self.coverage, "uniformity": uniformity, "ranks": self.ranks, "forecasts": self.forecasts}

    @property
    def sentence(self) -> str:
        """The certificate in a sentence, for a report."""
        tables, uniformity = len(self.ranks), self.uniformity
        failed = [str(name) for name in uniformity.index[~uniformity["uniform"]]]
        ranks = (
            f"ranks of {', '.join(failed)} are NOT uniform"
            if failed
            else f"no departure from uniform ranks is detected in any of {self.ranks.shape[1]} parameters (so many tables "
            f"detect a 90 % interval with a coverage below {100 * detectable_coverage(tables):.0f} %)"
        )
        by_truth = {
            truth: ", ".join(f"{100 * row['coverage_0.9']:.0f} % at {row['ahead']:g}" for row in rows.to_dict("records"))
            for truth, rows in self.coverage.groupby("truth", sort=False)
        }
        coverages = "; ".join(
            f"from {truth}, 90 % intervals covered {coverage} decades ahead" for truth, coverage in by_truth.items()
        )
        fits = self.forecasts.drop_duplicates(["truth", "table"])["converged"]
        note = f" {int((~fits).sum())} of {len(fits)} fits had not converged and are counted." if not fits.all() else ""
        return f"On {tables} tables simulated for this design, {ranks}; {coverages}.{note}"


def detectable_coverage(tables: int, prob: float = 0.9) -> float:
    """Return the coverage below which so many simulated tables detect that intervals of a probability fail.

    The lower end of the 95 % interval (Clopper and Pearson 1934) at the nominal coverage.

    Examples
    --------
    >>> [round(detectable_coverage(tables), 2) for tables in (12, 200, 2000)]
    [0.62, 0.85, 0.89]
    """
    from scipy.special import betaincinv  # some tenths of a second that no other answer needs

    covered = round(prob * tables)
    return float(betaincinv(covered, tables - covered + 1, 0.025)) if covered else 0.0


def read_certificate(path: str | Path) -> Certificate:
    """Read a certificate from the JSON that :meth:`Certificate.to_json` gave.

    Raises
    ------
    InvalidRequest
        If the file is none.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from bayes_scaling.evaluation.examples import example_certificate
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "certificate.json"
    ...     _ = path.write_text(example_certificate().to_json())
    ...     read_certificate(path).facts["model"]
    'kappa'
    """
    return read_json(
        path,
        lambda stored: Certificate(
            Result.stored_table(stored, "ranks"),
            Result.stored_table(stored, "forecasts", truth="text", ahead="fi", pit="fi", width="fi", converged="b"),
            dict(stored["facts"]),
        ),
        what="certificate",
        made_by="bayes-scaling certify RUNS --out FOLDER",
    )
