"""Rows that went wrong are found, named and count for next to nothing; rows that did not are left alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayes_scaling.errors import DivergedRunsWarning
from bayes_scaling.inference import fit
from bayes_scaling.inference.outliers import leave_one_out
from bayes_scaling.laws import LAWS
from bayes_scaling.model.document import read_model
from bayes_scaling.model.gaussian import Decay
from bayes_scaling.model.noise import serial_of
from bayes_scaling.model.unknowns import JointlyNormal
from bayes_scaling.posterior.fit import load_fit
from bayes_scaling.posterior.predict import predict
from bayes_scaling.posterior.suspects import suspects, suspects_sentence
from tests.conftest import HOFFMANN_LIKE

AHEAD = {"params": 3e10, "tokens": 6e11}


def ladder(seed: int, noise: float = 0.006) -> pd.DataFrame:
    """Twenty-four runs around a grid of N and D."""
    rng = np.random.default_rng(seed)
    N = np.geomspace(3e7, 3e9, 24) * np.exp(0.2 * rng.standard_normal(24))
    D = N * np.exp(rng.uniform(np.log(8), np.log(120), 24))
    loss = LAWS["chinchilla"](N, D, **HOFFMANN_LIKE) * np.exp(noise * rng.standard_normal(24))
    return pd.DataFrame({"run_id": [f"run{n:02d}" for n in range(24)], "params": N, "tokens": D, "loss": loss})


def log_loss(found) -> tuple[float, float]:
    draws = np.log(predict(found, **AHEAD)["expected_loss"])
    return float(draws.mean()), float(draws.std())


@pytest.mark.parametrize("serial", [False, True])
def test_what_all_other_rows_say_is_the_conditional_of_each(serial):
    """Beside a dense Normal: each row given all others, linear unknowns with a wide prior among the effects."""
    rng = np.random.default_rng(3)
    count = 9
    table = pd.DataFrame({"run_id": list("aaabbcdef"), "tokens": rng.uniform(1, 9, count)})
    correlation = read_model("kappa").only.correlation
    blocks = serial_of(table, correlation) if serial else None
    decay = Decay(1.3, 0.4) if serial else None
    scale, own, growth = 0.3, 0.02 * np.ones(count), rng.uniform(0.8, 1.4, count)
    basis, slopes, prior = rng.standard_normal((count, 3)), rng.standard_normal((count, 2)), np.diag([4.0, 1.0])
    z = rng.standard_normal(count)
    along = np.eye(count)
    if serial:
        place = np.log(table["tokens"].to_numpy())
        same = table["run_id"].to_numpy()[:, None] == table["run_id"].to_numpy()
        along = np.where(same, 0.4 + 0.6 * np.exp(-np.abs(place[:, None] - place) / 1.3), 0.0)
    noise = np.outer(scale * growth, scale * growth) * along + np.diag(own)
    rows = noise + np.outer(growth, growth) * (basis @ basis.T) * 0.25
    whole = rows + slopes @ prior @ slopes.T
    # At the mode of the unknowns, whose covariance is that given all rows.
    covariance = np.linalg.inv(slopes.T @ np.linalg.solve(rows, slopes) + np.linalg.inv(prior))
    left = z - slopes @ covariance @ slopes.T @ np.linalg.solve(rows, z)
    jointly = JointlyNormal(np.zeros(count), scale, growth, own, [(np.array([0.5]), basis)], blocks, decay)
    found, off = leave_one_out(jointly, left, slopes, covariance)
    for row in range(count):
        others = np.delete(np.arange(count), row)
        weights = np.linalg.solve(whole[np.ix_(others, others)], whole[others, row])
        residual = z[row] - weights @ z[others]
        variance = whole[row, row] - weights @ whole[others, row]
        assert off[row] == pytest.approx(residual, rel=1e-6)
        assert found[row] == pytest.approx(residual / variance**0.5, rel=1e-6)


def test_a_bad_row_is_named_and_the_forecast_is_that_without_it(tmp_path):
    table = ladder(1)
    bad = table.assign(loss=table["loss"].where(table.index != 15, table["loss"] * 1.08))
    found, without = fit(bad, seed=1, progress=False), fit(bad.drop(index=15).reset_index(drop=True), seed=1, progress=False)
    assert "run15" in suspects_sentence(found)
    row = suspects(found).set_index("label").loc["run15"]
    assert row["prob"] > 0.5
    assert row["off"] == pytest.approx(np.log(1.08), abs=0.03)
    (middle, sd), (other, _) = log_loss(found), log_loss(without)
    assert abs(middle - other) < sd / 4
    again = load_fit(found.save(tmp_path / "fit.nc"))
    assert again.layout.only.outliers == found.layout.only.outliers
    assert log_loss(again) == (middle, sd)
    kept = fit(bad, seed=1, robust=False, progress=False)
    assert suspects_sentence(kept) == ""
    assert "outlier" not in kept.posterior


def test_two_runs_that_diverged_hide_each_other_and_are_found():
    table = ladder(2)
    table.loc[[4, 19], "loss"] = 11.76
    with pytest.warns(DivergedRunsWarning, match="run04 with 11.76, run19 with 11.76"):
        found = fit(table, seed=1, progress=False)
    wrong = suspects(found).set_index("label")["prob"]
    assert wrong["run04"] > 0.99
    assert wrong["run19"] > 0.99
    middle, sd = log_loss(found)
    other, _ = log_loss(fit(table.drop(index=[4, 19]).reset_index(drop=True), seed=1, progress=False))
    assert abs(middle - other) < sd / 4


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_clean_rows_are_left_alone(seed):
    found = fit(ladder(seed), seed=1, progress=False)
    assert len(suspects(found)) == 0
    assert suspects_sentence(found) == ""
