"""The report of a system of laws: what was observed, whether to believe it, and what follows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from bayes_scaling.errors import InvalidRequest
from bayes_scaling.laws.constants import comparable
from bayes_scaling.model import names
from bayes_scaling.posterior.checks import check, summarize
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.predict import interval
from bayes_scaling.questions.claims import claims
from bayes_scaling.questions.derive import derive
from bayes_scaling.questions.early_stopping import early_stopping
from bayes_scaling.questions.frontier import NEEDS, frontier, frontier_table, largest
from bayes_scaling.questions.heterogeneity import agreement
from bayes_scaling.report import system_pictures as pictures
from bayes_scaling.report.pictures import Picture, prior_picture
from bayes_scaling.report.tables import Table, beliefs, checks_table, fact_table, noise_rows, parameter_table
from bayes_scaling.report.wording import number, percent, short

_PUBLISHED_AS = {"kaplan_nsb": "kaplan_ns", "noise_scale": "critical_batch", "steps_in_scan": "critical_batch"}
"""Laws whose constants are published under another."""
_FOREST = 5
"""Claims that make a picture worth drawing."""
_OF_SHAPE = ("aspect_best", "aspect_cost")
_SHAPED = ("shaped_n", "shaped_with_heads")


def system_content(fit: Fit, prob: float) -> dict[str, Any]:
    """Return everything the page of a system shows."""
    checks = check(fit)
    told, stopped = _if_told(claims, fit, prob), _if_told(early_stopping, fit, prob)
    efficient = set(NEEDS) <= set(fit.learned)
    limited = efficient and {"D_c", "alpha_D"} <= set(fit.learned)
    drawn: dict[str, Picture | None] = {
        "observed": pictures.observed_picture(fit, prob),
        **pictures.surprise_pictures(fit),
        "batch": pictures.batch_picture(fit, prob),
        "prior": prior_picture(fit),
        "claims": pictures.claims_picture(told, prob) if told is not None and len(told) >= _FOREST else None,
        "frontier": pictures.frontier_picture(fit, prob) if efficient else None,
        "effort": pictures.effort_picture(fit, prob) if efficient else None,
        "stopping": pictures.stopping_picture(stopped, prob) if stopped is not None else None,
    }
    for observation in fit.model.observations:
        if observation.law in _SHAPED and all(
            (parameter := fit.model.parameters.get(name)) and parameter.varies_by == ("size",) for name in _OF_SHAPE
        ):
            drawn["shape"] = pictures.shape_picture(fit, observation, prob)
    apart = agreement(fit, prob=prob)
    return {
        "title": f"{fit.model.title}, fitted to {fit.facts['runs']}",
        "converged": fit.converged,
        "verdict": fit.verdict,
        "prob": percent(prob),
        "unit": fit.loss_unit,
        "params": fit.facts["params"],
        "answers": _answers(fit, told, apart, prob),
        "observations": observation_table(fit),
        "checks": checks_table(checks),
        "advice": [f"{c.check}: {c.advice}." for c in checks.itertuples() if not c.passed],
        "parameters": parameter_table(fit, prob),
        "published": published_constants(fit),
        "agreement": agreement_table(apart, prob) if len(apart) else None,
        "claims": claims_table(told, prob) if told is not None else None,
        "frontier": frontier_rows(fit, prob) if efficient else None,
        "sides": _two_sides(fit, prob) if limited else "",
        "stopping": stopping_table(stopped, prob) if stopped is not None else None,
        "priors": prior_table(fit),
        "facts": fact_table(fit),
        "document": fit.model.to_toml(),
        "surprises": [f"surprise_{observation.name}" for observation in fit.model.observations],
        "figures": {name: picture for name, picture in drawn.items() if picture is not None},
    }


def _if_told(ask: Callable[..., pd.DataFrame], fit: Fit, prob: float) -> pd.DataFrame | None:
    """Return what a fit answers, or nothing where it has not learned what the answer follows from."""
    try:
        return ask(fit, prob=prob)
    except InvalidRequest:
        return None


def _answers(fit: Fit, told: pd.DataFrame | None, apart: pd.DataFrame, prob: float) -> list[str]:
    said = []
    if told is not None:
        agrees = int((told["verdict"] == "agrees").sum())
        said.append(
            f"Of {len(told)} statements of Kaplan et al. (2020) that follow from what was learned, {agrees} lie inside our "
            f"{percent(prob)} interval; they were published without one, for another tokenizer, corpus and scale."
        )
    for row in apart[~apart["agree"]].itertuples() if len(apart) else ():
        said.append(
            f"The observations {row.first} and {row.second} do not share {_said(fit, row.parameter)}: the second's is {row.median:.3g} times the "
            f"first's ({percent(prob)}: {row.lower:.3g} to {row.upper:.3g})."
        )
    return said


def _said(fit: Fit, parameter: str) -> str:
    """Name a parameter as observations differ in it: at the reference point."""
    kind = fit.model.kinds[parameter]
    return f"{parameter} ({kind.meaning})" if kind.moves else parameter


def _two_sides(fit: Fit, prob: float) -> str:
    """Say where L(N, S_min) and L(N, D) put the best size at the largest compute, and by how much they disagree."""
    compute = largest(fit, "compute_flops")
    if not compute:
        return ""
    steps, data = frontier(fit, compute=compute)["params"], derive(fit, "one_pass_params", compute_flops=compute)
    ratio = [float(bound) for bound in interval(data / steps, prob)]
    exponents = [float(bound) for bound in interval(1 / (1 + fit.learned["alpha_N"] / fit.learned["alpha_D"]), prob)]
    agree = "which one is inside" if ratio[1] <= 1 <= ratio[2] else "which leaves one out: the two laws do not agree"
    return (
        f"At the largest compute measured, {compute:.3g} FLOP, L(N, S_min) puts the best size at {short(float(steps.median()))} and "
        f"L(N, D), each token seen once, at {short(float(data.median()))}: a factor {ratio[0]:.3g} ({percent(prob)}: {ratio[1]:.3g} to "
        f"{ratio[2]:.3g}), {agree}. By L(N, D) the size grows with compute to the power {exponents[0]:.3f} ({exponents[1]:.3f} to "
        f"{exponents[2]:.3f}). Counting is part of it: without embeddings small models look smaller than they train, and that alone "
        "turns an exponent of .5 into .78 over the paper's range (Pearce and Song 2024); recipes are the rest (Porian et al. 2024)."
    )


def observation_table(fit: Fit) -> Table:
    """Tell what was observed: rows, law, and why these."""
    cells = [
        (
            o.name,
            str(len(fit.rows(o.name))),
            f"{o.law} {o.the_law.equation}",
            o.where,
            o.why,
            o.likelihood.dist + (", correlated along runs" if o.correlation else ""),
        )
        for o in fit.model.observations
    ]
    columns = ("observation", "rows", "law", "of", "why these", "scatter")
    return Table("What was observed; a parameter of one name is one parameter.", columns, cells, columns[2:])


def published_constants(fit: Fit) -> Table | None:
    """Tell published constants of the laws beside ours."""
    summary, cells = summarize(fit)["median"], []
    for law in dict.fromkeys(_PUBLISHED_AS.get(o.law, o.law) for o in fit.model.observations):
        for record in comparable(law):
            for name, constant in record.constants.items():
                if name in summary.index:
                    cells.append((name, number(summary[name]), number(constant.value), record.name, record.where))
    columns = ("parameter", "ours", "published", "where", "place")
    return (
        Table("Our median, and published values as printed, without standard errors.", columns, cells, ("where", "place"))
        if cells
        else None
    )


def agreement_table(apart: pd.DataFrame, prob: float) -> Table:
    """Tell whether observations that may differ in a parameter do."""
    cells = [
        (
            r.parameter,
            r.first,
            r.second,
            f"{r.median:.3f}",
            f"{r.lower:.3f}",
            f"{r.upper:.3f}",
            f"{r.larger:.3f}",
            "agree" if r.agree else "differ",
        )
        for r in apart.itertuples()
    ]
    columns = ("parameter", "first", "second", "second over first", "from", "to", "probability above one", "verdict")
    return Table(
        f"Parameters equal in distribution: the factor between observations, {percent(prob)} intervals.",
        columns,
        cells,
        ("first", "second", "verdict"),
    )


def claims_table(told: pd.DataFrame, prob: float) -> Table:
    """Tell every claim with ours beside it."""
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
        for r in told.itertuples()
    ]
    columns = ("claim", "published", "ours", "probability above", "decades beyond", "verdict")
    return Table(
        f"What the paper states, and what follows from this posterior, {percent(prob)} intervals.",
        columns,
        cells,
        ("claim", "verdict"),
    )


def frontier_rows(fit: Fit, prob: float) -> Table:
    """Tell compute-optimal training at round computes."""
    top = np.log10(largest(fit, "compute_flops") or 1e20)
    compute = [float(f"{10.0**power:.3g}") for power in np.arange(np.floor(top) - 1, np.floor(top) + 3)]
    table = frontier_table(fit, frontier(fit, compute=compute), prob)
    cells = []
    for row in table.to_dict("records"):
        cell = [f"{row['compute_flops']:.3g}", f"{row['decades_beyond']:.1f}"]
        for name in ("params", "tokens", "batch_tokens", "steps"):
            cell.append(f"{short(row[f'{name}_median'])} ({short(row[f'{name}_lower'])} to {short(row[f'{name}_upper'])})")
        cell.append(f"{row['loss_median']:.3f} ({row['loss_lower']:.3f} to {row['loss_upper']:.3f})")
        cells.append(cell)
    columns = ("C (FLOP)", "decades beyond", "N", "D", "B", "S", "loss")
    return Table(f"Compute-optimal training at the critical batch, {percent(prob)} intervals.", columns, cells)


def stopping_table(stopped: pd.DataFrame, prob: float) -> Table:
    """Tell when runs on limited data were best beside the bound."""
    cells = [
        (
            short(r.params),
            short(r.dataset_tokens),
            f"{r.stopped:.0f}",
            f"{r.bound:.0f}",
            f"{r.lower:.0f}",
            f"{r.upper:.0f}",
            f"{r.above:.2f}",
        )
        for r in stopped.itertuples()
    ]
    columns = ("N", "distinct tokens", "best at", "bound", "from", "to", "probability at or after")
    return Table(f"Early stopping: adjusted steps, and the lower bound (5.7), {percent(prob)} intervals.", columns, cells)


def prior_table(fit: Fit) -> Table:
    """Tell every prior, why it is that, and how much the rows taught."""
    system, learned, cells = fit.model, summarize(fit)["contraction"], []
    for name, parameter in system.parameters.items():
        if parameter.prior is None:
            cells.append((name, f"fixed at {parameter.fixed:g}", "", parameter.why))
            continue
        row = next(n for n in (names.population(name), names.at_reference(name), name) if n in learned.index)
        cells.append((row, str(parameter.prior), f"{learned[row]:.2f}", parameter.why))
        for grouping in parameter.varies_by:
            spread = names.spread(name, grouping)
            cells.append(
                (
                    spread,
                    str(parameter.spread),
                    f"{learned[spread]:.2f}",
                    f"How far {name} differs by {grouping}, on the log scale.",
                )
            )
    for suffix, rows in fit.layout:
        cells += noise_rows(rows.observation, learned, suffix)
    return beliefs(cells, fit.reference)
