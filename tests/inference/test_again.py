"""A stored fit sampled anew with another seed: it agrees with itself, and not with the draws of another posterior."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bayes_scaling.errors import InvalidFit, InvalidRequest
from bayes_scaling.inference import again, check_again, fit
from bayes_scaling.inference.sample import fit_layout
from bayes_scaling.inference.settings import Settings
from bayes_scaling.posterior.examples import example_fit, example_system
from bayes_scaling.posterior.fit import load_fit
from bayes_scaling.posterior.fit_file import write_fit
from tests.command import command  # noqa: F401 - a fixture
from tests.grouped import grouped_fit

OF_THE_LOSS = "log loss at 10 times the largest compute"


@pytest.fixture(scope="module")
def stored(simulated_runs, tmp_path_factory):
    return fit(simulated_runs, "chinchilla", seed=3, progress=False).save(tmp_path_factory.mktemp("again") / "fit.nc")


@pytest.fixture(scope="module")
def second(stored):
    """The one posterior that is sampled anew here; others are compared with it."""
    return check_again(load_fit(stored), progress=False)


@pytest.fixture
def sampled_before(second, monkeypatch):
    asked = []

    def sampled(layout, settings, facts, card, *, progress=None):
        asked.append(settings)
        return second.fit

    monkeypatch.setattr(again, "fit_layout", sampled)
    return asked


def shifted(fitted, name="alpha", by=1.0):
    """Return a fit whose draws of one parameter are those of another posterior."""
    draws = np.log(fitted.posterior[name])
    tree = fitted.tree.copy()
    tree["posterior"] = xr.DataTree(fitted.posterior.assign({name: np.exp(draws + by * draws.std())}))
    return replace(fitted, tree=tree)


def without_rows(fitted, column="loss"):
    tree = fitted.tree.copy()
    tree["observations/loss"] = xr.DataTree(tree["observations/loss"].to_dataset().drop_vars(column))
    return replace(fitted, tree=tree)


def test_a_good_fit_agrees_with_a_second_seed(stored, second):
    assert second.agrees
    assert second.sentence.startswith("A second seed agrees: the largest difference of a posterior mean is 0.")
    assert second.fit.facts["seed"] == 4
    assert second.fit.facts["sampler"] == "importance"
    table = second.table.set_index("parameter")
    assert {"E", "alpha", "beta", "sigma", "nu", OF_THE_LOSS} <= set(table.index)
    assert 0 < table["difference_sd"].abs().max() < 0.2
    np.testing.assert_allclose(table["sd_again"], table["sd"], rtol=0.15)
    fits = (load_fit(stored), second.fit)
    for name in ("E", "alpha", "sigma"):
        of_both = sum(_squared_error_of_the_mean(fitted, name) for fitted in fits)
        found = table.loc[name, "difference_sd"] / table.loc[name, "difference_mcse"]
        assert found * table.loc[name, ["sd", "sd_again"]].pow(2).mean() ** 0.5 == pytest.approx(of_both**0.5, rel=0.02)


def _squared_error_of_the_mean(fitted, name):
    """Return the variance of the mean logarithm of draws, of which those of one walker depend on each other."""
    draws, walkers = fitted.posterior[name].values.ravel(), fitted.tree["sample_stats"]["walker"].values.ravel()
    means = pd.Series(np.log(draws)).groupby(walkers).mean()
    of_walkers = means.var() / len(means)
    return max(of_walkers, np.log(draws).var() / len(draws))


def test_the_stored_rows_give_the_posterior_that_was_stored(stored):
    """So that a difference is one of seeds, and not of what a file keeps of the runs."""
    first = load_fit(stored)
    same = fit_layout(first.layout, Settings(seed=3), {}, first.card, progress=False)
    for name, draws in first.posterior.items():
        np.testing.assert_allclose(same.posterior[name].values, draws.values, rtol=1e-9, err_msg=str(name))


@pytest.mark.parametrize("by", [1.0, -0.4])
def test_draws_of_another_posterior_do_not_agree(stored, sampled_before, by):
    found = check_again(shifted(load_fit(stored), by=by), seed=9)
    assert not found.agrees
    assert found.sentence.startswith(
        "A second seed does NOT agree, do not rely on this posterior: the mean of alpha differs"
    )
    row = found.table.set_index("parameter").loc["alpha"]
    assert row["difference_sd"] == pytest.approx(-by, abs=0.15)
    assert abs(row["difference_mcse"]) > 4
    assert [settings.seed for settings in sampled_before] == [9]


def test_draws_that_are_not_finite_do_not_agree(stored, sampled_before):
    found = check_again(shifted(load_fit(stored), by=np.inf))
    assert not found.agrees
    assert "the mean of alpha" in found.sentence


def test_few_draws_differ_by_no_more_than_their_error(second):
    few = again.SecondSeed(second.fit, second.table.assign(difference_sd=0.5, difference_mcse=2.0, agrees=True))
    assert "within the Monte Carlo error (2 Monte Carlo standard errors): more draws" in few.sentence
    failed = replace(
        second.fit, checks=({"check": "chains", "about": "convergence", "value": 1, "rule": ">= 2", "passed": False},)
    )
    assert "The second seed: This posterior has NOT converged" in again.SecondSeed(failed, second.table).sentence


def test_it_is_sampled_as_the_fit_was(second):
    assert again._settings({}, 1) == Settings(seed=1)
    of_nuts = {"sampler": "nuts", "draws": 700, "tune": 300, "chains": 2, "target_accept": 0.9}
    assert again._settings(of_nuts, 1) == Settings("nuts", 1, 700, 300, 2, 0.9)
    # Where nobody asked for a number of draws, NUTS that follows has one of its own.
    assert again._settings({"sampler": "importance", "draws": 1000}, 1).draws is None
    assert again._settings({"sampler": "importance", "draws": 500}, 1).draws == 500


def test_the_loss_is_that_of_the_largest_run_ten_times_larger():
    view = example_fit()
    columns, group = again._larger(view)
    assert float(columns["compute_flops"]) == pytest.approx(10 * view.table["compute_flops"].max())
    assert not group
    assert set(again._larger(grouped_fit())[1]) == set(grouped_fit().groups.columns)
    names = [name for name in again._draws(example_system()) if name.startswith("log loss")]
    with_compute = [name for name, view in example_system().views.items() if again._larger(view) is not None]
    assert names == [f"{OF_THE_LOSS}, {name}" for name in with_compute]
    assert len(names) < len(example_system().views)


def test_the_same_seed_and_a_fit_without_rows_are_refused(stored):
    fitted = load_fit(stored)
    with pytest.raises(InvalidRequest, match="sampled with the seed 3, which gives the same draws"):
        check_again(fitted, seed=3)
    with pytest.raises(InvalidFit, match=r"lacks the rows of its observation loss \(loss\)"):
        check_again(without_rows(fitted))


def test_the_command_line_says_whether_both_agree(command, stored, sampled_before, tmp_path):  # noqa: F811
    before = stored.read_bytes()
    answer = command("check", stored, "--again")
    assert answer.code == 0, answer.err
    assert answer.out.startswith("A second seed agrees: ")
    assert "The posterior passed every convergence check." in answer.out
    other = shifted(load_fit(stored)).save(tmp_path / "other.nc")
    answer = command("check", other, "--again", "--seed", 8)
    assert answer.code == 1
    assert answer.out.startswith("A second seed does NOT agree")
    assert [settings.seed for settings in sampled_before] == [4, 8]
    for path, code in ((stored, 0), (other, 1)):
        answer = command("check", path, "--again", "--json")
        assert answer.code == code
        compared = json.loads(answer.out)["again"]
        assert compared["agrees"] is (code == 0)
        assert {"parameter", "difference_sd", "difference_mcse", "agrees"} <= set(compared["table"][0])
    assert stored.read_bytes() == before


def test_the_command_line_refuses_in_a_sentence(command, stored, tmp_path):  # noqa: F811
    lacking = without_rows(load_fit(stored), "tokens")
    with pytest.raises(InvalidFit, match="lacks the rows"):
        lacking.save(tmp_path / "fit.nc")
    lacking.__dict__["layout"] = load_fit(stored).layout
    write_fit(tmp_path / "fit.nc", lacking._contents())
    for words in ([], ["--again"]):
        answer = command("check", tmp_path / "fit.nc", *words)
        assert answer.code == 2
        assert answer.err.startswith("Error: ")
        assert "lacks the rows" in answer.err
    answer = command("check", stored, "--seed", 4)
    assert answer.code == 2
    assert answer.err.startswith("Error: --seed is the seed of the second sample, which --again asks for")
