"""Any law whose parameters a posterior has, evaluated in every draw."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from pydantic import AliasChoices, Field

from bayes_scaling.errors import MissingOption, NotLearned, UnknownChoice, Unreachable, choose
from bayes_scaling.laws import LAWS, Law
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.inputs import one_length, positive, warn_unless_converged
from bayes_scaling.posterior.predict import SAMPLE_DIMS, interval
from bayes_scaling.posterior.protocol import taking
from bayes_scaling.quantities import BY_COLUMN, QUANTITIES
from bayes_scaling.questions.base import ENDS, Answer, OfSystem
from bayes_scaling.wording import credible, number, percent, short

_WITHOUT_OFFSET = ("compute_exponent", "efficient_excess", "efficient_compute_scale", "efficient_params")
"""Laws that hold where no loss is irreducible."""
_NUMBERS = ("loss", "exponent", "ratio", "overfitting", "compute_min_flops")
"""Outputs that are written as numbers; amounts have a suffix."""


@taking("fit")
def derive(fit: Fit, law: str | Law, **given: Any) -> xr.DataArray:
    """Evaluate a law on the posterior of a fit.

    Parameters
    ----------
    fit : Fit
        The fit.
    law : str or Law
        A law whose parameters the fit has: an exponent that follows from others, a size, a batch, a requirement.
    **given : float, sequence or DataArray
        The law's inputs by their columns (``params``, ``tokens``, ``compute_min_flops``, ...), and parameters of the law
        that are not of the fit (``excess``, ``size_factor``).

    Returns
    -------
    DataArray, dims ``(chain, draw, *dims of what was given)``
        Draws of the law's output, in its unit; not a number in draws for which there is none.

    Raises
    ------
    UnknownName
        If there is no such law.
    InvalidRequest
        If an input is missing, unknown or not a positive number, the fit lacks a parameter, or the law has no value there
        in any draw.

    Warns
    -----
    NotConvergedWarning
        If the fit failed a convergence check.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> loss = derive(example_fit(), "chinchilla", params=7e10, tokens=1.4e12)
    >>> loss.dims
    ('chain', 'draw')
    """
    warn_unless_converged(fit)
    law = LAWS[law] if isinstance(law, str) else law
    columns = {symbol: QUANTITIES[symbol].column if symbol in QUANTITIES else symbol for symbol in law.inputs}
    names = {*columns.values(), *law.parameters}
    for name in given:
        if name not in names:
            raise UnknownChoice(f"{law.name} has no input {name!r}; {choose(name, names)}.")
    for symbol, column in columns.items():
        if column not in given:
            meaning = f", {BY_COLUMN[column].meaning}" if column in BY_COLUMN else ""
            raise MissingOption(f"{law.name} needs {column}{meaning}: give {column}=... ({symbol} of the law).")
    given = {name: positive(name, value) for name, value in given.items()}
    one_length(given)
    if law.name in _WITHOUT_OFFSET and "E" in fit.learned and "E" not in given:
        raise NotLearned(
            f"{law.name} holds only for laws without an irreducible loss, and this fit has one: ask frontier instead."
        )
    values = fit.learned | given
    for name in law.parameters:
        if name not in values and name not in law.optional:
            raise NotLearned(
                f"{law.name} needs {name}, which this fit does not estimate: fit a model that has it, or give {name}=..."
            )
    parameters = {name: values[name] for name in law.parameters if name in values}
    draws = law(*(given[column] for column in columns.values()), **parameters)
    if not isinstance(draws, xr.DataArray) or "chain" not in draws.dims:
        # Nothing is unknown: each draw has the same.
        draws = draws * xr.DataArray(np.ones([fit.posterior.sizes[dim] for dim in SAMPLE_DIMS]), dims=SAMPLE_DIMS)
    if not bool(np.isfinite(draws).any()):
        raise Unreachable(f"{law.name} has no value there in any draw: the law never reaches what is asked for.")
    return draws.transpose(*SAMPLE_DIMS, ...)


class Derive(OfSystem):
    """Evaluate any law on the posterior of a fit, with an interval.

    Values: the inputs, ``median``, ``lower`` and ``upper`` of the law's output, in its unit, and ``defined``, the share of
    draws for which there is one: the interval is that of these. Draws: what :func:`~bayes_scaling.derive` returns.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_system
    >>> print(Derive(law="critical_batch", inputs={"loss": 2.0}).answer(example_system()))
    critical_batch: 7.75M (90 % interval 7.36M to 8.07M).
    """

    name = "derive"
    panel = "Constants"
    example = "derive system.nc critical_batch --input loss=2.0"

    law: str = Field(description="A law whose parameters the fit has: see `bayes-scaling laws`.")
    inputs: dict[str, float] = Field(
        default_factory=dict,
        validation_alias=AliasChoices("inputs", "input"),
        description="Input of the law by its column; repeat for several.",
        json_schema_extra={"of": "NUMBER"},
    )

    def _result(self, posterior: Fit) -> Answer:
        draws = derive(posterior, self.law, **self.inputs)
        ends = {end: float(bound) for end, bound in zip(ENDS, interval(draws, self.prob), strict=True)}
        defined = float(np.isfinite(draws).mean())
        write = number if LAWS[self.law].output in _NUMBERS else short
        median, lower, upper = (write(end) for end in ends.values())
        sentence = f"{self.law}: {median} ({credible(self.prob, lower, upper)})."
        if defined < 1:
            sentence += f" It exists in {percent(defined)} of the draws; the interval is over these draws alone."
        return Answer(sentence, values={**self.inputs, **ends, "defined": defined}, data=draws.to_dataset(name=self.law))
