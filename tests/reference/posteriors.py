"""The stored reference posteriors, and how far fits are from them: differences in standard deviations of the reference."""

from __future__ import annotations

import gzip
import hashlib
import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import bayes_scaling as bs
from tests.reference import tables

STORED = Path(__file__).parent / "posteriors"
RESULTS = Path(__file__).parent / "results.json"
MODELS = Path(__file__).parents[2] / "models"
COSINE = "series in ['size', 'compute', 'seed'] and schedule == 'cosine'"
AGAIN = "series in ['data', 'schedule'] and schedule == 'constant'"
BEST = ["iso-2e11-16", "iso-6e11-32", "iso-2e12-36", "iso-6e12-48", "size-64", "size-96", "size-128"]
GROUPS = "series in ['size', 'compute', 'seed', 'schedule', 'batch']"
WHERE = {
    "kaplan_n": "series == 'size'",
    "kaplan_d": "series == 'data' and width == 48",
    "kaplan_c": f"run_id in {BEST}",
    "kaplan_nd": "series == 'data'",
    "offset_n": "series == 'size'",
    **dict.fromkeys(("offset_d", "saturating_d"), "series == 'data' and width == 48"),
    "offset_c": f"run_id in {BEST}",
    **dict.fromkeys(("chinchilla", "kappa", "ceiling", "farseer"), COSINE),
    **dict.fromkeys(("repeated", "repeated_excess", "repeated_penalty"), AGAIN),
    **dict.fromkeys(("chinchilla_by_group", "kappa_by_group", "kappa_by_group_forecast"), GROUPS),
    **dict.fromkeys(("critical_batch", "critical_batch_of_data"), "series == 'batch'"),
}
"""The rows of the ladder that each document is fitted to; the others take all of them, and say themselves which."""
OTHER_ROWS = {"moe": tables.mixtures, "best_rate": tables.sweeps, "steps_to_loss": tables.scans_of_batches}
"""Rows that are no rows of the ladder: simulated, or read off its curves."""
DATA_SET, SCHEDULE = {"tokens": "dataset_tokens"}, {"group": "schedule"}
COLUMNS = {
    **dict.fromkeys(("kaplan_d", "kaplan_nd", "offset_d", "saturating_d"), DATA_SET),
    **dict.fromkeys(("chinchilla_by_group", "kappa_by_group", "kappa_by_group_forecast"), SCHEDULE),
}
SYSTEMS = ("kaplan_system", "kaplan_system_offset", "kaplan_system_forecast")
DRAWS = {
    "chinchilla_by_group": 8000,
    "kappa_by_group_forecast": 8000,
    "offset_n": 3000,
    "saturating_d": 4000,
    **dict.fromkeys(SYSTEMS, 3000),
}
"""Draws of a chain that tell a departure of the size of the bounds, where those of a usual fit are too few for it."""
NAMES = sorted(path.name.removesuffix(".info.json") for path in STORED.glob("*.info.json"))


def info(name: str) -> dict[str, Any]:
    """Return what is known of a reference posterior: how it was sampled, its checks and its summary."""
    return json.loads((STORED / f"{name}.info.json").read_text())


def draws(name: str) -> list[dict[str, list[float]]]:
    """Return its thinned draws, a list of chains."""
    with gzip.open(STORED / f"{name}.json.gz") as file:
        return json.load(file)


def by_stan(name: str) -> dict[str, Any] | None:
    """Return the summary by Stan, where there is one."""
    path = STORED / f"{name}.stan.json"
    return json.loads(path.read_text()) if path.exists() else None


def results() -> dict[str, Any]:
    """Return how far our samplers were from the references, as last measured."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def digest(name: str) -> str:
    """Return the digest of what a document states, its title and reasons apart."""
    document = tomllib.loads((MODELS / f"{name}.toml").read_text())
    document.pop("title")
    return hashlib.sha256(json.dumps(_without_reasons(document), sort_keys=True).encode()).hexdigest()[:16]


def _without_reasons(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_reasons(each) for key, each in value.items() if key != "why"}
    return [_without_reasons(each) for each in value] if isinstance(value, list) else value


def runs_of(name: str) -> Any:
    """Return the rows that a document is fitted to, of the ladder for most."""
    if name in OTHER_ROWS:
        return bs.read_runs(OTHER_ROWS[name](), name=name)
    runs = bs.load_runs("ladder")
    runs = runs.where(WHERE[name]) if name in WHERE else runs
    if name not in COLUMNS:
        return runs
    return bs.read_runs(runs.table.drop(columns="compute_flops"), columns=COLUMNS[name], card=runs.card, name="ladder")


def flat(fit: Any) -> dict[str, np.ndarray]:
    """Return the draws of every unknown of one number, and of every group of those of several."""
    found = {}
    for name, values in fit.posterior.items():
        dims = [dim for dim in values.dims if dim not in ("chain", "draw")]
        if not dims:
            found[str(name)] = values.values.ravel()
        elif len(dims) == 1 and dims[0] in values.coords:
            for label in values.coords[dims[0]].values:
                found[f"{name}[{label}]"] = values.sel({dims[0]: label}).values.ravel()
    return found


def compared(name: str, fits: Sequence[Any]) -> pd.DataFrame:
    """Return how far the logarithms of a document's unknowns are from the reference, all seeds together and each alone."""
    of_seeds, rows = [flat(fit) for fit in fits], {}
    for unknown, stored in info(name)["summary"].items():
        if unknown not in of_seeds[0]:
            continue
        each = [np.log(of_it[unknown]) for of_it in of_seeds]
        x = np.concatenate(each)
        seeds = [(one.mean() - stored["mean"]) / stored["sd"] for one in each]
        rows[unknown] = {
            "mean": (x.mean() - stored["mean"]) / stored["sd"],
            "worst_seed": max(seeds, key=abs),
            "sd": x.std() / stored["sd"],
            **{f"q{q}": (np.quantile(x, q / 100) - stored[f"q{q}"]) / stored["sd"] for q in (5, 95)},
            "ess": stored["ess_bulk"],
        }
    return pd.DataFrame.from_dict(rows, orient="index")
