"""Fits made by hand, for documentation and tests: exact where one draw is asked for, and there in no time."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pandas as pd
import xarray as xr

from bayes_scaling.laws.constants import published
from bayes_scaling.model.document import Observation, read_model
from bayes_scaling.model.layout import Layout
from bayes_scaling.model.prior_draws import draw_prior, stored_parameters
from bayes_scaling.model.reference import publish
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.quantities import training_compute, training_tokens

SCATTER = 0.01
"""Standard deviation of the logarithm of every hand-made draw."""


@cache
def example_fit(*, chains: int = 4, draws: int = 100) -> Fit:
    """Return a fit of ``chinchilla`` whose draws scatter by hand around the constants of Besiroglu et al. (2024).

    It is no posterior: no run was measured, and the draws know no correlation. With one chain of one
    draw it is exactly the published constants, so that what is derived from it has a closed form.

    >>> fit = example_fit(chains=1, draws=1)
    >>> round(fit.posterior["E"].item(), 3)
    1.817
    """
    model = read_model("chinchilla")
    law, truth = model.only.the_law, published("besiroglu2024").values
    sizes, tokens = np.meshgrid(np.geomspace(1e8, 1e10, 5), np.geomspace(2e9, 2e11, 5))
    table = pd.DataFrame({"params": sizes.ravel(), "tokens": tokens.ravel()})
    table["compute_flops"] = training_compute(table["params"], table["tokens"])
    table["loss"] = law(table["params"], table["tokens"], **truth)
    layout = Layout.of(model, {model.only.name: table})
    rng = np.random.default_rng(0)
    scattered = _scatter(rng, chains, draws)
    values = {name: scattered(value) for name, value in law.at_reference(truth, layout.reference).items()}
    by_hand = publish(model, values, layout.reference) | {"sigma": scattered(0.004), "nu": scattered(3.0)}
    return _fit(layout, by_hand, draw_prior(layout, rng), params="total")


@cache
def example_system(model: str = "kaplan_system", *, chains: int = 4, draws: int = 100) -> Fit:
    """Return a fit of ``kaplan_system`` whose draws scatter by hand around the constants Kaplan et al. (2020) publish.

    Or of another document of the system, with an offset of half a nat where it has one; scales are 0.01, and no row has
    learned anything of a discrepancy.

    >>> example_system(chains=1, draws=1).learned["alpha_S"].item()
    0.76
    """
    document = read_model(model)
    truth = published("kaplan2020 table 2").values | published("kaplan2020 table 3").values
    truth |= published("kaplan2020 eq 1.4").values | {"noise_ratio": 1.0}
    truth |= {"E": 0.5} if "E" in document.kinds else {}
    rng = np.random.default_rng(0)
    scattered = _scatter(rng, chains, draws)
    layout = Layout.of(document, {observation.name: _measured(observation, truth) for observation in document.observations})
    values = {name: kind.at_reference(truth[name], layout.reference, truth) for name, kind in document.kinds.items()}
    by_hand = publish(document, {name: scattered(value) for name, value in values.items()}, layout.reference)
    prior = draw_prior(layout, rng)
    for name, array in prior.items():
        sizes = [array.sizes[dim] for dim in array.dims[2:]]
        if sizes and name not in by_hand:
            by_hand[str(name)] = xr.DataArray(np.zeros((chains, draws, *sizes)), dims=array.dims)
        elif name not in by_hand:
            by_hand[str(name)] = scattered(0.01)
    return _fit(layout, by_hand, prior, params="non-embedding")


@cache
def example_rates(*, chains: int = 4, draws: int = 100) -> Fit:
    """Return a fit of ``best_rate`` whose draws scatter by hand around the rule of Li et al. (2025), and costs of our own.

    The optima of its four sweeps lie on the rule.

    >>> example_rates(chains=1, draws=1).posterior["lr_N"].item()
    0.713
    """
    model, rule = read_model("best_rate"), published("steplaw2025").values
    truth = {"E": 1.69, "A_N": 406.4, "alpha_N": 0.34, "A_D": 410.7, "alpha_D": 0.28}
    truth |= {"lr_one": rule["lr_coefficient"], "lr_N": -rule["lr_power_N"], "lr_D": rule["lr_power_D"], "lr_B": 0.5}
    truth |= {"B_one": rule["batch_coefficient"], "batch_D": rule["batch_power_D"], "batch_N": 1e-9}
    truth |= {"rate_cost": 0.1, "batch_cost": 0.08}
    axes = np.meshgrid([1e8, 1e9], [1e10, 1e11], [1e-3, 2e-3, 4e-3], [2.0**18, 2.0**20], indexing="ij")
    columns = model.only.columns.values()
    table = pd.DataFrame(dict(zip(columns, (axis.ravel() for axis in axes), strict=True)))
    table["cell"] = [f"N {params:g}, D {tokens:g}" for params, tokens in zip(table["params"], table["tokens"], strict=True)]
    table["loss"] = model.only.the_law(*(table[column] for column in columns), **truth)
    layout = Layout.of(model, {model.only.name: table})
    rng = np.random.default_rng(0)
    scattered, prior = _scatter(rng, chains, draws), draw_prior(layout, rng)
    centres = {name: scattered(value) for name, value in model.only.the_law.at_reference(truth, layout.reference).items()}
    nothing = xr.DataArray(np.zeros((chains, draws, 4)), dims=("chain", "draw", "cell"))
    effects = {name: [(nothing, layout.codings[name, "cell"])] for name in ("lr_one", "B_one")}
    by_hand = stored_parameters(layout, centres, effects)
    for name in (str(name) for name in prior if name not in by_hand):
        by_hand[name] = nothing.rename(cell=prior[name].dims[2]) if prior[name].ndim > 2 else scattered(1e-4)
    return _fit(layout, by_hand, prior, params="non-embedding")


def _fit(layout: Layout, by_hand: dict[str, xr.DataArray], prior: xr.Dataset, *, params: str) -> Fit:
    draws = xr.Dataset(by_hand)
    draws = draws.assign_coords({"chain": range(draws.sizes["chain"]), "draw": range(draws.sizes["draw"]), **layout.coords})
    tables = {name: rows.table for name, rows in layout.rows.items()}
    return Fit.from_draws(draws, layout.model, tables, {"runs": "example", "params": params}, prior=prior)


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
