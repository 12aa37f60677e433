"""A fit as ArviZ takes it: posterior, prior, predictive draws and log likelihood, each a group of one tree."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from bayes_scaling.model import names
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.residuals import log_likelihood, loss_at_runs, measured_at_runs


def to_arviz(fit: Fit, *, seed: int = 0) -> xr.DataTree:
    """Return a fit with the groups that ArviZ works on.

    Parameters
    ----------
    fit : Fit
        The fit.
    seed : int
        Of the predictive draws.

    Returns
    -------
    DataTree
        ``posterior``, ``prior`` and ``sample_stats`` as they are stored; ``observed_data``, the logarithm of what was
        measured; ``log_likelihood`` and ``posterior_predictive`` of it, dims (chain, draw, run). Rows along one run are
        given the rows before them. Of several observations the variable is ``measured_{name}``, along ``run_{name}``.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> tree = to_arviz(example_fit())
    >>> sorted(tree.children)
    ['log_likelihood', 'observed_data', 'posterior', 'posterior_predictive', 'prior', 'sample_stats']
    >>> dict(tree["log_likelihood"].sizes)
    {'chain': 4, 'draw': 100, 'run': 25}
    """
    rng = np.random.default_rng([seed, 5])
    observed, predictive = {}, {}
    for suffix, rows in fit.layout:
        view = fit.view(rows.observation.name)
        name, run = (names.of_observation(part, suffix) for part in ("measured", "run"))
        observed[name] = xr.DataArray(rows.log_measured, dims=run)
        drawn: Any = np.log(measured_at_runs(view, loss_at_runs(view), rng))
        predictive[name] = drawn.rename(run=run)
    return xr.DataTree.from_dict(
        {
            "posterior": fit.posterior,
            "prior": fit.prior,
            "sample_stats": fit.tree["sample_stats"].to_dataset(),
            "observed_data": xr.Dataset(observed),
            "log_likelihood": log_likelihood(fit),
            "posterior_predictive": xr.Dataset(predictive),
        }
    )
