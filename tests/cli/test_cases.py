"""Tables as people bring them: each ends at its right value, or at one sentence that says what to do."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from tests.command import command  # noqa: F401 - a fixture

SIZES = np.array([1.25e8, 3.5e8, 7.6e8, 1.3e9, 2.7e9, 6.7e9])


@pytest.fixture
def fitted(command, tmp_path):  # noqa: F811
    """Return a function that writes a table, fits it, and returns the answer and the path of the fit."""

    def run(table: pd.DataFrame, *options: str):
        table.to_csv(tmp_path / "runs.csv", index=False)
        out = tmp_path / "fit.nc"
        return command("fit", tmp_path / "runs.csv", "--seed", 1, "--out", out, "--json", *options), out

    return run


def checks_of(answer) -> dict[str, dict]:
    return {check["check"]: check for check in json.loads(answer.out)["checks"]}


def forecast(command, out, *place) -> dict:  # noqa: F811
    answer = command("predict", out, "--json", *place)
    assert answer.code == 0, answer.err
    return json.loads(answer.out)["predictions"][0]


def test_a_score_and_the_error_rate_it_stands_for(fitted, command):  # noqa: F811
    error = 0.05 + 0.55 * (SIZES / 1.25e8) ** -0.25
    table = pd.DataFrame({"params": SIZES, "hellaswag": 1 - error})
    answer, out = fitted(table, "--columns", "loss=hellaswag")
    assert answer.code == 2
    assert "rises with N" in answer.err
    assert "--columns 'loss=1 - hellaswag'" in answer.err
    assert not out.exists()
    answer, out = fitted(table, "--columns", "loss=1 - hellaswag")
    assert answer.code == 0, answer.err
    right = 0.05 + 0.55 * (1e11 / 1.25e8) ** -0.25
    told = forecast(command, out, "--params", 1e11)
    assert told["lower"] < right < told["upper"] < 0.3


def test_a_perplexity_and_its_logarithm(fitted, command):  # noqa: F811
    loss = 1.2 + 1.3 * (SIZES / 1.25e8) ** -0.2
    table = pd.DataFrame({"model": list("abcdef"), "num_params": SIZES, "perplexity": np.exp(loss)})
    for mapping in ("params=num_params", "params=num_params,loss=perplexity"):
        answer, _ = fitted(table, "--columns", mapping)
        assert answer.code == 2
        assert "--columns 'loss=ln(perplexity)'" in answer.err
    answer, out = fitted(table, "--columns", "params=num_params,loss=ln(perplexity)")
    assert answer.code == 0, answer.err
    told = forecast(command, out, "--params", 3e10)
    assert told["lower"] < 1.2 + 1.3 * (3e10 / 1.25e8) ** -0.2 < told["upper"]


def test_labels_gaps_and_runs_that_diverged(fitted):
    N = np.repeat([3e7, 1e8, 3e8], 4)
    D = np.tile([1e9, 4e9, 1.6e10, 6.4e10], 3)
    noise = 0.003 * np.random.default_rng(0).standard_normal(12)
    loss = ((1.8 + 400 * N**-0.34 + 410 * D**-0.28) * np.exp(noise)).round(3).astype(str)
    loss[[4, 9, 11]] = ["11.76", "—", "(partial)"]
    size = {3e7: "30M", 1e8: "100,000,000", 3e8: "0.3B"}
    table = pd.DataFrame(
        {
            "active": [size[n] for n in N],
            "tokens": [f"{d / 1e9:g}B" for d in D],
            "width": [f"d{n:g}" for n in N],
            "macro loss": loss,
        }
    )
    table["status"] = np.where(np.isin(np.arange(12), [9, 11]), "running", "done")
    columns = ("--columns", "params=active,loss=macro loss")
    answer, _ = fitted(table, *columns)
    assert answer.code == 2
    assert "has 2 bad cells" in answer.err
    assert "row 10, loss: is missing" in answer.err
    assert "row 12, loss: is not a number (found '(partial)')" in answer.err
    assert "--where 'loss > 0'" in answer.err
    answer, _ = fitted(table, *columns, "--where", "status == 'done' and width != 'd1'")
    assert answer.code == 0, answer.err
    assert [row["label"] for row in json.loads(answer.out)["suspects"]] == ["row 5"]


@pytest.mark.parametrize("column", ["schedule", "Model"])
def test_groups_that_were_pooled_are_said(fitted, column):
    D = np.tile(np.geomspace(5e8, 1e10, 5), 2)
    group = np.repeat(["constant", "linear"], 5)
    loss = np.where(group == "linear", 3.1, 3.22) + 0.75 * (D / 5.5e8) ** -0.55
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {column: group, "tokens": D, "host": rng.choice(["a", "b"], 10), "loss": loss * np.exp(rng.normal(0, 0.002, 10))}
    )
    answer, _ = fitted(table)
    assert answer.code == 1, answer.err  # a check failed
    found = checks_of(answer)[f"residuals by {column}, p-value"]
    assert not found["passed"]
    assert f"(--by {column})" in found["advice"]
    assert "residuals by" in json.loads(answer.out)["adequacy"]


def test_rows_of_no_run_are_left_out_before_they_are_checked(fitted):
    table = pd.DataFrame(
        {
            "params": [1e7, 2e7, 4e7, 8e7],
            "tokens": [2e8, 4e8, 8e8, 1.6e9],
            "loss": [4.1, 3.8, None, 3.3],
            "state": ["ok", "ok", "crashed", "ok"],
        }
    )
    answer, _ = fitted(table, "--where", "state == 'ok'")
    assert answer.code == 0, answer.err
    answer, _ = fitted(table)
    assert answer.code == 2
    assert "row 3, loss: is missing" in answer.err


def test_runs_logged_twice_are_said_and_counted_once(fitted):
    rng = np.random.default_rng(0)
    N, D = 10 ** rng.uniform(7, 9.5, 16), 10 ** rng.uniform(8.5, 11, 16)
    loss = (1.8 + 400 * N**-0.34 + 410 * D**-0.28) * np.exp(0.006 * rng.standard_normal(16))
    table = pd.DataFrame({"run_id": [f"run{i}" for i in range(16)], "params": N, "tokens": D, "loss": loss.round(4)})
    both = pd.concat([table, table.iloc[:4].assign(run_id=list("wxyz"))])
    once, _ = fitted(table)
    said, _ = fitted(both)
    assert "4 of 20 rows of runs repeat another to the last digit" in said.err
    assert json.loads(said.out)["parameters"] == json.loads(once.out)["parameters"]
    taken, _ = fitted(both, "--anyway")
    assert "repeat another" not in taken.err
    assert "noise_scale_recipe" in json.loads(taken.out)["parameters"]


def test_what_failed_is_said_first(command, tmp_path):  # noqa: F811
    D = np.tile(np.geomspace(5e8, 1e10, 5), 2)
    level = np.repeat([3.22, 3.1], 5)
    noise = np.exp(np.random.default_rng(0).normal(0, 0.002, 10))
    table = pd.DataFrame({"schedule": np.repeat(["constant", "linear"], 5), "tokens": D})
    table.assign(loss=(level + 0.75 * (D / 5.5e8) ** -0.55) * noise).to_csv(tmp_path / "runs.csv", index=False)
    answer = command("fit", tmp_path / "runs.csv", "--seed", 1, "--out", tmp_path / "fit.nc")
    assert answer.code == 1
    assert answer.out.startswith("The model does NOT describe the runs well: residuals by schedule")
    assert (tmp_path / "fit.nc").is_file()
