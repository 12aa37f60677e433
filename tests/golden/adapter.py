"""Everything the golden numbers take from the package: where names move, this file follows, and the numbers stay.

Draws and points are stored by the names that variables had when they were written; what is called otherwise now is told
by :data:`VALUE_NAMES` and :data:`DRAW_NAMES`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from pytensor import function, grad
from pytensor.compile.mode import Mode
from pytensor.graph.fg import FunctionGraph
from pytensor.scalar.basic import Add
from pytensor.tensor.elemwise import Elemwise

import bayes_scaling as bs
from bayes_scaling.inference.build import build
from bayes_scaling.model.density import LogDensity
from bayes_scaling.model.design import identifiability
from bayes_scaling.model.document import model_from_json
from bayes_scaling.model.layout import Layout
from bayes_scaling.model.prior_draws import draw_prior
from bayes_scaling.model.priors import Prior as Prior
from bayes_scaling.model.tables import rows_of
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.residuals import innovations
from bayes_scaling.posterior.residuals import log_likelihood as log_likelihood
from bayes_scaling.posterior.residuals import loss_at_runs as loss_at_runs
from bayes_scaling.questions.deadline import front as front_of  # noqa: F401
from bayes_scaling.questions.effort import effort as effort
from bayes_scaling.questions.surface import Supply as Supply
from bayes_scaling.runs.table import RunTable, read_runs


def compare_recipes(fit: Fit, a: dict[str, str], b: dict[str, str], *, compute: list[float]) -> pd.DataFrame:
    """Return the table of two recipes, as far as it was there when it was written."""
    answer = bs.question("recipes", a=a, b=b, compute=compute, anyway=True).answer(fit)
    return answer.tables["recipes"].drop(columns=["variant", "against", "chance_best"])


def crossing(fit: Fit, a: dict[str, str], b: dict[str, str]) -> pd.Series:
    """Return where two recipes cross."""
    answer = bs.question("recipes", a=a, b=b, compute=[1e20], anyway=True).answer(fit)
    return answer.tables["crossing"].iloc[0].drop(["variant", "against", "chance_beyond", "beyond"])


def _both(stored: str, now: str, documents: tuple[str, ...]) -> dict[str, str]:
    return {f"{document}/{stored}": now for document in documents}


def _grouped(parameter: str, grouping: str, documents: tuple[str, ...], form: str) -> dict[str, str]:
    then, now = (form.format(parameter, label) for label in (f"{grouping}_of_{parameter}", grouping))
    return _both(then, now, documents)


_SYSTEMS = ("kaplan_system", "kaplan_system_offset")
_BATCHES = ("critical_batch", "critical_batch_of_data")
_GROUPED = (
    ("N_c", "observation", _SYSTEMS),
    ("S_least", "scan", _BATCHES),
    ("aspect_best", "size", ("shape",)),
    ("aspect_cost", "size", ("shape",)),
)
VALUE_NAMES: dict[str, str] = {
    **{k: v for g in _GROUPED for form in ("{}_z_{}", "{}_spread_{}_log__") for k, v in _grouped(*g, form).items()},
    "shape/sigma_shapes_log__": "sigma_log__",
}
"""Value variables of a compiled model: document and stored name, and the name it has now."""
DRAW_NAMES: dict[str, str] = {
    **{k: v for g in _GROUPED for form in ("{}_effect_{}", "{}_spread_{}") for k, v in _grouped(*g, form).items()},
    "shape/sigma_shapes": "sigma",
}
"""Variables of a posterior or prior: document and stored name, and the name it has now."""
_MOST_OPERANDS = 16


def residuals_at_runs(fit: Any) -> xr.Dataset:
    """Return standardised residuals and their standard deviations."""
    z, scale = innovations(fit)
    return xr.Dataset({"z": z, "scale": scale})


def residuals_of_system(fit: Any) -> xr.Dataset:
    """Return the standardised residuals of every observation."""
    return xr.Dataset({name: innovations(view)[0].rename(run=f"run_{name}") for name, view in fit.views.items()})


def observation_of(fit: Any, name: str) -> Any:
    """Return one observation as a fit of its own."""
    return fit.view(name)


def design_of(model: str, runs: RunTable) -> pd.DataFrame:
    """Return what runs can tell of each parameter."""
    return identifiability(runs, as_written(model)).parameters


def rows_by_name(fit: Any) -> dict[str, pd.DataFrame]:
    """Return the rows of every observation."""
    return {o.name: fit.rows(o.name) for o in fit.model.observations}


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
    return bs.shipped_models()


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


@cache
def as_written(name: str) -> bs.Model:
    """Return a document with the bases of walks that the stored draws and points have: coarser than today's default."""
    document = json.loads(bs.read_model(name).to_json())
    for part in (document, *document.get("observations", [])):
        for effect in part.get("discrepancy", {}).values():
            effect["tolerance"] = 0.03
    return model_from_json(json.dumps(document))


