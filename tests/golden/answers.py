"""Answers computed from stored draws, each a function of nothing that returns plain numbers."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

import bayes_scaling as bs
from bayes_scaling.posterior.variance import noise_parts
from bayes_scaling.questions.bottleneck import bottleneck
from bayes_scaling.questions.cost import cost
from bayes_scaling.questions.deadline import Deadline
from bayes_scaling.questions.early_stopping import early_stopping
from bayes_scaling.questions.frontier import frontier_table
from bayes_scaling.questions.heterogeneity import agreement
from bayes_scaling.questions.lifetime import lifetime, overtraining
from bayes_scaling.questions.next_run import Budget, Forecast, next_run, next_runs
from bayes_scaling.questions.regret import near_optimal, regret
from bayes_scaling.questions.robust import robust_choice
from bayes_scaling.questions.target import chance, least_compute
from tests.golden import tables
from tests.golden.adapter import (
    Supply,
    compare_recipes,
    crossing,
    design_of,
    effort,
    front_of,
    ladder,
    log_likelihood,
    loss_at_runs,
    observation_of,
    residuals_at_runs,
    residuals_of_system,
)
from tests.golden.numbers import of_draws, plain
from tests.golden.stored import mixture, posterior

LARGE = {"params": 7e10, "tokens": 1.4e12}
SMALL = {"params": 3e5, "tokens": 3e6}
BUDGETS = [1e13, 1e15]


def _question(name: str, of: str, **given: Any) -> Any:
    answer = bs.question(name, anyway=True, **given).answer(posterior(of))
    return {key: plain(table) for key, table in answer.tables.items()}


def _along() -> pd.DataFrame:
    table = tables.along_runs()
    later = table.assign(tokens=table["tokens"] * 1.5).drop(columns="loss").iloc[[2, 5, 8]]
    new = pd.DataFrame({"run_id": ["fresh"], "params": [1e8], "tokens": [5e9], "lr": [0.001], "seed": [0]})
    return pd.concat([later, new], ignore_index=True)


def _live() -> Any:
    curve = pd.DataFrame({"params": 1e8, "tokens": [5e8, 1e9, 2e9], "loss": [3.35, 3.2, 3.05]})
    state = bs.live(posterior("kappa along runs"), curve, end={"tokens": 8e9})
    return {
        "before": list(state.before),
        "now": list(state.now),
        "effective": state.effective_draws,
        "curve": plain(state.curve),
    }


def _live_of_system() -> Any:
    rows = posterior("system").rows("curves")
    one = rows[rows["run_id"] == rows["run_id"].iloc[0]].iloc[:4]
    unseen = one.drop(columns="run_id")  # by its name it would be known as a run of the fit
    state = bs.live(posterior("system"), unseen, end={"steps": 1e6}, observation="curves")
    return {
        "before": list(state.before),
        "now": list(state.now),
        "effective": state.effective_draws,
        "curve": plain(state.curve.assign(run_id=one["run_id"].iloc[0])),
    }


RUNS = pd.DataFrame({"params": [1e5, 1e6], "tokens": [1e7, 3e6]})


def _checks(of: str) -> pd.DataFrame:
    """Return the checks but for the residuals by columns that the model does not use, which are newer."""
    checks = bs.check(posterior(of))[["check", "value", "passed"]]
    return checks[~checks["check"].str.startswith("residuals by")]


ANSWERS: dict[str, Callable[[], Any]] = {
    "predict chinchilla": lambda: of_draws(bs.predict(posterior("chinchilla"), **LARGE)),
    "kappa predicted inside": lambda: of_draws(bs.predict(posterior("kappa"), **SMALL)),
    "kappa predicted beyond": lambda: of_draws(bs.predict(posterior("kappa"), params=[1e7, 1e4], tokens=[1e9, 1e5], seed=3)),
    "kappa predicted along runs": lambda: of_draws(bs.predict(posterior("kappa along runs"), params=1e9, tokens=4e10)),
    "predict known group": lambda: of_draws(bs.predict(posterior("kappa by group"), group={"group": "news"}, **LARGE)),
    "predict new group": lambda: of_draws(bs.predict(posterior("kappa by group"), group={"group": "math"}, **LARGE)),
    "offset_c predicted": lambda: of_draws(bs.predict(posterior("offset_c"), compute_flops=[1e12, 1e16])),
    "predict observation": lambda: of_draws(
        bs.predict(observation_of(posterior("system"), "curves"), params=1e9, steps=1e5, batch_tokens=5e5)
    ),
    "table predicted, runs continued": lambda: plain(bs.predict_table(posterior("kappa along runs"), _along())),
    "predict table by group": lambda: plain(
        bs.predict_table(posterior("kappa by group"), pd.DataFrame({**LARGE, "group": ["news", "code"]}), prob=0.8)
    ),
    "mixture predicted": lambda: plain(bs.predict_table(mixture(), RUNS, anyway=True)),
    "allocate": lambda: plain(bs.budget_table(bs.allocate(posterior("kappa"), compute=BUDGETS))),
    **{
        f"allocate {risk}": (
            lambda risk=risk: plain(bs.budget_table(bs.allocate(posterior("chinchilla"), compute=1e23, risk=risk)))
        )
        for risk in ("quantile:0.9", "cvar:0.9", "exceed:2.2", "median")
    },
    "allocate within limits": lambda: plain(
        bs.budget_table(bs.allocate(posterior("chinchilla"), compute=1e23, least_params=6e10, most_params=1e11))
    ),
    "allocate of limited text": lambda: plain(
        bs.budget_table(bs.allocate(posterior("chinchilla"), compute=1e23, supply=Supply(1e11)))
    ),
    "allocate by group": lambda: plain(
        bs.budget_table(bs.allocate(posterior("kappa by group"), compute=1e22, group={"group": "web"}))
    ),
    "chance, one noise for all budgets": lambda: of_draws(
        chance(posterior("chinchilla"), target=2.0, compute=[1e22, 1e23, 1e24])
    ),
    "chance of one resource": lambda: of_draws(chance(posterior("offset_c"), target=2.2, compute=BUDGETS)),
    "least budget, one noise for all budgets": lambda: plain(least_compute(posterior("chinchilla"), target=2.0)),
    "regret": lambda: plain(regret(posterior("chinchilla"), compute=5.76e23, params=[7e10, 2.8e11])),
    "regret of kappa": lambda: plain(regret(posterior("kappa"), compute=1e14)),
    "near optimal": lambda: plain(near_optimal(posterior("chinchilla"), compute=5.76e23, within=[0.001, 0.01])),
    "lifetime": lambda: plain(lifetime(posterior("chinchilla"), target=2.1, demand=1e13)),
    "overtraining": lambda: plain(overtraining(posterior("chinchilla"), compute=1e23, times=[1, 2, 4])),
    "deadline": lambda: plain(
        Deadline(params=1e9, loss=2.9, days=1.0, seconds_per_step=1.0).in_time(posterior("system")).iloc[0]
    ),
    "front": lambda: plain(front_of(posterior("system"), params=1e9, loss=2.9, batch=[1e5, 1e6, 1e7])),
    "stop early": lambda: _question("stopping", "system", compute_min=1e21, params=1e9)["runs"],
    "early stopping": lambda: plain(early_stopping(posterior("system"))),
    "recipes": lambda: plain(
        compare_recipes(posterior("kappa by group"), {"group": "web"}, {"group": "code"}, compute=[1e20, 1e22])
    ),
    "crossing": lambda: plain(crossing(posterior("kappa by group"), {"group": "web"}, {"group": "code"})),
    "robust": lambda: plain(robust_choice(mixture(), compute=1e15, anyway=True)),
    "next run for a forecast, judged by other draws": lambda: plain(
        next_run(posterior("kappa"), RUNS, Forecast(params=1e7, tokens=1e9))
    ),
    "next run for a budget": lambda: plain(next_run(posterior("kappa"), RUNS, Budget(1e15))),
    "next run, heavy tail, judged by other draws": lambda: plain(
        next_run(posterior("chinchilla"), pd.DataFrame({"params": [1e8, 5e9], "tokens": [2e9, 1e11]}), Forecast(**LARGE))
    ),
    "next runs": lambda: plain(next_runs(posterior("kappa"), RUNS, Budget(1e15), money=1e14)),
    "claims": lambda: [
        {**row, "verdict of claim": row_verdict}
        for row, row_verdict in zip(
            plain(bs.claims(posterior("system"))), bs.claims(posterior("system"))["verdict"].tolist(), strict=True
        )
    ],
    "frontier": lambda: plain(frontier_table(posterior("system"), bs.frontier(posterior("system"), compute=[1e20, 1e22]))),
    "bottleneck": lambda: of_draws(
        bottleneck(posterior("system"), params=1e8, dataset_tokens=3e7, steps=1e5, batch_tokens=2**19)
    ),
    "effort": lambda: of_draws(effort(posterior("system"), loss=2.9, params=[1e9, 1e10])),
    "derive critical batch": lambda: of_draws(
        bs.derive(posterior("system"), "critical_batch", loss=2.0).to_dataset(name="it")
    ),
    "derive one pass": lambda: of_draws(
        bs.derive(posterior("system"), "one_pass_params", compute_flops=1e20).to_dataset(name="it")
    ),
    "derive chinchilla": lambda: of_draws(
        bs.derive(posterior("chinchilla"), "chinchilla_optimal_params", compute_flops=1e23).to_dataset(name="it")
    ),
    "design": lambda: plain(design_of("kappa", ladder(tables.LADDER))),
    "noise components": lambda: plain(noise_parts(posterior("kappa along runs"))),
    "cost": lambda: of_draws(cost(4.27e22, "h100", count=1000)),
    "heterogeneity": lambda: plain(agreement(posterior("system"))),
    "summarize kappa": lambda: plain(bs.summarize(posterior("kappa along runs"))),
    "summarize by group": lambda: plain(bs.summarize(posterior("kappa by group"))),
    "summarize system": lambda: plain(bs.summarize(posterior("system"))),
    **{
        f"check {of}": (lambda of=of: plain(_checks(of)))
        for of in ("chinchilla", "kappa", "kappa along runs", "kappa by group", "system")
    },
    "compare": lambda: plain(bs.compare({"one": posterior("chinchilla"), "same": posterior("chinchilla")})),
    **{
        f"density {of}": (lambda of=of: of_draws(log_likelihood(posterior(of))))
        for of in ("chinchilla", "kappa", "kappa along runs", "kappa by group", "system")
    },
    **{
        f"expected {of}": (lambda of=of: of_draws(loss_at_runs(posterior(of)).to_dataset(name="it")))
        for of in ("kappa along runs", "kappa by group")
    },
    **{
        f"residuals {of}": (lambda of=of: of_draws(residuals_at_runs(posterior(of))))
        for of in ("kappa", "kappa along runs", "kappa by group")
    },
    "residuals system": lambda: of_draws(residuals_of_system(posterior("system"))),
    "live run": _live,
    "live of a system": _live_of_system,
    "question target, one noise for all budgets": lambda: _question("target", "chinchilla", target=2.0),
    "question allocation": lambda: _question("allocation", "chinchilla", compute=1e24, target=2.0, head_width=128),
    "question regret": lambda: _question("regret", "kappa", compute=1e14, params=[1e5, 1e6]),
    "question lifetime": lambda: _question("lifetime", "chinchilla", target=2.1, demand=1e13),
    "question deadline": lambda: _question("deadline", "system", params=1e9, loss=2.9, days=1.0, seconds_per_step=1.0),
    "question stopping": lambda: _question("stopping", "system", compute_min=1e21),
    "question recipes": lambda: _question(
        "recipes", "kappa by group", a={"group": "web"}, b={"group": "news"}, compute=[1e22]
    ),
    "question next run": lambda: _question("next_run", "kappa", most=1e13, compute=1e15),
    "measured losses of draws": lambda: plain(
        np.asarray(bs.predict(posterior("kappa"), **SMALL)["measured_loss"].values[0, :5])
    ),
}
"""Every answer by name."""


def answer(name: str) -> Any:
    """Return one answer; posteriors made by hand are not checked for convergence, and warn of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ANSWERS[name]()
