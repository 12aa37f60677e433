"""Early stops, deadlines and the next run, against the paper, closed forms and brute force."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bayes_scaling.errors import InvalidInputs, MissingOption, NotLearned, OutOfRange, Unreachable
from bayes_scaling.laws.efficient import compute_to_loss
from bayes_scaling.laws.kaplan import kaplan_n
from bayes_scaling.model.document import read_model
from bayes_scaling.posterior.examples import example_fit, example_system
from bayes_scaling.posterior.predict import new_run_sd, predict
from bayes_scaling.questions.base import question
from bayes_scaling.questions.deadline import Deadline, front
from bayes_scaling.questions.frontier import efficient
from bayes_scaling.questions.learning_curve import laws_of
from bayes_scaling.questions.next_run import Budget, Forecast, _Draws, ladder_of, next_run, next_runs, risk_now
from bayes_scaling.questions.preposterior import refits
from bayes_scaling.questions.stop_early import Stopping, nearly_converged, of_size
from tests.forecasting import forecast_by_hand
from tests.grouped import grouped_fit


@pytest.fixture(scope="module")
def exact():
    """The constants of Kaplan et al. (2020), in one draw."""
    return example_system(chains=1, draws=1)


def test_a_run_near_convergence_costs_what_it_was_given(exact):
    known = {n: v.values for n, v in laws_of(exact).items()}
    size, steps, loss = (float(v.item()) for v in nearly_converged(1e21, 0.02, **known))
    converged = float(kaplan_n(size, N_c=known["N_c"], alpha_N=known["alpha_N"]).item())
    assert loss == pytest.approx(1.02 * converged)
    assert float(compute_to_loss(size, loss, **known).item()) == pytest.approx(1e21, rel=1e-6)
    assert steps > 0


def test_ten_per_cent_above_convergence_beats_two_as_the_paper_says(exact):
    """Appendix B: 2.7 times the parameters, 7.7 times fewer updates, 65 % less compute (worked out: 2.70, 7.5, 64 %)."""
    known = laws_of(exact)
    plain = {n: v.values for n, v in known.items()}
    size, steps, loss = (float(v.item()) for v in nearly_converged(1e21, 0.02, **plain))
    budgets = np.geomspace(1e20, 1e21, 4001)
    early = efficient(xr.DataArray(budgets, dims="compute"), **known).isel(chain=0, draw=0)
    same = int(np.abs(early["loss"].values - loss).argmin())
    assert float(early["params"][same]) / size == pytest.approx(2.70, abs=0.05)
    assert steps / float(early["steps_min"][same]) == pytest.approx(7.5, abs=0.2)
    assert 1 - budgets[same] / 1e21 == pytest.approx(0.64, abs=0.01)


def test_the_early_stop_is_never_worse_and_best_at_its_own_size(exact):
    found = Stopping(compute_min=1e21, params=1e9).answer(example_system()).tables["runs"]
    assert (found["gain_lower"] >= -1e-9).all()
    best = Stopping(compute_min=1e21).answer(exact).tables["runs"].loc["stopped early"]
    known = {n: v.values for n, v in laws_of(exact).items()}
    same = float(of_size(best["params"], 1e21, **known)[2].item())
    assert same == pytest.approx(best["loss"], rel=1e-6)
    for factor in (0.5, 2.0):
        assert float(of_size(best["params"] * factor, 1e21, **known)[2].item()) > same


def test_a_fit_of_one_law_tells_of_no_early_stop(exact_fit):
    with pytest.raises(NotLearned, match="kaplan_system"):
        Stopping(compute_min=1e21).answer(exact_fit)


def test_the_front_is_a_hyperbola(exact):
    """(S / S_min - 1)(E / E_min - 1) = 1, equation (5.1)."""
    found = front(exact, params=1e9, loss=2.9)
    least = found["steps"].min(), found["tokens"].min()
    ends = front(exact, params=1e9, loss=2.9, batch=[1e1, 1e12])
    least = ends["steps"].iloc[1], ends["tokens"].iloc[0]
    product = (found["steps"] / least[0] - 1) * (found["tokens"] / least[1] - 1)
    np.testing.assert_allclose(product, 1.0, rtol=0.02)


def test_a_deadline_is_just_made(exact):
    asked = {"params": 1e9, "loss": 2.9, "seconds_per_step": 1.0}
    found = Deadline(**asked, days=1.0).in_time(exact).iloc[0]
    assert found["steps"] == pytest.approx(86_400, rel=1e-6)
    assert found["chance"] == 1.0
    later = Deadline(**asked, days=2.0).in_time(exact).iloc[0]
    assert found["price_of_a_day"] == pytest.approx(found["compute_flops"] - later["compute_flops"], rel=1e-6)
    assert later["batch_tokens"] < found["batch_tokens"]
    with pytest.raises(Unreachable):
        Deadline(**asked, days=0.01).in_time(exact)
    with pytest.raises(Unreachable, match="0 %"):
        Deadline(params=1e6, loss=1.0, days=1.0, seconds_per_step=1.0).in_time(exact)


def test_questions_of_a_system_are_answered(exact):
    for name, given in (
        ("deadline", {"params": 1e9, "loss": 2.9, "days": 1.0, "seconds_per_step": 1.0}),
        ("stopping", {"compute_min": 1e21, "params": 1e9}),
    ):
        assert question(name, **given).answer(exact).sentence


# The next run


def test_the_value_of_a_forecast_is_that_of_normal_theory():
    """Where logs of losses are jointly Normal, a run leaves the variance 1 - cor^2 of what it is correlated with."""
    fit = forecast_by_hand(scale=0.02, sigma=0.002)
    runs = pd.DataFrame({"params": [1.5e10, 3e10], "tokens": [3e11, 6e11]})
    about = Forecast(params=4e10, tokens=8e11)
    found = next_run(fit, runs, about).sort_values("params")
    at = {c: np.append(runs[c], getattr(about, c)) for c in ("params", "tokens")}
    logs = np.log(predict(fit, **at)["expected_loss"].stack(s=("chain", "draw")).values)
    noise = float(new_run_sd(fit).mean())
    for row, of in zip(found.to_dict("records"), logs[:2], strict=True):
        expected = np.cov(of, logs[2])[0, 1] ** 2 / (of.var() + noise**2) / logs[2].var()
        assert row["share"] == pytest.approx(expected, abs=0.01)
        assert row["reweighted"] == pytest.approx(expected, abs=0.12)
    # The run that is nearer to what is forecast tells more of it.
    assert found["value"].iloc[1] > found["value"].iloc[0]


def test_the_run_that_is_forecast_tells_nearly_all_and_a_copy_of_what_is_known_nothing():
    fit = forecast_by_hand(scale=0.02, sigma=0.002)
    runs = pd.DataFrame({"params": [4e10, 1e9], "tokens": [8e11, 2e10]})
    found = next_run(fit, runs, Forecast(params=4e10, tokens=8e11)).set_index("params")
    assert found.loc[4e10, "share"] > 0.8
    assert found.loc[1e9, "share"] < 0.05


def test_a_run_that_tells_all_is_no_nothing():
    """Where an outcome leaves next to no draw, the value is a guess, and says so; it is not zero."""
    fit = forecast_by_hand(scale=0.05, sigma=1e-5)
    runs = pd.DataFrame({"params": [4e10, 2e9], "tokens": [8e11, 4e10]})
    found = next_run(fit, runs, Forecast(params=4e10, tokens=8e11)).set_index("params")
    assert found.loc[4e10, "share"] > 0.9
    assert not found.loc[4e10, "trusted"]
    assert found["share"].between(0, 1).all()
    again = next_runs(fit, found.reset_index(), Forecast(params=4e10, tokens=8e11), money=1e25)
    assert again["share"].notna().all()


def test_a_heavy_tail_tells_less():
    """At the same scale, an observation with nu degrees of freedom holds (nu + 1) / (nu + 3) of a Normal one's information."""
    fit = example_fit(draws=500)
    groups = {g.path: g.to_dataset(inherit=False) for g in fit.tree.subtree}
    runs, about = pd.DataFrame({"params": [5e9], "tokens": [1e11]}), Forecast(params=7e10, tokens=1.4e12)
    shares = []
    for nu in (1.0, 500.0):
        posterior = fit.posterior.assign(nu=0 * fit.posterior["nu"] + nu, sigma=0 * fit.posterior["sigma"] + 0.01)
        tailed = replace(fit, tree=xr.DataTree.from_dict(groups | {"/posterior": posterior}))
        shares.append(np.mean([next_run(tailed, runs, about, seed=s)["share"].item() for s in range(12)]))
    assert shares[0] < 0.9 * shares[1]


