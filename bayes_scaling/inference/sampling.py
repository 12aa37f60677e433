"""Sampling a posterior: compile, run nutpie, check, keep."""

from __future__ import annotations

import datetime
import importlib.metadata
import sys
import time
import warnings
from collections.abc import Hashable, Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import nutpie
import pandas as pd
import pytensor
import xarray as xr

from bayes_scaling.datasets import runs_from
from bayes_scaling.diagnostics import check
from bayes_scaling.documents import read_model
from bayes_scaling.errors import CheckpointWarning, InvalidModel, InvalidRequest
from bayes_scaling.fits import Fit
from bayes_scaling.grouping import Groups, label_of
from bayes_scaling.inference.model import build_model, name_of_input
from bayes_scaling.prior_draws import draw_prior
from bayes_scaling.runs import RunTable
from bayes_scaling.scatter import relative_se
from bayes_scaling.specification import ModelSpec

_VERSIONS = ("bayes-scaling", "pymc", "pytensor", "nutpie", "numpy", "xarray", "arviz-stats")
_STATISTICS: Final = {
    "depth": "tree_depth",
    "maxdepth_reached": "reached_max_treedepth",
    "logp": "lp",
    "mean_tree_accept": "acceptance_rate",
}
"""nutpie's names of sampler statistics, and ArviZ's for the same."""


def fit(
    runs: RunTable | pd.DataFrame | str | Path,
    model: str | Path | ModelSpec,
    *,
    seed: int = 0,
    draws: int = 2000,
    tune: int = 1000,
    chains: int = 4,
    target_accept: float = 0.98,
    progress: bool | None = None,
) -> Fit:
    """Sample the posterior of a model given measured runs.

    Parameters
    ----------
    runs : RunTable, DataFrame, path or str
        Measured runs, or the name of a data set: see :func:`~bayes_scaling.read_runs`.
    model : str, path or ModelSpec
        A shipped model's name, or a TOML document: see :func:`~bayes_scaling.read_model`.
    seed : int
        The same seed, data, model, machine and versions give the same draws.
    draws, tune, chains : int
        Draws kept and draws of warm-up, for each chain, and chains.
    target_accept : float
        Acceptance rate the step size is tuned to; higher is slower and safer.
    progress : bool, optional
        Whether to show a progress bar; by default in a terminal and in Jupyter.

    Returns
    -------
    Fit
        Posterior, prior, sampler statistics, the runs used, the checks and the provenance. Nothing is
        written: :meth:`Fit.save` does that.

    Raises
    ------
    InvalidRuns
        If a cell the model needs is bad.
    InvalidModel
        If document and runs do not go together.
    InvalidRequest
        If a sampler setting has no meaning.

    Notes
    -----
    nutpie with a low-rank mass matrix, measured at 27 times the effective draws per second of PyMC's own
    sampler on these posteriors. Compilation costs some seconds and comes first.
    """
    settings = Settings(seed=seed, draws=draws, tune=tune, chains=chains, target_accept=target_accept)
    spec = read_model(model)
    table = runs_from(runs, needs=spec.needs)
    return Sampler(spec, table).fit(table, settings, progress=progress)


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


