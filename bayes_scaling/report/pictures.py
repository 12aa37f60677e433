"""The figures of any fit: parameters, measured against predicted, residuals, priors, learning curves."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayes_scaling.errors import NotLearned
from bayes_scaling.laws.constants import comparable
from bayes_scaling.model import names
from bayes_scaling.posterior.fit import Fit, scalars
from bayes_scaling.posterior.predict import inside, interval, quantiles
from bayes_scaling.posterior.protocol import taking
from bayes_scaling.posterior.residuals import innovations, loss_at_runs, measured_at_runs, usual_residual
from bayes_scaling.report.figures import (
    BLUE,
    CYCLE,
    INK,
    ORANGE,
    by_group,
    captioned,
    cut,
    dots,
    grid,
    legend,
    log_ticks,
    loss_label,
    one_axes,
    ribbon,
    styled,
)
from bayes_scaling.wording import axis_label, credible, number, percent

BEYOND: Final = 2.0
"""Decades of compute (or of the law's own resource) the forecast goes beyond the runs."""
DRAWS: Final = 500
"""Draws of each chain that a picture is made of, where it does not need all."""
PUBLISHED_AS: Final = {"kaplan_nsb": "kaplan_ns", "noise_scale": "critical_batch", "steps_in_scan": "critical_batch"}
"""Laws whose constants are published under another."""
_FURTHEST: Final = 30.0
"""Factor from the posterior median beyond which a published constant is drawn at the edge."""
_PARAMETERS: Final = 40
"""Parameters that are drawn, at the most."""
_CURVES: Final = 8
"""Runs whose learning curves are drawn, at the most."""


def published_of(fit: Fit) -> list[Any]:
    """Return the records of published constants of the laws of a fit."""
    laws = dict.fromkeys(PUBLISHED_AS.get(o.law, o.law) for o in fit.model.observations)
    return [record for law in laws for record in comparable(law)]


@styled
@taking("fit")
def parameters(fit: Fit, *, prob: float = 0.9, ax: Axes | None = None) -> Figure:
    """Draw the intervals of the law's parameters over their medians, their priors, and what is published.

    Parameters
    ----------
    fit : Fit
        The fit.
    prob : float
        Probability of the intervals.
    ax : Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.figure.Figure
        Jupyter shows it; ``savefig`` keeps it.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> parameters(example_fit()).axes[0].get_xscale()
    'log'
    """
    draws, prior, kinds = dict(scalars(fit.posterior)), dict(scalars(fit.prior)), fit.model.kinds
    shown = [name for name in draws if name.partition("[")[0] in kinds and not names.is_log(name)]
    hidden, shown = len(shown) - _PARAMETERS, shown[:_PARAMETERS]
    records = published_of(fit)
    figure, axes = one_axes(0.27 * len(shown) + 1.0, ax)
    axes.axvline(1.0, color=INK, lw=0.8, alpha=0.4)
    labels = []
    for place, name in enumerate(shown):
        median, lower, upper = np.quantile(draws[name], quantiles(prob))
        low, high = np.quantile(prior[name], quantiles(prob)[1:]) / median if name in prior else (1.0, 1.0)
        ends = np.clip([low, high], 1 / _FURTHEST, _FURTHEST)
        axes.plot(ends, [place, place], color=INK, alpha=0.2, lw=5, solid_capstyle="butt", label="" if place else "prior")
        label = "" if place else "posterior"
        dots(axes, ([1.0], [lower / median], [upper / median]), [place], label, color=BLUE)
        theirs = [record.constants[base].value for record in records if (base := name.partition("[")[0]) in record.constants]
        at = np.clip(np.array(theirs) / median, 1 / _FURTHEST, _FURTHEST)
        axes.plot(at, [place] * len(at), "|", color=ORANGE, ms=9, mew=2)
        labels.append(f"{cut(name, 24)}  {number(median)}")
    if records:
        axes.plot([], [], "|", color=ORANGE, ms=9, mew=2, label="published")
    axes.set(xscale="log", xlabel="over the posterior median", ylim=(len(shown) - 0.4, -0.6))
    axes.set_yticks(range(len(shown)), labels=labels)
    axes.tick_params(axis="y", length=0)
    log_ticks(axes, "x")
    legend(axes, 3)
    return captioned(
        figure,
        f"Each parameter of the law over its posterior median, which stands beside its name: {percent(prob)} intervals of posterior and "
        f"prior{', and published constants, by their records in the table below' if records else ''}. What is further than a factor "
        f"{_FURTHEST:g} off is drawn at the edge.{f' {hidden} more are in the table.' if hidden > 0 else ''}",
    )


@styled
@taking("fit")
def predictive_check(fit: Fit, *, prob: float = 0.9, ax: Axes | None = None) -> Figure:
    """Draw what every row measured against its posterior predictive interval, a panel an observation.

    Parameters
    ----------
    fit : Fit
        The fit.
    prob : float
        Probability of the intervals.
    ax : Axes, optional
        Where to draw, for a fit of one observation; a new figure by default.

    Returns
    -------
    matplotlib.figure.Figure
        Jupyter shows it; ``savefig`` keeps it.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> predictive_check(example_fit()).axes[0].get_ylabel()
    'measured loss (nats/token)'
    """
    figure, panels = grid(len(fit.views), 2 if len(fit.views) > 1 else 1, 2.5 if len(fit.views) > 1 else 3.3, ax)
    count, total, rng = 0, 0, np.random.default_rng(0)
    for axes, (name, view) in zip(panels, fit.views.items(), strict=True):
        thin = view.thinned(DRAWS)
        predicted = measured_at_runs(thin, loss_at_runs(thin), rng)
        median, lower, upper = (bound.values for bound in interval(predicted, prob))
        output = view.model.only.output
        measured = view.table[output].to_numpy(float)
        for colour, (group, rows) in zip(cycle(CYCLE), by_group(view).items()):
            dots(axes, (median[rows], lower[rows], upper[rows]), measured[rows], group, color=colour)
        ends = [min(measured.min(), lower.min()), max(measured.max(), upper.max())]
        axes.plot(ends, ends, color=INK, lw=0.8, alpha=0.6)
        quantity = loss_label(fit) if output == "loss" else axis_label(output)
        title = "" if fit.model.is_one else cut(f"{name}: {view.model.only.law}", 28)
        axes.set(xscale="log", yscale="log", title=title, xlabel=f"predicted {quantity}", ylabel=f"measured {quantity}")
        log_ticks(axes, "x", most=5)
        log_ticks(axes, "y")
        _legend(axes, view)
        count, total = count + int(inside(measured, lower, upper).sum()), total + len(measured)
    return captioned(
        figure, f"{count} of {total} rows lie inside their {percent(prob)} posterior predictive interval, drawn as a bar."
    )


@taking("fit")
def residuals(fit: Fit, *, ax: Axes | None = None) -> Figure:
    """Draw the residuals of the log loss, in per cent, against every quantity.

    Parameters
    ----------
    fit : Fit
        The fit, of one observation.
    ax : Axes, optional
        Where to draw, for a law of one quantity; a new figure by default.

    Returns
    -------
    matplotlib.figure.Figure
        Jupyter shows it; ``savefig`` keeps it.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> len(residuals(example_fit()).axes)
    3
    """
    thin = fit.thinned(DRAWS)
    residual = np.log(fit.table["loss"].to_numpy(float)) - np.log(loss_at_runs(thin).median(("chain", "draw")).values)
    columns = dict.fromkeys(("params", "tokens", "compute_flops", *fit.model.only.columns.values()))
    sigma = 100 * float(fit.posterior["sigma"].median())
    figure = _residuals(fit, [c for c in columns if c in fit.table], 100 * residual, sigma, "residual (%)", ax)
    return captioned(
        figure, f"Grey band: plus and minus sigma, the scale of the residual noise at the typical loss, {sigma:.2g} %."
    )


def standardised_residuals(fit: Fit, name: str, *, ax: Axes | None = None) -> Figure:
    """Draw the standardised residuals of one observation, given the residual before on the same run, against its inputs."""
    view = fit.view(name)
    z = innovations(fit.thinned(DRAWS).view(name))[0].median(("chain", "draw")).values
    columns, correlation = list(view.model.only.columns.values()), view.model.only.correlation
    figure = _residuals(view, columns, z, usual_residual(view, 0.9), "standardised residual", ax)
    caption = f"{name}: standardised residuals, with a grey band expected to contain 90 % of them."
    if correlation is not None:
        median, lower, upper = (float(np.exp(bound)) for bound in interval(view.posterior["length"], 0.9))
        caption += (
            " Each is conditional on the residual before on the same run; the serial correlation falls to 1/e over a factor "
            f"{number(median, 2)} ({credible(0.9, number(lower, 2), number(upper, 2))}) in {correlation.along}."
        )
    return captioned(figure, caption)


@styled
def _residuals(fit: Fit, columns: Sequence[str], residual: np.ndarray, usual: float, label: str, ax: Axes | None) -> Figure:
    figure, panels = grid(len(columns), 2 if len(columns) != 3 else 3, 2.0, ax, sharey=True)
    for axes, column in zip(panels, columns, strict=True):
        axes.axhspan(-usual, usual, color=INK, alpha=0.1, lw=0)
        axes.axhline(0, color=INK, lw=0.8, alpha=0.6)
        for colour, (group, rows) in zip(cycle(CYCLE), by_group(fit).items()):
            x = fit.table[column].to_numpy(float)[rows]
            axes.plot(x, residual[rows], "o", ms=3, color=colour, alpha=0.7, label=group)
        axes.set(xscale="log", xlabel=axis_label(column))
        log_ticks(axes, "x", most=3 if len(columns) > 2 else 4)
    panels[0].set_ylabel(label)
    _legend(panels[0], fit)
    return figure


def _legend(axes: Axes, fit: Fit) -> None:
    if len(by_group(fit)) > 1:
        legend(axes)


@styled
@taking("fit")
def priors(fit: Fit, *, ax: Axes | None = None) -> Figure:
    """Draw prior and posterior density of each parameter that follows from no other.

    Parameters
    ----------
    fit : Fit
        The fit.
    ax : Axes, optional
        Where to draw, where there is one parameter; a new figure by default.

    Returns
    -------
    matplotlib.figure.Figure
        Jupyter shows it; ``savefig`` keeps it.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> priors(example_fit()).axes[0].get_title(loc="left")
    'A_at_reference'
    """
    prior, posterior = dict(scalars(fit.prior)), dict(scalars(fit.posterior))
    # A published coefficient follows from its value at the reference.
    shown = [name for name in posterior if "[" not in name and f"{name}_at_reference" not in posterior]
    figure, panels = grid(len(shown), 2, 1.15, ax)
    for axes, name in zip(panels, shown, strict=True):
        for draws, colour in ((prior[name], "#888888"), (posterior[name], BLUE)):
            middle = np.log(draws[(draws >= np.quantile(draws, 0.005)) & (draws <= np.quantile(draws, 0.995))])
            heights, edges = np.histogram(middle, bins=30)
            axes.stairs(heights / heights.max(), np.exp(edges), fill=True, color=colour, alpha=0.5, lw=0)
        axes.set(xscale="log", yticks=[], title=cut(name, 28))
        axes.spines["left"].set_visible(False)
        log_ticks(axes, "x", most=4)
    return captioned(figure, "Grey: prior. Blue: posterior. Densities are scaled to equal height; the axes are logarithmic.")


@styled
@taking("fit")
def learning_curves(fit: Fit, observation: str | None = None, *, prob: float = 0.9, ax: Axes | None = None) -> Figure:
    """Draw the losses along runs that have several rows, with the interval of the mean there.

    Parameters
    ----------
    fit : Fit
        The fit.
    observation : str, optional
        Name of the observation, where the model has several; by default the first that has learning curves.
    prob : float
        Probability of the interval.
    ax : Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.figure.Figure
        Jupyter shows it; ``savefig`` keeps it.

    Raises
    ------
    InvalidRequest
        If no run has several rows.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_system
    >>> learning_curves(example_system()).axes[0].get_xlabel()
    'S (steps)'
    """
    found = [name for name in curves_of(fit) if observation in (None, name)]
    if not found:
        raise NotLearned("No run of this fit has several rows: there is no learning curve to draw.")
    view = fit.views[found[0]]
    correlation, table = view.model.only.correlation, view.table
    assert correlation is not None
    expected = interval(loss_at_runs(view.thinned(DRAWS)), prob)
    runs = [rows for rows in table.groupby(correlation.by, sort=False).indices.values() if len(rows) > 1]
    chosen = [runs[number] for number in np.unique(np.linspace(0, len(runs) - 1, min(len(runs), _CURVES)).astype(int))]
    figure, axes = one_axes(3.4, ax)
    for colour, rows in zip(cycle(CYCLE), chosen):
        ordered = rows[np.argsort(table[correlation.along].to_numpy(float)[rows])]
        x = table[correlation.along].to_numpy(float)[ordered]
        ribbon(axes, x, [bound.values[ordered] for bound in expected], color=colour)
        label = str(table[correlation.by].iloc[ordered[0]])
        axes.plot(
            x, table[view.model.only.output].to_numpy(float)[ordered], "o", ms=2.5, color=colour, alpha=0.7, label=label
        )
    axes.set(xscale="log", yscale="log", xlabel=axis_label(correlation.along), ylabel=loss_label(fit))
    log_ticks(axes)
    legend(axes)
    some = f"{len(chosen)} of {len(runs)} runs" if len(chosen) < len(runs) else f"{len(runs)} runs"
    return captioned(figure, f"{some}: what was measured, and the {percent(prob)} credible interval of the mean loss there.")


def curves_of(fit: Fit) -> list[str]:
    """Return the observations of a loss that have several rows of some run."""
    return [
        name for name, view in fit.views.items() if view.model.only.output == "loss" and view.layout.only.serial is not None
    ]
