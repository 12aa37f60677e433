from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bayes_scaling.errors import (
    BeyondMachine,
    InconsistentComputeWarning,
    InvalidInputs,
    NewGroupWarning,
    OutOfRange,
    UnknownChoice,
)
from bayes_scaling.posterior.extrapolation import reach, reach_sentence
from bayes_scaling.posterior.predict import interval, intervals, predict
from bayes_scaling.posterior.residuals import loss_at_runs
from bayes_scaling.posterior.rows import predict_table
from tests.conftest import HOFFMANN_LIKE
from tests.grouped import grouped_fit


def test_one_draw_is_the_law(exact_fit):
    law = exact_fit.model.only.the_law
    prediction = predict(exact_fit, params=7e10, tokens=1.4e12)
    assert prediction["expected_loss"].dims == ("chain", "draw")
    assert prediction["expected_loss"].item() == pytest.approx(law(7e10, 1.4e12, **HOFFMANN_LIKE), rel=1e-12)


def test_what_6nd_gives_may_be_left_out(exact_fit):
    full = predict(exact_fit, params=7e10, tokens=1.4e12)["expected_loss"].item()
    assert predict(exact_fit, params=7e10, compute_flops=6 * 7e10 * 1.4e12)["expected_loss"].item() == pytest.approx(full)
    assert predict(exact_fit, tokens=1.4e12, compute_flops=6 * 7e10 * 1.4e12)["expected_loss"].item() == pytest.approx(full)
    assert predict(exact_fit, params=7e10, steps=7e5, batch_tokens=2e6)["expected_loss"].item() == pytest.approx(full)


def test_sequences_are_runs_and_arrays_broadcast_by_name(fit_by_hand):
    pairs = predict(fit_by_hand, params=[1e9, 1e10], tokens=[2e10, 2e11])
    assert pairs["measured_loss"].dims == ("chain", "draw", "query")
    grid = predict(
        fit_by_hand, params=xr.DataArray([1e9, 1e10], dims="size"), tokens=xr.DataArray([2e10, 1e11, 2e11], dims="length")
    )
    assert grid["expected_loss"].sizes == {"chain": 4, "draw": 100, "size": 2, "length": 3}
    np.testing.assert_allclose(grid["expected_loss"][:, :, 0, 0], pairs["expected_loss"][:, :, 0])


def test_the_seed_gives_the_same_answer(fit_by_hand):
    first, again, other = (predict(fit_by_hand, params=1e9, tokens=1e10, seed=s)["measured_loss"] for s in (1, 1, 2))
    assert first.equals(again)
    assert not first.equals(other)


def test_a_new_run_is_wider_than_the_law(fit_by_hand):
    found = intervals(predict(fit_by_hand, params=1e9, tokens=1e10), prob=0.8)
    assert found["lower"] < found["mean_lower"] < found["median"] < found["mean_upper"] < found["upper"]
    assert found.attrs["prob"] == 0.8
    assert found.attrs["loss_unit"] == "nats/token"


def test_more_runs_than_the_memory_holds_are_refused_before_the_first(fit_by_hand, monkeypatch):
    monkeypatch.setattr("bayes_scaling.posterior.predict.memory", lambda: 1e8)
    rows = pd.DataFrame({"params": np.full(2000, 1e9), "tokens": 2e10})
    for ask in (lambda: predict_table(fit_by_hand, rows), lambda: predict(fit_by_hand, **rows)):
        with pytest.raises(BeyondMachine, match="2,000 runs"):
            ask()
    assert len(predict_table(fit_by_hand, rows[:1000])) == 1000


@pytest.mark.parametrize("gaps", [0, 3])
def test_an_interval_is_of_the_draws_there_are(gaps):
    draws = np.arange(200.0).reshape(4, 50)
    draws[0, :gaps] = np.nan
    found = interval(xr.DataArray(draws, dims=("chain", "draw")), 0.8)
    assert [float(end) for end in found] == pytest.approx(np.nanquantile(draws, [0.5, 0.1, 0.9]).tolist())


@pytest.mark.parametrize(
    ("request_", "kind", "named"),
    [
        ({}, InvalidInputs, "params, tokens"),
        ({"params": 1e9}, InvalidInputs, "tokens"),
        ({"params": -1e9, "tokens": 1e10}, OutOfRange, r"params is -1e\+09"),
        ({"params": float("nan"), "tokens": 1e10}, OutOfRange, "params is nan"),
        ({"params": "big", "tokens": 1e10}, OutOfRange, "params is 'big'"),
        ({"params": 1e9, "tokens": 1e30}, OutOfRange, r"tokens is 1e\+30"),
        ({"parms": 1e9, "tokens": 1e10}, UnknownChoice, "did you mean 'params'"),
        ({"params": [1e9, 1e10], "tokens": [1e10, 1e11, 1e12]}, InvalidInputs, "2 and 3"),
        ({"params": 1e9, "tokens": 1e10, "group": {"corpus": "C4"}}, UnknownChoice, "'corpus'"),
        ({"params": 1e9, "tokens": 1e10, "group": "C4"}, InvalidInputs, "'C4'"),
        ({"params": 1e9, "tokens": 1e10, "seed": -1}, OutOfRange, "seed is -1"),
        ({"params": 1e9, "tokens": 1e10, "seed": 1.5}, OutOfRange, r"seed is 1\.5"),
        ({"params": 1e-300, "tokens": 1e10}, OutOfRange, "params is 1e-300"),
        ({"params": [], "tokens": []}, InvalidInputs, "params"),
    ],
)
def test_a_bad_request_is_a_sentence(fit_by_hand, request_, kind, named):
    with pytest.raises(kind, match=named):
        predict(fit_by_hand, **request_)


