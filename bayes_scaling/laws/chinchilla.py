"""The additive law of Hoffmann et al. (2022), its optimum, and the bridge that contains it and Kaplan's."""

from __future__ import annotations

from typing import Annotated

from bayes_scaling.laws.law import Exponent, Loss, Number, Value, coefficient, law
from bayes_scaling.quantities import FLOP_PER_PARAMETER_AND_TOKEN


@law(output="loss", source="hoffmann2022", equation="(2), approach 3")
def chinchilla(
    N: Value,
    D: Value,
    *,
    E: Loss,
    A: Annotated[Value, coefficient("N", "alpha")],
    alpha: Exponent,
    B: Annotated[Value, coefficient("D", "beta")],
    beta: Exponent,
) -> Value:
    r"""Loss of N parameters trained once on D tokens, :math:`E + A N^{-\alpha} + B D^{-\beta}`.

    Parameters
    ----------
    N : float or array
        Parameters (all of them, in the paper).
    D : float or array
        Tokens seen in training.
    E : float or array
        Irreducible loss, nats per token.
    A, B : float or array
        Coefficients, nats per token times parameters^alpha and tokens^beta.
    alpha, beta : float or array
        Exponents.

    Returns
    -------
    float or array
        Loss, nats per token.

    Examples
    --------
    >>> round(chinchilla(70e9, 1.4e12, E=1.69, A=406.4, alpha=0.34, B=410.7, beta=0.28), 4)
    1.9366
    """
    return E + A * N**-alpha + B * D**-beta


@law(output="params", source="hoffmann2022", equation="(4)")
def chinchilla_optimal_params(
    C: Value,
    *,
    A: Annotated[Value, coefficient("N", "alpha")],
    alpha: Exponent,
    B: Annotated[Value, coefficient("D", "beta")],
    beta: Exponent,
) -> Value:
    r"""Parameters with the least loss at compute C, :math:`G (C/6)^a`, :math:`G = (\alpha A/\beta B)^{1/(\alpha+\beta)}`, :math:`a = \beta/(\alpha+\beta)`.

    Parameters
    ----------
    C : float or array
        Training compute, FLOP.
    A, B : float or array
        Coefficients of :func:`chinchilla`.
    alpha, beta : float or array
        Exponents of :func:`chinchilla`.

    Returns
    -------
    float or array
        Parameters; the tokens are C / (6 N).

    Examples
    --------
    >>> f"{chinchilla_optimal_params(5.76e23, A=482.01, alpha=0.3478, B=2085.43, beta=0.3658):.3g}"
    '7.22e+10'
    """
    G = (alpha * A / (beta * B)) ** (1 / (alpha + beta))
    return G * (C / FLOP_PER_PARAMETER_AND_TOKEN) ** (beta / (alpha + beta))


@law(output="loss", source="kaplan2020", equation="(1.5) with an offset and free inner exponents")
def kappa(
    N: Value,
    D: Value,
    *,
    E: Loss,
    A: Annotated[Value, coefficient("N", "a", outer="kappa")],
    a: Exponent,
    B: Annotated[Value, coefficient("D", "b", outer="kappa")],
    b: Exponent,
    kappa: Number,
) -> Value:
    r"""Bridge of the additive and Kaplan's laws, :math:`E + (A N^{-a} + B D^{-b})^\kappa`.

    At kappa = 1 it is :func:`chinchilla`; at E = 0, b = 1, kappa = alpha_D, a = alpha_N / alpha_D it is
    :func:`~bayes_scaling.laws.kaplan.kaplan_nd` with A = N_c^a and B = D_c.

    Parameters
    ----------
    N : float or array
        Parameters.
    D : float or array
        Tokens seen in training.
    E : float or array
        Irreducible loss, nats per token.
    A, B : float or array
        Coefficients.
    a, b : float or array
        Inner exponents: L falls as N^(-a kappa) where N limits, and as D^(-b kappa) where D does.
    kappa : float or array
        How the two limits meet: below one the larger rules, above one they add up to more than their sum.

    Returns
    -------
    float or array
        Loss, nats per token.

    Examples
    --------
    >>> round(kappa(70e9, 1.4e12, E=1.69, A=406.4, a=0.34, B=410.7, b=0.28, kappa=1.0), 4)
    1.9366
    """
    return E + (A * N**-a + B * D**-b) ** kappa