def test_a_linear_estimate_that_tells_nothing_gives_way_to_weights_that_are_trusted():
    """What is measured is a long-tailed function of what decides: a straight line through it hardly moves the choice."""
    u = np.random.default_rng(1).standard_normal(2000)
    means, scales, losses = 1e-3 * np.sinh(4 * u)[None], np.full((1, 2000), 1e-3), np.stack([0 * u, u + 0.5])
    likelihood, cost = read_model("kappa").only.likelihood, np.ones(1)
    noise = np.random.default_rng(2).standard_normal((1, 2000))
    state = _Draws(means, scales, losses, False, cost, likelihood, {}, noise)
    worth = state.worth([0])
    assert worth.trusted
    assert state.linear([0]) < 0.2 * state.risk
    assert worth.value == pytest.approx((worth.reweighted - worth.reweighted_se) * state.risk)
    assert worth.reweighted > 0.8


def test_cost_counts():
    fit = forecast_by_hand(scale=0.02, sigma=0.002)
    runs = pd.DataFrame({"params": [3e10, 3e10], "tokens": [6e11, 6e11], "cost": [1.0, 10.0]})
    found = next_run(fit, runs, Forecast(params=4e10, tokens=8e11))
    assert found["cost"].iloc[0] == 1.0
    assert found["value_per_cost"].iloc[0] == pytest.approx(10 * found["value_per_cost"].iloc[1], rel=0.2)


