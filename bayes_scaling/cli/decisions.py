"""What to do with a budget: each verb builds a question, and prints its answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from bayes_scaling.cli.options import AsJson, Columns, Group, OfOne, Prob, Seed, Stored, app, columns_of, pairs
from bayes_scaling.cli.printing import print_json
from bayes_scaling.errors import InvalidRequest

Anyway = Annotated[bool, typer.Option("--anyway", help="Answer although the fit gives reasons not to.")]
Furthest = Annotated[float, typer.Option(help="Decades of compute beyond the runs that are taken without doubt.")]
Distinct = Annotated[
    float | None, typer.Option("--distinct-tokens", help="Distinct tokens there are; seen again, they are worth less.")
]
DeviceName = Annotated[str, typer.Option("--device", help="a100, h100, h200, tpu_v4, or a TOML document.")]
Count = Annotated[int | None, typer.Option(help="Devices that run at once.")]
Price = Annotated[float | None, typer.Option(help="Money an hour of one device, over the table's.")]
Utilisation = Annotated[float | None, typer.Option(help="Share of the peak that training reaches, over the table's.")]
Sure = Annotated[float, typer.Option(help="Probability with which it has to succeed.")]


@app.command(epilog="Example: bayes-scaling target fit.nc --loss 2.0 --sure 0.9 --device h100 --count 1024")
def target(
    stored: Stored,
    loss: Annotated[float, typer.Option(help="Loss that a new run is to reach.")],
    sure: Sure = 0.9,
    compute: Annotated[list[float] | None, typer.Option(help="Tell the chance of this budget, FLOP; repeatable.")] = None,
    distinct: Distinct = None,
    device: DeviceName = "h100",
    count: Count = None,
    price: Price = None,
    utilisation: Utilisation = None,
    group: Group = None,
    observation: OfOne = None,
    prob: Prob = 0.9,
    seed: Seed = 0,
    anyway: Anyway = False,
    furthest: Furthest = 3.0,
    as_json: AsJson = False,
) -> None:
    """Say what budget reaches a loss, how surely, and what it costs in hours, days and money."""
    given = {"target": loss, "sure": sure, "compute": compute or (), "distinct_tokens": distinct}
    hardware = {"device": device, "count": count, "price": price, "utilisation": utilisation}
    _ask("target", stored, observation, as_json, **given, **hardware, **_usual(group, prob, seed, anyway, furthest))


@app.command(epilog="Example: bayes-scaling decide fit.nc --days 30 --device h100 --count 1024 --out decision.html")
def decide(
    stored: Stored,
    compute: Annotated[float | None, typer.Option(help="Budget, FLOP; or say --days and --count.")] = None,
    days: Annotated[float | None, typer.Option(help="How long the devices run.")] = None,
    device: DeviceName = "h100",
    count: Count = None,
    price: Price = None,
    utilisation: Utilisation = None,
    risk: Annotated[
        str, typer.Option(help="What to make small: mean, median, quantile:0.9, cvar:0.9, exceed:2.1.")
    ] = "mean",
    loss: Annotated[float | None, typer.Option(help="A loss the run is hoped to reach: how likely it does.")] = None,
    least_params: Annotated[float | None, typer.Option(help="Smallest size allowed.")] = None,
    most_params: Annotated[float | None, typer.Option(help="Largest size allowed, as memory has it.")] = None,
    head_width: Annotated[
        int | None, typer.Option(help="Width of an attention head: name Transformers of whole layers and heads.")
    ] = None,
    distinct: Distinct = None,
    group: Group = None,
    observation: OfOne = None,
    prob: Prob = 0.9,
    seed: Seed = 0,
    anyway: Anyway = False,
    furthest: Furthest = 3.0,
    out: Annotated[Path | None, typer.Option(metavar="DECISION.html", help="Write the page for a person who signs.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say what to train with a budget, what it costs, and what would change the answer."""
    from bayes_scaling.cli.options import of_one_law
    from bayes_scaling.files import check_writable
    from bayes_scaling.questions.base import question
    from bayes_scaling.questions.documents import Allocation

    if out is not None:
        check_writable(out)
    hardware = {"device": device, "count": count, "price": price, "utilisation": utilisation}
    limits = {"least_params": least_params, "most_params": most_params, "distinct_tokens": distinct}
    usual = _usual(group, prob, seed, anyway, furthest)
    run = {"compute": compute, "days": days, "risk": risk, "head_width": head_width, "target": loss}
    asked = question("allocation", **run, **hardware, **limits, **usual)
    assert isinstance(asked, Allocation)
    fit = of_one_law(stored, observation)
    answer = asked.answer(fit)
    if out is not None:
        from bayes_scaling.report.decision import write_decision  # half a second of imports that no other answer needs

        write_decision(fit, asked, answer, out)
    if as_json:
        print_json(answer.to_dict() | ({"out": str(out.resolve())} if out is not None else {}))
        return
    print(answer)
    if out is not None:
        print(f"The page is {out.resolve()}")


