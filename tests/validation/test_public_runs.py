"""Published re-fits and held-out runs, on public measured runs: what the package says of the real world."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayes_scaling.inference import fit
from bayes_scaling.posterior.rows import predict_table
from bayes_scaling.questions.allocation import allocate, budget_table
from bayes_scaling.runs.catalog import load_runs
from bayes_scaling.runs.table import read_runs

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def hoffmann(public_runs):
    """The 240 rows that Besiroglu et al. keep."""
    runs = load_runs("hoffmann2022").where("loss < 3.44")
    assert len(runs) == 240
    return runs


@pytest.fixture(scope="module")
def additive(hoffmann):
    return fit(hoffmann, "chinchilla", seed=1)


def test_hoffmann_posterior(additive):
    assert additive.converged, additive.verdict
    draws = additive.posterior.assign(
        a=additive.posterior["beta"] / (additive.posterior["alpha"] + additive.posterior["beta"])
    )
    for name, value in {"alpha": 0.345, "beta": 0.360, "E": 1.807, "a": 0.511}.items():
        off = (float(draws[name].mean()) - value) / float(draws[name].std())
        print(f"{name}: mean {float(draws[name].mean()):.4f}, {off:+.2f} posterior sd from {value}")
        assert abs(off) < 0.25, name


def test_hoffmann_budget(additive):
    row = budget_table(allocate(additive, compute=5.76e23), prob=0.95).iloc[0]
    print(f"N* {row.params_median:.4g} ({row.params_lower:.4g} to {row.params_upper:.4g}), choice {row.params:.4g}")
    assert row.params_median == pytest.approx(71.3e9, rel=0.01)
    assert row.params == pytest.approx(71.3e9, rel=0.01)
    assert row.params_lower == pytest.approx(58.0e9, rel=0.02)
    assert row.params_upper == pytest.approx(88.1e9, rel=0.02)


def test_hoffmann_excludes_kappa_of_one(hoffmann):
    found = fit(hoffmann, "kappa", seed=1, discrepancy=False)
    assert found.converged, found.verdict
    low, high = (float(found.posterior["kappa"].quantile(q)) for q in (0.025, 0.975))
    print(f"kappa 95 % interval {low:.3f} to {high:.3f}")
    assert not low <= 1 <= high


def test_gadre_predicts_the_runs_held_out(public_runs):
    table = pd.read_csv(public_runs / "tidy" / "gadre2024.csv")
    found = fit(read_runs(table[table["params"] < 1e9], name="gadre2024"), "chinchilla_by_group", seed=1)
    assert found.converged, found.verdict
    larger = predict_table(found, table[table["params"] >= 1e9])
    inside = (larger["lower"] <= larger["loss"]) & (larger["loss"] <= larger["upper"])
    error = (larger["median"] / larger["loss"] - 1).abs()
    print(f"{int(inside.sum())} of {len(inside)} inside 90 %; error mean {error.mean():.2%}, largest {error.max():.2%}")
    assert inside.mean() >= 0.75
    assert error.mean() < 0.02


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # PyMC's own sampler overflows on its way
def test_sampler_agrees_with_pymc_s_own(hoffmann, additive):
    import pymc as pm

    from bayes_scaling.inference import build_model

    with build_model(additive.model, hoffmann):
        theirs = pm.sample(draws=1000, tune=1000, chains=4, random_seed=1, nuts_sampler="pymc", progressbar=False)
    for name in ("E", "alpha", "beta"):
        ours, other = additive.posterior[name], theirs["posterior"][name]
        assert float(ours.mean()) == pytest.approx(float(other.mean()), abs=0.1 * float(other.std()))
        assert float(ours.std()) == pytest.approx(float(other.std()), rel=0.1)
        np.testing.assert_allclose(ours.quantile([0.05, 0.95]), other.quantile([0.05, 0.95]), atol=0.2 * float(other.std()))


@pytest.mark.filterwarnings("ignore::bayes_scaling.errors.CheckpointWarning")
def test_the_part_in_which_the_nugget_is_more_than_the_noise_of_runs_is_reached(public_runs):
    """A bent arm of the posterior, with a tenth of its mass; walkers in the logarithms of both had six hundredths there."""
    table = pd.read_csv(public_runs / "tidy" / "porian2024.csv").query("group == 'rw|base-longwarmup-kaplan|train'")
    columns = ["params", "tokens", "compute_flops", "loss", "checkpoint", "run_id"]
    points = read_runs(table.sort_values("compute_flops")[columns].head(67).reset_index(drop=True))

    def share(seed: int, **settings) -> float:
        posterior = fit(points, "kappa", seed=seed, progress=False, **settings).posterior
        return float((posterior["nugget"] > posterior["sigma"]).mean())

    ours, by_nuts = np.mean([share(seed) for seed in (1, 2, 3)]), share(1, sampler="nuts", draws=4000)
    print(f"the nugget is larger in {ours:.3f} of the draws, by NUTS in {by_nuts:.3f}")
    assert ours == pytest.approx(by_nuts, abs=0.02)
