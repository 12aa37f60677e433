"""Fits made by hand, for documentation and tests: exact where one draw is asked for, and there in no time."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pandas as pd
import xarray as xr

from bayes_scaling.laws.constants import published
from bayes_scaling.model.documents import read_model
from bayes_scaling.model.levels import Levels
from bayes_scaling.model.prior_draws import draw_joint_prior, draw_prior
from bayes_scaling.model.reference import publish
from bayes_scaling.model.systems import Observation, SystemSpec
from bayes_scaling.posterior.fit import Fit, JointFit
from bayes_scaling.quantities import training_compute, training_tokens

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
    scattered = _scatter(rng, chains, draws)
    values = {name: scattered(value) for name, value in law.at_reference(truth, reference).items()}
    found = publish(spec, values, reference) | {"sigma": scattered(0.004), "nu": scattered(3.0)}
    coords = {"chain": range(chains), "draw": range(draws)}
    tree = xr.DataTree.from_dict(
        {
            "posterior": xr.Dataset(found, coords=coords),
            "prior": draw_prior(spec, table, rng),
            "sample_stats": xr.Dataset({"diverging": (("chain", "draw"), np.zeros((chains, draws), bool))}, coords=coords),
            "constant_data": xr.Dataset({str(c): ("run", table[c].to_numpy()) for c in table if c != "loss"}),
            "observed_data": xr.Dataset({"loss": ("run", table["loss"].to_numpy())}),
        }
    )
    facts = {"runs": "example", "loss_unit": "nats/token", "params": "total", "seed": 0, "versions": {}}
    return Fit(tree, spec, reference, facts)


@cache
def example_system(*, chains: int = 4, draws: int = 100) -> JointFit:
    """Return a fit of ``kaplan_system`` whose draws scatter by hand around the constants Kaplan et al. (2020) publish.

    Parameters
    ----------
    chains, draws : int
        As for :func:`example_fit`.

    Returns
    -------
    JointFit
        Ready for :func:`~bayes_scaling.questions.claims` and :func:`~bayes_scaling.questions.frontier`.

    Examples
    --------
    >>> example_system(chains=1, draws=1).learned["alpha_S"].item()
    0.76
    """
    system = read_model("kaplan_system")
    assert isinstance(system, SystemSpec)
    truth = published("kaplan2020 table 2").values | published("kaplan2020 table 3").values
    truth |= published("kaplan2020 eq 1.4").values | {"noise_ratio": 1.0}
    rng = np.random.default_rng(0)
    scattered = _scatter(rng, chains, draws)
    values = {name: kind.at_reference(truth[name], system.reference, truth) for name, kind in system.kinds.items()}
    found = publish(system, {name: scattered(value) for name, value in values.items()}, system.reference)
    tables = {observation.name: _measured(observation, truth) for observation in system.observations}
    levels = Levels.of(system, tables)
    prior = draw_joint_prior(system, levels, rng)
    for name, array in prior.items():
        if "_effect_" in str(name):
            sizes = [array.sizes[dim] for dim in array.dims[2:]]
            found[str(name)] = xr.DataArray(np.zeros((chains, draws, *sizes)), dims=array.dims)
        elif name not in found:
            found[str(name)] = scattered(0.01)
    coords = {"chain": range(chains), "draw": range(draws), **levels.labels}
    groups = {
        "posterior": xr.Dataset(found, coords=coords)[list(prior)],
        "prior": prior,
        "sample_stats": xr.Dataset({"diverging": (("chain", "draw"), np.zeros((chains, draws), bool))}),
    }
    for name, table in tables.items():
        columns = {str(c): ("run", v.to_numpy() if v.dtype.kind == "f" else v.to_numpy(str)) for c, v in table.items()}
        groups[f"observations/{name}"] = xr.Dataset(columns)
    facts = {"runs": "example", "loss_unit": "nats/token", "params": "non-embedding", "seed": 0, "versions": {}}
    return JointFit(xr.DataTree.from_dict(groups), system, dict(system.reference), facts)


def _measured(observation: Observation, truth: dict[str, float]) -> pd.DataFrame:
    """Return what runs between those of the paper would measure without noise."""
    params, steps = (a.ravel() for a in np.meshgrid(np.geomspace(1e5, 1e9, 5), np.geomspace(4e3, 2.5e5, 6), indexing="ij"))
    table = pd.DataFrame({"params": params, "steps": steps, "batch_tokens": 2.0**19})
    table["run_id"] = [f"N {size:g}" for size in params]
    table["dataset_tokens"] = np.tile(np.geomspace(2.2e7, 2.3e10, 6), 5)
    table["tokens"] = training_tokens(table["steps"], table["batch_tokens"])
    table["compute_flops"] = training_compute(table["params"], table["tokens"])
    law = observation.the_law
    table["loss"] = np.linspace(4.0, 2.5, len(table))  # for laws of the loss itself
    inputs = [table[column] for column in observation.columns.values()]
    table[observation.output] = law(*inputs, **{name: truth[name] for name in law.parameters if name in truth})
    return table


def _scatter(rng: np.random.Generator, chains: int, draws: int) -> Callable[[float], xr.DataArray]:
    """Return a function that scatters a number over draws, or leaves a single draw as it is."""

    def scattered(value: float) -> xr.DataArray:
        spread = SCATTER if chains * draws > 1 else 0.0
        return xr.DataArray(value * np.exp(spread * rng.standard_normal((chains, draws))), dims=("chain", "draw"))

    return scattered
