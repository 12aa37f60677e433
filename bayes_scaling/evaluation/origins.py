"""Rolling origins: cuts along a resource; runs below a cut are fitted, runs at or above it are forecast."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from bayes_scaling.errors import InvalidInputs, InvalidRequest, OutOfRange

_MOST_PER_DECADE: Final = 100


class NoCut(InvalidRequest):
    """A table none of whose cuts leaves enough runs on either side."""


@dataclass(frozen=True)
class Origin:
    """One split of a table: positions of the rows below a value of the resource, and of those at or above it."""

    cut: float
    fitted: np.ndarray
    ahead: np.ndarray


def resource_of(table: pd.DataFrame, inputs: Iterable[str]) -> str:
    """Return the column along which larger runs are held out: compute, where the table has it, or the first input of the law.

    >>> resource_of(pd.DataFrame({"tokens": [1e9], "loss": [3.0]}), ["tokens"])
    'tokens'
    """
    return "compute_flops" if "compute_flops" in table else next(iter(inputs), "compute_flops")


def rolling_origins(
    table: pd.DataFrame, *, over: str = "compute_flops", per_decade: int = 4, least: int = 15, fewest_ahead: int = 3
) -> list[Origin]:
    """Cut a table at every step of a resource that leaves enough runs on either side: see :func:`~bayes_scaling.backtest`.

    Raises
    ------
    InvalidRequest
        If the table has no such column, or no cut leaves enough runs.

    Examples
    --------
    >>> runs = pd.DataFrame({"compute_flops": np.geomspace(1e18, 0.9e21, 24)})
    >>> [(f"{o.cut:.2g}", len(o.fitted), len(o.ahead)) for o in rolling_origins(runs, per_decade=2, least=12)]
    [('3.2e+19', 12, 12), ('1e+20', 16, 8), ('3.2e+20', 20, 4)]
    """
    if over not in table or table[over].isna().any():
        raise InvalidInputs(f"The runs have no column {over!r} without gaps to split them by; found {', '.join(table)}.")
    if not pd.api.types.is_numeric_dtype(table[over]) or not (table[over] > 0).all():
        raise InvalidInputs(
            f"The column {over!r} has values that are not positive numbers: split the runs by a resource, such as tokens."
        )
    for name, value in (("per_decade", per_decade), ("least", least), ("fewest_ahead", fewest_ahead)):
        if value < 1:
            raise OutOfRange(f"{name} is {value}: it has to be at least one.")
    # A value on a step, up to rounding, belongs to the bin above it.
    if per_decade > _MOST_PER_DECADE:
        raise OutOfRange(f"per_decade is {per_decade}: at most {_MOST_PER_DECADE} cuts per decade tell runs apart.")
    bins = np.floor(per_decade * np.log10(table[over].to_numpy(float)) + 1e-9).astype(int)
    steps, origins = np.unique(bins), []
    for below, step in enumerate(steps):
        fitted, ahead = np.flatnonzero(bins < step), np.flatnonzero(bins >= step)
        if 2 * below >= len(steps) and len(fitted) >= least and len(ahead) >= fewest_ahead:
            origins.append(Origin(float(10 ** (step / per_decade)), fitted, ahead))
    if not origins:
        raise NoCut(
            f"No cut of {over} leaves {least} of the {len(table)} runs and half of the {len(steps)} bins below it and "
            f"{fewest_ahead} runs at or above: measure more runs, or lower --least or --per-decade."
        )
    return origins
