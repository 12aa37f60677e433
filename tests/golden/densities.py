"""Log densities and prior draws of every shipped document on a table that suits it."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.golden import tables
from tests.golden.adapter import density, ladder, numpy_density, prior, runs_of
from tests.golden.numbers import plain

POINTS = 3
SIZE = 0.3
_Runs = Callable[[], Any]
_PLAIN: _Runs = lambda: runs_of(tables.plain_runs())  # noqa: E731
CASES: dict[str, tuple[str, _Runs]] = {
    "kaplan_n": ("kaplan_n", _PLAIN),
    "kaplan_d": ("kaplan_d", _PLAIN),
    "kaplan_c": ("kaplan_c", _PLAIN),
    "kaplan_nd": ("kaplan_nd", lambda: ladder(tables.LADDER)),
    "chinchilla": ("chinchilla", lambda: ladder(tables.LADDER)),
    "chinchilla, errors": ("chinchilla", lambda: runs_of(tables.runs_with_errors())),
    "repeated": ("repeated", lambda: runs_of(tables.repeated_data())),
    "repeated, fresh at the reference": ("repeated", lambda: runs_of(tables.repeated_data())),
    "chinchilla_by_group": ("chinchilla_by_group", lambda: runs_of(tables.grouped_runs())),
    "kappa_by_group": ("kappa_by_group", lambda: runs_of(tables.grouped_runs())),
    "kappa_by_group_forecast": ("kappa_by_group_forecast", lambda: runs_of(tables.grouped_runs())),
    "kaplan_system_forecast": ("kaplan_system_forecast", ladder),
    "offset_n, scatter alike": ("offset_n", _PLAIN),
    "offset_d, scatter alike": ("offset_d", _PLAIN),
    "offset_c, scatter alike": ("offset_c", lambda: ladder(tables.LADDER)),
    "saturating_d": ("saturating_d", lambda: runs_of(tables.error_rates())),
    "kappa": ("kappa", lambda: ladder(tables.LADDER)),
    "kappa, repeats": ("kappa", lambda: ladder(tables.REPEATED_LADDER)),
    "kappa, repeats and points": ("kappa", lambda: runs_of(tables.along_runs())),
    "kappa, repeats, points and errors": ("kappa", lambda: runs_of(tables.along_runs(errors=True))),
    "kaplan_system": ("kaplan_system", ladder),
    "kaplan_system_offset": ("kaplan_system_offset", ladder),
    "critical_batch": ("critical_batch", ladder),
    "critical_batch_of_data": ("critical_batch_of_data", ladder),
    "shape": ("shape", ladder),
    "best_rate": ("best_rate", ladder),
}
"""A document and its runs, by name of the case."""


def points_of(case: str) -> list[dict[str, Any]]:
    """Return points around the start of a model, the same for a variable whatever else the model has."""
    model, runs = CASES[case]
    start = density(model, runs()).start
    points = []
    for number in range(POINTS):
        rngs = {name: np.random.default_rng([number, zlib.crc32(name.encode())]) for name in start}
        points.append({n: plain(v + SIZE * rngs[n].standard_normal(v.shape)) for n, v in start.items()})
    return points


def densities_at(case: str, points: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the log density and its gradient at points."""
    model, runs = CASES[case]
    known = density(model, runs())
    found = [known.at(point) for point in points]
    return {
        "points": points,
        "log_density": [value for value, _ in found],
        "gradient": [slopes for _, slopes in found],
    }


def in_numpy(case: str, points: list[dict[str, Any]]) -> Any:
    """Return the log density at points without PyMC."""
    model, runs = CASES[case]
    return numpy_density(model, runs(), points)


def prior_of(case: str) -> dict[str, Any]:
    """Return three draws from the prior of every variable."""
    model, runs = CASES[case]
    return {str(name): plain(array.isel(chain=0)) for name, array in prior(model, runs()).data_vars.items()}
