"""The default sampler beside NUTS of sixteen thousand draws, on tables simulated from the priors of every document of one loss.

What no check of a single sampler tells, two that have nothing in common do. Tables of little noise are those whose posteriors are
thin sheets: of them the sampler kept to the middle once, and every check passed.
"""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bayes_scaling.evaluation.simulate import from_the_model
from bayes_scaling.evaluation.trial import on_trial
from bayes_scaling.inference.sample import fit_table
from bayes_scaling.inference.settings import Settings
from bayes_scaling.model.document import model_from_json
from bayes_scaling.model.names import at_reference, is_log
from bayes_scaling.posterior.fit import scalars
from tests.validation.test_recovery import OF_ONE_LOSS, design

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

WITHOUT_GROUPS = [name for name in OF_ONE_LOSS if "group" not in name and name not in ("best_rate", "shape")]
"""With groups it is NUTS that samples, on most tables."""
LITTLE = 1e-4
"""A scatter of a hundredth of a per cent."""


SHARES = np.array([0.05, 0.25, 0.5, 0.75, 0.95])
"""Of a reference's draws, below the quantiles at which another's are counted: no tail, however long, outweighs the rest."""


def stored(fitted):
    """Return the draws of all that is published of a fit; walks and other effects follow from their scales."""
    effects = {effect.effect_name for effect in fitted.layout.only.effects}
    return {label: draws for label, draws in scalars(fitted.posterior) if label.split("[")[0] not in effects}


def unknowns(fitted):
    """Return the draws of every unknown, of positive ones the logarithms.

    What is published of a coefficient follows from its value at the reference point, and with that tails no standard deviation tells of:
    of farseer's B, four fits of one table have 2.6, 2.6, 2.9 (NUTS) and 4.4, and moe's delta is past all numbers in some draws. See ``shifted``.
    """
    every = stored(fitted)
    return {label: d if is_log(label) else np.log(d) for label, d in every.items() if at_reference(label) not in every}


def shifted(fitted, reference):
    """Return by how much the share of draws below five quantiles of a reference differs from theirs, the most of all that is published."""
    theirs = stored(reference)
    below = {
        name: (draws[:, None] < np.quantile(theirs[name], SHARES)).mean(axis=0) for name, draws in stored(fitted).items()
    }
    return max(float(np.abs(shares - SHARES).max()) for shares in below.values())


def beside(fitted, reference):
    """Return how far means and quantiles are from those of a reference, in its standard deviations, and the ratios of these."""
    ours, theirs, rows = unknowns(fitted), unknowns(reference), {}
    for label, draws in theirs.items():
        sd = draws.std()
        ends = np.subtract(*(np.quantile(each, [0.05, 0.95]) for each in (ours[label], draws))) / sd
        mean = (ours[label].mean() - draws.mean()) / sd
        rows[label] = {"mean": mean, "sd": ours[label].std() / sd, "lower": ends[0], "upper": ends[1]}
    return pd.DataFrame.from_dict(rows, orient="index")


def both(model, runs, number):
    """Return the fit of a table by the default sampler, and that by NUTS in short steps."""
    settings = Settings(seed=number)
    fits = (settings, replace(settings, sampler="nuts", draws=4000, target_accept=0.99))
    return [fit_table(model, runs, each) for each in fits]


def simulated(model, runs, number):
    with np.errstate(all="ignore"):
        return from_the_model(model, runs, np.random.default_rng([7, number])).runs


def compared(name, model, tables):
    """Compare the samplers on tables, and say how they compare."""
    rows = []
    for number, table in enumerate(tables):
        fitted, reference = both(model, table, number)
        found = beside(fitted, reference)
        far, apart = found[["mean", "lower", "upper"]].abs().max(), shifted(fitted, reference)
        print(
            f"\n{name} {number}: {fitted.facts['sampler']}{'' if fitted.converged else ', NOT converged'}; means within {far['mean']:.2f}, "
            f"standard deviations {found['sd'].min():.2f} to {found['sd'].max():.2f}, ends within {far[['lower', 'upper']].max():.2f}, shares within {apart:.3f}"
            f"{'' if reference.converged else '; NUTS has not converged'}",
            end="",
        )
        assert fitted.converged, fitted.verdict
        if reference.converged:
            rows.append(found)
            assert apart < 0.1
    assert rows, "no reference converged"
    every = pd.concat(rows)
    assert every["mean"].abs().max() < 0.2
    assert every["sd"].between(0.75, 1.3).all()
    assert np.exp(np.abs(np.log(every["sd"])).mean()) < 1.1


@pytest.mark.parametrize("name", WITHOUT_GROUPS)
def test_two_samplers_find_one_posterior(name):
    runs, model = on_trial(design(name), name, "a comparison")
    compared(name, model, [simulated(model, runs, number) for number in range(2)])


@pytest.mark.parametrize("name", ["chinchilla", "kaplan_nd", "repeated", "repeated_excess", "moe"])
def test_two_samplers_find_one_posterior_of_little_noise(name):
    runs, model = on_trial(design(name), name, "a comparison")
    stated = json.loads(model.to_json())
    (observation,) = stated.get("observations", [stated])
    observation["likelihood"]["sigma"] = {"dist": "LogNormal", "mu": float(np.log(LITTLE)), "sigma": 0.05}
    precise = model_from_json(json.dumps(stated))
    compared(name, model, [simulated(precise, runs, number) for number in range(3)])
