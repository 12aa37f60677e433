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

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayes_scaling.inference.distributions import density, variable
from bayes_scaling.model import names
from bayes_scaling.model.document import Model
from bayes_scaling.model.grouping import member
from bayes_scaling.model.layout import Layout, name_of_position
from bayes_scaling.model.priors import Prior
from bayes_scaling.model.reference import terms_of

_MEDIAN_OF = 2001


@dataclass(frozen=True)
class Varying:
    """Logarithms of the factors of parameters that vary, as variables of the model being built.

    Parameters
    ----------
    effects : mapping of str to list
        For each such parameter, its effects, one array over labels for each grouping.
    positions : mapping
        For each parameter and observation, the position of every group's label, in the order of the effects.
    """

    effects: Mapping[str, list[Any]]
    positions: Mapping[tuple[str, str], list[Any]]

    @classmethod
    def of(cls, layout: Layout, shared: Mapping[str, Any]) -> Varying:
        """Add the effects of groups, non-centred: a few dozen runs a group leave the spread half to the prior."""
        effects: dict[str, list[Any]] = {}
        positions: dict[tuple[str, str], list[Any]] = {}
        for name, parameter in layout.model.parameters.items():
            for grouping, coding in layout.codings_of(name):
                assert parameter.spread is not None
                label = grouping.replace(":", "_")
                z = pm.Normal(f"{name}_z_{label}", dims=coding.dim)
                width = variable(names.spread(name, grouping), parameter.spread)
                effect = pm.Deterministic(names.group_effect(name, grouping), width * z, dims=coding.dim)
                effects.setdefault(name, []).append(effect)
                for observation, position in coding.positions.items():
                    suffix = layout.model.suffix(layout.model.observation(observation))
                    data = shared.get(name_of_position(name, grouping, suffix), position)
                    positions.setdefault((name, observation), []).append(data)
        return cls(effects, positions)

    def mean(self, name: str) -> Any:
        """Return the mean of a parameter's effects over the labels at hand, summed over groupings."""
        return sum(pt.mean(effect) for effect in self.effects[name]) if name in self.effects else 0.0

    def of_groups(self, name: str, observation: str) -> list[Any]:
        """Return the effects of one parameter in every group of an observation, one for each grouping."""
        places = self.positions.get((name, observation), [])
        return [effect[place] for effect, place in zip(self.effects.get(name, []), places, strict=True)]

    def at(self, centres: Mapping[str, Any], observation: str) -> dict[str, Any]:
        """Return the values of parameters in every group of an observation, for their populations' centres."""
        return {
            name: member(centre, self.of_groups(name, observation) if (name, observation) in self.positions else [])
            for name, centre in centres.items()
            if name not in self.effects or (name, observation) in self.positions
        }


def values_at_reference(layout: Layout, varying: Varying, reference: Mapping[str, Any]) -> dict[str, Any]:
    """Add every unknown of the laws to the model being built, and return its centre at the reference point.

    Parameters
    ----------
    layout : Layout
        The model on its tables.
    varying : Varying
        Effects of groups.
    reference : mapping
        The reference point.

    Returns
    -------
    dict of str to tensor
        A number for every parameter with a prior.
    """
    model = layout.model
    terms = terms_of(model)
    centres = {n: _centre(model, n, prior, varying) for n, prior in model.priors.items() if n not in terms}
    if terms:
        centres |= _terms(model, {name: model.priors[name] for name in terms}, centres, varying, reference)
    for name in varying.effects if model.is_one else ():
        if names.population(name) not in pm.modelcontext(None).named_vars:
            pm.Deterministic(names.population(name), centres[name])
    return {name: centres[name] for name in model.priors}


def _centre(model: Model, name: str, prior: Prior, varying: Varying) -> Any:
    """Add a parameter of its own: by its prior, or by its mean over the groups at hand, which is what rows measure."""
    label = names.at_reference(name) if model.kinds[name].moves else name
    if name not in varying.effects:
        return variable(label, prior)
    label = names.population(name) if model.is_one else label
    if prior.has_bounds:
        return variable(label, prior)
    log_mean = pm.Flat(f"{name}_log_mean", initval=_log_median(prior))
    return pm.Deterministic(label, _with_prior(name, log_mean - varying.mean(name), prior))


def _terms(
    model: Model,
    priors: Mapping[str, Prior],
    others: Mapping[str, Any],
    varying: Varying,
    reference: Mapping[str, Any],
) -> dict[str, Any]:
    """Add the terms of the law: the loss at the reference point, and their ratios to the first of them."""
    only, (first, *rest) = model.only, priors
    law = only.the_law
    start = {name: _log_median(prior) for name, prior in priors.items()}
    log_ratio = {name: pm.Flat(f"{name}_log_ratio", initval=start[name] - start[first]) for name in rest}
    log_loss = pm.Flat("log_loss_at_reference", initval=float(np.log(sum(np.exp(value) for value in start.values()))))
    # The law with a first term of one: its log, averaged over the groups, is what the first term falls short of the loss.
    log_centre = {first: -varying.mean(first)} | {name: log_ratio[name] - varying.mean(name) for name in rest}
    ratios = {name: member(pt.exp(value), varying.of_groups(name, only.name)) for name, value in log_centre.items()}
    shaped = {name: member(value, varying.of_groups(name, only.name)) for name, value in others.items()}
    published = law.from_reference({**ratios, **shaped, **model.fixed}, reference) | model.fixed
    log_first = log_loss - pt.mean(pt.log(law(*(reference[symbol] for symbol in law.inputs), **published)))
    return {name: _with_prior(name, log_first + value, priors[name]) for name, value in log_centre.items()}


def _with_prior(name: str, log_value: Any, prior: Prior) -> Any:
    """Add the prior of a positive number that is sampled by its logarithm, and return the number."""
    value = pt.exp(log_value)
    pm.Potential(f"{name}_prior", density(prior, value) + log_value)
    return value


def _log_median(prior: Prior) -> float:
    return float(np.log(np.median(prior.draw(np.random.default_rng(0), _MEDIAN_OF))))
