"""The predicted loss of runs: the predictive interval of a new run, and the credible interval of its mean loss."""

from __future__ import annotations

import pandas as pd
from pydantic import AliasChoices, Field

from bayes_scaling.errors import InvalidRequest
from bayes_scaling.posterior.extrapolation import reach_sentence
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.mixture import Mixture
from bayes_scaling.posterior.predict import intervals, predict
from bayes_scaling.posterior.rows import continued_rows, predict_table
from bayes_scaling.posterior.variance import shares_of, shares_sentence
from bayes_scaling.questions.base import Answer, Question
from bayes_scaling.questions.wording import credible, percent
from bayes_scaling.runs.table import read_inputs


class Predict(Question):
    """The predicted loss of runs: the interval of a new run, and that of its mean loss."""

    name = "predict"
    panel = "Forecast"
    example = "predict fit.nc --params 7e10 --tokens 1.4e12 --prob 0.9"
    takes = ("observation", "mixture")
    guarded = False
    writes = "predictions"

    table: tuple[dict[str, str | int | float | bool | None], ...] = Field(
        default=(), description="Runs to predict, one a row.", json_schema_extra={"option": "--inputs"}
    )
    params: float | None = Field(default=None, description="N of the one run to predict.")
    tokens: float | None = Field(default=None, description="D of the one run to predict.")
    compute_flops: float | None = Field(
        default=None,
        validation_alias=AliasChoices("compute_flops", "compute"),
        description="C of the one run, FLOP.",
        json_schema_extra={"option": "--compute"},
    )
    inputs: dict[str, float] = Field(
        default_factory=dict,
        validation_alias=AliasChoices("inputs", "input"),
        description="Any other input of the law by its column.",
        json_schema_extra={"option": "--input", "of": "NUMBER"},
    )

    @property
    def run(self) -> dict[str, float]:
        """The inputs of the one run."""
        columns = ("params", "tokens", "compute_flops")
        given = {column: value for column in columns if (value := getattr(self, column)) is not None}
        if twice := set(given) & set(self.inputs):
            raise InvalidRequest(f"{', '.join(sorted(twice))} was given twice: once is enough.")
        if bool(self.table) == bool(given or self.inputs):
            raise InvalidRequest("Give either --inputs TABLE.csv, or the one run as --params and --tokens.")
        return given | self.inputs

    def text(self, answer: Answer) -> str:
        """Return the table as CSV, where rows were asked for."""
        return self.file(answer).to_csv(index=False).rstrip("\n") if self.table else str(answer)

    def file(self, answer: Answer) -> pd.DataFrame:
        """Return the rows, or the one run as a row."""
        if self.writes in answer.tables:
            return answer.tables[self.writes]
        numbers = {n: v for n, v in answer.values.items() if isinstance(v, float) and not n.startswith(("share_", "log_"))}
        return pd.DataFrame([numbers | self.group])

    def _result(self, posterior: Fit | Mixture) -> Answer:
        run = self.run
        if isinstance(posterior, Mixture):
            for column in (*run, *self.group):
                if not posterior.takes(column):
                    raise InvalidRequest(f"No fit of the mixture takes {column!r}: leave it out.")
        mixture = {"weights": dict(posterior.weights)} if isinstance(posterior, Mixture) else {}
        sentence = posterior.sentence if isinstance(posterior, Mixture) else ""
        if self.table:
            table, note = self._rows(posterior)
            lines = [sentence, f"{len(table)} predictions with {percent(self.prob)} intervals.", note]
            return Answer("\n".join(filter(None, lines)), mixture, {"predictions": table})
        if isinstance(posterior, Mixture):
            rows = pd.DataFrame([{**run, **self.group}])
            draws = posterior.predict_rows(rows, seed=self.seed).isel(row=0, drop=True)
        else:
            draws = predict(posterior, group=self.group, seed=self.seed, **run)
        ends, shares = intervals(draws, self.prob), shares_of(draws)
        values = {str(n): float(v) for n, v in (ends.coords | ends.data_vars).items()}
        reaches = {n.removeprefix("reach_"): v for n, v in values.items() if n.startswith("reach_")}
        spread = {f"share_of_{n}" if n != "sd" else "log_sd": float(v) for n, v in shares.data_vars.items()}
        lines = [
            sentence,
            f"Predicted loss of a new run: {values['median']:.4f} {posterior.loss_unit} "
            f"({credible(self.prob, f'{values["lower"]:.4f}', f'{values["upper"]:.4f}')}).",
            f"Mean loss, without residual noise: {values['mean_lower']:.4f} to {values['mean_upper']:.4f} ({percent(self.prob)}).",
            f"The run is {reach_sentence(reaches)}.",
            shares_sentence(shares),
        ]
        tables = {"predictions": pd.DataFrame([{**run, **self.group, **values}])} if mixture else {}
        flat = {**run, **values, **spread, "group": dict(self.group), **mixture}
        return Answer("\n".join(filter(None, lines)), flat, tables, data=draws)

    def _rows(self, posterior: Fit | Mixture) -> tuple[pd.DataFrame, str]:
        """Return the rows of the table with their intervals, and how many continue runs of the fit."""
        rows = pd.DataFrame(list(self.table))
        if isinstance(posterior, Mixture):
            table = read_inputs(rows).assign(**self.group)
            return posterior.predict_table(table, prob=self.prob, seed=self.seed), ""
        for column in self.group:
            if column not in posterior.model.group_columns:
                raise InvalidRequest(f"The model does not vary by {column!r}: leave --group {column}=... out.")
        table = read_inputs(rows, needs=list(posterior.model.only.columns.values())).assign(**self.group)
        predicted = predict_table(posterior, table, prob=self.prob, seed=self.seed)
        continued = int((continued_rows(posterior, table) >= 0).sum())
        note = f"{continued} of {len(table)} rows continue runs that the fit has seen and are conditioned on them."
        return predicted, note if continued else ""
