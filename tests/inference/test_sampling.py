"""The one posterior the fast tests sample, and what must hold of it."""

from __future__ import annotations

import numpy as np
import nutpie
import pandas as pd
import pytest
import xarray as xr

from bayes_scaling.errors import CheckpointWarning, InvalidModel, InvalidRequest
from bayes_scaling.inference import fit
from bayes_scaling.inference.nuts import Compiled
from bayes_scaling.inference.settings import Settings
from bayes_scaling.model.density import LogDensity
from bayes_scaling.model.document import read_model
from bayes_scaling.model.layout import Layout
from bayes_scaling.posterior.fit import load_fit
from bayes_scaling.posterior.predict import intervals, predict
from bayes_scaling.runs.table import read_runs
from tests.conftest import HOFFMANN_LIKE

pytestmark = pytest.mark.xdist_group("sampling")


def test_it_converges_and_finds_the_truth(real_fit):
    assert real_fit.converged, real_fit.verdict
    for name, truth in HOFFMANN_LIKE.items():
        draws = real_fit.posterior[name]
        assert abs(float(draws.mean()) - truth) < 3.5 * float(draws.std()), name
    assert 0.002 < float(real_fit.posterior["sigma"].median()) < 0.008


def test_it_keeps_what_is_needed_to_do_it_again(real_fit, simulated_runs):
    facts = real_fit.facts
    assert facts["runs_digest"] == simulated_runs.digest
    assert (facts["seed"], facts["draws"], facts["tune"], facts["chains"]) == (3, 500, 500, 4)
    assert {"pymc", "nutpie", "pytensor", "numpy"} <= set(facts["versions"])
    assert real_fit.posterior.sizes == {"chain": 4, "draw": 500}
    assert {"diverging", "energy", "tree_depth", "reached_max_treedepth"} <= set(real_fit.tree["sample_stats"].data_vars)


def test_the_same_seed_gives_the_same_draws(real_fit, simulated_runs):
    nuts = {"sampler": "nuts", "draws": 500, "tune": 500, "full": True, "progress": False}
    again = fit(simulated_runs, "chinchilla", seed=3, **nuts)
    xr.testing.assert_equal(again.posterior, real_fit.posterior)
    other = fit(simulated_runs, "chinchilla", seed=4, **nuts)
    assert not other.posterior.equals(real_fit.posterior)


def test_one_compiled_model_serves_other_tables(simulated_runs):
    fewer = simulated_runs.where("params < 2e9")
    all_of_them, few = (Layout.of(read_model("chinchilla"), {"loss": runs.table}) for runs in (simulated_runs, fewer))
    settings = Settings(seed=1, draws=200, tune=300)
    moved, alone = (
        Compiled(layout).sample(LogDensity(few), [], settings, progress=False)[0] for layout in (all_of_them, few)
    )
    assert len(few.only) < len(all_of_them.only)
    xr.testing.assert_allclose(moved, alone)


def test_a_saved_fit_answers_the_same(real_fit, tmp_path):
    again = load_fit(real_fit.save(tmp_path / "fit.nc"))
    first, second = (intervals(predict(f, params=7e10, tokens=1.4e12), 0.9) for f in (real_fit, again))
    xr.testing.assert_identical(first, second)
    assert again.converged


def test_an_interrupted_fit_leaves_nothing(simulated_runs, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    cancelled = []

    class Interrupted:
        def wait(self):
            raise KeyboardInterrupt

        def cancel(self):
            cancelled.append(True)

    monkeypatch.setattr(nutpie, "sample", lambda *_args, **_kwargs: Interrupted())
    with pytest.raises(KeyboardInterrupt):
        fit(simulated_runs, "chinchilla", sampler="nuts", seed=3, progress=False)
    assert cancelled == [True]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"draws": 0}, "draws is 0"),
        ({"tune": 0}, "tune is 0"),
        ({"chains": 0}, "chains is 0"),
        ({"draws": 2.5}, "draws is 2.5: it has to be a whole number"),
        ({"chains": "4"}, "chains is '4': it has to be a whole number"),
        ({"seed": -1}, "The seed is -1"),
        ({"seed": 1.5}, "The seed is 1.5: it has to be a whole number"),
        ({"seed": "1"}, "The seed is '1': it has to be a whole number"),
        ({"target_accept": 1.0}, "target_accept is 1"),
        ({"sampler": "gibbs"}, "There is no sampler 'gibbs'"),
    ],
)
def test_settings_without_meaning_are_refused_before_compiling(simulated_runs, setting, message, monkeypatch):
    monkeypatch.setattr(nutpie, "compile_pymc_model", None)
    with pytest.raises(InvalidRequest, match=message):
        fit(simulated_runs, "chinchilla", **setting)


def test_points_along_a_run_are_not_runs(simulated_runs):
    some = read_runs(simulated_runs.table.assign(checkpoint=simulated_runs.table["params"] > 1e9), name="curves")
    with pytest.warns(CheckpointWarning, match=r"rows of curves are points along a run"):
        fit(some, "chinchilla")
    assert fit(some.where("not checkpoint"), "chinchilla").converged


def test_other_groups_need_another_model(monkeypatch):
    monkeypatch.setattr(nutpie, "compile_pymc_model", lambda *_args, **_kwargs: None)
    table = pd.DataFrame({"params": [1e8, 1e9], "tokens": 1e10, "loss": 3.0, "group": ["a", "b"]})
    model = read_model("chinchilla_by_group")
    compiled = Compiled(Layout.of(model, {"loss": table}))
    others = LogDensity(Layout.of(model, {"loss": table.assign(group=["a", "c"])}))
    with pytest.raises(InvalidModel, match=r"compiled for the groups .*'a', 'b'.*, the runs have .*'a', 'c'"):
        compiled.sample(others, [], Settings(), progress=False)


def test_evaluation_error_is_taken_from_the_table(simulated_runs):
    from bayes_scaling.inference import build_model

    spec = read_model("chinchilla")
    exact = build_model(spec, simulated_runs)
    noisy = build_model(spec, read_runs(simulated_runs.table.assign(loss_se=0.1)))
    np.testing.assert_allclose(exact["own_variance"].get_value(), 0.0)
    np.testing.assert_allclose(noisy["own_variance"].get_value(), (0.1 / simulated_runs.table["loss"]) ** 2)
