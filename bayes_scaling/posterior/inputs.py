"""The door of every prediction: inputs and groups of a request, checked once against the fit."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from bayes_scaling.errors import (
    InconsistentComputeWarning,
    InvalidInputs,
    NewGroupWarning,
    NotConvergedWarning,
    OutOfRange,
    UnknownChoice,
    choose,
)
from bayes_scaling.model.grouping import label_in, label_of
from bayes_scaling.posterior.compute import compute_ratio
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.quantities import BY_COLUMN, COMPUTE_TOLERANCE, completed, training_compute

_FRACTIONS = ("loss", "aspect", "head_width", "lr")
"""Quantities that may be less than one."""


def warn_unless_converged(fit: Fit, *, stacklevel: int = 3) -> None:
    """Warn of a fit that failed a convergence check, before anything is said about it."""
    if fit.failed_checks:
        warnings.warn(fit.verdict, NotConvergedWarning, stacklevel=stacklevel)


def known_inputs(fit: Fit) -> set[str]:
    """Return the columns a request may give: the loss is one where the law is of a loss, as of steps to it."""
    return ({*BY_COLUMN} - {"loss"}) | {*fit.model.only.columns.values()}


def input_arrays(fit: Fit, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return every input of a request as a DataArray, completed by C = 6 N D, or refuse it.

    Compute that 6 N D relates to size and data is then counted as the runs count theirs; that of a request which has all three,
    and what a law of C alone is asked for, stays as it is.
    """
    for column in inputs:
        if column not in known_inputs(fit):
            raise UnknownChoice(f"There is no input {column!r}; {choose(column, known_inputs(fit))}.")
    given: dict[str, Any] = {column: positive(column, value) for column, value in inputs.items()}
    one_length(given)
    if {"params", "tokens", "compute_flops"} <= set(given):
        _warn_of_compute(given)
    given = counted(fit, given)
    for column in fit.model.only.columns.values():
        if column not in given:
            needed = ", ".join(fit.model.only.columns.values())
            raise InvalidInputs(
                f"The law {fit.model.only.law} needs {needed}; {column} was not given and does not follow from the other inputs."
            )
    return given


def counted(fit: Fit, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of a run, and those that follow from them, compute counted as the runs of the fit count it.

    >>> from bayes_scaling.posterior.examples import example_fit
    >>> counted(example_fit(), {"params": 2.0, "tokens": 10.0})
    {'params': 2.0, 'tokens': 10.0, 'compute_flops': 120.0}
    """
    whole = dict(given)
    without = {column: value for column, value in given.items() if column != "compute_flops"}
    completed(without)  # has compute where size and data do not rest on the one that was given
    own = "compute_flops" in given and "compute_flops" in {*without, *fit.model.only.columns.values()}
    completed(whole)
    if {"params", "tokens", "compute_flops"} <= set(whole) and not own:
        whole["compute_flops"] = whole["compute_flops"] * compute_ratio(fit)
    return whole


def one_length(given: Mapping[str, xr.DataArray]) -> None:
    """Refuse sequences of different lengths: an entry of each is one run."""
    lengths = {array.sizes["query"] for array in given.values() if "query" in array.dims}
    if len(lengths) > 1:
        raise InvalidInputs(f"The inputs have {' and '.join(map(str, sorted(lengths)))} entries: give each the same number.")


def _warn_of_compute(given: Mapping[str, xr.DataArray]) -> None:
    ratio = np.abs(np.log(given["compute_flops"] / training_compute(given["params"], given["tokens"])))
    worst = float(np.exp(ratio.max()))
    if worst > COMPUTE_TOLERANCE:
        warnings.warn(
            f"The given compute differs from 6 N D by a factor of up to {worst:.3g}, so that the extrapolation distance belongs to another "
            f"run than the loss. Leave one of params, tokens and compute out.",
            InconsistentComputeWarning,
            stacklevel=4,
        )


def positive(column: str, value: Any, *, of: str | None = None) -> xr.DataArray:
    """Return an input as a DataArray of positive numbers, or refuse it; a sequence lies along ``query``.

    What is called otherwise has the bounds ``of`` a column.

    >>> positive("params", [1e6, 1e7]).dims
    ('query',)
    """
    try:
        array = value
        if not isinstance(value, xr.DataArray):
            array = xr.DataArray(np.asarray(value, dtype=float), dims=("query",) if np.ndim(value) else ())
    except (TypeError, ValueError):
        raise OutOfRange(f"{column} is {value!r}: it has to be a positive number, or a list of them.") from None
    if not array.size:
        raise InvalidInputs(f"{column} is an empty list: give a positive number, or a list of them.")
    bad = array.values[~(np.isfinite(array.values) & (array.values > 0))]
    if bad.size:
        raise OutOfRange(f"{column} is {float(bad[0]):g}: it has to be a positive number.")
    low, high = float(array.min()), float(array.max())
    of = of or column
    if of in BY_COLUMN and of not in _FRACTIONS and low < 1:
        raise OutOfRange(f"{column} is {low:g}: no run has less than one.")
    if of in BY_COLUMN and high > BY_COLUMN[of].maximum:
        raise OutOfRange(f"{column} is {high:g}, more than any run has: check the unit.")
    return array


def admit(fit: Fit, group: Any, seed: Any) -> dict[str, str]:
    """Return the group of a request as text, or refuse it; warn of a fit that has not converged, and of a group not seen."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise OutOfRange(f"The seed is {seed!r}: it has to be a whole number, zero or more.")
    if not isinstance(group, Mapping):
        raise InvalidInputs(f"The group is {group!r}: give the label of each column, such as {{'corpus': 'C4'}}.")
    warn_unless_converged(fit, stacklevel=4)
    model = fit.model
    for column in group:
        if column not in model.group_columns:
            right = choose(column, model.group_columns) if model.group_columns else "it has no groups: leave the group out"
            raise UnknownChoice(f"The model does not vary by {column!r}; {right}.")
    labels = {column: label_of(label) for column, label in group.items()}
    for grouping in model.groupings:
        label, seen = label_in(grouping, labels), fit.groups.factor_levels(grouping)
        if label not in seen:
            given = any(column in labels for column in grouping.split(":"))
            reason = f"the fit has not seen {grouping} {label!r}" if given else f"no {grouping} was given"
            warnings.warn(
                f"The prediction is for a new {grouping}, drawn from the population: {reason}. Seen: {', '.join(seen)}.",
                NewGroupWarning,
                stacklevel=3,
            )
    return labels
