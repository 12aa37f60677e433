"""A choice by forecasts: laws that forecast the table's larger runs well are mixed, and few runs keep the default."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from bayes_scaling.evaluation import backtest as room
from bayes_scaling.evaluation import choice
from bayes_scaling.evaluation.choice import candidates, choose
from bayes_scaling.posterior.examples import example_fit
from bayes_scaling.posterior.fit import Fit, load_fit
from bayes_scaling.posterior.mixture import Mixture, load_mixture
from tests.command import command  # noqa: F401 - a fixture
from tests.evaluation.test_backtest import ladder
from tests.evaluation.test_weights import scored_by_hand


@pytest.fixture
def by_hand(monkeypatch):
    """Forecasts and fits by hand: of the two laws, one in ``off`` forecasts three per cent high; what was fitted is listed."""
    off, fitted = {}, []
    monkeypatch.setattr(room, "_outcome", lambda job: scored_by_hand(job, off))
    monkeypatch.setattr(choice, "fit", lambda table, model, **_: fitted.append(model.law) or example_fit())
    return off, fitted


def test_candidates_follow_from_the_columns():
    runs = pd.DataFrame({"params": [1e8, 1e9], "tokens": [4e9, 4e10], "dataset_tokens": [4e9, 4e10]})
    assert candidates(runs[["params", "tokens"]]) == candidates(runs) == ("kappa", "farseer")
    assert candidates(runs.assign(dataset_tokens=1e9)) == ("kappa", "farseer", "repeated_penalty")
    assert candidates(runs[["params"]]) == ("offset_n",)


@pytest.mark.parametrize("better", ["kappa", "farseer"])
def test_one_law_that_forecasts_better_is_fitted_alone(by_hand, better):
    off, fitted = by_hand
    off |= {name: 0.03 for name in ("kappa", "farseer") if name != better}
    found = choose(ladder(0.01), progress=False)
    assert isinstance(found.posterior, Fit)
    assert fitted == [better]
    assert found.weights.weights[better] > 0.95
    assert f"{better} 1.00" in found.sentence


def test_laws_that_forecast_alike_are_mixed(by_hand):
    found = choose(ladder(0.01), progress=False)
    assert isinstance(found.posterior, Mixture)
    assert sum(found.posterior.weights.values()) == pytest.approx(1)
    assert set(found.posterior.weights) == {"kappa", "farseer"}
    assert "larger runs" in found.sentence


def test_few_runs_keep_the_default_and_say_why(by_hand):
    _, fitted = by_hand
    runs = ladder(0.01)
    found = choose(runs.nsmallest(12, "compute_flops"), progress=False)
    assert found.weights is None
    assert fitted == ["kappa"]
    assert found.sentence.startswith("kappa was fitted: ")
    assert "forecast" in found.sentence
    alone = choose(runs[["tokens", "loss"]], progress=False)
    assert alone.sentence == "offset_d was fitted: it is the only shipped model for these columns."


def test_auto_on_the_command_line(by_hand, tmp_path, command):  # noqa: F811
    off, _ = by_hand
    table, out = tmp_path / "runs.csv", tmp_path / "chosen"
    ladder(0.01).to_csv(table, index=False)
    mixed = command("fit", table, "--model", "auto", "--out", out)
    assert mixed.code == 0, mixed.err
    assert "Stacking weights from" in mixed.out
    assert set(load_mixture(out).weights) == {"kappa", "farseer"}
    assert command("predict", out, "--params", "1e9", "--tokens", "2e10").code == 0
    again = command("fit", table, "--model", "auto", "--out", out, "--json")  # a mixture may be written anew
    assert json.loads(again.out)["weights"].keys() == {"kappa", "farseer"}
    off["farseer"] = 0.03
    single = command("fit", table, "--model", "auto", "--out", tmp_path / "fit.nc", "--json")
    assert single.code == 0, single.err
    assert "kappa 1.00" in json.loads(single.out)["choice"]
    assert load_fit(tmp_path / "fit.nc").converged
    refused = command("fit", table, "--model", "auto", "--pin", "E=1.7", "--out", tmp_path / "fit.nc")
    assert refused.code == 2
    assert "does not combine with --pin, --by, --best-of or --curves" in refused.err
