"""Smoothly broken power laws of Caballero et al. (2023): a power law times one factor for each break."""

from __future__ import annotations

from typing import Annotated

from bayes_scaling.elementwise import exp, log, softplus
from bayes_scaling.laws.law import Exponent, Irreducible, Number, Value, coefficient, law, position

_Resource = Annotated[Value, "the resource, say examples or tokens seen"]
_Coefficient = Annotated[Value, coefficient("x", "c0")]
_FirstExponent = Annotated[Exponent, "exponent before the first break"]
_Place = Annotated[Value, position("x"), "place of the break"]
_Change = Annotated[Number, "by how much the exponent grows at the break"]
_Width = Annotated[Number, "width of the break on the log axis, small where it is sharp"]


def _break(x: Value, d: Value, c: Value, f: Value) -> Value:
    """Return (1 + (x/d)^(1/f))^(-c f), on the log scale so that a sharp break far away stays finite."""
    return exp(-c * f * softplus(log(x / d) / f))


@law(output="loss", source="caballero2023", equation="(1), one break")
def bnsl(x: _Resource, *, E: Irreducible, b: _Coefficient, c0: _FirstExponent, d1: _Place, c1: _Change, f1: _Width) -> Value:
    r"""Power law with one smooth break, :math:`E + b x^{-c_0} (1 + (x/d_1)^{1/f_1})^{-c_1 f_1}`.

    The limit E is called a in the paper.

    >>> round(float(bnsl(1e4, E=1.0, b=10.0, c0=0.2, d1=1e4, c1=0.3, f1=0.1)), 4)
    2.5523
    """
    return E + b * x**-c0 * _break(x, d1, c1, f1)


@law(output="loss", source="caballero2023", equation="(1), two breaks")
def bnsl2(
    x: _Resource,
    *,
    E: Irreducible,
    b: _Coefficient,
    c0: _FirstExponent,
    d1: _Place,
    c1: _Change,
    f1: _Width,
    d2: _Place,
    c2: _Change,
    f2: _Width,
) -> Value:
    r"""Power law with two smooth breaks, :func:`bnsl` times :math:`(1 + (x/d_2)^{1/f_2})^{-c_2 f_2}`.

    >>> far = dict(d2=1e30, c2=0.5, f2=0.1)
    >>> round(float(bnsl2(1e4, E=1.0, b=10.0, c0=0.2, d1=1e4, c1=0.3, f1=0.1, **far)), 4)
    2.5523
    """
    return E + b * x**-c0 * _break(x, d1, c1, f1) * _break(x, d2, c2, f2)