def test_a_budget_s_value_is_never_more_than_its_risk(fit_by_hand):
    found = next_run(fit_by_hand, ladder_of(fit_by_hand, most=1e22), Budget(1e24))
    assert (found["value"] <= found["risk"] * 1.3 + 1e-9).all()
    assert found["risk"].iloc[0] > 0


def test_runs_together_tell_more_and_stay_within_the_money():
    fit = forecast_by_hand(scale=0.02, sigma=0.002)
    pool = ladder_of(fit, most=1e22)
    found = next_runs(fit, pool, Forecast(params=4e10, tokens=8e11), money=2e22, most=3)
    assert found["spent"].iloc[-1] <= 2e22
    assert found["spent"].is_monotonic_increasing
    assert found["value"].iloc[-1] >= found["value"].iloc[0] - 1e-6
    assert not found.duplicated(["params", "tokens"]).any()
    alone = next_runs(fit, pool, Forecast(params=4e10, tokens=8e11), money=float(found["cost"].iloc[0]), most=1)
    assert alone["params"].item() == found["params"].iloc[0]
    assert alone["value"].item() == pytest.approx(found["value"].iloc[0], rel=1e-9)


def test_money_goes_to_the_run_that_matters_where_cheap_ones_leave_none_for_it():
    """Two cheap runs tell more for their cost; the dear one, which they leave no money for, tells nearly all."""
    fit = forecast_by_hand(scale=0.02, sigma=0.002)
    pool = pd.DataFrame({"params": [4e10, 1.5e10, 2e10], "tokens": [8e11, 3e11, 4e11], "cost": [1.0, 0.01, 0.02]})
    about = Forecast(params=4e10, tokens=8e11)
    assert next_run(fit, pool, about)["cost"].iloc[0] < 1.0
    assert next_runs(fit, pool, about, money=1.0)["params"].tolist() == [4e10]
    assert set(next_runs(fit, pool, about, money=0.03)["params"]) == {1.5e10, 2e10}


def test_where_nothing_is_at_risk_no_run_is_worth_its_money():
    known = forecast_by_hand(scale=1e-12, sigma=0.002)
    given = {"candidates": [{"params": 1.5e10, "tokens": 3e11}], "compute": 1e23, "money": 1e25}
    answer = question("next_run", **given).answer(known)
    assert answer.tables["candidates"]["share"].item() == pytest.approx(0.0, abs=1e-6)
    assert "For 1e25 FLOP, none of them is worth training." in answer.sentence


