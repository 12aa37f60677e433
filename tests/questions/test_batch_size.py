"""The critical batch from a table of steps to a loss: two batches give a wide answer that holds the truth."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from bayes_scaling.errors import MissingColumn, NotLearned
from bayes_scaling.inference import fit
from bayes_scaling.laws import LAWS
from bayes_scaling.posterior.examples import example_fit
from bayes_scaling.posterior.rows import predict_table
from bayes_scaling.questions.base import ask
from bayes_scaling.questions.derive import derive
from bayes_scaling.runs.derived import scans
from bayes_scaling.runs.table import read_runs
from tests.command import command  # noqa: F401 - a fixture

KNOWN = {"S_least": 5000.0, "B_star": 1e8, "alpha_B": 0.22}
SETTINGS = {"seed": 1, "sampler": "importance", "progress": False}


def table(batches, losses=(2.8,), scatter=0.0, params=1e9):
    B, L = (grid.ravel() for grid in np.meshgrid(batches, losses))
    steps = LAWS["steps_in_scan"](B, L, **KNOWN) * np.exp(scatter * np.random.default_rng(0).standard_normal(B.size))
    return pd.DataFrame({"params": params, "batch_tokens": B, "steps": steps, "loss": L})


def critical(loss):
    return float(LAWS["critical_batch"](loss, B_star=KNOWN["B_star"], alpha_B=KNOWN["alpha_B"]))


def test_two_batches_give_a_wide_interval_with_the_truth_in_it():
    found = fit(read_runs(table([2**18, 2**20])), "steps_to_loss", **SETTINGS)
    assert found.converged, found.verdict
    answer = ask(found, "critical-batch", batch_tokens=2**21)
    ends = answer.values["critical_batch"]
    before, after = (
        np.log(derive(fit, "critical_batch", loss=answer.values["loss"])).var() for fit in (found.at_prior(), found)
    )
    assert answer.values["contraction"] == pytest.approx(float(1 - after / before))
    assert ends["lower"] < critical(2.8) < ends["upper"]
    assert 1.5 < ends["upper"] / ends["lower"] < 30
    assert ends["median"] == pytest.approx(critical(2.8), rel=0.3)
    assert answer.values["prior"]["upper"] / answer.values["prior"]["lower"] > 300
    assert answer.values["loss"] == pytest.approx(2.8)
    assert answer.caveats == []
    rows = answer.tables["batches"].set_index("batch_tokens")
    assert list(rows.index) == [2**21, 2**18, 2**20]
    np.testing.assert_allclose(rows["tokens_factor"], 1 + rows.index / ends["median"], rtol=0.02)
    np.testing.assert_allclose(rows["steps_factor"], 1 + ends["median"] / rows.index, rtol=0.02)
    assert rows.loc[2**21, "above"] > 0.9
    steps = predict_table(found, found.table.assign(batch_tokens=2.0**19))  # of a law of the loss, the loss is an input
    right = LAWS["steps_in_scan"](2.0**19, 2.8, **KNOWN)
    assert (steps["lower"] < right).all()
    assert (right < steps["upper"]).all()


def test_more_batches_and_losses_narrow_it_and_say_how_it_changes():
    runs = table(2.0 ** np.arange(16, 23), losses=(3.4, 3.0, 2.6), scatter=0.03)
    found = fit(read_runs(runs), "steps_to_loss", **SETTINGS)
    assert found.converged, found.verdict
    for loss in (3.4, 2.6):
        ends = ask(found, "critical-batch", loss=loss).values["critical_batch"]
        assert ends["lower"] < critical(loss) < ends["upper"]
        assert ends["upper"] / ends["lower"] < 2
    assert float(found.learned["alpha_B"].median()) == pytest.approx(0.22, rel=0.25)


def test_one_batch_a_size_says_little_and_says_so():
    runs = pd.concat([table([2**20], params=1e9), table([2**21], params=3e9).assign(steps=3e4)])
    found = fit(read_runs(runs), "steps_to_loss", **SETTINGS)
    answer = ask(found, "critical-batch", batch_tokens=2**21)
    assert found.converged, found.verdict
    assert any(
        caveat.startswith("No size and loss was measured at two batches (N 1e+09, L 2.8000, N 3e+09")
        for caveat in answer.caveats
    )
    assert any("which a critical batch cannot explain" in caveat for caveat in answer.caveats)
    ends = answer.values["critical_batch"]
    assert ends["upper"] / ends["lower"] > 30


def test_steps_follow_from_tokens_and_a_table_without_either_is_refused():
    runs = table([2**18, 2**20])
    by_tokens = runs.assign(tokens=runs["steps"] * runs["batch_tokens"]).drop(columns="steps")
    np.testing.assert_allclose(scans(by_tokens)["steps"], runs["steps"])
    assert set(scans(runs.drop(columns="params"))["scan"]) == {"L 2.8000"}
    with pytest.raises(MissingColumn, match="'steps'"):
        scans(runs.drop(columns="steps"))


def test_a_law_without_a_critical_batch_is_refused():
    with pytest.raises(NotLearned, match="B_star"):
        ask(example_fit(), "critical-batch", loss=2.0)


def test_a_table_is_answered_in_one_command(tmp_path, command):  # noqa: F811
    path = tmp_path / "steps.csv"
    table([2**18, 2**20]).rename(columns={"steps": "updates"}).to_csv(path, index=False)
    done = command("critical-batch", path, "--columns", "steps=updates", "--batch-tokens", 2**21, "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["critical_batch"]["lower"] < critical(2.8) < found["critical_batch"]["upper"]
    said = command("critical-batch", path, "--columns", "steps=updates", "--batch-tokens", 2**21)
    assert "At a loss of 2.8 the critical batch is" in said.out
    assert "A batch of 2.1M tokens is above it with a probability of" in said.out
    refused = command("critical-batch", path, "--batch-tokens", 2**21)
    assert refused.code == 2
    assert "no column 'steps'" in refused.err
