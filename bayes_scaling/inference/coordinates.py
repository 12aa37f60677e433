"""The coordinates the sampler moves in: the same posterior, in directions the runs tell apart.

A document puts independent priors on the terms of a law, E, A and B say. Runs measure their sum at the reference
point to a fraction of a per cent, and how it splits into terms far less well: in the terms themselves the posterior is
a thin curved sheet, and a sampler with a linear metric creeps along it. In the logarithm of the sum and the ratios of
the terms it is flat. The change has a determinant of one wherever the law is proportional to its terms: the log
of the first term is the log of the sum less a function of the ratios, and each other one adds its ratio.

Groups bring a second shift of the same kind. What runs measure is a parameter's mean over the groups at hand, not the
centre of the population these were drawn from: the mean is sampled, and the centre follows from it and the effects.

Measured over 24 tables simulated from the prior: without this, 8 (chinchilla) and 12 (kappa) posteriors failed a
convergence check at 4 x 1000 draws; with it, none and one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayes_scaling.laws import Law
from bayes_scaling.model.grouping import Groups, dimension, member
from bayes_scaling.model.priors import Prior
from bayes_scaling.model.specification import ModelSpec

_MEDIAN_OF = 2001


@dataclass(frozen=True)
class _Effects:
    """Logarithms of a parameter's factors: one a cell of groups for each grouping, and the mean of their sum."""

    of_cell: list[Any]
    mean: Any


def values_at_reference(spec: ModelSpec, groups: Groups, reference: Mapping[str, Any]) -> dict[str, Any]:
    """Add every unknown of the law to the model being built, and return its value at the reference point.

    Parameters
    ----------
    spec : ModelSpec
        The model.
    groups : Groups
        The groups of the runs.
    reference : mapping
        The reference point: data of the model, a number for each input.

    Returns
    -------
    dict of str to tensor
        A number, or one a group, for every parameter with a prior.
    """
    unknown = {name: parameter.prior for name, parameter in spec.parameters.items() if parameter.prior is not None}
    effects = {name: _effects(spec, name, groups) for name in unknown}
    terms = terms_of(spec)
    centres = {name: _centre(spec, name, prior, effects[name]) for name, prior in unknown.items() if name not in terms}
    if terms:
        centres |= _terms(spec, {name: unknown[name] for name in terms}, centres, effects, reference)
    for name in unknown:
        if effects[name].of_cell and f"{name}_population" not in pm.modelcontext(None).named_vars:
            pm.Deterministic(f"{name}_population", centres[name])
    return {name: member(centres[name], effects[name].of_cell) for name in unknown}


def terms_of(spec: ModelSpec) -> tuple[str, ...]:
    """Return the parameters that are losses and are sampled together, through the loss at the reference point.

    None are where there is one term alone, where one is fixed or has bounds, or where the law is not
    proportional to them.

    Examples
    --------
    >>> from bayes_scaling.model.documents import read_model
    >>> terms_of(read_model("chinchilla"))
    ('E', 'A', 'B')
    """
    law = spec.the_law
    losses = tuple(name for name, kind in law.parameters.items() if kind.unit == "loss" and name in spec.parameters)
    priors = [spec.parameters[name].prior for name in losses]
    unbounded = all(prior is not None and prior.dist != "Uniform" for prior in priors)
    return losses if len(losses) > 1 and unbounded and is_proportional(law, losses, spec.parameters) else ()


def is_proportional(law: Law, losses: Collection[str], parameters: Collection[str]) -> bool:
    """Whether a law of these parameters doubles where its terms at the reference point do.

    Examples
    --------
    >>> from bayes_scaling.laws import LAWS
    >>> kappa, m4 = LAWS["kappa"], LAWS["m4"]
    >>> is_proportional(kappa, ("E", "A", "B"), kappa.parameters), is_proportional(m4, ("beta", "E", "gap"), m4.parameters)
    (True, False)
    """
    reference = dict.fromkeys((*law.inputs, *law.axes), 3.0)
    once = dict.fromkeys(parameters, 0.7)
    twice = once | dict.fromkeys(losses, 1.4)
    inputs = [reference[name] for name in law.inputs]
    low, high = (float(law(*inputs, **law.from_reference(values, reference))) for values in (once, twice))
    return bool(np.isclose(high, 2 * low, rtol=1e-9))


