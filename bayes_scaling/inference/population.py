"""What many ladders say of one nobody has seen: a hierarchical model of their parameters, in two stages.

Each ladder is fitted alone, with vague priors. What its runs say of a parameter is then a likelihood of the logarithm,
close to Normal: the posterior's mean and variance with the prior divided out. The hierarchical model puts ladders in
their sources and sources in a population; its forecast of the next ladder, of a source not seen, is the prior to state.
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import NormalDist
from typing import Final

import numpy as np
import pandas as pd
import pymc as pm
import xarray as xr

from bayes_scaling.errors import InvalidRequest
from bayes_scaling.inference.nuts import compiled, sample
from bayes_scaling.inference.settings import Settings
from bayes_scaling.model import names
from bayes_scaling.posterior.fit import Fit

_SPREAD: Final = 0.5
"""Scale of the half-normal prior on how far ladders, and sources, lie apart, on the log scale."""
_LEAST_PRECISION: Final = 1e-3


def what_runs_say(fit: Fit) -> pd.DataFrame:
    """Return what the runs alone say of every single parameter of a fit.

    Parameters
    ----------
    fit : Fit
        A fit of one ladder, with vague priors.

    Returns
    -------
    DataFrame
        One row a parameter at the reference point, in its unit, scatter or scale: ``mean`` and ``sd`` of the Normal
        likelihood of its logarithm; ``prior_mean`` and ``prior_sd``, the prior before.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> round(float(what_runs_say(example_fit()).loc["alpha", "mean"]), 2)  # log .348
    -1.06
    """
    rows = {}
    units = {label: unit for name, unit in fit.layout.units.items() for label in (name, names.at_reference(name))}
    for name in _unknowns(fit):
        before, after = (np.log(draws[name].values / units.get(name, 1.0)) for draws in (fit.prior, fit.posterior))
        precision = max(after.var() ** -1 - before.var() ** -1, _LEAST_PRECISION)
        mean = (after.mean() / after.var() - before.mean() / before.var()) / precision
        # Runs that say nothing leave the difference of two noisy numbers: their likelihood is flat around the prior.
        told = after.var() < 0.95 * before.var()
        rows[name] = (mean if told else before.mean(), precision**-0.5 if told else 30.0, before.mean(), before.std())
    return pd.DataFrame.from_dict(rows, orient="index", columns=["mean", "sd", "prior_mean", "prior_sd"])


def population(ladders: Mapping[str, pd.DataFrame], sources: Mapping[str, str], *, seed: int = 0) -> pd.DataFrame:
    """Learn from many ladders the prior for a table nobody has seen.

    Parameters
    ----------
    ladders : mapping of str to DataFrame
        What :func:`what_runs_say` returned of each ladder.
    sources : mapping of str to str
        The source of each ladder: ladders of one paper have more in common than those of two.
    seed : int
        Of the sampler.

    Returns
    -------
    DataFrame
        One row a parameter: ``mu`` and ``sigma`` of the LogNormal prior for a new ladder of a new source; ``between`` and
        ``within``, medians of how far sources, and ladders of a source, lie apart on the log scale.

    Raises
    ------
    InvalidRequest
        If the ladders come from fewer than three sources: how far sources lie apart is then anyone's guess.
    """
    unknowns, draws, _ = _hierarchy(ladders, sources, seed)
    new = _new_ladder(draws, seed)
    found = {"mu": new.mean(("chain", "draw")), "sigma": new.std(("chain", "draw"))}
    found |= {name: draws[name].median(("chain", "draw")) for name in ("between", "within")}
    return pd.DataFrame({name: values.values for name, values in found.items()}, index=unknowns)


def pool(
    ladders: Mapping[str, pd.DataFrame], sources: Mapping[str, str], *, prob: float = 0.9, seed: int = 0
) -> pd.DataFrame:
    """Say how parameters vary over ladders, and what each ladder says of them when the others are known.

    Parameters
    ----------
    ladders : mapping of str to DataFrame
        What :func:`what_runs_say` returned of each ladder, one model's; unknowns that one of them lacks are left out.
    sources : mapping of str to str
        The source of each ladder.
    prob : float
        Probability of the equal-tailed intervals.
    seed : int
        Of the sampler.

    Returns
    -------
    DataFrame
        A row a parameter and ladder, and one of ``"a new table"``: ``alone`` with ``_lower`` and ``_upper``, what its runs alone
        say (of a new one, the prior of the fits); ``pooled``, the same when all are known, drawn towards the population the
        more the less its runs say; ``between`` and ``within``, medians of how far sources, and ladders of a source, lie apart
        on the log scale.

    Raises
    ------
    InvalidRequest
        As :func:`population`.
    """
    unknowns, draws, told = _hierarchy(ladders, sources, seed)
    rng, low, high = np.random.default_rng([seed, 1]), 0.5 - prob / 2, 0.5 + prob / 2
    new = {"a new table": _new_ladder(draws, seed).values}
    own = {name: _shrunken(draws, told[name], sources[name], rng) for name in told}
    spreads = {name: draws[name].median(("chain", "draw")).values for name in ("between", "within")}
    before = next(iter(ladders.values())).loc[unknowns]
    normal = {name: (table["mean"].to_numpy(), table["sd"].to_numpy()) for name, table in told.items()}
    normal["a new table"] = before["prior_mean"].to_numpy(), before["prior_sd"].to_numpy()
    z, rows = NormalDist().inv_cdf(high), []
    for place, parameter in enumerate(unknowns):
        for name, drawn in (new | own).items():
            mean, sd = (float(part[place]) for part in normal[name])
            middle, least, most = np.exp(np.quantile(drawn[..., place], (0.5, low, high)))
            rows.append(
                {
                    **{"parameter": parameter, "table": name, "source": sources.get(name, "")},
                    **{"alone": np.exp(mean), "alone_lower": np.exp(mean - z * sd), "alone_upper": np.exp(mean + z * sd)},
                    **{"pooled": middle, "pooled_lower": least, "pooled_upper": most},
                    **{label: float(spread[place]) for label, spread in spreads.items()},
                }
            )
    return pd.DataFrame(rows)


def _hierarchy(
    ladders: Mapping[str, pd.DataFrame], sources: Mapping[str, str], seed: int
) -> tuple[list[str], xr.Dataset, dict[str, pd.DataFrame]]:
    """Sample the population: the unknowns that all ladders have, its draws, and what each ladder says of those unknowns."""
    labels = sorted({sources[name] for name in ladders})
    if len(labels) < 3:
        raise InvalidRequest(f"The ladders come from {len(labels)} sources, {', '.join(labels)}: give at least three.")
    first = next(iter(ladders.values()))
    unknowns = [name for name in first.index if all(name in table.index for table in ladders.values())]
    known = {name: table.loc[unknowns] for name, table in ladders.items()}
    told, widths = (np.stack([table[column].to_numpy() for table in known.values()]) for column in ("mean", "sd"))
    before = first.loc[unknowns]
    source_of = np.array([labels.index(sources[name]) for name in ladders])
    with pm.Model(coords={"parameter": unknowns, "source": labels}) as model:
        centre = pm.Normal("centre", before["prior_mean"].to_numpy(), 2 * before["prior_sd"].to_numpy(), dims="parameter")
        between = pm.HalfNormal("between", _SPREAD, dims="parameter")
        within = pm.HalfNormal("within", _SPREAD, dims="parameter")
        z = pm.Normal("z", dims=("source", "parameter"))
        of_source = (centre + between * z)[source_of]
        pm.Normal("told", of_source, (widths**2 + within**2) ** 0.5, observed=told)
    tree = sample(compiled(model, freeze=True), Settings(seed=seed, draws=1000, tune=1000), progress=False)
    return unknowns, tree["posterior"].to_dataset(), known


def _new_ladder(draws: xr.Dataset, seed: int) -> xr.DataArray:
    """Draw the logarithms of the parameters of a ladder of a source nobody has seen."""
    rng, shape = np.random.default_rng(seed), draws["centre"].shape
    return draws["centre"] + draws["between"] * rng.standard_normal(shape) + draws["within"] * rng.standard_normal(shape)


def _shrunken(draws: xr.Dataset, told: pd.DataFrame, source: str, rng: np.random.Generator) -> np.ndarray:
    """Draw the logarithms of the parameters of one ladder, given its runs and its source: the product of two Normals."""
    centre = (draws["centre"] + draws["between"] * draws["z"].sel(source=source)).values
    precisions = told["sd"].to_numpy() ** -2.0, draws["within"].values ** -2.0
    precision = precisions[0] + precisions[1]
    mean = (precisions[0] * told["mean"].to_numpy() + precisions[1] * centre) / precision
    return mean + rng.standard_normal(mean.shape) / np.sqrt(precision)


def _unknowns(fit: Fit) -> list[str]:
    """Return the unknowns that are pooled: parameters of the law, and scales of noise and discrepancy, whose logarithms are nearly Normal."""
    moved = (f"{name}_at_reference" if f"{name}_at_reference" in fit.posterior else name for name in fit.model.parameters)
    scales = (effect.scale_name for effect in fit.layout.only.effects)
    others = ("sigma", "nu", "growth", *scales)
    return [name for name in (*moved, *others) if name in fit.posterior and fit.posterior[name].ndim == 2]
