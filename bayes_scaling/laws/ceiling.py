"""A loss between two bounds: what no model goes below, and what guessing costs."""

from __future__ import annotations

from typing import Annotated

from bayes_scaling.laws.chinchilla import InnerA, InnerB
from bayes_scaling.laws.law import Exponent, Irreducible, Loss, Number, Value, law


@law(output="loss", source="alabdulmohsin2022", equation="M4 with alpha = 1, of the terms of kappa")
def ceiling(
    N: Value,
    D: Value,
    *,
    E: Irreducible,
    A: InnerA,
    a: Exponent,
    B: InnerB,
    b: Exponent,
    kappa: Annotated[Number, "outer exponent: how the limits of size and data meet"],
    gap: Annotated[Loss, "loss of guessing above E: ln V - E for a vocabulary of V, 1 - E for an error rate"],
) -> Value:
    r"""Loss of N parameters on D tokens below a ceiling, :math:`E + x / (1 + x / gap)`, :math:`x = (A N^{-a} + B D^{-b})^\kappa`.

    With an endless gap it is :func:`~bayes_scaling.laws.chinchilla.kappa`.

    >>> law = dict(E=0.1, A=1e3, a=0.5, B=1e4, b=0.5, kappa=0.4, gap=0.9)
    >>> [round(ceiling(N, 20 * N, **law), 3) for N in (1e3, 1e6, 1e12)]
    [0.889, 0.676, 0.191]
    """
    x = (A * N**-a + B * D**-b) ** kappa
    return E + x / (1 + x / gap)
