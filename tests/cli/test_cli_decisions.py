"""The verbs that decide, on the command line: each answers in words and in JSON, and says no where it should."""

from __future__ import annotations

import json
from dataclasses import replace

import pandas as pd
import pytest

from bayes_scaling.inference import fit as sample
from bayes_scaling.posterior.checks import check
from bayes_scaling.posterior.examples import example_fit, example_system
from bayes_scaling.posterior.fit import load_fit
from bayes_scaling.posterior.mixture import Mixture
from tests.command import command  # noqa: F401 - a fixture
from tests.grouped import grouped_fit


@pytest.fixture
def stored(tmp_path):
    """A fit that passes every check."""
    fit = example_fit(chains=4, draws=500)
    return replace(fit, checks=tuple(check(fit).to_dict("records"))).save(tmp_path / "fit.nc")


@pytest.fixture
def system(tmp_path):
    """A fit of a system of laws."""
    return example_system(chains=4, draws=500).save(tmp_path / "system.nc")


def told(answer):
    assert answer.code == 0, answer.err
    return json.loads(answer.out)


def test_a_target_and_its_bill(command, stored):  # noqa: F811
    words = command("target", stored, "--loss", "2.0", "--count", "1024")
    assert words.code == 0
    assert "with a probability of 0.9 from" in words.out
    assert "On NVIDIA H100 SXM 80 GB:" in words.out
    numbers = told(command("target", stored, "--loss", "2.0", "--count", "1024", "--json"))
    assert numbers["least"][0]["chance"] == 0.9
    assert {row["cost"] for row in numbers["cost"]} == {"device_hours", "money", "megawatt_hours", "days"}
    chances = told(command("target", stored, "--loss", "2.0", "--compute", "1e22", "--compute", "1e24", "--json"))["chances"]
    assert chances[0]["chance"] < chances[1]["chance"]


def test_a_decision_and_its_page(command, stored, tmp_path):  # noqa: F811
    page = tmp_path / "decision.html"
    answer = command(
        "decide",
        stored,
        "--days",
        "30",
        "--count",
        "512",
        "--loss",
        "2.0",
        "--distinct-tokens",
        "2e11",
        "--head-width",
        "128",
        "--out",
        page,
    )
    assert answer.code == 0, answer.err
    assert "Page: " in answer.out
    text = page.read_text()
    for said in (
        "Cost</h2>",
        ">dollars</td>",
        "Probability of a loss below 2",
        "Sensitivity</h2>",
        "unlimited text",
        "whole numbers of layers and heads",
    ):
        assert said in text
    numbers = told(command("decide", stored, "--compute", "5.76e23", "--json"))
    assert numbers["question"] == "Allocation"
    assert numbers["allocation"][0]["params"] == pytest.approx(7.2e10, rel=0.05)


def test_a_doubt_is_in_the_way_and_on_the_page(command, stored, tmp_path):  # noqa: F811
    refused = command("decide", stored, "--compute", "1e27", "--out", tmp_path / "no.html")
    assert refused.code == 2
    assert "--anyway" in refused.err
    assert not (tmp_path / "no.html").exists()
    wanted = command("decide", stored, "--compute", "1e27", "--anyway", "--out", tmp_path / "yes.html")
    assert wanted.code == 0
    assert wanted.out.startswith("AGAINST ADVICE: ")
    assert "Caveat overridden" in (tmp_path / "yes.html").read_text()


def test_an_unconverged_fit_is_doubted(command, tmp_path):  # noqa: F811
    fit = example_fit(chains=1, draws=50)
    path = replace(fit, checks=tuple(check(fit).to_dict("records"))).save(tmp_path / "fit.nc")
    refused = command("regret", path, "--compute", "1e23")
    assert refused.code == 2
    assert "NOT converged" in refused.err
    assert command("regret", path, "--compute", "1e23", "--anyway").out.startswith("AGAINST ADVICE: ")


def test_regret_lifetime_and_the_next_run(command, stored, tmp_path):  # noqa: F811
    lost = told(command("regret", stored, "--compute", "5.76e23", "--params", "7e10", "--params", "2.8e11", "--json"))[
        "regret"
    ]
    assert lost[1]["regret"] > lost[0]["regret"]
    choice = told(command("lifetime", stored, "--loss", "2.1", "--demand", "1e13", "--demand-factor", "3", "--json"))[
        "choice"
    ]
    assert choice[0]["params"] < choice[1]["params"]
    pool, ranked = tmp_path / "pool.csv", tmp_path / "ranked.csv"
    pd.DataFrame({"params": [1e9, 5e9], "tokens": [2e10, 1e11]}).to_csv(pool, index=False)
    answer = command("next-run", stored, "--candidates", pool, "--compute", "1e24", "--out", ranked)
    assert answer.code == 0, answer.err
    assert answer.out.startswith("Next, train")
    assert len(pd.read_csv(ranked)) == 2


