"""Verbs that list what is shipped, fit a model and check convergence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from bayes_scaling.cli.application import app
from bayes_scaling.cli.options import (
    AsJson,
    By,
    CardFile,
    ChainDraws,
    ChainTune,
    Columns,
    Given,
    LossUnit,
    ModelOrAuto,
    Pins,
    Prob,
    Runs,
    Seed,
    Stored,
    Where,
    columns_of,
    facts_of,
    pairs,
    table_of,
)
from bayes_scaling.cli.printing import (
    end,
    print_checks,
    print_forecast,
    print_json,
    print_parameters,
    print_table,
    say,
    verdict_of,
    verdicts,
)
from bayes_scaling.errors import InvalidRequest

if TYPE_CHECKING:
    from bayes_scaling.runs.table import RunTable

AUTO: Final = "auto"
"""What `fit --model` takes beside models: the laws that forecast the table's larger runs best."""


@app.command(epilog="Example: bayes-scaling demo --out demo")
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the fit and the report; made if missing.")] = Path("demo"),
    as_json: AsJson = False,
) -> None:
    """Forecast the largest runs of the shipped ladder from its smaller ones, as a demonstration."""
    from bayes_scaling.files import make_folder
    from bayes_scaling.inference import fit as sample
    from bayes_scaling.posterior.predict import inside
    from bayes_scaling.posterior.rows import predict_table
    from bayes_scaling.questions.allocation import allocate, budget_sentence, budget_table
    from bayes_scaling.questions.base import records
    from bayes_scaling.report import write_report
    from bayes_scaling.runs.catalog import load_runs

    make_folder(out)
    runs = load_runs("ladder").where("series in ['size', 'compute']")
    small, large = runs.where("compute_flops < 1e13"), runs.where("compute_flops > 1e13").table
    say(f"Fitting kappa to the {len(small)} runs below 1e13 FLOP of {runs.name}: {runs.card.title}.")
    fitted = sample(small, "kappa", seed=1)
    fit_path = fitted.save(out / "fit.nc")
    predicted, budget = predict_table(fitted, large), budget_table(allocate(fitted, compute=1e14)).iloc[0]
    report = write_report(fitted, out / "report.html", held_out=large)
    count = int(inside(predicted["loss"], predicted["lower"], predicted["upper"]).sum())
    columns = ["run_id", "loss", "median", "lower", "upper"]
    if as_json:
        numbers = {"forecast": records(predicted[columns]), "inside": count, "budget": budget.to_dict()}
        print_json({**verdict_of(fitted), **numbers, "fit": str(fit_path), "report": str(report.resolve())})
        return
    print("\n".join(verdicts(fitted)))
    print(f"\nForecast of the {len(large)} held-out larger runs, 90 % predictive intervals:")
    print_table(predicted[[*columns, "reach_compute_flops"]])
    print(f"The intervals cover {count} of {len(large)} measured losses.\n")
    print(budget_sentence(budget.to_dict(), 0.9, fitted.loss_unit))
    print(f"\nFit: {fit_path}\nReport: {report.resolve()}")


@app.command(epilog="Example: bayes-scaling laws --json")
def laws(as_json: AsJson = False) -> None:
    """List the laws, their inputs, parameters and sources."""
    from bayes_scaling.laws import LAWS

    if as_json:
        print_json([law.to_dict() for law in LAWS.values()])
        return
    for law in LAWS.values():
        print(f"{law.name}({', '.join(law.inputs)}; {', '.join(law.parameters)}) -> {law.output}")
        print(f"    {law.formula}\n    {law.source}, {law.equation}")


@app.command(epilog="Example: bayes-scaling models")
def models(as_json: AsJson = False) -> None:
    """List the shipped model documents."""
    from bayes_scaling.model.document import listed_models

    listed = listed_models()
    if as_json:
        print_json(listed)
        return
    width = max(len(model["model"]) for model in listed) + 2
    for model in listed:
        print(f"{model['model']:<{width}}{model['title']}")


@app.command(rich_help_panel="Runs", epilog="Example: bayes-scaling data")
def data(as_json: AsJson = False) -> None:
    """List the shipped data sets, which can be named instead of a file."""
    from bayes_scaling.questions.base import records
    from bayes_scaling.runs.catalog import available_runs

    tables = available_runs()
    if as_json:
        print_json(records(tables))
        return
    for row in tables.itertuples():
        print(f"{row.name:<16}{row.title}\n{'':<16}{row.citation}\n{'':<16}licence: {row.licence}; {row.where}")


