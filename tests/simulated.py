"""Tables that a system of laws describes exactly, but for noise of known size: what was measured is drawn, the rest is given."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bayes_scaling.model.document import Model, Observation
from bayes_scaling.model.gaussian import Decay, correlated
from bayes_scaling.model.noise import serial_of


def measured(system: Model, tables: dict[str, pd.DataFrame], truth: dict[str, float], noise: dict, rng) -> dict:
    """Return the tables with their output drawn; `noise` has a scale for each observation, and a length where one is due."""
    return {o.name: _drawn(o, tables[o.name], truth, noise[o.name], rng) for o in system.observations}


def _drawn(observation: Observation, table: pd.DataFrame, truth: dict[str, float], noise: dict, rng) -> pd.DataFrame:
    law = observation.the_law
    inputs = (table[column].to_numpy(float) for column in observation.columns.values())
    expected = law(*inputs, **{name: truth[name] for name in law.parameters if name in truth})
    residual = noise["scale"] * rng.standard_normal(len(table))
    if observation.correlation is not None:
        serial, length = serial_of(table, observation.correlation), np.array([noise["length"]])
        residual = noise["scale"] * correlated(residual[None] / noise["scale"], serial, Decay(length))[0]
    return table.assign(**{observation.output: expected * np.exp(residual)})
