"""Simulate tables from each model's own prior, fit them, and count how often the truth is inside.

The truths are draws from the prior, so that over many tables a 90 % interval holds the truth in 90 % of them
exactly, if model, sampler and intervals are what they say. One compiled model serves all tables.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats

from bayes_scaling.documents import read_model, shipped_models
from bayes_scaling.fits import scalars
from bayes_scaling.grouping import Groups, member
from bayes_scaling.inference.sampling import Sampler, Settings
from bayes_scaling.prediction import interval, predict
from bayes_scaling.prior_draws import draw_prior
from bayes_scaling.quantities import training_compute
from bayes_scaling.reference import fixed_values
from bayes_scaling.runs import read_runs
from bayes_scaling.scatter import measure

pytestmark = pytest.mark.slow

TABLES = 24


BEYOND = {"params": 1e10, "tokens": 3e11}
"""A run ten times beyond the design in compute."""


def design():
    """Forty-eight runs over two decades of N and D, in four groups."""
    N, D = (axis.ravel() for axis in np.meshgrid(np.geomspace(3e7, 3e9, 8), np.geomspace(1e9, 1e11, 6)))
    table = pd.DataFrame({"params": N, "tokens": D, "loss": 1.0, "group": np.tile(list("abcd"), 12)})
    return read_runs(table, name="simulated")


def simulate(spec, runs, seed):
    """Return true unknowns drawn from the prior and a table measured from them."""
    rng = np.random.default_rng(seed)
    groups, reference = Groups.of(spec, runs.table), spec.reference_point(runs.table)
    truth = draw_prior(spec, reference, groups, rng, draws=1)
    of_run = xr.DataArray(groups.of_run, dims="run")
    parameters = fixed_values(spec) | {
        name: truth[name].isel({groups.dim: of_run}, drop=True)
        if groups.columns and groups.dim in truth[name].dims
        else truth[name]
        for name in spec.parameters
        if name in truth
    }
    inputs = [xr.DataArray(runs.table[column].to_numpy(float), dims="run") for column in spec.columns.values()]
    expected = spec.the_law(*inputs, **parameters).transpose("chain", "draw", "run")
    loss = measure(expected, spec.likelihood, truth, rng).values.ravel()
    return truth, runs.table.assign(loss=loss)


def loss_beyond(spec, truth, reference, rng):
    """Return the true loss of the run beyond, in a group that no table holds where the model has groups."""
    values = {}
    for name, parameter in spec.parameters.items():
        if parameter.varies_by:
            effect = truth[f"{name}_spread_group"].item() * rng.standard_normal()
            values[name] = member(truth[f"{name}_population"].item(), [effect])
        else:
            values[name] = truth.get(f"{name}_at_reference", truth[name]).item()
    run = {**BEYOND, "compute_flops": training_compute(*BEYOND.values())}
    published = spec.the_law.from_reference(values, reference)
    return spec.the_law(*(run[column] for column in spec.columns.values()), **published)


@pytest.mark.filterwarnings("ignore::bayes_scaling.errors.NewGroupWarning")
@pytest.mark.filterwarnings("ignore::bayes_scaling.errors.NotConvergedWarning")
@pytest.mark.parametrize("name", shipped_models())
def test_truth_is_inside_at_the_right_rate(name):
    spec, runs = read_model(name), design()
    sampler = Sampler(spec, runs)
    reference = spec.reference_point(runs.table)
    inside, beyond, unconverged, seed = [], [], 0, 0
    while len(inside) < TABLES:
        seed += 1
        truth, table = simulate(spec, runs, seed)
        if not table["loss"].between(1e-3, 1e3).all():
            continue  # a heavy tail drew a run that no table may hold
        found = sampler.fit(read_runs(table), Settings(seed=seed), progress=False)
        unconverged += not found.converged
        true = dict(scalars(truth))
        wanted = [n for n, _ in scalars(found.posterior) if n.split("[")[0] in spec.parameters or n in ("sigma", "nu")]
        draws = dict(scalars(found.posterior))
        inside.append([np.quantile(draws[n], 0.05) <= true[n].item() <= np.quantile(draws[n], 0.95) for n in wanted])
        _, low, high = interval(predict(found, **BEYOND)["expected_loss"], 0.9)
        beyond.append(low <= loss_beyond(spec, truth, reference, np.random.default_rng([seed, 1])) <= high)
    rates = np.mean(inside, axis=0)
    print(
        f"\n{name}: {np.mean(inside):.1%} of {np.size(inside)} truths inside 90 %, {unconverged} of {TABLES} not converged"
    )
    print(f"  losses of a run beyond, in a new group where there are groups: {np.mean(beyond):.0%} inside 90 %")
    print("  " + ", ".join(f"{n} {rate:.0%}" for n, rate in zip(wanted, rates, strict=True)))
    # Parameters of one table are not independent: judge each alone, at a level that many tests still keep.
    lowest = stats.binom.ppf(0.0005, TABLES, 0.9) / TABLES
    assert (rates >= lowest).all(), dict(zip(wanted, rates, strict=True))
    assert 0.80 <= np.mean(inside) <= 0.97
    assert np.mean(beyond) >= lowest
    assert unconverged <= TABLES // 8
