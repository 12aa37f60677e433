"""What `fit` prints, what comes from standard input and goes to standard output, and panels and typing errors."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bayes_scaling as bs
from bayes_scaling.posterior.examples import example_fit, example_system
from bayes_scaling.posterior.horizon import horizon
from bayes_scaling.posterior.predict import intervals, predict
from tests.command import command  # noqa: F401

BAYES_SCALING = Path(sys.executable).with_name("bayes-scaling")


def test_fit_reads_standard_input_and_prints_units_reach_and_the_next_command(tmp_path):
    table = bs.load_runs("ladder").where("series in ['size', 'compute'] and compute_flops < 1e13").table
    words = ["fit", "-", "--model", "offset_n", "--out", tmp_path / "fit.nc", "--draws", "300", "--loss-unit", "bits/byte"]
    csv = table[["params", "loss"]].to_csv(index=False)
    ran = subprocess.run([BAYES_SCALING, *words], input=csv, capture_output=True, text=True, check=False)
    assert ran.returncode in (0, 1), ran.stderr
    lines = ran.stdout.splitlines()
    assert any(line.split()[:1] == ["E"] and line.endswith("bits/byte") for line in lines)
    assert "Forecast of a new run, 90 % interval, in bits/byte:" in lines
    assert any("the largest run    N = " in line for line in lines)
    assert f"Fit: {tmp_path / 'fit.nc'}" in lines
    following = lines[-1].removeprefix("Next: bayes-scaling ").split()
    assert subprocess.run([BAYES_SCALING, *following], capture_output=True, check=False).returncode == 0


def test_the_forecast_that_is_printed_is_the_one_of_predict():
    fit = example_fit()
    ahead, largest = horizon(fit, 0.8), fit.table.iloc[fit.table["compute_flops"].argmax()]
    a_decade = {column: float(largest[column]) * 10**0.5 for column in ("params", "tokens")}
    bounds = intervals(predict(fit, **a_decade), 0.8)
    assert ahead["upper"].iloc[1] == pytest.approx(float(bounds["upper"]), rel=0.01)
    width = np.log(ahead["upper"] / ahead["lower"])
    assert (width > 0).all()
    assert horizon(example_system()) is None


def test_a_table_goes_to_standard_output(command, tmp_path):  # noqa: F811
    path = example_fit().save(tmp_path / "fit.nc")
    runs = tmp_path / "planned.csv"
    pd.DataFrame({"run_id": ["a", "b"], "params": [1e9, 2e9], "tokens": [2e10, 4e10]}).to_csv(runs, index=False)
    answer = command("predict", path, "--inputs", runs, "--out", "-")
    assert answer.code == 0, answer.err
    table = pd.read_csv(io.StringIO(answer.out))
    assert table["run_id"].tolist() == ["a", "b"]
    assert (table["lower"] < table["upper"]).all()


def test_every_verb_is_in_a_panel(command):  # noqa: F811
    text = command("--help").out
    panels = ["Runs:", "Fit:", "Trust:", "Ask: forecast:", "Ask: budget:", "Ask: training:", "Ask: constants:", "Share:"]
    places = [text.index(f"\n{panel}\n") for panel in panels]
    assert places == sorted(places)
    for panel, verb in (("Runs:", "collect"), ("Fit:", "weigh"), ("Trust:", "check"), ("Share:", "report")):
        section = text.split(f"\n{panel}\n")[1].split("\n\n")[0]
        assert f"  {verb} " in section


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fitt"], "did you mean 'fit'?"),
        (["stop-erly"], "did you mean 'stop-early'?"),
        (["fit", "ladder", "--modl", "kappa"], "--model"),
        (["target", "fit.nc", "--los", "2"], "--loss"),
        (["--versoin"], "--version"),
    ],
)
def test_a_typing_error_is_answered_with_what_was_meant(command, words, said):  # noqa: F811
    answer = command(*words)
    assert answer.code == 2
    assert said in answer.err
