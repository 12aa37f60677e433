"""A fit of L(N) made by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from bayes_scaling.laws.constants import published
from bayes_scaling.model.document import read_model
from bayes_scaling.model.layout import Layout
from bayes_scaling.model.reference import publish
from bayes_scaling.posterior.fit import Fit


def one_resource_fit(*, chains: int = 4, draws: int = 50) -> Fit:
    """Return a fit of ``kaplan_n`` around the published constants."""
    spec = read_model("kaplan_n")
    truth = published("kaplan2020 eq 1.1").values
    table = pd.DataFrame({"params": np.geomspace(1e6, 1e9, 8)})
    table["loss"] = spec.only.the_law(table["params"], **truth)
    reference = Layout.of(spec, {"loss": table}).reference
    rng = np.random.default_rng(2)

    def scattered(value: float) -> xr.DataArray:
        return xr.DataArray(value * np.exp(0.003 * rng.standard_normal((chains, draws))), dims=("chain", "draw"))

    values = {name: scattered(value) for name, value in spec.only.the_law.at_reference(truth, reference).items()}
    found = publish(spec, values, reference) | {"sigma": scattered(0.004), "nu": scattered(4.0)}
    draws_by_hand = xr.Dataset(found, coords={"chain": range(chains), "draw": range(draws)})
    return Fit.from_draws(draws_by_hand, spec, table, {"runs": "by hand"})