@app.command(epilog="Example: bayes-scaling thin runs.parquet --rows 20000 --out few.csv")
def thin(
    runs: Annotated[Path, typer.Argument(metavar="TABLE", help="A Parquet file or CSV of any length; it is read in parts.")],
    out: Annotated[Path, typer.Option(metavar="TABLE", help="Where to write the rows, .csv or .parquet.")],
    rows: Annotated[int, typer.Option(help="Rows to keep, at the most.")] = 20_000,
    model: Annotated[str | None, typer.Option(help="The model that is to be fitted.")] = None,
    columns: Columns = None,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Select rows of a table that is too large to fit, and report how much precision that loses."""
    from bayes_scaling.files import check_writable, refuse_overwriting, whole_file
    from bayes_scaling.model.thinning import thin as thinned
    from bayes_scaling.runs.cells import csv_of

    if out.suffix not in (".csv", ".parquet"):
        raise InvalidRequest(f"{out} cannot be written as a table: end its name in .csv or .parquet.")
    check_writable(out)
    refuse_overwriting(out, runs, model)
    few = thinned(runs, rows=rows, model=model, columns=columns_of(columns), seed=seed)
    table = few.table.drop(columns=[column for column in few.derived if column in few.table])
    with whole_file(out) as unfinished:
        if out.suffix == ".parquet":
            table.to_parquet(unfinished, index=False)
        else:
            unfinished.write_text(csv_of(table), encoding="utf-8", newline="")
    if as_json:
        print_json({"rows": len(few), "notes": list(few.notes), "table": str(out)})
        return
    for note in few.notes:
        print(note)
    print(f"{len(few):,} rows: {out}")


@app.command(epilog="Example: bayes-scaling fit runs.csv --model kappa --out fit.nc --seed 1 --columns params=N,tokens=D")
def fit(
    runs: Runs,
    out: Annotated[
        Path,
        typer.Option(
            metavar="FIT.nc", help="Where to write the fit; with --model auto, a folder if several laws are mixed."
        ),
    ],
    model: ModelOrAuto = None,
    by: By = None,
    shared_exponents: Annotated[
        bool, typer.Option("--shared-exponents", help="Whether the groups share exponents.")
    ] = False,
    discrepancy: Annotated[
        bool, typer.Option(help="Whether to include the model discrepancy, if the model has one.")
    ] = True,
    pin: Pins = None,
    robust: Annotated[
        bool,
        typer.Option(help="Whether to detect outlying rows and set them aside, each listed with its probability."),
    ] = True,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Accept a loss that rises with size, and count every copy of a repeated row.")
    ] = False,
    sampler: Annotated[
        str,
        typer.Option(help="auto, importance (numpy, seconds) or nuts (PyMC); auto takes the first that is exact enough."),
    ] = "auto",
    seed: Seed = 0,
    draws: ChainDraws = None,
    tune: ChainTune = 1000,
    chains: Annotated[int, typer.Option(help="Chains.")] = 4,
    target_accept: Annotated[
        float, typer.Option(help="Target acceptance rate of NUTS; raise it when there are divergences.")
    ] = 0.98,
    columns: Columns = None,
    best_of: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN,...",
            help="Columns that were swept, such as lr,warmup: fits the best run of each cell, corrected for selection bias.",
        ),
    ] = None,
    curves: Annotated[
        Path | None,
        typer.Option(
            metavar="TABLE", help="For a system of laws: table of points along the runs; shipped data sets include theirs."
        ),
    ] = None,
    where: Where = None,
    loss_unit: LossUnit = None,
    card: CardFile = None,
    facts: Given = None,
    full: Annotated[
        bool,
        typer.Option(
            "--full", help="Keep every digit of the draws, and the draws from the prior: a file five times as large."
        ),
    ] = False,
    prob: Prob = 0.9,
    as_json: AsJson = False,
) -> None:
    """Sample the posterior, save the fit and print its checks and its parameters with intervals; exit with 1 when a check failed."""
    from bayes_scaling.files import check_writable, refuse_overwriting
    from bayes_scaling.model.document import default_model, read_model
    from bayes_scaling.model.thinning import refuse_too_many
    from bayes_scaling.runs.catalog import runs_from
    from bayes_scaling.runs.to_fit import runs_to_fit

    refuse_overwriting(out, runs, curves, card, model)
    refuse_too_many(runs)
    pins = pairs(pin, "--pin")
    if model == AUTO:
        if pins or by or best_of or curves is not None:
            raise InvalidRequest(
                "--model auto does not combine with --pin, --by, --best-of or --curves: leave them out, or name one model."
            )
        settings = {"seed": seed, "draws": draws, "tune": tune, "chains": chains, "target_accept": target_accept}
        flags = {"discrepancy": discrepancy, "robust": robust, "sampler": sampler}
        table = runs_to_fit(table_of(runs, columns, where, loss_unit, card, facts=facts), anyway=anyway)
        _fit_by_forecasts(table, out, prob, {**settings, **flags}, full=full, as_json=as_json)
        return
    check_writable(out)
    given = (runs, columns, where, loss_unit, card)
    table = table_of(*given, facts=facts) if model is None else table_of(*given, read_model(model).needs, facts)
    model = model or default_model(table.table)
    read = read_model(model)
    if not table.has(read.needs):
        table = table_of(*given, read.needs, facts)  # which says what is missing, and in which rows of the file
    table = runs_to_fit(table, read.needs, anyway=anyway)
    of_runs = read.is_one and read.only.table == "runs"
    if curves is not None and of_runs:
        raise InvalidRequest(f"{model} takes no points along runs: leave --curves out.")
    points = None if curves is None else runs_from(curves, loss_unit=loss_unit, card=card, facts=facts_of(facts))
    from bayes_scaling.inference.sample import fit as sample
    from bayes_scaling.inference.sample import grouped, reduced
    from bayes_scaling.posterior.summary import described

    read = grouped(read, table, by or (), shared_exponents=shared_exponents)
    table = reduced(table, read, [column.strip() for column in best_of.split(",")] if best_of else ())
    for note in table.notes:
        say(note)
    if of_runs and not read.groupings:
        from bayes_scaling.model.design import identifiability

        for finding in identifiability(table, (read if discrepancy else read.without_discrepancy()).pinned(pins)).findings:
            say(finding)
    settings: dict[str, Any] = {"seed": seed, "draws": draws, "tune": tune, "chains": chains, "target_accept": target_accept}
    settings |= {"anyway": anyway, "sampler": sampler, "full": full}
    fitted = sample(table, read, curves=points, pin=pins, discrepancy=discrepancy, robust=robust, **settings)
    fitted.save(out, full=full)
    if as_json:
        print_json({"fit": str(out), **described(fitted, prob=prob)})
    else:
        print_checks(fitted)
        print()
        print_parameters(fitted, prob)
        print_forecast(fitted, out, prob)
    end(fitted)


def _fit_by_forecasts(
    table: RunTable, out: Path, prob: float, settings: dict[str, Any], *, full: bool, as_json: bool
) -> None:
    """Fit the laws that forecast the table's larger runs best; a mixture of several is a folder, as `weigh` writes it."""
    import time

    from bayes_scaling.evaluation.choice import candidates, choose
    from bayes_scaling.files import check_writable, sealed_json, write_whole
    from bayes_scaling.posterior.mixture import WEIGHTS
    from bayes_scaling.posterior.summary import described

    if not (out / WEIGHTS).is_file():
        check_writable(out)
    started, names = time.monotonic(), candidates(table.table)
    if len(names) > 1:
        say(f"Weighing {' and '.join(names)} by forecasts of the table's larger runs, where there are enough of them.")
    chosen = choose(table, **settings)
    posterior, sentence = chosen.posterior, f"{chosen.sentence} It took {time.monotonic() - started:.0f} s."
    if not posterior.weights:
        (fitted,) = posterior.parts.values()
        fitted.save(out, full=full)
        if as_json:
            print_json({"fit": str(out), "choice": sentence, **described(fitted, prob=prob)})
        else:
            print_checks(fitted)
            print(f"\n{sentence}\n")
            print_parameters(fitted, prob)
            print_forecast(fitted, out, prob)
        end(fitted)
        return
    assert chosen.weights is not None
    (out / WEIGHTS).unlink(missing_ok=True)
    posterior.save(out, full=full)
    document = {**json.loads(chosen.weights.to_json()), "weights": dict(posterior.weights)}
    write_whole(out / WEIGHTS, sealed_json(document))
    if as_json:
        print_json({"mixture": str(out), "choice": sentence, **document})
    else:
        print("\n".join([*verdicts(posterior), sentence, ""]))
        print_table(chosen.weights.table)
        print(f"\nMixture, a folder with a fit of each law: {out}")
    end(posterior)


@app.command(rich_help_panel="Trust", epilog="Example: bayes-scaling check fit.nc --again")
def check(
    stored: Stored,
    again: Annotated[
        bool,
        typer.Option("--again", help="Sample the posterior again with another seed and compare the two; takes seconds."),
    ] = False,
    seed: Annotated[int | None, typer.Option(help="Seed for --again; by default the seed of the fit plus one.")] = None,
    prob: Prob = 0.9,
    as_json: AsJson = False,
) -> None:
    """Print the checks and the parameters of a fit; exit with 1 when convergence fails, or a second seed does not agree."""
    from bayes_scaling.posterior.checks import checked
    from bayes_scaling.posterior.fit import load_fit
    from bayes_scaling.posterior.summary import described

    if seed is not None and not again:
        raise InvalidRequest("--seed is the seed of the second sample, which --again asks for: give both, or neither.")
    fitted, second = load_fit(stored), None
    if again:
        from bayes_scaling.inference.again import check_again

        second = check_again(fitted, seed=seed)
    # The checks are computed from the draws; those stored in the file are not used.
    fitted = checked(fitted)
    if as_json:
        compared = {} if second is None else {"again": second.to_dict()}
        print_json({"fit": str(stored), **described(fitted, prob=prob), **compared})
    else:
        if second is not None:
            print(f"{second.sentence}\n")
        print_checks(fitted)
        print()
        print_parameters(fitted, prob)
    if not fitted.converged or (second is not None and not second.agrees):
        raise typer.Exit(1)
