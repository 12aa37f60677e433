"""A fit made by hand, for documentation and tests: exact where one draw is asked for, and there in no time."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import xarray as xr

from bayes_scaling.constants import published
from bayes_scaling.documents import read_model
from bayes_scaling.fits import Fit
from bayes_scaling.grouping import Groups
from bayes_scaling.prior_draws import draw_prior
from bayes_scaling.quantities import training_compute
from bayes_scaling.reference import publish

SCATTER = 0.01
"""Standard deviation of the logarithm of every hand-made draw."""


@cache
def example_fit(*, chains: int = 4, draws: int = 100) -> Fit:
    """Return a fit of ``chinchilla`` whose draws scatter by hand around the constants of Besiroglu et al. (2024).

    It is no posterior: no run was measured, and the draws know no correlation. With one chain of one
    draw it is exactly the published constants, so that what is derived from it has a closed form.

    Parameters
    ----------
    chains, draws : int
        Sizes of the sample.

    Returns
    -------
    Fit
        Ready for :func:`~bayes_scaling.predict` and :func:`~bayes_scaling.allocate`.

    Examples
    --------
    >>> fit = example_fit(chains=1, draws=1)
    >>> round(fit.posterior["E"].item(), 3)
    1.817
    """
    spec, law = read_model("chinchilla"), read_model("chinchilla").the_law
    truth = published("besiroglu2024").values
    sizes, tokens = np.meshgrid(np.geomspace(1e8, 1e10, 5), np.geomspace(2e9, 2e11, 5))
    table = pd.DataFrame({"params": sizes.ravel(), "tokens": tokens.ravel()})
    table["compute_flops"] = training_compute(table["params"], table["tokens"])
    table["loss"] = law(table["params"], table["tokens"], **truth)
    reference = spec.reference_point(table)
    rng = np.random.default_rng(0)

    def scattered(value: float) -> xr.DataArray:
        spread = SCATTER if chains * draws > 1 else 0.0
        return xr.DataArray(value * np.exp(spread * rng.standard_normal((chains, draws))), dims=("chain", "draw"))

    values = {name: scattered(value) for name, value in law.at_reference(truth, reference).items()}
    found = publish(spec, values, reference) | {"sigma": scattered(0.004), "nu": scattered(3.0)}
    coords = {"chain": range(chains), "draw": range(draws)}
    tree = xr.DataTree.from_dict(
        {
            "posterior": xr.Dataset(found, coords=coords),
            "prior": draw_prior(spec, reference, Groups.of(spec, table), rng),
            "sample_stats": xr.Dataset({"diverging": (("chain", "draw"), np.zeros((chains, draws), bool))}, coords=coords),
            "constant_data": xr.Dataset({str(c): ("run", table[c].to_numpy()) for c in table if c != "loss"}),
            "observed_data": xr.Dataset({"loss": ("run", table["loss"].to_numpy())}),
        }
    )
    facts = {"runs": "example", "loss_unit": "nats/token", "params": "total", "seed": 0, "versions": {}}
    return Fit(tree, spec, reference, facts)
