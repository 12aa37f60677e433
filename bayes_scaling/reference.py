"""From values at the reference point, where priors are stated, to the parameters people publish."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bayes_scaling.specification import ModelSpec


def publish(spec: ModelSpec, values: Mapping[str, Any], reference: Mapping[str, Any]) -> dict[str, Any]:
    """Return the published parameters for values at the reference point, beside those that differ from them.

    Parameters
    ----------
    spec : ModelSpec
        The model; parameters it fixes are left out of the result.
    values : mapping
        Value at the reference point of every parameter with a prior.
    reference : mapping
        The reference point.

    Returns
    -------
    dict
        ``{name}`` for every parameter with a prior, and ``{name}_at_reference`` where the two differ.
    """
    law = spec.the_law
    exact = {**values, **fixed_values(spec)}
    # Kinds of fixed parameters stay out: their published value is what the document gives.
    published = {
        name: kind.from_reference(exact[name], reference, exact) for name, kind in law.parameters.items() if name in values
    }
    there = {f"{name}_at_reference": value for name, value in values.items() if law.parameters[name].moves}
    return there | published


def fixed_values(spec: ModelSpec) -> dict[str, float]:
    """Return the published values that the document fixes."""
    return {name: float(p.fixed) for name, p in spec.parameters.items() if p.fixed is not None}
