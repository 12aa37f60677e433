"""Depth, width and heads at a fixed number of parameters: how little they matter (Kaplan et al. 2020, section 3.1)."""

from __future__ import annotations

from typing import Annotated

from bayes_scaling.elementwise import exp, log
from bayes_scaling.laws.kaplan import ScaleN, kaplan_n
from bayes_scaling.laws.law import Exponent, Irreducible, Number, Value, law, position

_BestAspect = Annotated[Value, position("aspect"), "aspect ratio with the least loss"]
_AspectCost = Annotated[Number, "curvature c: what a factor e off the best aspect ratio costs, a share of the loss"]


@law(output="loss", source="kaplan2020", equation="(1.1) with the parabola of Figure 5", best=("aspect",))
def shaped_n(
    N: Value,
    aspect: Value,
    *,
    N_c: ScaleN,
    alpha_N: Exponent,
    aspect_best: _BestAspect,
    aspect_cost: _AspectCost,
    E: Irreducible = 0.0,
) -> Value:
    r"""Loss of N parameters of some shape, :math:`((N_c/N)^{\alpha_N} + E) \exp(c \ln^2(r / r_{best}))`.

    The aspect ratio r is width over depth; twice off either way costs the same. As a parameter of groups, the best one
    differs between sizes.

    >>> law = dict(N_c=8.8e13, alpha_N=0.076, aspect_best=60.0, aspect_cost=0.005)
    >>> [round(float(shaped_n(1e8, aspect, **law)), 4) for aspect in (30.0, 60.0, 120.0)]
    [2.8368, 2.83, 2.8368]
    """
    return kaplan_n(N, N_c=N_c, alpha_N=alpha_N, E=E) * exp(aspect_cost * log(aspect / aspect_best) ** 2)


@law(output="loss", source="kaplan2020", equation="(1.1) with the parabolas of Figure 5", best=("aspect", "head_width"))
def shaped_with_heads(
    N: Value,
    aspect: Value,
    head_width: Value,
    *,
    N_c: ScaleN,
    alpha_N: Exponent,
    aspect_best: _BestAspect,
    aspect_cost: _AspectCost,
    head_best: Annotated[Value, position("head_width"), "head width with the least loss"],
    head_cost: Annotated[Number, "what a factor e off the best head width costs, a share of the loss"],
    E: Irreducible = 0.0,
) -> Value:
    r"""Loss of N parameters of some shape and head width, :func:`shaped_n` :math:`\times \exp(c_h \ln^2(h / h_{best}))`.

    >>> law = dict(N_c=8.8e13, alpha_N=0.076, aspect_best=60.0, aspect_cost=0.005, head_best=64.0, head_cost=0.003)
    >>> [round(float(shaped_with_heads(1e8, 60.0, width, **law)), 4) for width in (32.0, 64.0, 128.0)]
    [2.834, 2.83, 2.834]
    """
    shaped = shaped_n(N, aspect, N_c=N_c, alpha_N=alpha_N, aspect_best=aspect_best, aspect_cost=aspect_cost, E=E)
    return shaped * exp(head_cost * log(head_width / head_best) ** 2)


@law(output="ratio", source="kaplan2020", equation="section 3.1: a 40-fold range of aspect ratio")
def shape_range_cost(
    *, aspect_range: Annotated[Number, "largest over smallest aspect ratio, k"], aspect_cost: _AspectCost
) -> Annotated[Number, "share of the loss; the paper says below .03 for a range of 40"]:
    r"""Share of the loss that the ends of a range of aspect ratios cost, the best in its middle, :math:`\exp(c \ln^2(k)/4) - 1`.

    >>> round(float(shape_range_cost(aspect_range=40.0, aspect_cost=0.005)), 3)
    0.017
    """
    return exp(aspect_cost * log(aspect_range) ** 2 / 4) - 1
