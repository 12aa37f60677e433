"""One page for the person who signs: the run, its cost, the probability of the target, regret and sensitivity."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from bayes_scaling.errors import InvalidRequest
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.variance import included, shares_of, shares_sentence
from bayes_scaling.questions.allocation import allocate, budget_table
from bayes_scaling.questions.base import Answer
from bayes_scaling.questions.cost import device
from bayes_scaling.questions.decide import Allocation
from bayes_scaling.questions.next_run import Budget, ladder_of, next_run
from bayes_scaling.questions.regret import regret
from bayes_scaling.questions.target import chance
from bayes_scaling.report.figures import (
    BLUE,
    INK,
    ORANGE,
    RED,
    Captioned,
    captioned,
    cut,
    legend,
    log_ticks,
    one_axes,
    ribbon,
    styled,
)
from bayes_scaling.report.page import Table, Text, cell, conventions, table_of, write_page
from bayes_scaling.report.tables import checks_table
from bayes_scaling.wording import flop, number, percent, probability, short

_CHEAP: Final = 0.03
"""Largest cost of a further run that the page considers, as a share of the budget."""


def write_decision(fit: Fit, asked: Allocation, answer: Answer, path: str | Path) -> Path:
    """Write the answer to a question about a budget as one self-contained HTML page, in one piece, and return the file.

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
    row = answer.tables["allocation"].iloc[0].to_dict()
    goal = "a target" if asked.target is None else f"{asked.target:g}"
    choice: dict[str, Any] = {"risk": asked.risk, **asked.given, **asked.limits}
    return write_page(
        path,
        title=f"Decision: {flop(asked.budget)}, {fit.model.only.law}, {len(fit.table)} runs",
        verdict=fit.verdict,
        converged=fit.converged and not answer.caveats,
        adequate=fit.adequate,
        answers=answer.sentence.split("\n"),
        checks=[checks_table(pd.DataFrame(fit.checks))] if fit.checks else [],
        conventions=conventions(fit, asked.prob),
        sections={
            "": [
                Text(f"Caveat{' overridden' if caveat in answer.overridden else ''}: {caveat}", "warning")
                for caveat in answer.caveats
            ],
            "Recommended run": [_run_table(row, asked.prob), _shapes_table(answer, fit.loss_unit)],
            f"Probability of a loss below {goal}": [_chance_picture(fit, asked, answer, choice)],
            "Cost": [_cost_table(answer, asked)],
            "Regret of other sizes": [_regret_picture(fit, asked, row["params"]), _near_table(answer)],
            "Sensitivity": [
                _changes_table(fit, asked, choice),
                shares_sentence(shares_of(allocate(fit, compute=asked.budget, **choice))),
                _next_run(fit, asked),
            ],
            "Assumptions and data": [included(fit), _fact_table(fit, asked)],
        },
    )


@styled
def _regret_picture(fit: Fit, asked: Allocation, choice: float) -> Captioned:
    table = regret(fit, compute=asked.budget, **asked.given)
    figure, axes = one_axes(2.9)
    ribbon(axes, table["params"], [table[c] for c in ("regret", "regret_lower", "regret_upper")], alpha=0.2)
    axes.axvline(choice, color=INK, lw=0.8, alpha=0.6)
    axes.plot(choice, np.interp(np.log(choice), np.log(table["params"]), table["regret"]), "D", ms=5, color=RED)
    axes.set(xscale="log", xlabel="N (parameters)", ylabel=f"regret ({cut(fit.loss_unit, 24)})", ylim=(0, None))
    log_ticks(axes, "x")
    return captioned(
        figure,
        f"Regret by size at this budget, the mean loss above that of the best size: mean and 90 % interval. Vertical line: the choice, "
        f"{short(choice)} parameters.",
    )


@styled
def _chance_picture(fit: Fit, asked: Allocation, answer: Answer, choice: dict[str, Any]) -> Captioned | None:
    if asked.target is None:
        return None
    budgets = np.geomspace(asked.budget / 100, asked.budget * 30, 25)
    table = chance(fit, target=asked.target, compute=budgets, **choice)
    figure, axes = one_axes(2.9)
    axes.plot(budgets, table["chance"], color=BLUE, label="loss of a new run")
    axes.plot(budgets, table["chance_expected"], color=ORANGE, ls="--", label="mean loss")
    axes.axvline(asked.budget, color=INK, lw=0.8, alpha=0.6)
    axes.set(xscale="log", xlabel="C (FLOP)", ylabel="probability", ylim=(-0.02, 1.02))
    axes.plot(asked.budget, answer.tables["chance"]["chance"].iloc[0], "D", ms=5, color=RED)
    log_ticks(axes, "x")
    legend(axes)
    return captioned(
        figure,
        f"Probability that the loss of a new run is below {asked.target:g} {fit.loss_unit}, by budget; dashed: that the mean loss is. At "
        f"this budget (vertical line) the probability is {probability(answer.tables['chance']['chance'].iloc[0])}.",
    )


