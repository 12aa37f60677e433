"""How far to trust a forecast before it is made: the table's own past."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bayes_scaling.cli.application import app
from bayes_scaling.cli.options import (
    AsJson,
    CardFile,
    ChainDraws,
    ChainTune,
    Columns,
    Least,
    LossUnit,
    Model,
    Over,
    Runs,
    Seed,
    Where,
    Workers,
    table_of,
)
from bayes_scaling.cli.printing import print_json, print_table, records, say
from bayes_scaling.errors import InvalidRequest


@app.command(rich_help_panel="Evaluation", epilog="Example: bayes-scaling design runs.csv --model kappa")
def design(
    runs: Runs,
    model: Model = None,
    columns: Columns = None,
    where: Where = None,
    loss_unit: LossUnit = None,
    card: CardFile = None,
    as_json: AsJson = False,
) -> None:
    """Say what a table of runs can tell of each parameter, and which further run would tell more; nothing is sampled."""
    from bayes_scaling.model.design import identifiability
    from bayes_scaling.model.document import default_model, read_model
    from bayes_scaling.runs.catalog import runs_from

    table = table_of(runs, columns, where, loss_unit, card)
    read = read_model(model if model is not None else default_model(table.table))
    found = identifiability(runs_from(table, needs=read.needs), read)
    if as_json:
        print_json(
            {"parameters": records(found.parameters.reset_index()), "findings": list(found.findings), "weak": found.weak}
        )
        return
    print_table(found.parameters.reset_index())
    print("\n" + ("\n".join(found.findings) or "Nothing is wrong with the design: the runs will narrow every prior."))


@app.command(rich_help_panel="Evaluation", epilog="Example: bayes-scaling backtest runs.csv --model kappa --out backtest")
def backtest(
    runs: Runs,
    model: Model = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Folder for table, figure and JSON; it also keeps each outcome.")
    ] = None,
    over: Over = "compute_flops",
    per_decade: Annotated[int, typer.Option(help="Cuts a decade.")] = 4,
    least: Least = 15,
    baselines: Annotated[bool, typer.Option(help="Whether to score what is done today on the same splits.")] = True,
    workers: Workers = 1,
    seed: Seed = 0,
    draws: ChainDraws = 1000,
    tune: ChainTune = 1000,
    columns: Columns = None,
    where: Where = None,
    loss_unit: LossUnit = None,
    card: CardFile = None,
    as_json: AsJson = False,
) -> None:
    """Forecast a table's own larger runs from its smaller ones, at every cut, and count how often the intervals held."""
    from bayes_scaling.files import make_folder, write_whole

    if out is not None:
        make_folder(out)
    table = table_of(runs, columns, where, loss_unit, card)
    from bayes_scaling.evaluation.backtest import backtest as forecast_the_past
    from bayes_scaling.report.trials import plot_backtest

    say("Compiling and sampling: some seconds a split.")
    found = forecast_the_past(
        table,
        model,
        over=over,
        per_decade=per_decade,
        least=least,
        baselines=baselines,
        seed=seed,
        draws=draws,
        tune=tune,
        workers=workers,
        store=out / "splits" if out is not None else None,
    )
    if out is not None:
        write_whole(out / "backtest.json", found.to_json())
        write_whole(out / "scores.csv", found.scores.to_csv(index=False))
        plot_backtest(found).savefig(out / "backtest.png", dpi=150, facecolor="white")
    if as_json:
        print(found.to_json())
        return
    print(f"{found.sentence}\n")
    shown = [
        "method",
        "runs",
        "coverage_0.5",
        "coverage_0.9",
        "interval_score",
        "crps",
        "log_score",
        "median_error",
        "width",
    ]
    print_table(found.scores[shown])
    if out is not None:
        print(f"\nTable, figure and JSON are in {out.resolve()}")


