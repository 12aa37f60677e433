"""What a stored fit is asked: predictions, budgets, what follows, and the page that says it all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayes_scaling.cli.options import (
    AsJson,
    Columns,
    Group,
    OfOne,
    Prob,
    Seed,
    Stored,
    app,
    columns_of,
    numbers,
    of_one_law,
    pairs,
)
from bayes_scaling.cli.printing import budget_said, print_json, records, say, verdict_of
from bayes_scaling.errors import InvalidRequest

if TYPE_CHECKING:
    import pandas as pd

    from bayes_scaling.posterior.fit import Fit


@app.command(epilog="Example: bayes-scaling predict fit.nc --params 7e10 --tokens 1.4e12 --prob 0.9")
def predict(
    stored: Annotated[
        Path, typer.Argument(metavar="FIT.nc", help="A fit, or the folder of a mixture that `bayes-scaling weigh` wrote.")
    ],
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
    """Predict the loss of runs: a new run's measured loss and its expected loss, two intervals."""
    import pandas as pd

    from bayes_scaling.files import check_writable
    from bayes_scaling.posterior.rows import continued_rows, predict_table
    from bayes_scaling.runs.table import read_inputs

    named = {"params": params, "tokens": tokens, "compute_flops": compute}
    given = {column: value for column, value in named.items() if value is not None}
    for column, value in numbers(values).items():
        if column in given:
            raise InvalidRequest(f"{column} was given twice: once is enough.")
        given[column] = value
    if (inputs is None) == (not given):
        raise InvalidRequest("Give either --inputs TABLE.csv, or the one run as --params and --tokens.")
    if out is not None:
        check_writable(out)
    labels = pairs(group, "--group")
    if stored.is_dir():
        if observation is not None:
            raise InvalidRequest(f"{stored} is a mixture of fits of one law: leave --observation {observation} out.")
        table = pd.DataFrame([given]) if inputs is None else read_inputs(inputs, columns=columns_of(columns))
        _mixed_predictions(stored, table.assign(**labels), [*given, *labels], prob, seed, as_json, out)
        return
    found = of_one_law(stored, observation)
    if inputs is None:
        _one_prediction(found, given, labels, prob, seed, as_json, out)
        return
    table = read_inputs(inputs, columns=columns_of(columns), needs=list(found.model.only.columns.values()))
    for column, label in labels.items():
        if column not in found.model.group_columns:
            raise InvalidRequest(f"The model does not vary by {column!r}: leave --group {column}=... out.")
        table[column] = label
    predicted = predict_table(found, table, prob=prob, seed=seed)
    seen = int((continued_rows(found, table) >= 0).sum())
    if seen:
        say(
            f"{seen} of {len(table)} rows continue runs that the fit has seen and are conditioned on them: without run_id they would be new runs."
        )
    about: dict[str, Any] = {"prob": prob, "loss_unit": found.loss_unit, **verdict_of(found)}
    _tell_table(predicted, about, prob, as_json, out)


def _mixed_predictions(
    stored: Path, table: pd.DataFrame, asked: list[str], prob: float, seed: int, as_json: bool, out: Path | None
) -> None:
    from bayes_scaling.posterior.mixture import load_mixture

    found = load_mixture(stored)
    for column in asked:
        if not found.takes(column):
            raise InvalidRequest(f"No fit of the mixture {stored} takes {column!r}: leave it out.")
    predicted = found.predict_table(table, prob=prob, seed=seed)
    say(found.sentence)
    about = {"prob": prob, "loss_unit": found.loss_unit, "weights": dict(found.weights), **verdict_of(found)}
    _tell_table(predicted, about, prob, as_json, out)


def _tell_table(predicted: pd.DataFrame, about: dict[str, Any], prob: float, as_json: bool, out: Path | None) -> None:
    from bayes_scaling.files import write_whole

    if out is not None:
        write_whole(out, predicted.to_csv(index=False))
    if as_json:
        print_json(about | ({"out": str(out), "rows": len(predicted)} if out else {"predictions": records(predicted)}))
    elif out is not None:
        print(f"{len(predicted)} predictions with {100 * prob:g} % intervals are in {out}")
    else:
        print(predicted.to_csv(index=False), end="")


def _one_prediction(
    found: Fit, given: Mapping[str, float], group: dict[str, str], prob: float, seed: int, as_json: bool, out: Path | None
) -> None:
    import pandas as pd

    from bayes_scaling.files import write_whole
    from bayes_scaling.posterior.extrapolation import reach_sentence
    from bayes_scaling.posterior.predict import intervals
    from bayes_scaling.posterior.predict import predict as predict_loss
    from bayes_scaling.posterior.variance import shares_of, shares_sentence

    prediction = predict_loss(found, group=group, seed=seed, **given)
    answer, shares = intervals(prediction, prob), shares_of(prediction)
    told = {str(n): float(v) for n, v in (answer.coords | answer.data_vars).items()}
    if out is not None:
        write_whole(out, pd.DataFrame([{**told, **group}]).to_csv(index=False))
    if as_json:
        spread = {f"share_of_{n}" if n != "sd" else "log_sd": float(v) for n, v in shares.data_vars.items()}
        print_json({**told, **spread, "prob": prob, "loss_unit": found.loss_unit, "group": group, **verdict_of(found)})
        return
    print(
        f"A new run would measure {told['median']:.4f} {found.loss_unit} "
        f"({100 * prob:g} % interval {told['lower']:.4f} to {told['upper']:.4f});\n"
        f"its expected loss, without the scatter of runs, lies in {told['mean_lower']:.4f} to {told['mean_upper']:.4f} ({100 * prob:g} %)."
    )
    print(f"The run is {reach_sentence({n.removeprefix('reach_'): v for n, v in told.items() if 'reach_' in n})}.")
    print(shares_sentence(shares))


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
    from bayes_scaling.questions.allocation import allocate as allocate_budget
    from bayes_scaling.questions.allocation import budget_table

    found = of_one_law(stored, observation)
    table = budget_table(allocate_budget(found, compute=compute, risk=risk, group=pairs(group, "--group"), seed=seed), prob)
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
    from bayes_scaling.posterior.fit import load_fit
    from bayes_scaling.posterior.predict import interval
    from bayes_scaling.questions.derive import derive as derive_law

    found = load_fit(stored)
    given = numbers(values)
    draws = derive_law(found, law, **given)
    median, lower, upper = (float(bound) for bound in interval(draws, prob))
    defined = float(draws.notnull().mean())  # noqa: PD004
    if as_json:
        answer = {"law": law, **given, "median": median, "lower": lower, "upper": upper, "prob": prob, "defined": defined}
        print_json(answer | verdict_of(found))
        return
    if not found.converged:
        print(found.verdict)
    print(f"{law}: {median:.4g} ({100 * prob:g} % interval {lower:.4g} to {upper:.4g})")
    if defined < 1:
        print(f"It exists in {100 * defined:.3g} % of the draws, and the interval is that of these.")


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
