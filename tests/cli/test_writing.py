"""What a verb writes is whole or not there, on a disk that is full as over its own input; what is read stays as it is."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest

from bayes_scaling.posterior.examples import example_fit
from tests.batch.tables import ladder
from tests.command import command

__all__ = ["command"]

SPLITS = ["--over", "params", "--per-decade", "2", "--least", "8"]
SHORT = ["--model", "chinchilla", "--draws", "100", "--tune", "100"]
WRITE = {
    "fit": ["fit", "runs.csv", "--model", "chinchilla", "--draws", "200", "--out", "out/fit.nc"],
    "predict": ["predict", "fit.nc", "--inputs", "planned.csv", "--out", "out/predictions.csv"],
    "thin": ["thin", "planned.csv", "--rows", "90", "--out", "out/few.csv"],
    "thin to Parquet": ["thin", "planned.csv", "--rows", "90", "--out", "out/few.parquet"],
    "collect": ["collect", "planned.csv", "--out", "out/runs.csv", "--curves", "out/curves.parquet"],
    "report": ["report", "fit.nc", "--out", "out/report.html"],
    "decide": ["decide", "fit.nc", "--compute", "1e22", "--loss", "2", "--out", "out/decision.html"],
    "forecast": ["forecast", "fit.nc", "--inputs", "planned.csv", "--ledger", "out/ledger.jsonl"],
    "backtest": ["backtest", "runs.csv", *SPLITS, *SHORT, "--no-baselines", "--out", "out"],
    "certify": ["certify", "runs.csv", *SHORT, "--tables", "1", "--no-broken", "--out", "out"],
    "weigh": ["weigh", "runs.csv", *SPLITS, "--model", "chinchilla", "--model", "kaplan_nd", "--out", "out"],
    "batch": ["batch", "jobs.toml", "--workers", "1", "--out", "out"],
}
INTO_INPUT = {
    "fit": ["fit", "runs.csv", "--model", "chinchilla", "--draws", "200", "--out", "runs.csv"],
    "fit over its model": ["fit", "runs.csv", "--model", "model.toml", "--draws", "200", "--out", "model.toml"],
    "predict over its fit": ["predict", "fit.nc", "--inputs", "planned.csv", "--out", "fit.nc"],
    "predict": ["predict", "fit.nc", "--inputs", "planned.csv", "--out", "planned.csv"],
    "thin": ["thin", "planned.csv", "--rows", "50", "--out", "planned.csv"],
    "collect": ["collect", "planned.csv", "--out", "planned.csv"],
    "collect curves": ["collect", "planned.csv", "--out", "out/runs.csv", "--curves", "planned.csv"],
    "report": ["report", "fit.nc", "--out", "fit.nc"],
    "report over its runs": ["report", "fit.nc", "--held-out", "runs.csv", "--out", "runs.csv"],
    "decide": ["decide", "fit.nc", "--compute", "1e22", "--loss", "2", "--out", "fit.nc"],
    "forecast over its fit": ["forecast", "fit.nc", "--inputs", "planned.csv", "--ledger", "fit.nc"],
    "forecast": ["forecast", "fit.nc", "--inputs", "planned.csv", "--ledger", "planned.csv"],
    "backtest": ["backtest", "scores.csv", *SPLITS, *SHORT, "--no-baselines", "--out", "."],
}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder of inputs, in which the verbs run."""
    monkeypatch.chdir(tmp_path)
    ladder(0).to_csv("runs.csv", index=False)
    ladder(0).to_csv("scores.csv", index=False)
    many = pd.concat([ladder(seed).assign(run_id=[f"run{seed}.{row}" for row in range(16)]) for seed in range(6)])
    many.assign(params=many["params"] * [1 + n / 1e4 for n in range(96)]).to_csv("planned.csv", index=False)
    example_fit().save("fit.nc")
    Path("model.toml").write_text((Path(__file__).parents[2] / "models" / "chinchilla.toml").read_text())
    Path("jobs.toml").write_text('models = ["chinchilla"]\n[sampling]\ndraws = 200\n[[tables]]\npath = "runs.csv"\n')
    Path("out").mkdir()
    return tmp_path


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file that is written has more bytes, as on a disk that is full then."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def contents() -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(Path().rglob("*")) if path.is_file() and path.suffix != ".lock"}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("size", [1000, pytest.param(0, marks=pytest.mark.slow)])
@pytest.mark.parametrize("verb", WRITE)
def test_a_full_disk(verb, size, place, command):
    before = contents()
    with largest_file(size):
        found = command(*WRITE[verb])
    assert found.code == 2
    assert found.err.splitlines()[-1].startswith("Error: ")
    assert "Traceback" not in found.err
    after = contents()
    assert {name: after[name] for name in before} == before
    left = [name for name in set(after) - set(before) if not name.startswith(("out/splits", "out/tables", "out/records"))]
    assert not left or size, left
    assert not [name for name in after if name.endswith(".unfinished")]
    done = command(*WRITE[verb])  # and when there is room again
    assert done.code == 0, done.err


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("by", ["its name", pytest.param("a symbolic link", marks=pytest.mark.slow), "another name"])
@pytest.mark.parametrize("verb", INTO_INPUT)
def test_a_verb_that_is_to_write_over_what_it_reads(verb, by, place, command):
    words = list(INTO_INPUT[verb])
    if by != "its name":
        target, link = (
            Path("scores.csv" if words[-1] == "." else words[-1]),
            Path("out", Path(words[-1]).name or "scores.csv"),
        )
        words[-1] = "out" if words[-1] == "." else str(link)
        link.symlink_to(target.absolute()) if by == "a symbolic link" else link.hardlink_to(target)
    before = contents()
    found = command(*words)
    assert found.code == 2
    assert found.err.splitlines()[-1].startswith("Error: ")
    assert contents() == before
