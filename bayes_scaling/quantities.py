"""What N, D, B, S, C and L mean: symbol, column, unit, range. C = 6 N D is written here and nowhere else."""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Final

PF_DAY: Final = 8.64e19
"""FLOP in one petaflop/s-day, the unit of compute in Kaplan et al. (2020)."""

FLOP_PER_PARAMETER_AND_TOKEN: Final = 6.0
"""Two FLOP forward and four backward for each parameter and token (Kaplan et al. 2020, section 2.1)."""

COMPUTE_TOLERANCE: Final = 1.3
"""A run whose compute is further than this factor from 6 N D, up or down, is warned about: attention adds less to all but small models."""

LOSS_UNITS: Final = ("nats/token", "bits/token", "bits/byte", "error rate")


@dataclass(frozen=True)
class Quantity:
    """A measured quantity of a training run, always positive: an input of laws by its symbol, a column of run tables.

    The unit is that of the numbers in the column; values above the maximum are mistakes of unit.
    """

    symbol: str
    column: str
    meaning: str
    unit: str
    maximum: float


_ALL = (
    Quantity("N", "params", "parameters without embeddings, unless the card says otherwise", "parameters", 1e18),
    Quantity("N_total", "params_total", "parameters with embeddings and output layer", "parameters", 1e18),
    Quantity("N_embedding", "params_embedding", "parameters of token and position embeddings", "parameters", 1e18),
    Quantity("D", "tokens", "tokens seen in training", "tokens", 1e24),
    Quantity("D_unique", "dataset_tokens", "distinct tokens available for training", "tokens", 1e24),
    Quantity("B", "batch_tokens", "tokens per optimizer step", "tokens", 1e15),
    Quantity("S", "steps", "optimizer steps", "steps", 1e15),
    Quantity("S_min", "steps_min", "steps at a batch far above the critical one", "steps", 1e15),
    Quantity("C", "compute_flops", "training compute", "FLOP", 1e40),
    Quantity("C_min", "compute_min_flops", "compute at a batch far below the critical one", "FLOP", 1e40),
    Quantity("aspect", "aspect", "width over depth", "1", 1e9),
    Quantity("head_width", "head_width", "width of one attention head", "1", 1e9),
    Quantity("lr", "lr", "peak learning rate", "1", 1e3),
    Quantity("L", "loss", "cross-entropy on held-out text", "nats per token unless declared", 1e3),
)

QUANTITIES: Final = {quantity.symbol: quantity for quantity in _ALL}
"""Every quantity by its symbol."""

BY_COLUMN: Final = {quantity.column: quantity for quantity in _ALL}
"""Every quantity by its canonical column."""

ALONG_A_RUN: Final = ("steps", "tokens", "epochs", "compute_flops", "loss", "loss_se")
"""Columns that change along a run."""


def training_compute(N: Any, D: Any) -> Any:
    """Return the compute C = 6 N D of a training run, FLOP: two forward and four backward for each parameter and token.

    >>> training_compute(70e9, 1.4e12)
    5.88e+23
    """
    return FLOP_PER_PARAMETER_AND_TOKEN * N * D


def tokens_at(C: Any, N: Any) -> Any:
    """Return the tokens D = C / (6 N) that compute C buys for N parameters."""
    return C / (FLOP_PER_PARAMETER_AND_TOKEN * N)


def params_at(C: Any, D: Any) -> Any:
    """Return the parameters N = C / (6 D) that compute C can train on D tokens."""
    return C / (FLOP_PER_PARAMETER_AND_TOKEN * D)


def training_tokens(S: Any, B: Any) -> Any:
    """Return the tokens D = B S seen in S steps of B tokens."""
    return B * S


RESOURCES: Final = ("params", "tokens", "compute_flops")
"""What a run is paid in: the columns a law forecasts from, and in which its distance from the runs counts."""
IDENTITIES: Final[tuple[tuple[str, tuple[str, str], Callable[[Any, Any], Any]], ...]] = (
    ("params", ("params_total", "params_embedding"), operator.sub),
    ("tokens", ("steps", "batch_tokens"), training_tokens),
    ("compute_flops", ("params", "tokens"), training_compute),
    ("tokens", ("compute_flops", "params"), tokens_at),
    ("params", ("compute_flops", "tokens"), params_at),
    ("params_total", ("params", "params_embedding"), operator.add),
    ("aspect", ("width", "depth"), operator.truediv),
    ("head_width", ("width", "heads"), operator.truediv),
)
"""Columns that follow from two others, in the order in which they are worked out."""


def completed(columns: Any) -> tuple[str, ...]:
    """Add in place the columns that D = B S, C = 6 N D, embeddings and shape give, whole ones only, and return their names.

    >>> run = {"params": 70e9, "compute_flops": 5.88e23}
    >>> completed(run), run["tokens"]
    (('tokens',), 1400000000000.0)
    """
    added = []
    for column, (first, second), identity in IDENTITIES:
        if column not in columns and first in columns and second in columns:
            columns[column] = identity(columns[first], columns[second])
            added.append(column)
    return tuple(added)


def sources(needed: Collection[str], columns: Collection[str]) -> set[str]:
    """Return the columns that are needed, and those that one that is missing follows from.

    >>> sorted(sources(["compute_flops", "loss"], ["params", "steps", "batch_tokens", "loss"]))
    ['batch_tokens', 'compute_flops', 'loss', 'params', 'steps', 'tokens']
    """
    found = set(needed)
    for column, parts, _ in reversed(IDENTITIES):
        if column in found and column not in columns and any(part in columns for part in parts):
            found.update(parts)
    return found
