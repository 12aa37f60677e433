"""Data seen more than once: the law of Muennighoff et al. (2023), in which repetition is worth less and less."""

from __future__ import annotations

from typing import Annotated

from bayes_scaling.elementwise import expm1, minimum
from bayes_scaling.laws.chinchilla import CoefficientD, CoefficientN, chinchilla
from bayes_scaling.laws.law import Exponent, Irreducible, Number, Tokens, Value, law

_Repetitions = Annotated[Number, "repetitions after which a further one is worth a third of a fresh token, R*_D"]


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
    less; that part is left out here, as if R*_N were endless.

    >>> law = dict(E=1.869, A=520.8, alpha=0.3527, B=1487.7, beta=0.3527, R_D=15.39)
    >>> round(float(repeated(2.8e9, 55e9, 55e9, **law)), 3), round(float(repeated(2.8e9, 55e9, 1.25e9, **law)), 3)
    (2.354, 2.462)
    """
    return chinchilla(N, effective_tokens(D, D_unique, R_D=R_D), E=E, A=A, alpha=alpha, B=B, beta=beta)
