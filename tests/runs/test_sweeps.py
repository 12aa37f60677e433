"""The best of a sweep: without selection bias, with intervals that cover, and refused where its noise is not known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.stats import norm

from bayes_scaling.errors import InvalidRequest, InvalidRuns, MissingColumn, TooFewRuns
from bayes_scaling.inference import fit
from bayes_scaling.laws import LAWS
from bayes_scaling.runs.sweeps import best_of, least_of_normals
from bayes_scaling.runs.table import read_runs
from tests.conftest import HOFFMANN_LIKE

NOISE = 0.003


def swept(seed, *, cells=12, rates=5, cost=0.005, off=0.5, words=False):
    """Cells swept at rates a factor two apart, and the log loss of each at its best rate, which lies off the middle."""
    rng = np.random.default_rng(seed)
    truth, middle = (
        np.log(3.0) + 0.2 * rng.standard_normal(cells),
        rng.uniform(-off, off, cells) * (rates - 1) * np.log(2) / 2,
    )
    steps = np.tile((np.arange(rates) - (rates - 1) / 2) * np.log(2), cells)
    cell = np.repeat(np.arange(cells), rates)
    lost = np.tile([0.0, 0.3, 0.5, 1.0, 2.0][:rates], cells) if words else (steps - middle[cell]) ** 2
    loss = np.exp(truth[cell] + cost * lost + NOISE * rng.standard_normal(len(cell)))
    table = pd.DataFrame({"params": 1e7 * 1.3**cell, "tokens": 1e10, "lr": 1e-3 * np.exp(steps), "loss": loss})
    return read_runs(table.assign(optimizer=[f"o{i % rates}" for i in range(len(table))]) if words else table), truth


def measured(count, **how):
    """Errors of the corrected log losses over their standard errors, and of the least losses over the noise."""
    standardised, naive = [], []
    for seed in range(count):
        runs, truth = swept(seed, **how)
        if how.get("words"):
            runs = read_runs(runs.table.drop(columns="lr"))
        kept = best_of(runs, ["optimizer" if how.get("words") else "lr"]).runs.table
        standardised.append((np.log(kept["loss"]) - truth) / (kept["loss_se"] / kept["loss"]))
        naive.append((np.log(kept["loss_measured"]) - truth) / NOISE)
    return np.array(standardised), np.array(naive)


@pytest.mark.parametrize("how", [{}, {"cost": 0.02, "off": 1.2}, {"cells": 4}, {"words": True, "cost": 0.003}])
def test_corrected_minimum_has_no_bias_and_its_intervals_cover(how):
    standardised, naive = measured(100, **how)
    covered = float((np.abs(standardised) < norm.ppf(0.95)).mean())
    error = standardised.mean(axis=1).std() / 10
    print(
        f"{how}: bias {standardised.mean():+.3f} (se {error:.3f}) standard errors, the least loss {naive.mean():+.2f} noise; {covered:.3f}"
    )
    assert abs(standardised.mean()) < 3 * error
    assert 0.88 < covered < 0.92
    if how.get("off", 0.5) < 1:
        assert abs(naive.mean()) > 0.3  # what would be left without correction


def test_noise_does_not_have_to_be_stated_and_is_found():
    assert best_of(swept(0, cells=40)[0], ["lr"]).noise == pytest.approx(NOISE, rel=0.2)


def test_a_flat_sweep_is_corrected_as_the_least_of_normals():
    runs, truth = swept(3, cells=60, cost=0.0)
    found = best_of(runs, ["lr"])
    off = np.log(found.runs.table["loss"]) - truth
    assert "without selection bias" in found.sentence
    assert off.mean() / NOISE == pytest.approx(
        0.0, abs=0.45
    )  # of -1.16 without correction: slopes of cells follow their noise
    assert (np.log(found.runs.table["loss_measured"]) - truth).mean() / NOISE < -1.0


def test_least_of_normals_is_that_of_draws():
    means = np.array([0.0, 0.5, 0.6, 3.0])
    draws = (means + 2.0 * np.random.default_rng(0).standard_normal((400_000, 4))).min(axis=1)
    assert least_of_normals(means, 2.0) == pytest.approx((draws.mean(), draws.std()), abs=0.01)


def test_a_parabola_without_noise_is_met_exactly_wherever_its_vertex_lies():
    runs, truth = swept(1, off=1.3)
    table = runs.table.assign(loss=np.exp(np.round(np.log(runs.table["loss"]), 12)))
    rng = np.random.default_rng(0)
    steps, middle = np.log(table["lr"] / 1e-3), np.repeat(rng.uniform(-1.8, 1.8, 12), 5)
    exact = table.assign(loss=np.exp(np.repeat(truth, 5) + 0.01 * (steps - middle) ** 2 + 1e-9 * rng.standard_normal(60)))
    found = best_of(read_runs(exact), ["lr"])
    assert np.log(found.runs.table["loss"]).to_numpy() == pytest.approx(truth, abs=1e-7)
    outside = np.abs(middle[::5]) > 1.5 * np.log(2)
    assert (found.cells["edge"] == "lr").to_numpy()[outside].all()
    assert f"{(found.cells['edge'] == 'lr').sum()} cells" in found.sentence
    assert "the optimum may lie beyond" in found.sentence


def test_two_numbers_are_swept_at_once_and_repeats_count():
    rng = np.random.default_rng(2)
    rate, batch, seed, cell = (a.ravel() for a in np.meshgrid(np.arange(-2, 3), np.arange(-2, 3), [1, 2], np.arange(6)))
    truth = np.linspace(0.5, 1.0, 6)
    x, z = rate * np.log(2) - 0.2, batch * np.log(2) + 0.3
    log_loss = truth[cell] + 0.01 * (x - 0.5 * z) ** 2 + 0.005 * z**2 + NOISE * rng.standard_normal(len(cell))
    table = pd.DataFrame(
        {"params": 1e8 * 2.0**cell, "tokens": 1e10, "lr": 1e-3 * 2.0**rate, "batch_tokens": 1e5 * 2.0**batch}
    )
    found = best_of(read_runs(table.assign(loss=np.exp(log_loss), seed=seed)), ["lr", "batch_tokens"])
    off = (np.log(found.runs.table["loss"]).to_numpy() - truth) / (found.runs.table["loss_se"] / found.runs.table["loss"])
    assert np.abs(off).max() < 3
    assert found.noise == pytest.approx(NOISE, rel=0.1)


def swept_law(seed):
    """Sweeps of five rates at 24 sizes and lengths, whose losses at the best rate are those of a law."""
    rng = np.random.default_rng(seed)
    axes = np.geomspace(5e7, 5e9, 6), np.geomspace(2e9, 1e11, 4), np.arange(-2, 3)
    N, D, steps = (axis.ravel() for axis in np.meshgrid(*axes, indexing="ij"))
    best = -0.3 * np.log(N / 5e8) + np.repeat(rng.uniform(-0.5, 0.5, 24), 5)
    lost = 0.01 * (np.log(2) * steps - best) ** 2
    loss = LAWS["chinchilla"](N, D, **HOFFMANN_LIKE) * np.exp(lost + NOISE * rng.standard_normal(len(N)))
    tokens = D * (1 + 1e-3 * rng.random(len(N)))
    return read_runs(pd.DataFrame({"params": N, "tokens": tokens, "lr": 3e-3 * 2.0**steps, "loss": loss}))


@pytest.mark.slow
def test_laws_of_corrected_rows_cover():
    at = xr.Dataset({"N": ("point", [1e8, 5e8, 2e9, 3e10]), "D": ("point", [1e10, 3e9, 1e11, 6e11])})
    truth = LAWS["chinchilla"](at["N"], at["D"], **HOFFMANN_LIKE)
    inside, off = {"corrected": [], "least": []}, {"corrected": [], "least": []}
    for seed in range(40):
        runs = swept_law(seed)
        least = runs.table.loc[runs.table["loss"].groupby(np.repeat(np.arange(24), 5)).idxmin()]
        for name, table, how in (("corrected", runs, {"best_of": ["lr"]}), ("least", read_runs(least), {})):
            found = fit(table, "chinchilla", seed=seed, progress=False, **how)
            loss = LAWS["chinchilla"](at["N"], at["D"], **{each: found.posterior[each] for each in HOFFMANN_LIKE})
            low, high = (loss.quantile(q, dim=("chain", "draw")) for q in (0.05, 0.95))
            inside[name].append(((low < truth) & (truth < high)).to_numpy())
            off[name].append(np.log(loss.median(("chain", "draw")) / truth).to_numpy())
    covered = {name: np.mean(each, axis=0).round(3) for name, each in inside.items()}
    print(f"covered {covered}; off, per cent { ({n: (100 * np.mean(e, axis=0)).round(3) for n, e in off.items()}) }")
    assert np.mean(inside["corrected"]) == pytest.approx(0.9, abs=0.06)
    assert abs(np.mean(off["corrected"], axis=0)[:3]).max() < 2e-4


def test_a_fit_of_the_best_of_a_sweep_finds_the_law_and_says_what_was_done():
    runs = swept_law(5)
    found = fit(runs, "chinchilla", best_of=["lr"], seed=1, progress=False)
    assert found.converged
    assert len(found.table) == 24
    assert found.facts["notes"][0].startswith("Best of 5 over lr in 24 cells of equal params, tokens")
    assert found.facts["origin"][-2:] == ["--best-of", "lr"]
    draws = found.posterior
    at = LAWS["chinchilla"](2e9, 3e10, **{name: draws[name] for name in HOFFMANN_LIKE})
    truth = LAWS["chinchilla"](2e9, 3e10, **HOFFMANN_LIKE)
    low, high = (float(at.quantile(q)) for q in (0.005, 0.995))
    assert low < truth < high
    assert high / low < 1.01


def test_what_was_not_swept_alone_is_refused():
    runs, _ = swept(0)
    table = runs.table
    with pytest.raises(InvalidRuns, match=r"batch_tokens.*lr"):
        best_of(read_runs(table.assign(batch_tokens=np.tile([1e5, 2e5, 1e5, 1e5, 1e5], 12))), ["lr"])
    with pytest.raises(MissingColumn, match=r"'rate'.*did you mean"):
        best_of(read_runs(table.rename(columns={"lr": "rates"})), ["rate"])
    with pytest.raises(TooFewRuns, match="5 runs in 1 cells"):
        best_of(read_runs(table.head(5)), ["lr"])
    with pytest.raises(InvalidRequest, match="params"):
        fit(runs, "chinchilla", best_of=["params"])


def test_a_cell_without_a_sweep_stays_as_measured():
    runs, _ = swept(0)
    alone = pd.DataFrame({"params": [1e6], "tokens": [1e10], "lr": [1e-3], "loss": [4.0]})
    found = best_of(read_runs(pd.concat([runs.table, alone])), ["lr"])
    kept = found.runs.table.set_index("params").loc[1e6]
    assert kept["loss"] == pytest.approx(4.0)
    assert kept["loss_se"] / 4.0 > found.noise * 0.999
    assert "1 cell (params 1e+06 and tokens 1e+10) has too few values" in found.sentence