def test_reach_counts_decades_both_ways(fit_by_hand):
    assert float(reach(fit_by_hand, "params", 1e12)) == pytest.approx(2.0)
    assert float(reach(fit_by_hand, "params", 1e7)) == pytest.approx(-1.0)
    assert float(reach(fit_by_hand, "params", 1e9)) == 0.0
    prediction = predict(fit_by_hand, params=1e12, tokens=2e11)
    assert float(prediction.reach_tokens) == 0.0
    assert "below the runs by 1.00 decades in N" in reach_sentence({"params": -1.0, "tokens": 0.0})
    assert reach_sentence({"params": 0.0}) == "inside the runs"


def test_a_table_keeps_its_columns_and_order(fit_by_hand):
    table = pd.DataFrame({"name": ["b", "a"], "params": [1e10, 1e9], "tokens": [1e11, 2e10], "lr": [None, 1e-3]})
    found = predict_table(fit_by_hand, table, prob=0.9, seed=4)
    assert found.columns.tolist() == [
        *table.columns,
        *("median", "lower", "upper", "mean_lower", "mean_upper"),
        *("reach_params", "reach_tokens", "reach_compute_flops"),
    ]
    assert found["name"].tolist() == ["b", "a"]
    assert found["median"].is_monotonic_increasing
    again = predict_table(fit_by_hand, found, prob=0.9, seed=4)
    pd.testing.assert_frame_equal(again, found)


def test_a_repeated_index_is_kept(fit_by_hand):
    table = pd.DataFrame({"params": [1e9, 1e10], "tokens": [1e10, 1e11]}, index=[7, 7])
    found = predict_table(fit_by_hand, table)
    assert found.index.tolist() == [7, 7]
    assert len(found) == 2


def test_n_d_and_c_that_contradict_each_other_are_said(fit_by_hand):
    with pytest.warns(InconsistentComputeWarning, match="factor of up to 1.67e"):
        predict(fit_by_hand, params=1e9, tokens=1e10, compute_flops=1e25)


def test_interval_needs_a_probability():
    with pytest.raises(OutOfRange):
        interval(xr.DataArray([[1.0]], dims=("chain", "draw")), 90)


def test_losses_at_the_runs_are_the_law_s(exact_fit):
    np.testing.assert_allclose(loss_at_runs(exact_fit).squeeze(), exact_fit.table["loss"], rtol=1e-12)


class TestGroups:
    def test_a_known_group_has_its_own_parameters(self):
        fit = grouped_fit()
        a, b = (predict(fit, params=1e9, tokens=1e10, group={"group": g})["expected_loss"] for g in "ab")
        assert float(a.mean()) < float(b.mean())
        draws = fit.posterior.sel(group="a")
        law = fit.model.the_law(1e9, 1e10, **{n: draws[n] for n in fit.model.parameters})
        np.testing.assert_allclose(a, law, rtol=1e-12)

    def test_a_new_group_is_the_population_and_is_said(self):
        fit = grouped_fit()
        with pytest.warns(NewGroupWarning, match=r"the fit has not seen group 'c'. Seen: a, b"):
            fresh = predict(fit, params=1e9, tokens=1e10, group={"group": "c"}, seed=1)
        with pytest.warns(NewGroupWarning, match="no group was given"):
            unnamed = predict(fit, params=1e9, tokens=1e10, seed=1)
        known = predict(fit, params=1e9, tokens=1e10, group={"group": "a"})
        for new in (fresh, unnamed):
            assert float(new["expected_loss"].std()) > 2 * float(known["expected_loss"].std())

    def test_a_new_group_is_one_group_for_all_its_runs(self):
        fit = grouped_fit()
        with pytest.warns(NewGroupWarning):
            both = predict(fit, params=[1e9, 1.01e9], tokens=[1e10, 1.01e10], group={"group": "c"})["expected_loss"]
        assert float(xr.corr(both[..., 0], both[..., 1])) > 0.999

    def test_spread_of_zero_is_no_grouping(self):
        fit = grouped_fit(spread=0.0)
        with pytest.warns(NewGroupWarning):
            new = predict(fit, params=1e9, tokens=1e10, group={"group": "c"})["expected_loss"]
        law = fit.model.only.the_law
        at = law.from_reference({n: fit.posterior[f"{n}_population"] for n in fit.model.parameters}, fit.reference)
        np.testing.assert_allclose(new, law(1e9, 1e10, **at), rtol=1e-12)

    def test_a_table_names_its_groups(self):
        fit = grouped_fit()
        table = pd.DataFrame({"params": 1e9, "tokens": 1e10, "group": ["b", "a", "b"]})
        found = predict_table(fit, table)
        assert found["median"][0] == pytest.approx(found["median"][2], rel=2e-3)
        assert found["median"][0] > 1.02 * found["median"][1]

    def test_each_run_is_in_its_own_group(self):
        fit = grouped_fit()
        expected = loss_at_runs(fit)
        for i, run in fit.table.iterrows():
            alone = predict(fit, params=run.params, tokens=run.tokens, group={"group": run.group})["expected_loss"]
            np.testing.assert_allclose(expected.sel(run=i), alone, rtol=1e-12)
