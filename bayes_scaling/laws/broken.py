"""Smoothly broken power laws of Caballero et al. (2023): a power law times one factor for each break."""

from __future__ import annotations

from typing import Annotated

from bayes_scaling.elementwise import exp, log, softplus
from bayes_scaling.laws.law import Exponent, Loss, Number, Value, coefficient, law, position


def _break(x: Value, d: Value, c: Value, f: Value) -> Value:
    """Return (1 + (x/d)^(1/f))^(-c f), on the log scale so that a sharp break far away stays finite."""
    return exp(-c * f * softplus(log(x / d) / f))


@law(output="loss", source="caballero2023", equation="(1), one break")
def bnsl(
    x: Value,
    *,
    E: Loss,
    b: Annotated[Value, coefficient("x", "c0")],
    c0: Exponent,
    d1: Annotated[Value, position("x")],
    c1: Number,
    f1: Number,
) -> Value:
    r"""Power law with one smooth break, :math:`E + b x^{-c_0} (1 + (x/d_1)^{1/f_1})^{-c_1 f_1}`.

    Parameters
    ----------
    x : float or array
        The resource.
    E : float or array
        Limit, a in the paper.
    b : float or array
        Coefficient.
    c0 : float or array
        Exponent before the break.
    d1 : float or array
        Place of the break.
    c1 : float or array
        By how much the exponent grows at the break.
    f1 : float or array
        Width of the break on the log axis; small is sharp.

    Returns
    -------
    float or array
        Loss.

    Examples
    --------
    >>> round(float(bnsl(1e4, E=1.0, b=10.0, c0=0.2, d1=1e4, c1=0.3, f1=0.1)), 4)
    2.5523
    """
    return E + b * x**-c0 * _break(x, d1, c1, f1)


@law(output="loss", source="caballero2023", equation="(1), two breaks")
def bnsl2(
    x: Value,
    *,
    E: Loss,
    b: Annotated[Value, coefficient("x", "c0")],
    c0: Exponent,
    d1: Annotated[Value, position("x")],
    c1: Number,
    f1: Number,
    d2: Annotated[Value, position("x")],
    c2: Number,
    f2: Number,
) -> Value:
    r"""Power law with two smooth breaks, :func:`bnsl` times :math:`(1 + (x/d_2)^{1/f_2})^{-c_2 f_2}`.

    Parameters
    ----------
    x : float or array
        The resource.
    E : float or array
        Limit, a in the paper.
    b : float or array
        Coefficient.
    c0 : float or array
        Exponent before the first break.
    d1, d2 : float or array
        Places of the breaks.
    c1, c2 : float or array
        By how much the exponent grows at each break.
    f1, f2 : float or array
        Widths of the breaks on the log axis.

    Returns
    -------
    float or array
        Loss.

    Examples
    --------
    >>> far = dict(d2=1e30, c2=0.5, f2=0.1)
    >>> round(float(bnsl2(1e4, E=1.0, b=10.0, c0=0.2, d1=1e4, c1=0.3, f1=0.1, **far)), 4)
    2.5523
    """
    return E + b * x**-c0 * _break(x, d1, c1, f1) * _break(x, d2, c2, f2)
