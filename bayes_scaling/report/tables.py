"""The tables of the report."""

from __future__ import annotations

import shlex

import numpy as np
import pandas as pd

from bayes_scaling.evaluation.outcome import Backtest
from bayes_scaling.laws.constants import Constant
from bayes_scaling.model import names
from bayes_scaling.posterior.checks import summarize
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.predict import inside
from bayes_scaling.posterior.reweighted import LARGEST_K
from bayes_scaling.posterior.stated import noise_priors
from bayes_scaling.posterior.variance import PARTS
from bayes_scaling.quantities import BY_COLUMN
from bayes_scaling.questions.base import Answer
from bayes_scaling.questions.frontier import frontier, frontier_table, largest
from bayes_scaling.report.page import Table, table_of
from bayes_scaling.report.pictures import published_of
from bayes_scaling.wording import amount, axis_label, number, percent, point

_MOVERS = 5
"""Priors, and rows, of the table of sensitivity."""
_SAID_ELSEWHERE = {"origin", "curves_origin", "versions", "memory_standard_errors", "outliers", "named"}
"""Facts of a fit that its command, its checks and its suspicious rows say."""
_FACTS = {
    "runs_digest": "digest of the runs",
    "params": "parameters counted",
    "significant_bits": "significant bits of stored draws",
    "sampler_reason": "diagnostics of the sampler",
    "evaluations": "evaluations of the density",
    "rounds": "rounds of importance sampling",
}
"""What a fact is called, where it is not its name."""
_SPECIAL = set('"$`\\!')
"""What double quotes do not take from a shell."""
_INTERVAL = "{median:.3f} ({lower:.3f} to {upper:.3f})"


def observation_table(fit: Fit) -> Table:
    """Return the observations of a system: rows, law, condition and reason."""
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


def checks_table(checks: pd.DataFrame) -> Table:
    """Return every check with its value and its limit."""
    cells = {
        "about": "{about}",
        "check": "{check}",
        "value": "{value:.4g}",
        "limit": "{rule}",
        "result": "{result}",
        "at": "{where}",
    }
    rows = checks.assign(result=np.where(checks["passed"], "passed", "failed"))
    caption = "Convergence: the draws represent the posterior. Adequacy: the model describes the runs."
    return table_of(rows, caption, cells, ("about", "check", "limit", "at"))


def parameter_table(fit: Fit, prob: float) -> Table:
    """Return every parameter with its interval and contraction."""
    cells = {
        "parameter": "{index}",
        "median": "{median:number}",
        "interval": "{lower:number} to {upper:number}",
        "contraction": "{contraction:.2f}",
    }
    rows = summarize(fit, prob=prob).reset_index()
    caption = f"Posterior median, {percent(prob)} credible interval and posterior contraction."
    return table_of(rows[~rows["index"].map(names.is_log)], caption, cells)


def published_table(fit: Fit) -> Table | None:
    """Return published constants of the laws beside ours, a column a source; nothing where there are none."""
    records, cells = published_of(fit), []
    for label, median in summarize(fit)["median"].items():
        constants = [record.constants.get(str(label).split("[")[0]) for record in records]
        if any(constants):
            cells.append([str(label), number(median), *("" if c is None else _constant(c) for c in constants)])
    columns = ("parameter", "ours", *(record.name for record in records))
    places = "; ".join(f"{record.name}: {record.where}" for record in records)
    caption = f"Posterior median, and published values as printed, ± standard error where there is one. {places}."
    return Table(caption, columns, cells) if cells else None


def _constant(constant: Constant) -> str:
    return number(constant.value) + (f" ± {number(constant.se)}" if constant.se else "")


