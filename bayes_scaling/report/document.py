"""The report of one fit: what was asked, whether to believe it, what it says, and how to do it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import jinja2
import numpy as np
import pandas as pd
import xarray as xr

from bayes_scaling.decisions.budget import allocate, budget_table
from bayes_scaling.diagnostics import ADEQUACY, check, summarize
from bayes_scaling.files import write_whole
from bayes_scaling.fits import Fit, scalars
from bayes_scaling.prediction import (
    expected_loss,
    interval,
    intervals,
    loss_at_runs,
    predict,
    predict_table,
    reach_sentence,
)
from bayes_scaling.published import published, published_names
from bayes_scaling.quantities import BY_COLUMN
from bayes_scaling.report import figures
from bayes_scaling.scatter import measure, relative_se

_BEYOND: Final = 2.0
"""Decades of compute (or of the law's own resource) the forecast goes beyond the runs."""


@dataclass(frozen=True)
class Table:
    """A table of the page: words are set left, everything else is a number already written out."""

    caption: str
    columns: Sequence[str]
    cells: Sequence[Sequence[str]]
    words: Sequence[str] = ()


@dataclass(frozen=True)
class Picture:
    """A figure of the page."""

    svg: str
    caption: str


def write_report(
    fit: Fit,
    path: str | Path,
    *,
    prob: float = 0.9,
    budgets: Sequence[float] | None = None,
    group: Mapping[str, str] | None = None,
    held_out: pd.DataFrame | None = None,
) -> Path:
    """Write the report of a fit: one self-contained HTML file.

    Parameters
    ----------
    fit : Fit
        The fit.
    path : str or path
        Where to; written in one piece.
    prob : float
        Probability of every interval.
    budgets : sequence of float, optional
        Compute budgets, FLOP; by default every half decade, up to two decades beyond the runs.
    group : mapping, optional
        Group that forecast and budget are for, as for :func:`~bayes_scaling.predict`; by default a new one.
    held_out : DataFrame, optional
        Runs the fit has not seen, with their loss: forecast and truth are shown beside each other.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InvalidRequest
        If a probability, a budget or a group has no meaning.
    Unwritable
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from bayes_scaling.examples import example_fit
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_report(example_fit(), f"{folder}/report.html").name
    'report.html'
    """
    page = _environment().get_template("template.html").render(_content(fit, prob, budgets, dict(group or {}), held_out))
    return write_whole(path, page)


def _environment() -> jinja2.Environment:
    loader = jinja2.PackageLoader("bayes_scaling.report", package_path="")
    return jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)


def _content(
    fit: Fit, prob: float, budgets: Sequence[float] | None, group: dict[str, str], held_out: pd.DataFrame | None
) -> dict[str, Any]:
    checks = check(fit)
    spec, facts = fit.spec, fit.facts
    two_resources = set(spec.columns.values()) == {"params", "tokens"}
    forecasts, path = _forecast(fit, prob, group, two_resources)
    content: dict[str, Any] = {
        "title": f"{spec.title or spec.law}, fitted to {facts['runs']}",
        "converged": fit.converged,
        "verdict": fit.verdict,
        "prob": f"{prob:.0%}".replace("%", " %"),
        "unit": fit.loss_unit,
        "params": facts["params"],
        "question": _question(fit, group),
        "formula": f"L({', '.join(spec.the_law.inputs)}) = {spec.the_law.formula}",
        "checks": _checks(checks),
        "advice": [f"{c.check}: {c.advice}." for c in checks.itertuples() if not c.passed],
        "parameters": _parameters(fit, prob),
        "compare": _comparison(fit),
        "forecasts": _forecast_table(forecasts, path, prob),
        "held_out": None,
        "budgets": None,
        "priors": _priors(fit),
        "facts": _facts(fit),
        "document": spec.to_toml(),
    }
    pictures = {"fit": _fit_picture(fit, prob), "residuals": _residual_picture(fit), "prior": _prior_picture(fit)}
    predicted = None
    if held_out is not None:
        predicted = predict_table(fit, held_out, prob=prob)
        content["held_out"], content["held_out_said"] = _held_out(predicted, prob)
    answers = []
    if two_resources:
        chosen = budgets if budgets is not None else _half_decades(fit)
        allocation = budget_table(allocate(fit, compute=list(chosen), group=group), prob)
        content["budgets"] = _budget_table(allocation, prob)
        pictures["contours"] = _contour_picture(fit, prob, group)
        answers.append(_budget_sentence(allocation.iloc[-1], prob, fit.loss_unit))
    pictures["forecast"] = _forecast_picture(fit, forecasts, path, predicted)
    if predicted is not None:
        answers.append(content["held_out_said"])
    return content | {"figures": pictures, "answers": answers}


