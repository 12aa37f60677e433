"""The report of a fit: what was fitted, convergence and adequacy, what follows, and how to reproduce it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bayes_scaling.errors import ConflictingOptions, InvalidInputs, InvalidRequest
from bayes_scaling.evaluation.certificate import Certificate
from bayes_scaling.evaluation.outcome import Backtest
from bayes_scaling.posterior.checks import check, prior_predictive
from bayes_scaling.posterior.extrapolation import reach_sentence
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.predict import REACHES, interval, quantiles
from bayes_scaling.posterior.protocol import taking
from bayes_scaling.posterior.rows import predict_table
from bayes_scaling.posterior.suspects import suspects_sentence
from bayes_scaling.posterior.variance import included
from bayes_scaling.quantities import BY_COLUMN
from bayes_scaling.questions.allocation import allocate, budget_table
from bayes_scaling.questions.claims import claims, verdict_counts
from bayes_scaling.questions.derive import derive
from bayes_scaling.questions.early_stopping import early_stopping
from bayes_scaling.questions.frontier import frontier, largest
from bayes_scaling.questions.guardrails import FURTHEST, caveats, refuse_unless, too_far
from bayes_scaling.questions.heterogeneity import agreement
from bayes_scaling.questions.learning_curve import NEEDS
from bayes_scaling.questions.sensitivity import Sensitivity
from bayes_scaling.questions.surface import Surface, splits_a_budget
from bayes_scaling.report import pictures, surface_pictures, system_pictures, tables
from bayes_scaling.report.interactive import Interactive
from bayes_scaling.report.page import Folded, Sections, Text, conventions, write_page
from bayes_scaling.report.trials import backtest_picture
from bayes_scaling.wording import amount, credible, flop, percent, short, with_unit

_FOREST = 5
"""Fewest claims that are drawn as a picture."""
_OF_SHAPE = {"aspect_best", "aspect_cost"}
_MANY_ROWS = 2000
"""Rows from which on the report leaves their sensitivity to the question, which then takes seconds."""
_SHAPED = ("shaped_n", "shaped_with_heads")
_CONTRACTION = (
    "Posterior contraction is 1 \N{MINUS SIGN} (posterior sd / prior sd)² on the log scale: near one the data inform the parameter, near "
    "zero only the prior does."
)
_PUBLISHED = (
    "Published constants depend on tokenizer, corpus and count of parameters: exponents can be compared with ours, offsets and "
    "coefficients only with care."
)


@taking("fit")
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
    anyway: bool = False,
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
    anyway : bool
        Whether to answer for budgets however far from the runs.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InvalidRequest
        If a probability, a budget or a group is invalid, a budget lies too far from the runs, or a system was given one.
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
    model = fit.model
    one = model.is_one and model.only.table == "runs"
    asked: dict[str, Any] = {
        "budgets": budgets,
        "group": group,
        "held_out": held_out,
        "backtest": backtest,
        "certificate": certificate,
    }
    asked = {name: value for name, value in asked.items() if value is not None}
    if asked and not one:
        raise ConflictingOptions(
            f"The report of a system of laws takes no {next(iter(asked))}: write the report of one observation, fit.view(NAME)."
        )
    refuse_unless(anyway, too_far(fit, [{"compute_flops": list(budgets)}] if budgets else [], FURTHEST, "A budget"))
    checks, published, factors = check(fit), tables.published_table(fit), agreement(fit, prob=prob)
    statements = _if_learned(claims, fit, prob)
    answers, forecast = _forecast(fit, prob, **asked) if one else ([], {})
    of_curves = pictures.curves_of(fit)
    sections: Sections = {
        **forecast,
        "Parameters": [
            pictures.parameters(fit, prob=prob),
            tables.parameter_table(fit, prob),
            Text(_CONTRACTION, "soft"),
            tables.heterogeneity_table(factors, prob) if len(factors) else None,
            *((published, Text(_PUBLISHED, "soft")) if published else ()),
        ],
        "Published claims": []
        if statements is None
        else [
            system_pictures.claims_picture(statements, prob) if len(statements) >= _FOREST else None,
            Folded(
                "Every claim, with what was published and what the constants give", [tables.claims_table(statements, prob)]
            ),
        ],
        **_implied(fit, prob),
        "Learning curves": [pictures.learning_curves(fit, name, prob=prob) for name in of_curves],
        "Measured against predicted": [
            pictures.predictive_check(fit, prob=prob),
            pictures.residuals(fit) if one else None,
            *(pictures.standardised_residuals(fit, name) for name in fit.views if not one),
        ],
        "Model and data": _setting(fit, group or {}) if one else [fit.model.title, tables.observation_table(fit)],
        "Prior against posterior": [
            _prior_predictive(fit, prob) if one else None,
            pictures.priors(fit),
            Folded("Every prior, with its reason", [tables.prior_table(fit)]),
        ],
        "How to reproduce": [
            tables.fact_table(fit),
            Folded("The model document, model.toml of the command", [Text(model.to_toml(), "document")]),
        ],
    }
    suspicion = suspects_sentence(fit)
    return write_page(
        path,
        title=_title(fit),
        verdict=_verdict(fit),
        converged=fit.converged,
        adequate=fit.adequate,
        answers=[*_agreement(fit, statements, factors, prob), *answers],
        conventions=conventions(fit, prob),
        sections=sections,
        checks=[
            Text(suspicion, "warning") if suspicion else None,
            *(Text(f"{c.check}: {c.advice}.", "warning") for c in checks.itertuples() if not c.passed),
            tables.checks_table(checks) if fit.converged else Folded("Every check", [tables.checks_table(checks)]),
        ],
        interactive=Interactive.of(fit, prob, group or {}),
    )


def _title(fit: Fit) -> str:
    """Return the title: the law, or how many there are, and the rows."""
    rows = sum(len(fit.rows(name)) for name in fit.views)
    if fit.model.is_one:
        return f"Scaling-law report: {fit.model.only.law}, {rows} {'runs' if fit.model.only.table == 'runs' else 'rows'}"
    return f"Scaling-law report: {len(fit.views)} laws, {rows} rows"


def _verdict(fit: Fit) -> str:
    """Return whether to rely on the posterior, and on the model, in one line."""
    return fit.verdict if fit.adequate or not fit.checks else f"{fit.verdict} {fit.adequacy}"


def _setting(fit: Fit, group: Mapping[str, str]) -> list[str | Text]:
    model, law, runs = fit.model, fit.model.only.the_law, fit.table
    spans = [
        f"{BY_COLUMN[c].symbol} from {amount(runs[c].min(), c)} to {with_unit(runs[c].max(), c)}"
        for c in REACHES
        if c in runs
    ]
    lines: list[str | Text] = [f"{model.title}."] if model.title else []
    sentence = f"Law {law.name} ({law.source}, {law.equation}), fitted to {len(runs)} runs: {'; '.join(spans)}."
    if model.groupings:
        whose = ", ".join(f"{k} {v}" for k, v in group.items()) or f"a new {' and '.join(model.group_columns)}"
        sentence += f" Parameters vary by {', '.join(model.groupings)} ({', '.join(fit.groups.names)})."
        sentence += f" Forecast and budget are for {whose}."
    return [*lines, sentence, Text(f"L({', '.join(law.inputs)}) = {law.formula}", "code")]


def _if_learned(ask: Callable[..., pd.DataFrame], fit: Fit, prob: float) -> pd.DataFrame | None:
    """Return the answer of a fit, or nothing where it lacks a parameter that the answer needs."""
    try:
        return ask(fit, prob=prob)
    except InvalidRequest:
        return None


def _agreement(fit: Fit, statements: pd.DataFrame | None, factors: pd.DataFrame, prob: float) -> list[str]:
    """Return how far published statements agree with the posterior, and observations with each other."""
    sentences = []
    if statements is not None and len(statements) > 1:
        agree, disagree, open_ = verdict_counts(statements)
        sentences.append(
            f"Of {len(statements)} statements of Kaplan et al. (2020), {agree} agree with the {percent(prob)} interval of this posterior, "
            f"{disagree} disagree, and for {open_} it cannot tell; they were published without intervals, for another tokenizer, corpus and "
            "scale."
        )
    for row in factors.itertuples():
        if not row.agree:
            kind = fit.model.kinds[row.parameter]
            name = f"{row.parameter} ({kind.meaning})" if kind.moves else row.parameter
            sentences.append(
                f"Heterogeneity: {name} of {row.second} is {row.median:.3g} times that of {row.first} "
                f"({credible(prob, f'{row.lower:.3g}', f'{row.upper:.3g}')})."
            )
    return sentences


def _implied(fit: Fit, prob: float) -> Sections:
    """Return what the laws of Kaplan et al. (2020) imply, as far as the fit has learned their parameters."""
    sections: dict[str, list[Any]] = {"Critical batch": [system_pictures.batch_picture(fit, prob)]}
    if set(NEEDS) <= set(fit.learned):
        sections["Compute-optimal training"] = [
            system_pictures.frontier_picture(fit, prob),
            tables.efficient_table(fit, prob),
            _two_laws(fit, prob),
        ]
        sections["Steps and tokens to a loss"] = [system_pictures.effort_picture(fit, prob)]
    stopped = _if_learned(early_stopping, fit, prob)
    if stopped is not None:
        sections["Early stopping on limited data"] = [
            system_pictures.stopping_picture(stopped, prob),
            tables.stopping_table(stopped, prob),
        ]
    varying = {name for name, parameter in fit.model.parameters.items() if parameter.varies_by == ("size",)}
    sections["Shape"] = [
        system_pictures.shape_picture(fit, observation, prob)
        for observation in fit.model.observations
        if observation.law in _SHAPED and varying >= _OF_SHAPE
    ]
    return sections


def _two_laws(fit: Fit, prob: float) -> str:
    """Compare the best size at the largest compute by L(N, S_min) and by L(N, D)."""
    compute = largest(fit, "compute_flops")
    if not compute or not {"D_c", "alpha_D"} <= set(fit.learned):
        return ""
    steps, data = frontier(fit, compute=compute)["law_params"], derive(fit, "one_pass_params", compute_flops=compute)
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


def _forecast(
    fit: Fit,
    prob: float,
    *,
    budgets: Sequence[float] | None = None,
    group: Mapping[str, str] | None = None,
    held_out: pd.DataFrame | None = None,
    backtest: Backtest | None = None,
    certificate: Certificate | None = None,
) -> tuple[list[str], Sections]:
    """Return what a law of losses forecasts and how far to trust it: answers, and sections of the page."""
    group = dict(group or {})
    for what, trial in (("backtest", backtest), ("certificate", certificate)):
        if trial is not None:
            _require_same(fit, trial.facts, what)
    asked, splits = list(budgets or ()), splits_a_budget(fit)
    allocation = budget_table(allocate(fit, compute=asked or _round_budgets(fit), group=group), prob) if splits else None
    forecasts, column = surface_pictures.forecast_path(fit, prob, group)
    predicted = None if held_out is None else predict_table(fit, held_out, prob=prob)
    measured = [] if predicted is None else tables.held_out_table(predicted, prob)
    sections: dict[str, list[Any]] = {
        "Forecast": [
            surface_pictures.forecast_figure(fit, prob, forecasts, column, predicted, asked if splits else ()),
            included(fit),
            certificate.sentence if certificate is not None else None,
            tables.forecast_table(forecasts, column, prob),
            *measured,
        ],
    }
    if allocation is None:
        answers = [_beyond_sentence(forecasts, column, prob, fit.loss_unit)]
    else:
        split = [reason for reason in caveats(fit, trade_off=True) if reason != fit.verdict]
        answers = [*split, _budget_sentence(allocation.iloc[-1], prob, fit.loss_unit)]
        sections["Budget"] = [
            tables.allocation_table(allocation, prob),
            Text(_flatness(fit, allocation.iloc[-1], group), "soft"),
            surface_pictures.regret(fit, group=group, budgets=asked),
            surface_pictures.isoflop(fit, prob=prob, group=group),
            surface_pictures.envelope(fit, prob=prob, group=group),
            surface_pictures.surface(fit, prob=prob, group=group, budgets=asked),
        ]
    if len(fit.table) <= _MANY_ROWS:
        rests_on = Sensitivity(group=group, override=True).answer(fit)
        sections["Sensitivity"] = [rests_on.sentence.partition("\n")[0], tables.sensitivity_table(rests_on)]
    if backtest is not None:
        sections["Backtest"] = [backtest.sentence, backtest_picture(backtest), tables.backtest_table(backtest)]
    return [*answers, *measured[1:]], sections


def _round_budgets(fit: Fit) -> list[float]:
    """Return budgets every half decade, up to two decades beyond the runs."""
    top = np.floor(2 * (np.log10(surface_pictures.spent(fit).max()) + pictures.BEYOND)) / 2
    return [float(f"{10**power:.3g}") for power in np.arange(top - 2.5, top + 0.1, 0.5)]


def _require_same(fit: Fit, facts: Mapping[str, Any], what: str) -> None:
    """Refuse a backtest or a certificate of another model or other runs."""
    if facts["model_digest"] != fit.model.digest:
        raise InvalidInputs(
            f"The {what} belongs to {facts['model']!r} on {facts['runs']}, the fit to {fit.model.title or fit.model.only.law!r}: give one of "
            f"the fit's own model."
        )
    if facts["runs_digest"] != fit.facts.get("runs_digest", facts["runs_digest"]):
        raise InvalidInputs(
            f"The {what} belongs to other runs ({facts['runs']}) than the fit ({fit.facts['runs']}): the tables differ. Give one "
            f"of the same rows."
        )


def _prior_predictive(fit: Fit, prob: float) -> str:
    """Return the prior predictive interval beside the measured losses."""
    low, high = np.nanquantile(prior_predictive(fit).values, quantiles(prob)[1:])
    loss = fit.table["loss"]
    return (
        f"Prior predictive {percent(prob)} interval: {float(low):.3g} to {float(high):.3g} {fit.loss_unit}; the runs measured "
        f"{loss.min():.3g} to {loss.max():.3g}."
    )


def _beyond_sentence(forecasts: pd.DataFrame, column: str, prob: float, unit: str) -> str:
    """Return the forecast a decade beyond the runs."""
    row = forecasts.iloc[int((forecasts[f"reach_{column}"] - 1.0).abs().argmin())]
    return (
        f"At {with_unit(row[column], column)}, {row[f'reach_{column}']:.2f} decades beyond the runs: loss of a "
        f"new run {row['median']:.3f} {unit} ({credible(prob, f'{row.lower:.3f}', f'{row.upper:.3f}')})."
    )


def _budget_sentence(row: pd.Series, prob: float, unit: str) -> str:
    reaches = {c: row[f"reach_{c}"] for c in REACHES if f"reach_{c}" in row}
    return (
        f"At {flop(row.compute_flops)}: {short(row.params)} parameters ({credible(prob, short(row.params_lower), short(row.params_upper))} "
        f"of the optimum) on {short(row.tokens)} tokens; loss of a new run {row['median']:.3f} {unit} ({row.lower:.3f} to {row.upper:.3f}); "
        f"{reach_sentence(reaches)}."
    )


def _flatness(fit: Fit, row: pd.Series, group: Mapping[str, str]) -> str:
    """Return what the choice minimises, and how far the mean loss rises at either end of the interval of the optimum."""
    sizes = np.log([row.params, row.params_lower, row.params_upper])[:, None]
    choice, low, high = Surface.asked(fit, group=group).along(np.array([[row.compute_flops]]), sizes).mean(axis=-1)
    return (
        "The choice minimises the posterior mean of the loss; the interval is the credible interval of the optimum. "
        f"At {flop(row.compute_flops)}, the mean loss rises by {100 * (low / choice - 1):.2g} % at the lower end of the interval and by "
        f"{100 * (high / choice - 1):.2g} % at the upper end."
    )