def prior_table(fit: Fit) -> Table:
    """Return every prior with its reason and the posterior contraction."""
    model, contraction, cells = fit.model, summarize(fit)["contraction"], []
    for name, parameter in model.parameters.items():
        if parameter.prior is None:
            cells.append((name, f"fixed at {parameter.fixed:g}", "", parameter.why))
            continue
        row = next(n for n in (names.population(name), names.at_reference(name), name) if n in contraction.index)
        cells.append((row, str(parameter.prior), f"{contraction[row]:.2f}", parameter.why))
        for grouping in parameter.varies_by:
            spread = names.spread(name, grouping)
            why = f"Standard deviation of log {name} between levels of {grouping}."
            cells.append((spread, str(parameter.spread), f"{contraction[spread]:.2f}", why))
    for suffix, rows in fit.layout:
        for name, prior, why in noise_priors(rows.observation):
            label = names.of_observation(name, suffix)
            cells.append((label, str(prior), f"{contraction[label]:.2f}", why))
    caption = f"Priors, at the reference point {point(fit.reference, model.columns_of_inputs)}."
    return Table(caption, ("parameter", "prior", "contraction", "reason"), cells, ("prior", "reason"))


def forecast_table(forecasts: pd.DataFrame, column: str, prob: float) -> Table:
    """Return the forecast at half decades beyond the runs."""
    distance = forecasts[f"reach_{column}"]
    rows = forecasts.iloc[[int((distance - decades).abs().argmin()) for decades in (0.5, 1.0, 1.5, 2.0)]]
    rows = rows.assign(at=rows[column].map(lambda value: amount(value, column)), **rows[list(PARTS)].abs())
    cells = {
        "extrapolation (decades)": f"{{reach_{column}:.2f}}",
        BY_COLUMN[column].symbol if column in BY_COLUMN else column: "{at}",
        "loss of a new run": _INTERVAL,
        "mean loss": "{mean_lower:.3f} to {mean_upper:.3f}",
        **{part: f"{{{part}:.0f %}}" for part in PARTS},
    }
    caption = (
        f"Forecast beyond the runs: {percent(prob)} predictive interval of a new run, credible interval of the mean loss, and shares of "
        "the variance of the log loss."
    )
    return table_of(rows, caption, cells)


def held_out_table(predicted: pd.DataFrame, prob: float) -> tuple[Table, str]:
    """Return forecasts and measured losses of held-out runs, and their coverage as a sentence."""
    covered = inside(predicted["loss"], predicted["lower"], predicted["upper"])
    error = predicted["median"] / predicted["loss"] - 1
    runs = predicted["run_id"] if "run_id" in predicted else [f"row {i + 1}" for i in range(len(predicted))]
    reaches = [str(c) for c in predicted if str(c).startswith("reach_")]
    farthest = "reach_compute_flops" if "reach_compute_flops" in reaches else reaches[0]
    cells = {
        "held-out run": "{run}",
        f"extrapolation in {axis_label(farthest.removeprefix('reach_')).split(' ')[0]} (decades)": f"{{{farthest}:.2f}}",
        "measured": "{loss:.3f}",
        "forecast": _INTERVAL,
        "error (%)": "{error:+.1f}",
        "result": "{result}",
    }
    rows = predicted.assign(run=runs, error=100 * error, result=np.where(covered, "inside", "outside"))
    sentence = (
        f"The {percent(prob)} predictive intervals cover {int(covered.sum())} of {len(predicted)} held-out runs; the mean absolute error "
        f"is {100 * error.abs().mean():.1f} %."
    )
    return table_of(rows, "Held-out runs: forecast and measured loss.", cells), sentence


def allocation_table(rows: pd.DataFrame, prob: float) -> Table:
    """Return the compute-optimal size of each budget."""
    cells = {
        "C (FLOP)": "{compute_flops:power}",
        "N": "{params:short} ({params_lower:short} to {params_upper:short})",
        "D": "{tokens:short} ({tokens_lower:short} to {tokens_upper:short})",
        "D/N": "{tokens_per_param:short}",
        "loss of a new run": _INTERVAL,
        "extrapolation (decades)": "{reach_compute_flops:.2f}",
    }
    return table_of(
        rows,
        f"Compute-optimal size of each budget: {percent(prob)} credible intervals of the optimum, predictive interval of a new run.",
        cells,
    )


