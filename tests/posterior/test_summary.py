"""What is known of a fit, for people and for programs; and that a model that does not describe the runs is said so everywhere."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

import bayes_scaling as bs
from bayes_scaling.inference import fit as sample
from bayes_scaling.posterior.checks import check
from bayes_scaling.posterior.examples import example_fit
from bayes_scaling.posterior.fit import load_fit
from bayes_scaling.posterior.mixture import Mixture
from bayes_scaling.posterior.summary import described, sizes_of
from bayes_scaling.questions.base import question
from tests.command import command  # noqa: F401 - a fixture


@pytest.fixture(scope="module")
def sampled(simulated_runs, tmp_path_factory):
    """A fit by importance sampling, stored."""
    path = tmp_path_factory.mktemp("fits") / "fit.nc"
    return sample(simulated_runs, "chinchilla", sampler="importance", seed=1, progress=False).save(path)


def inadequate(fit):
    """Return a fit whose adequacy failed in one check."""
    table = check(fit)
    failed = table["check"] == "trend test with N, p-value"
    assert failed.sum() == 1
    table.loc[:, "passed"] = ~failed
    table.loc[failed, "value"] = 0.002
    return replace(fit, checks=tuple(table.to_dict("records")))


def test_json_of_fit_and_check_says_all_there_is(command, sampled, simulated_runs, tmp_path):  # noqa: F811
    runs = tmp_path / "runs.csv"
    simulated_runs.table.to_csv(runs, index=False)
    fitted = command("fit", runs, "--model", "chinchilla", "--out", tmp_path / "again.nc", "--seed", 1, "--json")
    found = json.loads(fitted.out)
    checked = json.loads(command("check", tmp_path / "again.nc", "--json").out)
    assert {name: value for name, value in found.items() if name != "fit"} == {
        name: value for name, value in checked.items() if name != "fit"
    }
    fit = load_fit(tmp_path / "again.nc")
    for label in ("E", "A", "A_at_reference", "sigma"):
        draws = fit.posterior[label].values
        ends = [found["parameters"][label][end] for end in ("lower", "median", "upper")]
        np.testing.assert_allclose(ends, np.quantile(draws, [0.05, 0.5, 0.95]))
    assert (found["converged"], found["adequate"], found["prob"]) == (True, True, 0.9)
    assert found["sampling"]["sampler"] == "importance"
    assert found["effective_sizes"]["weights"] == pytest.approx(
        next(c["value"] for c in found["checks"] if c["check"] == "effective sample size of the weights")
    )
    assert sum(mode["share"] for mode in found["modes"]) == pytest.approx(1.0, abs=1e-6)
    assert sum(mode["draws"] for mode in found["modes"]) == pytest.approx(1.0)


def test_the_parameters_are_printed_with_their_intervals(command, sampled):  # noqa: F811
    printed = command("check", sampled, "--prob", "0.5").out
    assert (
        "Parameters: posterior median and 50 % equal-tailed interval, as published; at the reference point N = " in printed
    )
    table = bs.summarize(load_fit(sampled), prob=0.5)
    lines = {line.split()[0]: line for line in printed.splitlines() if line.strip()}
    for name in ("E", "A", "alpha", "sigma"):
        assert f"({table.loc[name, 'lower']:.3g} to {table.loc[name, 'upper']:.3g})" in lines[name]
    assert f"{table.loc['A_at_reference', 'lower']:.3g} to" in lines["A"]
    assert "A_at_reference" not in printed


def test_effective_sizes_of_chains_are_the_smallest_of_each_variable():
    fit = example_fit(chains=4, draws=200)
    table = check(fit).set_index("check")
    for kind in ("bulk", "tail"):
        least = min(sizes_of(fit)[kind].values())
        assert least == pytest.approx(table.loc[f"smallest {kind} ESS", "value"])


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("predict", {"params": 1e10, "tokens": 1e11}),
        ("allocate", {"compute": [1e22]}),
        ("target", {"target": 2.0}),
        ("regret", {"compute": 1e22}),
        ("derive", {"law": "chinchilla", "inputs": {"params": 1e9, "tokens": 1e10}}),
    ],
)
def test_a_model_that_does_not_describe_the_runs_is_a_caveat_of_every_answer_and_refuses_none(name, given):
    says = "The model does NOT describe the runs well: trend test with N, p-value is 0.002, limit >= 0.01."
    answer = question(name, **given).answer(inadequate(example_fit()))
    assert answer.caveats == [says]
    assert str(answer).startswith(says)
    assert answer.overridden == ()
    assert question(name, **given).answer(example_fit()).caveats == []


def test_a_mixture_names_the_fit_that_does_not_describe_the_runs():
    mixture = Mixture({"good": example_fit(), "bad": inadequate(example_fit())}, {"good": 0.5, "bad": 0.5})
    caveats = question("robust", compute=1e22).answer(mixture).caveats
    assert len(caveats) == 1
    assert caveats[0].startswith("bad: The model does NOT describe")
    assert Mixture(mixture.fits, {"good": 1.0, "bad": 0.0}).adequate


def test_a_posterior_without_checks_is_described_as_such():
    found = described(example_fit())
    assert found["checks"] == []
    assert found["adequacy"] == "The model has not been checked against the runs."
