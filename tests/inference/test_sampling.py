"""The one posterior the fast tests sample, and what must hold of it."""

from __future__ import annotations

import numpy as np
import nutpie
import pandas as pd
import pytest
import xarray as xr

from bayes_scaling.errors import CheckpointWarning, InvalidModel, InvalidRequest
from bayes_scaling.inference import fit
from bayes_scaling.inference.sample import Sampler
from bayes_scaling.inference.settings import Settings
from bayes_scaling.model.document import read_model
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
    again = fit(simulated_runs, "chinchilla", seed=3, draws=500, tune=500, progress=False)
    xr.testing.assert_equal(again.posterior, real_fit.posterior)
    other = fit(simulated_runs, "chinchilla", seed=4, draws=500, tune=500, progress=False)
    assert not other.posterior.equals(real_fit.posterior)


def test_one_compiled_model_serves_other_tables(simulated_runs):
    spec = read_model("chinchilla")
    sampler = Sampler(spec, {"loss": simulated_runs.table})
    fewer = simulated_runs.where("params < 2e9")
    given = {"settings": Settings(seed=1, draws=200, tune=300), "facts": {"runs": "few"}, "card": fewer.card}
    moved, alone = (
        each.fit({"loss": fewer.table}, progress=False, **given) for each in (sampler, Sampler(spec, {"loss": fewer.table}))
    )
    assert len(moved.table) == len(fewer) < len(simulated_runs)
    xr.testing.assert_allclose(moved.posterior, alone.posterior)


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
        fit(simulated_runs, "chinchilla", seed=3, progress=False)
    assert cancelled == [True]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"draws": 0}, "draws is 0"),
        ({"tune": 0}, "tune is 0"),
        ({"chains": 0}, "chains is 0"),
        ({"seed": -1}, "The seed is -1"),
        ({"target_accept": 1.0}, "target_accept is 1"),
    ],
)
def test_settings_without_meaning_are_refused_before_compiling(simulated_runs, setting, message, monkeypatch):
    monkeypatch.setattr(nutpie, "compile_pymc_model", None)
    with pytest.raises(InvalidRequest, match=message):
        fit(simulated_runs, "chinchilla", **setting)


def test_points_along_a_run_are_not_runs(simulated_runs, monkeypatch):
    class Compiled:
        def __init__(self, model):
            self.shared_var_keys = model.data_vars

        def with_data(self, **_data):
            raise KeyboardInterrupt  # far enough

    monkeypatch.setattr(nutpie, "compile_pymc_model", lambda model, **_kwargs: Compiled(model))
    some = read_runs(simulated_runs.table.assign(checkpoint=simulated_runs.table["params"] > 1e9), name="curves")
    with pytest.warns(CheckpointWarning, match=r"rows of curves are points along a run"), pytest.raises(KeyboardInterrupt):
        fit(some, "chinchilla")
    with pytest.raises(KeyboardInterrupt):
        fit(some.where("not checkpoint"), "chinchilla")


def test_other_groups_need_another_model(monkeypatch):
    monkeypatch.setattr(nutpie, "compile_pymc_model", lambda *_args, **_kwargs: None)
    table = pd.DataFrame({"params": [1e8, 1e9], "tokens": 1e10, "loss": 3.0, "group": ["a", "b"]})
    sampler = Sampler(read_model("chinchilla_by_group"), {"loss": table})
    with pytest.raises(InvalidModel, match=r"compiled for the groups .*'a', 'b'.*, the runs have .*'a', 'c'"):
        sampler.fit({"loss": table.assign(group=["a", "c"])}, Settings(), facts={}, card=read_runs(table).card)


def test_evaluation_error_is_taken_from_the_table(simulated_runs):
    from bayes_scaling.inference import build_model

    spec = read_model("chinchilla")
    exact = build_model(spec, simulated_runs)
    noisy = build_model(spec, read_runs(simulated_runs.table.assign(loss_se=0.1)))
    np.testing.assert_allclose(exact["relative_error"].get_value(), 0.0)
    np.testing.assert_allclose(noisy["relative_error"].get_value(), 0.1 / simulated_runs.table["loss"])
