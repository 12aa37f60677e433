"""Tables that a system of laws describes exactly, but for noise of known size: what was measured is drawn, the rest is given."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bayes_scaling.model.scatter import neighbours
from bayes_scaling.model.systems import Observation, SystemSpec


def measured(system: SystemSpec, tables: dict[str, pd.DataFrame], truth: dict[str, float], noise: dict, rng) -> dict:
    """Return the tables with their output drawn; `noise` has a scale for each observation, and a length where one is due."""
    return {o.name: _drawn(o, tables[o.name], truth, noise[o.name], rng) for o in system.observations}


def _drawn(observation: Observation, table: pd.DataFrame, truth: dict[str, float], noise: dict, rng) -> pd.DataFrame:
    law = observation.the_law
    inputs = (table[column].to_numpy(float) for column in observation.columns.values())
    expected = law(*inputs, **{name: truth[name] for name in law.parameters if name in truth})
    residual = noise["scale"] * rng.standard_normal(len(table))
    if observation.correlation is not None:
        before, distance = neighbours(table, observation.correlation)
        kept = np.where(before >= 0, np.exp(-distance / noise["length"]), 0.0)
        along = np.argsort(table[observation.correlation.along].to_numpy(float), kind="stable")
        fresh = residual * np.sqrt(1 - kept**2)
        for row in along:  # the row before is never later along
            residual[row] = fresh[row] + kept[row] * residual[before[row]]
    return table.assign(**{observation.output: expected * np.exp(residual)})