@app.command(epilog="Example: bayes-scaling robust mixture --compute 1e24 --risk cvar:0.9")
def robust(
    stored: Annotated[Path, typer.Argument(metavar="MIXTURE", help="The folder that `bayes-scaling weigh` wrote.")],
    compute: Annotated[float, typer.Option(help="Budget, FLOP.")],
    risk: Annotated[
        str, typer.Option(help="What to make small: mean, median, quantile:0.9, cvar:0.9, exceed:2.1.")
    ] = "mean",
    distinct: Distinct = None,
    group: Group = None,
    seed: Seed = 0,
    anyway: Anyway = False,
    furthest: Furthest = 3.0,
    as_json: AsJson = False,
) -> None:
    """Choose one size when it is not known which law holds, and say what each would lose by it."""
    from bayes_scaling.cli.printing import print_table, records
    from bayes_scaling.posterior.mixture import load_mixture
    from bayes_scaling.questions.robust import ROBUST, robust_choice
    from bayes_scaling.questions.surface import Supply

    found = load_mixture(stored)
    supply = Supply(distinct) if distinct is not None else None
    asked: dict[str, Any] = {"risk": risk, "supply": supply, "group": pairs(group, "--group"), "seed": seed}
    table = robust_choice(found, compute=compute, anyway=anyway, furthest=furthest, **asked)
    if as_json:
        print_json({"choices": records(table.reset_index()), "loss_unit": found.loss_unit, "verdict": found.verdict})
        return
    best = table.loc[ROBUST]
    print(
        f"Over all laws, train {best['params']:.3g} parameters on {best['tokens']:.3g} tokens: it is expected to lose {best['regret']:.2g} "
        f"{found.loss_unit} against knowing the law, {best['worst']:.2g} by the law it suits least."
    )
    print_table(table.reset_index())


@app.command(epilog="Example: bayes-scaling regret fit.nc --compute 5.76e23 --params 7e10 --params 2.8e11")
def regret(
    stored: Stored,
    compute: Annotated[float, typer.Option(help="Budget, FLOP.")],
    params: Annotated[list[float] | None, typer.Option(help="A size; repeatable.")] = None,
    distinct: Distinct = None,
    group: Group = None,
    observation: OfOne = None,
    seed: Seed = 0,
    anyway: Anyway = False,
    furthest: Furthest = 3.0,
    as_json: AsJson = False,
) -> None:
    """Say what sizes cost that are not the optimum, and how flat the optimum is."""
    given = {"compute": compute, "params": params or (), "distinct_tokens": distinct}
    _ask("regret", stored, observation, as_json, **given, **_usual(group, 0.9, seed, anyway, furthest))


