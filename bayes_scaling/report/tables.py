"""The tables of the report."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from bayes_scaling.evaluation.outcome import Backtest
from bayes_scaling.laws.constants import comparable
from bayes_scaling.model import names
from bayes_scaling.model.document import Observation
from bayes_scaling.posterior.checks import summarize
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.predict import inside
from bayes_scaling.posterior.variance import PARTS
from bayes_scaling.quantities import BY_COLUMN
from bayes_scaling.questions.wording import axis_label, number, percent, power, short


@dataclass(frozen=True)
class Table:
    """A table of the page: columns of words are set left, all others hold formatted numbers."""

    caption: str
    columns: Sequence[str]
    cells: Sequence[Sequence[str]]
    words: Sequence[str] = ()


def amount(value: float, column: str) -> str:
    """Return a quantity as text: compute in powers of ten, everything else with a suffix.

    Examples
    --------
    >>> amount(1e21, "compute_flops"), amount(2e9, "params")
    ('1e21', '2B')
    """
    return power(value) if column in BY_COLUMN and BY_COLUMN[column].unit == "FLOP" else short(value)


def checks_table(checks: pd.DataFrame) -> Table:
    """Return every check with its value and its limit."""
    cells = [
        (c.about, c.check, f"{c.value:.4g}", c.rule, "passed" if c.passed else "failed", c.where)
        for c in checks.itertuples()
    ]
    caption = "Convergence: the draws represent the posterior. Adequacy: the model describes the runs."
    return Table(caption, ("about", "check", "value", "limit", "result", "at"), cells, ("about", "check", "limit", "at"))


def parameter_table(fit: Fit, prob: float) -> Table:
    """Return every parameter with its interval and contraction."""
    summary = summarize(fit, prob=prob)
    cells = [
        [label, *(number(row[name]) for name in ("median", "lower", "upper")), f"{row['contraction']:.2f}"]
        for label, row in summary.iterrows()
        if not names.is_log(str(label))
    ]
    columns = ("parameter", "median", "lower", "upper", "contraction")
    return Table(f"Posterior median, {percent(prob)} credible interval and posterior contraction.", columns, cells)


def published_table(fit: Fit) -> Table | None:
    """Return published values of the parameters beside ours; nothing where there are none."""
    records = comparable(fit.model.only.law)
    if not records:
        return None
    summary = summarize(fit)["median"]
    cells = []
    for label in summary.index:
        theirs = [record.constants.get(label.split("[")[0]) for record in records]
        if any(theirs):
            values = ["" if c is None else number(c.value) + (f" ± {number(c.se)}" if c.se else "") for c in theirs]
            cells.append([label, number(summary[label]), *values])
    columns = ("parameter", "ours", *(record.name for record in records))
    return Table("Posterior median, and published values as printed, ± standard error where there is one.", columns, cells)


def prior_table(fit: Fit) -> Table:
    """Return every prior with its reason and the posterior contraction."""
    model, learned, cells = fit.model, summarize(fit)["contraction"], []
    for name, parameter in model.parameters.items():
        if parameter.prior is None:
            cells.append((name, f"fixed at {parameter.fixed:g}", "", parameter.why))
            continue
        row = next(n for n in (names.population(name), names.at_reference(name), name) if n in learned.index)
        cells.append((row, str(parameter.prior), f"{learned[row]:.2f}", parameter.why))
        for grouping in parameter.varies_by:
            spread = names.spread(name, grouping)
            why = f"Standard deviation of log {name} between levels of {grouping}."
            cells.append((spread, str(parameter.spread), f"{learned[spread]:.2f}", why))
    for suffix, rows in fit.layout:
        cells += _noise_rows(rows.observation, learned, suffix)
    columns = {symbol: column for o in model.observations for symbol, column in o.columns.items()}
    point = ", ".join(f"{symbol} = {amount(value, columns.get(symbol, ''))}" for symbol, value in fit.reference.items())
    caption = f"Priors, at the reference point {point}."
    return Table(caption, ("parameter", "prior", "contraction", "reason"), cells, ("prior", "reason"))


def _noise_rows(observation: Observation, learned: pd.Series, suffix: str) -> list[tuple[str, ...]]:
    """Return the priors of an observation's noise and effects, a row a parameter."""
    likelihood, correlation = observation.likelihood, observation.correlation
    priors = [("sigma", likelihood.sigma, likelihood.why)]
    why = "Weight of the tail: 1 is a Cauchy distribution, 30 is close to a Normal one."
    priors += [(name, prior, why) for name, prior in likelihood.unknowns.items()]
    if likelihood.growth is not None:
        why = "Noise and discrepancy are proportional to the expected loss to this power."
        priors.append(("growth", likelihood.growth, why))
    for (section, name), effect in observation.effects.items():
        priors.append((names.scale_of_effect(section, name), effect.scale, effect.why))
    if correlation is not None:
        priors.append(("length", correlation.length, correlation.why))
        if correlation.nugget is not None:
            priors.append(("nugget", correlation.nugget, "Independent error of a row beside its standard error."))
    rows = [(names.of_observation(name, suffix), str(prior), why) for name, prior, why in priors]
    return [(name, prior, f"{learned[name]:.2f}", why) for name, prior, why in rows]


