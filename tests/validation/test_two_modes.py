"""No fit passes its checks in the wrong mode, and ranks of the truth are uniform, where climbs can end in the wrong place.

Four kinds of tables. Of few runs, and of wide grids of hundreds with a tenth of a per cent of noise, the truth is drawn from the
prior: ranks are uniform. Replicates of the shipped ladder, drawn from its posterior, which explains the runs by the law and noise
or by walks of the discrepancy and hardly any: a quarter of them have two modes that matter. Wide grids whose truth lies at the
edge of the prior, with a bend that the law lacks: climbs from there end in traps far below.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bayes_scaling.evaluation.ranks import p_of_uniform, rank_of
from bayes_scaling.evaluation.simulate import from_the_model
from bayes_scaling.inference import fit
from bayes_scaling.inference.modes import climbed, find_modes, with_modes_near
from bayes_scaling.laws import LAWS
from bayes_scaling.model.density import LogDensity
from bayes_scaling.model.document import read_model
from bayes_scaling.model.layout import Layout
from bayes_scaling.model.tables import tables_of
from bayes_scaling.posterior.residuals import loss_at_runs, measured_at_runs
from bayes_scaling.posterior.rows import predict_rows
from bayes_scaling.runs.catalog import load_runs
from bayes_scaling.runs.table import RunTable, read_runs

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::bayes_scaling.errors.BayesScalingWarning")]

TABLES = {"few": 24, "grid": 16, "replicate": 24, "bent": 8}
SEARCHES = 4
"""Searches for modes with other seeds than that of the fit, beside climbs from the truth and from the prior as it is."""
DIRECT = 24
"""Draws of the prior that are climbed from with the whole likelihood."""
FEW_UNITS = 3.0
"""Log mass by which another mode has to exceed those of the fit to be the right one: a factor of twenty."""
NEAR = 2.0
"""Distance, in standard deviations of a mode, within which a mode of the fit is the same."""
LITTLE_NOISE = 0.0025
DECADE = 1
"""Place, among the runs beyond a simulated design, of the one with ten times the compute."""


def grid(rng: np.random.Generator, sizes: int, ratios: int) -> pd.DataFrame:
    """Return a grid of runs over one to one and a half decades of size and of tokens per parameter."""
    N, ratio = np.meshgrid(10 ** np.linspace(8.3, 8.3 + rng.uniform(1.0, 1.6), sizes), np.geomspace(19, 700, ratios))
    return pd.DataFrame({"params": N.ravel(), "tokens": (N * ratio).ravel(), "loss": 2.0})


@dataclass(frozen=True)
class Case:
    """A table, what is true where it was drawn from the model, and which draws the prior of the truth allows."""

    runs: RunTable
    truth: dict[str, float]
    loss: float | None = None
    ahead: pd.DataFrame | None = None
    noise_below: float = np.inf


def from_the_prior(rng: np.random.Generator, design: pd.DataFrame, noise_below: float) -> Case:
    """Draw a truth from the prior under noise of less than so much, and its table."""
    runs = read_runs(design)
    model = read_model("kappa")
    model = Layout.of(model, tables_of(model, runs)).model
    with np.errstate(all="ignore"):
        while (simulated := from_the_model(model, runs, rng)).truth["sigma"] > noise_below:
            pass
    ahead = simulated.ahead.iloc[[DECADE]]
    loss = float(ahead["loss"].item())
    return Case(simulated.runs, dict(simulated.truth), loss, ahead.drop(columns="loss"), noise_below)


def few_runs(rng: np.random.Generator) -> Case:
    """Return some thirty runs, drawn from all of the prior."""
    return from_the_prior(rng, grid(rng, int(rng.integers(5, 7)), int(rng.integers(5, 7))), np.inf)


def wide_grid(rng: np.random.Generator) -> Case:
    """Return hundreds of runs, drawn from the prior with little noise."""
    side = int(rng.integers(10, 21))
    return from_the_prior(rng, grid(rng, side, side), LITTLE_NOISE)


@cache
def of_the_ladder() -> tuple[pd.DataFrame, np.ndarray]:
    """Return the design of the shipped ladder, and losses that its posterior predicts, shape (draw, run)."""
    runs = load_runs("ladder").where("series in ['size', 'compute'] and compute_flops < 1e13")
    found = fit(runs, "kappa", progress=False)
    losses = measured_at_runs(found, loss_at_runs(found), np.random.default_rng(0))
    return runs.table[["params", "tokens"]], losses.stack(draws=("chain", "draw")).transpose("draws", "run").values


def replicate(rng: np.random.Generator) -> Case:
    """Return the runs of the shipped ladder, measured again."""
    design, losses = of_the_ladder()
    return Case(read_runs(design.assign(loss=losses[rng.integers(len(losses))])), {})


def bent_grid(rng: np.random.Generator) -> Case:
    """Return hundreds of runs whose truth lies at the edge of the prior, and bends as a walk along size."""
    side = int(rng.integers(10, 21))
    table = grid(rng, side, side)
    N, D = table["params"].to_numpy(), table["tokens"].to_numpy()
    reference = {"N": np.exp(np.log(N).mean()), "D": np.exp(np.log(D).mean())}
    ranges = {"E": (0.2, 0.6), "A": (0.1, 0.5), "a": (0.3, 0.8), "B": (0.1, 0.5), "b": (0.3, 0.8), "kappa": (0.2, 1.0)}
    at_reference = {name: rng.uniform(*between) for name, between in ranges.items()}
    law = LAWS["kappa"]
    loss = law(N, D, **law.from_reference(at_reference, reference))
    noise = rng.uniform(0.0006, 0.0015) * (loss / np.exp(np.log(loss).mean())) ** rng.uniform(1.0, 4.0)
    decades = np.log10(N / reference["N"])
    walk = rng.uniform(0.002, 0.008) * np.cumsum(rng.standard_normal(12))
    bend = np.interp(decades, np.linspace(decades.min(), decades.max(), 12), walk - walk[6])
    measured = loss * np.exp(bend + noise * rng.standard_normal(len(loss)))
    return Case(read_runs(table.assign(loss=measured)), {})


@dataclass(frozen=True)
class Outcome:
    """What came of one table."""

    converged: bool
    sampler: str
    found: int
    missed: float
    """Log mass by which the best mode of the long search exceeds those of the fit; minus infinity where the fit has it."""
    ranks: dict[str, float]


def outcome(case: Case, seed: int) -> Outcome:
    """Fit a table, search its modes for longer, and rank the truth."""
    found = fit(case.runs, "kappa", seed=seed, anyway=True, progress=False)  # a draw of the prior may rise with size
    density = LogDensity(found.layout)
    of_fit = found.tree["modes"].to_dataset()["point"].values
    rng = np.random.default_rng([seed, 98])
    prior = density.from_prior(rng, 500)
    starts = np.vstack(
        [of_fit, *(mode.point[None] for mode in climbed(density, prior[:DIRECT], np.diag(prior.var(axis=0))))]
    )
    if case.truth:
        truth = xr.Dataset({name: (("chain", "draw"), [[value]]) for name, value in case.truth.items()})
        starts = np.vstack([starts, density.points(truth)])
    every = [mode for n in range(SEARCHES) for mode in find_modes(density, np.random.default_rng([seed, n, 99]))]
    every = with_modes_near(density, every, starts)
    had = [bool((mode.distance(of_fit) < NEAR).any()) for mode in every]
    best_of_fit = max((mode.log_mass for mode, there in zip(every, had, strict=True) if there), default=-np.inf)
    missed = max((m.log_mass - best_of_fit for m, there in zip(every, had, strict=True) if not there), default=-np.inf)
    ranks = {}
    if case.ahead is not None:
        # Draws with little noise are the posterior under the prior that the truth was drawn from.
        kept = found.posterior["sigma"].values.ravel() < case.noise_below
        losses = predict_rows(found, case.ahead, seed=seed)["measured_loss"].values.ravel()
        ranks = {name: rank_of(case.truth[name], found.posterior[name].values.ravel()[kept]) for name in ("kappa", "E")}
        ranks["loss at ten times the compute"] = rank_of(case.loss, losses[kept])
    return Outcome(found.converged, found.facts["sampler"], len(of_fit), missed, ranks)


def report(kind: str, outcomes: list[Outcome]) -> pd.DataFrame:
    """Print what came of the tables of one kind, and return the ranks."""
    ranks = pd.DataFrame([each.ranks for each in outcomes])
    print(
        f"\n{kind}: {len(outcomes)} tables, {sum(o.converged for o in outcomes)} converged, "
        f"{sum(o.sampler == 'importance' for o in outcomes)} by importance sampling, {sum(o.found > 1 for o in outcomes)} with "
        f"several modes, {sum(o.missed > -FEW_UNITS for o in outcomes)} missed a mode of a twentieth or more, "
        f"{sum(o.missed > FEW_UNITS for o in outcomes)} the right one; uniform ranks, p: "
        + (", ".join(f"{name} {p_of_uniform(ranks[name].to_numpy()):.3f}" for name in ranks) or "no ranks")
    )
    return ranks


KINDS: dict[str, Callable[[np.random.Generator], Case]] = {
    "few": few_runs,
    "grid": wide_grid,
    "replicate": replicate,
    "bent": bent_grid,
}


@pytest.mark.parametrize("kind", list(KINDS))
def test_no_fit_passes_in_the_wrong_mode(kind):
    number = list(KINDS).index(kind)
    outcomes = [outcome(KINDS[kind](np.random.default_rng([number, seed])), seed) for seed in range(TABLES[kind])]
    ranks = report(kind, outcomes)
    assert not [seed for seed, each in enumerate(outcomes) if each.converged and each.missed > FEW_UNITS]
    assert kind != "replicate" or sum(each.found > 1 for each in outcomes) >= 2
    assert np.mean([each.converged for each in outcomes]) >= 0.9
    for name in ranks:
        assert p_of_uniform(ranks[name].to_numpy()) > 0.005, (name, sorted(ranks[name].round(2)))
