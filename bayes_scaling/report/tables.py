"""The tables of the report."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
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
from bayes_scaling.report.wording import axis_label, number, percent, short


@dataclass(frozen=True)
class Table:
    """A table of the page: words are set left, everything else is a number already written out."""

    caption: str
    columns: Sequence[str]
    cells: Sequence[Sequence[str]]
    words: Sequence[str] = ()


def checks_table(checks: pd.DataFrame) -> Table:
    """Tell every check, its value and its rule."""
    cells = [
        (c.about, c.check, f"{c.value:.4g}", c.rule, "passed" if c.passed else "failed", c.where)
        for c in checks.itertuples()
    ]
    caption = "Convergence: are the draws the posterior? Adequacy: does the model describe the runs?"
    return Table(caption, ("about", "check", "value", "rule", "result", "at"), cells, ("about", "check", "rule", "at"))


def parameter_table(fit: Fit, prob: float) -> Table:
    """Tell every unknown with its interval, and how much the runs taught about it."""
    summary = summarize(fit, prob=prob)
    cells = [
        [label, *(number(row[name]) for name in ("median", "lower", "upper")), f"{row['contraction']:.2f}"]
        for label, row in summary.iterrows()
        if not names.is_log(str(label))
    ]
    columns = ("unknown", "median", "lower", "upper", "contraction")
    return Table(f"Posterior median and {percent(prob)} interval.", columns, cells)


def published_table(fit: Fit) -> Table | None:
    """Tell what others published for the parameters of the law, beside ours; nothing where nobody did."""
    records = comparable(fit.model.only.law)
    if not records:
        return None
    summary = summarize(fit)["median"]
    cells = []
    for label in summary.index:
        theirs = [record.constants.get(label.split("[")[0]) for record in records]
        if any(theirs):
            said = ["" if c is None else number(c.value) + (f" ± {number(c.se)}" if c.se else "") for c in theirs]
            cells.append([label, number(summary[label]), *said])
    columns = ("parameter", "ours", *(record.name for record in records))
    return Table("Our median, and published values as printed, ± a standard error where there is one.", columns, cells)


def prior_table(fit: Fit) -> Table:
    """Tell every prior, why it is that, and how much the runs taught."""
    model, summary = fit.model, summarize(fit)["contraction"]
    cells = []
    for name, parameter in model.parameters.items():
        if parameter.prior is None:
            cells.append((name, f"fixed at {parameter.fixed:g}", "", parameter.why))
            continue
        row = next(n for n in (names.population(name), names.at_reference(name), name) if n in summary.index)
        cells.append((row, str(parameter.prior), f"{summary[row]:.2f}", parameter.why))
        for grouping in parameter.varies_by:
            spread = names.spread(name, grouping)
            cells.append(
                (spread, str(parameter.spread), f"{summary[spread]:.2f}", "How far groups lie apart, on the log scale.")
            )
    cells += noise_rows(model.only, summary)
    return beliefs(cells, fit.reference)


def noise_rows(observation: Observation, learned: pd.Series, suffix: str = "") -> list[tuple[str, ...]]:
    """Return the priors of an observation's noise and effects, a row an unknown."""
    likelihood, correlation = observation.likelihood, observation.correlation
    priors = [("sigma", likelihood.sigma, likelihood.why)]
    why = "Weight of the tail: one is a Cauchy, thirty hardly differs from a normal."
    priors += [(name, prior, why) for name, prior in likelihood.unknowns.items()]
    if likelihood.growth is not None:
        priors.append(("growth", likelihood.growth, "Noise and discrepancy go as the expected loss to this power."))
    for (section, name), effect in observation.effects.items():
        priors.append((names.scale_of_effect(section, name), effect.scale, effect.why))
    if correlation is not None:
        priors.append(("length", correlation.length, correlation.why))
        if correlation.nugget is not None:
            priors.append(("nugget", correlation.nugget, "A row's own error beside its standard error."))
    rows = [(names.of_observation(name, suffix), str(prior), why) for name, prior, why in priors]
    return [(name, prior, f"{learned[name]:.2f}", why) for name, prior, why in rows]


def beliefs(cells: Sequence[Sequence[str]], reference: Mapping[str, float]) -> Table:
    """Return the table of priors: unknown, prior, contraction and why."""
    point = ", ".join(f"{name} = {short(value)}" for name, value in reference.items())
    return Table(
        f"Priors, at the reference point {point}.", ("unknown", "prior", "contraction", "why"), cells, ("prior", "why")
    )


def forecast_table(found: xr.Dataset, column: str, prob: float) -> Table:
    """Tell the forecast at half decades beyond the runs."""
    reach = found[f"reach_{column}"].values
    marks = [int(np.abs(reach - decades).argmin()) for decades in (0.5, 1.0, 1.5, 2.0)]
    cells = [
        [f"{reach[i]:.2f}", short(float(found[column][i]))]
        + [f"{float(found[name][i]):.3f}" for name in ("median", "lower", "upper", "mean_lower", "mean_upper")]
        + [f"{100 * max(0.0, float(found[name][i])):.0f} %" for name in PARTS]
        for i in marks
    ]
    symbol = BY_COLUMN[column].symbol if column in BY_COLUMN else column
    columns = ("decades beyond", symbol, "loss", "new run from", "to", "expected from", "to ", *PARTS)
    caption = (
        f"Forecast beyond the runs: {percent(prob)} intervals of a new run and of its expected loss, and what the variance of "
        "the log loss is made of."
    )
    return Table(caption, columns, cells)


