"""How to sample, and what a fit says of how it was made."""

from __future__ import annotations

import datetime
import importlib.metadata
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from bayes_scaling.errors import InvalidRequest, choose
from bayes_scaling.model.document import Model
from bayes_scaling.runs.card import Card

SAMPLERS: Final = ("auto", "importance", "nuts")
_VERSIONS = ("bayes-scaling", "pymc", "pytensor", "nutpie", "numpy", "scipy", "xarray", "arviz-stats")
_MANY_ROWS: Final = 100


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
            raise InvalidRequest(f"There is no sampler {self.sampler!r}; {choose(self.sampler, SAMPLERS)}.")
        for name, least in (("draws", 1), ("tune", 1), ("chains", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise InvalidRequest(f"{name} is {value}: it has to be at least {least}.")
        if not 0 < self.target_accept < 1:
            raise InvalidRequest(f"target_accept is {self.target_accept:g}: it has to lie between 0 and 1, say 0.95.")
        if not 0 <= self.seed < 2**63:
            raise InvalidRequest(f"The seed is {self.seed}: it has to be a whole number from 0 to 2^63 - 1.")

    def with_draws(self, default: int) -> Settings:
        """Return the settings with a number of draws of each chain where none was asked for."""
        return self if self.draws is not None else replace(self, draws=default)


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
