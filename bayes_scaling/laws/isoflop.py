"""Runs of equal compute: a parabola around the best size, which is a power of the compute (Hoffmann et al. 2022, approach 2)."""

from __future__ import annotations

from typing import Annotated

from bayes_scaling.elementwise import exp, log
from bayes_scaling.laws.law import Coefficient, Exponent, Loss, Number, Value, law

_N_ONE = Coefficient("best size at the reference compute", "parameters", "C", lambda parameters: -parameters["size_power"])


@law(output="loss", source="hoffmann2022", equation="approach 2, all budgets at once", best=("N", "C"))
def off_best_size(
    N: Value,
    C: Value,
    *,
    L_least: Annotated[Loss, "loss at the best size, one number for each budget"],
    N_one: Annotated[Value, _N_ONE, "best size at one FLOP"],
    size_power: Annotated[Exponent, "exponent of the best size in compute"],
    size_cost: Annotated[Number, "what a factor e off the best size costs, a share of the loss"],
) -> Value:
    r"""Loss of N parameters at compute C, the best size a power of compute, :math:`L_{min} \exp(c \ln^2(N / (N_1 C^p)))`.

    >>> law = dict(L_least=2.5, N_one=0.3, size_power=0.5, size_cost=0.01)
    >>> [round(float(off_best_size(size, 1e20, **law)), 3) for size in (1e9, 3e9, 9e9)]
    [2.53, 2.5, 2.53]
    """
    best = N_one * C**size_power
    return L_least * exp(size_cost * log(N / best) ** 2)
