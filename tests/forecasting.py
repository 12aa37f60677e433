"""A fit with a discrepancy, made by hand: kappa around the additive law, walks that the test chooses."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from bayes_scaling.laws.constants import published
from bayes_scaling.model.document import read_model
from bayes_scaling.model.layout import Layout
from bayes_scaling.model.reference import publish
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.quantities import training_compute

SHAPE = (2, 500)


def forecast_by_hand(
    *, steps: float = 0.0, scale: float = 0.02, sigma: float | np.ndarray = 0.004, growth: float = 1e-9
) -> Fit:
    """Return a fit of kappa: published constants in every draw, each direction of each walk ``steps``, each scale ``scale``."""
    model = read_model("kappa")
    model = model.model_copy(update={"observations": (model.only.model_copy(update={"noise": {}, "correlation": None}),)})
    law = model.only.the_law
    truth = dict(published("besiroglu2024").values)
    truth = {"E": truth["E"], "A": truth["A"], "a": truth["alpha"], "B": truth["B"], "b": truth["beta"], "kappa": 1.0}
    sizes, tokens = np.meshgrid(np.geomspace(1e8, 1e10, 5), np.geomspace(2e9, 2e11, 5))
    table = pd.DataFrame({"params": sizes.ravel(), "tokens": tokens.ravel()})
    table["compute_flops"] = training_compute(table["params"], table["tokens"])
    table["loss"] = law(table["params"], table["tokens"], **truth)
    layout = Layout.of(model, {"loss": table})

    def same(value):
        return xr.DataArray(np.full(SHAPE, value), dims=("chain", "draw"))

    values = {name: same(value) for name, value in law.at_reference(truth, layout.reference).items()}
    draws = publish(model, values, layout.reference) | {"sigma": same(sigma), "growth": same(growth), "floor": same(1e-9)}
    for walk in layout.only.effects:
        draws[walk.scale_name] = same(scale)
        path = np.full((*SHAPE, len(walk.labels)), steps)
        draws[walk.effect_name] = xr.DataArray(path, dims=("chain", "draw", walk.dim), coords=walk.coords)
    coords = {"chain": range(SHAPE[0]), "draw": range(SHAPE[1])}
    facts = {"runs": "by hand", "params": "total"}
    return Fit.from_draws(xr.Dataset(draws).assign_coords(coords), model, table, facts)