def test_posteriors_sampled_anew_see_each_outcome_and_their_risks_are_averaged():
    fit = forecast_by_hand(scale=0.02, sigma=0.002)
    seen = []

    def sampled(runs: pd.DataFrame):
        seen.append(runs)
        return forecast_by_hand(scale=0.01, sigma=0.002)

    run, about = {"params": 1.5e10, "tokens": 3e11}, Forecast(params=4e10, tokens=8e11)
    table = refits(fit, run, about, sampled, times=5)
    drawn = np.log(predict(fit, **run)["measured_loss"].values)
    assert [len(runs) - len(fit.table) for runs in seen] == [1] * 5
    assert all(list(runs) == list(fit.table) for runs in seen)
    assert [runs["loss"].iloc[-1] for runs in seen] == pytest.approx(np.exp(np.quantile(drawn, [0.1, 0.3, 0.5, 0.7, 0.9])))
    assert table["loss"].is_monotonic_increasing
    assert table.attrs["share"] == pytest.approx(1 - table["risk"].mean() / risk_now(fit, about))
    assert 0.6 < table.attrs["share"] < 0.85  # walks half as wide have a quarter of the variance
    with pytest.raises(OutOfRange, match="outcomes is 0"):
        refits(fit, run, about, sampled, times=0)
    with pytest.raises(OutOfRange, match="200"):
        refits(fit, run, about, sampled, times=10**9)


@pytest.mark.parametrize(
    ("candidates", "said"),
    [
        (pd.DataFrame({"params": [1e9]}), "lack tokens"),
        (pd.DataFrame({"params": [], "tokens": []}), "there is none"),
        (pd.DataFrame({"params": [1e9], "tokens": [1e10], "cost": [-1.0]}), "cost of a candidate"),
        (pd.DataFrame({"params": [1e9], "tokens": [1e10], "cost": [{"usd": 5}]}), "cost of a candidate"),
    ],
)
def test_bad_candidates_are_a_sentence(candidates, said):
    with pytest.raises(InvalidInputs, match=said):
        next_run(example_fit(), candidates, Budget(1e23))


def test_a_group_has_a_next_run_of_its_own():
    fit, runs = grouped_fit(), pd.DataFrame({"params": [2e9, 4e9], "tokens": [4e10, 8e10]})
    one, other = (next_run(fit, runs, Forecast(8e9, 1.6e11), group={"group": g}) for g in "ab")
    assert one["risk"].iloc[0] != other["risk"].iloc[0]
    assert question("next_run", most=1e21, compute=1e22, group={"group": "a"}).answer(fit).sentence


def test_the_decision_is_named_once():
    assert question("next_run", most=1e21, params=1e9, tokens=1e10).about == Forecast(1e9, 1e10)
    assert question("next_run", most=1e21, compute=1e24).about == Budget(1e24)
    for given in ({}, {"params": 1e9}, {"params": 1e9, "tokens": 1e10, "compute": 1e20}):
        with pytest.raises(MissingOption):
            _ = question("next_run", most=1e21, **given).about


def test_the_ladder_of_candidates_is_a_plain_table_within_the_money(fit_by_hand):
    runs, table = ladder_of(fit_by_hand, most=1e21), fit_by_hand.table
    assert list(runs) == ["params", "tokens"]
    assert runs.index.tolist() == list(range(len(runs)))
    cost = 6 * runs["params"] * runs["tokens"]
    assert cost.between(1e19, 1e21).all()
    assert runs["params"].between(table["params"].min() / 4.0001, table["params"].max() * 4.0001).all()
    ratio = table["tokens"] / table["params"]
    assert (runs["tokens"] / runs["params"]).between(ratio.min() / 3.0001, ratio.max() * 3.0001).all()


@pytest.mark.parametrize("cell", [[1e9], {"N": 1e9}, "many", None])
def test_candidates_whose_cells_are_no_numbers_are_a_sentence(fit_by_hand, cell):
    with pytest.raises(OutOfRange, match="params"):
        next_run(fit_by_hand, pd.DataFrame({"params": [1e9, cell], "tokens": 1e10}), Budget(1e23))


def test_a_grid_of_which_no_run_costs_about_as_much_says_which_way_to_go():
    fit = example_fit()
    with pytest.raises(Unreachable, match="allow more"):
        ladder_of(fit, most=1e3)
    with pytest.raises(Unreachable, match="allow less"):
        ladder_of(fit, most=1e38)
