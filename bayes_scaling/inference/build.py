"""From a model document and a run table to a PyMC model.

Plain tensors rather than ``pymc.dims``: every quantity here has one value a run, so there is nothing to
broadcast by name; laws meet named dimensions after the posterior, in xarray.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt

from bayes_scaling import elementwise
from bayes_scaling.inference.coordinates import values_at_reference, variable
from bayes_scaling.inference.marginal import log_density
from bayes_scaling.model.discrepancy import paths_of
from bayes_scaling.model.grouping import Groups
from bayes_scaling.model.priors import Prior
from bayes_scaling.model.reference import fixed_values, publish
from bayes_scaling.model.scatter import kept_from_before, level_of, relative_se, scale_of, typical_loss
from bayes_scaling.model.sharing import neighbours_in, sharings_of
from bayes_scaling.model.specification import Likelihood, ModelSpec
from bayes_scaling.runs.table import RunTable

for _name in ("exp", "log", "expm1", "log1p", "softplus", "minimum"):
    getattr(elementwise, _name).register(pt.TensorVariable, getattr(pt, _name))


def build_model(spec: ModelSpec, runs: RunTable) -> pm.Model:
    """Build the PyMC model of a document and a table; nothing is sampled.

    Parameters
    ----------
    spec : ModelSpec
        The model document.
    runs : RunTable
        The runs.

    Returns
    -------
    pymc.Model
        Free variables in the coordinates of :mod:`~bayes_scaling.inference.coordinates`, the values at the
        reference point and the published parameters as deterministics, the log loss observed. Data are ``pm.Data``, so that one compiled model serves many tables.

    Raises
    ------
    InvalidModel
        If document and table do not go together.

    Examples
    --------
    >>> import pandas as pd
    >>> from bayes_scaling import read_model, read_runs
    >>> runs = read_runs(pd.DataFrame({"params": [1e8, 1e9], "tokens": [2e9, 2e10], "loss": [3.4, 2.8]}))
    >>> sorted(variable.name for variable in build_model(read_model("kaplan_nd"), runs).free_RVs)
    ['D_c_log_ratio', 'alpha_D', 'alpha_N', 'log_loss_at_reference', 'nu', 'sigma']
    """
    groups = Groups.of(spec, runs.table)
    point = spec.reference_point(runs.table)
    law = spec.the_law
    with pm.Model(coords={"run": np.arange(len(runs)), **groups.coords(spec)}) as model:
        inputs = {name: pm.Data(name_of_input(name), column, dims="run") for name, column in _inputs(spec, runs).items()}
        reference = {name: pm.Data(f"reference_{name}", value) for name, value in point.items()}
        index = pm.Data("group_of_run", groups.of_run, dims="run") if groups.columns else None
        values = values_at_reference(spec, groups, reference)
        for name, value in publish(spec, values, reference).items():
            if name not in model.named_vars:
                # A published coefficient varies where its exponent does, whether it varies itself or not.
                pm.Deterministic(name, value, dims=groups.dim if value.ndim else None)
        parameters: dict[str, Any] = dict(fixed_values(spec))
        for name in values:
            parameters[name] = model[name][index] if model[name].ndim else model[name]
        expected = law(*inputs.values(), **parameters)
        _observe(spec, runs, expected)
    return model


def name_of_input(symbol: str) -> str:
    """Return the name of an input's data in the model; laws may have a parameter of the same symbol.

    Examples
    --------
    >>> name_of_input("B")
    'input_B'
    """
    return f"input_{symbol}"


def _inputs(spec: ModelSpec, runs: RunTable) -> dict[str, np.ndarray]:
    return {name: runs.table[column].to_numpy(float) for name, column in spec.columns.items()}


def name_of_design(part: str) -> str:
    """Return the name of the data that say how a walk, or a part of the noise, loads on each run.

    Examples
    --------
    >>> name_of_design("C")
    'design_C'
    """
    return f"design_{part}"


def name_of_alone(part: str) -> str:
    """Return the name of the data that say which runs share a part of the noise with no other.

    Examples
    --------
    >>> name_of_alone("recipe")
    'alone_recipe'
    """
    return f"alone_{part}"


def _observe(spec: ModelSpec, runs: RunTable, expected: Any) -> None:
    likelihood = spec.likelihood
    level: Any = 1.0
    if likelihood.growth is not None:
        typical = pm.Data("typical_loss", typical_loss(runs.table))
        level = level_of(expected, typical, variable("growth", likelihood.growth))
    scale = scale_of(variable("sigma", likelihood.sigma), pm.Data("relative_se", relative_se(runs.table), dims="run"), level)
    observed = pm.Data("log_loss", np.log(runs.table["loss"].to_numpy(float)), dims="run")
    mu: Any = pt.log(expected)
    if not spec.has_effects:
        add_measured(likelihood, mu, scale, observed, dims="run")
        return
    loadings = []
    for path in paths_of(spec, runs.table):
        design = pm.Data(name_of_design(path.symbol), path.design(runs.table))
        loadings.append(variable(path.scale_name, spec.discrepancy[path.symbol].scale) * design)
    variance: Any = (scale + pt.zeros_like(mu)) ** 2
    for sharing in sharings_of(spec, runs.table):
        width = variable(sharing.scale_name, spec.noise[sharing.name].scale)
        loadings.append(width * pm.Data(name_of_design(sharing.name), sharing.design))
        variance = variance + (width * level) ** 2 * pm.Data(name_of_alone(sharing.name), sharing.alone)
    walks = pt.concatenate(loadings, axis=1) if loadings else pt.zeros((mu.shape[0], 0))
    before, kept = _along_runs(spec, runs.table)
    pm.CustomDist(
        "measured",
        mu,
        variance**0.5,
        walks * pt.reshape(level + pt.zeros_like(mu), (-1, 1)),
        kept + pt.zeros_like(mu),
        before,
        logp=log_density,
        signature="(n),(n),(n,k),(n),(n)->(n)",
        observed=observed,
        dims="run",
    )


def _along_runs(spec: ModelSpec, table: pd.DataFrame) -> tuple[Any, Any]:
    """Return data that say which row lies before each on its run, and the share of its scatter that each keeps."""
    before, distance = neighbours_in(spec, table)
    first = pm.Data("before", np.maximum(before, 0))
    if spec.correlation is None:
        return first, 0.0
    apart = pm.Data("distance", distance)
    length = variable("length", spec.correlation.length)
    return first, kept_from_before(pm.Data("follows", (before >= 0).astype(float)) - 1, apart, length)


def add_measured(
    likelihood: Likelihood, mu: Any, scale: Any, observed: Any, *, suffix: str = "", dims: str | None = None
) -> None:
    """Add what was measured: its logarithm, around `mu` with a scale, by the distribution of the likelihood."""
    if likelihood.dist == "Normal":
        pm.Normal(f"measured{suffix}", mu=mu, sigma=scale, observed=observed, dims=dims)
    else:
        nu = variable(f"nu{suffix}", likelihood.nu) if isinstance(likelihood.nu, Prior) else likelihood.nu
        pm.StudentT(f"measured{suffix}", nu=nu, mu=mu, sigma=scale, observed=observed, dims=dims)
