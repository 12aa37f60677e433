"""Farseer (Li et al. 2025): a limit and a power of the data that both change with the size of the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from bayes_scaling.elementwise import exp, log
from bayes_scaling.laws.law import Coefficient, Exponent, Value, law


@dataclass(frozen=True)
class _Slope(Coefficient):
    """The coefficient s of exp(-s x^p); at the reference point, the exponent s |p| x0^p with which that falls there."""

    def from_reference(self, value: Value, reference: Mapping[str, Value], parameters: Mapping[str, Value]) -> Value:
        """Return s = slope / |p| x0^-p."""
        return super().from_reference(value, reference, parameters) / parameters[self.through[0]]

    def at_reference(self, value: Value, reference: Mapping[str, Value], parameters: Mapping[str, Value]) -> Value:
        """Return the slope s |p| x0^p."""
        return super().at_reference(value, reference, parameters) * parameters[self.through[0]]


@dataclass(frozen=True)
class _Limit(Coefficient):
    """E of E exp(-s N^q); at the reference point, the loss that endless data leave there."""

    def from_reference(self, value: Value, reference: Mapping[str, Value], parameters: Mapping[str, Value]) -> Value:
        """Return E = limit exp(slope / q)."""
        return value * exp(parameters["s"] / parameters["q"])

    def at_reference(self, value: Value, reference: Mapping[str, Value], parameters: Mapping[str, Value]) -> Value:
        """Return the limit E exp(-s N0^q)."""
        return value * exp(-parameters["s"] * reference["N"] ** parameters["q"])


@dataclass(frozen=True)
class _DataExponent(Coefficient):
    """beta of the exponent beta exp(-r N^a); at the reference point, the exponent of the data there."""

    def from_reference(self, value: Value, reference: Mapping[str, Value], parameters: Mapping[str, Value]) -> Value:
        """Return beta = exponent exp(slope / a)."""
        return value * exp(parameters["r"] / parameters["a"])

    def at_reference(self, value: Value, reference: Mapping[str, Value], parameters: Mapping[str, Value]) -> Value:
        """Return the exponent beta exp(-r N0^a)."""
        return value * exp(-parameters["r"] * reference["N"] ** parameters["a"])


@dataclass(frozen=True)
class _DataTerm(Coefficient):
    """B of B exp(t N^-b) D^-exponent; at the reference point, the term's whole value."""

    def from_reference(self, value: Value, reference: Mapping[str, Value], parameters: Mapping[str, Value]) -> Value:
        """Return B = term exp(-slope / b) D0^exponent."""
        return value * exp(parameters["beta"] * log(reference["D"]) - parameters["t"] / parameters["b"])

    def at_reference(self, value: Value, reference: Mapping[str, Value], parameters: Mapping[str, Value]) -> Value:
        """Return the term B exp(t N0^-b) D0^-(beta exp(-r N0^a))."""
        exponent = parameters["beta"] * exp(-parameters["r"] * reference["N"] ** parameters["a"])
        return value * exp(parameters["t"] * reference["N"] ** -parameters["b"] - exponent * log(reference["D"]))


def _slope(of: str, power: str, sign: float) -> _Slope:
    return _Slope(
        f"exponent of N with which {of} falls at the reference", "1", "N", lambda p: sign * p[power], through=(power,)
    )


def _none(parameters: Mapping[str, Value]) -> float:
    """Return the power of N in what is not a term of N."""
    return 0.0


_LIMIT = _Limit("loss left by endless data at the reference", "loss", "N", _none, through=("s",))
_TERM = _DataTerm("loss left by D at its reference", "loss", "N", _none, also=("D",), through=("t", "beta", "r"))
_EXPONENT = _DataExponent("exponent of D at the reference of N", "1", "N", _none, through=("r",))


@law(output="loss", source="farseer2025", equation="the law, each sign written out, so that every parameter is positive")
def farseer(
    N: Value,
    D: Value,
    *,
    E: Annotated[Value, _LIMIT, "loss of the smallest model on endless data"],
    s: Annotated[Value, _slope("the loss of endless data", "q", -1.0), "how much N lowers the loss of endless data"],
    q: Annotated[Exponent, "how fast it does so faster with N"],
    B: Annotated[Value, _TERM, "coefficient of D for an endless model"],
    t: Annotated[Value, _slope("the coefficient of D", "b", 1.0), "how much a small N raises the coefficient of D"],
    b: Annotated[Exponent, "how fast that ends with N"],
    beta: Annotated[Value, _EXPONENT, "exponent of D for the smallest model"],
    r: Annotated[Value, _slope("the exponent of D", "a", -1.0), "how much N lowers the exponent of D"],
    a: Annotated[Exponent, "how fast it does so faster with N"],
) -> Value:
    r"""Loss of N parameters on D tokens, :math:`E e^{-s N^q} + B e^{t N^{-b}} D^{-\beta e^{-r N^a}}`.

    The paper writes exp(a3 N^gamma + b3) + exp(a2 N^beta + b2) D^(-exp(a1 N^alpha + b1)), in bits a character. Priors are
    stated as what a model of the reference size has: its loss on endless data, what D leaves, its exponents. It is a law of tokens: since
    the exponent of D changes with N, it has another form in another unit of data.

    >>> from bayes_scaling.laws.constants import published
    >>> round(float(farseer(1e9, 1e11, **published("farseer2025").values)), 3)
    0.505
    """
    return E * exp(-s * N**q) + B * exp(t * N**-b - beta * exp(-r * N**a) * log(D))
