"""Verbs that evaluate models: identifiability, backtest, calibration, weights and comparison."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayes_scaling.cli import options
from bayes_scaling.cli.application import app
from bayes_scaling.cli.printing import print_json, print_table
from bayes_scaling.errors import InvalidRequest

if TYPE_CHECKING:
    from pandas import DataFrame

    from bayes_scaling.model.document import Model as ModelDocument


@app.command(rich_help_panel="Trust", epilog="Example: bayes-scaling design runs.csv --model kappa")
def design(
    runs: options.Runs,
    model: options.Model = None,
    columns: options.Columns = None,
    where: options.Where = None,
    loss_unit: options.LossUnit = None,
    card: options.CardFile = None,
    as_json: options.AsJson = False,
) -> None:
    """Print the expected information of a design about each parameter, and the most informative further run; no sampling."""
    from bayes_scaling.model.design import identifiability
    from bayes_scaling.model.document import default_model, read_model
    from bayes_scaling.questions.base import records
    from bayes_scaling.runs.catalog import runs_from

    table = options.table_of(runs, columns, where, loss_unit, card)
    read = read_model(model if model is not None else default_model(table.table))
    result = identifiability(runs_from(table, needs=read.needs), read)
    parameters = result.parameters.reset_index()
    if as_json:
        print_json({"parameters": records(parameters), "findings": result.findings, "weak": result.weak})
        return
    print_table(parameters)
    fine = "No problem of the design was found: the expected contraction of every parameter is at least 0.5."
    print("\n" + ("\n".join(result.findings) or fine))


@app.command(rich_help_panel="Trust", epilog="Example: bayes-scaling backtest runs.csv --model kappa --out backtest")
def backtest(
    runs: options.Runs,
    model: options.Model = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Folder for table, figure, JSON and the outcome of each split.")
    ] = None,
    over: options.Over = "compute_flops",
    per_decade: Annotated[int, typer.Option(help="Cuts per decade.")] = 4,
    least: options.Least = 15,
    baselines: Annotated[bool, typer.Option(help="Whether to score baselines on the same splits.")] = True,
    workers: options.Workers = 1,
    seed: options.Seed = 0,
    draws: options.ChainDraws = None,
    tune: options.ChainTune = 1000,
    columns: options.Columns = None,
    where: options.Where = None,
    loss_unit: options.LossUnit = None,
    card: options.CardFile = None,
    as_json: options.AsJson = False,
) -> None:
    """Forecast a table's own larger runs from its smaller ones at every cut: coverage and scores."""
    from bayes_scaling.files import whole_file, write_whole
    from bayes_scaling.runs.cells import csv_of

    if out is not None:
        _make_folder(out, "backtest.json", "scores.csv", "backtest.png", read=(runs, model, card))
    table = options.table_of(runs, columns, where, loss_unit, card)
    from bayes_scaling.evaluation.backtest import backtest as run_backtest
    from bayes_scaling.report.trials import plot_backtest

    splits: dict[str, Any] = {"over": over, "per_decade": per_decade, "least": least, "baselines": baselines}
    splits["store"] = None if out is None else out / "splits"
    result = run_backtest(table, model, seed=seed, draws=draws, tune=tune, workers=workers, **splits)
    if out is not None:
        write_whole(out / "backtest.json", result.to_json())
        write_whole(out / "scores.csv", csv_of(result.scores))
        with whole_file(out / "backtest.png") as unfinished:
            plot_backtest(result).savefig(unfinished, format="png", dpi=150, facecolor="white")
    if as_json:
        print(result.to_json())
        return
    print(f"{result.sentence}\n")
    scores, names = result.scores, ["coverage_0.5", "coverage_0.9", "interval_score", "crps", "log_score", "median_error"]
    written = {
        name: [f"{v:.3g}{f' ± {e:.2g}' if e == e else ''}" for v, e in zip(scores[name], scores[f"{name}_se"], strict=True)]
        for name in names
    }
    print_table(scores[["method", "forecasts", "runs", *names, "width"]].assign(**written))
    if out is not None:
        print(f"\nTable, figure and JSON: {out.resolve()}")


@app.command(
    rich_help_panel="Trust",
    epilog="Example: bayes-scaling certify runs.csv --model kappa --tables 200 --out certificate",
)
def certify(
    runs: options.Runs,
    out: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Folder for the page, its JSON and the outcome of each table.")
    ],
    model: options.Model = None,
    tables: Annotated[int, typer.Option(help="Simulated tables for each true law.")] = 200,
    broken: Annotated[bool, typer.Option(help="Whether to simulate from broken power laws, too.")] = True,
    workers: options.Workers = 1,
    seed: options.Seed = 0,
    draws: options.ChainDraws = None,
    tune: options.ChainTune = 1000,
    columns: options.Columns = None,
    where: options.Where = None,
    loss_unit: options.LossUnit = None,
    card: options.CardFile = None,
    as_json: options.AsJson = False,
) -> None:
    """Certify the calibration of a model on a design: simulate tables, fit each, and report ranks and coverage."""
    from bayes_scaling.files import write_whole

    _make_folder(out, "certificate.json", "certificate.html", read=(runs, model, card))
    table = options.table_of(runs, columns, where, loss_unit, card)
    from bayes_scaling.evaluation.certify import certify as certificate_of
    from bayes_scaling.report.certificate import write_certificate

    result = certificate_of(
        table, model, tables=tables, broken=broken, seed=seed, draws=draws, tune=tune, workers=workers, store=out / "tables"
    )
    write_whole(out / "certificate.json", result.to_json())
    page = write_certificate(result, out / "certificate.html")
    if as_json:
        print(result.to_json())
        return
    print(f"{result.sentence}\n")
    print_table(result.coverage)
    print(f"\nCertificate: {page.resolve()}")