def _question(fit: Fit, group: Mapping[str, str]) -> str:
    spec, runs = fit.spec, fit.runs
    spans = [
        f"{BY_COLUMN[c].symbol} from {_short(runs[c].min())} to {_short(runs[c].max())} {BY_COLUMN[c].unit}"
        for c in ("params", "tokens", "compute_flops")
        if c in runs
    ]
    said = f"The law {spec.law} ({spec.the_law.source}, {spec.the_law.equation}) on {len(runs)} runs: {'; '.join(spans)}."
    if spec.groupings:
        pooled = f" Parameters vary over {', '.join(spec.groupings)} ({', '.join(fit.groups.names)})."
        whose = ", ".join(f"{k} {v}" for k, v in group.items()) or f"a new {' and '.join(spec.group_columns)}"
        said += f"{pooled} Forecast and budget are for {whose}."
    return said


def _checks(checks: pd.DataFrame) -> Table:
    cells = [
        (c.about, c.check, f"{c.value:.4g}", c.rule, "passed" if c.passed else "failed", c.where) for c in checks.itertuples()
    ]
    caption = "Convergence: are the draws the posterior? Adequacy: does the model describe the runs?"
    return Table(caption, ("about", "check", "value", "rule", "result", "at"), cells, ("about", "check", "rule", "at"))


def _parameters(fit: Fit, prob: float) -> Table:
    summary = summarize(fit, prob=prob)
    kept = [label for label in summary.index if "_effect_" not in label]
    records = [published(name) for name in published_names(fit.spec.law)]
    cells = []
    for label in kept:
        row = summary.loc[label]
        theirs = [r.constants.get(label.split("[")[0]) if "_" not in label or label in r.constants else None for r in records]
        said = ["" if c is None else _number(c.value) + (f" ± {_number(c.se)}" if c.se else "") for c in theirs]
        numbers = [_number(row[name]) for name in ("median", "lower", "upper")]
        cells.append([label, *numbers, f"{row['contraction']:.2f}", *said])
    columns = ("unknown", "median", "lower", "upper", "contraction", *(r.name for r in records))
    return Table(f"Posterior median and {prob:.0%} interval; published values as printed, ± a standard error.", columns, cells)


def _comparison(fit: Fit) -> str:
    if not published_names(fit.spec.law):
        return "No constants of this law were published."
    return (
        "Published constants come from other tokenizers, corpora and counts of parameters: exponents may be compared with "
        "ours, offsets and coefficients only with care."
    )


def _fit_picture(fit: Fit, prob: float) -> Picture:
    expected = loss_at_runs(fit)
    errors = xr.DataArray(relative_se(fit.runs), dims="run")
    scattered = measure(expected, fit.spec.likelihood, fit.posterior, np.random.default_rng(0), relative_se=errors)
    median, lower, upper = (a.values for a in interval(scattered, prob))
    loss = fit.runs["loss"].to_numpy(float)
    figure = figures.measured_against_expected(loss, median, lower, upper, _groups(fit), fit.loss_unit)
    inside = int(((lower <= loss) & (loss <= upper)).sum())
    return Picture(
        figures.as_svg(figure, "fit"), f"{inside} of {len(loss)} runs lie inside their own {prob:.0%} interval for a new run."
    )


def _residual_picture(fit: Fit) -> Picture:
    runs = fit.runs
    residual = np.log(runs["loss"].to_numpy(float)) - np.log(loss_at_runs(fit).median(("chain", "draw")).values)
    wanted = dict.fromkeys(c for c in ("params", "tokens", "compute_flops", *fit.spec.columns.values()) if c in runs)
    panels = {_axis(c): runs[c].to_numpy(float) for c in wanted}
    sigma = float(fit.posterior["sigma"].median())
    figure = figures.residuals(panels, residual, _groups(fit), sigma)
    return Picture(
        figures.as_svg(figure, "residuals"), f"The grey band is the scale of the scatter, {100 * sigma:.2g} % of the loss."
    )


def _prior_picture(fit: Fit) -> Picture:
    prior = dict(scalars(fit.prior))
    pairs = {n: (prior[n], d) for n, d in scalars(fit.posterior) if "[" not in n and not _derived(fit, n)}
    figure = figures.prior_against_posterior(pairs)
    return Picture(
        figures.as_svg(figure, "prior"), "Grey: before the runs. Blue: after. Each is scaled to its own height; the axes are logarithmic."
    )


def _derived(fit: Fit, name: str) -> bool:
    """Whether an unknown follows from another that is shown: a published coefficient from its value at the reference."""
    return f"{name}_at_reference" in fit.posterior


