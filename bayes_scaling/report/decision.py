"""One page for the person who signs: the run, its cost, the probability of the target, regret and sensitivity."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib.figure import Figure

from bayes_scaling.errors import InvalidRequest
from bayes_scaling.files import write_whole
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.variance import included, shares_of, shares_sentence
from bayes_scaling.questions.allocation import allocate, budget_table
from bayes_scaling.questions.base import Answer
from bayes_scaling.questions.decide import Allocation
from bayes_scaling.questions.next_run import Budget, ladder_of, next_run
from bayes_scaling.questions.regret import regret
from bayes_scaling.questions.target import chance
from bayes_scaling.questions.wording import flop, number, percent, short
from bayes_scaling.report.figures import BLUE, INK, ORANGE, as_svg, one_axes, styled
from bayes_scaling.report.pictures import Picture
from bayes_scaling.report.rendering import render
from bayes_scaling.report.tables import Table

_CHEAP: Final = 0.03
"""Largest cost of a further run that the page considers, as a share of the budget."""


def write_decision(fit: Fit, asked: Allocation, answer: Answer, path: str | Path) -> Path:
    """Write the decision about a budget as one self-contained HTML page.

    Parameters
    ----------
    fit : Fit
        The fit.
    asked : Allocation
        The question.
    answer : Answer
        Its answer.
    path : str or path
        Where to; written in one piece.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    Unwritable
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from bayes_scaling.questions.base import question
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> fit, asked = example_fit(), question("allocation", compute=1e24, target=2.0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_decision(fit, asked, asked.answer(fit), f"{folder}/decision.html").name
    'decision.html'
    """
    row = answer.tables["allocation"].iloc[0]
    figures = {"regret": _regret_picture(fit, asked, float(row["params"]))}
    if asked.target is not None:
        figures["chance"] = _chance_picture(fit, asked, asked.target, float(answer.tables["chance"]["chance"].iloc[0]))
    shares = shares_of(allocate(fit, compute=asked.budget, **_how(asked)))
    content: dict[str, Any] = {
        "title": f"Decision: training run for {flop(asked.budget)}",
        "converged": fit.converged and not answer.caveats,
        "verdict": fit.verdict,
        "answers": answer.sentence.split("\n"),
        "prob": percent(asked.prob),
        "unit": fit.loss_unit,
        "params": fit.facts.get("params", "non-embedding"),
        "caveats": answer.caveats,
        "target": "" if asked.target is None else f"{asked.target:g}",
        "run": _run_table(row, asked.prob),
        "shapes": _shapes_table(answer, fit.loss_unit),
        "cost": _cost_table(answer, asked),
        "near": _near_table(answer),
        "changes": _changes_table(fit, asked),
        "shares": shares_sentence(shares),
        "next_run": _next_run(fit, asked),
        "included": included(fit),
        "facts": _facts_table(fit, asked),
        "figures": {"chance": None, **figures},
    }
    return write_whole(path, render("decision.html", content))


def _regret_picture(fit: Fit, asked: Allocation, choice: float) -> Picture:
    table = regret(fit, compute=asked.budget, **asked.given)
    sizes, mean, lower, upper = (table[c].to_numpy() for c in ("params", "regret", "regret_lower", "regret_upper"))
    figure = _regret_figure(sizes, mean, lower, upper, choice, fit.loss_unit)
    return Picture(
        as_svg(figure, "regret"),
        f"Regret by size at this budget, the law's loss above that of the best size: mean and 90 % interval. Vertical line: the choice, "
        f"{short(choice)} parameters.",
    )


@styled
def _regret_figure(
    sizes: np.ndarray, mean: np.ndarray, lower: np.ndarray, upper: np.ndarray, choice: float, unit: str
) -> Figure:
    figure, axes = one_axes(6.4, 2.9)
    axes.fill_between(sizes, lower, upper, color=BLUE, alpha=0.2, lw=0)
    axes.plot(sizes, mean, color=BLUE)
    axes.axvline(choice, color=INK, lw=0.8, alpha=0.6)
    axes.set(xscale="log", xlabel="N (parameters)", ylabel=f"regret ({unit})", ylim=(0, None))
    return figure


def _how(asked: Allocation) -> dict[str, Any]:
    """Return how the run is chosen."""
    limits = {"least_params": asked.least_params, "most_params": asked.most_params}
    limits = {name: value for name, value in limits.items() if value is not None}
    return {"risk": asked.risk, **asked.given, **limits}


def _chance_picture(fit: Fit, asked: Allocation, target: float, here: float) -> Picture:
    budgets = np.geomspace(asked.budget / 100, asked.budget * 30, 25)
    table = chance(fit, target=target, compute=budgets, **_how(asked))
    figure = _chance_figure(budgets, table["chance"].values, table["chance_expected"].values, asked.budget)
    return Picture(
        as_svg(figure, "chance"),
        f"Probability that the loss of a new run is below {target:g} {fit.loss_unit}, by budget; dashed: that the mean loss is. At this "
        f"budget (vertical line) the probability is {here:.2f}.",
    )


@styled
def _chance_figure(budgets: np.ndarray, measured: np.ndarray, expected: np.ndarray, here: float) -> Figure:
    figure, axes = one_axes(6.4, 2.9)
    axes.plot(budgets, measured, color=BLUE, label="loss of a new run")
    axes.plot(budgets, expected, color=ORANGE, ls="--", label="mean loss")
    axes.axvline(here, color=INK, lw=0.8, alpha=0.6)
    axes.set(xscale="log", xlabel="C (FLOP)", ylabel="probability", ylim=(-0.02, 1.02))
    axes.legend(loc="upper left")
    return figure


def _run_table(row: Any, prob: float) -> Table:
    names = (("params", "N, parameters"), ("tokens", "D, tokens"), ("tokens_per_param", "D/N, tokens per parameter"))
    cells = [
        [label, short(row[name]), f"{short(row[f'{name}_lower'])} to {short(row[f'{name}_upper'])}"] for name, label in names
    ]
    cells.append(["loss of a new run", f"{row['median']:.4f}", f"{row['lower']:.4f} to {row['upper']:.4f}"])
    cells.append(["mean loss", "", f"{row['mean_lower']:.4f} to {row['mean_upper']:.4f}"])
    return Table(
        f"{percent(prob)} intervals: credible intervals of the optimum for N, D and D/N and of the mean loss, predictive interval of a new run.",
        ("", "choice", "interval"),
        cells,
    )


def _shapes_table(answer: Answer, unit: str) -> Table | None:
    if "shapes" not in answer.tables:
        return None
    cells = [
        [
            f"{row['depth']:.0f}",
            f"{row['width']:.0f}",
            f"{row['heads']:.0f}",
            short(row["params"]),
            short(row["tokens"]),
            number(row["regret"]),
        ]
        for row in answer.tables["shapes"].to_dict("records")
    ]
    columns = ("layers", "width", "heads", "N", "D", f"mean regret ({unit})")
    return Table("Transformers with whole numbers of layers and heads near that size.", columns, cells)


def _cost_table(answer: Answer, asked: Allocation) -> Table:
    cells = [
        [str(name).replace("_", " "), *(f"{value:,.0f}" if value >= 100 else number(value) for value in row)]
        for name, row in zip(answer.tables["cost"].index, answer.tables["cost"].to_numpy(), strict=True)
    ]
    return Table(
        f"On {asked.device}; {percent(asked.prob)} intervals include the uncertainty of price and utilisation.",
        ("", "median", "lower", "upper"),
        cells,
    )


def _near_table(answer: Answer) -> Table:
    cells = [
        [
            f"{100 * row['within']:g} %",
            *(short(row[c]) for c in ("params_lower", "params_upper", "tokens_upper", "tokens_lower")),
        ]
        for row in answer.tables["near_optimal"].to_dict("records")
    ]
    columns = ("tolerance", "smallest N", "largest N", "D at smallest N", "D at largest N")
    return Table("Sizes whose mean loss is within a tolerance of the smallest, as a share of the loss.", columns, cells)


def _changes_table(fit: Fit, asked: Allocation) -> Table:
    """Return the answers to neighbouring questions."""
    how = _how(asked)
    variants: list[tuple[str, dict[str, Any]]] = [
        (f"as asked ({asked.risk})", {"compute": asked.budget, **how}),
        ("least mean of the worst tenth (cvar:0.9)", {"compute": asked.budget, **how, "risk": "cvar:0.9"}),
        ("half the budget", {"compute": asked.budget / 2, **how}),
        ("twice the budget", {"compute": asked.budget * 2, **how}),
    ]
    if {"least_params", "most_params"} & set(how):
        free = {name: value for name, value in how.items() if name not in ("least_params", "most_params")}
        variants.append(("any size allowed", {"compute": asked.budget, **free}))
    if asked.distinct_tokens is not None:
        variants.append(("unlimited text", {"compute": asked.budget, **how, "supply": None}))
    cells = []
    for label, given in variants:
        row = budget_table(allocate(fit, **given), asked.prob).iloc[0]
        cells.append(
            [
                label,
                short(row["params"]),
                short(row["tokens"]),
                f"{row['median']:.4f}",
                f"{row['lower']:.4f} to {row['upper']:.4f}",
            ]
        )
    return Table("Choice under other settings.", ("setting", "N", "D", "loss of a new run", "interval"), cells, ("setting",))


def _next_run(fit: Fit, asked: Allocation) -> str:
    most = _CHEAP * asked.budget
    try:
        pool = ladder_of(fit, most=most)
    except InvalidRequest:
        return ""  # so small a budget has no cheaper ladder
    table = next_run(fit, pool, Budget(asked.budget), group=asked.group, seed=asked.seed)
    best = table.loc[table["value"].idxmax()]
    return (
        f"The most informative further run at up to {100 * _CHEAP:g} % of this budget has {short(best['params'])} parameters and "
        f"{short(best['tokens'])} tokens. It is expected to remove {100 * best['share']:.0f} % of the expected regret, now "
        f"{best['risk']:.2g} {fit.loss_unit}."
    )


def _facts_table(fit: Fit, asked: Allocation) -> Table:
    rows = {
        "runs": f"{fit.facts['runs']}, {len(fit.table)} rows",
        "law": fit.model.only.law,
        "model digest": fit.model.digest[:16],
        **{str(n): str(v) for n, v in asked.model_dump(exclude_defaults=True).items()},
    }
    return Table("The fit and the settings of the question.", ("", "value"), [[k, v] for k, v in rows.items()], ("value",))
