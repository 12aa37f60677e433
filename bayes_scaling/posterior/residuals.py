"""What a system of laws expects at the rows it has seen, and how surprising what was measured is."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from bayes_scaling.errors import InvalidRequest
from bayes_scaling.model.grouping import member
from bayes_scaling.model.levels import Levels, dimension_of, own_parameters
from bayes_scaling.model.reference import law_parameters
from bayes_scaling.model.scatter import kept_from_before, measure, neighbours, relative_se, scale_of, standardized
from bayes_scaling.model.sharing import kept_at_runs, own_sigma, sharings_of
from bayes_scaling.model.specification import Likelihood
from bayes_scaling.model.systems import Observation
from bayes_scaling.posterior.fit import CORRELATED, Fit, JointFit, Sampled
from bayes_scaling.posterior.predict import SAMPLE_DIMS, law_at_runs, level_at, loss_at_runs


def expected_at_rows(fit: JointFit, name: str) -> xr.DataArray:
    """Return what the law of one observation says at each of its rows.

    Parameters
    ----------
    fit : JointFit
        The fit.
    name : str
        The observation.

    Returns
    -------
    DataArray, dims (chain, draw, run)
        The law's output, each row in its own group.
    """
    observation, system, draws = fit.observation(name), fit.spec, fit.posterior
    tables = {o.name: fit.rows(o.name) for o in system.observations}
    levels, kinds = Levels.of(system, tables), system.kinds
    values: dict[str, Any] = {}
    for parameter, belief in system.parameters.items():
        if belief.prior is None or parameter not in observation.the_law.parameters:
            continue
        effects = []
        for grouping in belief.varies_by:
            dim = dimension_of(parameter, grouping)
            where = xr.DataArray(levels.of_rows(parameter, grouping, observation), dims="run")
            effects.append(draws[f"{parameter}_effect_{dim}"].isel({dim: where}).drop_vars(dim))
        values[parameter] = member(draws[f"{parameter}_at_reference" if kinds[parameter].moves else parameter], effects)
    table = tables[name]
    inputs = [xr.DataArray(table[column].to_numpy(float), dims="run") for column in observation.columns.values()]
    found = observation.the_law(*inputs, **law_parameters(observation.the_law, system, values, system.reference))
    return (found + xr.zeros_like(draws["chain"] * draws["draw"], dtype=float)).transpose(*SAMPLE_DIMS, "run")


def surprises(fit: JointFit, name: str) -> xr.DataArray:
    """Return how many scales each row lies above what the law and the rows before it on its run expect.

    Parameters
    ----------
    fit : JointFit
        The fit.
    name : str
        The observation.

    Returns
    -------
    DataArray, dims (chain, draw, run)
        Independent draws of the likelihood's distribution at scale one, where the model is right.
    """
    return _surprises(fit, fit.observation(name))[0]


def usual_surprise(fit: JointFit, observation: Observation, prob: float) -> float:
    """Return how many scales either way a row lies with a probability, where the model is right.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_system
    >>> fit = example_system()
    >>> [round(usual_surprise(fit, fit.observation(name), 0.9), 2) for name in ("curves", "noise")]
    [1.64, 2.13]
    """
    from scipy import stats  # some tenths of a second that a stored fit is queried without

    if observation.likelihood.dist == "Normal":
        return float(stats.norm.ppf((1 + prob) / 2))
    nu: Any = fit.posterior.get(f"nu_{observation.name}", observation.likelihood.nu)
    return float(stats.t.ppf((1 + prob) / 2, df=float(np.median(nu))))


def measured_at_rows(fit: JointFit, name: str, rng: np.random.Generator) -> xr.DataArray:
    """Draw what the rows of one observation would measure again, each with its own error.

    Returns
    -------
    DataArray, dims (chain, draw, run)
        In the unit of what was measured.
    """
    observation = fit.observation(name)
    own = own_parameters(fit.spec, observation, fit.posterior)
    rows = fit.rows(name)
    # Errors of single points have no place in a correlated scatter: they are part of its scale.
    errors = relative_se(rows, observation.output) if observation.correlation is None else np.zeros(len(rows))
    return measure(
        expected_at_rows(fit, name), observation.likelihood, own, rng, relative_se=xr.DataArray(errors, dims="run")
    )


def _surprises(fit: JointFit, observation: Observation) -> tuple[xr.DataArray, xr.DataArray]:
    """Return the standardized surprises, and the scale of each."""
    table, sigma = fit.rows(observation.name), fit.posterior[f"sigma_{observation.name}"]
    measured = xr.DataArray(table[observation.output].to_numpy(float), dims="run")
    expected = expected_at_rows(fit, observation.name)
    if observation.correlation is None:
        errors = xr.DataArray(relative_se(table, observation.output), dims="run")
        return standardized(measured, expected, sigma, errors), scale_of(sigma, errors)
    before, distance = neighbours(table, observation.correlation)
    length = fit.posterior[f"length_{observation.name}"]
    apart = xr.DataArray(distance, dims="run")
    kept = kept_from_before(xr.DataArray(before, dims="run"), apart, length)
    return _after_before(standardized(measured, expected, sigma, 0.0), sigma, before, kept)


def _after_before(z: xr.DataArray, scale: xr.DataArray, before: np.ndarray, kept: Any) -> tuple[xr.DataArray, xr.DataArray]:
    """Return surprises and scales once what the row before each says of it is taken off."""
    said, left = z.isel(run=xr.DataArray(np.maximum(before, 0), dims="run")), (1 - kept**2) ** 0.5
    return (z - kept * said) / left, scale * left


def log_likelihood(fit: Sampled) -> xr.Dataset:
    """Return the log density of every row given the rows before it on its run.

    Parameters
    ----------
    fit : Fit or JointFit
        The fit.

    Returns
    -------
    Dataset, dims (chain, draw, row of the observation)
        One variable an observation, ``measured_{name}``, of a joint fit; ``measured`` of a fit of one law. Densities are
        those of the logarithm of what was measured.

    Raises
    ------
    InvalidRequest
        If the fit is one observation of a system, whose rows go together.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> log_likelihood(example_fit())["measured"].dims
    ('chain', 'draw', 'run')
    """
    if isinstance(fit, JointFit):
        found = {}
        for observation in fit.spec.observations:
            z, scale = _surprises(fit, observation)
            nu = fit.posterior.get(f"nu_{observation.name}", observation.likelihood.nu)
            density = _log_density(z, observation.likelihood, nu) - np.log(scale)
            found[f"measured_{observation.name}"] = density.rename(run=f"run_{observation.name}")
        return xr.Dataset({name: value.transpose(*SAMPLE_DIMS, ...) for name, value in found.items()})
    assert isinstance(fit, Fit)
    if fit.facts.get(CORRELATED):
        raise InvalidRequest("The residuals of this observation go together along runs: ask the joint fit it belongs to.")
    z, scale = surprises_at_runs(fit)
    density = _log_density(z, fit.spec.likelihood, fit.posterior.get("nu", fit.spec.likelihood.nu)) - np.log(scale)
    return xr.Dataset({"measured": density.transpose(*SAMPLE_DIMS, ...)})


def surprises_at_runs(fit: Fit) -> tuple[xr.DataArray, xr.DataArray]:
    """Return how many scales each run lies above what is expected there and the row before it says, and the scale of each.

    Parameters
    ----------
    fit : Fit
        The fit.

    Returns
    -------
    tuple of DataArray, dims (chain, draw, run)
        Independent draws of the likelihood's distribution at scale one, where the model is right; relative errors.
    """
    errors, loss = xr.DataArray(relative_se(fit.runs), dims="run"), xr.DataArray(fit.runs["loss"].to_numpy(), dims="run")
    level = level_at(fit, law_at_runs(fit).drop_vars("run"))
    sigma = own_sigma(sharings_of(fit.spec, fit.runs), fit.posterior)
    z = standardized(loss, loss_at_runs(fit).drop_vars("run"), sigma, errors, level)
    scale = scale_of(sigma, errors, level) + xr.zeros_like(z)
    if fit.spec.correlation is None:
        return z, scale
    return _after_before(z, scale, *kept_at_runs(fit.spec, fit.runs, fit.posterior))


def _log_density(z: xr.DataArray, likelihood: Likelihood, nu: Any) -> xr.DataArray:
    from scipy import stats  # some tenths of a second that a stored fit is queried without

    if likelihood.dist == "Normal":
        return z.copy(data=stats.norm.logpdf(z.values))
    return z.copy(data=stats.t.logpdf(z.values, df=(nu + xr.zeros_like(z)).transpose(*z.dims).values))