def backtest_table(backtest: Backtest) -> Table:
    """Return the scores of each method on this table's own larger runs."""
    cells = {
        "method": "{method}",
        "forecasts": "{forecasts}",
        "runs": "{runs}",
        "coverage of 50 %": "{coverage_0.5:.0f %} ± {coverage_0.5_se:.0f %}",
        "coverage of 90 %": "{coverage_0.9:.0f %} ± {coverage_0.9_se:.0f %}",
        "interval score": "{interval_score:.3g} ± {interval_score_se:.2g}",
        "CRPS": "{crps:.3g} ± {crps_se:.2g}",
        "log score": "{log_score:.2f} ± {log_score_se:.2f}",
        "median error": "{median_error:.2g %} ± {median_error_se:.2g %}",
        "width of 90 %": "{width:.2g %}",
    }
    caption = (
        "Scores of the log loss: lower is better, except for the log score. Each run counts once; ± one standard error by cuts and runs, "
        "whose forecasts share errors."
    )
    scores = backtest.scores
    if (scores["clusters"] < 2).any():  # one cut has no standard error
        cells = {name: template.partition(" ± ")[0] for name, template in cells.items()}
    return table_of(scores, caption, cells, ("method",))


def heterogeneity_table(factors: pd.DataFrame, prob: float) -> Table:
    """Return the factors between observations in parameters that may differ."""
    cells = {
        "parameter": "{parameter}",
        "first": "{first}",
        "second": "{second}",
        "second over first": _INTERVAL,
        "probability above 1": "{larger:.3f}",
        "interval": "{interval}",
    }
    return table_of(
        factors.assign(interval=np.where(factors["agree"], "covers 1", "excludes 1")),
        f"Heterogeneity between observations: factors between their parameters, {percent(prob)} credible intervals.",
        cells,
        ("first", "second", "interval"),
    )


def claims_table(claims: pd.DataFrame, prob: float) -> Table:
    """Return every published claim with ours beside it."""
    cells = {
        "claim": "{claim}, {equation}",
        "published": "{published}{of_unit}",
        "practically equal": "{region_lower:number} to {region_upper:number}",
        "its constants give": "{gives}",
        "ours": "{median:number} ({lower:number} to {upper:number}){exists}",
        "prior": "{prior_lower:number} to {prior_upper:number}",
        "probability above": "{above:.3f}",
        "extrapolation (decades)": "{beyond}",
        "verdict": "{verdict}",
    }
    rows = claims.assign(
        of_unit=claims["unit"].map(lambda unit: "" if unit == "1" else f" {unit}"),
        gives=claims["constants_give"].map(lambda value: number(value) if np.isfinite(value) else ""),
        exists=claims["defined"].map(lambda share: f" in {100 * share:.3g} % of draws" if share < 1 else ""),
        beyond=claims["decades_beyond"].map(lambda decades: f"{decades:.1f}" if decades > 0 else ""),
    )
    return table_of(
        rows,
        f"Published claims and this posterior, {percent(prob)} credible intervals; probability that ours is above the published number. A "
        "claim agrees where the interval lies inside what is practically equal to it, disagrees where it lies wholly outside.",
        cells,
        ("claim", "verdict"),
    )


def efficient_table(fit: Fit, prob: float) -> Table:
    """Return compute-optimal training at round computes."""
    top = np.floor(np.log10(largest(fit, "compute_flops") or 1e20))
    compute = [float(f"{10.0**power:.3g}") for power in np.arange(top - 1, top + 3)]
    symbols = {"N": "params", "D": "tokens", "B": "batch_tokens", "S": "steps"}
    cells = {
        "C (FLOP)": "{compute_flops:power}",
        "extrapolation (decades)": "{decades_beyond:.1f}",
        **{s: f"{{{c}_median:short}} ({{{c}_lower:short}} to {{{c}_upper:short}})" for s, c in symbols.items()},
        "loss of a new run": "{measured_loss_median:.3f} ({measured_loss_lower:.3f} to {measured_loss_upper:.3f})",
    }
    caption = f"Compute-optimal training at the critical batch, {percent(prob)} intervals."
    return table_of(frontier_table(fit, frontier(fit, compute=compute), prob), caption, cells)


