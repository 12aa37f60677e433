"""Learning rate and batch: the best ones against size and data, and what it costs to be off them (Li et al. 2025)."""

from __future__ import annotations

from typing import Annotated

from bayes_scaling.elementwise import exp, log
from bayes_scaling.laws.chinchilla import chinchilla
from bayes_scaling.laws.law import Exponent, Irreducible, Number, PowerLaw, Value, coefficient, law

_RATE = PowerLaw(
    "best learning rate at the reference size and data", "lr", (("N", lambda unknown: -unknown["lr_N"]), ("D", "lr_D"))
)
_BATCH = PowerLaw(
    "best batch at the reference size and data",
    "batch_tokens",
    (("N", lambda unknown: -unknown.get("batch_N", 0.0)), ("D", "batch_D")),
)
_RateAtOne = Annotated[Value, _RATE, "best learning rate at one parameter and one token"]
_BatchAtOne = Annotated[Value, _BATCH, "best batch at one parameter and one token"]
_RateOfSize = Annotated[Exponent, "exponent with which the best learning rate falls with N"]
_RateOfData = Annotated[Exponent, "exponent with which the best learning rate grows with D, at the best batch"]
_RateOfBatch = Annotated[Exponent, "exponent with which the best learning rate grows with the batch, at one size and data"]
_RateCost = Annotated[Number, "about the share of tokens that a factor e off the best learning rate wastes"]
_BatchCost = Annotated[
    Number, "about the share of tokens that a factor e off the best batch wastes, at the best rate for it"
]
_BatchOfSize = Annotated[Exponent, "exponent with which the best batch falls with N"]
_BatchOfData = Annotated[Exponent, "exponent with which the best batch grows with D"]


@law(output="lr", source="steplaw2025", equation="the best learning rate as a power of N and of D")
def best_rate(N: Value, D: Value, *, lr_one: _RateAtOne, lr_N: _RateOfSize, lr_D: _RateOfData) -> Value:
    r"""Learning rate with the least loss at the best batch, :math:`\eta_1 N^{-a} D^{b}`.

    >>> f"{best_rate(1e9, 1e11, lr_one=1.79, lr_N=0.713, lr_D=0.307):.3g}"
    '0.00163'
    """
    return lr_one * N**-lr_N * D**lr_D


@law(output="batch_tokens", source="steplaw2025", equation="the best batch as a power of D, and here of N")
def best_batch(N: Value, D: Value, *, B_one: _BatchAtOne, batch_D: _BatchOfData, batch_N: _BatchOfSize = 0.0) -> Value:
    r"""Batch with the least loss at the best learning rate, :math:`B_1 N^{-m} D^{\gamma}`.

    >>> f"{best_batch(1e9, 1e11, B_one=0.58, batch_D=0.571):.3g}"
    '1.11e+06'
    """
    return B_one * N**-batch_N * D**batch_D


@law(
    output="tokens",
    source="steplaw2025",
    equation="the convex loss around the best learning rate and batch, to second order",
)
def useful_tokens(
    N: Value,
    D: Value,
    lr: Value,
    B: Value,
    *,
    lr_one: _RateAtOne,
    lr_N: _RateOfSize,
    lr_D: _RateOfData,
    lr_B: _RateOfBatch,
    rate_cost: _RateCost,
    B_one: _BatchAtOne,
    batch_D: _BatchOfData,
    batch_cost: _BatchCost,
    batch_N: _BatchOfSize = 0.0,
) -> Annotated[Value, "tokens at the best learning rate and batch that are worth as much"]:
    r"""Tokens that D tokens at a learning rate and a batch are worth, :math:`D \exp(-c_\eta (\ln(\eta/\eta^*) - s \ln(B/B^*))^2 - c_B \ln^2(B/B^*))`.

    The best rate is :func:`best_rate`, the best batch :func:`best_batch`. A larger batch takes a larger rate: s of one half
    is the rule of the square root.

    >>> best = dict(lr_one=1.79, lr_N=0.713, lr_D=0.307, B_one=0.58, batch_D=0.571)
    >>> cost = dict(lr_B=0.5, rate_cost=0.1, batch_cost=0.08)
    >>> [f"{useful_tokens(1e9, 1e11, lr, 1.11e6, **best, **cost):.3g}" for lr in (8e-4, 1.63e-3, 3.2e-3)]
    ['9.5e+10', '1e+11', '9.56e+10']
    """
    off_batch = log(B / best_batch(N, D, B_one=B_one, batch_D=batch_D, batch_N=batch_N))
    off_rate = log(lr / best_rate(N, D, lr_one=lr_one, lr_N=lr_N, lr_D=lr_D)) - lr_B * off_batch
    return D * exp(-rate_cost * off_rate**2 - batch_cost * off_batch**2)


@law(
    output="loss",
    source="steplaw2025",
    equation="the convex loss around the best learning rate and batch, in the L(N, D) of hoffmann2022",
    best=("N", "D", "lr", "B"),
)
def off_best_rate(
    N: Value,
    D: Value,
    lr: Value,
    B: Value,
    *,
    E: Irreducible,
    A_N: Annotated[Value, coefficient("N", "alpha_N")],
    alpha_N: Exponent,
    A_D: Annotated[Value, coefficient("D", "alpha_D")],
    alpha_D: Exponent,
    lr_one: _RateAtOne,
    lr_N: _RateOfSize,
    lr_D: _RateOfData,
    lr_B: _RateOfBatch,
    rate_cost: _RateCost,
    B_one: _BatchAtOne,
    batch_D: _BatchOfData,
    batch_cost: _BatchCost,
    batch_N: _BatchOfSize = 0.0,
) -> Value:
    r"""Loss of N parameters on D tokens at a learning rate and a batch, :math:`E + A_N N^{-\alpha_N} + A_D D'^{-\alpha_D}`.

    D' is :func:`useful_tokens`: to be off the best rate or batch wastes a share of the tokens, so that it costs less of the
    loss where data is not what limits it.

    >>> loss = dict(E=1.69, A_N=406.4, alpha_N=0.34, A_D=410.7, alpha_D=0.28)
    >>> best = dict(lr_one=1.79, lr_N=0.713, lr_D=0.307, B_one=0.58, batch_D=0.571)
    >>> cost = dict(lr_B=0.5, rate_cost=0.1, batch_cost=0.08)
    >>> [round(float(off_best_rate(1e9, 1e11, lr, 1.11e6, **loss, **best, **cost)), 3) for lr in (4e-4, 1.63e-3, 6.4e-3)]
    [2.405, 2.386, 2.404]
    """
    worth = useful_tokens(
        N,
        D,
        lr,
        B,
        lr_one=lr_one,
        lr_N=lr_N,
        lr_D=lr_D,
        lr_B=lr_B,
        rate_cost=rate_cost,
        B_one=B_one,
        batch_D=batch_D,
        batch_cost=batch_cost,
        batch_N=batch_N,
    )
    return chinchilla(N, worth, E=E, A=A_N, alpha=alpha_N, B=A_D, beta=alpha_D)
