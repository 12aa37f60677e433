"""Identifiability of a design before sampling: expected posterior contraction of each parameter, and the best further run.

Two checks complement each other. The geometry of the design: all runs on one line of N and D, one size, less than a
decade. And its expected information: with the log loss Normal around the law, the slopes of the log loss in the logarithms
of the parameters, weighted by residual noise and discrepancy, give the expected posterior standard deviations.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr

from bayes_scaling.errors import InvalidModel
from bayes_scaling.model import gaussian, names
from bayes_scaling.model.document import Model
from bayes_scaling.model.layout import Layout
from bayes_scaling.model.noise import geometric_mean, variance_function
from bayes_scaling.model.prior_draws import draw_prior
from bayes_scaling.model.reference import law_parameters
from bayes_scaling.quantities import training_compute
from bayes_scaling.runs.table import RunTable
from bayes_scaling.wording import coordinate

WEAK: Final = 0.5
"""Contraction below which a parameter is weakly identified."""
_DRAWS, _NEAREST = 4000, 48
_ENOUGH_ROWS, _FEWEST_NEAREST, _CELLS = 2000, 6, 500_000
"""Rows that draws from the prior are held against, and draws that are looked at, where the rows are many."""
_STEP: Final = 1e-4
_SAME: Final = 0.02
"""Decades within which values of a quantity count as equal."""
_ON_A_LINE: Final = 0.08
"""Standard deviation in decades within which runs lie on a line of log D over log N."""
_CANDIDATES: Final = 5
_BEYOND: Final = 10 ** (1 / 3)
"""Factor by which a further run may exceed the range of the runs."""


@dataclass(frozen=True, eq=False)
class Identifiability:
    """Expected information of a table of runs about a model.

    Parameters
    ----------
    parameters : DataFrame
        One row a parameter: ``prior_sd`` of its logarithm, ``expected_sd`` after the runs, and ``contraction``, one minus
        the square of their ratio.
    findings : tuple of str
        Problems of the design, a sentence each.
    """

    parameters: pd.DataFrame
    findings: tuple[str, ...]

    @property
    def weak(self) -> list[str]:
        """Parameters that the runs identify weakly."""
        return list(self.parameters.index[self.parameters["contraction"] < WEAK])


def identifiability(runs: RunTable, model: Model, *, seed: int = 0) -> Identifiability:
    """Return the expected information of a design about a model, before sampling.

    Parameters
    ----------
    runs : RunTable
        The runs; their losses only select draws from the prior near them.
    model : Model
        A model of one law, without groups.
    seed : int
        Seed of the draws.

    Returns
    -------
    Identifiability
        Expected contraction of every parameter, and findings that name weakly identified parameters and the most informative
        further run.

    Raises
    ------
    InvalidModel
        If the model has groups.

    Examples
    --------
    >>> from bayes_scaling.model.document import read_model
    >>> from bayes_scaling.runs.table import read_runs
    >>> sizes = np.geomspace(1e7, 1e10, 20)
    >>> path = read_runs(pd.DataFrame({"params": sizes, "tokens": 20 * sizes, "loss": 1.7 + 400 * sizes**-0.34}))
    >>> print(identifiability(path, read_model("kappa")).findings[0])
    All runs have 20 tokens per parameter: the effects of size and data are not separately identifiable.
    """
    if model.only.output != "loss" or model.only.table != "runs":
        raise InvalidModel(f"The model describes {model.only.table}: give a model of runs.")
    if model.groupings:
        raise InvalidModel(
            f"The model varies by {', '.join(model.groupings)}: give the design of one group and a model without groups."
        )
    layout = Layout.of(model, {model.only.name: runs.table})
    if not model.priors:
        return Identifiability(pd.DataFrame(columns=["prior_sd", "expected_sd", "contraction"], dtype=float), ())
    near = draws_near(layout, np.random.default_rng(seed))
    near = near.isel(draw=slice(None, max(_FEWEST_NEAREST, _CELLS // len(layout.only))))
    information = _contraction(layout, layout, near)
    result = Identifiability(information, tuple(_of_the_design(layout)))
    if not result.weak:
        return result
    contraction = information["contraction"][result.weak]
    listed = ", ".join(f"{name} {value:.2f}" for name, value in contraction.items())
    weak = f"Weakly identified, with expected posterior contraction below {WEAK:g}: {listed}."
    remedy = _remedy(layout, near, str(contraction.idxmin()), float(contraction.min()))
    return replace(result, findings=(*result.findings, weak, remedy))


def _of_the_design(layout: Layout) -> list[str]:
    table, findings, columns = layout.only.table, [], list(layout.model.only.columns.values())
    spread = {c: float(np.ptp(np.log10(table[c].to_numpy(float)))) for c in columns}
    for column in columns:
        if spread[column] < _SAME:
            findings.append(
                f"All runs have {coordinate(column, float(table[column].iloc[0]))}: the dependence of the loss on it is not identifiable."
            )
        elif table[column].round(3).nunique() == 2:
            findings.append(
                f"The runs have only two values of {column}: an exponent and an offset are not both identifiable."
            )
    if {"params", "tokens"} <= set(columns) and min(spread["params"], spread["tokens"]) >= _SAME:
        size, data = (np.log10(table[c].to_numpy(float)) for c in ("params", "tokens"))
        slope, cut = np.polyfit(size, data, 1)
        if float(np.std(data - slope * size - cut)) < _ON_A_LINE:
            ratio = float(10 ** np.mean(data - size))
            line = f"D proportional to N^{slope:.2f}, one path of N and D"
            line = f"{ratio:.3g} tokens per parameter" if abs(slope - 1) < _ON_A_LINE else line
            findings.append(f"All runs have {line}: the effects of size and data are not separately identifiable.")
    if "compute_flops" in table and (decades := float(np.ptp(np.log10(table["compute_flops"])))) < 1:
        findings.append(
            f"The runs span {decades:.2f} decades of compute: with less than one decade the prior determines the exponents."
        )
    return findings


def draws_near(layout: Layout, rng: np.random.Generator) -> xr.Dataset:
    """Return the draws from the prior whose law is nearest to the runs; to some of them, where they are many."""
    layout = layout if layout.most_rows <= _ENOUGH_ROWS else layout.at_rows(layout.some_rows(_ENOUGH_ROWS))
    rows, model = layout.only, layout.model
    prior = draw_prior(layout, rng, draws=_DRAWS).isel(chain=0)
    inputs = [xr.DataArray(values, dims="run") for values in rows.inputs.values()]
    parameters = {name: prior[name] for name in rows.observation.the_law.parameters if name in prior}
    with np.errstate(over="ignore", invalid="ignore"):
        law: Any = rows.observation.the_law(*inputs, **(parameters | model.fixed))
        error = np.log(law) - xr.DataArray(rows.log_measured, dims="run")
    distance = (error**2).mean("run").fillna(np.inf)
    return prior.isel(draw=np.argsort(distance.values)[:_NEAREST])


@dataclass(frozen=True)
class Linear:
    """The log loss of rows around one draw: slopes by the logarithms of the parameters, and what each effect loads on rows.

    ``scale`` is the standard deviation of the noise, ``own_variance`` that of each row's own error, ``prior_precision`` that of the
    logarithms of the parameters.
    """

    draw: xr.Dataset
    slopes: np.ndarray
    loadings: list[np.ndarray]
    scale: np.ndarray
    own_variance: np.ndarray
    prior_precision: np.ndarray


def slopes_of(given: Layout, layout: Layout, near: xr.Dataset) -> Iterator[Linear]:
    """Yield the rows of a layout around each draw, with reference point and typical loss of the given layout."""
    model, rows, reference = given.model, layout.only, given.reference
    law, inputs, rng = rows.observation.the_law, list(rows.inputs.values()), np.random.default_rng(0)
    prior_sd = {name: float(np.log(prior.draw(rng, _DRAWS)).std()) for name, prior in model.priors.items()}
    unknowns = list(prior_sd)
    precision = np.array([prior_sd[n] ** -2 for n in unknowns])
    values = {name: near[names.centre(name, near)].values[:, None] for name in unknowns}

    def log_loss(name: str, by: float) -> np.ndarray:
        changed = values | {name: values[name] * np.exp(by)}
        return np.log(law(*inputs, **law_parameters(law, model, changed, reference)))

    every_slope = np.stack([(log_loss(n, _STEP) - log_loss(n, -_STEP)) / (2 * _STEP) for n in unknowns], axis=-1)
    every_loss = np.exp(log_loss(unknowns[0], 0.0))
    for number, (slopes, expected) in enumerate(zip(every_slope, every_loss, strict=True)):
        draw = near.isel(draw=number)
        growth = np.ones(len(rows))
        if "growth" in draw:
            floor = float(draw["floor"]) if "floor" in draw else None
            growth = variance_function(expected, given.only.typical, float(draw["growth"]), floor)
        variance = float(draw["sigma"]) ** 2 + sum(float(draw[e.scale_name]) ** 2 * e.own for e in rows.noise)
        own_variance = rows.relative_error**2 + ((float(draw["nugget"]) * growth) ** 2 if "nugget" in draw else 0.0)
        effects = [float(draw[e.scale_name]) * e.basis for e in rows.effects]
        loadings = [basis * growth[:, None] for basis in effects]
        yield Linear(draw, slopes, loadings, variance**0.5 * growth, own_variance, precision)


def _contraction(given: Layout, layout: Layout, near: xr.Dataset) -> pd.DataFrame:
    """Return the expected contraction by a table, the median over draws, at reference point and typical loss of the given runs."""
    rows, unknowns, variances, each = layout.only, list(given.model.priors), [], None
    for each in slopes_of(given, layout, near):
        decay = None
        if rows.serial is not None:
            share = float(each.draw["run_share"]) if "run_share" in each.draw else None
            decay = gaussian.Decay(float(each.draw["length"]), share)
        together = np.concatenate([each.slopes, *each.loadings], axis=1)
        white = gaussian.whiten(np.zeros(len(rows)), each.scale, each.own_variance, together, rows.serial, decay)
        whitened = np.concatenate(white.loadings)
        free, shared = whitened[:, : len(unknowns)], whitened[:, len(unknowns) :]
        inner = np.eye(shared.shape[1]) + shared.T @ shared
        explained = free - shared @ np.linalg.solve(inner, shared.T @ free)
        information = free.T @ explained + np.diag(each.prior_precision)
        variances.append(np.diag(np.linalg.inv(information)))
    expected_sd = np.sqrt(np.median(variances, axis=0))
    assert each is not None
    sds = each.prior_precision**-0.5
    columns = {"prior_sd": sds, "expected_sd": expected_sd, "contraction": 1 - (expected_sd / sds) ** 2}
    return pd.DataFrame(columns, index=pd.Index(unknowns, name="parameter"))


def _remedy(layout: Layout, near: xr.Dataset, name: str, now: float) -> str:
    """Name the most informative further run about a parameter, at no more compute than the largest run."""
    table, model = layout.only.table, layout.model
    columns, best, best_run = list(model.only.columns.values()), 0.0, {}
    few = near.isel(draw=slice(None, None, 6))
    axes = [np.geomspace(table[c].min() / _BEYOND, table[c].max() * _BEYOND, _CANDIDATES) for c in columns]
    for point in np.stack([axis.ravel() for axis in np.meshgrid(*axes)], axis=1):
        run = dict(zip(columns, point, strict=True))
        if {"params", "tokens"} <= set(run):
            run["compute_flops"] = training_compute(run["params"], run["tokens"])
        if "compute_flops" in table and run.get("compute_flops", 0.0) > 1.001 * table["compute_flops"].max():
            continue
        further = pd.DataFrame([run | {"loss": geometric_mean(table["loss"])}])
        longer = Layout.of(model, {model.only.name: pd.concat([table, further], ignore_index=True)})
        gained = float(_contraction(layout, longer, few).loc[name, "contraction"])
        if gained > best:
            best, best_run = gained, run
    if best < now + 0.05:
        return f"No single further run identifies {name}: extend the range of runs, or tighten its prior."
    listed = ", ".join(coordinate(column, value) for column, value in best_run.items())
    return (
        f"The most informative further run about {name}, at no more compute than the largest run, has {listed}: expected "
        f"contraction rises from {now:.2f} to {best:.2f}."
    )
