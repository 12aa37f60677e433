"""The command line: a verb reads its request, calls one function, and prints text or JSON."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayes_scaling.errors import BayesScalingError, InvalidRequest
from bayes_scaling.printing import (
    budget_said,
    complain,
    print_checks,
    print_json,
    print_table,
    records,
    say,
    show_warnings_once,
    summary_of,
    verdict_of,
)

if TYPE_CHECKING:
    from bayes_scaling.fits import Fit

# What a verb needs is imported inside it, so that --help is instant and a stored fit is queried without PyMC.

app = typer.Typer(
    name="bayes-scaling",
    help="Bayesian scaling laws: from measured training runs to honest forecasts and compute budgets.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Stored = Annotated[Path, typer.Argument(metavar="FIT.nc", help="A fit that `bayes-scaling fit` wrote.")]
Prob = Annotated[float, typer.Option(help="Probability of the intervals.")]
Group = Annotated[
    list[str] | None, typer.Option(metavar="COLUMN=LABEL", help="Group of the run; repeat for several columns.")
]
Columns = Annotated[str | None, typer.Option(metavar="params=N,...", help="Canonical names of columns and the table's own.")]
OfOne = Annotated[
    str | None,
    typer.Option("--observation", metavar="NAME", help="Of a system of laws: the observation whose law is asked."),
]
Seed = Annotated[int, typer.Option(help="The same seed gives the same answer.")]


def main() -> None:
    """Run the command line; every mistake of the user's is one sentence on standard error and exit code 2."""
    show_warnings_once()
    try:
        app()
    except BayesScalingError as error:
        sys.exit(complain(str(error), 2))
    except BrokenPipeError:
        sys.exit(141)
    except KeyboardInterrupt:
        sys.exit(complain("Interrupted; nothing was written.", 130))


@app.command(epilog="Example: bayes-scaling demo --out demo")
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the fit and the report; made if missing.")] = Path("demo"),
    as_json: AsJson = False,
) -> None:
    """Forecast the largest runs of the shipped ladder from its smaller ones: see what all this is for."""
    from bayes_scaling.datasets import load_runs
    from bayes_scaling.decisions.budget import allocate, budget_table
    from bayes_scaling.files import make_folder
    from bayes_scaling.inference import fit as sample
    from bayes_scaling.prediction import inside, predict_table
    from bayes_scaling.report import write_report

    make_folder(out)
    runs = load_runs("ladder").where("series in ['size', 'compute']")
    small, large = runs.where("compute_flops < 1e13"), runs.where("compute_flops > 1e13").table
    say(f"Fitting kappa to the {len(small)} runs below 1e13 FLOP of {runs.name}: {runs.card.title}.")
    found = sample(small, "kappa", seed=1)
    fit_path = found.save(out / "fit.nc")
    predicted, budget = predict_table(found, large), budget_table(allocate(found, compute=1e14)).iloc[0]
    report = write_report(found, out / "report.html", held_out=large)
    count = int(inside(predicted["loss"], predicted["lower"], predicted["upper"]).sum())
    if as_json:
        print_json(
            {
                "converged": found.converged,
                "verdict": found.verdict,
                "forecast": records(predicted[["run_id", "loss", "median", "lower", "upper"]]),
                "inside": count,
                "budget": budget.to_dict(),
                "fit": str(fit_path),
                "report": str(report.resolve()),
            }
        )
        return
    print(found.verdict)
    print(f"\nForecast of the {len(large)} larger runs it has not seen, 90 % intervals:")
    print_table(predicted[["run_id", "loss", "median", "lower", "upper", "reach_compute_flops"]])
    print(f"{count} of {len(large)} measured a loss inside their interval.\n")
    print(budget_said(budget, 0.9, found.loss_unit))
    print(f"\nThe fit is {fit_path}, the report {report.resolve()}")


@app.command(epilog="Example: bayes-scaling laws --json")
def laws(as_json: AsJson = False) -> None:
    """List the laws, their inputs, parameters and sources."""
    from bayes_scaling.laws import LAWS

    found = [
        {
            "law": law.name,
            "summary": law.summary,
            "formula": law.formula,
            "inputs": list(law.inputs),
            "parameters": list(law.parameters),
            "output": law.output,
            "source": law.source,
            "equation": law.equation,
        }
        for law in LAWS.values()
    ]
    if as_json:
        print_json(found)
        return
    for law in found:
        print(f"{law['law']}({', '.join(law['inputs'])}; {', '.join(law['parameters'])}) -> {law['output']}")
        print(f"    {law['formula']}\n    {law['source']}, {law['equation']}")


