"""The outcome of a backtest: every forecast, its scores, and a sentence that summarises them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from bayes_scaling.evaluation.clusters import doubt, plus_minus
from bayes_scaling.evaluation.result import Result
from bayes_scaling.evaluation.scores import summarized
from bayes_scaling.files import read_json

MODEL: Final = "model"
"""Name of the method that is evaluated."""
_EDGES: Final = (0.0, 0.25, 0.5, 1.0, 2.0, np.inf)
_DISTANCES: Final = ("to 0.25", "0.25 to 0.5", "0.5 to 1", "1 to 2", "over 2")


@dataclass(frozen=True, eq=False)
class Backtest(Result):
    """Forecasts of a table's own larger runs from its smaller ones, and their scores.

    ``predictions`` has one row a run, a cut and a method: ``method``, ``cut``, ``run`` (its row in the table), ``ahead``
    (decades beyond the largest fitted run), ``loss``, the columns of :func:`~bayes_scaling.evaluation.scores.scored`, and
    ``converged``; ``facts`` name the runs, the model, the resource and the settings.

    Examples
    --------
    >>> from bayes_scaling.evaluation.examples import example_backtest
    >>> example_backtest().by_distance.columns[:2].tolist()
    ['method', 'ahead']
    """

    predictions: pd.DataFrame
    facts: dict[str, Any]

    @property
    def scores(self) -> pd.DataFrame:
        """Scores of each method over all splits, with standard errors: see :func:`~bayes_scaling.evaluation.scores.summarized`."""
        return summarized(self.predictions, ["method"])

    @property
    def by_distance(self) -> pd.DataFrame:
        """Scores by decades ahead."""
        distance = pd.cut(self.predictions["ahead"], list(_EDGES), labels=list(_DISTANCES), right=False)
        return summarized(self.predictions.assign(ahead=distance).sort_values("ahead", kind="stable"), ["method", "ahead"])

    @property
    def tables(self) -> Mapping[str, pd.DataFrame]:
        """Scores, scores by decades ahead, and every forecast."""
        return {"scores": self.scores, "by_distance": self.by_distance, "predictions": self.predictions}

    @property
    def not_converged(self) -> int:
        """Number of splits in which the evaluated model has not converged."""
        ours = self.predictions[self.predictions["method"] == MODEL]
        return int((~ours.groupby("cut")["converged"].first()).sum())

    @property
    def sentence(self) -> str:
        """The outcome in a sentence, for a report."""
        ours, splits = self.scores.set_index("method").loc[MODEL], self.predictions["cut"].nunique()
        nine, five = (plus_minus(ours[f"coverage_{prob}_se"], "cuts and runs") for prob in (0.9, 0.5))
        sentence = (
            f"Backtest on this table with {splits} cuts: 90 % intervals covered {100 * ours['coverage_0.9']:.0f} %{nine} of "
            f"{_counted(int(ours.rows), int(ours.runs))}, {int(ours.forecasts)} forecasts up to {self.predictions['ahead'].max():.1f} decades ahead, 50 % "
            f"intervals {100 * ours['coverage_0.5']:.0f} %{five}; the median absolute error was {100 * ours.median_error:.2g} %. Each "
            f"{'run' if ours.rows == ours.runs else 'loss'} counts once. {doubt(int(ours.clusters), 'cuts')}"
        ).strip()
        failed = self.not_converged
        return f"{failed} of {splits} splits had NOT converged. {sentence}" if failed else sentence


def _counted(rows: int, runs: int) -> str:
    return f"{runs} runs" if rows == runs else f"{rows} losses of {runs} runs"


def read_backtest(path: str | Path) -> Backtest:
    """Read a backtest from the JSON that :meth:`Backtest.to_json` gave.

    Raises
    ------
    InvalidRequest
        If the file is none.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from bayes_scaling.evaluation.examples import example_backtest
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "backtest.json"
    ...     _ = path.write_text(example_backtest().to_json())
    ...     read_backtest(path).facts["model"]
    'kappa'
    """
    return read_json(
        path,
        lambda document: Backtest(
            Result.stored_table(
                document, "predictions", method="text", cut="fi", row="i", run="i", ahead="fi", loss="fi", converged="b"
            ),
            dict(document["facts"]),
        ),
        what="backtest",
        made_by="bayes-scaling backtest RUNS --out FOLDER",
    )
