"""The report of a fit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bayes_scaling.cli.application import app
from bayes_scaling.cli.options import (
    AsJson,
    Columns,
    Group,
    OfOne,
    Prob,
    Stored,
    columns_of,
    pairs,
    stored_fit,
    written_number,
)
from bayes_scaling.cli.printing import print_json, verdict_of


@app.command(
    rich_help_panel="Share", epilog="Example: bayes-scaling report fit.nc --out report.html --compute 1e23 --compute 1e24"
)
def report(
    stored: Stored,
    out: Annotated[Path, typer.Option(metavar="report.html", help="Where to write the page.")],
    prob: Prob = 0.9,
    compute: Annotated[
        list[float] | None,
        typer.Option(
            metavar="<float>", parser=written_number, help="Budget to include in the budget table, FLOP; repeatable."
        ),
    ] = None,
    group: Group = None,
    observation: OfOne = None,
    held_out: Annotated[
        Path | None, typer.Option(metavar="TABLE.csv", help="Held-out runs with their measured loss.")
    ] = None,
    columns: Columns = None,
    backtest: Annotated[
        Path | None,
        typer.Option(metavar="backtest.json", help="Result of `bayes-scaling backtest` on the same runs and model."),
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option(metavar="certificate.json", help="Result of `bayes-scaling certify` on the same design.")
    ] = None,
    anyway: Annotated[bool, typer.Option("--anyway", help="Include budgets however far from the runs.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write the report of a fit: one self-contained page."""
    from bayes_scaling.evaluation.certificate import read_certificate
    from bayes_scaling.evaluation.outcome import read_backtest
    from bayes_scaling.files import check_writable, refuse_overwriting
    from bayes_scaling.report import write_report
    from bayes_scaling.runs.table import read_inputs

    check_writable(out)
    refuse_overwriting(out, stored, held_out, backtest, certificate)
    fit = stored_fit(stored, observation)
    measured = None
    if held_out is not None:
        measured = read_inputs(
            held_out, columns=columns_of(columns), needs=[*fit.for_loss().model.only.columns.values(), "loss"]
        )
    path = write_report(
        fit,
        out,
        prob=prob,
        budgets=compute or None,
        group=pairs(group, "--group") or None,
        held_out=measured,
        backtest=read_backtest(backtest) if backtest is not None else None,
        certificate=read_certificate(certificate) if certificate is not None else None,
        anyway=anyway,
    )
    if as_json:
        print_json({"report": str(path.resolve()), **verdict_of(fit)})
    else:
        print(fit.verdict)
        print(f"Report: {path.resolve()}")
