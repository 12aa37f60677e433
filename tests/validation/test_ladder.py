"""The ladder can be made again: its text to the byte, a run to its loss, a killed run to the bit.

Needs Python with torch, numpy and rich: name it in LADDER_PYTHON. The text needs a Debian machine.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pandas as pd
import pytest

import bayes_scaling as bs
from bayes_scaling.files import DATA

LADDER = DATA / "ladder"
PYTHON = os.environ.get("LADDER_PYTHON")
SEED_NOISE = 0.01

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("ladder"),
    pytest.mark.skipif(not PYTHON, reason="no Python with torch is named in LADDER_PYTHON"),
    pytest.mark.skipif(not shutil.which("apt-get"), reason="the text comes from Debian packages"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Return a copy of the scripts with the text built anew; building fails where the digest is another."""
    folder = tmp_path_factory.mktemp("ladder")
    for path in LADDER.glob("*.*"):
        if path.name not in ("runs.csv", "curves.csv"):
            shutil.copy(path, folder)
    built = subprocess.run([PYTHON, "corpus.py"], cwd=folder, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    assert "as the recipe says" in built.stdout
    return folder


def train(folder: Path, out: Path, **options: object) -> subprocess.Popen:
    given = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    return subprocess.Popen([PYTHON, "train.py", "--folder", out, *given], cwd=folder, stderr=subprocess.DEVNULL)


def curve(out: Path) -> pd.DataFrame:
    return pd.read_csv(out / "curves.csv")


def test_a_run_of_the_plan_measures_its_loss_again(folder, tmp_path):
    name = "lr-12-0.032-s0"
    assert train(folder, tmp_path, only=name, workers=1).wait() == 0
    again = pd.read_csv(tmp_path / "runs.csv").iloc[0]
    kept = bs.load_runs("ladder").where(f"run_id == '{name}'").table.iloc[0]
    print(f"{name}: {float(again['loss'])} again, {kept['loss']} kept")
    assert again["loss"] == pytest.approx(kept["loss"], rel=SEED_NOISE / 2)  # other processors add in other orders
    if again["torch"] == kept["torch"]:
        assert again["loss"] == pytest.approx(kept["loss"], rel=1e-3)


def test_a_killed_run_goes_on_to_the_same_bits(folder, tmp_path):
    name, whole, cut = "lr-12-0.016-s0", tmp_path / "whole", tmp_path / "cut"
    assert train(folder, whole, only=name, workers=1).wait() == 0
    kills = 0
    while not (cut / "runs.csv").exists():
        running = train(folder, cut, only=name, workers=1, checkpoint_seconds=1)
        checkpoint, seen = folder / ".ladder" / "checkpoints" / f"{name}.pt", time.time()
        while running.poll() is None and kills < 2:
            time.sleep(0.2)
            if checkpoint.exists() and checkpoint.stat().st_mtime > seen:
                time.sleep(0.7)  # somewhere between two checkpoints
                workers = subprocess.run(["pgrep", "-P", str(running.pid)], capture_output=True, text=True, check=False)
                for process in (running.pid, *map(int, workers.stdout.split())):
                    os.kill(process, signal.SIGKILL)
                kills += 1
                break
        running.wait()
    assert kills == 2
    pd.testing.assert_frame_equal(curve(cut), curve(whole), check_exact=True)
    kept, found = (pd.read_csv(out / "runs.csv").drop(columns="seconds") for out in (whole, cut))
    pd.testing.assert_frame_equal(found, kept, check_exact=True)


def test_the_model_has_the_parameters_that_are_counted(folder):
    script = """
import counts, train, transformer
for run in train.read_plan(train.HERE / "plan.csv"):
    model = transformer.Transformer(run.depth, run.width, run.heads, run.feedforward, run.context)
    found = sum(weight.numel() for weight in model.parameters() if weight.ndim == 2)
    assert found == counts.params(run.depth, run.width, run.feedforward) + counts.params_embedding(run.width), run
"""
    subprocess.run([PYTHON, "-c", script], cwd=folder, check=True)


def test_what_a_token_is_given_does_not_depend_on_later_ones(folder):
    script = """
import torch, transformer
torch.manual_seed(0)
model = transformer.Transformer(2, 32, 2, 128, 128)
text = torch.randint(256, (3, 129))
other = text.clone(); other[:, 65:] = torch.randint(256, (3, 64))
with torch.no_grad():
    same = (model(text) == model(other))[:, :64]
    assert same.all() and not (model(text) == model(other))[:, 65:].all()
"""
    subprocess.run([PYTHON, "-c", script], cwd=folder, check=True)