def _priors(fit: Fit) -> Table:
    spec, summary = fit.spec, summarize(fit)["contraction"]
    cells = []
    for name, parameter in spec.parameters.items():
        if parameter.prior is None:
            cells.append((name, f"fixed at {parameter.fixed:g}", "", parameter.why))
            continue
        row = next(n for n in (f"{name}_population", f"{name}_at_reference", name) if n in summary.index)
        cells.append((row, str(parameter.prior), f"{summary[row]:.2f}", parameter.why))
    cells.append(("sigma", str(spec.likelihood.sigma), f"{summary['sigma']:.2f}", spec.likelihood.why))
    point = ", ".join(f"{name} = {_short(value)}" for name, value in fit.reference.items())
    return Table(f"Priors, at the reference point {point}.", ("unknown", "prior", "contraction", "why"), cells, ("prior", "why"))


def _contour_picture(fit: Fit, prob: float, group: Mapping[str, str]) -> Picture:
    runs = fit.runs
    ends = {c: (runs[c].min() / 1.5, runs[c].max() * 10 ** (_BEYOND / 2)) for c in ("params", "tokens")}
    params = xr.DataArray(np.geomspace(*ends["params"], 60), dims="params")
    tokens = xr.DataArray(np.geomspace(*ends["tokens"], 60), dims="tokens")
    thinned = fit.thinned(500)
    loss = expected_loss(thinned, {"params": params, "tokens": tokens}, group=group).median(("chain", "draw"))
    compute = np.geomspace(runs["compute_flops"].min(), runs["compute_flops"].max() * 10**_BEYOND, 25)
    allocation = allocate(thinned, compute=list(compute), group=group)
    optimal = [
        np.stack([a.values for a in (lower, median, upper)], axis=1)
        for median, lower, upper in (interval(allocation[name], prob) for name in ("optimal_params", "optimal_tokens"))
    ]
    figure = figures.contours(
        params.values,
        tokens.values,
        loss.transpose("tokens", "params").values,
        (optimal[0], optimal[1], compute),
        (runs["params"].to_numpy(float), runs["tokens"].to_numpy(float)),
    )
    return Picture(
        figures.as_svg(figure, "contours"),
        f"Lines of equal expected loss ({fit.loss_unit}, posterior median), the compute-optimal path with its {prob:.0%} "
        "interval along each budget, and the runs.",
    )


def _forecast(fit: Fit, prob: float, group: Mapping[str, str], two_resources: bool) -> tuple[xr.Dataset, str]:
    """Return intervals along the path a forecast is asked for, and the column it runs along."""
    if two_resources:
        column, runs = "compute_flops", fit.runs["compute_flops"]
        compute = np.geomspace(runs.min(), runs.max() * 10**_BEYOND, 41)
        return intervals(allocate(fit, compute=list(compute), group=group), prob), column
    columns = list(fit.spec.columns.values())
    column, runs = columns[0], fit.runs[columns[0]]
    middle = {c: float(np.exp(np.log(fit.runs[c]).mean())) for c in columns[1:]}
    values = xr.DataArray(np.geomspace(runs.min(), runs.max() * 10**_BEYOND, 41), dims=column)
    return intervals(predict(fit, group=group, **{column: values}, **middle), prob), column


def _forecast_picture(fit: Fit, found: xr.Dataset, column: str, held_out: pd.DataFrame | None) -> Picture:
    runs, names = fit.runs, ("median", "lower", "upper", "mean_lower", "mean_upper")
    band = figures.Band(found[column].values, *(found[name].values for name in names))
    marks, truth = None, None
    if held_out is not None:
        marks = figures.Band(held_out[column].to_numpy(float), *(held_out[name].to_numpy(float) for name in names))
        truth = held_out["loss"].to_numpy(float)
    measured = (runs[column].to_numpy(float), runs["loss"].to_numpy(float))
    figure = figures.forecast(band, _axis(column), fit.loss_unit, float(runs[column].max()), measured, marks, truth)
    along = "at the compute-optimal size of each budget" if column == "compute_flops" and "params" in found.coords else "along the law"
    return Picture(
        figures.as_svg(figure, "forecast"),
        f"The loss {along}: dark, what the law would give on average; light, what one new run would measure. "
        "Right of the dashed line nothing has been measured; both intervals trust the form of the law there.",
    )


