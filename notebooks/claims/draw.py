"""The pictures of the page of claims."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

import bayes_scaling as bs
from bayes_scaling.laws import LAWS
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.predict import interval
from bayes_scaling.posterior.residuals import loss_at_runs
from bayes_scaling.report.figures import BLUE, CYCLE, INK, ORANGE, one_axes, plain_log_ticks, styled

IMAGES = Path(__file__).parent / "images"


def save(figure: Figure, name: str) -> str:
    """Write a picture beside the page, and return its place."""
    IMAGES.mkdir(exist_ok=True)
    figure.savefig(IMAGES / f"{name}.png", dpi=130, facecolor="white", metadata={"Software": None})
    return f"images/{name}.png"


@styled
def curves(fit: Fit, observation: str) -> Figure:
    """Draw every run's curve, and what the law expects of it with its 90 % interval."""
    figure, axes = one_axes(6.4, 3.8)
    rows = fit.rows(observation)
    _, lower, upper = (bound.values for bound in interval(loss_at_runs(fit.thinned(300).view(observation)), 0.9))
    for number, params in enumerate(sorted(rows["params"].unique())):
        colour = CYCLE[number % len(CYCLE)]
        for _, run in rows[rows["params"] == params].groupby("run_id"):
            order = run["steps"].to_numpy().argsort()
            at = run.index.to_numpy()[order]
            axes.fill_between(rows["steps"][at], lower[at], upper[at], color=colour, alpha=0.35, lw=0)
            axes.plot(rows["steps"][at], rows["loss"][at], ".", ms=2.5, color=colour)
        axes.plot([], [], color=colour, label=f"N = {params:.3g}")
    axes.set(xscale="log", yscale="log", xlabel="S (steps)", ylabel=f"loss ({fit.loss_unit})")
    plain_log_ticks(axes)
    axes.legend(ncols=2, fontsize=7)
    return figure


@styled
def ends(fit: Fit, observation: str) -> Figure:
    """Draw the ends of runs against compute, and what the law expects of each."""
    figure, axes = one_axes(6.4, 3.8)
    rows = fit.rows(observation)
    median, lower, upper = (bound.values for bound in interval(loss_at_runs(fit.thinned(300).view(observation)), 0.9))
    for number, params in enumerate(sorted(rows["params"].unique())):
        of = (rows["params"] == params).to_numpy()
        order = np.flatnonzero(of)[rows["compute_flops"][of].to_numpy().argsort()]
        at, colour = rows["compute_flops"].to_numpy()[order], CYCLE[number % len(CYCLE)]
        axes.fill_between(at, lower[order], upper[order], color=colour, alpha=0.35, lw=0)
        axes.plot(at, median[order], color=colour, lw=1, label=f"N = {params:.3g}")
        axes.plot(at, rows["loss"].to_numpy()[order], "o", ms=3.5, color=colour)
    axes.set(xscale="log", yscale="log", xlabel="C (FLOP)", ylabel=f"loss ({fit.loss_unit})")
    plain_log_ticks(axes)
    axes.legend()
    return figure


@styled
def steps_of_a_recipe(names: list[str], ours: np.ndarray, published: list[tuple[float, float, float] | None]) -> Figure:
    """Draw the exponent of the best size at each step from one recipe to another, ours over the published one."""
    figure, axes = one_axes(6.4, 3.2)
    place = np.arange(len(names))[::-1]
    reach = np.abs(ours[:, 1:].T - ours[:, 0])
    axes.errorbar(ours[:, 0], place + 0.12, xerr=reach, fmt="o", ms=4.5, lw=1.5, color=BLUE, label="ours, 90 %")
    for at, entry in zip(place, published, strict=True):
        if entry is not None:
            middle, low, high = entry
            axes.errorbar([middle], [at - 0.12], xerr=[[middle - low], [high - middle]], fmt="s", ms=4, lw=1.5, color=ORANGE)
    axes.errorbar([], [], xerr=[], fmt="s", ms=4, color=ORANGE, label="Porian et al. (2024)")
    axes.axvline(0.73, color=INK, lw=0.8, ls="--", alpha=0.7)
    axes.axvline(0.5, color=INK, lw=0.8, ls=":", alpha=0.7)
    axes.set_yticks(place, labels=names)
    axes.set(
        xlabel="exponent in compute; dashed Kaplan et al., dotted Hoffmann et al.",
        ylim=(-0.6, len(names) - 0.4),
    )
    axes.legend()
    return figure


@styled
def best_batch(fit: Fit) -> Figure:
    """Draw the best batch against the data: the band, the best measured batch of each model and length, and the published law."""
    figure, axes = one_axes(6.4, 3.6)
    rows = fit.rows("batches")
    data = xr.DataArray(np.geomspace(rows["tokens"].min(), rows["tokens"].max(), 30), dims="tokens")
    band = [
        bound.values
        for bound in interval(
            bs.derive(fit, "critical_batch_of_data", tokens=data, B_one=fit.posterior["B_one_population"]), 0.9
        )
    ]
    axes.fill_between(data, band[1], band[2], color=BLUE, alpha=0.3, lw=0, label="ours, 90 %")
    axes.plot(data, band[0], color=BLUE, lw=1.4)
    axes.plot(data, 0.58 * data**0.571, "--", color=INK, lw=1, label="Li et al. (2025)")
    for number, (params, of) in enumerate(rows.groupby("params")):
        best = of.loc[of.groupby("tokens")["loss"].idxmin()]
        axes.plot(
            best["tokens"],
            best["batch_tokens"],
            "o",
            ms=4.5,
            color=CYCLE[(number + 1) % len(CYCLE)],
            label=f"N = {params:.3g}",
        )
    axes.set(xscale="log", yscale="log", xlabel="D (tokens)", ylabel="best batch (tokens)")
    axes.legend()
    return figure


@styled
def worth(fit: Fit, published: float) -> Figure:
    """Draw what seeing data again is worth: effective over distinct tokens against epochs."""
    figure, axes = one_axes(6.4, 3.4)
    epochs = xr.DataArray(np.geomspace(1, 300, 60), dims="epochs")
    law = LAWS["effective_tokens"]
    band = [bound.values for bound in interval(law(epochs, 1.0 + 0 * epochs, R_D=fit.posterior["R_D"]), 0.9)]
    axes.fill_between(epochs, band[1], band[2], color=BLUE, alpha=0.3, lw=0, label="ours, 90 %")
    axes.plot(epochs, band[0], color=BLUE, lw=1.4)
    axes.plot(epochs, law(epochs, 1.0 + 0 * epochs, R_D=published), "--", color=INK, lw=1, label="Muennighoff et al. (2023)")
    axes.plot(epochs, epochs, color=INK, lw=0.8, alpha=0.5, label="as good as fresh")
    axes.set(xscale="log", yscale="log", xlabel="epochs", ylabel="fresh data it is worth, in epochs", ylim=(1, 100))
    axes.legend()
    return figure
