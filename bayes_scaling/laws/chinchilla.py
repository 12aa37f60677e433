"""The additive law of Hoffmann et al. (2022), its optimum, and the bridge that contains it and Kaplan's."""

from __future__ import annotations

from typing import Annotated

from bayes_scaling.laws.law import Exponent, Irreducible, Number, Value, coefficient, law
from bayes_scaling.quantities import FLOP_PER_PARAMETER_AND_TOKEN

CoefficientN = Annotated[Value, coefficient("N", "alpha")]
CoefficientD = Annotated[Value, coefficient("D", "beta")]
InnerA = Annotated[Value, coefficient("N", "a", outer="kappa")]
InnerB = Annotated[Value, coefficient("D", "b", outer="kappa")]


@law(output="loss", source="hoffmann2022", equation="(2), approach 3")
def chinchilla(
    N: Value, D: Value, *, E: Irreducible, A: CoefficientN, alpha: Exponent, B: CoefficientD, beta: Exponent
) -> Value:
    r"""Loss of N parameters trained once on D tokens, :math:`E + A N^{-\alpha} + B D^{-\beta}`.

    The paper counts all parameters.

    >>> round(chinchilla(70e9, 1.4e12, E=1.69, A=406.4, alpha=0.34, B=410.7, beta=0.28), 4)
    1.9366
    """
    return E + A * N**-alpha + B * D**-beta


@law(output="params", source="hoffmann2022", equation="(4)")
def chinchilla_optimal_params(C: Value, *, A: CoefficientN, alpha: Exponent, B: CoefficientD, beta: Exponent) -> Value:
    r"""Parameters with the least loss at compute C, :math:`G (C/6)^a`, :math:`G = (\alpha A/\beta B)^{1/(\alpha+\beta)}`, :math:`a = \beta/(\alpha+\beta)`.

    Coefficients and exponents are those of :func:`chinchilla`; the tokens are C / (6 N).

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
    E: Irreducible,
    A: InnerA,
    a: Annotated[Exponent, "inner exponent: the loss falls as N^(-a kappa) where N limits it"],
    B: InnerB,
    b: Annotated[Exponent, "inner exponent: the loss falls as D^(-b kappa) where D limits it"],
    kappa: Annotated[
        Number, "how the two limits meet: below one the larger rules, above one they add up to more than their sum"
    ],
) -> Value:
    r"""Bridge of the additive and Kaplan's laws, :math:`E + (A N^{-a} + B D^{-b})^\kappa`.

    At kappa = 1 it is :func:`chinchilla`; at E = 0, b = 1, kappa = alpha_D, a = alpha_N / alpha_D it is
    :func:`~bayes_scaling.laws.kaplan.kaplan_nd` with A = N_c^a and B = D_c.

    >>> round(kappa(70e9, 1.4e12, E=1.69, A=406.4, a=0.34, B=410.7, b=0.28, kappa=1.0), 4)
    1.9366
    """
    return E + (A * N**-a + B * D**-b) ** kappa
