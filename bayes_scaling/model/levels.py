"""Labels that a parameter of a system varies over, and where the rows of each observation stand among them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from bayes_scaling.errors import InvalidModel
from bayes_scaling.model.grouping import dimension, label_of, member
from bayes_scaling.model.reference import publish
from bayes_scaling.model.systems import OBSERVATION, Observation, SystemSpec


@dataclass(frozen=True)
class Levels:
    """The labels of every (parameter, grouping), over the observations whose law has the parameter.

    Parameters
    ----------
    labels : mapping
        Labels in order, for each dimension.
    rows : mapping
        Position of every row's label, for each dimension and observation.
    """

    labels: Mapping[str, list[str]]
    rows: Mapping[tuple[str, str], np.ndarray]

    @classmethod
    def of(cls, system: SystemSpec, tables: Mapping[str, pd.DataFrame]) -> Levels:
        """Find the labels in the rows at hand.

        Raises
        ------
        InvalidModel
            If an observation lacks a column that one of its parameters varies by.
        """
        labels: dict[str, list[str]] = {}
        rows: dict[tuple[str, str], np.ndarray] = {}
        for name, parameter in system.parameters.items():
            for grouping in parameter.varies_by:
                dim = dimension_of(name, grouping)
                found = {o.name: _labels(grouping, o, tables[o.name]) for o in system.users(name)}
                labels[dim] = sorted({label for each in found.values() for label in each})
                place = {label: number for number, label in enumerate(labels[dim])}
                rows |= {(dim, o): np.array([place[label] for label in each]) for o, each in found.items()}
        return cls(labels, rows)

    def of_rows(self, name: str, grouping: str, observation: Observation) -> np.ndarray:
        """Return the position of every row's label."""
        return self.rows[dimension_of(name, grouping), observation.name]


def _labels(grouping: str, observation: Observation, table: pd.DataFrame) -> list[str]:
    if grouping == OBSERVATION:
        return [observation.name] * len(table)
    columns = grouping.split(":")
    for column in columns:
        if column not in table:
            raise InvalidModel(
                f"A parameter of {observation.law} varies by {column!r}, the rows of {observation.name} have no such column; "
                f"found {', '.join(map(str, table))}."
            )
    return [":".join(map(label_of, row)) for row in table[columns].itertuples(index=False, name=None)]


def dimension_of(name: str, grouping: str) -> str:
    """Return the dimension of the labels over which one parameter varies in one grouping.

    Examples
    --------
    >>> dimension_of("alpha_N", "observation")
    'observation_of_alpha_N'
    """
    return f"{dimension(grouping)}_of_{name}"


def own_parameters(system: SystemSpec, observation: Observation, draws: xr.Dataset) -> xr.Dataset:
    """Return a system's draws as one observation has them: its law's parameters, its noise, and nothing else.

    Parameters
    ----------
    system : SystemSpec
        The system.
    observation : Observation
        One of its observations.
    draws : Dataset, dims (chain, draw, ...)
        Posterior or prior of the system.

    Returns
    -------
    Dataset, dims (chain, draw, *groupings)
        ``{name}``, and ``{name}_at_reference`` where the two differ, for every parameter of the law with a prior;
        ``{name}_population``, ``{name}_spread_{grouping}`` and ``{name}_effect_{grouping}`` for one that varies over
        columns; ``sigma`` and, where there is one, ``nu``.
    """
    kinds, values, varying = system.kinds, {}, {}
    for name, parameter in system.parameters.items():
        if parameter.prior is None or name not in observation.the_law.parameters:
            continue
        value = draws[f"{name}_at_reference" if kinds[name].moves else name]
        for grouping in parameter.varies_by:
            dim, of_it = dimension_of(name, grouping), dimension(grouping)
            effect = draws[f"{name}_effect_{dim}"]
            if grouping == OBSERVATION:
                value = member(value, [effect.sel({dim: observation.name}, drop=True)])
            else:
                varying[f"{name}_spread_{of_it}"] = draws[f"{name}_spread_{dim}"]
                varying[f"{name}_effect_{of_it}"] = effect.rename({dim: of_it})
        values[name] = value
    published = publish(system, values, system.reference)
    for name in {*values} & {variable.split("_spread_")[0] for variable in varying}:
        published = {n: v for n, v in published.items() if n not in (name, f"{name}_at_reference")}
        varying[f"{name}_population"] = values[name]
    noise = {n: draws[f"{n}_{observation.name}"] for n in ("sigma", "nu") if f"{n}_{observation.name}" in draws}
    return xr.Dataset(published | varying | noise)
