"""`collect` on the command line: what it prints, what it refuses in one sentence, and the way from an export to a decision."""

from __future__ import annotations

import io
import json

import numpy as np
import pandas as pd
import pytest

from bayes_scaling.runs.readers import standard_input
from tests.command import command  # noqa: F401 - a fixture

SIZES = ("17M", "30M", "60M", "120M", "200M", "400M")


def number(size):
    return float(size.removesuffix("M")) * 1e6


def panel(path):
    """A chart of twelve runs, six sizes at two lengths, as W&B exports it."""
    steps = np.arange(500, 40_001, 500)
    rng, columns = np.random.default_rng(3), {"Step": steps}
    for size in SIZES:
        for times, label in ((10, "short"), (40, "long")):
            last = times * number(size) / 2**18
            loss = 1.8 + 400 * number(size) ** -0.34 + 410 * (steps * 2.0**18) ** -0.28
            loss *= np.exp(0.003 * rng.standard_normal(len(steps)))
            values = pd.Series(loss.round(4)).where(steps <= max(last, 500))
            columns |= {f"{size}-{label} - val/loss{end}": values for end in ("", "__MIN", "__MAX")}
    pd.DataFrame(columns).to_csv(path, index=False)
    return path


def test_from_a_panel_export_to_a_decision_page_in_three_commands(command, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    export = panel(tmp_path / "export.csv")
    answer = command("collect", export, "--out", "runs.csv", "--curves", "curves.parquet", "--facts", "batch_tokens=262144")
    assert answer.code == 0, answer.err
    assert answer.out.startswith("12 runs from a chart of 12 runs")
    assert "assumed: params = the size in the name of the run, 17M-short being 1.7e+07" in answer.out
    assert "assumed: loss = val/loss; nats/token" in answer.out
    assert answer.out.splitlines()[-1] == "Next: bayes-scaling fit runs.csv --out fit.nc"
    fitted = command("fit", "runs.csv", "--out", "fit.nc", "--seed", 1)
    assert "Fit: fit.nc" in fitted.out, fitted.err
    decided = command("decide", "fit.nc", "--compute", "1e21", "--loss", "2.6", "--out", "decision.html")
    assert decided.code == 0, decided.err
    assert "<html" in (tmp_path / "decision.html").read_text()[:200]
    assert set(pd.read_parquet("curves.parquet")) >= {"run_id", "steps", "tokens", "loss", "params"}


def wrong(tmp_path, **columns):
    N = np.array([1e7, 3e7, 1e8, 3e8])
    good = {"name": list("abcd"), "params": N, "tokens": 20 * N, "loss": [3.9, 3.5, 3.1, 2.8]}
    table = pd.DataFrame(good | columns)
    table[[column for column in table if columns.get(column, 0) is not None]].to_csv(tmp_path / "wrong.csv", index=False)
    return tmp_path / "wrong.csv"


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"state": "crashed"}, "No run of {path} is left: a: state is crashed; b: state is crashed"),
        ({"name": list("aacd")}, "{path} has 2 runs of one name, 'a' (rows 1, 2), which differ: two sweeps share it."),
        (
            {"tokens": None, "step": 1000},
            "{path}, a table of 4 rows, lacks tokens: it has steps, not tokens a step (batch_tokens).",
        ),
        (
            {"loss": [49.4, 33.1, 22.2, 16.4]},
            "{path}: loss has a median of 27.6 nats/token, above the 12.5 of random guessing. If it is a perplexity",
        ),
        ({"params": None}, "{path}, a table of 4 rows, lacks params (parameters)."),
    ],
    ids=["crashed", "two sweeps", "no batch", "perplexity", "no size"],
)
def test_what_is_wrong_in_a_typical_way_is_one_sentence(command, tmp_path, columns, says):  # noqa: F811
    path = wrong(tmp_path, **columns)
    answer = command("collect", path, "--out", tmp_path / "runs.csv")
    assert answer.code == 2
    assert answer.out == ""
    assert answer.err.startswith(f"Error: {says.format(path=path)}")
    assert len(answer.err.strip().splitlines()) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["wrong.csv"]


def test_json_and_standard_input_and_output(command, tmp_path, monkeypatch):  # noqa: F811
    class Piped(io.StringIO):
        buffer = io.BytesIO(b"run,n_params,tokens,val_loss\na,10M,200M,3.9\nb,30M,600M,3.5\n")

    monkeypatch.setattr("sys.stdin", Piped())
    standard_input.cache_clear()
    answer = command("collect", "-", "--out", "-")
    assert answer.code == 0, answer.err
    assert answer.out == "run_id,params,tokens,loss\na,10000000.0,200000000.0,3.9\nb,30000000.0,600000000.0,3.5\n"
    assert "assumed: params = n_params" in answer.err
    told = json.loads(command("collect", "-", "--out", tmp_path / "runs.csv", "--json").out)
    assert [run["run_id"] for run in told["runs"]] == ["a", "b"]
    assert told["out"] == str(tmp_path / "runs.csv")
    standard_input.cache_clear()


def test_columns_and_a_map_go_together(command, tmp_path):  # noqa: F811
    path = tmp_path / "odd.csv"
    pd.DataFrame({"x": [1e7, 3e7], "y": [1e9, 2e9], "z": [40.0, 30.0]}).to_csv(path, index=False)
    (tmp_path / "map.toml").write_text('params = "x"\ntokens = "y"\n')
    out = tmp_path / "runs.csv"
    answer = command("collect", path, "--map", tmp_path / "map.toml", "--columns", "loss=ln(z)", "--out", out)
    assert answer.code == 0, answer.err
    assert pd.read_csv(out)["loss"].to_numpy() == pytest.approx(np.log([40.0, 30.0]))
    assert "Error: There is no folder" in command("collect", path, "--out", tmp_path / "none" / "runs.csv").err
