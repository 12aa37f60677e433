"""Labels that a parameter of a system varies over, and where the rows of each observation stand among them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bayes_scaling.errors import InvalidModel
from bayes_scaling.grouping import dimension, label_of
from bayes_scaling.systems import OBSERVATION, Observation, SystemSpec


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
                dim = cls.dim(name, grouping)
                found = {o.name: _labels(grouping, o, tables[o.name]) for o in system.users(name)}
                labels[dim] = sorted({label for each in found.values() for label in each})
                place = {label: number for number, label in enumerate(labels[dim])}
                rows |= {(dim, o): np.array([place[label] for label in each]) for o, each in found.items()}
        return cls(labels, rows)

    @staticmethod
    def dim(name: str, grouping: str) -> str:
        """Return the dimension of the labels of one parameter in one grouping."""
        return f"{dimension(grouping)}_of_{name}"

    @property
    def coords(self) -> dict[str, list[str]]:
        """The labels of every dimension."""
        return dict(self.labels)

    def of_rows(self, name: str, grouping: str, observation: Observation) -> np.ndarray:
        """Return the position of every row's label."""
        return self.rows[self.dim(name, grouping), observation.name]


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
