"""One page for the person who signs: the question, the run, its cost, how likely it reaches what is hoped, and what would change the answer."""

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
from bayes_scaling.report.figures import BLUE, INK, ORANGE, as_svg, one_axes, styled
from bayes_scaling.report.pictures import Picture
from bayes_scaling.report.rendering import render
from bayes_scaling.report.tables import Table
from bayes_scaling.report.wording import number, percent, short

_CHEAP: Final = 0.03
"""Share of the budget that the further runs may cost which the page looks at."""


def write_decision(fit: Fit, asked: Allocation, answer: Answer, path: str | Path) -> Path:
    """Write the decision about a budget as one self-contained HTML page.

    Parameters
    ----------
    fit : Fit
        The fit that was asked.
    asked : Allocation
        The question.
    answer : Answer
        What it was answered.
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
        "title": f"Decision: what to train with {asked.budget:.3g} FLOP",
        "converged": fit.converged and not answer.caveats,
        "verdict": fit.verdict,
        "answers": answer.sentence.split("\n"),
        "prob": percent(asked.prob),
        "unit": fit.loss_unit,
        "params": fit.facts.get("params", "non-embedding"),
        "doubts": answer.caveats,
        "target": "" if asked.target is None else f"{asked.target:g}",
        "run": _run_table(row, asked.prob),
        "shapes": _shapes_table(answer, fit.loss_unit),
        "cost": _cost_table(answer, asked),
        "near": _near_table(answer),
        "changes": _changes_table(fit, asked),
        "shares": f"Of the forecast: {shares_sentence(shares)}",
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
        f"Loss above the best size at this budget, by the law: expected, and its 90 % interval. The line is the choice, {short(choice)} parameters.",
    )


@styled
def _regret_figure(
    sizes: np.ndarray, mean: np.ndarray, lower: np.ndarray, upper: np.ndarray, choice: float, unit: str
) -> Figure:
    figure, axes = one_axes(6.4, 2.9)
    axes.fill_between(sizes, lower, upper, color=BLUE, alpha=0.2, lw=0)
    axes.plot(sizes, mean, color=BLUE)
    axes.axvline(choice, color=INK, lw=0.8, alpha=0.6)
    axes.set(xscale="log", xlabel="N (parameters)", ylabel=f"loss above the best ({unit})", ylim=(0, None))
    return figure


def _how(asked: Allocation) -> dict[str, Any]:
    """Return how the run is chosen."""
    limits = {"least_params": asked.least_params, "most_params": asked.most_params}
    limits = {name: value for name, value in limits.items() if value is not None}
    return {"risk": asked.risk, **asked.given, **limits}


def _chance_picture(fit: Fit, asked: Allocation, target: float, here: float) -> Picture:
    budgets = np.geomspace(asked.budget / 100, asked.budget * 30, 25)
    found = chance(fit, target=target, compute=budgets, **_how(asked))
    figure = _chance_figure(budgets, found["chance"].values, found["chance_expected"].values, asked.budget)
    return Picture(
        as_svg(figure, "chance"),
        f"Probability that a new run measures less than {target:g}, by its budget; dashed, that the expected loss there is less. At this "
        f"budget, the line, it is {here:.2f}.",
    )


@styled
def _chance_figure(budgets: np.ndarray, measured: np.ndarray, expected: np.ndarray, here: float) -> Figure:
    figure, axes = one_axes(6.4, 2.9)
    axes.plot(budgets, measured, color=BLUE, label="a new run")
    axes.plot(budgets, expected, color=ORANGE, ls="--", label="the expected loss")
    axes.axvline(here, color=INK, lw=0.8, alpha=0.6)
    axes.set(xscale="log", xlabel="C (FLOP)", ylabel="probability", ylim=(-0.02, 1.02))
    axes.legend(loc="upper left")
    return figure


def _run_table(row: Any, prob: float) -> Table:
    names = (("params", "N, parameters"), ("tokens", "D, tokens"), ("tokens_per_param", "tokens a parameter"))
    cells = [
        [label, short(row[name]), f"{short(row[f'{name}_lower'])} to {short(row[f'{name}_upper'])}"] for name, label in names
    ]
    cells.append(["loss of a new run", f"{row['median']:.4f}", f"{row['lower']:.4f} to {row['upper']:.4f}"])
    cells.append(["expected loss", "", f"{row['mean_lower']:.4f} to {row['mean_upper']:.4f}"])
    return Table(
        f"Intervals, {percent(prob)}: of the true optimum for N and D; of what is measured for the loss.",
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
    columns = ("layers", "width", "heads", "N", "D", f"expected regret ({unit})")
    return Table("Transformers of whole layers and heads near that size.", columns, cells)


def _cost_table(answer: Answer, asked: Allocation) -> Table:
    cells = [
        [str(name).replace("_", " "), *(f"{value:,.0f}" if value >= 100 else number(value) for value in row)]
        for name, row in zip(answer.tables["cost"].index, answer.tables["cost"].to_numpy(), strict=True)
    ]
    return Table(
        f"On {asked.device}; intervals, {percent(asked.prob)}, over what is not known of price and utilisation.",
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
    columns = ("of the loss given up", "smallest N", "largest N", "its D, smallest N", "its D, largest N")
    return Table("Sizes whose expected loss is as good as the best, nearly.", columns, cells)


def _changes_table(fit: Fit, asked: Allocation) -> Table:
    """Tell what other questions would be answered."""
    how = _how(asked)
    variants: list[tuple[str, dict[str, Any]]] = [
        (f"as asked ({asked.risk})", {"compute": asked.budget, **how}),
        ("the worst tenth made small (cvar:0.9)", {"compute": asked.budget, **how, "risk": "cvar:0.9"}),
        ("half the budget", {"compute": asked.budget / 2, **how}),
        ("twice the budget", {"compute": asked.budget * 2, **how}),
    ]
    if {"least_params", "most_params"} & set(how):
        free = {name: value for name, value in how.items() if name not in ("least_params", "most_params")}
        variants.append(("any size allowed", {"compute": asked.budget, **free}))
    if asked.distinct_tokens is not None:
        variants.append(("endless text", {"compute": asked.budget, **how, "supply": None}))
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
    return Table(
        "Other questions, and their answers.", ("question", "N", "D", "loss of a new run", "interval"), cells, ("question",)
    )


def _next_run(fit: Fit, asked: Allocation) -> str:
    most = _CHEAP * asked.budget
    try:
        pool = ladder_of(fit, most=most)
    except InvalidRequest:
        return ""  # so small a budget has no cheaper ladder
    table = next_run(fit, pool, Budget(asked.budget), group=asked.group, seed=asked.seed)
    best = table.loc[table["value"].idxmax()]
    return (
        f"Of runs that cost up to {100 * _CHEAP:g} % of this budget, {short(best['params'])} parameters on {short(best['tokens'])} tokens would "
        f"tell most about the size to choose: it is expected to take {100 * best['share']:.0f} % of the regret, now {best['risk']:.2g} {fit.loss_unit}."
    )


def _facts_table(fit: Fit, asked: Allocation) -> Table:
    said = {str(n): str(v) for n, v in asked.model_dump(exclude_defaults=True).items()}
    rows = {
        "runs": f"{fit.facts['runs']}, {len(fit.table)} rows",
        "law": fit.model.only.law,
        "model digest": fit.model.digest[:16],
        **said,
    }
    return Table("The fit, and the question as it was asked.", ("", "what"), [[k, v] for k, v in rows.items()], ("what",))
