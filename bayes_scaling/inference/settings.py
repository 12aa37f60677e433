"""How to sample, and what a fit says of how it was made."""

from __future__ import annotations

import datetime
import importlib.metadata
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np

from bayes_scaling.errors import BeyondMachine, OutOfRange, UnknownChoice, choose
from bayes_scaling.files import memory
from bayes_scaling.model.document import Model
from bayes_scaling.runs.card import Card

SAMPLERS: Final = ("auto", "importance", "nuts")
_VERSIONS = ("bayes-scaling", "pymc", "pytensor", "nutpie", "numpy", "scipy", "xarray", "arviz-stats")
_MANY_ROWS: Final = 100
_MOST_DRAWS: Final = 1_000_000
_MOST_CHAINS: Final = 64
_SHARE_OF_MEMORY: Final = 0.5
_COPIES: Final = 6
"""Copies of the draws that sampling and its checks hold at a time."""


@dataclass(frozen=True)
class Settings:
    """How to sample; the fit keeps it.

    Parameters
    ----------
    sampler, seed, draws, tune, chains, target_accept
        As for :func:`~bayes_scaling.fit`.

    Raises
    ------
    InvalidRequest
        If one has no meaning.
    """

    sampler: str = "auto"
    seed: int = 0
    draws: int | None = None
    tune: int = 1000
    chains: int = 4
    target_accept: float = 0.98

    def __post_init__(self) -> None:
        """Refuse a setting that has no meaning, before anything is sampled."""
        if self.sampler not in SAMPLERS:
            raise UnknownChoice(f"There is no sampler {self.sampler!r}; {choose(self.sampler, SAMPLERS)}.")
        draws = 1 if self.draws is None else self.draws
        for name, value, most in (
            ("draws", draws, _MOST_DRAWS),
            ("tune", self.tune, _MOST_DRAWS),
            ("chains", self.chains, _MOST_CHAINS),
        ):
            if not _is_whole(value) or value < 1:
                raise OutOfRange(f"{name} is {value!r}: it has to be a whole number, at least 1.")
            if value > most:
                raise OutOfRange(
                    f"{name} is {value:.4g}: at most {most:,} are drawn; the interval of a mean shrinks by their root."
                )
        if not isinstance(self.target_accept, int | float | np.number) or not 0 < self.target_accept < 1:
            raise OutOfRange(f"target_accept is {self.target_accept!r}: it has to lie between 0 and 1, say 0.95.")
        if not _is_whole(self.seed) or not 0 <= self.seed < 2**63:
            raise OutOfRange(f"The seed is {self.seed!r}: it has to be a whole number from 0 to 2^63 - 1.")

    def with_draws(self, default: int) -> Settings:
        """Return the settings with a number of draws of each chain where none was asked for."""
        return self if self.draws is not None else replace(self, draws=default)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def refuse_too_much(settings: Settings, unknowns: int, rows: int) -> None:
    """Refuse draws that would not fit into the memory of this machine.

    >>> refuse_too_much(Settings(draws=1_000_000, chains=64), unknowns=1000, rows=100)
    Traceback (most recent call last):
    ...
    bayes_scaling.errors.BeyondMachine: 64 chains of 1,000,000 draws of 1000 unknowns take about 3.1e+03 GB, ...
    """
    if settings.draws is None:
        return
    # Residuals are worked out for some thousand draws at a time.
    needed = 8.0 * settings.chains * settings.draws * unknowns * _COPIES + 8.0 * 4000 * rows
    most = _SHARE_OF_MEMORY * memory()
    if needed > most:
        raise BeyondMachine(
            f"{settings.chains} chains of {settings.draws:,} draws of {unknowns} unknowns take about {needed / 1e9:.2g} GB, this "
            f"machine gives {most / 1e9:.2g} GB: ask for fewer."
        )


def enough_draws(model: Model, rows: int) -> int:
    """Return how many draws of each chain of NUTS the checks of a model usually ask for.

    Examples
    --------
    >>> from bayes_scaling.model.document import read_model
    >>> enough_draws(read_model("kappa"), 240), enough_draws(read_model("kappa"), 30), enough_draws(read_model("kappa_by_group"), 240)
    (1000, 4000, 2000)
    """
    if not (model.is_one and model.only.discrepancy) or model.groupings:
        return 2000
    # With the discrepancy integrated out a dozen unknowns are left. Many rows pin them, and cost more a draw; few leave open
    # what is noise and what the discrepancy, and the draws of that are correlated.
    return 1000 if rows >= _MANY_ROWS else 4000


def provenance(settings: Settings, card: Card, sampled: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """Return what a fit says of how it was made, besides the runs: ``sampled`` is what the sampler says of itself."""
    return {
        "loss_unit": card.loss_unit,
        "params": card.params,
        "citation": card.citation,
        **asdict(settings),
        **sampled,
        "seconds_of_sampling": round(seconds, 3),
        "made": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": {name: importlib.metadata.version(name) for name in _VERSIONS},
        "python": sys.version.split()[0],
    }
