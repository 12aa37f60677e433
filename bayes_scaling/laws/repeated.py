"""Data seen more than once: repetition worth less and less (Muennighoff et al. 2023), or harmful (Lovelace et al. 2026)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final

from bayes_scaling.elementwise import expm1, minimum
from bayes_scaling.laws.chinchilla import CoefficientD, CoefficientN, chinchilla
from bayes_scaling.laws.law import Coefficient, Exponent, Irreducible, Number, Tokens, Value, law

_Repetitions = Annotated[Number, "repetitions after which a further one is worth a third of a fresh token, R*_D"]
_Excess = Annotated[
    Number, "excess parameters, over those fitting the distinct tokens, after which more are worth a third, R*_N"
]
_NEXT_TO_NOTHING: Final = 1e-30
"""Added to the repetitions, so that a power of none has a derivative."""


@dataclass(frozen=True)
class _Penalty(Coefficient):
    """The coefficient of (N/U)^kappa; at the reference point, what one repetition adds to the loss there."""

    def from_reference(self, value: Value, reference: Mapping[str, Value], parameters: Mapping[str, Value]) -> Value:
        """Return P = penalty (N0/U0)^-kappa."""
        return value * (reference["N"] / reference["D_unique"]) ** -parameters["kappa"]

    def at_reference(self, value: Value, reference: Mapping[str, Value], parameters: Mapping[str, Value]) -> Value:
        """Return the penalty P (N0/U0)^kappa."""
        return value * (reference["N"] / reference["D_unique"]) ** parameters["kappa"]


_PENALTY = _Penalty("loss added by one repetition at the reference", "loss", "N", lambda _: 0.0, also=("D_unique",))


@law(output="tokens", source="muennighoff2023", equation="the effective data")
def effective_tokens(
    D: Value, D_unique: Value, *, R_D: _Repetitions
) -> Annotated[Tokens, "fresh tokens that are worth as much, never more than (1 + R*_D) U"]:
    r"""Fresh tokens that D tokens of U distinct ones are worth, :math:`U + U R^*_D (1 - e^{-(D/U - 1)/R^*_D})`.

    U are those of the distinct tokens that were seen. Four epochs are nearly as good as fresh data, forty are not.

    >>> [round(float(effective_tokens(epochs * 1e9, 1e9, R_D=15.39)) / (epochs * 1e9), 2) for epochs in (1, 4, 40)]
    [1.0, 0.93, 0.38]
    """
    seen = minimum(D, D_unique)  # with less than an epoch, the rest of the distinct tokens is not there
    return seen * (1 - R_D * expm1(-(D / seen - 1) / R_D))


@law(output="loss", source="muennighoff2023", equation="the law for repeated data, with endless R*_N")
def repeated(
    N: Value,
    D: Value,
    D_unique: Value,
    *,
    E: Irreducible,
    A: CoefficientN,
    alpha: Exponent,
    B: CoefficientD,
    beta: Exponent,
    R_D: _Repetitions,
) -> Value:
    r"""Loss of N parameters on D tokens of which U are distinct, :math:`E + A N^{-\alpha} + B D'^{-\beta}`.

    D' is :func:`effective_tokens`. The paper also lets parameters beyond the optimum for the distinct tokens count for
    less, see :func:`repeated_excess`; here R*_N is endless.

    >>> law = dict(E=1.869, A=520.8, alpha=0.3527, B=1487.7, beta=0.3527, R_D=15.39)
    >>> round(float(repeated(2.8e9, 55e9, 55e9, **law)), 3), round(float(repeated(2.8e9, 55e9, 1.25e9, **law)), 3)
    (2.354, 2.462)
    """
    return chinchilla(N, effective_tokens(D, D_unique, R_D=R_D), E=E, A=A, alpha=alpha, B=B, beta=beta)


@law(output="params", source="muennighoff2023", equation="the effective parameters")
def effective_params(
    N: Value, D: Value, D_unique: Value, *, A: CoefficientN, alpha: Exponent, B: CoefficientD, beta: Exponent, R_N: _Excess
) -> Value:
    r"""Parameters that N are worth on few distinct tokens, :math:`U_N + U_N R^*_N (1 - e^{-(N/U_N - 1)/R^*_N})`.

    U_N are those that would be compute-optimal for the distinct tokens U that were seen, or N if that is less:
    :math:`\alpha A U_N^{-\alpha} = \beta B U^{-\beta}` there, as :func:`~bayes_scaling.laws.chinchilla.chinchilla_optimal_params`
    has it.

    >>> law = dict(A=520.8, alpha=0.3527, B=1487.7, beta=0.3527, R_N=5.31)
    >>> [f"{effective_params(N, 1e9, 1e9, **law):.3g}" for N in (1e7, 1e8, 1e10)]
    ['1e+07', '9.58e+07', '3.22e+08']
    """
    seen = minimum(D, D_unique)
    fitting = minimum((alpha * A / (beta * B)) ** (1 / alpha) * seen ** (beta / alpha), N)
    return fitting * (1 - R_N * expm1(-(N / fitting - 1) / R_N))


@law(output="loss", source="muennighoff2023", equation="the law for repeated data")
def repeated_excess(
    N: Value,
    D: Value,
    D_unique: Value,
    *,
    E: Irreducible,
    A: CoefficientN,
    alpha: Exponent,
    B: CoefficientD,
    beta: Exponent,
    R_D: _Repetitions,
    R_N: _Excess,
) -> Value:
    r"""Loss of N parameters on D tokens of which U are distinct, :math:`E + A N'^{-\alpha} + B D'^{-\beta}`.

    N' are :func:`effective_params`, D' :func:`effective_tokens`. With an endless R*_N it is :func:`repeated`.

    >>> law = dict(E=1.869, A=520.8, alpha=0.3527, B=1487.7, beta=0.3527, R_D=15.39, R_N=5.31)
    >>> round(float(repeated_excess(2.8e9, 55e9, 55e9, **law)), 3), round(float(repeated_excess(2.8e9, 55e9, 1.25e9, **law)), 3)
    (2.354, 2.7)
    """
    size = effective_params(N, D, D_unique, A=A, alpha=alpha, B=B, beta=beta, R_N=R_N)
    return chinchilla(size, effective_tokens(D, D_unique, R_D=R_D), E=E, A=A, alpha=alpha, B=B, beta=beta)


@law(output="loss", source="lovelace2026", equation="the law with its three-parameter penalty")
def repeated_penalty(
    N: Value,
    D: Value,
    D_unique: Value,
    *,
    E: Irreducible,
    A: CoefficientN,
    alpha: Exponent,
    B: CoefficientD,
    beta: Exponent,
    P: Annotated[Value, _PENALTY, "loss that one repetition adds where N is as large as U"],
    delta: Annotated[Exponent, "exponent of the repetitions"],
    kappa: Annotated[Exponent, "exponent of the parameters for each distinct token"],
) -> Value:
    r"""Loss of N parameters on D tokens of which U are distinct, :math:`E + A N^{-\alpha} + B D^{-\beta} + P R^\delta (N/U)^\kappa`.

    R = D/U - 1 are the repetitions. A rival of :func:`repeated_excess`: repeated tokens count in full, and what they do
    harm by is added, so that the loss rises again where a large model sees few tokens too often.

    >>> law = dict(E=1.869, A=520.8, alpha=0.3527, B=1487.7, beta=0.3527, P=0.01, delta=0.8, kappa=0.6)
    >>> [round(float(repeated_penalty(2.8e9, epochs * 1.25e9, 1.25e9, **law)), 3) for epochs in (1, 4, 40, 400)]
    [3.032, 2.715, 2.666, 4.177]
    """
    seen = minimum(D, D_unique)
    penalty = P * (D / seen - 1 + _NEXT_TO_NOTHING) ** delta * (N / seen) ** kappa
    return chinchilla(N, D, E=E, A=A, alpha=alpha, B=B, beta=beta) + penalty
