"""From values at the reference point, where priors are stated, to the parameters people publish."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import xarray as xr

from bayes_scaling.laws import Law
from bayes_scaling.model.specification import ModelSpec
from bayes_scaling.model.systems import SystemSpec


def publish(spec: ModelSpec | SystemSpec, values: Mapping[str, Any], reference: Mapping[str, Any]) -> dict[str, Any]:
    """Return the published parameters for values at the reference point, beside those that differ from them.

    Parameters
    ----------
    spec : ModelSpec or SystemSpec
        The model; parameters it fixes are left out of the result.
    values : mapping
        Value at the reference point of every parameter with a prior, or of those of one law.
    reference : mapping
        The reference point.

    Returns
    -------
    dict
        ``{name}`` for every parameter given, and ``{name}_at_reference`` where the two differ.
    """
    kinds = spec.kinds
    exact = {**values, **fixed_values(spec)}
    # Kinds of fixed parameters stay out: their published value is what the document gives.
    published = {name: kind.from_reference(exact[name], reference, exact) for name, kind in kinds.items() if name in values}
    there = {f"{name}_at_reference": value for name, value in values.items() if kinds[name].moves}
    return there | published


def law_parameters(
    law: Law, spec: ModelSpec | SystemSpec, values: Mapping[str, Any], reference: Mapping[str, Any]
) -> dict[str, Any]:
    """Return every published parameter of a law: those the document fixes, and those that follow from values."""
    known = fixed_values(spec) | publish(spec, values, reference)
    return {name: known[name] for name in law.parameters if name in known}


def values_of(spec: ModelSpec, draw: xr.Dataset) -> dict[str, float]:
    """Return the value at the reference point of every parameter with a prior, by a single draw without groups."""
    unknown = [name for name, parameter in spec.parameters.items() if parameter.prior is not None]
    return {name: draw[f"{name}_at_reference" if f"{name}_at_reference" in draw else name].item() for name in unknown}


def fixed_values(spec: ModelSpec | SystemSpec) -> dict[str, float]:
    """Return the published values that the document fixes."""
    return {name: float(p.fixed) for name, p in spec.parameters.items() if p.fixed is not None}
