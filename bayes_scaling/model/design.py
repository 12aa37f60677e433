"""What a design can tell, before anything is sampled: which parameters its runs pin, which not, and the run that would.

Two ways that see different things. The design is looked at: all runs on one line of N and D, one size, less than a
decade. And the information in it is worked out: with the log loss Normal around the law, its slopes in the logarithms of
the parameters, weighed by scatter and discrepancy, say how far the runs would narrow each prior.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr

from bayes_scaling.errors import InvalidModel
from bayes_scaling.model.discrepancy import paths_of
from bayes_scaling.model.prior_draws import draw_prior
from bayes_scaling.model.reference import fixed_values, law_parameters, values_of
from bayes_scaling.model.scatter import kept_from_before, level_of, relative_se, scale_of, typical_loss, uncorrelated
from bayes_scaling.model.sharing import as_columns_allow, neighbours_in, own_sigma, sharings_of
from bayes_scaling.model.specification import ModelSpec
from bayes_scaling.quantities import BY_COLUMN, training_compute
from bayes_scaling.runs.table import RunTable

WEAK: Final = 0.5
"""Contraction below which a parameter is the prior's more than the runs'."""
_DRAWS, _NEAREST = 4000, 48
_STEP: Final = 1e-4
_SAME: Final = 0.02
"""Decades within which values of a quantity are one."""
_ON_A_LINE: Final = 0.08
"""Decades off a line of log D over log N within which runs are on it."""
_CANDIDATES: Final = 5
_BEYOND: Final = 10 ** (1 / 3)
"""How far beyond the runs a further one may lie, a factor."""


@dataclass(frozen=True, eq=False)
class Identifiability:
    """What a table of runs can tell of a model.

    Parameters
    ----------
    parameters : DataFrame
        One row a parameter: ``prior_sd`` of its logarithm, ``expected_sd`` after the runs, and ``contraction``, one minus
        the square of their ratio.
    findings : tuple of str
        What is wrong with the design, a sentence each; empty where nothing is.
    """

    parameters: pd.DataFrame
    findings: tuple[str, ...]

    @property
    def weak(self) -> list[str]:
        """Parameters that the runs do not pin."""
        return list(self.parameters.index[self.parameters["contraction"] < WEAK])


def identifiability(runs: RunTable, spec: ModelSpec, *, seed: int = 0) -> Identifiability:
    """Say what a design can tell of a model, before sampling.

    Parameters
    ----------
    runs : RunTable
        The runs; their losses only say near which draws from the prior to look.
    spec : ModelSpec
        A model of one law, without groups.
    seed : int
        Of the draws.

    Returns
    -------
    Identifiability
        Expected contraction of every parameter, and findings that name what is not told and the run that would tell it.

    Raises
    ------
    InvalidModel
        If the model has groups.

    Examples
    --------
    >>> from bayes_scaling.model.documents import read_model
    >>> from bayes_scaling.runs.table import read_runs
    >>> sizes = np.geomspace(1e7, 1e10, 20)
    >>> path = read_runs(pd.DataFrame({"params": sizes, "tokens": 20 * sizes, "loss": 1.7 + 400 * sizes**-0.34}))
    >>> print(identifiability(path, read_model("kappa")).findings[0])
    All runs have 20 tokens a parameter: what size and what data contribute cannot be told apart.
    """
    if spec.groupings:
        raise InvalidModel(
            f"The model varies by {', '.join(spec.groupings)}: ask about the design of one group, without them."
        )
    table = runs.table
    if all(parameter.prior is None for parameter in spec.parameters.values()):
        return Identifiability(pd.DataFrame(columns=["prior_sd", "expected_sd", "contraction"], dtype=float), ())
    spec = as_columns_allow(spec, table)
    near = _near(spec, table, np.random.default_rng(seed))
    found = _contraction(spec, table, table, near)
    findings = [*_of_the_design(spec, table)]
    weak = [name for name in found.index if found.loc[name, "contraction"] < WEAK]
    if weak:
        said = ", ".join(f"{name} {found.loc[name, 'contraction']:.2f}" for name in weak)
        findings.append(
            f"The runs will hardly narrow the prior of {said} (expected contraction; one is known, zero is the prior's)."
        )
        findings += _remedy(spec, table, near, weak[int(np.argmin(found.loc[weak, "contraction"]))], found)
    return Identifiability(found, tuple(findings))


def _of_the_design(spec: ModelSpec, table: pd.DataFrame) -> list[str]:
    said, columns = [], list(spec.columns.values())
    spread = {c: float(np.ptp(np.log10(table[c].to_numpy(float)))) for c in columns}
    for column in columns:
        if spread[column] < _SAME:
            symbol = BY_COLUMN[column].symbol if column in BY_COLUMN else column
            said.append(
                f"All runs have the same {symbol}, {table[column].iloc[0]:.3g}: nothing tells how the loss depends on it."
            )
        elif table[column].round(3).nunique() == 2:
            said.append(
                f"The runs have two values of {column} alone: an exponent and an offset cannot both be told from two."
            )
    if {"params", "tokens"} <= set(columns) and min(spread["params"], spread["tokens"]) >= _SAME:
        size, data = (np.log10(table[c].to_numpy(float)) for c in ("params", "tokens"))
        slope, cut = np.polyfit(size, data, 1)
        if float(np.std(data - slope * size - cut)) < _ON_A_LINE:
            ratio = float(10 ** np.mean(data - size))
            line = (
                f"{ratio:.3g} tokens a parameter"
                if abs(slope - 1) < _ON_A_LINE
                else f"D as N^{slope:.2f}, one path of N and D"
            )
            said.append(f"All runs have {line}: what size and what data contribute cannot be told apart.")
    if "compute_flops" in table and float(np.ptp(np.log10(table["compute_flops"]))) < 1:
        decades = float(np.ptp(np.log10(table["compute_flops"])))
        said.append(
            f"The runs span {decades:.2f} decades of compute: an exponent told from less than one is mostly the prior's."
        )
    return said


def _near(spec: ModelSpec, table: pd.DataFrame, rng: np.random.Generator) -> xr.Dataset:
    """Return the draws from the prior whose law comes nearest to the runs."""
    prior = draw_prior(spec, table, rng, draws=_DRAWS).isel(chain=0)
    inputs = [xr.DataArray(table[column].to_numpy(float), dims="run") for column in spec.columns.values()]
    names = {name: prior[name] for name in spec.the_law.parameters if name in prior}
    with np.errstate(over="ignore", invalid="ignore"):
        off: Any = np.log(spec.the_law(*inputs, **(names | fixed_values(spec)))) - np.log(
            xr.DataArray(table["loss"].to_numpy(float), dims="run")
        )
    distance = (off**2).mean("run").fillna(np.inf)
    return prior.isel(draw=np.argsort(distance.values)[:_NEAREST])


def _contraction(spec: ModelSpec, known: pd.DataFrame, table: pd.DataFrame, near: xr.Dataset) -> pd.DataFrame:
    """Return the expected contraction by a table, the median over draws; the reference point is that of the known runs."""
    reference, law = spec.reference_point(known), spec.the_law
    inputs = [table[column].to_numpy(float) for column in spec.columns.values()]
    paths, sharings, typical = paths_of(spec, table), sharings_of(spec, table), typical_loss(known)
    before, distance = neighbours_in(spec, table)
    prior_sd = _prior_sd(spec)
    names, variances = list(prior_sd), []
    for number in range(near.sizes["draw"]):
        draw = near.isel(draw=number)
        values = values_of(spec, draw)

        def log_loss(name: str, by: float, values: dict[str, float] = values) -> np.ndarray:
            moved = values | {name: values[name] * np.exp(by)}
            return np.log(law(*inputs, **law_parameters(law, spec, moved, reference)))

        slopes = np.stack([(log_loss(n, _STEP) - log_loss(n, -_STEP)) / (2 * _STEP) for n in names], axis=1)
        expected = np.exp(log_loss(names[0], 0.0))
        level = level_of(expected, typical, float(draw["growth"])) if "growth" in draw else np.ones(len(table))
        noise = scale_of(own_sigma(sharings, draw).values, relative_se(table), level) ** 2
        walks = [float(draw[path.scale_name]) * path.design(table) * level[:, None] for path in paths]
        walks += [float(draw[part.scale_name]) * part.design * level[:, None] for part in sharings]
        kept = kept_from_before(before, distance, float(draw["length"])) if "length" in draw else np.zeros(len(table))
        free = uncorrelated((slopes / noise[:, None] ** 0.5).T, np.maximum(before, 0), kept).T
        variance = (1 - kept**2)[:, None]
        weighed = free / variance
        if walks:
            loadings = uncorrelated((np.concatenate(walks, axis=1) / noise[:, None] ** 0.5).T, np.maximum(before, 0), kept).T
            inner = np.eye(loadings.shape[1]) + loadings.T @ (loadings / variance)
            weighed = weighed - (loadings / variance) @ np.linalg.solve(inner, loadings.T @ weighed)
        information = free.T @ weighed + np.diag([prior_sd[n] ** -2 for n in names])
        variances.append(np.diag(np.linalg.inv(information)))
    expected_sd = np.sqrt(np.median(variances, axis=0))
    sds = np.array([prior_sd[n] for n in names])
    columns = {"prior_sd": sds, "expected_sd": expected_sd, "contraction": 1 - (expected_sd / sds) ** 2}
    return pd.DataFrame(columns, index=pd.Index(names, name="parameter"))


def _prior_sd(spec: ModelSpec) -> dict[str, float]:
    rng = np.random.default_rng(0)
    return {n: float(np.log(p.prior.draw(rng, 4000)).std()) for n, p in spec.parameters.items() if p.prior is not None}


def _remedy(spec: ModelSpec, table: pd.DataFrame, near: xr.Dataset, name: str, found: pd.DataFrame) -> list[str]:
    """Name the one further run, no dearer than the dearest there is, that would tell most of a parameter."""
    columns, best = list(spec.columns.values()), (0.0, pd.Series(dtype=float))
    few = near.isel(draw=slice(None, None, 6))
    axes = [np.geomspace(table[c].min() / _BEYOND, table[c].max() * _BEYOND, _CANDIDATES) for c in columns]
    for point in np.stack([axis.ravel() for axis in np.meshgrid(*axes)], axis=1):
        run = dict(zip(columns, point, strict=True))
        if {"params", "tokens"} <= set(run):
            run["compute_flops"] = training_compute(run["params"], run["tokens"])
        if "compute_flops" in table and run.get("compute_flops", 0.0) > 1.001 * table["compute_flops"].max():
            continue
        longer = pd.concat([table, pd.DataFrame([run | {"loss": typical_loss(table)}])], ignore_index=True)
        gained = float(_contraction(spec, table, longer, few).loc[name, "contraction"])
        if gained > best[0]:
            best = (gained, pd.Series(run))
    now, (gained, run) = float(found.loc[name, "contraction"]), best
    if gained < now + 0.05:
        return [f"No single further run would tell much of {name}: it takes a longer ladder, or a tighter prior."]
    said = ", ".join(f"{BY_COLUMN[str(c)].symbol if c in BY_COLUMN else c} = {value:.2g}" for c, value in run.items())
    return [
        f"Of further runs no dearer than the dearest there is, {said} would tell most of {name}: contraction {now:.2f} to "
        f"{gained:.2f}."
    ]
