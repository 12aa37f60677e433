"""From a model document and a run table to a PyMC model.

Plain tensors rather than ``pymc.dims``: every quantity here has one value a run, so there is nothing to
broadcast by name; laws meet named dimensions after the posterior, in xarray.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayes_scaling import elementwise
from bayes_scaling.grouping import Groups, dimension, member
from bayes_scaling.prior_draws import fixed_values, publish
from bayes_scaling.priors import Prior
from bayes_scaling.runs import RunTable
from bayes_scaling.scatter import relative_se, scale_of
from bayes_scaling.specification import ModelSpec

for _name in ("exp", "log", "expm1", "log1p", "softplus"):
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
        Free variables at the reference point, the published parameters as deterministics, the log loss
        observed. Data are ``pm.Data``, so that one compiled model serves many tables.

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
    ['D_c_at_reference', 'N_c_at_reference', 'alpha_D', 'alpha_N', 'nu', 'sigma']
    """
    groups = Groups.of(spec, runs.table)
    point = spec.reference_point(runs.table)
    law = spec.the_law
    with pm.Model(coords={"run": np.arange(len(runs)), **groups.coords(spec)}) as model:
        inputs = {name: pm.Data(name_of_input(name), column, dims="run") for name, column in _inputs(spec, runs).items()}
        reference = {name: pm.Data(f"reference_{name}", value) for name, value in point.items()}
        index = pm.Data("group_of_run", groups.of_run, dims="run") if groups.columns else None
        values = {name: _at_reference(spec, name, groups) for name, p in spec.parameters.items() if p.prior is not None}
        for name, value in publish(spec, values, reference).items():
            if name not in model.named_vars:
                varies = spec.parameters[name.removesuffix("_at_reference")].varies_by
                pm.Deterministic(name, value, dims=groups.dim if varies else None)
        parameters: dict[str, Any] = dict(fixed_values(spec))
        for name in values:
            varies = bool(spec.parameters[name].varies_by)
            parameters[name] = model[name][index] if varies else model[name]
        expected = law(*inputs.values(), **parameters)
        _observe(spec, runs, pt.log(expected))
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


def _variable(name: str, prior: Prior) -> Any:
    return getattr(pm, prior.dist)(name, **prior.arguments)


def _at_reference(spec: ModelSpec, name: str, groups: Groups) -> Any:
    """Return the tensor of a parameter at the reference point: a number, or one a group."""
    parameter = spec.parameters[name]
    assert parameter.prior is not None
    if not parameter.varies_by:
        moved = spec.the_law.parameters[name].moves
        return _variable(f"{name}_at_reference" if moved else name, parameter.prior)
    centre = _variable(f"{name}_population", parameter.prior)
    effects = []
    for grouping in parameter.varies_by:
        assert parameter.spread is not None
        dim = dimension(grouping)
        spread = _variable(f"{name}_spread_{dim}", parameter.spread)
        # Non-centred: ladders of a few dozen runs a group leave the spread half to the prior, and the centred
        # form, four times faster a draw, diverges there and mixes the common level of E, A and B badly.
        z = pm.Normal(f"{name}_z_{dim}", dims=dim)
        effect = pm.Deterministic(f"{name}_effect_{dim}", spread * z, dims=dim)
        effects.append(effect[pm.Data(f"{name}_level_{dim}", groups.level_of_cell(grouping), dims=groups.dim)])
    return member(centre, effects)


def _observe(spec: ModelSpec, runs: RunTable, mu: Any) -> None:
    likelihood = spec.likelihood
    scale = scale_of(_variable("sigma", likelihood.sigma), pm.Data("relative_se", relative_se(runs.table), dims="run"))
    observed = pm.Data("log_loss", np.log(runs.table["loss"].to_numpy(float)), dims="run")
    if likelihood.dist == "Normal":
        pm.Normal("measured", mu=mu, sigma=scale, observed=observed, dims="run")
    else:
        nu = _variable("nu", likelihood.nu) if isinstance(likelihood.nu, Prior) else likelihood.nu
        pm.StudentT("measured", nu=nu, mu=mu, sigma=scale, observed=observed, dims="run")
