"""A decision about a budget: the split, its cost, its chance of a loss, and how flat the optimum is."""

from __future__ import annotations

from functools import partial
from typing import Any

import pandas as pd
from pydantic import Field

from bayes_scaling.errors import MissingOption
from bayes_scaling.posterior.extrapolation import reach_sentence
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.questions.allocation import allocate, budget_table, law_clause
from bayes_scaling.questions.base import Answer, OfText
from bayes_scaling.questions.cost import OnHardware, compute_in
from bayes_scaling.questions.guardrails import stated_distances
from bayes_scaling.questions.picture import curve
from bayes_scaling.questions.regret import near_optimal, regret
from bayes_scaling.questions.risk import RISK
from bayes_scaling.questions.shapes import shapes_near
from bayes_scaling.questions.target import chance
from bayes_scaling.wording import credible, flop, number, percent, probability, short


class Allocation(OnHardware, OfText):
    """What to train with a budget, what it costs, and how sensitive the choice is.

    The budget is a compute, or days of a count of devices. Asked of a fit of a law of N and D.

    Tables: ``allocation``, the row of :func:`~bayes_scaling.budget_table`; ``near_optimal``, the sizes within 0.1 % and 1 % of
    the least loss, and ``regret`` of the choice and of the one without limits and by the mean, as of
    :class:`~bayes_scaling.questions.regret.Regret`; ``cost``, as of :class:`~bayes_scaling.questions.cost.Cost`; where a loss
    is to be reached ``chance``, ``target`` and ``chance`` that the run does; where a head width is given ``shapes``, as of
    :class:`~bayes_scaling.questions.shapes.Shapes`.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> answer = Allocation(compute=1e24, target=2.0).answer(example_fit())
    >>> answer.tables["chance"].round(2).to_dict("records")
    [{'target': 2.0, 'chance': 0.97}]
    """

    name = "decide"
    panel = "Budget"
    about_budgets = True
    aliases = ("allocation",)
    example = "decide fit.nc --days 30 --device h100 --count 1024 --out decision.html"

    compute: float | None = Field(default=None, gt=0, description="Budget, FLOP; or give --days and --count.")
    days: float | None = Field(default=None, gt=0, description="Days that the devices run.")
    risk: str = RISK
    target: float | None = Field(
        default=None,
        gt=0,
        description="A loss: also give the probability that the run reaches it.",
        json_schema_extra={"option": "--loss"},
    )
    least_params: float | None = Field(default=None, gt=0, description="Smallest size allowed.")
    most_params: float | None = Field(default=None, gt=0, description="Largest size allowed, for example by memory.")
    head_width: int | None = Field(
        default=None, ge=1, description="Width of an attention head: also list Transformers with whole layers and heads."
    )

    @property
    def budget(self) -> float:
        """The budget, FLOP."""
        if self.compute is not None and self.days is None:
            return self.compute
        if self.days is not None and self.count is not None and self.compute is None:
            return compute_in(self.days, self.device, count=self.count, utilisation=self.utilisation, seed=self.seed)
        raise MissingOption("Give the budget: either compute (FLOP), or days and count (of devices).")

    @property
    def limits(self) -> dict[str, float]:
        """Sizes allowed, where they are limited."""
        given = {"least_params": self.least_params, "most_params": self.most_params}
        return {name: value for name, value in given.items() if value is not None}

    def _compute(self) -> Any:
        return self.budget

    def _result(self, posterior: Fit) -> Answer:
        budget: dict[str, Any] = {"compute": self.budget, **self.given}
        limits: dict[str, Any] = self.limits
        unit, width = posterior.loss_unit, percent(self.prob)
        table = budget_table(allocate(posterior, risk=self.risk, **limits, **budget), self.prob)
        row = table.iloc[0]
        flat = near_optimal(posterior, within=[0.001, 0.01], **limits, **budget)
        bound = bool(limits) or self.risk != "mean"
        free = float(allocate(posterior, **budget)["params"]) if bound else float(row["params"])
        lost = regret(posterior, params=[float(row["params"]), free], prob=self.prob, **budget)
        of_choice, of_free = lost["regret"]
        law = law_clause(row["law_params"], row["params"])
        bill, costs = self.bill(self.budget, self.prob, self.seed)
        cost = "" if limits else f"; this uncertainty costs {number(of_free, 2)} {unit} on average"
        lines = [
            f"With {flop(self.budget)}, train {short(row['params'])} parameters{law} on {short(row['tokens'])} tokens: the predicted loss of "
            f"a new run is {row['median']:.4f} {unit} ({credible(self.prob, f'{row["lower"]:.4f}', f'{row["upper"]:.4f}')}). The "
            f"true optimum lies between {short(row['params_lower'])} and {short(row['params_upper'])} parameters ({width}){cost}. "
            f"Any size from {short(flat['params_lower'].iloc[-1])} to {short(flat['params_upper'].iloc[-1])} is within 1 % of the least "
            f"loss{' of a size that is allowed' if limits else ''}. The run is {reach_sentence(stated_distances(row))}."
        ]
        if of_choice > of_free * 1.05 + 1e-6:
            why = "The limits on size raise" if limits else f"The risk measure {self.risk} raises"
            lines.append(f"{why} the expected loss by {number(of_choice - of_free, 2)} {unit}.")
        tables = {"allocation": table, "near_optimal": flat, "regret": lost, "cost": costs}
        if self.target is not None:
            reached = float(chance(posterior, target=self.target, risk=self.risk, **limits, **budget)["chance"])
            tables["chance"] = pd.DataFrame([{"target": self.target, "chance": reached}])
            lines.append(f"It reaches {self.target:g} {unit} with a probability of {probability(reached)}.")
        if self.head_width is not None:
            near = shapes_near(posterior, params=float(row["params"]), head_width=self.head_width, **limits, **budget)
            tables["shapes"], best = near, near.iloc[0]
            lines.append(
                f"With whole layers and heads: {best['depth']:.0f} layers of width {best['width']:.0f}, {best['heads']:.0f} heads, "
                f"{short(best['params'])} parameters; {len(near) - 1} other shapes are about as near."
            )
        draw = partial(curve, table="near_optimal", x="within", y="params_upper", log="xy")
        return Answer("\n".join([*lines, bill]), tables=tables, draw=draw)
