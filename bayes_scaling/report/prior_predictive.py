"""What the priors of a model predict for the runs, before the runs inform them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from bayes_scaling.model.document import Model, read_model
from bayes_scaling.model.layout import Layout
from bayes_scaling.model.prior_draws import draw_prior
from bayes_scaling.model.tables import tables_of
from bayes_scaling.posterior.checks import prior_predictive
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.predict import inside, quantiles
from bayes_scaling.report.figures import BLUE, INK, grid, legend, log_ticks, styled
from bayes_scaling.runs.catalog import runs_from
from bayes_scaling.runs.table import RunTable
from bayes_scaling.wording import axis_label, percent

_DRAWS = 1000


@styled
def plot_prior_predictive(
    model: str | Model,
    runs: RunTable | pd.DataFrame | str | Path,
    *,
    curves: RunTable | pd.DataFrame | str | Path | None = None,
    prob: float = 0.9,
    seed: int = 0,
) -> Figure:
    """Draw what the priors predict for each run, with what was measured; nothing is sampled from the posterior.

    Parameters
    ----------
    model : str or Model
        The model, or the name of a shipped one.
    runs : RunTable, DataFrame, path or str
        The runs.
    curves : RunTable, DataFrame, path or str, optional
        Points along the runs, where an observation is about them.
    prob : float
        Probability of the wider interval; the narrower one is of 50 %.
    seed : int
        Of the draws.

    Returns
    -------
    matplotlib.figure.Figure
        A panel an observation.

    Examples
    --------
    >>> from bayes_scaling import load_runs
    >>> figure = plot_prior_predictive("kappa", load_runs("ladder").where("series == 'size'"))
    >>> figure.axes[0].get_title(loc="left")
    'Prior predictive 90 % interval of each run: 10 of 10 measured inside'
    """
    read = read_model(model)
    table = runs_from(runs, needs=read.needs)
    layout = Layout.of(read, tables_of(read, table, curves))
    draws = draw_prior(layout, np.random.default_rng(seed), draws=_DRAWS)
    groups = {"posterior": draws, "prior": draws, "sample_stats": xr.Dataset()}
    fit = Fit.of(layout, groups, {"runs": table.name, "loss_unit": table.card.loss_unit, "seed": seed})
    figure, panels = grid(len(fit.views), 2, 2.7 if len(fit.views) > 1 else 3.4)
    for axes, (name, view) in zip(panels, fit.views.items(), strict=True):
        output, rows = view.model.only.output, view.table
        column = next(c for c in ("compute_flops", *view.model.only.columns.values()) if c in rows)
        x, measured = rows[column].to_numpy(float), rows[output].to_numpy(float)
        predicted = prior_predictive(view).values.reshape(-1, len(rows))
        median, lower, upper = np.nanquantile(predicted, quantiles(prob), axis=0)
        axes.vlines(x, lower, upper, color=BLUE, alpha=0.35, lw=3, label=f"{percent(prob)} interval")
        axes.vlines(x, *np.nanquantile(predicted, quantiles(0.5)[1:], axis=0), color=BLUE, lw=3, label="50 % interval")
        axes.plot(x, median, "_", color=INK, ms=6, label="median")
        axes.plot(x, measured, "o", color=INK, ms=3, label="measured")
        quantity = f"loss ({fit.loss_unit})" if output == "loss" else axis_label(output)
        axes.set(xscale="log", yscale="log", xlabel=axis_label(column), ylabel=quantity)
        count = int(inside(measured, lower, upper).sum())
        said = f"{count} of {len(rows)} measured inside"
        title = f"Prior predictive {percent(prob)} interval of each run: {said}" if fit.model.is_one else f"{name}: {said}"
        axes.set_title(title)
        log_ticks(axes)
    legend(panels[0])
    return figure