@app.command(epilog="Example: bayes-scaling lifetime fit.nc --loss 2.0 --demand 1e13 --demand-factor 3")
def lifetime(
    stored: Stored,
    loss: Annotated[float, typer.Option(help="Expected loss to reach.")],
    demand: Annotated[float, typer.Option(help="Tokens that will be served, the median.")],
    demand_factor: Annotated[float | None, typer.Option(help="The demand lies within this factor of it with 90 %.")] = None,
    distinct: Distinct = None,
    group: Group = None,
    observation: OfOne = None,
    prob: Prob = 0.9,
    seed: Seed = 0,
    anyway: Anyway = False,
    furthest: Furthest = 3.0,
    as_json: AsJson = False,
) -> None:
    """Say which size costs least over training and serving together."""
    wanted: Any = demand
    if demand_factor is not None:
        from math import log

        if not (demand > 0 and demand_factor > 1):
            raise InvalidRequest("The demand has to be positive, and its factor more than one.")
        wanted = {"dist": "LogNormal", "mu": log(demand), "sigma": log(demand_factor) / 1.645}
    given = {"target": loss, "demand": wanted, "distinct_tokens": distinct}
    _ask("lifetime", stored, observation, as_json, **given, **_usual(group, prob, seed, anyway, furthest))


@app.command(epilog="Example: bayes-scaling deadline system.nc --params 1e9 --loss 2.9 --days 7 --seconds-per-step 1.5")
def deadline(
    stored: Stored,
    params: Annotated[float, typer.Option(help="Size.")],
    loss: Annotated[float, typer.Option(help="Loss to reach.")],
    days: Annotated[float, typer.Option(help="Until when.")],
    seconds_per_step: Annotated[float, typer.Option(help="How long a step takes.")],
    sure: Sure = 0.9,
    prob: Prob = 0.9,
    anyway: Anyway = False,
    as_json: AsJson = False,
) -> None:
    """Say which batch reaches a loss in time, and what the hurry costs."""
    given: dict[str, Any] = {
        "params": params,
        "loss": loss,
        "days": days,
        "seconds_per_step": seconds_per_step,
        "sure": sure,
    }
    _ask("deadline", stored, None, as_json, system=True, prob=prob, anyway=anyway, **given)


@app.command("stop-early", epilog="Example: bayes-scaling stop-early system.nc --compute-min 1e21 --excess 0.02")
def stop_early(
    stored: Stored,
    compute_min: Annotated[float, typer.Option(help="Compute at a small batch, FLOP.")],
    excess: Annotated[float, typer.Option(help="How far above convergence the smaller model stops, a share.")] = 0.02,
    params: Annotated[float | None, typer.Option(help="A size of your own, beside.")] = None,
    prob: Prob = 0.9,
    anyway: Anyway = False,
    as_json: AsJson = False,
) -> None:
    """Compare a large model stopped early with a smaller one trained nearly to convergence, at equal compute."""
    given: dict[str, Any] = {"compute_min": compute_min, "excess": excess, "params": params}
    _ask("stopping", stored, None, as_json, system=True, prob=prob, anyway=anyway, **given)


@app.command(epilog="Example: bayes-scaling recipes fit.nc --a group=C4 --b group=RedPajama --compute 1e22")
def recipes(
    stored: Stored,
    a: Annotated[list[str], typer.Option(metavar="COLUMN=LABEL", help="The one recipe.")],
    b: Annotated[list[str], typer.Option(metavar="COLUMN=LABEL", help="The other.")],
    compute: Annotated[list[float], typer.Option(help="Budget, FLOP; repeatable.")],
    prob: Prob = 0.9,
    seed: Seed = 0,
    anyway: Anyway = False,
    furthest: Furthest = 3.0,
    as_json: AsJson = False,
) -> None:
    """Say which of two recipes is better at a compute, how surely, and by how much compute."""
    given = {"a": pairs(a, "--a"), "b": pairs(b, "--b"), "compute": compute}
    _ask("recipes", stored, None, as_json, **given, **_usual(None, prob, seed, anyway, furthest))


