"""Tables of runs, each for what some document needs; numbers by formula, so that no file can go astray."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd

LADDER = "series in ['size', 'compute']"
REPEATED_LADDER = "series in ['size', 'compute', 'seed']"


def _loss(params: np.ndarray, tokens: np.ndarray, seed: int, scatter: float = 0.004) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal(len(params))
    return np.round((1.7 + 300 * params**-0.33 + 400 * tokens**-0.29) * np.exp(scatter * noise), 5)


@cache
def plain_runs() -> pd.DataFrame:
    """Return twelve runs off a line of N and D."""
    params, tokens = np.geomspace(1e7, 1e10, 12).round(), np.tile([1e9, 1e10, 1e11], 4)
    return pd.DataFrame({"params": params, "tokens": tokens, "loss": _loss(params, tokens, 1)})


@cache
def runs_with_errors() -> pd.DataFrame:
    """Return the twelve runs with a standard error in most rows."""
    errors = np.round(plain_runs()["loss"].to_numpy() * np.tile([0.002, 0.003, 0.0015], 4), 6)
    errors[4] = np.nan
    return plain_runs().assign(loss_se=errors)


@cache
def repeated_data() -> pd.DataFrame:
    """Return runs that see their text up to a hundred times."""
    return plain_runs().assign(dataset_tokens=np.tile([1e9, 2e9], 6))


@cache
def grouped_runs() -> pd.DataFrame:
    """Return eight runs of each of three groups."""
    parts = []
    for number, group in enumerate(("code", "news", "web")):
        params, tokens = (a.ravel() for a in np.meshgrid([1e8, 4e8, 1.6e9, 6.4e9], [4e9, 6e10]))
        loss = np.round(_loss(params, tokens, 10 + number) * (0.97 + 0.03 * number), 5)
        parts.append(pd.DataFrame({"params": params, "tokens": tokens, "loss": loss, "group": group}))
    return pd.concat(parts, ignore_index=True)


@cache
def error_rates() -> pd.DataFrame:
    """Return a curve of error rates, from guessing to a limit."""
    tokens = np.geomspace(1e5, 1e9, 10).round()
    rate = 0.12 + 0.78 / (1 + (tokens / 3e6) ** 0.6)
    return pd.DataFrame({"tokens": tokens, "loss": np.round(rate * np.exp(0.01 * np.sin(np.arange(10.0) ** 2)), 5)})


@cache
def along_runs(*, errors: bool = False) -> pd.DataFrame:
    """Return runs of five recipes, some of them repeated with another seed, and points along half of them."""
    rows = []
    recipes = [(1e7, 4e8, 3), (3e7, 1.2e9, 2), (1e8, 2e9, 1), (1e8, 8e9, 2), (4e8, 8e9, 1), (4e8, 3.2e10, 1)]
    for number, (params, tokens, seeds) in enumerate(recipes):
        for seed in range(seeds):
            for share in (0.25, 0.5, 1.0) if (number + seed) % 2 == 0 else (1.0,):
                run = {"run_id": f"r{number}s{seed}", "params": params, "tokens": tokens * share, "lr": 0.01 / (1 + number)}
                rows.append(run | {"seed": seed, "checkpoint": share < 1})
    table = pd.DataFrame(rows)
    table["loss"] = _loss(table["params"].to_numpy(), table["tokens"].to_numpy(), 5)
    if errors:
        table["loss_se"] = np.round(table["loss"] * np.where(table.index % 3 == 0, 0.002, 0.001), 6)
        table.loc[4, "loss_se"] = np.nan
    return table
