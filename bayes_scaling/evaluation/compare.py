"""Several models compared by how well each predicts a run that was left out."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_scaling.errors import InvalidInputs, MissingOption, OutOfRange, WrongPosterior
from bayes_scaling.model.names import SAMPLE_DIMS
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.inputs import warn_unless_converged
from bayes_scaling.posterior.left_out import left_out as rows_left_out
from bayes_scaling.posterior.protocol import accepted

_FEWEST = 50
"""Fewest draws for Pareto smoothing."""


def compare(fits: Mapping[str, Fit]) -> pd.DataFrame:
    """Compare models by leaving out one run at a time.

    The expected log predictive density of a left-out run is estimated by Pareto-smoothed importance sampling, effects such as
    the model discrepancy integrated out: they follow the run, and those of draws that know it say little of those that do not. All
    rows of a run are left out at once, whatever they are observations of, since the points of a curve predict each other;
    where rows have no ``run_id``, each is a run.

    Parameters
    ----------
    fits : mapping of str to Fit
        Fits of the same rows by different models.

    Returns
    -------
    DataFrame
        One row a model, best first: ``elpd``, ``difference`` to the best and its standard error ``difference_se`` over
        runs, ``effective_parameters``, and ``unreliable``, the runs whose importance weights have no finite variance. A
        difference below about 4, or below several standard errors, is not a preference.

    Raises
    ------
    InvalidRequest
        If there are fewer than two fits, they have too few draws, or they are fits of different rows.

    Warns
    -----
    NotConvergedWarning
        If the fit failed a convergence check.

    References
    ----------
    Vehtari, Gelman and Gabry (2017).

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> compare({"one": example_fit(), "same": example_fit()})["difference"].tolist()
    [0.0, 0.0]
    """
    elpd, estimates = left_out(fits)
    difference = elpd.sub(elpd[elpd.sum().idxmax()], axis=0)
    columns = {
        "elpd": elpd.sum(),
        "difference": difference.sum(),
        "difference_se": np.sqrt(len(elpd)) * difference.std(ddof=0),
        "effective_parameters": pd.Series({name: float(loo.p) for name, loo in estimates.items()}),
        "unreliable": pd.Series({name: int((loo.pareto_k > loo.good_k).sum()) for name, loo in estimates.items()}),
        "runs": len(elpd),
    }
    return pd.DataFrame(columns).sort_values("elpd", ascending=False).reset_index(names="model")


def left_out(fits: Mapping[str, Fit]) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the log predictive density of every run that is left out, a column a model, and the estimates of ArviZ.

    Fits are refused as by :func:`compare`.
    """
    if not isinstance(fits, Mapping):
        raise WrongPosterior(
            f"compare needs fits by their names, found {type(fits).__name__}: of a mixture, give its fits, mixture.fits."
        )
    if len(fits) < 2:
        raise MissingOption("Give at least two fits to compare.")
    fits = {name: accepted(fit, ("fit",), "compare") for name, fit in fits.items()}
    for name, fit in fits.items():
        draws = fit.posterior.sizes["chain"] * fit.posterior.sizes["draw"]
        if draws < _FEWEST:
            raise OutOfRange(f"{name} has {draws} draws: importance sampling needs at least {_FEWEST}.")
    import arviz_stats  # a second of imports that answering from a stored fit does not need

    estimates, rows = {}, {}
    for name, fit in fits.items():
        warn_unless_converged(fit)
        density = _by_run(fit)
        rows[name] = density["run"].values.tolist()
        tree = xr.DataTree.from_dict({"posterior": fit.posterior, "log_likelihood": density.to_dataset(name="measured")})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the column of unreliable runs has it
            estimates[name] = arviz_stats.loo(tree, pointwise=True)
    first, *others = fits
    for name in others:
        if rows[name] != rows[first]:
            raise InvalidInputs(f"{name} and {first} have not seen the same rows: fit them to the same table.")
    return pd.DataFrame({name: loo.elpd_i.values for name, loo in estimates.items()}), estimates


def _by_run(fit: Fit) -> xr.DataArray:
    """Return the log density of each run, dims (chain, draw, run); a run's label holds what it measured."""
    densities: dict[str, np.ndarray] = {}
    measured: dict[str, float] = {}
    for observation in fit.model.observations:
        rows, suffix = fit.rows(observation.name), fit.model.suffix(observation)
        log_measured = np.log(rows[observation.output].to_numpy(float))
        label = rows["run_id"].astype(str) if "run_id" in rows else pd.Series([f"{suffix} {i}" for i in range(len(rows))])
        members = {str(run): rows_of_it for run, rows_of_it in label.groupby(label, sort=False).indices.items()}
        one = fit if fit.model.is_one else fit.view(observation.name)
        for run, values in zip(members, rows_left_out(one, together=members).log_density.T, strict=True):
            densities[run] = densities.get(run, np.zeros(len(values))) + values
            measured[run] = measured.get(run, 0.0) + float(log_measured[members[run]].sum())
    labels = [f"{run} {value:.9g}" for run, value in measured.items()]
    shape = [fit.posterior.sizes[dim] for dim in SAMPLE_DIMS]
    by_run = np.stack(list(densities.values()), axis=-1).reshape(*shape, -1)
    return xr.DataArray(by_run, dims=(*SAMPLE_DIMS, "run"), coords={"run": labels})
