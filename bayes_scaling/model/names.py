"""The names of a posterior's variables and of a model's data: built here and read here, nowhere else."""

from __future__ import annotations

from collections.abc import Container
from typing import Final

SAMPLE_DIMS: Final = ("chain", "draw")
"""The dimensions of draws: everything else is what was asked about."""
_DISCREPANCY: Final = "discrepancy"


def at_reference(parameter: str) -> str:
    """Name of a parameter's value at the reference point, where it differs from the published one."""
    return f"{parameter}_at_reference"


def multiple(label: str) -> str:
    """Name of a value over its unit: what its prior is on where the reference point states a unit."""
    return f"{label}_multiple"


def population(parameter: str) -> str:
    """Name of the centre of the population that a parameter's groups come from, at the reference point."""
    return f"{parameter}_population"


def centre(parameter: str, variables: Container[str]) -> str:
    """Name of a parameter's centre at the reference point among the variables at hand."""
    return next(n for n in (population(parameter), at_reference(parameter), parameter) if n in variables)


def spread(parameter: str, grouping: str) -> str:
    """Name of the standard deviation between groups of a parameter, on the log scale."""
    return f"{parameter}_spread_{grouping.replace(':', '_')}"


def group_effect(parameter: str, grouping: str) -> str:
    """Name of the logarithms of a parameter's factors, one a group."""
    return f"{parameter}_effect_{grouping.replace(':', '_')}"


def scale_of_effect(section: str, effect_name: str) -> str:
    """Name of the scale of a discrepancy, or of noise that rows share."""
    return f"{section}_scale_{effect_name}"


def effect(section: str, effect_name: str) -> str:
    """Name of the coefficients of a discrepancy, or of noise that rows share."""
    return f"discrepancy_{effect_name}" if section == _DISCREPANCY else f"{section}_effect_{effect_name}"


def dimension_of_effect(section: str, effect_name: str) -> str:
    """Name of the dimension of these coefficients."""
    return f"step_{effect_name}" if section == _DISCREPANCY else f"shared_{effect_name}"


def is_log(label: str) -> bool:
    """Whether a number of a posterior is a logarithm already: an effect of a group, a step of a walk, shared noise.

    >>> is_log("discrepancy_C[1e+18]"), is_log("discrepancy_scale_C"), is_log("E_effect_corpus[C4]"), is_log("E[a]")
    (True, False, True, False)
    """
    name, bracket, _ = label.partition("[")
    return bool(bracket) and ("_effect_" in name or (name.startswith("discrepancy_") and "_scale_" not in name))


def of_observation(name: str, suffix: str) -> str:
    """Name of a variable of one observation among several: the suffix is empty where there is one alone.

    >>> of_observation("sigma", "curves"), of_observation("sigma", "")
    ('sigma_curves', 'sigma')
    """
    return f"{name}_{suffix}" if suffix else name


NOISE: Final = ("sigma", "nu", "growth", "floor", "length", "run_share", "nugget", "outlier")
"""Unknowns of the noise, each one number an observation, but for the outliers, which have one each."""
OUTLIER: Final = "wrong_row"
"""The dimension of rows that went wrong."""
FOLLOWING: Final = ("observed_data", "posterior_predictive", "prior_predictive", "log_likelihood", "log_prior")
"""Groups of a fit that follow from its draws: made when they are asked for, and not stored."""
