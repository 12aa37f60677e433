"""Learning curves in one resource x: M1 to M4 of Alabdulmohsin et al. (2022)."""

from __future__ import annotations

from typing import Annotated

from bayes_scaling.elementwise import exp, log, softplus
from bayes_scaling.laws.law import Coefficient, Exponent, Irreducible, Loss, Value, coefficient, law

_Resource = Annotated[Value, "the resource, say examples or tokens seen"]
_Beta = Annotated[Value, coefficient("x", "c")]
_Decay = Annotated[Exponent, "exponent, positive where the paper has a negative one"]
_GAMMA = Coefficient("ratio of the reference of x to the saturation point", "1", "x", -1.0)
_Error = Annotated[Loss, "loss or error rate"]
_NEWTON_STEPS = 12


@law(output="loss", source="alabdulmohsin2022", equation="M1")
def m1(x: _Resource, *, beta: _Beta, c: _Decay) -> _Error:
    r"""Power law, :math:`\beta x^{-c}`.

    >>> m1(100.0, beta=2.0, c=0.5)
    0.2
    """
    return beta * x**-c


@law(output="loss", source="alabdulmohsin2022", equation="M2")
def m2(x: _Resource, *, beta: _Beta, c: _Decay, E: Irreducible) -> _Error:
    r"""Power law with an offset, :math:`\beta x^{-c} + E`.

    The offset is epsilon_infinity in the paper.

    >>> m2(100.0, beta=2.0, c=0.5, E=1.0)
    1.2
    """
    return m1(x, beta=beta, c=c) + E


@law(output="loss", source="alabdulmohsin2022", equation="M3")
def m3(
    x: _Resource, *, beta: _Beta, c: _Decay, gamma: Annotated[Value, _GAMMA, "inverse of the x at which it levels off"]
) -> _Error:
    r"""Power law that levels off where data abound, :math:`\beta (x^{-1} + \gamma)^{c}`.

    >>> m3(100.0, beta=2.0, c=0.5, gamma=0.0)
    0.2
    """
    return beta * (1 / x + gamma) ** c


@law(output="loss", source="alabdulmohsin2022", equation="M4")
def m4(
    x: _Resource,
    *,
    beta: _Beta,
    c: _Decay,
    E: Irreducible,
    gap: Annotated[Loss, "loss of random guessing above E, epsilon_0 - epsilon_infinity in the paper"],
    alpha: Annotated[Exponent, "how fast the curve leaves random guessing"],
) -> Annotated[_Error, "loss or error rate, between E and E + gap"]:
    r"""Power law between random guessing and its limit, the L solving :math:`(L - E)/(E + gap - L)^\alpha = \beta x^{-c}`.

    With u = (L - E) / gap = 1 / (1 + exp(-t)) it is t + (alpha - 1) softplus(t) = log g, where
    g = beta x^-c gap^(alpha - 1). The left side rises and bends one way only, so that Newton's method
    from t = log g goes to the root without overshooting. With alpha = 1 it is E + gap g / (1 + g).

    >>> round(float(m4(100.0, beta=2.0, c=0.5, E=0.1, gap=0.9, alpha=1.0)), 6)
    0.25
    """
    log_g = log(m1(x, beta=beta, c=c)) + (alpha - 1) * log(gap)
    t = log_g
    for _ in range(_NEWTON_STEPS):
        t = t - (t + (alpha - 1) * softplus(t) - log_g) / (1 + (alpha - 1) * exp(-softplus(-t)))
    return E + gap * exp(-softplus(-t))
