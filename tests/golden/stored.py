"""Posteriors made once by hand and stored as numbers, so that answers are computed from the same draws for ever."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

import bayes_scaling as bs
from bayes_scaling.posterior.examples import example_fit, example_system
from tests.golden import tables
from tests.golden.adapter import ladder, nearest_prior, pretended_fit, pretended_joint_fit, rows_by_name, runs_of

DRAWS = Path(__file__).parent / "draws"
CHAINS, COUNT = 2, 60
_OF_ONE_LAW = {
    "chinchilla": ("chinchilla", None),
    "kappa": ("kappa", lambda: ladder(tables.LADDER)),
    "kappa along runs": ("kappa", lambda: runs_of(tables.along_runs())),
    "kappa by group": ("kappa_by_group", lambda: runs_of(tables.grouped_runs())),
    "offset_c": ("offset_c", lambda: ladder(tables.LADDER)),
}


def make() -> None:
    """Write the draws: done once, before anything was moved."""
    DRAWS.mkdir(exist_ok=True)
    for name, (model, runs) in _OF_ONE_LAW.items():
        if runs is None:
            fit = example_fit(chains=CHAINS, draws=COUNT)
            posterior, prior = fit.posterior, fit.prior.isel(draw=slice(0, 100))
        else:
            posterior, prior = nearest_prior(model, runs(), CHAINS, COUNT)
        _write(name, {"posterior": posterior, "prior": prior})
    system = example_system(chains=CHAINS, draws=COUNT)
    _write("system", {"posterior": system.posterior, "prior": system.prior.isel(draw=slice(0, 100))})
    rows = {
        name: json.loads(table.to_json(orient="split", double_precision=15)) for name, table in rows_by_name(system).items()
    }
    (DRAWS / "system_rows.json").write_text(json.dumps(rows, separators=(",", ":")))
    table = json.loads(example_fit(chains=CHAINS, draws=COUNT).table.to_json(orient="split", double_precision=15))
    (DRAWS / "chinchilla_rows.json").write_text(json.dumps(table, separators=(",", ":")))


def _write(name: str, groups: dict[str, xr.Dataset]) -> None:
    arrays = {}
    for group, draws in groups.items():
        for variable, array in draws.data_vars.items():
            arrays[f"{group}|{variable}|{'|'.join(map(str, array.dims))}"] = array.values
        for dim in draws.dims:
            if dim in draws.coords and dim not in ("chain", "draw"):
                values = draws.coords[dim].values
                arrays[f"{group}||{dim}"] = values.astype(str) if values.dtype.kind in "OUT" else values
    np.savez_compressed(DRAWS / f"{name.replace(' ', '_')}.npz", **arrays)


def _read(name: str) -> dict[str, xr.Dataset]:
    groups: dict[str, dict[str, Any]] = {}
    coords: dict[str, dict[str, Any]] = {}
    with np.load(DRAWS / f"{name.replace(' ', '_')}.npz") as stored:
        for key in stored:
            group, variable, *dims = key.split("|")
            if variable:
                groups.setdefault(group, {})[variable] = (dims, stored[key])
            else:
                coords.setdefault(group, {})[dims[0]] = stored[key]
    found = {group: xr.Dataset(variables, coords=coords.get(group, {})) for group, variables in groups.items()}
    found = {g: d.assign_coords(chain=range(d.sizes["chain"]), draw=range(d.sizes["draw"])) for g, d in found.items()}
    sizes = found["posterior"].sizes
    diverging = (("chain", "draw"), np.zeros((sizes["chain"], sizes["draw"]), bool))
    return found | {"sample_stats": xr.Dataset({"diverging": diverging})}


@cache
def posterior(name: str) -> Any:
    """Return one of the stored posteriors as a fit."""
    if name == "system":
        content = json.loads((DRAWS / "system_rows.json").read_text())
        rows = {n: pd.DataFrame(t["data"], columns=t["columns"]) for n, t in content.items()}
        return pretended_joint_fit("kaplan_system", rows, _read(name))
    model, runs = _OF_ONE_LAW[name]
    if runs is None:
        table = json.loads((DRAWS / "chinchilla_rows.json").read_text())
        given = runs_of(pd.DataFrame(table["data"], columns=table["columns"]))
    else:
        given = runs()
    return pretended_fit(model, given, _read(name))


@cache
def mixture() -> bs.Mixture:
    """Return a mixture of two of them."""
    return bs.Mixture(
        {"chinchilla": posterior("chinchilla"), "kappa": posterior("kappa")}, {"chinchilla": 0.3, "kappa": 0.7}
    )