@app.command("next-run", epilog="Example: bayes-scaling next-run fit.nc --most 1e21 --params 7e10 --tokens 1.4e12")
def next_run(
    stored: Stored,
    most: Annotated[
        float | None, typer.Option(help="What a run may cost, FLOP: candidates are a grid around the runs.")
    ] = None,
    candidates: Annotated[
        Path | None,
        typer.Option(metavar="TABLE.csv", help="Or the candidates: params, tokens and, if it is not 6 N D, cost."),
    ] = None,
    money: Annotated[float | None, typer.Option(help="What several runs may cost together.")] = None,
    params: Annotated[float | None, typer.Option(help="N of the run to forecast.")] = None,
    tokens: Annotated[float | None, typer.Option(help="D of the run to forecast.")] = None,
    compute: Annotated[float | None, typer.Option(help="Or the budget whose split is to be decided, FLOP.")] = None,
    refits: Annotated[
        int,
        typer.Option(
            min=0, help="Outcomes of the first run for each of which a posterior is sampled anew, as a check; minutes."
        ),
    ] = 0,
    columns: Columns = None,
    group: Group = None,
    observation: OfOne = None,
    seed: Seed = 0,
    anyway: Anyway = False,
    furthest: Furthest = 3.0,
    out: Annotated[Path | None, typer.Option(metavar="RANKED.csv", help="Where to write the ranked candidates.")] = None,
    as_json: AsJson = False,
) -> None:
    """Rank the runs one could train next by what each improves of the decision at hand, for its cost."""
    import numpy as np
    import pandas as pd

    from bayes_scaling.files import check_writable, write_whole
    from bayes_scaling.runs.table import read_inputs

    if out is not None:
        check_writable(out)
    pool: list[dict[str, float]] = []
    if candidates is not None:
        table = read_inputs(candidates, columns=columns_of(columns), needs=["params", "tokens"])
        kept = table[[c for c in ("params", "tokens", "cost") if c in table]].apply(pd.to_numeric, errors="coerce")
        if kept.isna().any(axis=None):
            row, column = next((r, c) for r, c in zip(*np.where(kept.isna()), strict=True))
            raise InvalidRequest(f"{candidates}, row {row + 1}: {kept.columns[column]} is no number.")
        pool = [{str(c): float(v) for c, v in row.items()} for row in kept.to_dict("records")]
    given: dict[str, Any] = {"most": most, "candidates": pool, "money": money}
    about = {"params": params, "tokens": tokens, "compute": compute}
    usual = _usual(group, 0.9, seed, anyway, furthest)

    def checked(fit: Any, answer: Any) -> Any:
        """Add what posteriors sampled anew say of the first run."""
        from bayes_scaling.inference.sample import fit as sample
        from bayes_scaling.questions.next_run import mentioned
        from bayes_scaling.questions.preposterior import refits as sampled_anew

        first = answer.tables["candidates"].iloc[0]
        named: dict[str, Any] = {"group": usual["group"], "seed": seed, "times": refits}
        table = sampled_anew(fit, first, mentioned(about), lambda runs: sample(runs, fit.model, seed=seed), **named)
        failed = int((~table["converged"]).sum())
        said = (
            f"Posteriors sampled anew with {refits} outcomes of the first say that it takes {100 * table.attrs['share']:.0f} % of the risk; "
            f"{100 * first['share']:.0f} % were expected{f' ({failed} have not converged)' if failed else ''}."
        )
        return replace(answer, sentence=f"{answer.sentence}\n{said}", tables={**answer.tables, "refits": table})

    further = checked if refits else None
    answer = _ask("next_run", stored, observation, as_json, further=further, **given, **about, **usual)
    if out is not None:
        write_whole(out, answer.tables["candidates"].to_csv(index=False))


def _usual(group: list[str] | None, prob: float, seed: int, anyway: bool, furthest: float) -> dict[str, Any]:
    return {"group": pairs(group, "--group"), "prob": prob, "seed": seed, "anyway": anyway, "furthest": furthest}


def _ask(
    name: str,
    stored: Path,
    observation: str | None,
    as_json: bool,
    *,
    system: bool = False,
    further: Callable[[Any, Any], Any] | None = None,
    **given: Any,
) -> Any:
    """Build a question, answer it from a stored fit, go further with the two, print the answer, and return it."""
    from bayes_scaling.cli.options import of_one_law
    from bayes_scaling.posterior.fit import load_fit
    from bayes_scaling.questions.base import question

    asked = question(name, **given)
    fit = load_fit(stored) if system else of_one_law(stored, observation)
    answer = asked.answer(fit)
    if further is not None:
        answer = further(fit, answer)
    if as_json:
        print_json(answer.to_dict())
    else:
        print(answer)
    return answer
