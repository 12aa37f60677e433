"""The page that says all of a fit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bayes_scaling.cli.application import app
from bayes_scaling.cli.options import AsJson, Columns, Group, OfOne, Prob, Stored, columns_of, of_one_law, pairs
from bayes_scaling.cli.printing import print_json, verdict_of


@app.command(epilog="Example: bayes-scaling report fit.nc --out report.html --compute 1e23 --compute 1e24")
def report(
    stored: Stored,
    out: Annotated[Path, typer.Option(metavar="report.html", help="Where to write the page.")],
    prob: Prob = 0.9,
    compute: Annotated[list[float] | None, typer.Option(help="Budget of the budget table, FLOP; repeatable.")] = None,
    group: Group = None,
    observation: OfOne = None,
    held_out: Annotated[
        Path | None, typer.Option(metavar="TABLE.csv", help="Runs the fit has not seen, with their loss.")
    ] = None,
    columns: Columns = None,
    backtest: Annotated[
        Path | None,
        typer.Option(metavar="backtest.json", help="What `bayes-scaling backtest` wrote of the same runs and model."),
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option(metavar="certificate.json", help="What `bayes-scaling certify` wrote of the same design.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write the report of a fit: one self-contained page."""
    from bayes_scaling.evaluation.certificate import read_certificate
    from bayes_scaling.evaluation.outcome import read_backtest
    from bayes_scaling.files import check_writable
    from bayes_scaling.posterior.fit import load_fit
    from bayes_scaling.report import write_report
    from bayes_scaling.runs.table import read_inputs

    check_writable(out)
    found = load_fit(stored) if observation is None else of_one_law(stored, observation)
    truth = None
    if held_out is not None:
        truth = read_inputs(
            held_out, columns=columns_of(columns), needs=[*found.for_loss().model.only.columns.values(), "loss"]
        )
    path = write_report(
        found,
        out,
        prob=prob,
        budgets=compute or None,
        group=pairs(group, "--group") or None,
        held_out=truth,
        backtest=read_backtest(backtest) if backtest is not None else None,
        certificate=read_certificate(certificate) if certificate is not None else None,
    )
    if as_json:
        print_json({"report": str(path.resolve()), **verdict_of(found)})
    else:
        print(found.verdict)
        print(f"The report is {path.resolve()}")
