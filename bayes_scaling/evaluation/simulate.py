"""Simulated tables of a design with their truth: from the model itself, or from a law that it does not contain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr

from bayes_scaling.elementwise import exp, log, softplus
from bayes_scaling.errors import InvalidModel
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
_BREAK_WIDTH: Final = 0.3


@dataclass(frozen=True, eq=False)
class Simulated:
    """A simulated table of the design.

    Parameters
    ----------
    runs : RunTable
        The design with simulated losses.
    truth : mapping of str to float
        Every scalar parameter, where the model is the truth; empty where it is not.
    ahead : DataFrame
        Runs beyond the design, with the loss each measures.
    """

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
    """Draw the truth from the priors of the model, then the losses of the design.

    Parameters
    ----------
    spec : Model
        The model.
    runs : RunTable
        The design; of its losses only the standard errors are used.
    rng : Generator
        Source of randomness.
    """
    layout = _layout(spec, runs, runs.table["loss"].to_numpy(float))
    for _ in range(100):
        prior = draw_prior(layout, rng, draws=1)
        # Residual noise is stated at the typical loss: here that of the law on these runs.
        law = _as_fit(layout, prior, runs)
        typical = law_at_runs(law).values.ravel()
        if not (np.isfinite(typical).all() and typical.max() < MOST and typical.min() > 1 / MOST):
            continue
        truth = _as_fit(_layout(layout.model, runs, typical), prior, runs)
        losses = measured_at_runs(truth, loss_at_runs(truth), rng).values.ravel()
        far = beyond(spec, runs.table)
        outcome = predict_rows(truth, far, seed=int(rng.integers(2**31)))["measured_loss"].values.ravel()
        if np.isfinite(losses).all() and np.isfinite(outcome).all() and losses.max() < MOST and losses.min() > 1 / MOST:
            scalars = {str(n): float(v.item()) for n, v in prior.items() if v.size == 1 and "_effect_" not in str(n)}
            return Simulated(_measuring(runs, losses), scalars, far.assign(loss=outcome))
    raise InvalidModel("None of 100 draws from the priors has plausible losses: tighten the priors.")


def from_broken_laws(spec: Model, runs: RunTable, rng: np.random.Generator) -> Simulated:
    """Draw a truth outside the model: its law with a smooth break in the slope of each resource.

    Each input x of a draw from the priors acts as x (1 + (x / d)^(1/f))^(c f): beyond the place d, which lies between the
    middle of the runs and a decade past the last, its exponents change by the factor 1 + c, with c between -.4 and .4 (a
    break of Caballero et al. 2023 in every term). Residual noise is Normal with the drawn standard deviation at every loss, independent
    between runs, plus the standard errors of the evaluation; there is no other discrepancy.

    Parameters
    ----------
    spec, runs, rng
        As for :func:`from_the_model`.
    """
    layout = _layout(spec, runs, runs.table["loss"].to_numpy(float))
    law, reference = spec.only.the_law, layout.reference
    for _ in range(100):
        prior = draw_prior(layout, rng, draws=1)
        moved = {name: f"{name}_at_reference" for name in spec.priors if f"{name}_at_reference" in prior}
        values = {name: prior[moved.get(name, name)].item() for name in spec.priors}
        parameters = law_parameters(law, spec, values, reference)
        breaks = {}
        for column in spec.only.columns.values():
            place = np.log(runs.table[column].to_numpy(float))
            breaks[column] = (rng.uniform(place.mean(), place.max() + np.log(10)), rng.uniform(-0.4, 0.4))
        far = beyond(spec, runs.table)
        expected = [
            law(*(_broken(rows[c].to_numpy(float), *breaks[c]) for c in spec.only.columns.values()), **parameters)
            for rows in (runs.table, far)
        ]
        if all(np.isfinite(e).all() and e.max() < MOST and e.min() > 1 / MOST for e in expected):
            noise = float(new_run_sd(_as_fit(layout, prior, runs)).item())
            error = relative_error(runs.table)
            losses = expected[0] * np.exp(np.hypot(noise, error) * rng.standard_normal(len(runs)))
            typical = typical_error(error)
            outcome = expected[1] * np.exp(np.hypot(noise, typical) * rng.standard_normal(len(far)))
            return Simulated(_measuring(runs, losses), {}, far.assign(loss=outcome))
    raise InvalidModel("None of 100 draws from the priors has plausible losses: tighten the priors.")


def _broken(x: Any, place: float, change: float) -> Any:
    """Return an input as it acts past a smooth break, equal to itself far below it."""
    steps = (log(x) - place) / _BREAK_WIDTH
    return x * exp(change * _BREAK_WIDTH * softplus(steps))


def _measuring(runs: RunTable, losses: np.ndarray) -> RunTable:
    errors = {"loss_se": relative_error(runs.table) * losses} if "loss_se" in runs.table else {}
    return replace(runs, table=runs.table.assign(loss=losses, **errors))


def _layout(spec: Model, runs: RunTable, losses: np.ndarray) -> Layout:
    """Return the model on the design with simulated losses."""
    table = runs.table.assign(loss=losses)
    if "loss_se" in table:
        table = table.assign(loss_se=relative_error(runs.table) * losses)
    return Layout.of(spec, {spec.only.name: table})


def _as_fit(layout: Layout, draws: xr.Dataset, runs: RunTable) -> Fit:
    """Return draws as the posterior of a fit to the design, for the functions that take a fit."""
    groups = {"posterior": draws, "prior": draws, "sample_stats": xr.Dataset()}
    return Fit.of(layout, groups, {"runs": runs.name, "loss_unit": runs.card.loss_unit})
