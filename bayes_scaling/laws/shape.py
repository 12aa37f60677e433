"""Depth, width and heads at a fixed number of parameters: how little they matter (Kaplan et al. 2020, section 3.1)."""

from __future__ import annotations

from typing import Annotated

from bayes_scaling.elementwise import exp, log
from bayes_scaling.laws.kaplan import kaplan_n
from bayes_scaling.laws.law import Exponent, Loss, Number, Value, law, position, scale


@law(output="loss", source="kaplan2020", equation="(1.1) with the parabola of Figure 5", best=("aspect",))
def shaped_n(
    N: Value,
    aspect: Value,
    *,
    N_c: Annotated[Value, scale("N", "alpha_N")],
    alpha_N: Exponent,
    aspect_best: Annotated[Value, position("aspect")],
    aspect_cost: Number,
    E: Loss = 0.0,
) -> Value:
    r"""Loss of N parameters of some shape, :math:`((N_c/N)^{\alpha_N} + E) \exp(c \ln^2(r / r_{best}))`.

    Parameters
    ----------
    N : float or array
        Non-embedding parameters.
    aspect : float or array
        Aspect ratio r: width over depth.
    N_c : float or array
        Scale, parameters.
    alpha_N : float or array
        Exponent.
    aspect_best : float or array
        Aspect ratio with the least loss; as a group's parameter, one for each size.
    aspect_cost : float or array
        Curvature c: what a factor e off the best aspect ratio costs, a share of the loss.
    E : float or array
        Irreducible loss, nats per token; the paper has none.

    Returns
    -------
    float or array
        Loss, nats per token.

    Examples
    --------
    Twice off either way costs the same:

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
    N_c: Annotated[Value, scale("N", "alpha_N")],
    alpha_N: Exponent,
    aspect_best: Annotated[Value, position("aspect")],
    aspect_cost: Number,
    head_best: Annotated[Value, position("head_width")],
    head_cost: Number,
    E: Loss = 0.0,
) -> Value:
    r"""Loss of N parameters of some shape and head width, :func:`shaped_n` :math:`\times \exp(c_h \ln^2(h / h_{best}))`.

    Parameters
    ----------
    N : float or array
        Non-embedding parameters.
    aspect : float or array
        Aspect ratio: width over depth.
    head_width : float or array
        Width of one attention head h.
    N_c : float or array
        Scale, parameters.
    alpha_N : float or array
        Exponent.
    aspect_best, head_best : float or array
        Aspect ratio and head width with the least loss.
    aspect_cost, head_cost : float or array
        What a factor e off the best one costs, shares of the loss.
    E : float or array
        Irreducible loss, nats per token; the paper has none.

    Returns
    -------
    float or array
        Loss, nats per token.

    Examples
    --------
    >>> law = dict(N_c=8.8e13, alpha_N=0.076, aspect_best=60.0, aspect_cost=0.005, head_best=64.0, head_cost=0.003)
    >>> [round(float(shaped_with_heads(1e8, 60.0, width, **law)), 4) for width in (32.0, 64.0, 128.0)]
    [2.834, 2.83, 2.834]
    """
    shaped = shaped_n(N, aspect, N_c=N_c, alpha_N=alpha_N, aspect_best=aspect_best, aspect_cost=aspect_cost, E=E)
    return shaped * exp(head_cost * log(head_width / head_best) ** 2)


@law(output="ratio", source="kaplan2020", equation="section 3.1: a 40-fold range of aspect ratio")
def shape_range_cost(*, aspect_range: Number, aspect_cost: Number) -> Value:
    r"""Share of the loss that the ends of a range of aspect ratios cost, the best in its middle, :math:`\exp(c \ln^2(k)/4) - 1`.

    Parameters
    ----------
    aspect_range : float or array
        Largest over smallest aspect ratio k.
    aspect_cost : float or array
        Curvature c of :func:`shaped_n`.

    Returns
    -------
    float or array
        A pure number; the paper says below .03 for a range of 40.

    Examples
    --------
    >>> round(float(shape_range_cost(aspect_range=40.0, aspect_cost=0.005)), 3)
    0.017
    """
    return exp(aspect_cost * log(aspect_range) ** 2 / 4) - 1
