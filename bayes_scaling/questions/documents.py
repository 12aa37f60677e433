"""Questions about a budget, as documents: the command line builds them, a service reads them, and each has one answer."""

from __future__ import annotations

import json
from typing import Annotated, Any

import numpy as np
import pandas as pd
from pydantic import Field, ValidationError

from bayes_scaling.errors import InvalidRequest, choose
from bayes_scaling.model.priors import Prior
from bayes_scaling.posterior.extrapolation import reach_sentence
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.quantities import training_compute
from bayes_scaling.questions.allocation import allocate, budget_table
from bayes_scaling.questions.base import OfText, OnHardware, Question, of_one_law, refuse_group
from bayes_scaling.questions.cost import compute_in
from bayes_scaling.questions.deadline import deadline, front
from bayes_scaling.questions.frontier import SPENT_OVER_LEAST
from bayes_scaling.questions.lifetime import lifetime, overtraining
from bayes_scaling.questions.next_run import ladder_of, mentioned, next_run, next_runs
from bayes_scaling.questions.recipes import compare_recipes, crossing
from bayes_scaling.questions.regret import near_optimal, regret
from bayes_scaling.questions.shapes import shapes_near
from bayes_scaling.questions.stop_early import stopping
from bayes_scaling.questions.target import chance, least_compute

Positive = Annotated[float, Field(gt=0)]


class Target(OfText, OnHardware):
    """How likely budgets reach a loss, and the least that does.

    Parameters
    ----------
    target : float
        Loss to reach.
    sure : float
        How sure to be.
    compute : list of float
        Budgets to tell the chance of.
    """

    target: float = Field(gt=0)
    sure: float = Field(default=0.9, gt=0, lt=1)
    compute: tuple[Positive, ...] = ()

    def _compute(self) -> Any:
        return self.compute or None

    def _answered(self, fit: Fit) -> tuple[str, dict[str, pd.DataFrame], Any]:
        of = of_one_law(fit)
        asked: dict[str, Any] = {"target": self.target, **self.given}
        if self.compute:
            found = chance(of, compute=list(self.compute), **asked)
            table = pd.DataFrame({str(n): np.atleast_1d(v.values) for n, v in (found.coords | found.data_vars).items()})
            said = "\n".join(
                f"{row['compute_flops']:.3g} FLOP reach {self.target:g} {fit.loss_unit} with a probability of {row['chance']:.2f}."
                for row in table.to_dict("records")
            )
            return said, {"chances": table}, None
        least = least_compute(of, prob=self.sure, **asked)
        bill, costs = self.bill(float(least["compute_flops"]), self.prob, self.seed)
        run = f", {least['params']:.3g} parameters on {least['tokens']:.3g} tokens" if "params" in least else ""
        said = (
            f"A new run measures less than {self.target:g} {fit.loss_unit} with a probability of {self.sure:g} from "
            f"{least['compute_flops']:.3g} FLOP{run}; {_even(least['even'])}. The budget is "
            f"{reach_sentence({'compute_flops': least['reach_compute_flops']})}.\n{bill}"
        )
        return said, {"least": least.to_frame().T, "cost": costs}, least["compute_flops"]