def as_sampled(name: str, runs: RunTable) -> Layout:
    """Return a document as ``fit`` samples it, on its rows."""
    model = as_written(name)
    return Layout.of(model, {observation.name: rows_of(observation, runs, curves()) for observation in model.observations})


@dataclass(frozen=True)
class Density:
    """The log density that ``fit`` samples, over stored names."""

    start: dict[str, np.ndarray]
    at: Callable[[Mapping[str, Any]], tuple[float, dict[str, Any]]]


def density(model: str, runs: RunTable) -> Density:
    """Return the log density of a document given runs, and its gradient."""
    built = build(as_sampled(model, runs))
    values = list(built.continuous_value_vars)
    log_density = built.logp()
    slopes = grad(log_density, values)  # at once: built.dlogp() goes back through the model for each unknown
    graph = FunctionGraph(outputs=[log_density, *slopes], clone=True, copy_inputs=False)
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
    now_called = names_of(model, VALUE_NAMES)
    stored = {now: then for then, now in now_called.items()}

    def at(point: Mapping[str, Any]) -> tuple[float, dict[str, Any]]:
        now = {now_called.get(name, name): np.asarray(value, dtype=float) for name, value in point.items()}
        assert set(now) == {v.name for v in values}, "the unknowns are others"
        found, *slopes = compiled(*(now[v.name] for v in values))
        parts = dict(zip([str(v.name) for v in values], slopes, strict=True))
        return float(found), {stored.get(n, n): part.reshape(now[n].shape).tolist() for n, part in parts.items()}

    return Density({stored.get(name, name): value for name, value in start.items()}, at)


def numpy_density(model: str, runs: RunTable, points: list[dict[str, Any]]) -> np.ndarray:
    """Return the log density that numpy works out at stored points."""
    now_called, known = names_of(model, VALUE_NAMES), LogDensity(as_sampled(model, runs))
    rows = []
    for point in points:
        plain = {
            now_called.get(n, n).removesuffix("_log__").removesuffix("_interval__"): value for n, value in point.items()
        }
        rows.append(np.concatenate([np.atleast_1d(plain[coordinate.name]) for coordinate in known.coordinates]))
    there = known.straight.from_pymc(np.stack(rows))
    return known.of(there) - known.straight.to_pymc(there)[1]


def prior(model: str, runs: RunTable, *, seed: int = 7, draws: int = 3) -> xr.Dataset:
    """Return draws from the prior of a document given runs, by stored names."""
    drawn = draw_prior(as_sampled(model, runs), np.random.default_rng(seed), draws=draws)
    return drawn.rename({now: then for then, now in names_of(model, DRAW_NAMES).items() if now in drawn})


def names_of(model: str, renamed: Mapping[str, str]) -> dict[str, str]:
    """Return what is called otherwise now in a document: stored name, and the name it has now."""
    return {key.partition("/")[2]: now for key, now in renamed.items() if key.startswith(f"{model}/")}


def pretended_fit(model: str, runs: RunTable, draws: Mapping[str, xr.Dataset], *, unit: str = "nats/token") -> Fit:
    """Return stored draws as if they were the posterior of a document given runs."""
    groups = {group: _renamed(model, stored) for group, stored in draws.items()}
    return Fit.of(as_sampled(model, runs), groups, _facts(unit))


def pretended_joint_fit(model: str, rows: Mapping[str, pd.DataFrame], draws: Mapping[str, xr.Dataset]) -> Fit:
    """Return stored draws as if they were the posterior of several observations given the rows of each."""
    layout = Layout.of(as_written(model), rows)
    return Fit.of(layout, {group: _renamed(model, stored) for group, stored in draws.items()}, _facts("nats/token"))


def _renamed(model: str, stored: xr.Dataset) -> xr.Dataset:
    dims = {"observation_of_N_c": "observation"}
    names = names_of(model, DRAW_NAMES) | dims
    return stored.rename({then: now for then, now in names.items() if then in stored or then in stored.dims})


def _facts(unit: str) -> dict[str, Any]:
    return {"runs": "golden", "loss_unit": unit, "params": "non-embedding", "seed": 0, "versions": {}}