def test_the_next_run_is_checked_by_posteriors_sampled_anew(command, stored, monkeypatch):  # noqa: F811
    seen = []

    def sampled(runs, model, *, seed, progress):
        seen.append((len(runs), model.law, seed, model.reference))
        return load_fit(stored)

    monkeypatch.setattr("bayes_scaling.inference.sample.fit", sampled)
    ask = ["next-run", stored, "--most", "1e21", "--params", "7e10", "--tokens", "1.4e12", "--refits", "2", "--seed", "3"]
    answer = told(command(*ask, "--json"))
    # The priors are stated where they were, and not at the mean of the runs and one more.
    assert seen == [(26, "chinchilla", 3, load_fit(stored).reference)] * 2
    assert [row["loss"] for row in answer["refits"]] == sorted(row["loss"] for row in answer["refits"])
    assert "2 posteriors with simulated outcomes of the first run remove 0 % of the risk" in command(*ask).out


def test_a_posterior_that_takes_seconds_is_checked_by_refits_unless_told_otherwise(
    command,  # noqa: F811
    simulated_runs,
    tmp_path,
    monkeypatch,
):
    monkeypatch.setattr("bayes_scaling.cli.extras._REFITS", 2)
    path = sample(simulated_runs, "chinchilla", seed=1, progress=False).save(tmp_path / "fit.nc")
    ask = ["next-run", path, "--most", "1e21", "--params", "7e10", "--tokens", "1.4e12"]
    answer = told(command(*ask, "--json"))
    assert len(answer["refits"]) == 2
    assert all(row["converged"] for row in answer["refits"])
    share = 1 - sum(row["risk"] for row in answer["refits"]) / 2 / answer["candidates"][0]["risk"]
    assert share == pytest.approx(answer["candidates"][0]["share"], abs=0.15)
    assert "Pre-posterior check" in answer["sentence"]
    bare = command(*ask, "--refits", 0)
    assert bare.code == 0
    assert "Pre-posterior" not in bare.out + bare.err


def test_a_posterior_that_takes_minutes_is_not_checked_by_refits_unasked(command, stored):  # noqa: F811
    answer = command("next-run", stored, "--most", "1e21", "--params", "7e10", "--tokens", "1.4e12")
    assert answer.code == 0
    assert "Pre-posterior" not in answer.out
    assert "takes minutes for this posterior and was left out; --refits 4 runs it" in answer.err


def test_a_system_is_asked_about_time_and_early_stops(command, system):  # noqa: F811
    batch = told(
        command("deadline", system, "--params", "1e9", "--loss", "2.9", "--days", "1", "--seconds-per-step", "1", "--json")
    )["deadline"][0]
    assert batch["chance"] >= 0.9
    runs = told(command("stop-early", system, "--compute-min", "1e21", "--params", "1e9", "--json"))["runs"]
    assert [row["run"] for row in runs] == ["stopped early", "nearly converged", "own size"]


def test_a_deadline_is_asked_with_another_probability_and_for_another_observation(command, system):  # noqa: F811
    asked = ("deadline", system, "--params", "1e9", "--loss", "2.9", "--days", "1", "--seconds-per-step", "1", "--json")
    even, sure, other = (
        told(command(*asked, "--sure", sure, "--observation", name, "--seed", "3"))
        for sure, name in (("0.5", "curves"), ("0.95", "curves"), ("0.95", "decayed"))
    )
    assert even["deadline"][0]["chance"] == pytest.approx(0.5, abs=0.01)
    assert sure["deadline"][0]["chance"] >= 0.95 > even["deadline"][0]["chance"]
    assert sure["deadline"][0]["batch_tokens"] > even["deadline"][0]["batch_tokens"]
    assert (sure["observation"], other["observation"]) == ("curves", "decayed")
    assert "is not a learning curve" in command(*asked, "--observation", "limited").err