@app.command(epilog="Example: bayes-scaling models")
def models(as_json: AsJson = False) -> None:
    """List the shipped model documents: models of one law, then systems of laws."""
    from bayes_scaling.documents import read_model, shipped_models, shipped_systems

    one_law = {name: read_model(name) for name in shipped_models()}
    several = {name: read_model(name) for name in shipped_systems()}
    found = [{"model": name, "law": spec.law, "title": spec.title} for name, spec in one_law.items()]
    for name, spec in several.items():
        laws_of = ", ".join(dict.fromkeys(observation.law for observation in spec.observations))
        found.append({"model": name, "law": laws_of, "title": spec.title})
    if as_json:
        print_json(found)
        return
    for model in found:
        print(f"{model['model']:<22}{model['title']}")


@app.command(epilog="Example: bayes-scaling data")
def data(as_json: AsJson = False) -> None:
    """List the measured runs that can be named instead of a file."""
    from bayes_scaling.datasets import available_runs

    found = available_runs()
    if as_json:
        print_json(records(found))
        return
    for row in found.itertuples():
        print(f"{row.name:<16}{row.title}\n{'':<16}{row.citation}\n{'':<16}licence: {row.licence}; {row.where}")


@app.command(epilog="Example: bayes-scaling fit runs.csv --model kappa --out fit.nc --seed 1 --columns params=N,tokens=D")
def fit(
    runs: Annotated[str, typer.Argument(metavar="RUNS", help="CSV, Parquet or JSON Lines table, or name of a data set.")],
    model: Annotated[str, typer.Option(help="TOML document, or name of a shipped model.")],
    out: Annotated[Path, typer.Option(metavar="FIT.nc", help="Where to write the fit.")],
    seed: Seed = 0,
    draws: Annotated[int, typer.Option(help="Draws kept of each chain.")] = 2000,
    tune: Annotated[int, typer.Option(help="Draws of warm-up of each chain.")] = 1000,
    chains: Annotated[int, typer.Option(help="Chains.")] = 4,
    target_accept: Annotated[float, typer.Option(help="Acceptance rate; raise it against divergences.")] = 0.98,
    columns: Columns = None,
    where: Annotated[str | None, typer.Option(metavar="CONDITION", help="Rows to keep, such as 'params < 1e9'.")] = None,
    loss_unit: Annotated[str | None, typer.Option(help="nats/token, bits/token or bits/byte; over the card's.")] = None,
    card: Annotated[Path | None, typer.Option(help="Data card; by default card.toml beside the table.")] = None,
    as_json: AsJson = False,
) -> None:
    """Sample the posterior, save the fit and print the convergence checks."""
    from bayes_scaling.datasets import runs_from
    from bayes_scaling.documents import read_model
    from bayes_scaling.files import check_writable
    from bayes_scaling.specification import ModelSpec

    check_writable(out)
    spec = read_model(model)
    needs = spec.needs if isinstance(spec, ModelSpec) else ("loss",)
    table = runs_from(runs, columns=_columns(columns), loss_unit=loss_unit, card=card, needs=needs)
    if where:
        table = table.where(where)
    from bayes_scaling.inference.joint import sample_system
    from bayes_scaling.inference.nuts import Settings
    from bayes_scaling.inference.sampling import Sampler

    settings = Settings(seed=seed, draws=draws, tune=tune, chains=chains, target_accept=target_accept)
    say("Compiling the model: some seconds, up to half a minute the first time.")
    if isinstance(spec, ModelSpec):
        found = Sampler(spec, table).fit(table, settings)
    else:
        found = sample_system(spec, table, None, settings)
    found.save(out)
    if as_json:
        print_json({"fit": str(out), **verdict_of(found), "checks": list(found.checks), "parameters": summary_of(found)})
        return
    print_checks(found)
    print(f"\nThe fit is {out}")


@app.command(epilog="Example: bayes-scaling check fit.nc")
def check(stored: Stored, as_json: AsJson = False) -> None:
    """Print the convergence checks of a fit; exit with 1 when one fails."""
    from dataclasses import replace

    from bayes_scaling.diagnostics import check as checks_of
    from bayes_scaling.fits import load_fit

    found = load_fit(stored)
    # The verdict is worked out anew from the draws: what the file says of itself is not taken on trust.
    found = replace(found, checks=tuple(checks_of(found).to_dict("records")))  # pyright: ignore[reportArgumentType]
    if as_json:
        print_json({"fit": str(stored), **verdict_of(found), "checks": list(found.checks)})
    else:
        print_checks(found)
    if not found.converged:
        raise typer.Exit(1)


