"""The pictures of a system of laws: data and caption of each figure."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from bayes_scaling.laws import LAWS
from bayes_scaling.laws.constants import published
from bayes_scaling.model.document import Observation
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.predict import interval
from bayes_scaling.posterior.residuals import innovations, loss_at_runs, measured_at_runs, usual_residual
from bayes_scaling.quantities import PF_DAY
from bayes_scaling.questions.derive import derive
from bayes_scaling.questions.effort import effort
from bayes_scaling.questions.frontier import frontier, largest
from bayes_scaling.questions.wording import axis_label, credible, number, percent, short
from bayes_scaling.report import system_figures as figures
from bayes_scaling.report.figures import as_svg
from bayes_scaling.report.pictures import BEYOND, Picture

_DRAWS: Final = 500
"""Draws of each chain that a picture is made of."""
_TABLE_6: Final = {"params": "N", "batch_tokens": "B", "steps_min": "S", "tokens": "D"}
"""Quantities with a power of compute in Table 6 of Kaplan et al. (2020), and their symbols there."""


def claims_figure(table: pd.DataFrame) -> Figure:
    """Draw ours over the published number for every claim that is a pure number."""
    one = table[(table["unit"] == "1") & table["median"].notna() & ~table["published"].str.startswith("0 to")]
    middle = one["published"].map(lambda text: np.mean([float(end) for end in text.split(" to ")])).to_numpy()
    median, lower, upper = (one[name].to_numpy() / middle for name in ("median", "lower", "upper"))
    return figures.claims_forest(one["claim"].tolist(), median, lower, upper, (one["verdict"] == "agrees").to_numpy())


def claims_picture(table: pd.DataFrame, prob: float) -> Picture:
    """Show ours over the published number for every claim."""
    figure = claims_figure(table)
    return Picture(
        as_svg(figure, "claims"),
        f"Each claim of Kaplan et al. (2020): our {percent(prob)} interval over the number, which was published without one. Exponents and "
        "ratios are shown; sizes, batches and losses depend on tokenizer, corpus and count of parameters and are in the table.",
    )


def observed_picture(fit: Fit, prob: float) -> Picture:
    """Show, for every observation, measured against predicted values."""
    thin, panels, rng = fit.thinned(_DRAWS), {}, np.random.default_rng(0)
    count, rows = 0, 0
    for observation in fit.model.observations:
        view = thin.view(observation.name)
        predicted = measured_at_runs(view, loss_at_runs(view), rng)
        median, lower, upper = (bound.values for bound in interval(predicted, prob))
        measured = fit.rows(observation.name)[observation.output].to_numpy(float)
        panels[f"{observation.name}: {observation.law}"] = (measured, median, lower, upper)
        count, rows = count + int(((lower <= measured) & (measured <= upper)).sum()), rows + len(measured)
    figure = figures.measured_against_predicted(panels, fit.loss_unit)
    return Picture(
        as_svg(figure, "observed"),
        f"{count} of {rows} rows lie inside their {percent(prob)} posterior predictive interval, shaded.",
    )


def residual_pictures(fit: Fit) -> dict[str, Picture]:
    """Show the standardised residuals of each observation against the inputs of its law."""
    drawn, thin = {}, fit.thinned(_DRAWS)
    for observation in fit.model.observations:
        rows = fit.rows(observation.name)
        panels = {axis_label(c): rows[c].to_numpy(float) for c in observation.columns.values()}
        z = innovations(thin.view(observation.name))[0].median(("chain", "draw")).values
        name = f"residuals_{observation.name}"
        caption = f"{observation.name}: standardised residuals, with a grey band expected to contain 90 % of them."
        if observation.correlation is not None:
            length = interval(fit.view(observation.name).posterior["length"], 0.9)
            median, lower, upper = (float(np.exp(bound)) for bound in length)
            caption += (
                " Each is conditional on the residual before on the same run; the serial correlation falls to 1/e over a factor "
                f"{median:.2g} ({credible(0.9, f'{lower:.2g}', f'{upper:.2g}')}) in {observation.correlation.along}."
            )
        figure = figures.residuals(panels, z, usual_residual(fit.view(observation.name), 0.9))
        drawn[name] = Picture(as_svg(figure, name), caption)
    return drawn


def batch_picture(fit: Fit, prob: float) -> Picture | None:
    """Show the critical batch as a function of the loss."""
    if not {"B_star", "alpha_B"} <= set(fit.learned):
        return None
    losses = [fit.rows(o.name)["loss"] for o in fit.model.observations if "loss" in fit.rows(o.name)]
    if not losses:
        return None
    ends = min(loss.min() for loss in losses), max(loss.max() for loss in losses)
    loss = xr.DataArray(np.geomspace(*ends, 40), dims="loss")
    band = _ribbon(loss.values, derive(fit, "critical_batch", loss=loss), prob)
    noise = None
    for observation in fit.model.observations:
        if observation.law == "noise_scale":
            rows, ratio = fit.rows(observation.name), float(fit.learned["noise_ratio"].median())
            noise = (rows["loss"].to_numpy(float), rows[observation.output].to_numpy(float) / ratio)
    theirs = LAWS["critical_batch"](loss.values, **published("kaplan2020 eq 1.4").values)
    figure = figures.batch_of_loss(band, noise, theirs, fit.loss_unit)
    lowest = derive(fit, "critical_batch", loss=ends[0])
    median, lower, upper = (float(bound) for bound in interval(lowest, prob))
    return Picture(
        as_svg(figure, "batch"),
        f"At the lowest loss measured, {ends[0]:.3g} {fit.loss_unit}, the critical batch is {short(median)} tokens "
        f"({credible(prob, short(lower), short(upper))}). Kaplan et al. report 1M to 2M tokens at the convergence of their largest "
        "models; their line is in nats per token of WebText2, another unit.",
    )


def frontier_picture(fit: Fit, prob: float) -> Picture:
    """Show compute-optimal size, data, batch and steps against compute."""
    edge = largest(fit, "compute_flops")
    top = edge or PF_DAY
    compute = np.geomspace(top / 1e3, top * 10**BEYOND, 31)
    path, table6 = frontier(fit.thinned(_DRAWS), compute=compute), published("kaplan2020 table 6").values
    panels = {}
    for name, label in (
        ("params", "N"),
        ("tokens", "D (tokens)"),
        ("batch_tokens", "B (tokens)"),
        ("steps_min", "S_min"),
        ("loss", f"loss ({fit.loss_unit})"),
    ):
        theirs = None
        if name in _TABLE_6:
            symbol = _TABLE_6[name]
            spent = path["compute_min_flops"].values / PF_DAY
            theirs = table6[f"{symbol}_e"] * spent ** table6[f"{symbol}_power"]
        panels[label] = (_ribbon(compute, path[name], prob), theirs)
    return Picture(
        as_svg(figures.frontier_panels(panels, edge), "frontier"),
        f"Compute-optimal training by L(N, S_min) and the critical batch, {percent(prob)} intervals. Compute is spent at the critical batch, "
        "twice C_min. Dotted line: the largest compute measured. Dashed: the powers of Table 6 of Kaplan et al., for another tokenizer "
        "and corpus.",
    )


def stopping_picture(table: pd.DataFrame, prob: float) -> Picture:
    """Show the step of the least loss of runs on limited data beside the bound."""
    bound = figures.Ribbon(table["bound"].to_numpy(), *(table[c].to_numpy() for c in ("bound", "lower", "upper")))
    after = int((table["above"] > 0.5).sum())
    return Picture(
        as_svg(figures.stopping_points(bound, table["stopped"].to_numpy()), "stopping"),
        f"{after} of {len(table)} runs on limited data had their least loss at or after the posterior median of the bound (5.7); "
        f"{percent(prob)} intervals of the bound.",
    )


def effort_picture(fit: Fit, prob: float) -> Picture | None:
    """Show the minimum steps and minimum tokens to a loss by size."""
    rows = pd.concat([fit.rows(o.name) for o in fit.model.observations if {"params", "loss"} <= set(fit.rows(o.name))])
    losses = np.quantile(rows["loss"], [0.7, 0.4, 0.1])
    params = xr.DataArray(np.geomspace(rows["params"].min(), rows["params"].max() * 10, 40), dims="params")
    thin, reached, steps, tokens = fit.thinned(_DRAWS), [], [], []
    for loss in losses:
        needed = effort(thin, loss=float(loss), params=params)
        sure = (needed["reaches"] > 0.95).values
        if not sure.any():
            continue
        reached.append(number(loss))
        at = params.values[sure]
        steps.append(_ribbon(at, needed["steps_min"].isel(params=sure), prob))
        tokens.append(_ribbon(at, needed["tokens_min"].isel(params=sure), prob))
    if not reached:
        return None
    return Picture(
        as_svg(figures.efforts(reached, steps, tokens), "effort"),
        "Minimum steps (batch far above the critical one) and minimum tokens (batch far below it) to three losses with unlimited data, "
        "for sizes that reach the loss with probability above 0.95. Larger models need fewer of both.",
    )


def shape_picture(fit: Fit, observation: Observation, prob: float) -> Picture:
    """Show the loss penalty of the aspect ratio over the best of each size."""
    return Picture(
        as_svg(shape_figure(fit, observation, prob), "shape"),
        f"Loss of runs over the predicted loss of the best shape of their size, other effects removed; the band is the {percent(prob)} "
        "interval of the population's parabola.",
    )


def shape_figure(fit: Fit, observation: Observation, prob: float) -> Figure:
    """Draw the loss penalty of the aspect ratio over the best of each size."""
    draws, rows = fit.view(observation.name).posterior, fit.rows(observation.name)
    ratio = np.geomspace(1 / 40, 40, 81)
    centre = draws["aspect_cost_population"]
    band = _ribbon(ratio, np.exp(centre * xr.DataArray(np.log(ratio) ** 2, dims="ratio")) - 1, prob)
    expected = loss_at_runs(fit.thinned(_DRAWS).view(observation.name)).median(("chain", "draw")).values
    sizes = rows["size"].astype(str)
    best, own_cost = (draws[name].median(("chain", "draw")) for name in ("aspect_best", "aspect_cost"))
    points = {}
    for size in dict.fromkeys(sizes):
        of = (sizes == size).to_numpy()
        away = rows["aspect"].to_numpy(float)[of] / float(best.sel(size=size))
        parabola = np.exp(float(own_cost.sel(size=size)) * np.log(away) ** 2)
        measured = rows[observation.output].to_numpy(float)[of]
        points[size] = (away, parabola * measured / expected[of] - 1)
    return figures.shape_parabola(band, points, 0.03)


def _ribbon(x: np.ndarray, draws: Any, prob: float) -> figures.Ribbon:
    return figures.Ribbon(x, *(bound.values for bound in interval(draws, prob)))
