"""Posteriors that are none, made by hand: each is flagged by the check that is there for it."""

from __future__ import annotations

from dataclasses import replace

import arviz_stats
import numpy as np
import pytest
import xarray as xr

from bayes_scaling.errors import NotConvergedWarning
from bayes_scaling.posterior.checks import ADEQUACY, CONVERGENCE, RULES, check, contraction, summarize
from bayes_scaling.posterior.examples import example_fit
from bayes_scaling.posterior.predict import predict

GOOD = example_fit(chains=4, draws=500)


def changed(posterior=None, statistics=None, runs=None):
    groups = {group.path: group.to_dataset(inherit=False) for group in GOOD.tree.subtree}
    if posterior is not None:
        groups["/posterior"] = posterior
    if statistics is not None:
        groups["/sample_stats"] = groups["/sample_stats"].assign(statistics)
    if runs is not None:
        groups["/observations/loss"] = groups["/observations/loss"].assign(loss=("run", runs))
    fit = replace(GOOD, tree=xr.DataTree.from_dict(groups))
    return replace(fit, checks=tuple(check(fit).to_dict("records")))


def failed(fit, about=CONVERGENCE):
    return {c["check"] for c in fit.checks if not c["passed"] and c["about"] == about}


def with_draws(name, change):
    posterior = GOOD.posterior.copy(deep=True)
    posterior[name].values[:] = change(posterior[name].values.copy())
    return changed(posterior)


def stat(values):
    return (("chain", "draw"), values)


def test_a_good_one_passes():
    fit = changed()
    assert failed(fit) == set()
    assert fit.converged
    assert fit.verdict == "The posterior passed every convergence check."


def stuck(draws):
    draws[0] = draws[0, 0]
    return draws


def two_modes(draws):
    draws[2:] *= 1.3
    return draws


def drifting(draws):
    return draws * np.linspace(1.0, 1.2, draws.shape[1])


def not_a_number(draws):
    draws[1, 7] = np.nan
    return draws


def infinite(draws):
    draws[1, 7] = np.inf
    return draws


@pytest.mark.parametrize(
    ("change", "caught_by"),
    [
        (stuck, "largest R-hat"),
        (two_modes, "largest R-hat"),
        (drifting, "largest R-hat"),
        (drifting, "smallest bulk ESS"),
        (not_a_number, "share of draws not finite"),
        (infinite, "share of draws not finite"),
        (lambda d: np.full_like(d, 0.3), "largest R-hat"),
        (lambda d: np.sort(d.ravel()).reshape(d.shape), "smallest tail ESS"),
    ],
)
def test_draws_that_are_no_posterior(change, caught_by):
    fit = with_draws("alpha", change)
    assert caught_by in failed(fit)
    named = {c["check"]: c["where"] for c in fit.checks}
    assert named[caught_by] == "alpha"
    assert "NOT converged" in fit.verdict
    with pytest.warns(NotConvergedWarning, match="NOT converged"):
        predict(fit, params=1e9, tokens=1e10)


@pytest.mark.parametrize(
    ("statistics", "caught_by"),
    [
        ({"diverging": stat(np.arange(2000).reshape(4, 500) < 2)}, "share of divergences"),
        (
            {"reached_max_treedepth": stat(np.arange(2000).reshape(4, 500) % 10 == 0)},
            "share of iterations at maximum tree depth",
        ),
        ({"energy": stat(np.cumsum(np.random.default_rng(0).standard_normal((4, 500)), axis=1))}, "smallest E-BFMI"),
    ],
)
def test_a_sampler_in_trouble(statistics, caught_by):
    assert failed(changed(statistics=statistics)) == {caught_by}


def test_few_draws_and_one_chain():
    assert "smallest bulk ESS" in failed(changed(GOOD.posterior.isel(draw=slice(0, 50))))
    assert "chains" in failed(changed(GOOD.posterior.isel(chain=[0])))
    assert {"largest R-hat", "smallest bulk ESS"} <= failed(changed(GOOD.posterior.isel(draw=[0])))


def test_runs_the_law_does_not_describe():
    runs = GOOD.table
    bent = runs["loss"] * (runs["params"] / runs["params"].mean()) ** 0.02
    found = failed(changed(runs=bent.to_numpy()), ADEQUACY)
    assert "trend test with N, p-value" in found
    assert "coverage test, p-value" in failed(changed(runs=(runs["loss"] * 1.2).to_numpy()), ADEQUACY)
    bowed = runs["loss"] * (1 + 0.01 * (np.log(runs["tokens"] / runs["tokens"].median()) / 2) ** 2)
    assert "trend test with D, p-value" in failed(changed(runs=bowed.to_numpy()), ADEQUACY)
    # A model that does not fit is not a posterior that did not converge.
    assert changed(runs=bent.to_numpy()).converged


def test_a_loss_in_another_unit_is_one_the_priors_did_not_expect():
    assert "share of runs in the 99 % prior predictive interval" in failed(
        changed(runs=(GOOD.table["loss"] * 40).to_numpy()), ADEQUACY
    )


def test_rules_pass_at_their_threshold_and_fail_beyond():
    for rule in RULES.values():
        beyond = 1e-6 if rule.comparison == "<=" else -1e-6
        assert rule.passes(rule.threshold)
        assert not rule.passes(rule.threshold + beyond)
        assert not rule.passes(float("nan"))


def test_contraction_is_between_prior_and_posterior():
    table = contraction(GOOD)
    assert (table["contraction"] <= 1).all()
    assert table.loc["alpha", "posterior_sd"] == pytest.approx(0.01, rel=0.05)
    assert table.loc["alpha", "prior_sd"] == pytest.approx(0.5, rel=0.05)


def test_summary_states_its_probability():
    table = summarize(GOOD, prob=0.5)
    assert table.attrs["prob"] == 0.5
    inside = (GOOD.posterior["beta"] > table.loc["beta", "lower"]) & (GOOD.posterior["beta"] < table.loc["beta", "upper"])
    assert float(inside.mean()) == pytest.approx(0.5, abs=0.01)


def test_r_hat_and_energy_are_those_of_arviz():
    rng = np.random.default_rng(3)
    repeated = GOOD.posterior.isel(draw=rng.integers(0, 500, 500)).drop_vars("draw")
    energy = rng.standard_normal((4, 500)).cumsum(axis=1)
    checks = {c["check"]: c for c in changed(repeated, {"energy": stat(energy)}).checks}
    theirs = arviz_stats.rhat(repeated)
    assert checks["largest R-hat"]["value"] == pytest.approx(max(float(value.max()) for value in theirs.values()), rel=1e-12)
    assert checks["smallest E-BFMI"]["value"] == pytest.approx(float(np.min(arviz_stats.bfmi(energy))), rel=1e-12)
