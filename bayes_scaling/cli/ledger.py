"""Forecasts registered in a ledger, and their scores."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bayes_scaling.cli.application import app
from bayes_scaling.cli.options import AsJson, Columns, LossUnit, OfOne, Seed, Stored, columns_of, stored_fit
from bayes_scaling.cli.printing import print_json, print_table

LedgerFile = Annotated[Path, typer.Argument(metavar="LEDGER.jsonl", help="Ledger written by `bayes-scaling forecast`.")]
Ledger = Annotated[Path, typer.Option("--ledger", metavar="LEDGER.jsonl", help="Append-only file of forecasts.")]


ledgers = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
app.add_typer(
    ledgers, name="ledger", help="Repair, seal, sign or verify a ledger of forecasts.", rich_help_panel="Evaluation"
)


@ledgers.command(epilog="Example: bayes-scaling ledger repair forecasts.jsonl")
def repair(ledger: LedgerFile) -> None:
    """Move an incomplete last line of a ledger to a file beside it; remove a ledger that never had an entry."""
    from bayes_scaling.evaluation import ledger as ledgers_of

    aside = ledgers_of.repair(ledger)
    if aside is not None:
        print(f"The incomplete line is in {aside}.")
    left = len(ledgers_of.read_ledger(ledger)) if ledger.exists() else 0
    print(f"{ledger} has {left} entries." if left else f"{ledger} had no entry and was removed.")


@ledgers.command(epilog="Example: bayes-scaling ledger seal forecasts.jsonl")
def seal(
    ledger: LedgerFile,
    published: Annotated[str | None, typer.Option(help="Seal published before; an error if it is missing.")] = None,
    sign_key: Annotated[
        Path | None, typer.Option(metavar="KEY", help="SSH key to sign the last seal with, in a file beside the ledger.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print the last seal, to publish it, or check a ledger against a published seal.

    The seals alone detect entries that were edited, moved, inserted, or removed before another. Only a published seal detects
    entries taken off the end, and a ledger written anew; so does a signature, see `ledger verify`. Nothing detects a wrong clock, nor
    forecasts that were never shown.
    """
    from bayes_scaling.evaluation.ledger import read_ledger
    from bayes_scaling.evaluation.signature import sign

    entries = read_ledger(ledger, last=published)
    last, since = entries[-1]["seal"], next((n for n, e in enumerate(reversed(entries)) if e["seal"] == published), None)
    signature = None if sign_key is None else sign(ledger, sign_key)
    if as_json:
        print_json({"entries": len(entries), "seal": last, "published": published, "since": since, "signature": signature})
        return
    known = "" if published is None else f" It has the published seal; {since} entries were added since."
    print(f"{ledger} has {len(entries)} entries.{known} Publish the last seal: {last}")
    if signature is not None:
        print(f"It is signed in {signature}: publish that, and the public key.")


@ledgers.command(epilog="Example: bayes-scaling ledger verify forecasts.jsonl --signers signers")
def verify(
    ledger: LedgerFile,
    signers: Annotated[
        Path,
        typer.Option(
            metavar="FILE", help="Allowed signers, as ssh-keygen reads them: a name and a public key on each line."
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Check the signature file beside a ledger, and that the signed entries are unchanged.

    Entries that were taken out, edited or written anew by somebody without the key are an error; entries may be added.
    """
    from dataclasses import asdict

    from bayes_scaling.evaluation import signature

    found = signature.verify(ledger, signers)
    if as_json:
        print_json(asdict(found))
        return
    print(f"{found.signer} signed {ledger} up to entry {found.entries}; {found.since} entries were added since.")


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
    ledger: LedgerFile,
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
