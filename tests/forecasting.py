"""A fit with a discrepancy, made by hand: kappa around the additive law, walks that the test chooses."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from bayes_scaling.laws.constants import published
from bayes_scaling.model.discrepancy import paths_of
from bayes_scaling.model.documents import read_model
from bayes_scaling.model.prior_draws import draw_prior
from bayes_scaling.model.reference import publish
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.quantities import training_compute

SHAPE = (2, 500)


def forecast_by_hand(*, steps: float = 0.0, scale: float = 0.02, sigma: float = 0.004, growth: float = 1e-9) -> Fit:
    """Return a fit of kappa: published constants in every draw, each step of each walk ``steps``, each scale ``scale``."""
    spec = read_model("kappa").model_copy(update={"noise": {}, "correlation": None})
    truth = dict(published("besiroglu2024").values)
    truth = {"E": truth["E"], "A": truth["A"], "a": truth["alpha"], "B": truth["B"], "b": truth["beta"], "kappa": 1.0}
    sizes, tokens = np.meshgrid(np.geomspace(1e8, 1e10, 5), np.geomspace(2e9, 2e11, 5))
    table = pd.DataFrame({"params": sizes.ravel(), "tokens": tokens.ravel()})
    table["compute_flops"] = training_compute(table["params"], table["tokens"])
    table["loss"] = spec.the_law(table["params"], table["tokens"], **truth)
    reference, rng = spec.reference_point(table), np.random.default_rng(0)

    def same(value):
        return xr.DataArray(np.full(SHAPE, value), dims=("chain", "draw"))

    values = {name: same(value) for name, value in spec.the_law.at_reference(truth, reference).items()}
    found = publish(spec, values, reference) | {"sigma": same(sigma), "growth": same(growth)}
    for path in paths_of(spec, table):
        found[path.scale_name] = same(scale)
        walk = np.broadcast_to(steps * np.sqrt(path.widths), (*SHAPE, len(path.widths)))
        found[path.name] = xr.DataArray(walk, dims=("chain", "draw", path.dim), coords=path.coords)
    coords = {"chain": range(SHAPE[0]), "draw": range(SHAPE[1])}
    tree = xr.DataTree.from_dict(
        {
            "posterior": xr.Dataset(found).assign_coords(coords),
            "prior": draw_prior(spec, table, rng),
            "sample_stats": xr.Dataset({"diverging": (("chain", "draw"), np.zeros(SHAPE, bool))}, coords=coords),
            "constant_data": xr.Dataset({str(c): ("run", table[c].to_numpy()) for c in table if c != "loss"}),
            "observed_data": xr.Dataset({"loss": ("run", table["loss"].to_numpy())}),
        }
    )
    return Fit(
        tree, spec, reference, {"runs": "by hand", "loss_unit": "nats/token", "params": "total", "seed": 0, "versions": {}}
    )
