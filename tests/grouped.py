"""A grouped fit made by hand: two groups whose offsets differ, and a spread that says how far a third may lie."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from bayes_scaling.model.document import read_model
from bayes_scaling.model.grouping import member
from bayes_scaling.model.layout import Layout
from bayes_scaling.model.reference import publish
from bayes_scaling.posterior.fit import Fit


def grouped_fit(*, spread: float = 0.05, chains: int = 2, draws: int = 200) -> Fit:
    """Return a fit of ``chinchilla_by_group`` to four runs of groups a and b."""
    spec = read_model("chinchilla_by_group")
    table = pd.DataFrame(
        {
            "params": [1e8, 1e9, 1e8, 1e9],
            "tokens": [2e9, 2e10, 4e9, 4e10],
            "loss": [3.5, 2.9, 3.6, 3.0],
            "group": list("aabb"),
        }
    )
    table["compute_flops"] = 6 * table["params"] * table["tokens"]
    reference = Layout.of(spec, {"loss": table}).reference
    rng = np.random.default_rng(5)
    shape = {"chain": chains, "draw": draws}

    def scattered(value: float) -> xr.DataArray:
        return xr.DataArray(value * np.exp(0.002 * rng.standard_normal((chains, draws))), dims=tuple(shape))

    found, values = {}, {}
    for name, centre in {"E": 1.8, "A": 0.4, "alpha": 0.35, "B": 0.4, "beta": 0.36}.items():
        effect = xr.DataArray([-spread, spread], dims="group") * xr.ones_like(scattered(1.0))
        found[f"{name}_effect_group"] = effect.transpose("chain", "draw", "group")
        found[f"{name}_spread_group"] = scattered(1.0) * spread
        found[f"{name}_population"] = scattered(centre)
        values[name] = member(found[f"{name}_population"], [found[f"{name}_effect_group"]])
    found |= publish(spec, values, reference) | {"sigma": scattered(0.004), "nu": scattered(4.0)}
    coords = {"chain": range(chains), "draw": range(draws), "group": ["a", "b"]}
    return Fit.from_draws(xr.Dataset(found, coords=coords), spec, table, {"runs": "by hand"})
