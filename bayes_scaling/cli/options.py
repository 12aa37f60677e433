"""Options that verbs share, and their readers."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bayes_scaling.errors import InvalidRequest

if TYPE_CHECKING:
    from bayes_scaling.posterior.fit import Fit
    from bayes_scaling.runs.table import RunTable

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Stored = Annotated[Path, typer.Argument(metavar="FIT.nc", help="Fit written by `bayes-scaling fit`.")]
Prob = Annotated[float, typer.Option(help="Probability of the intervals.")]
Group = Annotated[
    list[str] | None, typer.Option(metavar="COLUMN=LABEL", help="Group of the run; repeat for several columns.")
]
Runs = Annotated[
    str,
    typer.Argument(
        metavar="RUNS",
        help="CSV, Parquet, JSON or Excel table, a tracker's export, name of a data set, or - for standard input.",
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        help="Model document (TOML), or name of a shipped model; by default kappa, or offset_c, _d, _n for one resource."
    ),
]
By = Annotated[
    list[str] | None,
    typer.Option(
        metavar="COLUMN",
        help="Column of groups, such as a variant, by which parameters vary; repeat it to cross two columns.",
    ),
]
ModelOrAuto = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="Model document (TOML), or name of a shipped model; by default kappa, or offset_c, _d, _n for one resource. auto weighs "
        "laws by their forecasts of the table's larger runs, which takes minutes.",
    ),
]
Where = Annotated[str | None, typer.Option(metavar="CONDITION", help="Rows to keep, such as 'params < 1e9'.")]
LossUnit = Annotated[str | None, typer.Option(help="nats/token, bits/token, bits/byte or error rate; overrides the card.")]
CardFile = Annotated[Path | None, typer.Option("--card", help="Data card; by default card.toml beside the table.")]
Pins = Annotated[
    list[str] | None,
    typer.Option(
        "--pin",
        metavar="NAME=VALUE",
        help="Parameter known from elsewhere, in the table's units: E=1.69, or E=1.69+-0.02; repeat for several.",
    ),
]
Workers = Annotated[int, typer.Option(min=1, max=1024, help="Parallel processes.")]
ChainDraws = Annotated[int | None, typer.Option("--draws", help="Draws of each chain; by default chosen for the model.")]
ChainTune = Annotated[int, typer.Option("--tune", help="Warm-up draws of each chain of NUTS.")]
Over = Annotated[str, typer.Option(help="Column by which runs are split, such as compute_flops or params.")]
Least = Annotated[int, typer.Option(min=4, max=1_000_000, help="Smallest number of runs below a cut.")]
Columns = Annotated[
    str | None,
    typer.Option(
        metavar="params=N,...",
        help="Standard column names and their names in the table; loss=ln(perplexity) or loss='1 - score' converts.",
    ),
]
Given = Annotated[
    str | None,
    typer.Option(
        "--facts",
        metavar="params=N,...",
        help="Values that the table lacks: the same for all its runs, or a table with run_id.",
    ),
]
OfOne = Annotated[
    str | None, typer.Option("--observation", metavar="NAME", help="Observation to use, where the model has several.")
]
Seed = Annotated[int, typer.Option(help="The same seed gives the same answer.")]


def table_of(
    runs: str,
    columns: str | None,
    where: str | None,
    loss_unit: str | None,
    card: Path | None,
    needs: Iterable[str] = ("loss",),
    facts: str | None = None,
) -> RunTable:
    """Return the runs of a verb: a table or data set, with columns renamed, rows selected and facts added."""
    from bayes_scaling.runs.catalog import runs_from

    named, given = columns_of(columns), facts_of(facts)
    return runs_from(runs, columns=named, loss_unit=loss_unit, card=card, needs=tuple(needs), where=where, facts=given)


def stored_fit(stored: Path, observation: str | None) -> Fit:
    """Return the stored fit, or the observation of it that is named."""
    from bayes_scaling.posterior.fit import load_fit

    fit = load_fit(stored)
    return fit if observation is None else fit.for_loss(observation)


def pairs(entries: list[str] | None, option: str) -> dict[str, str]:
    """Read NAME=VALUE entries of an option."""
    values: dict[str, str] = {}
    for entry in entries or ():
        name, mark, value = (part.strip() for part in entry.partition("="))
        if not mark or not name or not value:
            raise InvalidRequest(f"{option} {entry!r} is not of the form NAME=VALUE.")
        if name in values:
            raise InvalidRequest(f"{option} gives {name} twice: give it once.")
        values[name] = value
    return values


def columns_of(text: str | None) -> dict[str, str]:
    """Read canonical=actual names of columns."""
    return pairs(text.split(",") if text else [], "--columns")


def facts_of(text: str | None) -> dict[str, str] | str | None:
    """Read COLUMN=VALUE facts, or return the path of their table."""
    return pairs(text.split(","), "--facts") if text and "=" in text else text


def written_number(text: str) -> float:
    """Read a number as people write it: 2e9, 2B, or 2,000,000,000."""
    try:
        return float(text)
    except ValueError:
        import pandas as pd

        from bayes_scaling.runs.validate import as_numbers

        (value,) = as_numbers(pd.Series([text], dtype=object))
        if value != value:
            raise typer.BadParameter(f"{text!r} is not a number: write it as 2e9, 2B or 2,000,000,000.") from None
        return float(value)


def numbers(entries: list[str] | None, option: str) -> dict[str, float]:
    """Read COLUMN=NUMBER entries of an option."""
    values: dict[str, float] = {}
    for name, text in pairs(entries, option).items():
        try:
            values[name] = float(text)
        except ValueError:
            each = f": give each by itself, {option} {name}={text.replace(',', f' {option} ')}" if "," in text else ""
            raise InvalidRequest(f"{option} {name}={text} is not a number{each}.") from None
    return values
