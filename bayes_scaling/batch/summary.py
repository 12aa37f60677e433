"""What a batch keeps of each fit in one row, and the forecast its page draws."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import xarray as xr

from bayes_scaling.errors import BayesScalingError
from bayes_scaling.model.names import is_log
from bayes_scaling.posterior.checks import summarize
from bayes_scaling.posterior.compute import compute_ratio
from bayes_scaling.posterior.extrapolation import reach
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.predict import intervals, predict
from bayes_scaling.posterior.suspects import suspects
from bayes_scaling.questions.allocation import allocate, budget_table, chosen_runs
from bayes_scaling.questions.surface import splits_a_budget

AHEAD: Final = 10.0
"""How many times the largest resource of the runs the forecast of a summary is for."""
COLUMNS: Final = {
    "table": "name of the table",
    "model": "name of the model",
    "source": "where the table comes from",
    "digest": "what the fit depends on: table, model, settings, versions",
    "file": "file of the fit, in the folder of the batch",
    "report": "file of the report, where one was written",
    "rows": "rows that were fitted",
    "loss_unit": "unit of every loss",
    "sampler": "importance or nuts",
    "converged": "whether every convergence check passed; do not rely on a fit where it did not",
    "adequate": "whether every check passed of how well the model describes the runs",
    "verdict": "both in words",
    "failed_checks": "checks that failed, with values and limits; convergence first",
    "suspects": "rows that may have gone wrong",
    "prob": "probability of every interval",
    "forecast_along": "resource that the forecast runs along",
    "forecast_at": "ten times the largest of the runs; compute is 6 N D",
    "forecast_decades": "decades that this lies beyond the runs",
    "forecast": "median of the predicted loss of a new run there, at the compute-optimal size where the law has one",
    "forecast_lower": "lower end of its predictive interval",
    "forecast_upper": "upper end of it",
    "forecast_mean_lower": "lower end of the credible interval of the mean loss",
    "forecast_mean_upper": "upper end of it",
    "optimum_params": "compute-optimal N there, median over the draws",
    "optimum_params_lower": "lower end of its credible interval",
    "optimum_params_upper": "upper end of it",
    "optimum_tokens": "compute-optimal D there, median over the draws",
    "optimum_tokens_lower": "lower end of its credible interval",
    "optimum_tokens_upper": "upper end of it",
    "forecast_note": "why there is no forecast, where there is none",
}
"""Columns of the summary, and what each is; ``NAME``, ``NAME_lower`` and ``NAME_upper`` of every parameter follow them."""
_DRAWS: Final = 125
_POINTS: Final = 13
_RUNS: Final = 60


def summary_of(fit: Fit, prob: float) -> dict[str, Any]:
    """Return the row of a fit: see :data:`COLUMNS`.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> row = summary_of(example_fit(), 0.9)
    >>> row["converged"], row["forecast_along"], row["forecast_lower"] < row["forecast"] < row["forecast_upper"]
    (True, 'compute_flops', True)
    """
    failed = [check for check in fit.checks if not check["passed"]]
    failed.sort(key=lambda check: check["about"] != "convergence")
    row = {
        "rows": sum(len(fit.rows(observation.name)) for observation in fit.model.observations),
        "loss_unit": fit.loss_unit,
        "sampler": str(fit.facts.get("sampler", "")),
        "converged": fit.converged,
        "adequate": fit.adequate,
        "verdict": fit.verdict if fit.adequate else f"{fit.verdict} {fit.adequacy}",
        "failed_checks": "; ".join(f"{c['check']} is {c['value']:.4g}, limit {c['rule']}" for c in failed),
        "suspects": len(suspects(fit)),
        "prob": prob,
        **_ahead(fit, prob),
    }
    parameters = {}
    for label, line in summarize(fit, prob=prob).iterrows():
        if is_log(str(label)):  # discrepancies and effects of groups: the fit has them
            continue
        ends = zip(("", "_lower", "_upper"), (line["median"], line["lower"], line["upper"]), strict=True)
        parameters |= {f"{label}{end}": float(value) for end, value in ends}
    return row | {"parameters": parameters}


def forecast_of(fit: Fit, prob: float) -> dict[str, Any] | None:
    """Return the points of a small picture of the forecast: ``along``, ``at``, ends of both intervals, and the ``runs``."""
    view = _of_loss(fit)
    if view is None:
        return None
    thinned, along = view.thinned(_DRAWS), _along(view)
    measured = view.table[[along, "loss"]].dropna()
    at = np.geomspace(measured[along].min(), AHEAD * measured[along].max(), _POINTS)
    try:
        if splits_a_budget(view):
            drawn = chosen_runs(thinned, compute=list(at / compute_ratio(view)))
        else:
            drawn = predict(thinned, **_typical(view, along), **{along: xr.DataArray(at, dims=along)})
    except BayesScalingError:
        return None
    ends = {str(name): bound.values.tolist() for name, bound in intervals(drawn, prob).data_vars.items()}
    shown = measured.iloc[:: max(1, -(-len(measured) // _RUNS))]
    return {"along": along, "at": at.tolist(), **ends, "runs": shown.to_numpy(float).tolist()}


def _ahead(fit: Fit, prob: float) -> dict[str, Any]:
    """Return the forecast, and the optimum, at ten times the largest resource of the runs."""
    view = _of_loss(fit)
    if view is None:
        return {"forecast_note": "the model has no law of the loss along a resource"}
    along = _along(view)
    furthest = AHEAD * float(view.table[along].max())
    try:
        if splits_a_budget(view):
            asked = furthest / compute_ratio(view)
            row = budget_table(allocate(view, compute=[asked]), prob).iloc[0].to_dict()
            optimum = {
                f"optimum_{name}{end}": row[f"{name}{theirs}"]
                for name in ("params", "tokens")
                for end, theirs in (("", "_median"), ("_lower", "_lower"), ("_upper", "_upper"))
            }
        else:
            asked, optimum = furthest, {}
            drawn = intervals(predict(view, **_typical(view, along), **{along: furthest}), prob)
            row = {str(name): float(bound) for name, bound in drawn.data_vars.items()}
    except BayesScalingError as error:
        return {"forecast_note": str(error)}
    return {
        "forecast_along": along,
        "forecast_at": asked,
        "forecast_decades": float(reach(view, along, furthest)),
        "forecast": row["median"],
        **{f"forecast_{end}": row[end] for end in ("lower", "upper", "mean_lower", "mean_upper")},
        **optimum,
    }


def _of_loss(fit: Fit) -> Fit | None:
    """Return the observation of a loss of runs that can be forecast along a resource; of several, one that splits a budget first."""
    views = [view for view in fit.views.values() if view.model.only.output == "loss" and view.model.only.table == "runs"]
    views.sort(key=lambda view: not splits_a_budget(view))
    return views[0] if views else None


def _along(fit: Fit) -> str:
    return "compute_flops" if splits_a_budget(fit) else next(iter(fit.model.only.columns.values()))


def _typical(fit: Fit, along: str) -> dict[str, Any]:
    """Return the other inputs of the law, at their typical values."""
    others = [column for column in fit.model.only.columns.values() if column != along]
    return {column: float(np.exp(np.log(fit.table[column]).mean())) for column in others}
