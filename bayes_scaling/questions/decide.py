"""A decision about a budget: the split, its cost, its chance of a loss, and how flat the optimum is."""

from __future__ import annotations

from functools import partial
from typing import Any

import pandas as pd
from pydantic import Field

from bayes_scaling.errors import InvalidRequest
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.questions.allocation import allocate, budget_table
from bayes_scaling.questions.base import Answer, OfText
from bayes_scaling.questions.cost import OnHardware, compute_in
from bayes_scaling.questions.picture import curve
from bayes_scaling.questions.regret import near_optimal, regret
from bayes_scaling.questions.risk import RISK
from bayes_scaling.questions.shapes import shapes_near
from bayes_scaling.questions.target import chance
from bayes_scaling.questions.wording import credible, flop, percent, short


class Allocation(OnHardware, OfText):
    """What to train with a budget, what it costs, and how sensitive the choice is."""

    name = "decide"
    panel = "Budget"
    aliases = ("allocation",)
    example = "decide fit.nc --days 30 --device h100 --count 1024 --out decision.html"

    compute: float | None = Field(default=None, gt=0, description="Budget, FLOP; or say --days and --count.")
    days: float | None = Field(default=None, gt=0, description="How long the devices run.")
    risk: str = RISK
    target: float | None = Field(
        default=None,
        gt=0,
        description="A loss to reach: the chance that the run does.",
        json_schema_extra={"option": "--loss"},
    )
    least_params: float | None = Field(default=None, gt=0, description="Smallest size allowed.")
    most_params: float | None = Field(default=None, gt=0, description="Largest size allowed, by memory, say.")
    head_width: int | None = Field(
        default=None, ge=1, description="Width of an attention head: name Transformers of whole layers and heads."
    )

    @property
    def budget(self) -> float:
        """The budget, FLOP."""
        if self.compute is not None and self.days is None:
            return self.compute
        if self.days is not None and self.count is not None and self.compute is None:
            return compute_in(self.days, self.device, count=self.count, utilisation=self.utilisation, seed=self.seed)
        raise InvalidRequest("Say the budget: either compute, FLOP, or days and the count of devices.")

    @property
    def limits(self) -> dict[str, float]:
        """Sizes allowed, where they are limited."""
        given = {"least_params": self.least_params, "most_params": self.most_params}
        return {name: value for name, value in given.items() if value is not None}

    def _compute(self) -> Any:
        return self.budget

    def _result(self, posterior: Fit) -> Answer:
        asked: dict[str, Any] = {"compute": self.budget, **self.given}
        limits: dict[str, Any] = self.limits
        unit, width = posterior.loss_unit, percent(self.prob)
        table = budget_table(allocate(posterior, risk=self.risk, **limits, **asked), self.prob)
        row = table.iloc[0]
        flat = near_optimal(posterior, within=[0.001, 0.01], **limits, **asked)
        bound = bool(limits) or self.risk != "mean"
        free = float(allocate(posterior, **asked)["params"]) if bound else float(row["params"])
        lost = regret(posterior, params=[float(row["params"]), free], prob=self.prob, **asked)
        here, unknown = lost["regret"]
        bill, costs = self.bill(self.budget, self.prob, self.seed)
        lines = [
            f"Of {flop(self.budget)}, train {short(row['params'])} parameters on {short(row['tokens'])} tokens: the predicted loss of a "
            f"new run is {row['median']:.4f} {unit} ({credible(self.prob, f'{row["lower"]:.4f}', f'{row["upper"]:.4f}')}). The true "
            f"optimum lies between {short(row['params_lower'])} and {short(row['params_upper'])} parameters ({width}); this uncertainty "
            f"costs {unknown:.2g} {unit} on average. Any size from {short(flat['params_lower'].iloc[-1])} to "
            f"{short(flat['params_upper'].iloc[-1])}{' that is allowed' if limits else ''} is within 1 % of the least loss."
        ]
        if here > unknown * 1.05 + 1e-6:
            why = "the sizes allowed" if limits else f"the risk measure {self.risk}"
            lines.append(f"Of the loss, {here - unknown:.2g} {unit} is what {why} cost{'' if limits else 's'}.")
        tables = {"allocation": table, "near_optimal": flat, "regret": lost, "cost": costs}
        if self.target is not None:
            reached = float(chance(posterior, target=self.target, risk=self.risk, **limits, **asked)["chance"])
            tables["chance"] = pd.DataFrame([{"target": self.target, "chance": reached}])
            lines.append(f"It reaches {self.target:g} {unit} with a probability of {reached:.2f}.")
        if self.head_width is not None:
            near = shapes_near(posterior, params=float(row["params"]), head_width=self.head_width, **limits, **asked)
            tables["shapes"], best = near, near.iloc[0]
            lines.append(
                f"Of whole layers and heads: {best['depth']:.0f} layers of width {best['width']:.0f}, {best['heads']:.0f} heads, "
                f"{short(best['params'])} parameters; {len(near) - 1} others are as near."
            )
        draw = partial(curve, table="near_optimal", x="within", y="params_upper", log="xy")
        return Answer("\n".join([*lines, bill]), tables=tables, draw=draw)