def stopping_table(stopped: pd.DataFrame, prob: float) -> Table:
    """Return the step of the least loss of runs on limited data beside the bound."""
    cells = {
        "N": "{params:short}",
        "distinct tokens": "{dataset_tokens:short}",
        "step of least loss": "{stopped:short}",
        "bound": "{bound:short} ({lower:short} to {upper:short})",
        "probability at or after": "{above:.2f}",
    }
    return table_of(
        stopped,
        f"Early stopping in minimum steps: step of the least loss and the lower bound (5.7), {percent(prob)} intervals.",
        cells,
    )


def fact_table(fit: Fit) -> Table:
    """Return the provenance of the fit."""
    facts = {name: value for name, value in fit.facts.items() if name not in _SAID_ELSEWHERE}
    if bits := facts.get("significant_bits"):
        facts["significant_bits"] = ", ".join(f"{number} of {what}" for what, number in bits.items())
    rows = {"command": reproduce(fit), **{_FACTS.get(name, name.replace("_", " ")): value for name, value in facts.items()}}
    rows = {name: str(value) for name, value in rows.items() if value not in ("", None)}
    rows["model digest"] = fit.model.digest
    rows["versions"] = ", ".join(f"{name} {version}" for name, version in fit.facts["versions"].items())
    caption = "The same runs, model, seed, versions and machine give the same draws."
    return Table(caption, ("item", "value"), list(rows.items()), ("value",))


def reproduce(fit: Fit) -> str:
    """Return the command that reproduces the fit from its model document, or nothing where there is none."""
    facts, curves = fit.facts, fit.facts.get("curves_origin")
    if not facts.get("origin") or (curves is not None and len(curves) != 1):
        return ""
    words = ["bayes-scaling", "fit", *facts["origin"], "--model", "model.toml", *(["--curves", *curves] if curves else [])]
    for option in ("sampler", "seed", "draws", "tune", "chains", "target_accept"):
        words += [f"--{option.replace('_', '-')}", str(facts[option])]
    return " ".join(map(_quoted, [*words, "--out", "fit.nc"]))


def _quoted(word: str) -> str:
    """Return a word of a command as a shell reads it: in double quotes where it has single ones.

    >>> print(_quoted("series == 'size'"), _quoted("a b"), _quoted("ladder"))
    "series == 'size'" 'a b' ladder
    """
    return f'"{word}"' if "'" in word and not set(word) & _SPECIAL else shlex.quote(word)


def sensitivity_table(answer: Answer) -> Table:
    """Return the priors and the rows that move the forecast most."""
    priors, rows = (answer.tables[name].dropna(subset=["shift"]) for name in ("priors", "rows"))
    unknown = len(answer.tables["rows"]) - len(rows)
    priors, rows = priors.head(_MOVERS), rows.head(_MOVERS)
    moved = pd.concat(
        [
            priors.assign(what="prior of " + priors["parameter"] + ", one prior sd up"),
            rows.assign(what=rows["row"] + ", left out"),
        ]
    )
    cells = {"change": "{what}", "forecast (posterior sd)": "{shift:+.2f}", "loss (%)": "{percent:+.2g}"}
    caption = "How far the mean of the forecast moves: the priors and the rows that move it most."
    if unknown:
        caption += f" For {unknown} rows these draws cannot tell: k-hat is above {LARGEST_K}."
    return table_of(moved.assign(percent=100 * moved["change"]), caption, cells)