@app.command(epilog="Example: bayes-scaling predict fit.nc --params 7e10 --tokens 1.4e12 --prob 0.9")
def predict(
    stored: Stored,
    inputs: Annotated[Path | None, typer.Option(metavar="TABLE.csv", help="Runs to predict, one a row.")] = None,
    params: Annotated[float | None, typer.Option(help="N of the one run to predict.")] = None,
    tokens: Annotated[float | None, typer.Option(help="D of the one run to predict.")] = None,
    compute: Annotated[float | None, typer.Option(help="C of the one run, FLOP.")] = None,
    values: Annotated[
        list[str] | None, typer.Option("--input", metavar="COLUMN=NUMBER", help="Any other input of the law.")
    ] = None,
    group: Group = None,
    observation: OfOne = None,
    prob: Prob = 0.9,
    seed: Seed = 0,
    columns: Columns = None,
    out: Annotated[Path | None, typer.Option(metavar="PREDICTIONS.csv", help="Where to write the table.")] = None,
    as_json: AsJson = False,
) -> None:
    """Predict the loss of runs: a new run's measured loss and the law's expected loss, two intervals."""
    from bayes_scaling.files import check_writable, write_whole
    from bayes_scaling.prediction import predict_table
    from bayes_scaling.runs import read_inputs

    named = {"params": params, "tokens": tokens, "compute_flops": compute}
    given = {column: value for column, value in named.items() if value is not None}
    for column, value in _numbers(values).items():
        if column in given:
            raise InvalidRequest(f"{column} was given twice: once is enough.")
        given[column] = value
    if (inputs is None) == (not given):
        raise InvalidRequest("Give either --inputs TABLE.csv, or the one run as --params and --tokens.")
    if out is not None:
        check_writable(out)
    found, labels = _of_one_law(stored, observation), _pairs(group, "--group")
    if inputs is None:
        _one_prediction(found, given, labels, prob, seed, as_json, out)
        return
    table = read_inputs(inputs, columns=_columns(columns), needs=list(found.spec.columns.values()))
    for column, label in labels.items():
        if column not in found.spec.group_columns:
            raise InvalidRequest(f"The model does not vary by {column!r}: leave --group {column}=... out.")
        table[column] = label
    predicted = predict_table(found, table, prob=prob, seed=seed)
    if out is not None:
        write_whole(out, predicted.to_csv(index=False))
    if as_json:
        answer: dict[str, Any] = {"prob": prob, "loss_unit": found.loss_unit, **verdict_of(found)}
        print_json(answer | ({"out": str(out), "rows": len(predicted)} if out else {"predictions": records(predicted)}))
    elif out is not None:
        print(f"{len(predicted)} predictions with {100 * prob:g} % intervals are in {out}")
    else:
        print(predicted.to_csv(index=False), end="")


def _one_prediction(
    found: Fit, given: Mapping[str, float], group: dict[str, str], prob: float, seed: int, as_json: bool, out: Path | None
) -> None:
    import pandas as pd

    from bayes_scaling.files import write_whole
    from bayes_scaling.prediction import intervals
    from bayes_scaling.prediction import predict as predict_loss
    from bayes_scaling.reach import reach_sentence

    answer = intervals(predict_loss(found, group=group, seed=seed, **given), prob)
    numbers = {str(n): float(v) for n, v in (answer.coords | answer.data_vars).items()}
    if out is not None:
        write_whole(out, pd.DataFrame([{**numbers, **group}]).to_csv(index=False))
    if as_json:
        print_json({**numbers, "prob": prob, "loss_unit": found.loss_unit, "group": group, **verdict_of(found)})
        return
    print(
        f"A new run would measure {numbers['median']:.4f} {found.loss_unit} "
        f"({100 * prob:g} % interval {numbers['lower']:.4f} to {numbers['upper']:.4f});\n"
        f"the law's expected loss lies in {numbers['mean_lower']:.4f} to {numbers['mean_upper']:.4f} ({100 * prob:g} %)."
    )
    print(f"The run is {reach_sentence({n.removeprefix('reach_'): v for n, v in numbers.items() if 'reach_' in n})}.")