class Allocation(OfText, OnHardware):
    """How to split a budget between size and data.

    Parameters
    ----------
    compute : float, optional
        Budget, FLOP; or what ``count`` devices do in ``days``.
    days : float, optional
        How long the devices run.
    risk : str
        What to make small.
    least_params, most_params : float, optional
        Sizes allowed.
    target : float, optional
        A loss the run is hoped to reach: how likely it does.
    head_width : int, optional
        Width of an attention head, where Transformers of whole layers and heads near the size are wanted.
    """

    compute: float | None = Field(default=None, gt=0)
    days: float | None = Field(default=None, gt=0)
    risk: str = "mean"
    least_params: float | None = Field(default=None, gt=0)
    most_params: float | None = Field(default=None, gt=0)
    target: float | None = Field(default=None, gt=0)
    head_width: int | None = Field(default=None, ge=1)

    @property
    def budget(self) -> float:
        """The budget, FLOP."""
        if self.compute is not None and self.days is None:
            return self.compute
        if self.days is not None and self.count is not None and self.compute is None:
            return compute_in(self.days, self.device, count=self.count, utilisation=self.utilisation, seed=self.seed)
        raise InvalidRequest("Say the budget: either compute, FLOP, or days and the count of devices.")

    def _compute(self) -> Any:
        return self.budget

    def _answered(self, fit: Fit) -> tuple[str, dict[str, pd.DataFrame], Any]:
        of = of_one_law(fit)
        asked: dict[str, Any] = {"compute": self.budget, **self.given}
        limits: dict[str, Any] = {"least_params": self.least_params, "most_params": self.most_params}
        limits = {name: value for name, value in limits.items() if value is not None}
        table = budget_table(allocate(of, risk=self.risk, **limits, **asked), self.prob)
        row = table.iloc[0]
        flat = near_optimal(of, within=[0.001, 0.01], **limits, **asked)
        bound = bool(limits) or self.risk != "mean"
        free = float(allocate(of, **asked)["params"]) if bound else float(row["params"])
        lost = regret(of, params=[float(row["params"]), free], **asked)
        unknown, here = float(lost["regret"].iloc[1]), float(lost["regret"].iloc[0])
        bill, costs = self.bill(self.budget, self.prob, self.seed)
        said = [
            f"Of {self.budget:.3g} FLOP, train {row['params']:.3g} parameters on {row['tokens']:.3g} tokens: a new run measures "
            f"{row['median']:.4f} {fit.loss_unit} ({100 * self.prob:g} % interval {row['lower']:.4f} to {row['upper']:.4f}). The true "
            f"optimum lies between {row['params_lower']:.3g} and {row['params_upper']:.3g} parameters ({100 * self.prob:g} %); not "
            f"knowing it costs {unknown:.2g} {fit.loss_unit} on average. Any size from {flat['params_lower'].iloc[-1]:.3g} to "
            f"{flat['params_upper'].iloc[-1]:.3g}{' that is allowed' if limits else ''} is within 1 % of the least loss."
        ]
        if here > unknown * 1.05 + 1e-6:
            why = "the sizes allowed" if limits else f"the care of {self.risk}"
            said.append(f"Of the loss, {here - unknown:.2g} {fit.loss_unit} is what {why} cost.")
        tables = {"allocation": table, "near_optimal": flat, "regret": lost, "cost": costs}
        if self.target is not None:
            found = chance(of, target=self.target, risk=self.risk, **limits, **asked)
            tables["chance"] = pd.DataFrame([{"target": self.target, "chance": float(found["chance"])}])
            said.append(f"It reaches {self.target:g} {fit.loss_unit} with a probability of {float(found['chance']):.2f}.")
        if self.head_width is not None:
            tables["shapes"] = shapes_near(of, params=float(row["params"]), head_width=self.head_width, **limits, **asked)
            best = tables["shapes"].iloc[0]
            said.append(
                f"Of whole layers and heads: {best['depth']:.0f} layers of width {best['width']:.0f}, {best['heads']:.0f} heads, "
                f"{best['params']:.4g} parameters; {len(tables['shapes']) - 1} others are as near."
            )
        return "\n".join([*said, bill]), tables, None


class Regret(OfText):
    """What sizes cost that are not the optimum.

    Parameters
    ----------
    compute : float
        Budget, FLOP.
    params : list of float
        Sizes; many around the choice by default.
    """

    compute: float = Field(gt=0)
    params: tuple[Positive, ...] = ()

    def _answered(self, fit: Fit) -> tuple[str, dict[str, pd.DataFrame], Any]:
        of = of_one_law(fit)
        asked: dict[str, Any] = {"compute": self.compute, **self.given}
        table = regret(of, params=list(self.params) or None, **asked)
        flat = near_optimal(of, within=[0.001, 0.002, 0.005, 0.01, 0.02], **asked)
        rows = table.to_dict("records") if self.params else []
        said = [
            f"{row['params']:.3g} parameters lose {row['regret']:.2g} {fit.loss_unit} against the best size (90 % interval "
            f"{row['regret_lower']:.2g} to {row['regret_upper']:.2g}; mean of the worst tenth {row['regret_cvar']:.2g}): {100 * row['wasted']:.0f} % of "
            f"the budget buys nothing."
            for row in rows
        ]
        said += [
            f"Within {100 * row['within']:g} % of the least loss lie {row['params_lower']:.3g} to {row['params_upper']:.3g} parameters, on "
            f"{row['tokens_upper']:.3g} to {row['tokens_lower']:.3g} tokens."
            for row in flat.to_dict("records")
        ]
        return "\n".join(said), {"regret": table, "near_optimal": flat}, None


class Lifetime(OfText):
    """The size that costs least over training and serving.

    Parameters
    ----------
    target : float
        Expected loss to reach.
    demand : float or Prior
        Tokens to serve.
    """

    target: float = Field(gt=0)
    demand: float | Prior

    def _answered(self, fit: Fit) -> tuple[str, dict[str, pd.DataFrame], Any]:
        of = of_one_law(fit)
        table = lifetime(of, target=self.target, demand=self.demand, **self.given)
        best, plain = table.loc["lifetime"], table.loc["training"]
        spent = float(best["training_flops"])
        penalty = overtraining(of, compute=spent, times=[1, 2, 4, 8], prob=self.prob, **self.given)
        said = (
            f"To serve what is wanted at an expected loss of {self.target:g} {fit.loss_unit}, train {best['params']:.3g} parameters on "
            f"{best['tokens']:.3g} tokens ({best['tokens_per_param']:.0f} a parameter): {best['total_flops']:.3g} FLOP over its lifetime, "
            f"{100 * (1 - best['total_flops'] / plain['total_flops']):.0f} % less than the {plain['params']:.3g} parameters that training alone would choose."
        )
        return said, {"choice": table, "overtraining": penalty}, spent


