"""Forecasts registered in a ledger, and their scores."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bayes_scaling.cli.application import app
from bayes_scaling.cli.options import AsJson, Columns, LossUnit, OfOne, Seed, Stored, columns_of, stored_fit
from bayes_scaling.cli.printing import print_json, print_table

Ledger = Annotated[Path, typer.Option("--ledger", metavar="LEDGER.jsonl", help="Append-only file of forecasts.")]


@app.command(
    rich_help_panel="Trust",
    epilog="Example: bayes-scaling forecast fit.nc --inputs planned.csv --ledger forecasts.jsonl",
)
def forecast(
    stored: Stored,
    inputs: Annotated[
        Path, typer.Option(metavar="TABLE.csv", help="Runs to forecast, one a row: run_id and the inputs of the law.")
    ],
    ledger: Ledger,
    note: Annotated[str, typer.Option(help="Note stored with the forecasts.")] = "",
    columns: Columns = None,
    observation: OfOne = None,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Register forecasts of runs in a ledger that detects later changes."""
    from bayes_scaling.evaluation.forecasts import register_forecasts
    from bayes_scaling.runs.table import read_inputs

    fit = stored_fit(stored, observation).for_loss()
    table = read_inputs(inputs, columns=columns_of(columns), needs=["run_id", *fit.model.only.columns.values()])
    entries = register_forecasts(fit, table, ledger, note=note, seed=seed)
    seal = entries[-1]["seal"]
    if as_json:
        print_json({"entries": entries, "seal": seal})
    else:
        print(f"{len(entries)} forecasts are registered in {ledger}. Publish the last seal: {seal}")


@app.command(rich_help_panel="Trust", epilog="Example: bayes-scaling score forecasts.jsonl --runs measured.csv")
def score(
    ledger: Annotated[Path, typer.Argument(metavar="LEDGER.jsonl", help="Ledger written by `bayes-scaling forecast`.")],
    runs: Annotated[Path, typer.Option(metavar="TABLE.csv", help="Measured runs: run_id and loss.")],
    seal: Annotated[
        str | None, typer.Option(help="Seal published with a forecast; an error if it is missing from the ledger.")
    ] = None,
    loss_unit: LossUnit = None,
    columns: Columns = None,
    as_json: AsJson = False,
) -> None:
    """Score registered forecasts: coverage, interval score, and drift of the losses."""
    from bayes_scaling.evaluation.forecasts import score_forecasts
    from bayes_scaling.questions.base import records
    from bayes_scaling.runs.table import read_inputs

    measured = read_inputs(runs, columns=columns_of(columns), needs=["run_id", "loss"])
    scores = score_forecasts(ledger, measured, last=seal, loss_unit=loss_unit)
    if as_json:
        forecasts = records(scores.table.drop(columns=["together"], errors="ignore"))
        drift = dict(zip(("mean_pit", "p_of_drift"), scores.drift, strict=True)) if forecasts else {}
        print_json({"sentence": scores.sentence, "waiting": scores.waiting, "forecasts": forecasts, **drift})
        return
    print(scores.sentence)
    if len(scores.table):
        print_table(scores.table[["run_id", "loss", "median", "lower", "upper", "pit"]])
