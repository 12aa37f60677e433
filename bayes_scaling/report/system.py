"""The report of a system of laws: observations, convergence and adequacy, and what follows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from bayes_scaling.errors import InvalidRequest
from bayes_scaling.laws.constants import comparable
from bayes_scaling.posterior.checks import check, summarize
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.predict import interval
from bayes_scaling.questions.claims import claims
from bayes_scaling.questions.derive import derive
from bayes_scaling.questions.early_stopping import early_stopping
from bayes_scaling.questions.frontier import NEEDS, frontier, frontier_table, largest
from bayes_scaling.questions.heterogeneity import agreement
from bayes_scaling.questions.wording import credible, flop, number, percent, power, short
from bayes_scaling.report import system_pictures as pictures
from bayes_scaling.report.pictures import Picture, prior_picture
from bayes_scaling.report.tables import Table, checks_table, fact_table, parameter_table, prior_table

_PUBLISHED_AS = {"kaplan_nsb": "kaplan_ns", "noise_scale": "critical_batch", "steps_in_scan": "critical_batch"}
"""Laws whose constants are published under another."""
_FOREST = 5
"""Fewest claims that are drawn as a picture."""
_OF_SHAPE = ("aspect_best", "aspect_cost")
_SHAPED = ("shaped_n", "shaped_with_heads")


def system_content(fit: Fit, prob: float) -> dict[str, Any]:
    """Return the content of the page of a system."""
    checks = check(fit)
    stated, stopped = _if_learned(claims, fit, prob), _if_learned(early_stopping, fit, prob)
    efficient = set(NEEDS) <= set(fit.learned)
    limited = efficient and {"D_c", "alpha_D"} <= set(fit.learned)
    drawn: dict[str, Picture | None] = {
        "observed": pictures.observed_picture(fit, prob),
        **pictures.residual_pictures(fit),
        "batch": pictures.batch_picture(fit, prob),
        "prior": prior_picture(fit),
        "claims": pictures.claims_picture(stated, prob) if stated is not None and len(stated) >= _FOREST else None,
        "frontier": pictures.frontier_picture(fit, prob) if efficient else None,
        "effort": pictures.effort_picture(fit, prob) if efficient else None,
        "stopping": pictures.stopping_picture(stopped, prob) if stopped is not None else None,
    }
    for observation in fit.model.observations:
        if observation.law in _SHAPED and all(
            (parameter := fit.model.parameters.get(name)) and parameter.varies_by == ("size",) for name in _OF_SHAPE
        ):
            drawn["shape"] = pictures.shape_picture(fit, observation, prob)
    factors = agreement(fit, prob=prob)
    return {
        "title": f"{fit.model.title}, fitted to {fit.facts['runs']}",
        "converged": fit.converged,
        "verdict": fit.verdict,
        "prob": percent(prob),
        "unit": fit.loss_unit,
        "params": fit.facts["params"],
        "answers": _answers(fit, stated, factors, prob),
        "observations": observation_table(fit),
        "checks": checks_table(checks),
        "advice": [f"{c.check}: {c.advice}." for c in checks.itertuples() if not c.passed],
        "parameters": parameter_table(fit, prob),
        "published": published_constants(fit),
        "heterogeneity": heterogeneity_table(factors, prob) if len(factors) else None,
        "claims": claims_table(stated, prob) if stated is not None else None,
        "frontier": frontier_rows(fit, prob) if efficient else None,
        "two_laws": _two_laws(fit, prob) if limited else "",
        "stopping": stopping_table(stopped, prob) if stopped is not None else None,
        "priors": prior_table(fit),
        "facts": fact_table(fit),
        "document": fit.model.to_toml(),
        "residuals": [f"residuals_{observation.name}" for observation in fit.model.observations],
        "figures": {name: picture for name, picture in drawn.items() if picture is not None},
    }


def _if_learned(ask: Callable[..., pd.DataFrame], fit: Fit, prob: float) -> pd.DataFrame | None:
    """Return the answer of a fit, or nothing where it lacks a parameter that the answer needs."""
    try:
        return ask(fit, prob=prob)
    except InvalidRequest:
        return None


def _answers(fit: Fit, stated: pd.DataFrame | None, factors: pd.DataFrame, prob: float) -> list[str]:
    sentences = []
    if stated is not None:
        agrees = int((stated["verdict"] == "agrees").sum())
        sentences.append(
            f"Of {len(stated)} statements of Kaplan et al. (2020) that this posterior implies, {agrees} agree with its {percent(prob)} "
            "interval; they were published without intervals, for another tokenizer, corpus and scale."
        )
    for row in factors[~factors["agree"]].itertuples() if len(factors) else ():
        kind = fit.model.kinds[row.parameter]
        name = f"{row.parameter} ({kind.meaning})" if kind.moves else row.parameter
        sentences.append(
            f"Heterogeneity: {name} of {row.second} is {row.median:.3g} times that of {row.first} "
            f"({credible(prob, f'{row.lower:.3g}', f'{row.upper:.3g}')})."
        )
    return sentences


def _two_laws(fit: Fit, prob: float) -> str:
    """Compare the best size at the largest compute by L(N, S_min) and by L(N, D)."""
    compute = largest(fit, "compute_flops")
    if not compute:
        return ""
    steps, data = frontier(fit, compute=compute)["params"], derive(fit, "one_pass_params", compute_flops=compute)
    ratio = [float(bound) for bound in interval(data / steps, prob)]
    exponents = [float(bound) for bound in interval(1 / (1 + fit.learned["alpha_N"] / fit.learned["alpha_D"]), prob)]
    covers = "which covers 1" if ratio[1] <= 1 <= ratio[2] else "which excludes 1: the two laws disagree"
    return (
        f"At the largest compute measured, {flop(compute)}, L(N, S_min) puts the best size at {short(float(steps.median()))} parameters and "
        f"L(N, D), each token seen once, at {short(float(data.median()))}: a factor of {ratio[0]:.3g} "
        f"({credible(prob, f'{ratio[1]:.3g}', f'{ratio[2]:.3g}')}), {covers}. By L(N, D) the best size grows with compute to the power "
        f"{exponents[0]:.3f} ({exponents[1]:.3f} to {exponents[2]:.3f}). Counting parameters without embeddings turns an exponent of 0.5 "
        "into 0.78 over the range of Kaplan et al. (Pearce and Song 2024); training recipes explain the rest (Porian et al. 2024)."
    )


def observation_table(fit: Fit) -> Table:
    """Return the observations: rows, law, condition and reason."""
    cells = [
        (
            o.name,
            str(len(fit.rows(o.name))),
            f"{o.law} {o.the_law.equation}",
            o.where,
            o.why,
            o.likelihood.dist + (", serially correlated along runs" if o.correlation else ""),
        )
        for o in fit.model.observations
    ]
    columns = ("observation", "rows", "law", "condition", "reason", "noise")
    return Table("Observations; parameters of the same name are the same parameter.", columns, cells, columns[2:])


def published_constants(fit: Fit) -> Table | None:
    """Return published constants of the laws beside ours."""
    summary, cells = summarize(fit)["median"], []
    for law in dict.fromkeys(_PUBLISHED_AS.get(o.law, o.law) for o in fit.model.observations):
        for record in comparable(law):
            for name, constant in record.constants.items():
                if name in summary.index:
                    cells.append((name, number(summary[name]), number(constant.value), record.name, record.where))
    columns = ("parameter", "ours", "published", "source", "place")
    return (
        Table("Posterior median, and published values as printed, without standard errors.", columns, cells, columns[3:])
        if cells
        else None
    )


def heterogeneity_table(factors: pd.DataFrame, prob: float) -> Table:
    """Return the factors between observations in parameters that may differ."""
    cells = [
        (
            r.parameter,
            r.first,
            r.second,
            f"{r.median:.3f}",
            f"{r.lower:.3f}",
            f"{r.upper:.3f}",
            f"{r.larger:.3f}",
            "covers 1" if r.agree else "excludes 1",
        )
        for r in factors.itertuples()
    ]
    columns = ("parameter", "first", "second", "second over first", "lower", "upper", "probability above 1", "interval")
    return Table(
        f"Heterogeneity between observations: factors between their parameters, {percent(prob)} credible intervals.",
        columns,
        cells,
        ("first", "second", "interval"),
    )


def claims_table(stated: pd.DataFrame, prob: float) -> Table:
    """Return every published claim with ours beside it."""
    cells = [
        (
            f"{r.claim}, {r.equation}",
            r.published + ("" if r.unit == "1" else f" {r.unit}"),
            f"{number(r.median)} ({number(r.lower)} to {number(r.upper)})"
            + (f" in {100 * r.defined:.3g} % of draws" if r.defined < 1 else ""),
            f"{r.above:.3f}",
            f"{r.decades_beyond:.1f}" if r.decades_beyond > 0 else "",
            r.verdict,
        )
        for r in stated.itertuples()
    ]
    columns = ("claim", "published", "ours", "probability above", "extrapolation (decades)", "verdict")
    return Table(
        f"Published claims and this posterior, {percent(prob)} credible intervals; probability that ours is above the published number.",
        columns,
        cells,
        ("claim", "verdict"),
    )


def frontier_rows(fit: Fit, prob: float) -> Table:
    """Return compute-optimal training at round computes."""
    top = np.log10(largest(fit, "compute_flops") or 1e20)
    compute = [float(f"{10.0**power:.3g}") for power in np.arange(np.floor(top) - 1, np.floor(top) + 3)]
    table = frontier_table(fit, frontier(fit, compute=compute), prob)
    cells = []
    for row in table.to_dict("records"):
        cell = [power(row["compute_flops"]), f"{row['decades_beyond']:.1f}"]
        for name in ("params", "tokens", "batch_tokens", "steps"):
            cell.append(f"{short(row[f'{name}_median'])} ({short(row[f'{name}_lower'])} to {short(row[f'{name}_upper'])})")
        cell.append(f"{row['loss_median']:.3f} ({row['loss_lower']:.3f} to {row['loss_upper']:.3f})")
        cells.append(cell)
    columns = ("C (FLOP)", "extrapolation (decades)", "N", "D", "B", "S", "loss")
    return Table(f"Compute-optimal training at the critical batch, {percent(prob)} intervals.", columns, cells)


def stopping_table(stopped: pd.DataFrame, prob: float) -> Table:
    """Return the step of the least loss of runs on limited data beside the bound."""
    cells = [
        (
            short(r.params),
            short(r.dataset_tokens),
            *(short(steps) for steps in (r.stopped, r.bound, r.lower, r.upper)),
            f"{r.above:.2f}",
        )
        for r in stopped.itertuples()
    ]
    columns = ("N", "distinct tokens", "step of least loss", "bound", "lower", "upper", "probability at or after")
    return Table(
        f"Early stopping in minimum steps: step of the least loss and the lower bound (5.7), {percent(prob)} intervals.",
        columns,
        cells,
    )
