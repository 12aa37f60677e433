"""The predicted loss of runs: the predictive interval of a new run, and the credible interval of its mean loss."""

from __future__ import annotations

from typing import Any

import pandas as pd
from pydantic import Field

from bayes_scaling.errors import ConflictingOptions, MissingOption
from bayes_scaling.posterior.extrapolation import reach_sentence
from bayes_scaling.posterior.predict import intervals, predict
from bayes_scaling.posterior.protocol import Posterior
from bayes_scaling.posterior.rows import continued_rows, predict_table
from bayes_scaling.posterior.variance import shares_of, shares_sentence
from bayes_scaling.questions.base import Answer, OfRun
from bayes_scaling.questions.guardrails import stated_distances
from bayes_scaling.runs.cells import csv_of
from bayes_scaling.runs.table import read_inputs
from bayes_scaling.wording import credible, percent


class Predict(OfRun):
    """The predicted loss of runs: the interval of a new run, and that of its mean loss.

    Table ``predictions``: a row a run, with its inputs; ``median``, ``lower``, ``upper`` of the predicted loss of a new run;
    ``mean_lower``, ``mean_upper`` of its mean; the extrapolation distances in decades. Values of the one run: the same, and
    ``log_sd``, the standard deviation of the log loss, with the shares of its variance. Draws: what
    :func:`~bayes_scaling.predict` returns.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> print(Predict(params=7e10, tokens=1.4e12).answer(example_fit()).sentence.splitlines()[0])
    Predicted loss of a new run: 1.9733 nats/token (90 % interval 1.9412 to 2.0070).
    """

    name = "predict"
    panel = "Forecast"
    example = "predict fit.nc --params 7e10 --tokens 1.4e12 --prob 0.9"
    takes = ("observation", "mixture")
    guarded = False
    writes = "predictions"

    table: tuple[dict[str, str | int | float | bool | None], ...] = Field(
        default=(), description="Runs to predict, one a row.", json_schema_extra={"option": "--inputs"}
    )

    @property
    def run(self) -> dict[str, float]:
        """The inputs of the one run."""
        given = self.given
        if bool(self.table) == bool(given):
            raise MissingOption("Give either --inputs TABLE.csv, or the one run as --params and --tokens.")
        return given

    def text(self, answer: Answer) -> str:
        """Return the table as CSV, where rows were asked for."""
        return csv_of(self.file(answer)).rstrip("\n") if self.table else str(answer)

    def _result(self, posterior: Posterior) -> Answer:
        run = self.run
        values: dict[str, Any] = {"weights": dict(posterior.weights)} if posterior.weights else {}
        if self.table:
            table, note = self._rows(posterior)
            lines = [posterior.sentence, f"{len(table)} predictions with {percent(self.prob)} intervals.", note]
            return Answer("\n".join(filter(None, lines)), values, {"predictions": table})
        draws = predict(posterior, group=self.group, seed=self.seed, **run)
        ends, shares = intervals(draws, self.prob), shares_of(draws)
        numbers = {str(n): float(v) for n, v in (ends.coords | ends.data_vars).items()}
        spread = {f"share_of_{n}" if n != "sd" else "log_sd": float(v) for n, v in shares.data_vars.items()}
        lower, upper, mean_lower, mean_upper = (
            f"{numbers[end]:.4f}" for end in ("lower", "upper", "mean_lower", "mean_upper")
        )
        lines = [
            posterior.sentence,
            f"Predicted loss of a new run: {numbers['median']:.4f} {posterior.loss_unit} ({credible(self.prob, lower, upper)}).",
            f"Mean loss, without residual noise: {mean_lower} to {mean_upper} ({percent(self.prob)}).",
            f"The run is {reach_sentence(stated_distances(numbers))}.",
            shares_sentence(shares),
        ]
        values |= {**run, **numbers, **spread, "group": dict(self.group)}
        tables = {"predictions": pd.DataFrame([{**run, **self.group, **numbers}])}
        return Answer("\n".join(filter(None, lines)), values, tables, caveats=self._idle_inputs(posterior), data=draws)

    def _idle_inputs(self, posterior: Posterior) -> list[str]:
        """Return a caveat of inputs that change no prediction: the law does not take them, and the runs do not tell how far they are."""
        fits = posterior.parts.values()
        used = {column for fit in fits for column in (*fit.model.needs, *fit.table)} | {"steps", "batch_tokens"}
        idle = [name for name in self.given if name not in used]
        if not idle:
            return []
        inputs = dict.fromkeys(column for fit in fits for column in fit.model.only.columns.values())
        makes = "makes" if len(idle) == 1 else "make"
        return [f"{' and '.join(idle)} {makes} no difference: the law takes {' and '.join(inputs)} alone."]

    def _rows(self, posterior: Posterior) -> tuple[pd.DataFrame, str]:
        """Return the rows of the table with their intervals, and how many continue runs of the fit."""
        fits = list(posterior.parts.values())
        for column in self.group:
            if not any(column in fit.model.group_columns for fit in fits):
                raise ConflictingOptions(f"The model does not vary by {column!r}: leave --group {column}=... out.")
        needs = list(fits[0].model.only.columns.values()) if len(fits) == 1 else []
        table = read_inputs(pd.DataFrame(list(self.table)), needs=needs).assign(**self.group)
        predicted = predict_table(posterior, table, prob=self.prob, seed=self.seed)
        continued = max(int((continued_rows(fit, table) >= 0).sum()) for fit in fits)
        note = f"{continued} of {len(table)} rows continue runs that the fit has seen and are conditioned on them."
        return predicted, note if continued else ""