def _forecast_table(found: xr.Dataset, column: str, prob: float) -> Table:
    reach = found[f"reach_{column}"].values
    marks = [int(np.abs(reach - decades).argmin()) for decades in (0.5, 1.0, 1.5, 2.0)]
    cells = [
        [f"{reach[i]:.2f}", _short(float(found[column][i]))]
        + [f"{float(found[name][i]):.3f}" for name in ("median", "lower", "upper", "mean_lower", "mean_upper")]
        for i in marks
    ]
    symbol = BY_COLUMN[column].symbol if column in BY_COLUMN else column
    columns = ("decades beyond", symbol, "loss", "new run from", "to", "law from", "to ")
    return Table(f"Forecast beyond the runs, {prob:.0%} intervals of a new run and of the law.", columns, cells)


def _held_out(predicted: pd.DataFrame, prob: float) -> tuple[Table, str]:
    inside = (predicted["lower"] <= predicted["loss"]) & (predicted["loss"] <= predicted["upper"])
    names = predicted["run_id"] if "run_id" in predicted else [f"row {i + 1}" for i in range(len(predicted))]
    cells = [
        [str(name), f"{row.reach_compute_flops:.2f}", *(f"{v:.3f}" for v in (row.loss, row.median, row.lower, row.upper))]
        + [f"{100 * (row.median / row.loss - 1):+.1f}", "inside" if ok else "outside"]
        for name, row, ok in zip(names, predicted.itertuples(), inside, strict=True)
    ]
    columns = ("held-out run", "decades beyond, C", "measured", "forecast", "from", "to", "error (%)", "result")
    error = float((predicted["median"] / predicted["loss"] - 1).abs().mean())
    said = (
        f"Of {len(predicted)} held-out larger runs, {int(inside.sum())} measured a loss inside the {prob:.0%} interval of "
        f"their forecast; the forecasts are off by {100 * error:.1f} % on average."
    )
    return Table("Runs the fit has not seen: forecast and truth.", columns, cells), said


def _budget_table(rows: pd.DataFrame, prob: float) -> Table:
    cells = [
        [
            _short(r.compute_flops),
            *(_short(v) for v in (r.params, r.params_lower, r.params_upper, r.tokens, r.tokens_lower, r.tokens_upper)),
            f"{r.tokens_per_param:.3g}",
            *(f"{v:.3f}" for v in (r.median, r.lower, r.upper)),
            f"{r.reach_compute_flops:.2f}",
        ]
        for r in rows.itertuples()
    ]
    columns = ("C (FLOP)", "N", "from", "to", "D", "from ", "to ", "D/N", "loss", "from  ", "to  ", "decades beyond, C")
    return Table(f"Compute-optimal size for a budget, {prob:.0%} intervals of the optimum and of a new run's loss.", columns, cells)


def _budget_sentence(row: pd.Series, prob: float, unit: str) -> str:
    reaches = {c: row[f"reach_{c}"] for c in ("params", "tokens", "compute_flops") if f"reach_{c}" in row}
    return (
        f"At {_short(row.compute_flops)} FLOP: {_short(row.params)} parameters ({prob:.0%} interval of the optimum "
        f"{_short(row.params_lower)} to {_short(row.params_upper)}) on {_short(row.tokens)} tokens, for a measured loss of "
        f"{row['median']:.3f} ({row.lower:.3f} to {row.upper:.3f}) {unit}; {reach_sentence(reaches)}."
    )


def _half_decades(fit: Fit) -> list[float]:
    last = float(fit.runs["compute_flops"].max())
    top = np.floor(2 * (np.log10(last) + _BEYOND)) / 2
    return [float(f"{10**power:.3g}") for power in np.arange(top - 2.5, top + 0.1, 0.5)]


def _facts(fit: Fit) -> Table:
    facts = dict(fit.facts)
    versions = ", ".join(f"{name} {version}" for name, version in dict(facts.pop("versions")).items())
    rows = [(name.replace("_", " "), str(value)) for name, value in facts.items() if value not in ("", None)]
    rows += [("model digest", fit.spec.digest), ("versions", versions)]
    return Table("Same runs, model, seed, versions and machine: the same draws.", ("what", "value"), rows, ("value",))


def _groups(fit: Fit) -> list[str]:
    return [fit.groups.names[i] for i in fit.groups.of_run] if fit.groups.columns else [""] * len(fit.runs)


def _axis(column: str) -> str:
    quantity = BY_COLUMN.get(column)
    return f"{quantity.symbol} ({quantity.unit})" if quantity else column


def _number(value: float) -> str:
    return f"{value:.3g}" if 1e-3 <= abs(value) < 1e4 else f"{value:.2e}"


def _short(value: float) -> str:
    """Write a large number as people say it: 70.2B, 1.4T; compute as 5.76e23."""
    for factor, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M")):
        if factor <= value < 1e3 * factor:
            return f"{value / factor:.3g}{letter}"
    return f"{value:.3g}".replace("e+", "e")