class Sampler:
    """A compiled model, ready for many tables of one structure: the same groups, any number of rows.

    Parameters
    ----------
    spec : ModelSpec
        The model.
    runs : RunTable
        A table; it sets the groups.
    """

    def __init__(self, spec: ModelSpec, runs: RunTable) -> None:
        self.spec = spec
        self.groups = Groups.of(spec, runs.table)
        # Without fast-math the first, compiling run and later, cached runs give the same bytes.
        with pytensor.config.change_flags(numba__fastmath=False):
            self._compiled = nutpie.compile_pymc_model(build_model(spec, runs), freeze_model=False)

    def fit(self, runs: RunTable, settings: Settings, *, progress: bool | None = None) -> Fit:
        """Sample the posterior given a table.

        Parameters
        ----------
        runs : RunTable
            The runs; their groups have to be those the model was compiled for.
        settings : Settings
            How to sample.
        progress : bool, optional
            As for :func:`fit`.

        Raises
        ------
        InvalidModel
            If the groups are others.
        """
        spec, groups = self.spec, Groups.of(self.spec, runs.table)
        if groups.columns and groups.names != self.groups.names:
            raise InvalidModel(f"The model was compiled for the groups {self.groups.names}, the runs have {groups.names}.")
        _warn_of_checkpoints(runs)
        started = time.perf_counter()
        raw = _sample(
            self._compiled.with_data(**self._data(runs, groups)),
            progress_bar=_wants_progress(progress),
            **asdict(settings),
        )
        seconds = time.perf_counter() - started
        reference = spec.reference_point(runs.table)
        prior = draw_prior(spec, reference, groups, np.random.default_rng([settings.seed, 1]))
        tree = xr.DataTree.from_dict(
            {
                "posterior": _tidied(raw["posterior"].to_dataset(), prior),
                "sample_stats": _statistics(raw["sample_stats"].to_dataset()),
                "prior": prior,
                "constant_data": _constant_data(spec, runs),
                "observed_data": xr.Dataset({"loss": ("run", runs.table["loss"].to_numpy(float))}),
            }
        )
        facts = {
            "runs": runs.name,
            "origin": list(runs.origin),
            "runs_digest": runs.digest,
            "loss_unit": runs.card.loss_unit,
            "params": runs.card.params,
            "citation": runs.card.citation,
            **asdict(settings),
            "seconds_of_sampling": round(seconds, 3),
            "made": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "versions": {name: importlib.metadata.version(name) for name in _VERSIONS},
            "python": sys.version.split()[0],
        }
        unchecked = Fit(tree, spec, reference, facts)
        return replace(unchecked, checks=tuple(check(unchecked).to_dict("records")))

    def _data(self, runs: RunTable, groups: Groups) -> dict[str, Any]:
        """Return what the compiled model reads of a table; it refuses names its graph does not use."""
        data: dict[str, Any] = {name_of_input(n): runs.table[c].to_numpy(float) for n, c in self.spec.columns.items()}
        data |= {f"reference_{n}": value for n, value in self.spec.reference_point(runs.table).items()}
        data["relative_se"] = relative_se(runs.table)
        data["log_loss"] = np.log(runs.table["loss"].to_numpy(float))
        data["group_of_run"] = groups.of_run
        used = {variable.name for variable in self._compiled.shared_var_keys}
        return {name: value for name, value in data.items() if name in used}


def _warn_of_checkpoints(runs: RunTable) -> None:
    count = int(runs.table["checkpoint"].sum()) if "checkpoint" in runs.table else 0
    if count:
        warnings.warn(
            f"{count} of {len(runs)} rows of {runs.name} are points along a run, whose learning rate had not come down and "
            f"whose errors go together: intervals will be too narrow. Keep the ends of runs with the condition "
            f"'not checkpoint'.",
            CheckpointWarning,
            stacklevel=4,
        )


def _sample(compiled: Any, **settings: Any) -> xr.DataTree:
    """Run nutpie in the background, so that Ctrl-C stops it and nothing half-sampled comes back."""
    sampler = nutpie.sample(compiled, adaptation="low_rank", save_warmup=False, blocking=False, cores=None, **settings)
    try:
        return sampler.wait()
    except BaseException:
        sampler.cancel()
        raise


def _wants_progress(progress: bool | None) -> bool:
    return progress if progress is not None else sys.stderr.isatty() or "ipykernel" in sys.modules


def _tidied(posterior: xr.Dataset, unknowns: Iterable[Hashable]) -> xr.Dataset:
    """Keep what has a meaning outside the sampler: the unknowns a prior is stated for, and what follows from them."""
    return posterior[[str(name) for name in unknowns]].load()


def _statistics(raw: xr.Dataset) -> xr.Dataset:
    """Return the sampler statistics under ArviZ's names, numbers only."""
    named = raw.rename({theirs: ours for theirs, ours in _STATISTICS.items() if theirs in raw})
    return named[
        [name for name, value in named.data_vars.items() if value.dims == ("chain", "draw") and value.dtype.kind in "fiub"]
    ].load()


def _constant_data(spec: ModelSpec, runs: RunTable) -> xr.Dataset:
    extras = [c for c in ("run_id", "loss_se", "params", "params_total", "tokens", "compute_flops") if c in runs.table]
    kept = runs.table[list(dict.fromkeys([*spec.columns.values(), *spec.group_columns, *extras]))]
    labels = {name: kept[name].map(label_of).to_numpy(str) for name in spec.group_columns}
    return xr.Dataset({str(name): ("run", labels.get(str(name), _plain(column))) for name, column in kept.items()})


def _plain(column: pd.Series) -> np.ndarray:
    if pd.api.types.is_numeric_dtype(column.dtype):
        return column.to_numpy(float)
    return column.map(str).to_numpy(dtype=str)
