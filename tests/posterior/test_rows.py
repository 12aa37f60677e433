"""Rows of a table go on from runs that the fit has seen, and from no others."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bayes_scaling.errors import InvalidInputs
from bayes_scaling.model.document import read_model
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.predict import predict
from bayes_scaling.posterior.rows import continued_rows, predict_rows, predict_table
from bayes_scaling.posterior.variance import included
from tests.command import command  # noqa: F401 - a fixture
from tests.forecasting import forecast_by_hand

SIGMA, LENGTH, HIGH = 0.01, 2.0, 0.015


@pytest.fixture(scope="module")
def fit() -> Fit:
    """Five runs of five points each, on the law but for the last point of the smallest, which is high; no other error."""
    plain = forecast_by_hand(scale=1e-9, sigma=SIGMA)
    size = plain.table["params"]
    last = (size == size.min()) & (plain.table["tokens"] == plain.table["tokens"].max())
    correlation = read_model("kappa").only.correlation.model_copy(
        update={"along": "tokens", "run_share": None, "nugget": None}
    )
    only = plain.model.only.model_copy(update={"correlation": correlation})
    model = plain.model.model_copy(update={"observations": (only,)})
    posterior = plain.posterior.assign(length=xr.full_like(plain.posterior["sigma"], LENGTH))
    loss = plain.table["loss"] * np.where(last, np.exp(HIGH), 1.0)
    table = plain.table.assign(run_id=[f"run {n:.3g}" for n in size], loss=loss)
    return Fit.from_draws(posterior, model, table, plain.facts)


def rows(**changed) -> pd.DataFrame:
    table = {"params": [1e8, 1e8, 1e10], "tokens": [4e11, 8e11, 4e11], "run_id": ["run 1e+08", "run 1e+08", "run 1e+10"]}
    return pd.DataFrame(table | changed)


def test_a_run_goes_on_from_its_last_point_as_far_as_that_tells(fit):
    """An Ornstein-Uhlenbeck process from a known point: mean kept * z, variance 1 - kept^2, kept = exp(-distance / length)."""
    table = rows()
    found = predict_rows(fit, table)
    residual = np.log(found["measured_loss"] / found["expected_loss"])
    kept = np.exp(-np.log([2.0, 4.0, 2.0]) / LENGTH)
    error = SIGMA / np.sqrt(residual.sizes["chain"] * residual.sizes["draw"])
    mean, sd = residual.mean(("chain", "draw")).values, residual.std(("chain", "draw")).values
    np.testing.assert_allclose(mean, kept * [HIGH, HIGH, 0.0], atol=4 * error)
    np.testing.assert_allclose(sd, SIGMA * np.sqrt(1 - kept**2), rtol=0.1)
    as_new = predict_rows(fit, table.drop(columns="run_id"))
    xr.testing.assert_allclose(found["expected_loss"], as_new["expected_loss"])


@pytest.mark.parametrize(
    "changed",
    [
        {"run_id": ["run 7", "", None]},
        {"tokens": [1e10, 2e11, 2e11]},
        {"run_id": [float("nan")] * 3},
    ],
    ids=["runs not seen", "no further than seen", "no label"],
)
def test_all_else_is_a_new_run(fit, changed):
    table = rows(**changed)
    found = predict_rows(fit, table)
    plain = predict(fit, params=table["params"].to_numpy(), tokens=table["tokens"].to_numpy())
    np.testing.assert_array_equal(found["measured_loss"].values, plain["measured_loss"].values)


def test_runs_are_known_however_their_names_are_spelled(fit):
    """A number in one table may be a word in another."""
    numbers, names = pd.factorize(fit.table["run_id"])
    asked = pd.Series(names.get_indexer(rows()["run_id"]))
    for kind in (float, str):
        known = Fit.from_draws(fit.posterior, fit.model, fit.table.assign(run_id=numbers.astype(kind)), fit.facts)
        for spelled in (int, float, str):
            ends = continued_rows(known, rows(run_id=asked.astype(spelled)))
            np.testing.assert_array_equal(ends, continued_rows(fit, rows()))
            assert (ends >= 0).all()


def test_a_table_without_rows_is_a_sentence(fit):
    with pytest.raises(InvalidInputs, match="no rows"):
        predict_rows(fit, rows().iloc[:0])


def test_a_fit_that_takes_rows_as_independent_knows_no_runs(fit):
    independent = forecast_by_hand()
    assert (continued_rows(independent, rows()) == -1).all()


def test_the_intervals_of_a_run_seen_are_narrower(fit):
    width = [
        t["upper"] - t["lower"] for t in (predict_table(fit, rows()), predict_table(fit, rows().drop(columns="run_id")))
    ]
    assert (width[0] < 0.95 * width[1]).all()


def test_the_command_line_says_which_rows_go_on(fit, command, tmp_path):  # noqa: F811
    stored, table = fit.save(tmp_path / "fit.nc"), tmp_path / "rows.csv"
    rows(run_id=["run 1e+08", "new", "run 1e+10"]).to_csv(table, index=False)
    answer = command("predict", stored, "--inputs", table)
    assert answer.code == 0, answer.err
    assert "2 of 3 rows continue runs that the fit has seen" in answer.err
    rows().drop(columns="run_id").to_csv(table, index=False)
    assert "continue" not in command("predict", stored, "--inputs", table).err


def test_what_intervals_include_names_runs_that_go_on(fit):
    assert "further along a run of the fit" in included(fit)
    assert "further along" not in included(forecast_by_hand())
