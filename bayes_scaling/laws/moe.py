"""Mixtures of experts: the joint law of active parameters, data and experts of Ludziejewski et al. (2025)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final

from bayes_scaling.elementwise import exp, log
from bayes_scaling.laws.law import Coefficient, Exponent, Irreducible, Number, Value, law

_START: Final = 2.0732
_MOST: Final = 290.4521
"""E_start and E_max of the paper's Table 3, between which experts count."""
_OF_EXPERTS: Final = 9 / 13
"""Share of a dense layer's parameters that each further expert adds, by equations (9) and (10) without embeddings."""


@dataclass(frozen=True)
class _Power(Coefficient):
    """The power of the experts in a term of x; at the reference point of x, the factor by which a factor e of experts changes it.

    That is the same in any unit of x, which the power is not, since the exponent of x changes with the experts.
    """

    change: str = ""
    sign: float = 1.0

    def from_reference(self, value: Value, reference: Mapping[str, Value], parameters: Mapping[str, Value]) -> Value:
        """Return the power for a factor."""
        return parameters[self.change] * log(reference[self.of]) + self.sign * log(value)

    def at_reference(self, value: Value, reference: Mapping[str, Value], parameters: Mapping[str, Value]) -> Value:
        """Return the factor for a power."""
        return exp(self.sign * (value - parameters[self.change] * log(reference[self.of])))


@dataclass(frozen=True)
class _Term(Coefficient):
    """The coefficient of a term of x whose exponent changes with the experts; at the reference point, the term."""

    sign: float = 1.0

    def from_reference(self, value: Value, reference: Mapping[str, Value], parameters: Mapping[str, Value]) -> Value:
        """Return the coefficient of a term: of the experts the factor at the reference is known."""
        (factor,) = self.through
        experts = log(effective_experts(reference["N"], reference["N_total"]))
        return super().from_reference(value, reference, parameters) * exp(-log(parameters[factor]) * experts)

    def at_reference(self, value: Value, reference: Mapping[str, Value], parameters: Mapping[str, Value]) -> Value:
        """Return the term."""
        (power,) = self.through
        change = parameters["gamma"] if self.of == "N" else parameters["zeta"]
        experts = log(effective_experts(reference["N"], reference["N_total"]))
        factor = exp(self.sign * (parameters[power] - change * log(reference[self.of])) * experts)
        return super().at_reference(value, reference, parameters) * factor


def effective_experts(N: Value, N_total: Value) -> Value:
    """Return what experts count as: few gain little beside their overhead, many less and less (their equation 4).

    A model of N active parameters has 1 + (N_total / N - 1) 13/9 experts where embeddings are few, by equations (9) and (10).

    >>> [round(effective_experts(1e9, 1e9 * (1 + 9 / 13 * (experts - 1))), 2) for experts in (1, 8, 32)]
    [2.07, 8.81, 29.7]
    """
    experts = (N_total / N - 1) / _OF_EXPERTS + 1 / (1 / _START - 1 / _MOST)
    return 1 / (1 / experts + 1 / _MOST)


_A = _Term("loss left by N at its reference", "loss", "N", "alpha", also=("N_total",), through=("delta",), sign=-1.0)
_B = _Term("loss left by D at its reference", "loss", "D", "beta", also=("N", "N_total"), through=("omega",))
_FACTOR = "factor by which a factor e of experts changes the term of {} at its reference"
_DELTA = _Power(_FACTOR.format("N"), "1", "N", lambda _: 0.0, change="gamma", sign=-1.0)
_OMEGA = _Power(_FACTOR.format("D"), "1", "D", lambda _: 0.0, change="zeta")


@law(output="loss", source="ludziejewski2025", equation="(6) with (4), (9) and (10), signs written out")
def moe(
    N: Annotated[Value, "active parameters, those that a token goes through"],
    N_total: Annotated[Value, "parameters of all experts together"],
    D: Value,
    *,
    E: Irreducible,
    A: Annotated[Value, _A],
    alpha: Annotated[Exponent, "exponent of N"],
    gamma: Annotated[Number, "what a factor e of experts takes off the exponent of N"],
    delta: Annotated[Value, _DELTA, "exponent of the experts in the term of N, at one parameter"],
    B: Annotated[Value, _B],
    beta: Annotated[Exponent, "exponent of D"],
    zeta: Annotated[Number, "what a factor e of experts adds to the exponent of D"],
    omega: Annotated[Value, _OMEGA, "exponent with which experts raise the term of D, at one token"],
) -> Value:
    r"""Loss of a mixture of experts, :math:`E + A \hat{E}^{-\delta} N^{-\alpha + \gamma \ln \hat{E}} + B \hat{E}^{\omega} D^{-\beta - \zeta \ln \hat{E}}`.

    :math:`\hat{E}` are :func:`effective_experts`, which follow from the share of the parameters that is active: the
    sparsity is 1 - N / N_total. Compute is 6 N D of the active ones. More experts help large models less, and more data
    more.

    >>> from bayes_scaling.laws.constants import published
    >>> paper = published("ludziejewski2025").values
    >>> [round(float(moe(1.1e9, total, 1.6e10, **paper)), 3) for total in (1.1e9, 3.0e9)]
    [2.588, 2.553]
    """
    experts = log(effective_experts(N, N_total))
    size = A * exp(-delta * experts - (alpha - gamma * experts) * log(N))
    return E + size + B * exp(omega * experts - (beta + zeta * experts) * log(D))