def _run_table(row: dict[Any, Any], prob: float) -> Table:
    rows = (
        ("N, parameters", "{params:short}", "{params_lower:short} to {params_upper:short}"),
        ("D, tokens", "{tokens:short}", "{tokens_lower:short} to {tokens_upper:short}"),
        (
            "D/N, tokens per parameter",
            "{tokens_per_param:short}",
            "{tokens_per_param_lower:short} to {tokens_per_param_upper:short}",
        ),
        ("loss of a new run", "{median:.4f}", "{lower:.4f} to {upper:.4f}"),
        ("mean loss", "", "{mean_lower:.4f} to {mean_upper:.4f}"),
    )
    return Table(
        f"{percent(prob)} intervals: credible intervals of the optimum for N, D and D/N and of the mean loss, predictive interval of a new run.",
        ("", "choice", "interval"),
        [[cell(template, row) for template in templates] for templates in rows],
    )


def _shapes_table(answer: Answer, unit: str) -> Table | None:
    if "shapes" not in answer.tables:
        return None
    cells = {
        "layers": "{depth:.0f}",
        "width": "{width:.0f}",
        "heads": "{heads:.0f}",
        "N": "{params:short}",
        "D": "{tokens:short}",
        f"mean regret ({unit})": "{regret:number}",
    }
    return table_of(answer.tables["shapes"], "Transformers with whole numbers of layers and heads near that size.", cells)


def _cost_table(answer: Answer, asked: Allocation) -> Table:
    costs = answer.tables["cost"]
    paid = {"money": device(asked.device).currency}
    rows = costs.assign(what=costs.index.map(lambda name: paid.get(str(name), str(name).replace("_", " "))))
    cells = {"": "{what}", **{name: f"{{{name}:short}}" for name in costs}}
    caption = f"On {asked.device}; {percent(asked.prob)} intervals include the uncertainty of price and utilisation."
    return table_of(rows, caption, cells)


def _near_table(answer: Answer) -> Table:
    cells = {
        "tolerance": "{within:g %}",
        "smallest N": "{params_lower:short}",
        "largest N": "{params_upper:short}",
        "D at smallest N": "{tokens_upper:short}",
        "D at largest N": "{tokens_lower:short}",
    }
    caption = "Sizes whose mean loss is within a tolerance of the smallest, as a share of the loss."
    return table_of(answer.tables["near_optimal"], caption, cells)


def _changes_table(fit: Fit, asked: Allocation, choice: dict[str, Any]) -> Table:
    """Return the answers to neighbouring questions."""
    changes: dict[str, dict[str, Any]] = {
        f"as asked ({asked.risk})": {},
        "least mean of the worst tenth (cvar:0.9)": {"risk": "cvar:0.9"},
        "half the budget": {"compute": asked.budget / 2},
        "twice the budget": {"compute": asked.budget * 2},
    }
    if asked.limits:
        changes["any size allowed"] = dict.fromkeys(asked.limits)
    if asked.distinct_tokens is not None:
        changes["unlimited text"] = {"supply": None}
    rows = []
    for setting, change in changes.items():
        given: dict[str, Any] = {"compute": asked.budget, **choice, **change}
        rows.append(budget_table(allocate(fit, **given), asked.prob).assign(setting=setting))
    cells = {
        "setting": "{setting}",
        "N": "{params:short}",
        "D": "{tokens:short}",
        "loss of a new run": "{median:.4f}",
        "interval": "{lower:.4f} to {upper:.4f}",
    }
    return table_of(pd.concat(rows), "Choice under other settings.", cells, ("setting",))


def _next_run(fit: Fit, asked: Allocation) -> str:
    try:
        pool = ladder_of(fit, most=_CHEAP * asked.budget)
    except InvalidRequest:
        return ""  # so small a budget has no cheaper ladder
    table = next_run(fit, pool, Budget(asked.budget), group=asked.group, seed=asked.seed)
    best = table.loc[table["value"].idxmax()]
    return (
        f"The most informative further run at up to {100 * _CHEAP:g} % of this budget has {short(best['params'])} parameters and "
        f"{short(best['tokens'])} tokens. It is expected to remove {100 * best['share']:.0f} % of the expected regret, now "
        f"{best['risk']:.2g} {fit.loss_unit}."
    )


def _fact_table(fit: Fit, asked: Allocation) -> Table:
    rows = {
        "runs": f"{fit.facts['runs']}, {len(fit.table)} rows",
        "law": fit.model.only.law,
        "model digest": fit.model.digest[:16],
        **{
            name: number(value) if isinstance(value, float) else str(value)
            for name, value in asked.model_dump(exclude_defaults=True).items()
        },
    }
    return Table("The fit and the settings of the question.", ("", "value"), list(rows.items()), ("value",))
