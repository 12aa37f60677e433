"""Which sampler is used and why, and that draws in the wrong mode never pass."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats

from bayes_scaling.errors import InvalidModel
from bayes_scaling.evaluation.simulate import from_the_model
from bayes_scaling.inference import engine, fit
from bayes_scaling.inference.conditional import Conditional
from bayes_scaling.inference.importance import Weighted, sample_by_importance
from bayes_scaling.inference.modes import find_modes
from bayes_scaling.inference.settings import Settings
from bayes_scaling.laws import LAWS
from bayes_scaling.model.density import LogDensity
from bayes_scaling.model.document import read_model
from bayes_scaling.model.layout import Layout
from bayes_scaling.posterior.checks import check, checked
from bayes_scaling.posterior.rows import predict_rows
from bayes_scaling.runs.table import read_runs

TRUTH = {"E": 0.25, "a": 0.46, "b": 0.42, "kappa": 0.4}
BELOW = "log density below the best mode, standard deviations"


def wide_grid() -> pd.DataFrame:
    """A grid of runs over two and a half decades of compute with a tenth of a per cent of noise: several modes."""
    rng = np.random.default_rng(11)
    N, tokens_per_param = np.meshgrid(np.geomspace(2e8, 7e9, 17), np.geomspace(19, 700, 20))
    N, D = N.ravel(), (N * tokens_per_param).ravel()
    reference = {"N": 1.2e9, "D": 1.4e11}
    values = TRUTH | {"A": 0.2, "B": 0.2}
    law = LAWS["kappa"]
    loss = law(N, D, **law.from_reference(values, reference))
    noise = 0.0009 * (loss / np.exp(np.log(loss).mean())) ** 4
    decades = np.log10(N / 1.2e9)
    bend = 0.004 * np.cumsum(rng.standard_normal(12))
    walk = np.interp(decades, np.linspace(decades.min(), decades.max(), 12), bend - bend[6])
    return pd.DataFrame({"params": N, "tokens": D, "loss": loss * np.exp(walk + noise * rng.standard_normal(N.size))})


@pytest.fixture(scope="module")
def importance_fit(simulated_runs):
    return fit(simulated_runs, "chinchilla", seed=3, progress=False)


def test_importance_sampling_is_tried_first_and_agrees_with_nuts(importance_fit, real_fit):
    assert importance_fit.facts["sampler"] == "importance"
    assert importance_fit.converged, importance_fit.verdict
    for name in ("E", "A", "alpha", "B", "beta", "sigma", "nu"):
        ours, nuts = (np.log(each.posterior[name].values.ravel()) for each in (importance_fit, real_fit))
        assert ours.mean() == pytest.approx(nuts.mean(), abs=0.15 * nuts.std()), name
        assert ours.std() == pytest.approx(nuts.std(), rel=0.15), name


def test_the_log_density_of_draws_is_that_of_nuts(real_fit):
    """nutpie's own density of its draws, beside numpy's: the same up to nothing at all."""
    density = LogDensity(real_fit.layout)
    points = density.points(real_fit.posterior)
    statistics = real_fit.tree["sample_stats"].to_dataset()
    np.testing.assert_allclose(density.of(points), statistics["lp"].values.ravel(), rtol=1e-9)


def test_a_seed_gives_the_same_draws(importance_fit, simulated_runs):
    xr.testing.assert_equal(fit(simulated_runs, "chinchilla", seed=3).posterior, importance_fit.posterior)
    assert not fit(simulated_runs, "chinchilla", seed=4).posterior.equals(importance_fit.posterior)


def test_it_needs_no_pymc(simulated_runs, tmp_path):
    simulated_runs.table.to_csv(tmp_path / "runs.csv", index=False)
    lines = (
        "import sys, bayes_scaling as bs",
        f"fit = bs.fit({str(tmp_path / 'runs.csv')!r}, 'chinchilla', seed=3)",
        "assert fit.converged, fit.verdict",
        "print(sorted({'pymc', 'pytensor', 'nutpie', 'numba'} & set(sys.modules)))",
    )
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_every_seed_finds_the_mode_that_carries_the_mass(seed):
    table = wide_grid()
    compute = table["params"] * table["tokens"]
    small, large = table[compute <= compute.quantile(0.72)], table[compute > compute.quantile(0.72)]
    found = fit(small.reset_index(drop=True), "kappa", seed=seed)
    assert found.converged, found.verdict
    assert found.facts["sampler"] == "importance"
    assert 0.25 < float(found.posterior["kappa"].median()) < 0.65
    draws = predict_rows(found, large.reset_index(drop=True))["measured_loss"]
    lower, upper = (draws.quantile(q, ("chain", "draw")).values for q in (0.05, 0.95))
    assert ((lower <= large["loss"]) & (large["loss"] <= upper)).mean() > 0.8


def but(fitted, **groups):
    """Return a fit with other groups in its tree."""
    tree = fitted.tree.copy()
    for name, group in groups.items():
        tree[name] = xr.DataTree(group)
    return replace(fitted, tree=tree).with_layout(fitted.layout)


def passed(fitted):
    return check(fitted).set_index("check").passed


def test_draws_in_a_worse_mode_fail(importance_fit):
    """What R-hat cannot see: all chains in one mode, far below the best."""
    statistics = importance_fit.tree["sample_stats"].to_dataset()
    found = passed(but(importance_fit, sample_stats=statistics.assign(lp=statistics["lp"] - 25.0)))
    assert not found[BELOW]
    assert found["largest R-hat"]
    assert bool(passed(importance_fit)[BELOW])


def test_a_tail_that_the_draws_show_is_no_other_mode(importance_fit):
    """Spreads of groups make the log density of draws vary by more than that of a Normal posterior does, and lie lower."""
    statistics = importance_fit.tree["sample_stats"].to_dataset()
    highest = float(importance_fit.tree["modes"]["log_density"].max())
    longer = statistics.assign(lp=highest + 5 * (statistics["lp"] - highest))
    assert passed(but(importance_fit, sample_stats=longer))[BELOW]
    same = statistics.assign(lp=xr.full_like(statistics["lp"], highest - 25.0))
    assert not passed(but(importance_fit, sample_stats=same))[BELOW]


def test_a_mode_without_draws_fails(importance_fit):
    modes = importance_fit.tree["modes"].to_dataset()
    two = xr.concat([modes.assign(share=modes["share"] * 0.9), modes.assign(share=modes["share"] * 0.1)], "mode")
    found = checked(but(importance_fit, modes=two))
    assert "share of the mass in modes without draws is 0.1" in found.verdict


def test_weights_with_a_heavy_tail_fail(importance_fit):
    heavy = np.log(np.random.default_rng(0).pareto(0.8, 4000))
    found = passed(but(importance_fit, importance=xr.Dataset({"log_ratio": ("evaluation", heavy)})))
    assert not found["Pareto k-hat of the weights"]


def test_nuts_follows_where_importance_sampling_is_not_exact(importance_fit, simulated_runs, monkeypatch):
    asked = {}

    class Compiled:
        def sample(self, density, modes, settings, progress):
            asked.update(modes=modes, settings=settings)
            statistics = xr.Dataset({"diverging": (("chain", "draw"), np.zeros((4, 1000), bool))})
            return density.draws(density.points(importance_fit.posterior), (4, 1000)), statistics

    poor = Weighted(np.zeros((10, 7)), np.zeros(10), np.r_[0.0, np.full(9, -50.0)], 1)
    monkeypatch.setattr(engine, "sample_by_importance", lambda *_, **__: poor)
    monkeypatch.setattr(engine, "_compiled", lambda layout: Compiled())
    near, climbs = engine.with_modes_near, []
    monkeypatch.setattr(engine, "with_modes_near", lambda *given: climbs.append(given[2]) or near(*given))
    found = fit(simulated_runs, "chinchilla", seed=3)
    assert found.facts["sampler"] == "nuts"
    assert "importance sampling was not exact enough" in found.how_sampled
    assert len(asked["modes"]) == 1
    assert asked["settings"].draws == 2000
    density = LogDensity(found.layout)
    ends = density.points(importance_fit.posterior.isel(draw=[-1]))
    np.testing.assert_allclose(climbs[-1][1:], ends)  # a chain in a mode of its own is found out


class Nowhere:
    """A density that is zero wherever it is asked."""

    def __init__(self, density):
        self._density = density

    def __getattr__(self, name):
        return getattr(self._density, name)

    def parts(self, points):
        return self._density.parts(points)[0], np.full(len(points), -np.inf)


def test_where_no_draw_has_a_density_it_is_said(simulated_runs, monkeypatch):
    ours = engine.sample_by_importance
    monkeypatch.setattr(
        engine, "sample_by_importance", lambda density, *rest, **options: ours(Nowhere(density), *rest, **options)
    )
    with pytest.raises(InvalidModel, match="ask for --sampler nuts"):
        fit(simulated_runs, "chinchilla", sampler="importance", seed=3, progress=False)
    monkeypatch.setattr(engine, "_compiled", lambda layout: None)
    monkeypatch.setattr(engine, "_by_nuts", lambda density, modes, compiled, settings, reason, found, progress: reason)
    layout = Layout.of(read_model("chinchilla"), {"loss": simulated_runs.table})
    assert engine.sample_posterior(layout, Settings(), False).endswith("no draw has a density above zero")


def test_many_unknowns_go_to_nuts(monkeypatch):
    table = pd.DataFrame({"params": [1e8, 1e9] * 6, "tokens": 1e10, "loss": 3.0, "group": list("abcdef") * 2})
    monkeypatch.setattr(engine, "_MOST_UNKNOWNS", 11)
    monkeypatch.setattr(engine, "find_modes", lambda density, rng: [None])
    monkeypatch.setattr(engine, "_by_nuts", lambda density, modes, compiled, settings, reason, found, progress: reason)
    monkeypatch.setattr(engine, "_compiled", lambda layout: None)
    layout = Layout.of(read_model("chinchilla_by_group"), {"loss": read_runs(table).table})
    assert "12 unknowns are more than 11" in engine.sample_posterior(layout, Settings(), progress=False)


def test_a_start_of_nuts_is_a_mode(simulated_runs):
    from bayes_scaling.inference.nuts import Compiled

    layout = Layout.of(read_model("chinchilla"), {"loss": simulated_runs.table})
    density = LogDensity(layout)
    modes = find_modes(density, np.random.default_rng(0))
    compiled = Compiled(layout)
    posterior, _ = compiled.sample(density, modes, Settings("nuts", draws=5, tune=5, chains=2, seed=1), progress=False)
    assert np.isfinite(density.of(density.points(posterior))).all()
    start = compiled._starts(density, modes)(1)
    names = [coordinate.name for coordinate in density.coordinates]
    order = [names.index(name.removesuffix("_log__")) for name in compiled._unknowns]
    near = density.straight.from_pymc(start[np.argsort(order)][None])
    assert modes[0].distance(near)[0] < 4


def grid() -> pd.DataFrame:
    """Return forty-eight runs over two decades of N and D, half of which saw their data four times."""
    N, D = (axis.ravel() for axis in np.meshgrid(np.geomspace(3e7, 3e9, 8), np.geomspace(1e9, 1e11, 6)))
    return pd.DataFrame({"params": N, "tokens": D, "dataset_tokens": D / np.tile([1.0, 4.0], 24)})


def test_where_weights_miss_a_tail_walkers_reach_it_and_the_next_weights_are_those_of_where_they_were(monkeypatch):
    """In a tail of this table one term leaves nothing of the loss; NUTS, which came next, had an effective size of 20."""
    starts = []

    def sampled(*given, start=None, **settings):
        starts.append(start)
        return sample_by_importance(*given, start=start, **settings)

    monkeypatch.setattr(engine, "sample_by_importance", sampled)
    design = read_runs(grid().assign(loss=3.0))
    with np.errstate(all="ignore"):  # of draws that are not plausible
        simulated = from_the_model(read_model("kaplan_nd"), design, np.random.default_rng([7, 1, 0]))
    fitted = fit(simulated.runs, "kaplan_nd", seed=5, progress=False)
    assert starts[0] is None
    assert len(starts) == 2
    assert starts[1].centres.shape == (6, 6)
    assert fitted.facts["sampler"] == "importance"
    assert fitted.converged


def test_a_thin_bent_ridge_is_followed_to_its_ends():
    """Of rows that repeat their data three times or never, what one repetition costs follows from its exponent to a thousandth.

    What is left of the two is the prior along a line, which quadrature integrates.
    """
    table = grid()
    N, D = (table[column].to_numpy() for column in ("params", "tokens"))
    law = {"E": 1.03, "A": 246.0, "alpha": 0.27, "B": 6.96, "beta": 0.18, "P": 0.11, "delta": 0.97, "kappa": 0.6}
    exact = LAWS["repeated_penalty"](N, D, table["dataset_tokens"].to_numpy(), **law)
    noise = 8e-4 * np.random.default_rng(0).standard_normal(len(N))
    fitted = fit(read_runs(table.assign(loss=exact * np.exp(noise))), "repeated_penalty", seed=1, progress=False)
    assert fitted.converged
    assert fitted.facts["sampler"] == "importance"
    delta = fitted.posterior["delta"].values.ravel()
    log_penalty = np.log(fitted.posterior["P_at_reference"].values.ravel() / fitted.reference["L"])
    known = log_penalty + delta * np.log(3)
    assert known.std() < 0.02 * log_penalty.std()
    log_delta = np.linspace(-4.0, 4.0, 4001)
    weights = stats.norm.pdf(log_delta, 0.0, 0.5) * stats.norm.pdf(known.mean() - np.exp(log_delta) * np.log(3), -5.0, 1.5)
    weights /= weights.sum()
    mean = weights @ log_delta
    sd = np.sqrt(weights @ (log_delta - mean) ** 2)
    assert np.log(delta).mean() == pytest.approx(mean, abs=0.1 * sd)
    assert np.log(delta).std() == pytest.approx(sd, rel=0.1)


def grouped() -> pd.DataFrame:
    """Runs on three corpora whose losses differ by a tenth, with half a per cent of noise."""
    rng = np.random.default_rng(3)
    N, D = (axis.ravel() for axis in np.meshgrid(np.geomspace(3e7, 3e9, 5), np.geomspace(1e9, 1e11, 4)))
    values = {"E": 1.8, "A": 480.0, "alpha": 0.35, "B": 2000.0, "beta": 0.36}
    tables = [
        pd.DataFrame(
            {"params": N, "tokens": D, "loss": LAWS["chinchilla"](N, D, **values | {"E": 1.8 * factor}), "group": name}
        )
        for name, factor in (("a", 0.9), ("b", 1.0), ("c", 1.1))
    ]
    table = pd.concat(tables, ignore_index=True)
    return table.assign(loss=table["loss"] * np.exp(0.005 * rng.standard_normal(len(table))))


def test_effects_of_groups_are_drawn_given_the_rest():
    table = grouped()
    found = fit(table, "chinchilla_by_group", seed=1)
    assert found.facts["sampler"] == "importance"
    assert found.converged, found.verdict
    ratio = found.posterior["E"].sel(group="c") / found.posterior["E"].sel(group="a")
    assert float(ratio.quantile(0.01)) < 1.1 / 0.9 < float(ratio.quantile(0.99))


def test_the_conditional_of_effects_is_a_density():
    """Its draws have the moments it says, and its density integrates to one against another proposal."""
    density = LogDensity(Layout.of(read_model("chinchilla_by_group"), {"loss": read_runs(grouped()).table}))
    (mode, *_) = find_modes(density, np.random.default_rng(0))
    given = Conditional(density, mode.point)
    others = np.repeat(mode.point[None, given.others], 20000, axis=0)
    rng = np.random.default_rng(1)
    points = given.complete(others, rng)
    mean, precision = given.moments(points[:1])
    effects = points[:, given.effects] * given.scales(points)
    white = (effects - mean) @ np.linalg.cholesky(precision[0])
    np.testing.assert_allclose(white.mean(axis=0), 0.0, atol=0.05)
    np.testing.assert_allclose(np.cov(white.T), 1.2 * np.eye(len(mean[0])), atol=0.1)  # twelve degrees of freedom
    wider = points.copy()
    wider[:, given.effects] = (mean + 1.3 * (effects - mean)) / given.scales(points)
    ratio = np.exp(given.log_density(wider) - given.log_density(points)) * 1.3 ** len(given.effects)
    assert ratio.mean() == pytest.approx(1.0, abs=0.1)


def chains_of(correlation: float, divergences: int = 0, draws: int = 500) -> tuple[xr.Dataset, xr.Dataset]:
    """Draws of four chains whose neighbours are correlated, and what the sampler says of them."""
    rng = np.random.default_rng(3)
    values = rng.standard_normal((4, draws))
    for k in range(1, draws):
        values[:, k] = correlation * values[:, k - 1] + np.sqrt(1 - correlation**2) * values[:, k]
    diverging = np.zeros((4, draws), dtype=bool)
    diverging[0, :divergences] = True
    dims = ("chain", "draw")
    return xr.Dataset({"sigma": (dims, np.exp(values))}), xr.Dataset({"diverging": (dims, diverging)})


def test_what_nuts_is_sampled_again_for():
    auto = Settings()
    used = auto.with_draws(500)
    assert engine._better(auto, used, *chains_of(0.0)) is None
    longer, why = engine._better(auto, used, *chains_of(0.98))
    assert (longer.draws, longer.tune, longer.target_accept) == (1000, 2000, used.target_accept)
    assert why.startswith("in longer chains, for largest R-hat 1.")
    assert "smallest bulk ESS" in why
    longest, _ = engine._better(auto, longer, *chains_of(0.98))
    assert (longest.draws, longest.tune) == (2000, 4000)
    assert engine._better(auto, longest, *chains_of(0.98)) is None
    closer, why = engine._better(auto, used, *chains_of(0.98, divergences=2))
    assert closer == replace(used, target_accept=0.995)
    assert why == "in shorter steps, for divergences"
    assert engine._better(auto, closer, *chains_of(0.0, divergences=2)) is None


def test_what_was_asked_for_is_what_is_drawn():
    asked = Settings(draws=500)
    assert engine._better(asked, asked, *chains_of(0.98)) is None
    nuts = Settings("nuts")
    assert engine._better(nuts, nuts.with_draws(500), *chains_of(0.98, divergences=2)) is None