@app.command(
    rich_help_panel="Evaluation",
    epilog="Example: bayes-scaling certify runs.csv --model kappa --tables 200 --out certificate",
)
def certify(
    runs: Runs,
    out: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Folder for the page and its JSON; it also keeps each outcome.")
    ],
    model: Model = None,
    tables: Annotated[int, typer.Option(help="Simulated tables for each truth.")] = 200,
    broken: Annotated[bool, typer.Option(help="Whether to simulate from laws that break, too.")] = True,
    workers: Workers = 1,
    seed: Seed = 0,
    draws: ChainDraws = 500,
    tune: ChainTune = 500,
    columns: Columns = None,
    where: Where = None,
    loss_unit: LossUnit = None,
    card: CardFile = None,
    as_json: AsJson = False,
) -> None:
    """Simulate tables for a design, fit each, and certify whether intervals hold what they say."""
    from bayes_scaling.files import make_folder, write_whole

    make_folder(out)
    table = table_of(runs, columns, where, loss_unit, card)
    from bayes_scaling.evaluation.certify import certify as certificate_of
    from bayes_scaling.report.certificate import write_certificate

    say("Compiling, then some seconds a table.")
    found = certificate_of(
        table,
        model,
        tables=tables,
        broken=broken,
        seed=seed,
        draws=draws,
        tune=tune,
        workers=workers,
        store=out / "tables",
    )
    write_whole(out / "certificate.json", found.to_json())
    page = write_certificate(found, out / "certificate.html")
    if as_json:
        print(found.to_json())
        return
    print(f"{found.sentence}\n")
    print_table(found.coverage)
    print(f"\nThe certificate is {page.resolve()}")


@app.command(
    rich_help_panel="Evaluation",
    epilog="Example: bayes-scaling weigh runs.csv --model kappa --model chinchilla --out mixture",
)
def weigh(
    runs: Runs,
    model: Annotated[list[str], typer.Option(help="TOML document, or name of a shipped model; give two at least.")],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder for the fits and their weights: predict takes it.")],
    over: Over = "compute_flops",
    per_decade: Annotated[int, typer.Option(help="Cuts a decade.")] = 2,
    least: Least = 15,
    workers: Workers = 1,
    seed: Seed = 0,
    columns: Columns = None,
    where: Where = None,
    loss_unit: LossUnit = None,
    card: CardFile = None,
    as_json: AsJson = False,
) -> None:
    """Weigh several laws by how each forecasts the table's own larger runs, fit them all, and keep the mixture."""
    from bayes_scaling.files import make_folder, write_whole

    make_folder(out)
    named = {Path(entry).stem: entry for entry in model}
    if len(named) < len(model):
        raise InvalidRequest(f"Two of the models {', '.join(model)} have the same name: give each a name of its own.")
    table = table_of(runs, columns, where, loss_unit, card)
    from bayes_scaling.evaluation.weights import weigh as weights_of
    from bayes_scaling.inference.sample import fit
    from bayes_scaling.posterior.mixture import WEIGHTS, Mixture

    say("Compiling and sampling: some seconds a split and model.")
    found = weights_of(
        table, named, over=over, per_decade=per_decade, least=least, seed=seed, workers=workers, store=out / "splits"
    )
    (out / WEIGHTS).unlink(missing_ok=True)  # until every fit is there, the folder is no mixture
    fits = {name: fit(table, entry, seed=seed) for name, entry in named.items()}
    mixture = Mixture(fits, found.weights)
    mixture.save(out)
    write_whole(out / WEIGHTS, found.to_json())
    if as_json:
        print(found.to_json())
        return
    print(f"{mixture.verdict}\n{found.sentence}\n")
    print_table(found.table)
    print(f"\nThe mixture is in {out.resolve()}: bayes-scaling predict {out} --params 7e10 --tokens 1.4e12")


@app.command(rich_help_panel="Evaluation", epilog="Example: bayes-scaling compare paper.nc offset.nc")
def compare(
    stored: Annotated[list[Path], typer.Argument(metavar="FIT.nc ...", help="Fits of the same rows by different models.")],
    as_json: AsJson = False,
) -> None:
    """Say which model the runs prefer, by how well each predicts a run that is left out."""
    from bayes_scaling.evaluation.compare import compare as compare_fits
    from bayes_scaling.posterior.fit import load_fit

    names = [path.stem for path in stored]
    if len(set(names)) < len(names):
        raise InvalidRequest("Two of the fits have files of the same name: give each a name of its own.")
    fits = {name: load_fit(path) for name, path in zip(names, stored, strict=True)}
    table = compare_fits(fits)
    if as_json:
        print_json({"comparison": records(table), "converged": {name: fit.converged for name, fit in fits.items()}})
        return
    for name, fit in fits.items():
        if not fit.converged:
            print(f"{name}: {fit.verdict}")
    print_table(table)
    print(
        "\nelpd: expected log density of a left-out run, summed over runs. A difference of several standard errors is a "
        "preference, unless it is below four or so."
    )