def variable(name: str, prior: Prior) -> Any:
    """Add an unknown with its prior to the model, by PyMC's distribution of that name."""
    return getattr(pm, prior.dist)(name, **prior.arguments)


def _effects(spec: ModelSpec, name: str, groups: Groups) -> _Effects:
    """Add the effects of groups, non-centred: a few dozen runs a group leave the spread half to the prior."""
    of_cell: list[Any] = []
    for grouping in spec.parameters[name].varies_by:
        prior, dim = spec.parameters[name].spread, dimension(grouping)
        assert prior is not None
        of_cell.append(
            effects_of_levels(name, dim, prior)[
                pm.Data(f"{name}_level_{dim}", groups.level_of_cell(grouping), dims=groups.dim)
            ]
        )
    return _Effects(of_cell, pt.mean(sum(of_cell[1:], of_cell[0])) if of_cell else 0.0)


def effects_of_levels(name: str, dim: str, spread: Prior) -> Any:
    """Add the effects of the labels along a dimension on one parameter, non-centred."""
    z = pm.Normal(f"{name}_z_{dim}", dims=dim)
    return pm.Deterministic(f"{name}_effect_{dim}", variable(f"{name}_spread_{dim}", spread) * z, dims=dim)


def _centre(spec: ModelSpec, name: str, prior: Prior, effects: _Effects) -> Any:
    """Add a parameter of its own: by its prior, or by its mean over the groups."""
    if not effects.of_cell:
        return variable(f"{name}_at_reference" if spec.the_law.parameters[name].moves else name, prior)
    return population(name, f"{name}_population", prior, effects.mean)


def _terms(
    spec: ModelSpec,
    priors: Mapping[str, Prior],
    others: Mapping[str, Any],
    effects: Mapping[str, _Effects],
    reference: Mapping[str, Any],
) -> dict[str, Any]:
    """Add the terms of the law: the loss at the reference point, and their ratios to the first of them."""
    law, (first, *rest) = spec.the_law, priors
    start = {name: _log_median(prior) for name, prior in priors.items()}
    log_ratio = {name: pm.Flat(f"{name}_log_ratio", initval=start[name] - start[first]) for name in rest}
    log_loss = pm.Flat("log_loss_at_reference", initval=float(np.log(sum(np.exp(value) for value in start.values()))))
    # The law with a first term of one: its log, averaged over the groups, is what the first term falls short of the loss.
    log_centre = {first: -effects[first].mean} | {name: log_ratio[name] - effects[name].mean for name in rest}
    known = {name: float(p.fixed) for name, p in spec.parameters.items() if p.fixed is not None}
    ratios = {name: member(pt.exp(value), effects[name].of_cell) for name, value in log_centre.items()}
    shaped = {name: member(value, effects[name].of_cell) for name, value in others.items()}
    published = law.from_reference({**ratios, **shaped, **known}, reference) | known
    log_first = log_loss - pt.mean(pt.log(law(*(reference[symbol] for symbol in law.inputs), **published)))
    return {name: _believed(name, log_first + value, priors[name]) for name, value in log_centre.items()}


def population(name: str, label: str, prior: Prior, mean: Any) -> Any:
    """Add the centre of a population, called `label`, by its mean over the groups at hand: that is what rows measure."""
    if prior.dist == "Uniform":
        return variable(label, prior)
    log_mean = pm.Flat(f"{name}_log_mean", initval=_log_median(prior))
    return pm.Deterministic(label, _believed(name, log_mean - mean, prior))


def _believed(name: str, log_value: Any, prior: Prior) -> Any:
    """Add the prior of a positive number that is sampled by its logarithm, and return the number."""
    value = pt.exp(log_value)
    distribution = getattr(pm, prior.dist).dist(**prior.arguments)
    pm.Potential(f"{name}_prior", pm.logp(distribution, value) + log_value)
    return value


def _log_median(prior: Prior) -> float:
    return float(np.log(np.median(prior.draw(np.random.default_rng(0), _MEDIAN_OF))))