@app.command(epilog="Example: bayes-scaling allocate fit.nc --compute 5.76e23 --risk cvar:0.9")
def allocate(
    stored: Stored,
    compute: Annotated[list[float], typer.Option(help="Budget, FLOP; repeat for several.")],
    risk: Annotated[str, typer.Option(help="What to make small: mean, quantile:0.9 or cvar:0.9 of the loss.")] = "mean",
    group: Group = None,
    observation: OfOne = None,
    prob: Prob = 0.9,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Split a compute budget between parameters and tokens, with credible intervals."""
    from bayes_scaling.decisions.budget import allocate as allocate_budget
    from bayes_scaling.decisions.budget import budget_table

    found = _of_one_law(stored, observation)
    table = budget_table(allocate_budget(found, compute=compute, risk=risk, group=_pairs(group, "--group"), seed=seed), prob)
    if as_json:
        rows = [
            {**row, "prob": prob, "risk": risk, "loss_unit": found.loss_unit, **verdict_of(found)} for row in records(table)
        ]
        print_json(rows[0] if len(rows) == 1 else rows)
        return
    for _, row in table.iterrows():
        print(budget_said(row, prob, found.loss_unit))


@app.command(epilog="Example: bayes-scaling derive fit.nc critical_batch --input loss=2.0")
def derive(
    stored: Stored,
    law: Annotated[str, typer.Argument(metavar="LAW", help="A law whose parameters the fit has: see `bayes-scaling laws`.")],
    values: Annotated[
        list[str] | None, typer.Option("--input", metavar="COLUMN=NUMBER", help="Input of the law; repeat for several.")
    ] = None,
    prob: Prob = 0.9,
    as_json: AsJson = False,
) -> None:
    """Say what follows from a fit: any law on its posterior, with an interval."""
    from bayes_scaling.derived import derive as derive_law
    from bayes_scaling.fits import load_fit
    from bayes_scaling.prediction import interval

    found = load_fit(stored)
    given = _numbers(values)
    median, lower, upper = (float(bound) for bound in interval(derive_law(found, law, **given), prob))
    if as_json:
        answer = {"law": law, **given, "median": median, "lower": lower, "upper": upper, "prob": prob}
        print_json(answer | verdict_of(found))
        return
    if not found.converged:
        print(found.verdict)
    print(f"{law}: {median:.4g} ({100 * prob:g} % interval {lower:.4g} to {upper:.4g})")


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
    as_json: AsJson = False,
) -> None:
    """Write the report of a fit: one self-contained page."""
    from bayes_scaling.files import check_writable
    from bayes_scaling.report import write_report
    from bayes_scaling.runs import read_inputs

    check_writable(out)
    found = _of_one_law(stored, observation)
    truth = None
    if held_out is not None:
        truth = read_inputs(held_out, columns=_columns(columns), needs=[*found.spec.columns.values(), "loss"])
    path = write_report(found, out, prob=prob, budgets=compute or None, group=_pairs(group, "--group"), held_out=truth)
    if as_json:
        print_json({"report": str(path.resolve()), **verdict_of(found)})
    else:
        print(found.verdict)
        print(f"The report is {path.resolve()}")


def _of_one_law(stored: Path, observation: str | None) -> Fit:
    """Return the stored fit, or the one observation of it that is asked, where it is of a system of laws."""
    from bayes_scaling.fits import JointFit, load_fit

    found = load_fit(stored)
    if isinstance(found, JointFit):
        names = ", ".join(o.name for o in found.spec.observations)
        if observation is None:
            raise InvalidRequest(f"{stored} is a fit of a system of laws: say --observation with one of {names}.")
        return found.of(observation)
    if observation is not None:
        raise InvalidRequest(f"{stored} is a fit of one law, {found.spec.law}: leave --observation {observation} out.")
    return found


def _pairs(entries: list[str] | None, option: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in entries or ():
        name, mark, value = (part.strip() for part in entry.partition("="))
        if not mark or not name or not value:
            raise InvalidRequest(f"{option} {entry!r} is not of the form NAME=VALUE.")
        if name in found:
            raise InvalidRequest(f"{option} gives {name} twice: give it once.")
        found[name] = value
    return found


def _columns(text: str | None) -> dict[str, str]:
    return _pairs(text.split(",") if text else [], "--columns")


def _numbers(entries: list[str] | None) -> dict[str, float]:
    found = {}
    for name, text in _pairs(entries, "--input").items():
        try:
            found[name] = float(text)
        except ValueError:
            raise InvalidRequest(f"--input {name}={text} is not a number.") from None
    return found
