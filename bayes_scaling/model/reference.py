"""From values at the reference point, where priors are stated, to the parameters people publish."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from bayes_scaling.laws import Law
from bayes_scaling.model import names
from bayes_scaling.model.document import OF_RUNS, Model


def publish(model: Model, values: Mapping[str, Any], reference: Mapping[str, Any]) -> dict[str, Any]:
    """Return the published ``{name}`` of each value at the reference point, and ``{name}_at_reference`` where it differs."""
    kinds = model.kinds
    exact = {**values, **model.fixed}
    # Kinds of fixed parameters stay out: their published value is what the document gives.
    published = {name: kind.from_reference(exact[name], reference, exact) for name, kind in kinds.items() if name in values}
    there = {names.at_reference(name): value for name, value in values.items() if kinds[name].moves}
    return there | published


def law_parameters(law: Law, model: Model, values: Mapping[str, Any], reference: Mapping[str, Any]) -> dict[str, Any]:
    """Return every published parameter of a law: those the document fixes, and those of values at reference."""
    stated = model.fixed | publish(model, values, reference)
    return {name: stated[name] for name in law.parameters if name in stated}


def terms_of(model: Model) -> tuple[str, ...]:
    """Return the parameters that are losses and are sampled together, through the loss at the reference point.

    None are where there are several observations, or one term alone, where one is fixed or has bounds, where their priors
    are in several units, or where the law is not proportional to them.

    >>> from bayes_scaling.model.document import read_model
    >>> terms_of(read_model("chinchilla"))
    ('E', 'A', 'B')
    """
    if not model.is_one or model.only.output != "loss" or model.only.table not in OF_RUNS:
        return ()
    law = model.only.the_law
    losses = tuple(name for name, kind in law.parameters.items() if kind.unit == "loss" and name in model.parameters)
    priors = [model.parameters[name].prior for name in losses]
    unbounded = all(prior is not None and not prior.has_bounds for prior in priors)
    unbounded = unbounded and len({model.units.get(name, model.parameters[name].unit) for name in losses}) == 1
    return losses if len(losses) > 1 and unbounded and is_proportional(law, losses, model.parameters) else ()


def inputs_of_the_loss(law: Law) -> tuple[str, ...]:
    """Return the symbols whose reference each input of a law has where the loss at the reference point is sampled.

    Data are fresh there. Between fresh data and what is repeated as often as the runs did on average there may be no run, and what
    none measured is no part of a loss that is known.

    >>> from bayes_scaling.laws import LAWS
    >>> inputs_of_the_loss(LAWS["repeated"])
    ('N', 'D', 'D')
    """
    return tuple("D" if symbol == "D_unique" else symbol for symbol in law.inputs)


def is_proportional(law: Law, losses: Collection[str], parameters: Collection[str]) -> bool:
    """Whether a law of these parameters doubles where its terms at the reference point do.

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
