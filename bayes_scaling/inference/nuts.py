"""The sampler: compile, run nutpie, keep what has a meaning outside it."""

from __future__ import annotations

import datetime
import importlib.metadata
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any, Final

import nutpie
import pymc as pm
import pytensor
import xarray as xr

from bayes_scaling.errors import InvalidRequest
from bayes_scaling.model.document import Model
from bayes_scaling.runs.card import Card

_VERSIONS = ("bayes-scaling", "pymc", "pytensor", "nutpie", "numpy", "xarray", "arviz-stats")
_STATISTICS: Final = {
    "depth": "tree_depth",
    "maxdepth_reached": "reached_max_treedepth",
    "logp": "lp",
    "mean_tree_accept": "acceptance_rate",
}
"""nutpie's names of sampler statistics, and ArviZ's for the same."""


@dataclass(frozen=True)
class Settings:
    """How to sample; the fit keeps it.

    Parameters
    ----------
    seed, draws, tune, chains, target_accept
        As for :func:`fit`.

    Raises
    ------
    InvalidRequest
        If one has no meaning.
    """

    seed: int = 0
    draws: int = 2000
    tune: int = 1000
    chains: int = 4
    target_accept: float = 0.98

    def __post_init__(self) -> None:
        """Refuse a setting that has no meaning, before anything is compiled."""
        for name, least in (("draws", 1), ("tune", 1), ("chains", 1)):
            if getattr(self, name) < least:
                raise InvalidRequest(f"{name} is {getattr(self, name)}: it has to be at least {least}.")
        if not 0 < self.target_accept < 1:
            raise InvalidRequest(f"target_accept is {self.target_accept:g}: it has to lie between 0 and 1, say 0.95.")
        if not 0 <= self.seed < 2**63:
            raise InvalidRequest(f"The seed is {self.seed}: it has to be a whole number from 0 to 2^63 - 1.")


_MANY_ROWS: Final = 100


def enough_draws(model: Model, rows: int) -> int:
    """Return how many draws of each chain the checks of a model usually ask for.

    Examples
    --------
    >>> from bayes_scaling.model.document import read_model
    >>> enough_draws(read_model("kappa"), 240), enough_draws(read_model("kappa"), 30), enough_draws(read_model("kappa_by_group"), 240)
    (1000, 4000, 2000)
    """
    if not (model.is_one and model.only.discrepancy) or model.groupings:
        return 2000
    # With the discrepancy integrated out a dozen unknowns are left. Many rows pin them, and cost more a draw; few leave open
    # what is scatter and what the walks, and the draws of that go together.
    return 1000 if rows >= _MANY_ROWS else 4000


def compiled(model: pm.Model, *, freeze: bool = False) -> Any:
    """Compile a model; without fast-math the first, compiling run and later, cached runs give the same bytes."""
    with pytensor.config.change_flags(numba__fastmath=False):
        return nutpie.compile_pymc_model(model, freeze_model=freeze)


def sample(model: Any, settings: Settings, progress: bool | None) -> tuple[xr.DataTree, float]:
    """Sample a compiled model, and say how many seconds it took.

    It runs in the background, so that Ctrl-C stops it and nothing half-sampled comes back.
    """
    shown = progress if progress is not None else sys.stderr.isatty() or "ipykernel" in sys.modules
    started = time.perf_counter()
    sampler = nutpie.sample(
        model,
        adaptation="low_rank",
        save_warmup=False,
        blocking=False,
        cores=None,
        progress_bar=shown,
        **asdict(settings),
    )
    try:
        return sampler.wait(), time.perf_counter() - started
    except BaseException:
        sampler.cancel()
        raise


def statistics(raw: xr.Dataset) -> xr.Dataset:
    """Return the sampler statistics under ArviZ's names, numbers only."""
    named = raw.rename({theirs: ours for theirs, ours in _STATISTICS.items() if theirs in raw})
    return named[
        [name for name, value in named.data_vars.items() if value.dims == ("chain", "draw") and value.dtype.kind in "fiub"]
    ].load()


def provenance(settings: Settings, card: Card, seconds: float) -> dict[str, Any]:
    """Return what a fit says of how it was made, besides the runs."""
    return {
        "loss_unit": card.loss_unit,
        "params": card.params,
        "citation": card.citation,
        **asdict(settings),
        "seconds_of_sampling": round(seconds, 3),
        "made": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": {name: importlib.metadata.version(name) for name in _VERSIONS},
        "python": sys.version.split()[0],
    }