@app.command(
    rich_help_panel="Fit",
    epilog="Example: bayes-scaling weigh runs.csv --model kappa --model chinchilla --out mixture",
)
def weigh(
    runs: options.Runs,
    out: Annotated[
        Path,
        typer.Option(metavar="FOLDER", help="Folder for the fits and their weights, which predict and other commands read."),
    ],
    model: Annotated[
        list[str] | None,
        typer.Option(help="Model document (TOML), or name of a shipped model; at least two, or one with --by."),
    ] = None,
    by: options.By = None,
    over: Annotated[
        str | None, typer.Option(help="Column by which runs are split; by default compute_flops, or what the law takes.")
    ] = None,
    per_decade: Annotated[int, typer.Option(help="Cuts per decade.")] = 2,
    least: options.Least = 15,
    workers: options.Workers = 1,
    seed: options.Seed = 0,
    columns: options.Columns = None,
    where: options.Where = None,
    loss_unit: options.LossUnit = None,
    card: options.CardFile = None,
    as_json: options.AsJson = False,
) -> None:
    """Weigh several laws by their forecasts of the table's own larger runs, and save the mixture of their fits.

    With --by COLUMN each law counts twice: its groups with exponents of their own, and with shared ones.
    """
    from bayes_scaling.files import write_whole
    from bayes_scaling.model.document import default_model, read_model

    _make_folder(out, "weights.json", read=(runs, card, *(model or ())))
    table = options.table_of(runs, columns, where, loss_unit, card)
    model = model or ([default_model(table.table)] if by else [])
    named = {Path(entry).stem: read_model(entry) for entry in model}
    if len(named) < len(model):
        raise InvalidRequest(f"Two of the models {', '.join(model)} have the same name: give each a name of its own.")
    if by:
        named = _both_exponents(named, table.table, by)
    from bayes_scaling.evaluation.origins import NoCut
    from bayes_scaling.evaluation.weights import weigh as weights_of
    from bayes_scaling.evaluation.weights import weigh_left_out
    from bayes_scaling.inference.sample import fit
    from bayes_scaling.posterior.mixture import WEIGHTS, Mixture

    splits: dict[str, Any] = {"over": over, "per_decade": per_decade, "least": least, "store": out / "splits"}
    try:
        result = weights_of(table, named, seed=seed, workers=workers, **splits)
    except NoCut:
        if not by:
            raise
        result = None
    fits = {name: fit(table, entry, seed=seed) for name, entry in named.items()}
    result = result or weigh_left_out(fits)
    mixture = Mixture(fits, result.weights)
    mixture.save(out)
    write_whole(out / WEIGHTS, result.to_json())
    if as_json:
        print(result.to_json())
        return
    print(f"{mixture.verdict}\n{result.sentence}\n")
    print_table(result.table)
    use = "recipes {out} --baseline LABEL --compute 1e21" if by else "predict {out} --params 7e10 --tokens 1.4e12"
    print(f"\nMixture: {out.resolve()}\nUse it: bayes-scaling {use.format(out=out)}")


def _make_folder(out: Path, *written: str, read: tuple[object, ...]) -> None:
    """Make a folder of results, or refuse one in which a result would be written over what is read."""
    from bayes_scaling.files import make_folder, refuse_overwriting

    make_folder(out)
    for name in written:
        refuse_overwriting(out / name, *read)


def _both_exponents(named: dict[str, ModelDocument], table: DataFrame, by: list[str]) -> dict[str, ModelDocument]:
    """Return every model twice, pooled over groups with exponents of their own and with shared ones."""
    from bayes_scaling.model.grouping import check_groups

    check_groups(table, by)
    forms = {"own_exponents": False, "shared_exponents": True}
    return {
        form if len(named) == 1 else f"{name}_{form}": model.by(*by, shared_exponents=shared)
        for name, model in named.items()
        for form, shared in forms.items()
    }


@app.command(rich_help_panel="Trust", epilog="Example: bayes-scaling compare paper.nc offset.nc")
def compare(
    stored: Annotated[list[Path], typer.Argument(metavar="FIT.nc ...", help="Fits of the same rows by different models.")],
    as_json: options.AsJson = False,
) -> None:
    """Compare models by their expected log predictive density of left-out runs."""
    from bayes_scaling.evaluation.compare import compare as compare_fits
    from bayes_scaling.posterior.fit import load_fit
    from bayes_scaling.questions.base import records

    paths = {path.stem: path for path in stored}
    if len(paths) < len(stored):
        raise InvalidRequest("Two of the fits have files of the same name: give each a name of its own.")
    fits = {name: load_fit(path) for name, path in paths.items()}
    table = compare_fits(fits)
    if as_json:
        print_json({"comparison": records(table), "converged": {name: fit.converged for name, fit in fits.items()}})
        return
    for name, fit in fits.items():
        if not fit.converged:
            print(f"{name}: {fit.verdict}")
    print_table(table)
    print(
        "\nelpd: expected log predictive density of left-out runs, summed over runs. Differences below about 4, or below several "
        "standard errors, are not a preference."
    )