class Deadline(Question):
    """The batch that reaches a loss in time, and its price.

    Parameters
    ----------
    params : float
        Size.
    loss : float
        Loss to reach.
    days : float
        Until when.
    seconds_per_step : float
        How long a step takes.
    sure : float
        How sure to be.
    """

    params: float = Field(gt=0)
    loss: float = Field(gt=0)
    days: float = Field(gt=0)
    seconds_per_step: float = Field(gt=0)
    sure: float = Field(default=0.9, gt=0, lt=1)

    def _trades(self) -> bool:
        return False

    def _answered(self, fit: Fit) -> tuple[str, dict[str, pd.DataFrame], Any]:
        refuse_group(self)
        found = deadline(
            fit,
            params=self.params,
            loss=self.loss,
            days=self.days,
            seconds_per_step=self.seconds_per_step,
            sure=self.sure,
            prob=self.prob,
        )
        said = (
            f"A batch of {found['batch_tokens']:.3g} tokens reaches {self.loss:g} {fit.loss_unit} in {self.days:g} days with a probability of "
            f"{found['chance']:.2f}: {found['steps']:.3g} steps ({100 * self.prob:g} % interval {found['steps_lower']:.3g} to "
            f"{found['steps_upper']:.3g}), {found['tokens']:.3g} tokens, {100 * found['extra_tokens']:.0f} % more than a small batch would take. A "
            f"deadline one day later would save {found['price_of_a_day']:.2g} FLOP."
        )
        return (
            said,
            {"deadline": found.to_frame().T, "front": front(fit, params=self.params, loss=self.loss, prob=self.prob)},
            found["compute_flops"],
        )


class Stopping(Question):
    """Stop a large model early, or train a smaller one nearly to convergence.

    Parameters
    ----------
    compute_min : float
        Compute at a small batch, FLOP.
    excess : float
        How far above convergence the smaller one stops.
    params : float, optional
        A size of one's own.
    """

    compute_min: float = Field(gt=0)
    excess: float = Field(default=0.02, gt=0)
    params: float | None = Field(default=None, gt=0)

    def _compute(self) -> Any:
        return SPENT_OVER_LEAST * self.compute_min

    def _trades(self) -> bool:
        return False

    def _answered(self, fit: Fit) -> tuple[str, dict[str, pd.DataFrame], Any]:
        refuse_group(self)
        table = stopping(fit, compute_min=self.compute_min, excess=self.excess, params=self.params, prob=self.prob)
        early = table.loc["stopped early"]
        said = [
            f"{self.compute_min:.3g} FLOP train {early['params']:.3g} parameters for {early['steps_min']:.3g} steps to {early['loss']:.4f} {fit.loss_unit}."
        ]
        for name, row in table.iloc[1:].iterrows():
            said.append(
                f"A run of {row['params']:.3g} parameters ({name}) ends at {row['loss']:.4f}: the early stop gains {row['gain']:.3g} "
                f"({100 * self.prob:g} % interval {row['gain_lower']:.3g} to {row['gain_upper']:.3g}), with a probability of {row['chance']:.2f}."
            )
        return "\n".join(said), {"runs": table}, None


class Recipes(Question):
    """Which of two recipes is better at a compute.

    Parameters
    ----------
    a, b : dict
        Label of each grouping column.
    compute : list of float
        Budgets, FLOP.
    """

    a: dict[str, str]
    b: dict[str, str]
    compute: tuple[Positive, ...] = Field(min_length=1)

    def _answered(self, fit: Fit) -> tuple[str, dict[str, pd.DataFrame], Any]:
        refuse_group(self)
        of = of_one_law(fit)
        table = compare_recipes(of, self.a, self.b, compute=list(self.compute), prob=self.prob, seed=self.seed)
        crosses = crossing(of, self.a, self.b, prob=self.prob, seed=self.seed)
        names = [", ".join(recipe.values()) for recipe in (self.a, self.b)]
        said = [
            f"At {row['compute_flops']:.3g} FLOP {names[0]} is better than {names[1]} with a probability of {row['chance']:.2f}; {names[1]} needs "
            f"{row['multiplier']:.3g} times the compute ({100 * self.prob:g} % interval {row['multiplier_lower']:.3g} to {row['multiplier_upper']:.3g})."
            for row in table.to_dict("records")
        ]
        said.append(f"They cross with a probability of {crosses['chance']:.2f} within six decades beyond the runs.")
        return "\n".join(said), {"recipes": table, "crossing": crosses.to_frame().T}, None


