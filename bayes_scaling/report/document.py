"""The report of one fit: model and data, convergence and adequacy, results, and how to reproduce them."""

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
from bayes_scaling.questions.wording import credible, flop, percent, short
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
    amount,
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
        Group of forecast and budget, as for :func:`~bayes_scaling.predict`; by default a new one.
    held_out : DataFrame, optional
        Held-out runs with their measured loss, compared with their forecasts. Budgets, group and held-out runs belong to
        one law: a system of laws takes none.
    backtest : Backtest, optional
        Backtest on this table's own larger runs: see :func:`~bayes_scaling.backtest`.
    certificate : Certificate, optional
        Calibration on tables simulated for this design: see :func:`~bayes_scaling.certify`.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InvalidRequest
        If a probability, a budget or a group is invalid, or a system was given one.
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
        "setting": _setting(fit, group),
        "prior_predictive": _prior_predictive(fit, prob),
        "formula": f"L({', '.join(only.the_law.inputs)}) = {only.the_law.formula}",
        "checks": checks_table(checks),
        "advice": [f"{c.check}: {c.advice}." for c in checks.itertuples() if not c.passed],
        "parameters": parameter_table(fit, prob),
        "published": published_table(fit),
        "forecasts": forecast_table(forecasts, path, prob),
        "held_out": None,
        "backtest": None,
        "included": included(fit),
        "certificate": certificate.sentence if certificate is not None else "",
        "budgets": None,
        "priors": prior_table(fit),
        "facts": fact_table(fit),
        "document": model.to_toml(),
    }
    pictures = {"fit": fit_picture(fit, prob), "residuals": residual_picture(fit), "prior": prior_picture(fit)}
    predicted = None
    if held_out is not None:
        predicted = predict_table(fit, held_out, prob=prob)
        content["held_out"], content["held_out_sentence"] = held_out_table(predicted, prob)
    answers: list[str] = []
    if backtest is not None:
        _of_the_same_model(fit, backtest.facts, "backtest")
        content["backtest"], content["backtest_sentence"] = backtest_table(backtest), backtest.sentence
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
        answers.append(content["held_out_sentence"])
    return content | {"figures": pictures, "answers": answers}


def _of_the_same_model(fit: Fit, facts: Mapping[str, Any], what: str) -> None:
    if facts["model_digest"] != fit.model.digest:
        raise InvalidRequest(
            f"The {what} belongs to {facts['model']!r} on {facts['runs']}, the fit to {fit.model.title or fit.model.only.law!r}: give one of "
            f"the fit's own model."
        )
    if facts["runs_digest"] != fit.facts.get("runs_digest", facts["runs_digest"]):
        raise InvalidRequest(
            f"The {what} belongs to other runs ({facts['runs']}) than the fit ({fit.facts['runs']}): the tables differ. Give one "
            f"of the same rows."
        )


def _setting(fit: Fit, group: Mapping[str, str]) -> str:
    model, law, runs = fit.model, fit.model.only.the_law, fit.table
    spans = [
        f"{BY_COLUMN[c].symbol} from {amount(runs[c].min(), c)} to {amount(runs[c].max(), c)} {BY_COLUMN[c].unit}"
        for c in ("params", "tokens", "compute_flops")
        if c in runs
    ]
    sentence = f"Law {law.name} ({law.source}, {law.equation}), fitted to {len(runs)} runs: {'; '.join(spans)}."
    if model.groupings:
        whose = ", ".join(f"{k} {v}" for k, v in group.items()) or f"a new {' and '.join(model.group_columns)}"
        sentence += f" Parameters vary by {', '.join(model.groupings)} ({', '.join(fit.groups.names)})."
        sentence += f" Forecast and budget are for {whose}."
    return sentence


def _prior_predictive(fit: Fit, prob: float) -> str:
    """Return the prior predictive interval beside the measured losses."""
    low, high = np.nanquantile(prior_predictive(fit).values, quantiles(prob)[1:])
    loss = fit.table["loss"]
    return (
        f"Prior predictive {percent(prob)} interval: {float(low):.3g} to {float(high):.3g} {fit.loss_unit}; the runs measured "
        f"{loss.min():.3g} to {loss.max():.3g}."
    )


def _budget_sentence(row: pd.Series, prob: float, unit: str) -> str:
    reaches = {c: row[f"reach_{c}"] for c in ("params", "tokens", "compute_flops") if f"reach_{c}" in row}
    return (
        f"At {flop(row.compute_flops)}: {short(row.params)} parameters ({credible(prob, short(row.params_lower), short(row.params_upper))} "
        f"of the optimum) on {short(row.tokens)} tokens; loss of a new run {row['median']:.3f} {unit} ({row.lower:.3f} to {row.upper:.3f}); "
        f"{reach_sentence(reaches)}."
    )


def _flatness(fit: Fit, row: pd.Series, group: Mapping[str, str]) -> str:
    """Return how far the mean loss rises at either end of the interval of the optimum."""
    params = xr.DataArray([row.params, row.params_lower, row.params_upper], dims="size")
    at = {"params": params, "tokens": tokens_at(row.compute_flops, params)}
    choice, low, high = law_loss(fit, at, group=group).mean(("chain", "draw")).values
    return (
        f"At {flop(row.compute_flops)}, the mean loss rises by {100 * (low / choice - 1):.2g} % at the lower end of the interval and by "
        f"{100 * (high / choice - 1):.2g} % at the upper end."
    )


def _half_decades(fit: Fit) -> list[float]:
    last = float(fit.table["compute_flops"].max())
    top = np.floor(2 * (np.log10(last) + BEYOND)) / 2
    return [float(f"{10**power:.3g}") for power in np.arange(top - 2.5, top + 0.1, 0.5)]
