"""The report of one fit: what was asked, whether to believe it, what it says, and how to do it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_scaling.errors import InvalidRequest
from bayes_scaling.evaluation.certificate import Certificate
from bayes_scaling.evaluation.outcome import Backtest
from bayes_scaling.files import write_whole
from bayes_scaling.posterior.checks import check, prior_predictive
from bayes_scaling.posterior.extrapolation import reach_sentence
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.predict import law_loss, quantiles
from bayes_scaling.posterior.rows import predict_table
from bayes_scaling.posterior.variance import included
from bayes_scaling.quantities import BY_COLUMN, tokens_at
from bayes_scaling.questions.allocation import allocate, budget_table
from bayes_scaling.questions.surface import splits_a_budget
from bayes_scaling.report.pictures import (
    BEYOND,
    contour_picture,
    fit_picture,
    forecast_path,
    forecast_picture,
    prior_picture,
    residual_picture,
)
from bayes_scaling.report.rendering import render
from bayes_scaling.report.system import system_content
from bayes_scaling.report.tables import (
    allocation_table,
    backtest_table,
    checks_table,
    fact_table,
    forecast_table,
    held_out_table,
    parameter_table,
    prior_table,
    published_table,
)
from bayes_scaling.report.trials import backtest_picture
from bayes_scaling.report.wording import percent, short


def write_report(
    fit: Fit,
    path: str | Path,
    *,
    prob: float = 0.9,
    budgets: Sequence[float] | None = None,
    group: Mapping[str, str] | None = None,
    held_out: pd.DataFrame | None = None,
    backtest: Backtest | None = None,
    certificate: Certificate | None = None,
) -> Path:
    """Write the report of a fit: one self-contained HTML file.

    Parameters
    ----------
    fit : Fit
        The fit, of one law or of a system of laws.
    path : str or path
        Where to; written in one piece.
    prob : float
        Probability of every interval.
    budgets : sequence of float, optional
        Compute budgets, FLOP; by default every half decade, up to two decades beyond the runs.
    group : mapping, optional
        Group that forecast and budget are for, as for :func:`~bayes_scaling.predict`; by default a new one.
    held_out : DataFrame, optional
        Runs the fit has not seen, with their loss: forecast and truth are shown beside each other. Budgets, group and
        runs held out are of one law: a system of laws takes none.
    backtest : Backtest, optional
        How forecasts of this table's own larger runs came out: see :func:`~bayes_scaling.backtest`.
    certificate : Certificate, optional
        How intervals came out on tables simulated for this design: see :func:`~bayes_scaling.certify`.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InvalidRequest
        If a probability, a budget or a group has no meaning, or a system was given one.
    Unwritable
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_report(example_fit(), f"{folder}/report.html").name
    'report.html'
    """
    if not fit.model.is_one or fit.model.only.table != "runs":
        given = {"budgets": budgets, "group": group, "held_out": held_out, "backtest": backtest, "certificate": certificate}
        for name, value in given.items():
            if value is not None:
                raise InvalidRequest(
                    f"The report of a system of laws takes no {name}: ask for one observation's, fit.view(NAME)."
                )
        return write_whole(path, render("system.html", system_content(fit, prob)))
    return write_whole(
        path, render("law.html", _content(fit, prob, budgets, dict(group or {}), held_out, backtest, certificate))
    )


def _content(
    fit: Fit,
    prob: float,
    budgets: Sequence[float] | None,
    group: dict[str, str],
    held_out: pd.DataFrame | None,
    backtest: Backtest | None,
    certificate: Certificate | None,
) -> dict[str, Any]:
    checks = check(fit)
    model, only, facts = fit.model, fit.model.only, fit.facts
    forecasts, path = forecast_path(fit, prob, group)
    content: dict[str, Any] = {
        "title": f"{model.title or only.law}, fitted to {facts['runs']}",
        "converged": fit.converged,
        "verdict": fit.verdict,
        "prob": percent(prob),
        "unit": fit.loss_unit,
        "params": facts["params"],
        "question": _question(fit, group),
        "before": _before(fit, prob),
        "formula": f"L({', '.join(only.the_law.inputs)}) = {only.the_law.formula}",
        "checks": checks_table(checks),
        "advice": [f"{c.check}: {c.advice}." for c in checks.itertuples() if not c.passed],
        "parameters": parameter_table(fit, prob),
        "published": published_table(fit),
        "forecasts": forecast_table(forecasts, path, prob),
        "held_out": None,
        "backtest": None,
        "included": included(fit),
        "certified": certificate.sentence if certificate is not None else "",
        "budgets": None,
        "priors": prior_table(fit),
        "facts": fact_table(fit),
        "document": model.to_toml(),
    }
    pictures = {"fit": fit_picture(fit, prob), "residuals": residual_picture(fit), "prior": prior_picture(fit)}
    predicted = None
    if held_out is not None:
        predicted = predict_table(fit, held_out, prob=prob)
        content["held_out"], content["held_out_said"] = held_out_table(predicted, prob)
    answers: list[str] = []
    if backtest is not None:
        _of_the_same_model(fit, backtest.facts, "backtest")
        content["backtest"], content["backtest_said"] = backtest_table(backtest), backtest.sentence
        pictures["backtest"] = backtest_picture(backtest)
    if splits_a_budget(fit):
        chosen = budgets if budgets is not None else _half_decades(fit)
        allocation = budget_table(allocate(fit, compute=list(chosen), group=group), prob)
        content["flatness"] = _flatness(fit, allocation.iloc[-1], group)
        content["budgets"] = allocation_table(allocation, prob)
        pictures["contours"] = contour_picture(fit, prob, group)
        answers.append(_budget_sentence(allocation.iloc[-1], prob, fit.loss_unit))
    if certificate is not None:
        _of_the_same_model(fit, certificate.facts, "certificate")
    pictures["forecast"] = forecast_picture(fit, forecasts, path, predicted)
    if predicted is not None:
        answers.append(content["held_out_said"])
    return content | {"figures": pictures, "answers": answers}


def _of_the_same_model(fit: Fit, facts: Mapping[str, Any], what: str) -> None:
    if facts["model_digest"] != fit.model.digest:
        raise InvalidRequest(
            f"The {what} is of {facts['model']!r} on {facts['runs']}, the fit of {fit.model.title or fit.model.only.law!r}: give one of "
            f"the fit's own model."
        )
    if facts["runs_digest"] != fit.facts.get("runs_digest", facts["runs_digest"]):
        raise InvalidRequest(
            f"The {what} is of other runs than the fit: both say {facts['runs']} and {fit.facts['runs']}, and the tables differ. Give one "
            f"of the same rows."
        )


def _question(fit: Fit, group: Mapping[str, str]) -> str:
    model, law, runs = fit.model, fit.model.only.the_law, fit.table
    spans = [
        f"{BY_COLUMN[c].symbol} from {short(runs[c].min())} to {short(runs[c].max())} {BY_COLUMN[c].unit}"
        for c in ("params", "tokens", "compute_flops")
        if c in runs
    ]
    said = f"The law {law.name} ({law.source}, {law.equation}) on {len(runs)} runs: {'; '.join(spans)}."
    if model.groupings:
        pooled = f" Parameters vary over {', '.join(model.groupings)} ({', '.join(fit.groups.names)})."
        whose = ", ".join(f"{k} {v}" for k, v in group.items()) or f"a new {' and '.join(model.group_columns)}"
        said += f"{pooled} Forecast and budget are for {whose}."
    return said


def _before(fit: Fit, prob: float) -> str:
    """Say what the priors alone expected of the runs, beside what was measured."""
    low, high = np.nanquantile(prior_predictive(fit).values, quantiles(prob)[1:])
    loss = fit.table["loss"]
    return (
        f"Prior predictive {percent(prob)} interval: {float(low):.3g} to {float(high):.3g} {fit.loss_unit}; the runs measured "
        f"{loss.min():.3g} to {loss.max():.3g}."
    )


def _budget_sentence(row: pd.Series, prob: float, unit: str) -> str:
    reaches = {c: row[f"reach_{c}"] for c in ("params", "tokens", "compute_flops") if f"reach_{c}" in row}
    return (
        f"At {short(row.compute_flops)} FLOP: {short(row.params)} parameters ({percent(prob)} interval of the optimum "
        f"{short(row.params_lower)} to {short(row.params_upper)}) on {short(row.tokens)} tokens, for a measured loss of "
        f"{row['median']:.3f} ({row.lower:.3f} to {row.upper:.3f}) {unit}; {reach_sentence(reaches)}."
    )


def _flatness(fit: Fit, row: pd.Series, group: Mapping[str, str]) -> str:
    """Say what a size at either end of the interval would cost: the minimum is flat, and this is how flat."""
    params = xr.DataArray([row.params, row.params_lower, row.params_upper], dims="size")
    at = {"params": params, "tokens": tokens_at(row.compute_flops, params)}
    choice, low, high = law_loss(fit, at, group=group).mean(("chain", "draw")).values
    return (
        f"At {short(row.compute_flops)} FLOP, the lower end of the interval instead of the choice would cost "
        f"{100 * (low / choice - 1):.2g} % of the expected loss, the upper end {100 * (high / choice - 1):.2g} %."
    )


def _half_decades(fit: Fit) -> list[float]:
    last = float(fit.table["compute_flops"].max())
    top = np.floor(2 * (np.log10(last) + BEYOND)) / 2
    return [float(f"{10**power:.3g}") for power in np.arange(top - 2.5, top + 0.1, 0.5)]
