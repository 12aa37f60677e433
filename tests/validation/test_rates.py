"""Learning rate and batch on the sweeps of Li et al. (2025): exponents beside the published, and choices for cells that were held out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayes_scaling.inference import fit
from bayes_scaling.questions.rate import Rate
from bayes_scaling.runs.catalog import load_runs
from bayes_scaling.runs.sweeps import cells_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::bayes_scaling.errors.DivergedRunsWarning"),
]  # two of the sweeps' runs

HELD_OUT = {
    "largest size": "params > 1e9",
    "two largest sizes": "params > 5e8",
    "most data": "tokens >= 8e10",
    "much data": "tokens >= 5e10",
}
"""Cells to choose for, by name."""


@pytest.fixture(scope="module")
def sweeps(public_runs):
    return load_runs("steplaw2025")


def lost(cell: pd.DataFrame, lr: float, batch: float) -> float:
    """Return what a pair loses of a cell's least loss, a share, by a surface of third order through its runs within two per cent."""
    near = cell[cell["loss"] < 1.02 * cell["loss"].min()]
    x, z = np.log(near["lr"].to_numpy()), np.log(near["batch_tokens"].to_numpy())
    middle = x.mean(), z.mean()

    def design(x, z):
        return np.stack([(x - middle[0]) ** i * (z - middle[1]) ** j for i in range(4) for j in range(4 - i)], axis=-1)

    surface, *_ = np.linalg.lstsq(design(x, z), np.log(near["loss"].to_numpy()), rcond=None)
    grid = np.meshgrid(np.linspace(x.min(), x.max(), 80), np.linspace(z.min(), z.max(), 80))
    return float(design(np.log(lr), np.log(batch)) @ surface - (design(*grid) @ surface).min())


def test_exponents_beside_those_published(sweeps):
    found = fit(sweeps, "best_rate", seed=1, progress=False)
    assert found.converged, found.verdict
    table = Rate(params=1e9, tokens=1e11).answer(found).tables["exponents"].set_index("exponent")
    print(table.round(3).to_string())
    for name in ("lr_N", "batch_D"):
        assert table.loc[name, "lower"] < table.loc[name, "steplaw2025"] < table.loc[name, "upper"]
    # The rate grows less with data than published, and the batch falls with size.
    assert table.loc["lr_D", "upper"] < table.loc["lr_D", "steplaw2025"]
    assert table.loc["batch_N", "lower"] > 0.1
    assert table.loc["batch_D", "lower"] > table.loc["batch_D", "bergsma2025"]


@pytest.mark.parametrize("name", HELD_OUT)
def test_choice_for_cells_that_were_held_out(sweeps, name):
    held, kept = sweeps.where(HELD_OUT[name]), sweeps.where(f"not ({HELD_OUT[name]})")
    found = fit(kept, "best_rate", seed=1, progress=False)
    assert found.converged, found.verdict
    rows = []
    for _, cell in held.table.groupby(cells_of(held.table, ("params", "tokens"))):
        params, tokens = float(cell["params"].iloc[0]), float(cell["tokens"].iloc[0])
        answer = Rate(params=params, tokens=tokens).answer(found).tables
        ours, rule = answer["choice"].iloc[0], answer["rule"].iloc[0]
        of_cell = {
            "N": params,
            "D": tokens,
            "lr": ours["lr"],
            "batch": ours["batch_tokens"],
            "expected": ours["lost"] / cell["loss"].min(),
        }
        best = cell.loc[cell["loss"].idxmin()]
        of_cell |= {"best_run_lr": best["lr"], "best_run_batch": best["batch_tokens"]}
        of_cell |= {
            "lost": lost(cell, ours["lr"], ours["batch_tokens"]),
            "rule": lost(cell, rule["lr"], rule["batch_tokens"]),
        }
        rows.append(of_cell | {"best_run": lost(cell, best["lr"], best["batch_tokens"])})
    table = pd.DataFrame(rows)
    print(
        f"{name}:\n{table.to_string(float_format=lambda v: f'{v:.4g}')}\nmean {table[['expected', 'lost', 'rule', 'best_run']].mean().round(5).to_dict()}"
    )
    assert table["lost"].mean() < 1.5e-3
