"""Simulated tables of a design with their truth: from the model itself, or from a law that it does not contain."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr

from bayes_scaling.elementwise import exp, log, softplus
from bayes_scaling.errors import InvalidModel
from bayes_scaling.model import names
from bayes_scaling.model.document import Model
from bayes_scaling.model.layout import Layout
from bayes_scaling.model.noise import relative_error, typical_error
from bayes_scaling.model.prior_draws import draw_prior
from bayes_scaling.model.reference import law_parameters
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.predict import new_run_sd
from bayes_scaling.posterior.residuals import law_at_runs, loss_at_runs, measured_at_runs
from bayes_scaling.posterior.rows import predict_rows
from bayes_scaling.quantities import completed
from bayes_scaling.runs.table import RunTable

AHEAD: Final = (0.5, 1.0, 2.0)
"""Extrapolation distances in decades, divided evenly among the inputs of the law."""
MOST: Final = 1e3
"""Largest plausible loss, and the inverse of the smallest: other tables are drawn again."""
_DRAWS: Final = 200
_AT_LEVEL: Final = 0.02
"""Relative difference from the typical loss at which a draw from the prior is at its level."""
_BREAK_WIDTH: Final = 0.3


@dataclass(frozen=True, eq=False)
class Simulated:
    """The design with simulated losses, the truth (every scalar parameter; none where the model is not it), and runs beyond."""

    runs: RunTable
    truth: Mapping[str, float]
    ahead: pd.DataFrame


def beyond(spec: Model, table: pd.DataFrame) -> pd.DataFrame:
    """Return the runs beyond a design: the largest of every input, extrapolated by :data:`AHEAD`.

    Examples
    --------
    >>> from bayes_scaling.model.document import read_model
    >>> runs = pd.DataFrame({"params": [1e8, 1e9], "tokens": [2e9, 2e10], "compute_flops": [1.2e18, 1.2e20]})
    >>> beyond(read_model("kappa"), runs)["compute_flops"].map("{:.3g}".format).tolist()
    ['3.79e+20', '1.2e+21', '1.2e+22']
    """
    columns = list(spec.only.columns.values())
    rows = {c: float(table[c].max()) * 10 ** (np.array(AHEAD) / len(columns)) for c in columns}
    ahead = pd.DataFrame(rows)
    completed(ahead)
    for column in spec.group_columns:
        ahead[column] = table[column].iloc[0]
    return ahead


def from_the_model(spec: Model, runs: RunTable, rng: np.random.Generator) -> Simulated:
    """Draw the truth from the priors of the model, then the losses of the design, of which only standard errors are used."""
    layout, far = Layout.of(spec, {spec.only.name: runs.table}), beyond(spec, runs.table)

    def draw() -> Simulated | None:
        prior = _drawn(layout, runs, rng)
        if prior is None:
            return None
        # Residual noise is stated at the typical loss: here that of the law on these runs.
        typical = law_at_runs(_as_fit(layout, prior, runs)).values.ravel()
        if not _plausible(typical):
            return None
        table = _measuring(runs, typical).table
        truth = _as_fit(Layout.of(layout.model, {spec.only.name: table}), prior, runs)
        losses = measured_at_runs(truth, loss_at_runs(truth), rng).values.ravel()
        outcome = predict_rows(truth, far, seed=int(rng.integers(2**31)))["measured_loss"].values.ravel()
        if not (_plausible(losses) and np.isfinite(outcome).all()):
            return None
        scalars = {str(n): float(v.item()) for n, v in prior.items() if v.size == 1 and "_effect_" not in str(n)}
        return Simulated(_measuring(runs, losses), scalars, far.assign(loss=outcome))

    return _first(draw)


def from_broken_laws(spec: Model, runs: RunTable, rng: np.random.Generator) -> Simulated:
    """Draw a truth outside the model: its law with a smooth break in the slope of each resource.

    Each input x of a draw from the priors acts as x (1 + (x / d)^(1/f))^(c f): beyond the place d, which lies between the
    middle of the runs and a decade past the last, its exponents change by the factor 1 + c, with c between -.4 and .4 (a
    break of Caballero et al. 2023 in every term). Residual noise is Normal with the drawn standard deviation at every loss, independent
    between runs, plus the standard errors of the evaluation; there is no other discrepancy.
    """
    layout, far = Layout.of(spec, {spec.only.name: runs.table}), beyond(spec, runs.table)
    law, columns, error = spec.only.the_law, list(spec.only.columns.values()), relative_error(runs.table)

    def draw() -> Simulated | None:
        prior = _drawn(layout, runs, rng)
        if prior is None:
            return None
        moved = {name: names.at_reference(name) for name in spec.priors if names.at_reference(name) in prior}
        values = {name: prior[moved.get(name, name)].item() for name in spec.priors}
        parameters = law_parameters(law, spec, values, layout.reference)
        breaks = {}
        for column in columns:
            place = np.log(runs.table[column].to_numpy(float))
            breaks[column] = (rng.uniform(place.mean(), place.max() + np.log(10)), rng.uniform(-0.4, 0.4))
        losses, outcome = (
            law(*(_broken(rows[c].to_numpy(float), *breaks[c]) for c in columns), **parameters) for rows in (runs.table, far)
        )
        if not (_plausible(losses) and _plausible(outcome)):
            return None
        noise = float(new_run_sd(_as_fit(layout, prior, runs)).item())
        losses = losses * np.exp(np.hypot(noise, error) * rng.standard_normal(len(runs)))
        outcome = outcome * np.exp(np.hypot(noise, typical_error(error)) * rng.standard_normal(len(far)))
        return Simulated(_measuring(runs, losses), {}, far.assign(loss=outcome))

    return _first(draw)


def _drawn(layout: Layout, runs: RunTable, rng: np.random.Generator) -> xr.Dataset | None:
    """Draw from the prior once, given that the typical loss is what the reference point says, where priors are in its unit.

    A fit takes that unit from what was measured: what a prior says of the level of the loss it never sees.
    """
    if "L" not in layout.model.units.values():
        return draw_prior(layout, rng, draws=1)
    prior = draw_prior(layout, rng, draws=_DRAWS)
    with np.errstate(all="ignore"):
        ratio: Any = law_at_runs(_as_fit(layout, prior, runs)) / layout.only.typical
        level = np.log(ratio).mean("run").values.ravel()
    near = np.flatnonzero(np.abs(level) < _AT_LEVEL)
    return prior.isel(draw=near[:1]) if near.size else None


def _first(draw: Callable[[], Simulated | None]) -> Simulated:
    """Return the first simulated table that is plausible."""
    for _ in range(100):
        simulated = draw()
        if simulated is not None:
            return simulated
    raise InvalidModel("None of 100 draws from the priors has plausible losses: tighten the priors.")


def _plausible(losses: np.ndarray) -> bool:
    return bool(np.isfinite(losses).all() and losses.max() < MOST and losses.min() > 1 / MOST)


def _broken(x: Any, place: float, change: float) -> Any:
    """Return an input as it acts past a smooth break, equal to itself far below it."""
    steps = (log(x) - place) / _BREAK_WIDTH
    return x * exp(change * _BREAK_WIDTH * softplus(steps))


def _measuring(runs: RunTable, losses: np.ndarray) -> RunTable:
    """Return the design with other losses, of the same relative standard errors."""
    errors = {"loss_se": relative_error(runs.table) * losses} if "loss_se" in runs.table else {}
    return replace(runs, table=runs.table.assign(loss=losses, **errors))


def _as_fit(layout: Layout, draws: xr.Dataset, runs: RunTable) -> Fit:
    """Return draws as the posterior of a fit to the design, for the functions that take a fit."""
    groups = {"posterior": draws, "prior": draws, "sample_stats": xr.Dataset()}
    return Fit.of(layout, groups, {"runs": runs.name, "loss_unit": runs.card.loss_unit})
