"""Learning curves in one resource x: M1 to M4 of Alabdulmohsin et al. (2022), broken power laws of Caballero et al. (2023)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from bayes_scaling.elementwise import exp, log, softplus
from bayes_scaling.laws.law import Coefficient, Exponent, Irreducible, Loss, Number, Value, coefficient, law, position

_Resource = Annotated[Value, "the resource, say examples or tokens seen"]
_Beta = Annotated[Value, coefficient("x", "c")]
_Decay = Annotated[Exponent, "exponent, positive where the paper has a negative one"]
_GAMMA = Coefficient("ratio of the reference of x to the saturation point", "1", "x", -1.0)


@dataclass(frozen=True)
class _Odds(Coefficient):
    """The coefficient beta of M4; at the reference point, (u / (1 - u)^alpha) of the share u of the gap that is left there."""

    def from_reference(self, value: Value, reference: Mapping[str, Value], parameters: Mapping[str, Value]) -> Value:
        """Return beta = odds x0^c gap^(1 - alpha)."""
        return super().from_reference(value, reference, parameters) * parameters["gap"] ** (1 - parameters["alpha"])

    def at_reference(self, value: Value, reference: Mapping[str, Value], parameters: Mapping[str, Value]) -> Value:
        """Return beta x0^-c gap^(alpha - 1)."""
        return super().at_reference(value, reference, parameters) * parameters["gap"] ** (parameters["alpha"] - 1)

    @property
    def published(self) -> tuple[str, str]:
        """The coefficient, and its unit."""
        return "coefficient of x", "loss^(1-alpha) times units of x^c"


_Error = Annotated[Loss, "loss or error rate"]
_Coefficient = Annotated[Value, coefficient("x", "c0")]
_FirstExponent = Annotated[Exponent, "exponent before the first break"]
_Place = Annotated[Value, position("x"), "place of the break"]
_Change = Annotated[Number, "by how much the exponent grows at the break"]
_Width = Annotated[Number, "width of the break on the log axis, small where it is sharp"]
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
    beta: Annotated[Value, _Odds("odds of being above the limit, at the reference of x", "1", "x", "c")],
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
