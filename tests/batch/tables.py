"""Small simulated tables of batches, which a law without discrepancy is fitted to in a second."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bayes_scaling.batch.store import Store
from bayes_scaling.laws import LAWS
from tests.conftest import HOFFMANN_LIKE


def ladder(seed: int, rows: int = 16) -> pd.DataFrame:
    """Return runs on a grid of N and D with half a per cent of scatter."""
    rng = np.random.default_rng(seed)
    N, D = (axis.ravel()[:rows] for axis in np.meshgrid(np.geomspace(5e7, 5e9, 4), np.geomspace(2e9, 1e11, 4)))
    loss = LAWS["chinchilla"](N, D, **HOFFMANN_LIKE) * np.exp(0.005 * rng.standard_normal(N.size))
    return pd.DataFrame({"params": N, "tokens": D, "loss": loss})


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """Return a folder with three tables and the document of a batch that fits one law to each."""
    folder = tmp_path / "runs"
    folder.mkdir()
    for number, name in enumerate(("first", "second", "third")):
        ladder(number).to_csv(folder / f"{name}.csv", index=False)
    (tmp_path / "jobs.toml").write_text(
        'models = ["chinchilla"]\n[sampling]\ndraws = 500\n[[tables]]\npath = "runs/*.csv"\n'
    )
    return tmp_path / "jobs.toml"


RESULTS = ("summary.parquet", "answers.parquet", "failures.jsonl", "index.html")


def results(folder: Path) -> dict[str, bytes]:
    """Return the bytes of what came out of a batch."""
    store = Store(folder)
    return {name: store.read(name) for name in RESULTS}
