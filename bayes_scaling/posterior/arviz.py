"""A fit as ArviZ takes it: posterior, prior, predictive draws, log likelihood and log prior, each a group of one tree.

Nothing is sampled anew: each group follows from the draws of the fit, in portions of them that fit in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np
import xarray as xr

from bayes_scaling.errors import UnknownChoice, choose
from bayes_scaling.model import names
from bayes_scaling.model.names import SAMPLE_DIMS
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.protocol import taking
from bayes_scaling.posterior.residuals import log_likelihood, loss_at_runs, measured_at_runs
from bayes_scaling.posterior.stated import stated_priors

_CELLS: Final = 5_000_000
"""Numbers of one array, draws times rows, that are in memory together beside what is returned."""


def _measured_again(fit: Fit, rng: np.random.Generator) -> xr.Dataset:
    """Draw the logarithm of what the rows would measure again."""
    drawn: dict[str, xr.DataArray] = {}
    for name, view in fit.views.items():
        suffix = fit.model.suffix(fit.model.observation(name))
        with np.errstate(over="ignore", invalid="ignore"):  # a prior may draw a law that overflows
            measured = measured_at_runs(view, loss_at_runs(view), rng)
        again: Any = np.log(measured.where(np.isfinite(measured) & (measured > 0)))
        drawn[names.of_observation("measured", suffix)] = again.rename(run=names.of_observation("run", suffix))
    return xr.Dataset(drawn)


def _log_prior(fit: Fit, _: np.random.Generator) -> xr.Dataset:
    shape = [fit.posterior.sizes[dim] for dim in SAMPLE_DIMS]
    stated = {each.name: (SAMPLE_DIMS, each.log_density().reshape(shape)) for each in stated_priors(fit)}
    return xr.Dataset(stated, coords={dim: fit.posterior[dim] for dim in SAMPLE_DIMS})


_GROUPS: Final[Mapping[str, tuple[str, Callable[[Fit, np.random.Generator], xr.Dataset]]]] = {
    "posterior_predictive": ("posterior", _measured_again),
    "prior_predictive": ("prior", _measured_again),
    "log_likelihood": ("posterior", lambda fit, _: log_likelihood(fit)),
    "log_prior": ("posterior", _log_prior),
}
"""Every group that can be made: the draws it is made of, and how."""


@taking("fit")
def with_groups(fit: Fit, *groups: str, seed: int = 0) -> Fit:
    """Return a fit whose tree has further groups, by their names in ArviZ, and ``observed_data``.

    Parameters
    ----------
    fit : Fit
        The fit.
    *groups : {"posterior_predictive", "prior_predictive", "log_likelihood", "log_prior"}
        Which; all four by default. The first two are draws of the logarithm of what the rows would measure again, from the
        posterior and from the prior: what rows share stays, what each has to itself is new; NaN where a law overflows. ``log_likelihood`` is the log
        density of this logarithm; rows along one run are given the rows before them. All three have dims (chain, draw, run);
        of several observations the variable is ``measured_{name}``, along ``run_{name}``. They are given the effects, such as
        the steps of a discrepancy; the question ``sensitivity`` and :func:`~bayes_scaling.compare` integrate them out.
        ``log_prior`` has the log density of
        every prior of the document, dims (chain, draw), on the scale of the logarithm or log odds: of parameters, spreads,
        noise and scales of a discrepancy. Effects have no prior that a document states.
    seed : int
        Of the predictive draws.

    Returns
    -------
    Fit
        The fit; a file of it has none of these groups, as they follow from its draws.

    Raises
    ------
    InvalidRequest
        If there is no such group.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> fit = with_groups(example_fit(), "log_likelihood", "log_prior")
    >>> dict(fit.tree["log_likelihood"].sizes), list(fit.tree["log_prior"])[:2]
    ({'chain': 4, 'draw': 100, 'run': 25}, ['E', 'A_at_reference'])
    """
    for name in groups:
        if name not in _GROUPS:
            raise UnknownChoice(f"There is no group {name!r} to add to a fit; {choose(name, _GROUPS)}.")
    observed = {
        names.of_observation("measured", suffix): (names.of_observation("run", suffix), rows.log_measured)
        for suffix, rows in fit.layout
    }
    made = {"observed_data": xr.Dataset(observed)}
    for number, (name, (of, make)) in enumerate(_GROUPS.items()):
        if name in groups or not groups:
            source = fit if of == "posterior" else fit.at_prior()
            made[name] = _in_portions(source, make, np.random.default_rng([seed, number]))
    return _with(fit, made)


@taking("fit")
def to_arviz(fit: Fit, *, seed: int = 0) -> xr.DataTree:
    """Return a fit with every group that ArviZ works on, and nothing else.

    Parameters
    ----------
    fit : Fit
        The fit.
    seed : int
        Of the predictive draws.

    Returns
    -------
    DataTree
        ``posterior``, ``prior`` and ``sample_stats`` as they are stored; ``observed_data``, the logarithm of what was
        measured; ``log_likelihood``, ``log_prior``, ``posterior_predictive`` and ``prior_predictive`` as
        :meth:`Fit.with_groups` makes them.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> tree = to_arviz(example_fit())
    >>> sorted(tree.children)[:4]
    ['log_likelihood', 'log_prior', 'observed_data', 'posterior']
    >>> import arviz_stats
    >>> float(arviz_stats.summary(tree, var_names=["alpha"], kind="stats", round_to=3)["mean"].iloc[0])
    0.348
    """
    tree = with_groups(fit, seed=seed).tree
    groups = ("posterior", "prior", "sample_stats", "observed_data", *_GROUPS)
    return xr.DataTree.from_dict({name: tree[name].to_dataset() for name in groups})


def _in_portions(fit: Fit, make: Callable[[Fit, np.random.Generator], xr.Dataset], rng: np.random.Generator) -> xr.Dataset:
    """Return a group that is made of some draws at a time."""
    draws = fit.posterior
    most = max(1, _CELLS // (draws.sizes["chain"] * max(len(rows) for _, rows in fit.layout)))
    starts = range(0, draws.sizes["draw"], most)
    portions = [make(_with(fit, {"posterior": draws.isel(draw=slice(start, start + most))}), rng) for start in starts]
    return portions[0] if len(portions) == 1 else xr.concat(portions, "draw")


def _with(fit: Fit, groups: Mapping[str, xr.Dataset]) -> Fit:
    kept = {group.path: group.to_dataset(inherit=False) for group in fit.tree.subtree}
    tree = xr.DataTree.from_dict(kept | {f"/{name}": group for name, group in groups.items()})
    return replace(fit, tree=tree).with_layout(fit.layout)
