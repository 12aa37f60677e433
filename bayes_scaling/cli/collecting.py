"""The verb that collects runs from where they were logged."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from bayes_scaling.cli.application import app
from bayes_scaling.cli.options import AsJson, Columns, columns_of, facts_of
from bayes_scaling.cli.printing import print_json, say


@app.command(
    rich_help_panel="Runs", epilog="Example: bayes-scaling collect export.csv --out runs.csv --facts batch_tokens=524288"
)
def collect(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="File or folder of a tracker or trainer, a table, or an address (wandb://ENTITY/PROJECT, sqlite:///FILE); - is standard input.",
        ),
    ],
    out: Annotated[str, typer.Option(metavar="RUNS.csv", help="Where to write the table of runs; - is standard output.")],
    curves: Annotated[
        Path | None, typer.Option(metavar="TABLE", help="Where to write the points along the runs, .parquet or .csv.")
    ] = None,
    mapping: Annotated[
        Path | None,
        typer.Option(
            "--map", metavar="MAP.toml", help='Field of the source for each column, one a line: params = "model/n_params".'
        ),
    ] = None,
    columns: Columns = None,
    kind: Annotated[
        str | None, typer.Option("--from", metavar="KIND", help="Kind of the source, if its content does not show it.")
    ] = None,
    at: Annotated[
        str, typer.Option(help="Point to take from each run: last, min (of the loss), or all, one row each.")
    ] = "last",
    dedupe: Annotated[bool, typer.Option(help="Whether a run that was logged twice counts once.")] = True,
    keep: Annotated[
        str | None,
        typer.Option(
            metavar="CONDITION",
            help="Keep runs that meet this condition on the source's fields. Crashed runs are left out, unless it tests the state.",
        ),
    ] = None,
    unfinished: Annotated[bool, typer.Option("--unfinished", help="Take runs that have not finished too.")] = False,
    anyway: Annotated[bool, typer.Option("--anyway", help="Accept a loss that rises with size and data.")] = False,
    facts: Annotated[
        list[str] | None,
        typer.Option(
            metavar="params=N,...",
            help="Values that the source lacks: the same for all its runs, or a table with run_id; repeat for both.",
        ),
    ] = None,
    needs: Annotated[
        str,
        typer.Option(
            metavar="COLUMN,...",
            help="Columns that the table must have; two of params, tokens, compute_flops give the third.",
        ),
    ] = "params,tokens,loss",
    as_json: AsJson = False,
) -> None:
    """Collect runs from a tracker's export, a trainer's logs or a table; prints every assumption and every run left out."""
    from bayes_scaling.files import check_writable, refuse_overwriting
    from bayes_scaling.runs.collecting.collect import collect as collected_from
    from bayes_scaling.runs.collecting.names import read_map

    for path in (*(() if out == "-" else (Path(out),)), *((curves,) if curves else ())):
        check_writable(path)
        refuse_overwriting(path, source, mapping, *(facts or ()))
    found = collected_from(
        source,
        kind=kind,
        map={**read_map(mapping), **columns_of(columns)},
        at=at,  # pyright: ignore[reportArgumentType] - checked there
        dedupe=dedupe,
        keep=keep,
        facts=[given for text in facts or () if (given := facts_of(text))],
        unfinished=unfinished,
        anyway=anyway,
        needs=[column.strip() for column in needs.split(",")],
    )
    if out == "-":
        for line in found.lines:
            say(line)
        sys.stdout.write(found.csv())
        return
    paths = found.save(out, curves)
    if as_json:
        names = dict(zip(("out", "card", "curves"), map(str, paths), strict=False))
        print_json({**found.to_dict(), **names})
        return
    print("\n".join([f"{found.sentence}.", *found.lines]))
    print("\n".join(f"{what}: {path}" for what, path in zip(("Runs", "Card", "Curves"), paths, strict=False)))
    print(f"Next: bayes-scaling fit {out} --out fit.nc")
