"""Forecasts that are written down, scored, and updated while a run is under way."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bayes_scaling.cli.application import app
from bayes_scaling.cli.options import (
    AsJson,
    Columns,
    LossUnit,
    OfOne,
    Seed,
    Stored,
    columns_of,
    of_one_law,
)
from bayes_scaling.cli.printing import print_json, print_table, records

Ledger = Annotated[Path, typer.Option("--ledger", metavar="LEDGER.jsonl", help="The ledger: a file that only grows.")]


@app.command(
    rich_help_panel="Evaluation",
    epilog="Example: bayes-scaling forecast fit.nc --inputs planned.csv --ledger forecasts.jsonl",
)
def forecast(
    stored: Stored,
    inputs: Annotated[
        Path, typer.Option(metavar="TABLE.csv", help="Runs to forecast: run_id and the law's inputs, one a row.")
    ],
    ledger: Ledger,
    note: Annotated[str, typer.Option(help="Anything to remember.")] = "",
    columns: Columns = None,
    observation: OfOne = None,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Write down what a fit forecasts of runs, where it cannot be changed unnoticed."""
    from bayes_scaling.evaluation.forecasts import register_forecasts
    from bayes_scaling.runs.table import read_inputs

    found = of_one_law(stored, observation)
    table = read_inputs(inputs, columns=columns_of(columns), needs=["run_id", *found.model.only.columns.values()])
    entries = register_forecasts(found, table, ledger, note=note, seed=seed)
    if as_json:
        print_json({"entries": entries, "seal": entries[-1]["seal"]})
        return
    print(f"{len(entries)} forecasts are in {ledger}. Note the last seal where others see it: {entries[-1]['seal']}")


@app.command(rich_help_panel="Evaluation", epilog="Example: bayes-scaling score forecasts.jsonl --runs measured.csv")
def score(
    ledger: Annotated[Path, typer.Argument(metavar="LEDGER.jsonl", help="What `bayes-scaling forecast` wrote.")],
    runs: Annotated[Path, typer.Option(metavar="TABLE.csv", help="Measured runs: run_id and loss.")],
    seal: Annotated[
        str | None, typer.Option(help="A seal noted down when a forecast was made: it has to be there still.")
    ] = None,
    loss_unit: LossUnit = None,
    columns: Columns = None,
    as_json: AsJson = False,
) -> None:
    """Say how forecasts came out: what intervals held, and whether losses drift away from what is forecast."""
    from bayes_scaling.evaluation.forecasts import score_forecasts
    from bayes_scaling.runs.table import read_inputs

    found = score_forecasts(
        ledger, read_inputs(runs, columns=columns_of(columns), needs=["run_id", "loss"]), last=seal, loss_unit=loss_unit
    )
    if as_json:
        told = {
            "sentence": found.sentence,
            "waiting": found.waiting,
            "forecasts": records(found.table.drop(columns=["together"], errors="ignore")),
        }
        print_json(told | ({"mean_pit": found.drift[0], "p_of_drift": found.drift[1]} if len(found.table) else {}))
        return
    print(found.sentence)
    if len(found.table):
        print_table(found.table[["run_id", "loss", "median", "lower", "upper", "pit"]])
