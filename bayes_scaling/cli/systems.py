"""What a fit of Kaplan's laws is asked: the paper's claims, the frontier, the bottleneck, and which model the runs prefer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bayes_scaling.cli.options import AsJson, Prob, Stored, app
from bayes_scaling.cli.printing import print_json, print_table, records, verdict_of
from bayes_scaling.errors import InvalidRequest


@app.command(epilog="Example: bayes-scaling claims fit.nc --prob 0.9")
def claims(stored: Stored, prob: Prob = 0.9, as_json: AsJson = False) -> None:
    """Say what a fit makes of each statement of Kaplan et al. (2020) that follows from what it has learned."""
    from bayes_scaling.posterior.fit import load_fit
    from bayes_scaling.questions.claims import claims as claims_of

    found = load_fit(stored)
    table = claims_of(found, prob=prob)
    if as_json:
        print_json({"claims": records(table), "prob": prob, **verdict_of(found)})
        return
    print(f"{found.verdict}\n")
    for row in table.itertuples():
        beyond = f", {row.decades_beyond:.1f} decades beyond the runs" if row.decades_beyond > 0 else ""
        exists = f", where it exists ({100 * row.defined:.3g} % of the draws)" if row.defined < 1 else ""
        unit = "" if row.unit == "1" else f" {row.unit}"
        print(
            f"{row.claim}, {row.equation}: published {row.published}{unit}; "
            f"ours {row.median:.3g} ({100 * prob:g} % interval {row.lower:.3g} to {row.upper:.3g}){beyond}{exists}: {row.verdict}."
        )


@app.command(epilog="Example: bayes-scaling frontier fit.nc --compute 1e14 --compute 1e15")
def frontier(
    stored: Stored,
    compute: Annotated[list[float], typer.Option(help="Compute at the critical batch, FLOP; repeat for several.")],
    prob: Prob = 0.9,
    as_json: AsJson = False,
) -> None:
    """Give compute-optimal size, batch, steps, data and loss by L(N, S_min) and the critical batch."""
    from bayes_scaling.posterior.fit import load_fit
    from bayes_scaling.questions.frontier import frontier as frontier_of
    from bayes_scaling.questions.frontier import frontier_table

    found = load_fit(stored)
    table = frontier_table(found, frontier_of(found, compute=compute), prob)
    if as_json:
        print_json({"frontier": records(table), "prob": prob, "loss_unit": found.loss_unit, **verdict_of(found)})
        return
    print(f"{found.verdict}\n")
    for row in table.itertuples():
        print(
            f"At {row.compute_flops:.3g} FLOP, {row.decades_beyond:.2f} decades beyond the runs ({100 * prob:g} % intervals):"
        )
        for name, symbol, unit in _TOLD:
            median, lower, upper = (getattr(row, f"{name}_{end}") for end in ("median", "lower", "upper"))
            print(f"  {symbol:<5}{median:.4g} {unit or found.loss_unit} ({lower:.4g} to {upper:.4g})")


_TOLD = (
    ("params", "N", "parameters"),
    ("tokens", "D", "tokens"),
    ("batch_tokens", "B", "tokens a step"),
    ("steps", "S", "steps"),
    ("loss", "loss", ""),
)


@app.command(
    epilog="Example: bayes-scaling bottleneck fit.nc --params 1e5 --dataset-tokens 1e6 --steps 5000 --batch-tokens 2048"
)
def bottleneck(
    stored: Stored,
    params: Annotated[float, typer.Option(help="N of the planned run.")],
    dataset_tokens: Annotated[float, typer.Option(help="Distinct tokens it has.")],
    steps: Annotated[float, typer.Option(help="Optimizer steps.")],
    batch_tokens: Annotated[float, typer.Option(help="Tokens a step.")],
    prob: Prob = 0.9,
    as_json: AsJson = False,
) -> None:
    """Say which resource of a planned run holds its loss up, with probabilities."""
    from bayes_scaling.posterior.fit import load_fit
    from bayes_scaling.posterior.predict import interval
    from bayes_scaling.questions.bottleneck import bottleneck as bottleneck_of

    plan = {"params": params, "dataset_tokens": dataset_tokens, "steps": steps, "batch_tokens": batch_tokens}
    found = load_fit(stored)
    answer = bottleneck_of(found, **plan)
    median, lower, upper = (float(bound) for bound in interval(answer["loss"], prob))
    gains = [
        (
            str(name),
            float(answer["probability"].sel(resource=name)),
            *(float(v) for v in interval(answer["gain"].sel(resource=name), prob)),
        )
        for name in answer["resource"].values
    ]
    if as_json:
        rows = [
            dict(zip(("resource", "probability", "gain", "gain_lower", "gain_upper"), gain, strict=True)) for gain in gains
        ]
        loss = {"median": median, "lower": lower, "upper": upper}
        print_json({**plan, "loss": loss, "resources": rows, "prob": prob, **verdict_of(found)})
        return
    if not found.converged:
        print(found.verdict)
    print(f"The law expects {median:.4f} {found.loss_unit} ({100 * prob:g} % interval {lower:.4f} to {upper:.4f}).")
    for name, probability, gain, low, high in sorted(gains, key=lambda entry: -entry[1]):
        print(
            f"  twice the {name:<15} lowers it by {100 * gain:.2f} % ({100 * low:.2f} to {100 * high:.2f}); most with probability {probability:.2f}"
        )


@app.command(epilog="Example: bayes-scaling compare paper.nc offset.nc")
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
