"""What a design can tell, before sampling: against closed forms, and against designs that are known to be wrong."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest

from bayes_scaling.errors import InvalidModel
from bayes_scaling.laws import LAWS
from bayes_scaling.model.design import _remedy, draws_near, identifiability, slopes_of
from bayes_scaling.model.document import read_model
from bayes_scaling.model.layout import Layout
from bayes_scaling.runs.table import read_runs
from bayes_scaling.runs.validate import parse_cells
from tests.command import command  # noqa: F401 - a fixture
from tests.conftest import HOFFMANN_LIKE

SIZES = np.geomspace(5e7, 5e9, 20)


def runs_at(params, tokens):
    params, tokens = np.broadcast_arrays(np.asarray(params, float), np.asarray(tokens, float))
    loss = LAWS["chinchilla"](params, tokens, **HOFFMANN_LIKE)
    return read_runs(pd.DataFrame({"params": params, "tokens": tokens, "loss": loss}))


def grid():
    N, D = np.meshgrid(np.geomspace(5e7, 5e9, 8), np.geomspace(2e9, 1e11, 8))
    return runs_at(N.ravel(), D.ravel())


@pytest.mark.parametrize("model", ["kappa", "chinchilla"])
def test_a_good_design_has_no_findings(model):
    found = identifiability(grid(), read_model(model))
    assert found.findings == ()
    assert (found.parameters["contraction"] > 0.6).all()


@pytest.mark.parametrize(
    ("params", "tokens", "says", "weak"),
    [
        (SIZES, 20 * SIZES, "All runs have 20 tokens per parameter", "b"),
        (SIZES, 1e10, "All runs have D = 10B", "b"),
        (1e9, SIZES, "All runs have N = 1B", "a"),
        (SIZES, 1e5 * SIZES**0.6, "one path of N and D", "b"),
        (np.geomspace(9e8, 1.1e9, 20), np.tile([2e10, 2.1e10], 10), "decades of compute", "b"),
    ],
)
def test_what_is_wrong_is_named_with_the_parameter(params, tokens, says, weak):
    found = identifiability(runs_at(params, tokens), read_model("kappa"))
    assert any(says in finding for finding in found.findings), found.findings
    assert weak in found.weak
    assert any(f"{weak} 0." in finding for finding in found.findings)


def test_the_run_it_names_does_tell_more():
    bad = runs_at(SIZES, 1e10)
    spec = read_model("kappa").without_discrepancy()
    before = identifiability(bad, spec)
    sentence = before.findings[-1]
    assert "most informative further run about b" in sentence
    run = {name: [sentence.split(f"{name} = ")[1].split(",")[0]] for name in ("N", "D")}
    N, D = parse_cells(pd.DataFrame(run).rename(columns={"N": "params", "D": "tokens"}))[0].iloc[0]
    assert 1.1 * float(bad.table["compute_flops"].max()) > 6 * N * D
    after = identifiability(runs_at([*SIZES, N], [*np.full(20, 1e10), D]), spec)
    assert after.parameters.loc["b", "contraction"] > before.parameters.loc["b", "contraction"] + 0.2


def test_information_is_that_of_a_power_law(tmp_path):
    """For log L = log beta - c log(x / x0) with known scatter, regression has a closed form."""
    (tmp_path / "power.toml").write_text(
        """
law = "m1"
inputs = { x = "tokens" }
[parameters.beta]
prior = { dist = "LogNormal", mu = 1.0, sigma = 0.5 }
[parameters.c]
prior = { dist = "LogNormal", mu = -1.5, sigma = 0.001 }
[likelihood]
dist = "Normal"
sigma = { dist = "LogNormal", mu = -4.6, sigma = 0.001 }
"""
    )
    tokens = np.geomspace(1e9, 1e11, 12)
    runs = read_runs(pd.DataFrame({"tokens": tokens, "loss": np.exp(1.0) * (tokens / 1e10) ** -0.22}))
    found = identifiability(runs, read_model(tmp_path / "power.toml")).parameters
    # The log of beta is the log loss at the middle: twelve runs and the prior.
    assert found.loc["beta", "expected_sd"] == pytest.approx((12 / np.exp(-4.6) ** 2 + 0.5**-2) ** -0.5, rel=0.02)
    # The exponent is all but known before: the runs add next to nothing.
    assert found.loc["c", "contraction"] < 0.2


def test_discrepancy_makes_runs_tell_less():
    spec = read_model("kappa")
    with_walks, without = (identifiability(grid(), s).parameters["contraction"] for s in (spec, spec.without_discrepancy()))
    assert (with_walks < without).all()


def test_groups_are_refused():
    runs = read_runs(grid().table.assign(group="a"))
    with pytest.raises(InvalidModel, match="give the design of one group"):
        identifiability(runs, read_model("kappa_by_group"))


def test_the_verb_prints_and_says(command, tmp_path):  # noqa: F811
    runs_at(SIZES, 20 * SIZES).table.to_csv(tmp_path / "runs.csv", index=False)
    text, parsed = (
        command("design", tmp_path / "runs.csv"),
        json.loads(command("design", tmp_path / "runs.csv", "--json").out),
    )
    assert "All runs have 20 tokens per parameter" in text.out
    assert parsed["findings"][0] in text.out
    assert set(parsed["weak"]) <= {row["parameter"] for row in parsed["parameters"]}
    assert command("design", tmp_path / "runs.csv", "--model", "kaplan_system").code == 2


def test_a_parameter_that_no_further_run_tells_of_is_not_promised_one():
    layout = Layout.of(read_model("chinchilla"), {"loss": grid().table})
    near = draws_near(layout, np.random.default_rng(0))
    assert "most informative" in _remedy(layout, near, "alpha", 0.0)
    best = float(re.search(r"to ([0-9.]+)\.$", _remedy(layout, near, "alpha", 0.0))[1])
    assert "most informative" not in _remedy(layout, near, "alpha", best - 0.02)


def test_errors_of_measurement_are_variances_of_their_own():
    table = grid().table.assign(loss_se=lambda t: 0.03 * t["loss"])
    layout = Layout.of(read_model("chinchilla"), {"loss": table})
    first = next(slopes_of(layout, layout, draws_near(layout, np.random.default_rng(0))))
    np.testing.assert_allclose(first.own_variance, 0.03**2, rtol=1e-9)