def held_out_table(predicted: pd.DataFrame, prob: float) -> tuple[Table, str]:
    """Tell forecast and truth of runs the fit has not seen, and say how many were inside."""
    held = inside(predicted["loss"], predicted["lower"], predicted["upper"])
    names = predicted["run_id"] if "run_id" in predicted else [f"row {i + 1}" for i in range(len(predicted))]
    reaches = [str(c) for c in predicted if str(c).startswith("reach_")]
    farthest = "reach_compute_flops" if "reach_compute_flops" in reaches else reaches[0]
    cells = [
        [
            str(name),
            f"{reach:.2f}",
            *(f"{v:.3f}" for v in (row.loss, row.median, row.lower, row.upper)),
            f"{100 * (row.median / row.loss - 1):+.1f}",
            "inside" if ok else "outside",
        ]
        for name, row, reach, ok in zip(names, predicted.itertuples(), predicted[farthest], held, strict=True)
    ]
    axis = axis_label(farthest.removeprefix("reach_")).split(" ")[0]
    columns = ("held-out run", f"decades beyond, {axis}", "measured", "forecast", "from", "to", "error (%)", "result")
    error = float((predicted["median"] / predicted["loss"] - 1).abs().mean())
    said = (
        f"Of {len(predicted)} held-out runs, {int(held.sum())} measured a loss inside the {percent(prob)} interval of "
        f"their forecast; the forecasts are off by {100 * error:.1f} % on average."
    )
    return Table("Runs the fit has not seen: forecast and truth.", columns, cells), said


def allocation_table(rows: pd.DataFrame, prob: float) -> Table:
    """Tell the compute-optimal size of each budget."""
    cells = [
        [
            short(r.compute_flops),
            *(short(v) for v in (r.params, r.params_lower, r.params_upper, r.tokens, r.tokens_lower, r.tokens_upper)),
            f"{r.tokens_per_param:.3g}",
            *(f"{v:.3f}" for v in (r.median, r.lower, r.upper)),
            f"{r.reach_compute_flops:.2f}",
        ]
        for r in rows.itertuples()
    ]
    columns = ("C (FLOP)", "N", "from", "to", "D", "from ", "to ", "D/N", "loss", "from  ", "to  ", "decades beyond, C")
    return Table(
        f"Compute-optimal size for a budget, {percent(prob)} intervals of the optimum and of a new run's loss.",
        columns,
        cells,
    )


def fact_table(fit: Fit) -> Table:
    """Tell where the fit came from."""
    facts = dict(fit.facts)
    versions = ", ".join(f"{name} {version}" for name, version in dict(facts.pop("versions")).items())
    command = reproduce(fit)
    for name in ("origin", "curves_origin"):
        facts.pop(name, None)
    rows = [("command", command)] if command else []
    rows += [(name.replace("_", " "), str(value)) for name, value in facts.items() if value not in ("", None)]
    rows += [("model digest", fit.model.digest), ("versions", versions)]
    return Table("Same runs, model, seed, versions and machine: the same draws.", ("what", "value"), rows, ("value",))


def reproduce(fit: Fit) -> str:
    """Return the command that makes the fit again from its model document, or nothing where no command could."""
    facts, curves = fit.facts, fit.facts.get("curves_origin")
    if not facts.get("origin") or (curves is not None and len(curves) != 1):
        return ""
    words = ["bayes-scaling", "fit", *facts["origin"], "--model", "model.toml", *(["--curves", *curves] if curves else [])]
    for option in ("seed", "draws", "tune", "chains", "target_accept"):
        words += [f"--{option.replace('_', '-')}", str(facts[option])]
    return shlex.join([*words, "--out", "fit.nc"])


def backtest_table(found: Backtest) -> Table:
    """Tell how each way to forecast this table's own larger runs came out."""
    cells = [
        [
            str(row["method"]),
            f"{row['runs']}",
            *(f"{100 * row[name]:.0f} %" for name in ("coverage_0.5", "coverage_0.9")),
            *(f"{row[name]:.3g}" for name in ("interval_score", "crps")),
            f"{row['log_score']:.2f}",
            *(f"{100 * row[name]:.2g} %" for name in ("median_error", "width")),
        ]
        for row in found.scores.to_dict("records")
    ]
    columns = (
        "method",
        "forecasts",
        "50 % held",
        "90 % held",
        "interval score",
        "CRPS",
        "log score",
        "median error",
        "90 % width",
    )
    return Table("Scores on the log of the loss: low is good, but for the log score.", columns, cells, ("method",))
