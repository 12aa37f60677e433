"""The outcome of a backtest: every forecast, its scores, and a sentence that summarises them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from bayes_scaling.evaluation.scores import summarized
from bayes_scaling.files import read_json

MODEL: Final = "model"
"""Name of the method that is evaluated."""
_AHEAD_EDGES: Final = (0.0, 0.25, 0.5, 1.0, 2.0, np.inf)
_HORIZONS: Final = ("to 0.25", "0.25 to 0.5", "0.5 to 1", "1 to 2", "over 2")


@dataclass(frozen=True, eq=False)
class Backtest:
    """Forecasts of a table's own larger runs from its smaller ones, and their scores.

    Parameters
    ----------
    predictions : DataFrame
        One row a run, a cut and a method: ``method``, ``cut``, ``run`` (its row in the table), ``ahead``
        (decades beyond the largest fitted run), ``loss``, the columns of :func:`~bayes_scaling.evaluation.scores.scored`,
        and ``converged``.
    facts : dict
        Name and digest of the runs, the model, the resource, the settings.
    """

    predictions: pd.DataFrame
    facts: dict[str, Any]

    @property
    def scores(self) -> pd.DataFrame:
        """Scores of each method over all splits."""
        return summarized(self.predictions, ["method"])

    @property
    def by_distance(self) -> pd.DataFrame:
        """Scores by decades ahead."""
        cut = pd.cut(self.predictions["ahead"], list(_AHEAD_EDGES), labels=list(_HORIZONS), right=False)
        return summarized(self.predictions.assign(ahead=cut).sort_values("ahead", kind="stable"), ["method", "ahead"])

    @property
    def not_converged(self) -> int:
        """Number of splits in which the evaluated model has not converged."""
        ours = self.predictions[self.predictions["method"] == MODEL]
        return int((~ours.groupby("cut")["converged"].first()).sum())

    @property
    def sentence(self) -> str:
        """The outcome in a sentence, for a report."""
        scores = self.scores.set_index("method")
        ours, splits = scores.loc[MODEL], self.predictions["cut"].nunique()
        farthest = self.predictions["ahead"].max()
        sentence = (
            f"Backtest on this table with {splits} cuts: 90 % intervals covered {100 * ours['coverage_0.9']:.0f} % of {int(ours.runs)} "
            f"forecasts up to {farthest:.1f} decades ahead, 50 % intervals {100 * ours['coverage_0.5']:.0f} %; the median absolute error "
            f"was {100 * ours.median_error:.2g} %."
        )
        bad = self.not_converged
        return f"{bad} of {splits} splits had NOT converged. {sentence}" if bad else sentence

    def to_json(self) -> str:
        """Return facts, scores, scores by distance and every forecast as JSON."""
        tables = {"scores": self.scores, "by_distance": self.by_distance, "predictions": self.predictions}
        content = {name: json.loads(table.to_json(orient="records")) for name, table in tables.items()}
        return json.dumps({"facts": self.facts, "sentence": self.sentence, **content}, indent=1)

    def _repr_html_(self) -> str:
        from html import escape

        return f"<p>{escape(self.sentence)}</p>{self.scores.to_html(float_format='%.4g')}"


def read_backtest(path: str | Path) -> Backtest:
    """Read a backtest from the JSON that :meth:`Backtest.to_json` gave.

    Raises
    ------
    InvalidRequest
        If the file is none.
    """
    return read_json(
        path,
        lambda document: Backtest(pd.DataFrame(document["predictions"]), document["facts"]),
        what="backtest",
        made_by="bayes-scaling backtest RUNS --out FOLDER",
    )
