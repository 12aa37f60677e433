"""The command line, verb by verb, as the contract has it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bayes_scaling.cli import app
from bayes_scaling.posterior.checks import check
from bayes_scaling.posterior.examples import example_fit, example_system
from bayes_scaling.posterior.fit import load_fit
from bayes_scaling.questions.base import QUESTIONS
from tests.command import command  # noqa: F401 - a fixture
from tests.grouped import grouped_fit

VERBS = ["demo", "laws", "models", "data", "thin", "fit", "check", "report", "predict", "allocate", "derive"]
VERBS += ["claims", "frontier", "bottleneck", "compare", "design", "backtest", "certify", "weigh"]
VERBS += [
    "target",
    "decide",
    "robust",
    "regret",
    "lifetime",
    "deadline",
    "stop-early",
    "recipes",
    "next-run",
    "forecast",
    "score",
    "live",
]


@pytest.fixture
def stored(tmp_path):
    """A fit that passes every check."""
    fit = example_fit(chains=4, draws=500)
    return replace(fit, checks=tuple(check(fit).to_dict("records"))).save(tmp_path / "fit.nc")


def test_every_verb_has_help_with_an_example(command):  # noqa: F811
    written = [c.name or c.callback.__name__ for c in app.registered_commands]
    assert set(VERBS) <= {*written, *QUESTIONS}
    assert not set(written) & set(QUESTIONS)
    listed = command("--help").out
    for verb in (*written, *QUESTIONS):
        assert f"\n  {verb} " in listed
        answer = command(verb, "--help")
        assert answer.code == 0
        assert "Example: bayes-scaling" in answer.out
        assert "--json" in answer.out or verb == "serve"  # which answers in JSON until it is stopped


def test_completion_is_offered(command):  # noqa: F811
    assert "--install-completion" in command("--help").out


@pytest.mark.parametrize("verb", ["laws", "models", "data"])
def test_lists_print_text_and_json(command, verb):  # noqa: F811
    text, parsed = command(verb), command(verb, "--json")
    assert text.code == parsed.code == 0
    for entry in json.loads(parsed.out):
        assert next(iter(entry.values())) in text.out


def test_check_passes_and_prints_every_check(command, stored):  # noqa: F811
    answer = command("check", stored)
    assert answer.code == 0
    assert answer.out.startswith("The posterior passed every convergence check.")
    assert answer.out.count("passed") >= 5
    parsed = json.loads(command("check", stored, "--json").out)
    assert parsed["converged"] is True
    assert {"check", "value", "rule", "passed"} <= set(parsed["checks"][0])


def test_check_fails_with_one_and_does_not_trust_the_file(command, tmp_path):  # noqa: F811
    fit = example_fit(chains=2, draws=20)
    lying = replace(fit, checks=tuple({**c, "passed": True} for c in check(fit).to_dict("records")))
    path = lying.save(tmp_path / "fit.nc")
    answer = command("check", path)
    assert answer.code == 1
    assert answer.out.startswith("This posterior has NOT converged")
    assert command("check", path, "--json").code == 1


def test_an_unconverged_fit_says_so_before_its_answer(command, tmp_path):  # noqa: F811
    fit = example_fit(chains=2, draws=20)
    path = replace(fit, checks=tuple(check(fit).to_dict("records"))).save(tmp_path / "fit.nc")
    for words in (["predict", path, "--params", 1e9, "--tokens", 1e10], ["allocate", path, "--compute", 1e22]):
        answer = command(*words)
        assert answer.code == 0
        assert answer.err.startswith("Warning: This posterior has NOT converged")
        assert json.loads(command(*words, "--json").out)["converged"] is False


def test_predict_one_run(command, stored):  # noqa: F811
    answer = command("predict", stored, "--params", "7e10", "--tokens", "1.4e12")
    assert answer.code == 0
    assert "90 % interval" in answer.out
    assert "decades in C" in answer.out
    parsed = json.loads(command("predict", stored, "--params", "7e10", "--tokens", "1.4e12", "--prob", "0.5", "--json").out)
    assert parsed["prob"] == 0.5
    assert parsed["lower"] < parsed["mean_lower"] < parsed["median"] < parsed["mean_upper"] < parsed["upper"]
    assert parsed["loss_unit"] == "nats/token"
    assert parsed["reach_compute_flops"] > 1


def test_predict_a_table(command, stored, tmp_path):  # noqa: F811
    table, out = tmp_path / "in.csv", tmp_path / "out.csv"
    table.write_text("name,N,D\nsmall,1e9,2e10\nlarge,7e10,1.4e12\n")
    answer = command("predict", stored, "--inputs", table, "--columns", "params=N,tokens=D", "--out", out)
    assert answer.code == 0, answer.err
    written = pd.read_csv(out)
    assert written["name"].tolist() == ["small", "large"]
    assert {"median", "lower", "upper", "mean_lower", "mean_upper", "reach_params"} <= set(written)
    printed = command("predict", stored, "--inputs", table, "--columns", "params=N,tokens=D")
    assert printed.out == out.read_text()
    parsed = json.loads(command("predict", stored, "--inputs", table, "--columns", "params=N,tokens=D", "--json").out)
    assert len(parsed["predictions"]) == 2


def test_a_bad_cell_of_the_inputs_is_listed(command, stored, tmp_path):  # noqa: F811
    (tmp_path / "in.csv").write_text("params,tokens\n1e9,-2e10\nx,1e10\n")
    answer = command("predict", stored, "--inputs", tmp_path / "in.csv", "--out", tmp_path / "out.csv")
    assert answer.code == 2
    assert "row 1, tokens: has to be positive" in answer.err
    assert "row 2, params: is not a number (found 'x')" in answer.err
    assert not (tmp_path / "out.csv").exists()


def test_groups_on_the_command_line(command, tmp_path):  # noqa: F811
    path = grouped_fit().save(tmp_path / "fit.nc")
    run = ["predict", path, "--params", 1e9, "--tokens", 1e10, "--json"]
    a, b = (json.loads(command(*run, "--group", f"group={g}").out) for g in "ab")
    assert a["median"] < b["median"]
    new = json.loads(command(*run, "--group", "group=c").out)
    assert any("The prediction is for a new group" in caveat for caveat in new["caveats"])
    assert new["upper"] - new["lower"] > a["upper"] - a["lower"]
    assert command("allocate", path, "--compute", 1e21, "--group", "group=a").code == 0
    (tmp_path / "in.csv").write_text("params,tokens,group\n1e9,1e10,a\n1e9,1e10,b\n")
    table = command("predict", path, "--inputs", tmp_path / "in.csv", "--json")
    assert [round(row["median"], 1) for row in json.loads(table.out)["predictions"]] == [
        round(x["median"], 1) for x in (a, b)
    ]


@pytest.mark.parametrize("risk", ["mean", "quantile:0.9", "cvar:0.9"])
def test_allocate(command, stored, risk):  # noqa: F811
    parsed = json.loads(command("allocate", stored, "--compute", "5.76e23", "--risk", risk, "--json").out)
    assert parsed["risk"] == risk
    assert parsed["params_lower"] < parsed["params_median"] < parsed["params_upper"]
    assert parsed["params"] == pytest.approx(parsed["params_median"], rel=0.1)
    assert 6 * parsed["params"] * parsed["tokens"] == pytest.approx(5.76e23)
    assert "tokens" in command("allocate", stored, "--compute", "5.76e23", "--risk", risk).out
    several = json.loads(command("allocate", stored, "--compute", "1e22", "--compute", "1e23", "--json").out)
    assert [row["compute_flops"] for row in several] == [1e22, 1e23]
    about = {"caveats", "overridden", "verdict", "fit_digest", "extrapolation_distance"} & set(parsed)
    assert {"caveats", "verdict", "fit_digest"} <= about
    assert all(about <= set(row) for row in several)  # nothing that is said of one budget is left out of several


def test_report(command, stored, tmp_path):  # noqa: F811
    out = tmp_path / "report.html"
    (tmp_path / "big.csv").write_text("params,tokens,loss\n7e10,1.4e12,1.94\n")
    answer = command("report", stored, "--out", out, "--compute", 1e23, "--held-out", tmp_path / "big.csv")
    assert answer.code == 0, answer.err
    assert str(out.resolve()) in answer.out
    assert "cover 1 of 1 held-out runs" in out.read_text()
    assert json.loads(command("report", stored, "--out", out, "--json").out)["report"] == str(out.resolve())


@pytest.mark.xdist_group("sampling")
def test_fit_from_a_renamed_table(command, tmp_path, simulated_runs):  # noqa: F811
    table, out = tmp_path / "runs.csv", tmp_path / "fit.nc"
    simulated_runs.table.rename(columns={"params": "N"}).assign(kept=1).to_csv(table, index=False)
    words = ["fit", table, "--model", "chinchilla", "--out", out, "--seed", 3, "--draws", 500, "--tune", 500]
    answer = command(*words, "--columns", "params=N", "--where", "kept == 1", "--loss-unit", "bits/byte", "--json")
    assert answer.code == 0, answer.err
    parsed = json.loads(answer.out)
    assert parsed["converged"] is True
    assert {"median", "lower", "upper", "contraction"} == set(parsed["parameters"]["alpha"])
    assert load_fit(out).loss_unit == "bits/byte"
    assert command("check", out).code == 0


def test_fit_of_the_best_of_a_sweep(command, tmp_path, simulated_runs):  # noqa: F811
    table, out = tmp_path / "runs.csv", tmp_path / "fit.nc"
    swept = simulated_runs.table.merge(
        pd.DataFrame({"lr": [1e-3, 2e-3, 4e-3, 8e-3], "lost": [0.02, 0.0, 0.01, 0.06]}), how="cross"
    )
    swept["loss"] *= 1 + swept["lost"] + 0.002 * np.random.default_rng(0).standard_normal(len(swept))
    swept.to_csv(table, index=False)
    answer = command("fit", table, "--model", "chinchilla", "--out", out, "--best-of", "lr", "--json")
    assert answer.code == 0, answer.err
    assert "Best of 4 over lr in 40 cells of equal params, tokens: the least loss is corrected by" in answer.err
    assert json.loads(answer.out)["notes"] == load_fit(out).facts["notes"]
    assert command("fit", table, "--model", "chinchilla", "--out", out, "--best-of", "rate").code == 2


def test_the_installed_command_has_no_traceback(tmp_path):
    script = Path(sys.executable).with_name("bayes-scaling")
    answer = subprocess.run([script, "check", tmp_path / "none.nc"], capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr.startswith("Error: There is no fit")
    assert answer.stderr.count("\n") == 1


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    """A fit of a system by hand, with its checks."""
    fit = example_system()
    checks = tuple({**c, "passed": True} for c in check(fit).to_dict("records"))
    return replace(fit, checks=checks).save(tmp_path_factory.mktemp("system") / "system.nc")


def test_claims_of_a_system(command, system):  # noqa: F811
    answer = command("claims", system)
    assert answer.code == 0
    assert "Of 31 statements, 20 agree with this posterior, 11 disagree" in answer.out
    assert "exponent of size in compute, (1.7): published 0.73; ours 0.681" in answer.out
    found = json.loads(command("claims", system, "--json").out)
    assert found["converged"] is True
    assert {row["verdict"] for row in found["claims"]} == {"agrees", "disagrees"}
    steps = next(row for row in found["claims"] if row["claim"] == "exponent of the steps in compute")
    assert round(steps["constants_give"], 3) == 0.069


def test_frontier_of_a_system(command, system):  # noqa: F811
    answer = command("frontier", system, "--compute", "1e21", "--compute", "1e23")
    assert answer.code == 0
    assert "At 1e23 FLOP, 2.10 decades beyond the runs" in answer.out
    rows = json.loads(command("frontier", system, "--compute", "1e21", "--json").out)["frontier"]
    assert rows[0]["params_lower"] < rows[0]["params_median"] < rows[0]["params_upper"]
    assert "positive number" in command("frontier", system, "--compute", "-1").err


def test_bottleneck_of_a_plan(command, system):  # noqa: F811
    plan = ("--params", "1e8", "--dataset-tokens", "3e7", "--steps", "1e5", "--batch-tokens", "524288")
    answer = command("bottleneck", system, *plan)
    assert answer.code == 0
    assert answer.out.splitlines()[1].startswith("  twice the dataset_tokens")
    found = json.loads(command("bottleneck", system, *plan, "--json").out)
    assert sum(row["probability"] for row in found["resources"]) == pytest.approx(1.0)
    assert "positive" in command("bottleneck", system, *plan[:-1], "0").err


def test_models_are_compared(command, system, stored, tmp_path):  # noqa: F811
    again = Path(tmp_path / "again.nc")
    again.write_bytes(system.read_bytes())
    answer = command("compare", system, again)
    assert answer.code == 0
    assert "elpd" in answer.out
    rows = json.loads(command("compare", system, again, "--json").out)["comparison"]
    assert [row["difference"] for row in rows] == [0.0, 0.0]
    assert "have not seen the same rows" in command("compare", system, stored).err
    assert "files of the same name" in command("compare", system, system).err


def test_the_report_of_a_system(command, system, tmp_path):  # noqa: F811
    answer = command("report", system, "--out", tmp_path / "system.html")
    assert answer.code == 0
    assert "claims" in (tmp_path / "system.html").read_text()
    assert "takes no budgets" in command("report", system, "--out", tmp_path / "b.html", "--compute", "1e20").err
    assert "whose law is" not in command("report", system, "--out", tmp_path / "c.html", "--observation", "curves").err
