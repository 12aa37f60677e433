"""Learning curves in one resource x: M1 to M4 of Alabdulmohsin et al. (2022)."""

from __future__ import annotations

from typing import Annotated

from bayes_scaling.elementwise import exp, log, softplus
from bayes_scaling.laws.law import Coefficient, Exponent, Loss, Value, coefficient, law

_BETA = coefficient("x", "c")
_GAMMA = Coefficient("ratio of the reference of x to the saturation point", "1", "x", -1.0)
_NEWTON_STEPS = 12


@law(output="loss", source="alabdulmohsin2022", equation="M1")
def m1(x: Value, *, beta: Annotated[Value, _BETA], c: Exponent) -> Value:
    r"""Power law, :math:`\beta x^{-c}`.

    Parameters
    ----------
    x : float or array
        The resource, say examples or tokens seen.
    beta : float or array
        Coefficient.
    c : float or array
        Exponent, positive here (the paper writes x^c with c < 0).

    Returns
    -------
    float or array
        Loss or error rate.

    Examples
    --------
    >>> m1(100.0, beta=2.0, c=0.5)
    0.2
    """
    return beta * x**-c


@law(output="loss", source="alabdulmohsin2022", equation="M2")
def m2(x: Value, *, beta: Annotated[Value, _BETA], c: Exponent, E: Loss) -> Value:
    r"""Power law with an offset, :math:`\beta x^{-c} + E`.

    Parameters
    ----------
    x : float or array
        The resource.
    beta : float or array
        Coefficient.
    c : float or array
        Exponent, positive here.
    E : float or array
        Irreducible loss, epsilon_infinity in the paper.

    Returns
    -------
    float or array
        Loss or error rate.

    Examples
    --------
    >>> m2(100.0, beta=2.0, c=0.5, E=1.0)
    1.2
    """
    return m1(x, beta=beta, c=c) + E


@law(output="loss", source="alabdulmohsin2022", equation="M3")
def m3(x: Value, *, beta: Annotated[Value, _BETA], c: Exponent, gamma: Annotated[Value, _GAMMA]) -> Value:
    r"""Power law that levels off where data abound, :math:`\beta (x^{-1} + \gamma)^{c}`.

    Parameters
    ----------
    x : float or array
        The resource.
    beta : float or array
        Coefficient.
    c : float or array
        Exponent, positive here.
    gamma : float or array
        Inverse of the x at which it levels off.

    Returns
    -------
    float or array
        Loss or error rate.

    Examples
    --------
    >>> m3(100.0, beta=2.0, c=0.5, gamma=0.0)
    0.2
    """
    return beta * (1 / x + gamma) ** c


@law(output="loss", source="alabdulmohsin2022", equation="M4")
def m4(x: Value, *, beta: Annotated[Value, _BETA], c: Exponent, E: Loss, gap: Loss, alpha: Exponent) -> Value:
    r"""Power law between random guessing and its limit, the L solving :math:`(L - E)/(E + gap - L)^\alpha = \beta x^{-c}`.

    With u = (L - E) / gap = 1 / (1 + exp(-t)) it is t + (alpha - 1) softplus(t) = log g, where
    g = beta x^-c gap^(alpha - 1). The left side rises and bends one way only, so that Newton's method
    from t = log g goes to the root without overshooting.

    Parameters
    ----------
    x : float or array
        The resource.
    beta : float or array
        Coefficient of the transformed loss.
    c : float or array
        Exponent, positive here.
    E : float or array
        Irreducible loss, epsilon_infinity in the paper.
    gap : float or array
        Loss of random guessing above E, epsilon_0 - epsilon_infinity in the paper.
    alpha : float or array
        How fast the curve leaves random guessing.

    Returns
    -------
    float or array
        Loss or error rate, between E and E + gap.

    Examples
    --------
    With alpha = 1 it has a closed form, E + gap g / (1 + g):

    >>> round(float(m4(100.0, beta=2.0, c=0.5, E=0.1, gap=0.9, alpha=1.0)), 6)
    0.25
    """
    log_g = log(m1(x, beta=beta, c=c)) + (alpha - 1) * log(gap)
    t = log_g
    for _ in range(_NEWTON_STEPS):
        t = t - (t + (alpha - 1) * softplus(t) - log_g) / (1 + (alpha - 1) * exp(-softplus(-t)))
    return E + gap * exp(-softplus(-t))
