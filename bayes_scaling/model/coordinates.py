"""The coordinates a posterior is explored in: the same posterior, in directions the runs tell apart.

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
from typing import Any, Final

import numpy as np

from bayes_scaling.elementwise import exp, log
from bayes_scaling.model import names
from bayes_scaling.model.document import Model
from bayes_scaling.model.grouping import member
from bayes_scaling.model.layout import Layout, name_of_position
from bayes_scaling.model.priors import Prior
from bayes_scaling.model.reference import inputs_of_the_loss
from bayes_scaling.model.unknowns import Unknowns

LOG_LOSS: Final = "log_loss_at_reference"


def log_ratio(name: str) -> str:
    """Name of the logarithm of a term over the first term."""
    return f"{name}_log_ratio"


def log_mean(name: str) -> str:
    """Name of the mean over the groups at hand of a parameter's logarithm."""
    return f"{name}_log_mean"


def standard_effect(name: str, grouping: str) -> str:
    """Name of a parameter's effects of groups in units of their standard deviation."""
    return f"{name}_z_{grouping.replace(':', '_')}"


@dataclass(frozen=True)
class Varying:
    """Logarithms of the factors of parameters that vary: one array over labels for each parameter and grouping.

    ``positions`` says for each parameter and observation which label every group has, in the order of the effects.
    """

    effects: Mapping[str, list[Any]]
    positions: Mapping[tuple[str, str], list[Any]]
    unknowns: Unknowns

    @classmethod
    def of(cls, layout: Layout, data: Mapping[str, Any], unknowns: Unknowns) -> Varying:
        """Ask for the effects of groups, non-centred: a few dozen runs a group leave the spread half to the prior."""
        effects: dict[str, list[Any]] = {}
        positions: dict[tuple[str, str], list[Any]] = {}
        for name, parameter in layout.model.parameters.items():
            for grouping, coding in layout.codings_of(name):
                assert parameter.spread is not None
                z = unknowns.standard(standard_effect(name, grouping), coding.dim, len(coding.labels))
                effect = unknowns.positive(names.spread(name, grouping), parameter.spread) * z
                effects.setdefault(name, []).append(effect)
                unknowns.record(names.group_effect(name, grouping), effect, coding.dim)
                for observation, position in coding.positions.items():
                    suffix = layout.model.suffix(layout.model.observation(observation))
                    place = data.get(name_of_position(name, grouping, suffix), position)
                    positions.setdefault((name, observation), []).append(place)
        return cls(effects, positions, unknowns)

    def mean(self, name: str) -> Any:
        """Return a parameter's mean effect over the labels at hand, summed over groupings."""
        return sum((self.unknowns.mean(effect) for effect in self.effects.get(name, ())), start=0.0)

    def of_groups(self, name: str, observation: str) -> list[Any]:
        """Return the effects of one parameter in every group of an observation, one for each grouping."""
        places = self.positions.get((name, observation), [])
        return [self.unknowns.pick(effect, place) for effect, place in zip(self.effects.get(name, []), places, strict=True)]

    def at(self, centres: Mapping[str, Any], observation: str) -> dict[str, Any]:
        """Return the values of parameters in every group of an observation, for their populations' centres."""
        return {
            name: member(centre, self.of_groups(name, observation) if (name, observation) in self.positions else [])
            for name, centre in centres.items()
            if name not in self.effects or (name, observation) in self.positions
        }


def values_at_reference(layout: Layout, varying: Varying, reference: Mapping[str, Any]) -> dict[str, Any]:
    """Ask for every unknown of the laws; return the centre at the reference point of every parameter with a prior.

    A prior is on the value in its unit: see :meth:`~bayes_scaling.model.document.Model.units_at`.
    """
    model = layout.model
    terms, units = layout.terms, model.units_at(reference)
    centres = {n: _centre(model, n, prior, varying, units.get(n)) for n, prior in model.priors.items() if n not in terms}
    if terms:
        centres |= _terms(model, {name: model.priors[name] for name in terms}, centres, varying, reference, units)
    for name in varying.effects if model.is_one else ():
        varying.unknowns.record(names.population(name), centres[name])
    return {name: centres[name] for name in model.priors}


def _centre(model: Model, name: str, prior: Prior, varying: Varying, unit: Any | None) -> Any:
    """Ask for a parameter of its own: by its prior, or by its mean over the groups at hand, which is what rows measure."""
    label, unknowns = names.at_reference(name) if model.kinds[name].moves else name, varying.unknowns
    varies = name in varying.effects
    label = names.population(name) if varies and model.is_one else label
    if varies and not prior.has_bounds:
        multiple = unknowns.with_prior(name, prior, unknowns.free(log_mean(name), _log_median(prior)) - varying.mean(name))
    elif unit is None:
        return unknowns.positive(label, prior)
    else:
        multiple = unknowns.positive(names.multiple(label), prior)
    value = multiple if unit is None else multiple * unit
    unknowns.record(label, value)
    return value


def _terms(
    model: Model,
    priors: Mapping[str, Prior],
    others: Mapping[str, Any],
    varying: Varying,
    reference: Mapping[str, Any],
    units: Mapping[str, Any],
) -> dict[str, Any]:
    """Ask for the terms of the law: the loss at the reference point, and their ratios to the first of them.

    All terms are losses, in one unit.
    """
    only, (first, *rest), unknowns = model.only, priors, varying.unknowns
    law = only.the_law
    start = {name: _log_median(prior) for name, prior in priors.items()}
    ratio = {name: unknowns.free(log_ratio(name), start[name] - start[first]) for name in rest}
    log_loss = unknowns.free(LOG_LOSS, float(np.log(sum(np.exp(value) for value in start.values()))))
    # The law with a first term of one: its log, averaged over the groups, is what the first term falls short of the loss.
    log_centre = {first: -varying.mean(first)} | {name: ratio[name] - varying.mean(name) for name in rest}
    ratios = {name: member(exp(value), varying.of_groups(name, only.name)) for name, value in log_centre.items()}
    shaped = {name: member(value, varying.of_groups(name, only.name)) for name, value in others.items()}
    published = law.from_reference({**ratios, **shaped, **model.fixed}, reference) | model.fixed
    place = (reference[symbol] for symbol in inputs_of_the_loss(law))
    log_first = log_loss - unknowns.mean(log(law(*place, **published)))
    unit = units.get(first, 1.0)
    return {name: unknowns.with_prior(name, priors[name], log_first + value) * unit for name, value in log_centre.items()}


def _log_median(prior: Prior) -> float:
    return float(np.log(prior.median))