class NextRun(Question):
    """The run to train next.

    Parameters
    ----------
    most : float, optional
        What a candidate may cost, FLOP, where none are given.
    candidates : list of dict
        ``params``, ``tokens`` and, if it is not 6 N D, ``cost``.
    money : float, optional
        What several runs may cost together.
    compute : float, optional
        Budget whose split is to be decided.
    params, tokens : float, optional
        Or the run to forecast.
    """

    most: float | None = Field(default=None, gt=0)
    candidates: tuple[dict[str, float], ...] = ()
    money: float | None = Field(default=None, gt=0)
    compute: float | None = Field(default=None, gt=0)
    params: float | None = Field(default=None, gt=0)
    tokens: float | None = Field(default=None, gt=0)

    def _compute(self) -> Any:
        if self.params is not None and self.tokens is not None:
            return training_compute(self.params, self.tokens)
        return self.compute

    def _trades(self) -> bool:
        return False  # a run off the line is what such a design needs: nothing to refuse

    def _answered(self, fit: Fit) -> tuple[str, dict[str, pd.DataFrame], Any]:
        of = of_one_law(fit)
        about = mentioned({"compute": self.compute, "params": self.params, "tokens": self.tokens})
        if bool(self.candidates) == (self.most is not None):
            raise InvalidRequest("Give either the candidates, or with most what one may cost.")
        pool = pd.DataFrame(list(self.candidates)) if self.candidates else ladder_of(of, most=self.most or 0.0)
        what = "forecast" if self.params is not None else "choice of size"
        table = next_run(of, pool, about, group=self.group, seed=self.seed)
        best = table.iloc[0]
        said = (
            f"Next, train {best['params']:.3g} parameters on {best['tokens']:.3g} tokens ({best['cost']:.3g}): of the risk of the {what} it is "
            f"expected to take {100 * best['share']:.0f} %, more for its cost than any other of {len(table)}."
        )
        most = table.loc[table["value"].idxmax()]
        said += f" Most is told by {most['params']:.3g} on {most['tokens']:.3g} ({most['cost']:.3g}): {100 * most['share']:.0f} %."
        tables = {"candidates": table}
        if self.money is not None:
            tables["together"] = next_runs(of, pool, about, money=self.money, group=self.group, seed=self.seed)
            together = [f"{run['params']:.3g} on {run['tokens']:.3g}" for run in tables["together"].to_dict("records")]
            share = tables["together"]["share"].max() if together else 0.0
            said += f"\nFor {self.money:.3g}, {len(together)} runs together are expected to take {100 * share:.0f} %"
            said += f": {', '.join(together)}." if together else "."
        return said, tables, None


def _even(budget: float) -> str:
    return f"even odds take {budget:.3g} FLOP" if np.isfinite(budget) else "odds are better than even below that already"


QUESTIONS: dict[str, type[Question]] = {
    "target": Target,
    "allocation": Allocation,
    "regret": Regret,
    "lifetime": Lifetime,
    "deadline": Deadline,
    "stopping": Stopping,
    "recipes": Recipes,
    "next_run": NextRun,
}
"""Every question by the name a request gives."""


def question(name: str, **given: Any) -> Question:
    """Build a question from what a request says.

    Parameters
    ----------
    name : str
        One of :data:`QUESTIONS`.
    **given
        What the question takes; what is None counts as left out.

    Raises
    ------
    InvalidRequest
        If there is no such question, or a value is not what it takes: every value that is wrong, in one sentence each.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> print(question("target", target=2.0, compute=[1e24], anyway=True).answer(example_fit()))
    1e+24 FLOP reach 2 nats/token with a probability of 0.97.
    """
    if name not in QUESTIONS:
        raise InvalidRequest(f"There is no question {name!r}; {choose(name, QUESTIONS)}.")
    try:
        return QUESTIONS[name].model_validate_json(
            json.dumps({n: v for n, v in given.items() if v is not None}, default=_plain)
        )
    except ValidationError as error:
        kind = QUESTIONS[name]
        raise InvalidRequest(" ".join(_said(entry, kind) for entry in error.errors())) from None


def _plain(value: Any) -> Any:
    """Return what JSON can hold of what Python gives: numbers of numpy, priors."""
    return value.model_dump() if isinstance(value, Prior) else value.item()


def _said(wrong: Any, kind: type[Question]) -> str:
    place, found = ".".join(str(part) for part in wrong["loc"]), wrong["input"]
    if wrong["type"] == "extra_forbidden":
        return f"{kind.__name__} takes no {place!r}; {choose(place, kind.model_fields)}."
    if wrong["type"] == "missing":
        return f"{kind.__name__} needs {place}."
    return f"{place} is {found!r}: {wrong['msg'].replace('Input should', 'it should')}."
