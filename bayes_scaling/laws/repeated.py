"""Data seen more than once: the law of Muennighoff et al. (2023), in which repetition is worth less and less."""

from __future__ import annotations

from typing import Annotated

from bayes_scaling.elementwise import expm1, minimum
from bayes_scaling.laws.chinchilla import chinchilla
from bayes_scaling.laws.law import Exponent, Loss, Number, Value, coefficient, law


@law(output="tokens", source="muennighoff2023", equation="the effective data")
def effective_tokens(D: Value, D_unique: Value, *, R_D: Number) -> Value:
    r"""Fresh tokens that D tokens of U distinct ones are worth, :math:`U + U R^*_D (1 - e^{-(D/U - 1)/R^*_D})`.

    Parameters
    ----------
    D : float or array
        Tokens seen in training.
    D_unique : float or array
        Distinct tokens; U are those of them that were seen.
    R_D : float or array
        Repetitions after which a further one is worth a third of a fresh token, R*_D.

    Returns
    -------
    float or array
        Tokens: never more than (1 + R*_D) U.

    Examples
    --------
    Four epochs are nearly as good as fresh data, forty are not:

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
    E: Loss,
    A: Annotated[Value, coefficient("N", "alpha")],
    alpha: Exponent,
    B: Annotated[Value, coefficient("D", "beta")],
    beta: Exponent,
    R_D: Number,
) -> Value:
    r"""Loss of N parameters on D tokens of which U are distinct, :math:`E + A N^{-\alpha} + B D'^{-\beta}`.

    D' is :func:`effective_tokens`. The paper also lets parameters beyond the optimum for the distinct tokens count for
    less; that part is left out here, as if R*_N were endless.

    Parameters
    ----------
    N : float or array
        Parameters.
    D : float or array
        Tokens seen in training.
    D_unique : float or array
        Distinct tokens U.
    E : float or array
        Irreducible loss, nats per token.
    A, B : float or array
        Coefficients, nats per token times parameters^alpha and tokens^beta.
    alpha, beta : float or array
        Exponents.
    R_D : float or array
        Repetitions after which a further one is worth a third of a fresh token, R*_D.

    Returns
    -------
    float or array
        Loss, nats per token.

    Examples
    --------
    >>> law = dict(E=1.869, A=520.8, alpha=0.3527, B=1487.7, beta=0.3527, R_D=15.39)
    >>> round(float(repeated(2.8e9, 55e9, 55e9, **law)), 3), round(float(repeated(2.8e9, 55e9, 1.25e9, **law)), 3)
    (2.354, 2.462)
    """
    return chinchilla(N, effective_tokens(D, D_unique, R_D=R_D), E=E, A=A, alpha=alpha, B=B, beta=beta)