def test_a_mixture_is_asked_for_one_size(command, tmp_path):  # noqa: F811
    fits = {"one": example_fit(chains=4, draws=500), "same": example_fit(chains=4, draws=500)}
    Mixture(fits, {"one": 0.3, "same": 0.7}).save(tmp_path / "mixture")
    answer = command("robust", tmp_path / "mixture", "--compute", "1e23")
    assert answer.code == 0, answer.err
    assert answer.out.startswith("Over all laws, train")
    assert told(command("robust", tmp_path / "mixture", "--compute", "1e23", "--json"))["choices"][2]["choice"] == "all laws"


def test_recipes_are_compared(command, tmp_path):  # noqa: F811
    path = grouped_fit().save(tmp_path / "fit.nc")
    answer = told(command("recipes", path, "--a", "group=a", "--b", "group=b", "--compute", "1e21", "--json"))
    assert 0 <= answer["recipes"][0]["chance"] <= 1


def test_forecasts_are_written_down_and_scored(command, stored, tmp_path):  # noqa: F811
    planned, ledger, measured = (tmp_path / name for name in ("planned.csv", "forecasts.jsonl", "measured.csv"))
    pd.DataFrame({"run_id": ["a", "b"], "params": [2e10, 7e10], "tokens": [4e11, 1.4e12]}).to_csv(planned, index=False)
    seal = told(command("forecast", stored, "--inputs", planned, "--ledger", ledger, "--json"))["seal"]
    pd.DataFrame({"run_id": ["a"], "loss": [2.04]}).to_csv(measured, index=False)
    scored = command("score", ledger, "--runs", measured, "--seal", seal)
    assert scored.code == 0, scored.err
    assert "Not measured yet: b" in scored.out
    assert told(command("score", ledger, "--runs", measured, "--json"))["forecasts"][0]["run_id"] == "a"
    ledger.write_text(ledger.read_text().replace('"run_id": "a"', '"run_id": "c"'))
    changed = command("score", ledger, "--runs", measured)
    assert changed.code == 2
    assert "was changed" in changed.err


def test_a_run_under_way_is_updated(command, system, tmp_path):  # noqa: F811
    curve = tmp_path / "curve.csv"
    pd.DataFrame({"params": 1e8, "batch_tokens": 5e5, "steps": [2e4, 4e4, 8e4], "loss": [3.3, 3.15, 3.0]}).to_csv(
        curve, index=False
    )
    answer = told(command("live", system, "--curve", curve, "--end", "steps=200000", "--json"))
    assert answer["now"]["lower"] < answer["now"]["median"] < answer["now"]["upper"]


def test_a_run_under_way_is_read_from_the_log_of_its_trainer(command, system, tmp_path):  # noqa: F811
    state, curve = tmp_path / "trainer_state.json", tmp_path / "curve.csv"
    points = pd.DataFrame({"step": [20_000, 40_000, 80_000], "eval_loss": [3.3, 3.15, 3.0]})
    state.write_text(json.dumps({"log_history": points.to_dict("records"), "max_steps": 200_000}))
    asked = ("live", system, "--end", "steps=200000", "--json", "--curve")
    lacking = command(*asked, state)
    assert lacking.code == 2
    assert "lacks params, batch_tokens" in lacking.err
    assert "--end params=... --end batch_tokens=..." in lacking.err
    found = told(command(*asked, state, "--end", "params=1e8", "--end", "batch_tokens=5e5"))
    points.set_axis(["steps", "loss"], axis=1).assign(params=1e8, batch_tokens=5e5).to_csv(curve, index=False)
    assert found["now"] == told(command(*asked, curve))["now"]


def test_curves_of_a_chart_are_fitted_with_their_facts(command, tmp_path):  # noqa: F811
    chart, facts = tmp_path / "chart.csv", tmp_path / "facts.csv"
    pd.DataFrame({"Step": [1000, 2000], "a - loss": [3.4, 3.2], "b - loss": [3.0, 2.8]}).to_csv(chart, index=False)
    refused = command("fit", chart, "--out", tmp_path / "fit.nc")
    assert refused.code == 2
    assert (
        "is a chart of 2 runs (a, b), with 4 points of loss, which does not say params (parameters) and batch_tokens"
        in refused.err
    )
    facts.write_text("run_id,params,batch_tokens\na,1e8,5e5\n")
    unknown = command("fit", chart, "--facts", facts, "--out", tmp_path / "fit.nc")
    assert "has no row for the run 'b'" in unknown.err
