"""NUTS on the PyMC model: compile it once for all tables of one structure, start at the modes, run nutpie."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import nutpie
import pymc as pm
import pytensor
import xarray as xr

from bayes_scaling.errors import InvalidModel
from bayes_scaling.inference.build import build
from bayes_scaling.inference.modes import Mode, shares_of
from bayes_scaling.inference.progress import is_shown, waiting
from bayes_scaling.inference.settings import Settings
from bayes_scaling.model.density import LogDensity
from bayes_scaling.model.layout import Layout

_STATISTICS: Final = {
    "depth": "tree_depth",
    "maxdepth_reached": "reached_max_treedepth",
    "logp": "lp",
    "mean_tree_accept": "acceptance_rate",
}
"""nutpie's names of sampler statistics, and ArviZ's for the same."""
_TRANSFORMED: Final = ("", "_log__", "_interval__", "_lowerbound__", "_upperbound__", "_logodds__")
"""What PyMC adds to the name of an unknown on the real line."""


class Compiled:
    """A compiled model, ready for many tables of one structure: the same groups and parts, any number of rows."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        built = build(layout)
        self._dims = tuple(built.coords)  # their lengths are variables of the graph, too
        self._unknowns = [variable.name for variable in built.value_vars]
        self._compiled = compiled(built)

    def sample(
        self, density: LogDensity, modes: Sequence[Mode], settings: Settings, progress: bool | None
    ) -> tuple[xr.Dataset, xr.Dataset]:
        """Return posterior and sampler statistics, each chain started at a mode.

        Raises
        ------
        InvalidModel
            If groups, or what the tables tell apart, are others than those the model was compiled for.
        """
        layout = density.layout
        if layout.coords != self._layout.coords:
            raise InvalidModel(
                f"The model was compiled for the groups {self._layout.coords}, the runs have {layout.coords}."
            )
        data = layout.data()
        graph = {variable.name for variable in self._compiled.shared_var_keys} - set(self._dims)
        if set(data) != graph:
            raise InvalidModel(
                f"The runs have {sorted(set(data) ^ graph)} more or less than what the model was compiled for."
            )
        model = self._compiled.with_data(**data)
        if modes:
            model = dataclasses.replace(model, initial_point_func=self._starts(density, modes))
        tree = sample(model, settings, progress)
        return tree["posterior"].to_dataset(), statistics(tree["sample_stats"].to_dataset())

    def _starts(self, density: LogDensity, modes: Sequence[Mode]) -> Any:
        """Return where a chain of a seed starts: near a mode, the modes taken by their mass."""
        shares = shares_of(modes)
        place = {coordinate.name: coordinate.place for coordinate in density.coordinates}
        order = np.concatenate([np.arange(density.size)[place[_plain(name, place)]] for name in self._unknowns])

        def start(seed: Any) -> np.ndarray:
            rng = np.random.default_rng(seed)
            mode = modes[rng.choice(len(modes), p=shares)]
            step = np.linalg.cholesky(mode.covariance) @ rng.standard_normal(density.size)
            return density.straight.to_pymc((mode.point + 0.5 * step)[None])[0][0, order]

        return start


def _plain(name: str, places: Any) -> str:
    """Return the name of an unknown for that of its variable on the real line."""
    return next(name.removesuffix(ending) for ending in reversed(_TRANSFORMED) if name.removesuffix(ending) in places)


_COMPILED: dict[tuple[Any, ...], Compiled] = {}
"""Compiled models of this process, by document and structure."""


def compiled_for(layout: Layout) -> Compiled:
    """Return the compiled model for tables with the structure of this layout, compiled once a process."""
    key = (layout.model.to_json(), tuple(sorted(layout.data())), str(layout.coords))
    if key not in _COMPILED:
        _COMPILED[key] = Compiled(layout)
    return _COMPILED[key]


def compiled(model: pm.Model, *, freeze: bool = False) -> Any:
    """Compile a model; without fast-math the first, compiling run and later, cached runs give the same bytes."""
    with pytensor.config.change_flags(numba__fastmath=False):
        return nutpie.compile_pymc_model(model, freeze_model=freeze)


def sample(model: Any, settings: Settings, progress: bool | None) -> xr.DataTree:
    """Sample a compiled model.

    It runs in the background, so that Ctrl-C stops it and nothing half-sampled comes back.
    """
    given = {name: getattr(settings, name) for name in ("seed", "draws", "tune", "chains", "target_accept")}
    sampler = nutpie.sample(
        model, adaptation="low_rank", save_warmup=False, blocking=False, cores=None, progress_bar=is_shown(progress), **given
    )
    try:
        with waiting(
            f"sampling {settings.chains} chains of {settings.tune + (settings.draws or 0):,} draws by NUTS, some minutes",
            progress,
        ):
            return sampler.wait()
    except BaseException:
        sampler.cancel()
        raise


def statistics(raw: xr.Dataset) -> xr.Dataset:
    """Return the sampler statistics under ArviZ's names, numbers only."""
    named = raw.rename({theirs: ours for theirs, ours in _STATISTICS.items() if theirs in raw})
    return named[
        [name for name, value in named.data_vars.items() if value.dims == ("chain", "draw") and value.dtype.kind in "fiub"]
    ].load()