def forecast_table(forecasts: xr.Dataset, column: str, prob: float) -> Table:
    """Return the forecast at half decades beyond the runs."""
    distance = forecasts[f"reach_{column}"].values
    marks = [int(np.abs(distance - decades).argmin()) for decades in (0.5, 1.0, 1.5, 2.0)]
    cells = [
        [f"{distance[i]:.2f}", amount(float(forecasts[column][i]), column)]
        + [f"{float(forecasts[name][i]):.3f}" for name in ("median", "lower", "upper", "mean_lower", "mean_upper")]
        + [f"{100 * max(0.0, float(forecasts[name][i])):.0f} %" for name in PARTS]
        for i in marks
    ]
    symbol = BY_COLUMN[column].symbol if column in BY_COLUMN else column
    columns = ("extrapolation (decades)", symbol, "loss", "new run, lower", "upper", "mean loss, lower", "upper ", *PARTS)
    caption = (
        f"Forecast beyond the runs: {percent(prob)} predictive interval of a new run, credible interval of the mean loss, and shares of "
        "the variance of the log loss."
    )
    return Table(caption, columns, cells)


def held_out_table(predicted: pd.DataFrame, prob: float) -> tuple[Table, str]:
    """Return forecasts and measured losses of held-out runs, and their coverage as a sentence."""
    covered = inside(predicted["loss"], predicted["lower"], predicted["upper"])
    names = predicted["run_id"] if "run_id" in predicted else [f"row {i + 1}" for i in range(len(predicted))]
    reaches = [str(c) for c in predicted if str(c).startswith("reach_")]
    farthest = "reach_compute_flops" if "reach_compute_flops" in reaches else reaches[0]
    cells = [
        [
            str(name),
            f"{distance:.2f}",
            *(f"{v:.3f}" for v in (row.loss, row.median, row.lower, row.upper)),
            f"{100 * (row.median / row.loss - 1):+.1f}",
            "inside" if ok else "outside",
        ]
        for name, row, distance, ok in zip(names, predicted.itertuples(), predicted[farthest], covered, strict=True)
    ]
    axis = axis_label(farthest.removeprefix("reach_")).split(" ")[0]
    columns = (
        "held-out run",
        f"extrapolation in {axis} (decades)",
        "measured",
        "forecast",
        "lower",
        "upper",
        "error (%)",
        "result",
    )
    error = float((predicted["median"] / predicted["loss"] - 1).abs().mean())
    sentence = (
        f"The {percent(prob)} predictive intervals cover {int(covered.sum())} of {len(predicted)} held-out runs; the mean absolute error "
        f"is {100 * error:.1f} %."
    )
    return Table("Held-out runs: forecast and measured loss.", columns, cells), sentence


def allocation_table(rows: pd.DataFrame, prob: float) -> Table:
    """Return the compute-optimal size of each budget."""
    cells = [
        [
            power(r.compute_flops),
            *(short(v) for v in (r.params, r.params_lower, r.params_upper, r.tokens, r.tokens_lower, r.tokens_upper)),
            short(r.tokens_per_param),
            *(f"{v:.3f}" for v in (r.median, r.lower, r.upper)),
            f"{r.reach_compute_flops:.2f}",
        ]
        for r in rows.itertuples()
    ]
    columns = (
        "C (FLOP)",
        "N",
        "lower",
        "upper",
        "D",
        "lower ",
        "upper ",
        "D/N",
        "loss",
        "lower  ",
        "upper  ",
        "extrapolation (decades)",
    )
    return Table(
        f"Compute-optimal size of each budget: {percent(prob)} credible intervals of the optimum, predictive interval of a new run.",
        columns,
        cells,
    )


def fact_table(fit: Fit) -> Table:
    """Return the provenance of the fit."""
    facts = dict(fit.facts)
    versions = ", ".join(f"{name} {version}" for name, version in dict(facts.pop("versions")).items())
    command = reproduce(fit)
    for name in ("origin", "curves_origin"):
        facts.pop(name, None)
    rows = [("command", command)] if command else []
    rows += [(name.replace("_", " "), str(value)) for name, value in facts.items() if value not in ("", None)]
    rows += [("model digest", fit.model.digest), ("versions", versions)]
    return Table(
        "The same runs, model, seed, versions and machine give the same draws.", ("item", "value"), rows, ("value",)
    )


def reproduce(fit: Fit) -> str:
    """Return the command that reproduces the fit from its model document, or nothing where there is none."""
    facts, curves = fit.facts, fit.facts.get("curves_origin")
    if not facts.get("origin") or (curves is not None and len(curves) != 1):
        return ""
    words = ["bayes-scaling", "fit", *facts["origin"], "--model", "model.toml", *(["--curves", *curves] if curves else [])]
    for option in ("sampler", "seed", "draws", "tune", "chains", "target_accept"):
        words += [f"--{option.replace('_', '-')}", str(facts[option])]
    return shlex.join([*words, "--out", "fit.nc"])


def backtest_table(backtest: Backtest) -> Table:
    """Return the scores of each method on this table's own larger runs."""
    cells = [
        [
            str(row["method"]),
            f"{row['runs']}",
            *(f"{100 * row[name]:.0f} %" for name in ("coverage_0.5", "coverage_0.9")),
            *(f"{row[name]:.3g}" for name in ("interval_score", "crps")),
            f"{row['log_score']:.2f}",
            *(f"{100 * row[name]:.2g} %" for name in ("median_error", "width")),
        ]
        for row in backtest.scores.to_dict("records")
    ]
    columns = (
        "method",
        "forecasts",
        "coverage of 50 %",
        "coverage of 90 %",
        "interval score",
        "CRPS",
        "log score",
        "median error",
        "width of 90 %",
    )
    return Table("Scores of the log loss: lower is better, except for the log score.", columns, cells, ("method",))
