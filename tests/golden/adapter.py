"""Everything the golden numbers take from the package: where names move, this file follows, and the numbers stay.

Draws and points are stored by the names that variables had when they were written; what is called otherwise now is told
by :data:`VALUE_NAMES` and :data:`DRAW_NAMES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from pytensor import function
from pytensor.compile.mode import Mode
from pytensor.graph.fg import FunctionGraph
from pytensor.scalar.basic import Add
from pytensor.tensor.elemwise import Elemwise

import bayes_scaling as bs
from bayes_scaling.inference.build import build_model
from bayes_scaling.inference.joint import build_system
from bayes_scaling.inference.sample import _constant_data
from bayes_scaling.model.design import identifiability
from bayes_scaling.model.levels import Levels
from bayes_scaling.model.prior_draws import draw_joint_prior, draw_prior
from bayes_scaling.model.priors import Prior as Prior
from bayes_scaling.model.sharing import as_columns_allow
from bayes_scaling.model.specification import ModelSpec
from bayes_scaling.model.systems import SystemSpec
from bayes_scaling.model.tables import rows_of
from bayes_scaling.posterior.fit import Fit, JointFit
from bayes_scaling.posterior.predict import loss_at_runs as loss_at_runs
from bayes_scaling.posterior.residuals import log_likelihood as log_likelihood
from bayes_scaling.posterior.residuals import surprises as surprises_of_observation
from bayes_scaling.posterior.residuals import surprises_at_runs as surprises_at_runs
from bayes_scaling.questions.deadline import front as front_of  # noqa: F401
from bayes_scaling.questions.effort import effort  # noqa: F401
from bayes_scaling.questions.surface import Supply  # noqa: F401
from bayes_scaling.runs.table import RunTable, read_runs

VALUE_NAMES: dict[str, str] = {}
"""Value variables of a compiled model: name that is stored, and the name it has now."""
DRAW_NAMES: dict[str, str] = {}
"""Variables of a posterior or prior: name that is stored, and the name it has now."""
_MOST_OPERANDS = 16


def residuals_at_runs(fit: Any) -> xr.Dataset:
    """Return standardised residuals and their standard deviations."""
    z, scale = surprises_at_runs(fit)
    return xr.Dataset({"z": z, "scale": scale})


def residuals_of_system(fit: Any) -> xr.Dataset:
    """Return the standardised residuals of every observation."""
    return xr.Dataset(
        {o.name: surprises_of_observation(fit, o.name).rename(run=f"run_{o.name}") for o in fit.spec.observations}
    )


def observation_of(fit: Any, name: str) -> Any:
    """Return one observation as a fit of its own."""
    return fit.of(name)


def design_of(model: str, runs: RunTable) -> pd.DataFrame:
    """Return what runs can tell of each parameter."""
    return identifiability(runs, bs.read_model(model)).parameters


def rows_by_name(fit: Any) -> dict[str, pd.DataFrame]:
    """Return the rows of every observation."""
    return {o.name: fit.rows(o.name) for o in fit.spec.observations}


def nearest_prior(model: str, runs: RunTable, chains: int, draws: int) -> tuple[xr.Dataset, xr.Dataset]:
    """Return draws from the prior whose law comes nearest to the runs, as a posterior, and some prior draws."""
    found = prior(model, runs, seed=11, draws=20000)
    fit = pretended_fit(model, runs, {"posterior": found, "prior": found, "sample_stats": xr.Dataset()})
    expected = loss_at_runs(fit).drop_vars("run", errors="ignore")
    with np.errstate(all="ignore"):
        off = (np.log(expected) - np.log(xr.DataArray(runs.table["loss"].to_numpy(float), dims="run"))) ** 2
    distance = off.mean("run").fillna(np.inf).values[0]
    best = found.isel(chain=0, draw=np.sort(np.argsort(distance)[: chains * draws]))
    parts = [best.isel(draw=slice(c * draws, (c + 1) * draws)).assign_coords(draw=range(draws)) for c in range(chains)]
    return xr.concat(parts, dim="chain").assign_coords(chain=range(chains)), found.isel(draw=slice(0, 100))


def documents() -> list[str]:
    """Return the names of all shipped documents."""
    return [*bs.shipped_models(), *bs.shipped_systems()]


def runs_of(frame: pd.DataFrame) -> RunTable:
    """Return a table as the package reads it."""
    return read_runs(frame, needs=(), name="golden")


@cache
def ladder(condition: str = "") -> RunTable:
    """Return the runs of the shipped ladder for which a condition holds."""
    runs = bs.load_runs("ladder")
    return runs.where(condition) if condition else runs


@cache
def curves() -> RunTable:
    """Return the curves of the shipped ladder."""
    return bs.load_curves("ladder")


def as_sampled(model: str, runs: RunTable) -> tuple[ModelSpec | SystemSpec, Any]:
    """Return a document as ``fit`` samples it, and its rows."""
    spec = bs.read_model(model)
    if isinstance(spec, ModelSpec):
        return as_columns_allow(spec, runs.table), runs
    return spec, {observation.name: rows_of(observation, runs, curves()) for observation in spec.observations}


@dataclass(frozen=True)
class Density:
    """The log density that ``fit`` samples, over stored names."""

    start: dict[str, np.ndarray]
    at: Callable[[Mapping[str, Any]], tuple[float, dict[str, Any]]]


def density(model: str, runs: RunTable) -> Density:
    """Return the log density of a document given runs, and its gradient."""
    spec, rows = as_sampled(model, runs)
    built = build_model(spec, rows) if isinstance(spec, ModelSpec) else build_system(spec, rows)
    values = list(built.continuous_value_vars)
    graph = FunctionGraph(outputs=[built.logp(), built.dlogp()], clone=True, copy_inputs=False)
    for node in graph.toposort():
        # The plain linker adds no more than 32 terms at once.
        if isinstance(node.op, Elemwise) and isinstance(node.op.scalar_op, Add) and len(node.inputs) > _MOST_OPERANDS:
            terms = list(node.inputs)
            total = terms[0]
            for term in terms[1:]:
                total = total + term
            graph.replace(node.outputs[0], total)
    compiled = function(values, graph.outputs, mode=Mode(linker="py", optimizer="minimum_compile"))
    start = {name: np.asarray(value, dtype=float) for name, value in built.initial_point().items()}
    stored = {now: then for then, now in VALUE_NAMES.items()}

    def at(point: Mapping[str, Any]) -> tuple[float, dict[str, Any]]:
        now = {VALUE_NAMES.get(name, name): np.asarray(value, dtype=float) for name, value in point.items()}
        assert set(now) == {v.name for v in values}, "the unknowns are others"
        found, slopes = compiled(*(now[v.name] for v in values))
        sizes = np.cumsum([now[v.name].size for v in values])[:-1]
        parts = dict(zip([str(v.name) for v in values], np.split(slopes, sizes), strict=True))
        return float(found), {stored.get(n, n): part.reshape(now[n].shape).tolist() for n, part in parts.items()}

    return Density({stored.get(name, name): value for name, value in start.items()}, at)


def prior(model: str, runs: RunTable, *, seed: int = 7, draws: int = 3) -> xr.Dataset:
    """Return draws from the prior of a document given runs, by stored names."""
    spec, rows = as_sampled(model, runs)
    rng = np.random.default_rng(seed)
    if isinstance(spec, ModelSpec):
        found = draw_prior(spec, rows.table, rng, draws=draws)
    else:
        found = draw_joint_prior(spec, Levels.of(spec, rows), rng, draws=draws)
    return found.rename({now: then for then, now in DRAW_NAMES.items() if now in found})


def pretended_fit(model: str, runs: RunTable, draws: Mapping[str, xr.Dataset], *, unit: str = "nats/token") -> Fit:
    """Return stored draws as if they were the posterior of a document of one law given runs."""
    spec, _ = as_sampled(model, runs)
    tree = {
        **{group: _renamed(found) for group, found in draws.items()},
        "constant_data": _constant_data(spec, runs),
        "observed_data": xr.Dataset({"loss": ("run", runs.table["loss"].to_numpy(float))}),
    }
    return Fit(xr.DataTree.from_dict(tree), spec, spec.reference_point(runs.table), _facts(unit))


def pretended_joint_fit(model: str, rows: Mapping[str, pd.DataFrame], draws: Mapping[str, xr.Dataset]) -> JointFit:
    """Return stored draws as if they were the posterior of a system given the rows of each observation."""
    spec = bs.read_model(model)
    groups: dict[str, Any] = {group: _renamed(found) for group, found in draws.items()}
    for name, table in rows.items():
        kept = {str(c): ("run", v.to_numpy(float) if v.dtype.kind in "fiu" else v.to_numpy(str)) for c, v in table.items()}
        groups[f"observations/{name}"] = xr.Dataset(kept)
    return JointFit(xr.DataTree.from_dict(groups), spec, dict(spec.reference), _facts("nats/token"))


def _renamed(found: xr.Dataset) -> xr.Dataset:
    return found.rename({then: now for then, now in DRAW_NAMES.items() if then in found})


def _facts(unit: str) -> dict[str, Any]:
    return {"runs": "golden", "loss_unit": unit, "params": "non-embedding", "seed": 0, "versions": {}}
