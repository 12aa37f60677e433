"""Pins: parameters whose value is known from elsewhere, exactly or to a standard error, in the units of the table."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from bayes_scaling.errors import InvalidPin
from bayes_scaling.laws.law import Kind
from bayes_scaling.model.priors import Prior
from bayes_scaling.quantities import BY_COLUMN

_BETWEEN: Final = re.compile(r"\s*(?:\+/?-|±)\s*")


@dataclass(frozen=True)
class Pin:
    """A published value, and its standard error, which is zero where the value is taken for exact.

    >>> Pin.of("E", "1.69+-0.02"), Pin.of("E", 1.69)
    (Pin(value=1.69, error=0.02), Pin(value=1.69, error=0.0))
    """

    value: float
    error: float = 0.0

    @classmethod
    def of(cls, name: str, given: Any) -> Pin:
        """Return the pin of a parameter from a number, a pair of numbers, or text such as ``1.69+-0.02``."""
        try:
            parts = _BETWEEN.split(given) if isinstance(given, str) else np.atleast_1d(given)
            value, error = (*map(float, parts), 0.0)[: max(2, len(parts))]
        except (TypeError, ValueError):
            value, error = np.nan, np.nan
        if not (np.isfinite(value) and np.isfinite(error) and value >= 0 and error >= 0 and (value > 0 or not error)):
            raise InvalidPin(
                f"The pin {name} = {given} is not valid: give a number that is not negative, such as 1.69, or one with an error, 1.69+-0.02."
            )
        return cls(value, error)

    def stated(self, name: str, kind: Kind) -> dict[str, Any]:
        """Return what a document says of the parameter: a fixed value, or a LogNormal prior with that mean and error."""
        if not self.error:
            return {"fixed": self.value, "why": "Pinned: taken for exact."}
        if kind.moves:
            raise InvalidPin(
                f"The pin {name} = {self} has an error, but a prior on {name} states the {kind.meaning}: pin it without "
                f"one, or write the prior in a document."
            )
        variance = float(np.log1p((self.error / self.value) ** 2))
        prior = Prior(dist="LogNormal", mu=float(np.log(self.value)) - variance / 2, sigma=variance**0.5)  # pyright: ignore[reportCallIssue]
        own = {"unit": "table"} if kind.unit in BY_COLUMN else {}
        return {"prior": prior, "why": f"Pinned to {self}.", **own}

    def __str__(self) -> str:
        """Return the pin as one writes it."""
        return f"{self.value:g}" + (f" ± {self.error:g}" if self.error else "")
