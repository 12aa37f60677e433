"""Compute-efficient training after Kaplan et al. (2020): equations (1.7), (1.8) and appendix B.

Derived from L(N, S_min) and the critical batch alone: the model size that reaches a loss with the least
compute is trained to a fixed factor above its converged loss.
"""

from __future__ import annotations

from typing import Annotated

from bayes_scaling.laws.batch import critical_batch
from bayes_scaling.laws.kaplan import ScaleD, ScaleN, kaplan_n
from bayes_scaling.laws.law import Exponent, Irreducible, Number, Steps, Tokens, Value, law
from bayes_scaling.quantities import PF_DAY, params_at, training_compute, training_tokens

_StepScale = Annotated[Steps, "scale of S_min"]
_BatchAtOneNat = Annotated[Tokens, "critical batch at a loss of one nat"]
_SizeFactor = Annotated[Number, "size over the efficient size, k = N / N_eff"]


@law(output="exponent", source="kaplan2020", equation="(1.8)")
def compute_exponent(*, alpha_N: Exponent, alpha_B: Exponent, alpha_S: Exponent) -> Exponent:
    r"""Exponent of the loss in compute, :math:`1 / (1/\alpha_S + 1/\alpha_B + 1/\alpha_N)`.

    The exponents of N, B and S in (1.7) are this one divided by alpha_N, alpha_B and alpha_S; they sum to one.
    The paper quotes .054 for it in section 6.4 and .050 in its table.

    >>> round(compute_exponent(alpha_N=0.076, alpha_B=0.21, alpha_S=0.76), 4)
    0.052
    """
    return 1 / (1 / alpha_S + 1 / alpha_B + 1 / alpha_N)


@law(output="size", source="kaplan2020", equation="(1.7), (6.1) and Table 6")
def efficient_power(
    C_min: Value,
    *,
    at_pf_day: Annotated[Number, "parameters, tokens per batch, steps or tokens at one petaflop/s-day"],
    power: Exponent,
) -> Annotated[Value, "size, batch, steps or data, in the unit of at_pf_day"]:
    r"""Size, batch, steps or data of efficient training as a power of compute, :math:`x_e (C_{min}/\text{PF-day})^p`.

    By (1.7) the powers of N, B and S are :func:`compute_exponent` over alpha_N, alpha_B and alpha_S, and that of
    D = B S is the sum of the last two. Table 6 fits them on their own: .73, .24, .03 and .27.

    >>> f"{efficient_power(100 * PF_DAY, at_pf_day=1.3e9, power=0.73):.3g}"
    '3.75e+10'
    """
    return at_pf_day * (C_min / PF_DAY) ** power


@law(output="ratio", source="kaplan2020", equation="appendix B")
def efficient_excess(*, alpha_N: Exponent, alpha_S: Exponent) -> Number:
    r"""Excess over the converged loss at which efficient training stops, :math:`\alpha_N / \alpha_S`.

    L(N_eff, C) = (1 + alpha_N/alpha_S) L(N_eff, infinity): about ten per cent above.

    >>> round(efficient_excess(alpha_N=0.077, alpha_S=0.76), 3)
    0.101
    """
    return alpha_N / alpha_S


@law(output="compute_min_flops", source="kaplan2020", equation="(B.8)")
def efficient_compute_scale(
    *, N_c: ScaleN, alpha_N: Exponent, S_c: _StepScale, alpha_S: Exponent, B_star: _BatchAtOneNat
) -> Value:
    r"""Scale of L(C_min), :math:`6 N_c B^* S_c (1+\alpha_N/\alpha_S)^{1/\alpha_S+1/\alpha_N} (\alpha_S/\alpha_N)^{1/\alpha_S}`.

    The paper's own constants give half of what it quotes (3.1e8 and 2.3e8 PF-days).

    >>> table3 = dict(N_c=6.5e13, alpha_N=0.077, S_c=2.1e3, alpha_S=0.76)
    >>> f"{efficient_compute_scale(B_star=2.1e8, **table3) / PF_DAY:.3g}"
    '1.61e+08'
    """
    tokens = training_tokens(S_c, B_star)
    stopping = (1 + alpha_N / alpha_S) ** (1 / alpha_S + 1 / alpha_N)
    return training_compute(N_c, tokens) * stopping * (alpha_S / alpha_N) ** (1 / alpha_S)


@law(output="params", source="kaplan2020", equation="(B.9)")
def efficient_params(
    C_min: Value,
    *,
    N_c: ScaleN,
    alpha_N: Exponent,
    S_c: _StepScale,
    alpha_S: Exponent,
    B_star: _BatchAtOneNat,
    alpha_B: Exponent,
) -> Value:
    r"""Model size that uses compute best, :math:`N_c (C/C_c)^{\alpha_C/\alpha_N} (1+\alpha_N/\alpha_S)^{1/\alpha_N}`.

    >>> table3 = dict(N_c=6.5e13, alpha_N=0.077, S_c=2.1e3, alpha_S=0.76)
    >>> f"{efficient_params(PF_DAY, B_star=2.1e8, alpha_B=0.21, **table3):.2g}"
    '5.8e+08'
    """
    alpha_C = compute_exponent(alpha_N=alpha_N, alpha_B=alpha_B, alpha_S=alpha_S)
    C_c = efficient_compute_scale(N_c=N_c, alpha_N=alpha_N, S_c=S_c, alpha_S=alpha_S, B_star=B_star)
    return N_c * (C_min / C_c) ** (alpha_C / alpha_N) * (1 + alpha_N / alpha_S) ** (1 / alpha_N)


@law(output="compute_min_flops", source="kaplan2020", equation="appendix B")
def compute_to_loss(
    N: Value,
    L: Annotated[Value, "loss to reach, above the converged loss of N"],
    *,
    N_c: ScaleN,
    alpha_N: Exponent,
    S_c: _StepScale,
    alpha_S: Exponent,
    B_star: _BatchAtOneNat,
    alpha_B: Exponent,
    E: Irreducible = 0.0,
) -> Value:
    r"""Compute for N parameters to reach loss L, :math:`6 B^* S_c N L^{-1/\alpha_B} (L - E - (N_c/N)^{\alpha_N})^{-1/\alpha_S}`.

    >>> table3 = dict(N_c=6.5e13, alpha_N=0.077, S_c=2.1e3, alpha_S=0.76)
    >>> round(compute_to_loss(1e9, 2.6, B_star=2.1e8, alpha_B=0.21, **table3) / PF_DAY, 2)
    1.98
    """
    steps = S_c * (L - kaplan_n(N, N_c=N_c, alpha_N=alpha_N, E=E)) ** (-1 / alpha_S)
    return training_compute(N, training_tokens(steps, critical_batch(L, B_star=B_star, alpha_B=alpha_B)))


@law(output="ratio", source="kaplan2020", equation="appendix B")
def step_factor(
    *, size_factor: _SizeFactor, alpha_N: Exponent, alpha_S: Exponent
) -> Annotated[Number, "steps over those at the efficient size, S(N) / S(N_eff)"]:
    r"""Steps to the same loss at k times the efficient size, :math:`[1 + (\alpha_S/\alpha_N)(1 - k^{-\alpha_N})]^{-1/\alpha_S}`.

    >>> round(step_factor(size_factor=2.2, alpha_N=0.077, alpha_S=0.76), 3)
    0.547
    """
    return (1 + alpha_S / alpha_N * (1 - size_factor**-alpha_N)) ** (-1 / alpha_S)


@law(output="ratio", source="kaplan2020", equation="appendix B")
def size_factor_cost(
    *, size_factor: _SizeFactor, alpha_N: Exponent, alpha_S: Exponent
) -> Annotated[Number, "compute over that at the efficient size, C(N) / C(N_eff), at least one"]:
    r"""Compute to the same loss at k times the efficient size, :math:`k [1 + (\alpha_S/\alpha_N)(1 - k^{-\alpha_N})]^{-1/\alpha_S}`.

    >>> round(size_factor_cost(size_factor=2.2, alpha_N=0.077, alpha_S=0.76), 3)
    1.204
    """
    return size_factor * step_factor(size_factor=size_factor, alpha_N=alpha_N, alpha_S=alpha_S)


@law(output="params", source="kaplan2020", equation="the least L(N, D) of (1.5) at C = 6 N D: worked out here")
def one_pass_params(C: Value, *, N_c: ScaleN, alpha_N: Exponent, D_c: ScaleD, alpha_D: Exponent) -> Value:
    r"""Size with the least L(N, D) where each token is seen once, :math:`(a N_c^a C / (6 D_c))^{1/(1+a)}`, :math:`a = \alpha_N/\alpha_D`.

    The paper does not use L(N, D) so. Its own constants then give an exponent of .58 where its Table 6 has .73: the two
    laws disagree about what compute should buy. An offset changes nothing.

    >>> table2 = dict(N_c=6.4e13, alpha_N=0.076, D_c=1.8e13, alpha_D=0.103)
    >>> [f"{one_pass_params(pf_days * PF_DAY, **table2):.2g}" for pf_days in (1.0, 100.0)]
    ['1.5e+09', '2.2e+10']
    """
    a = alpha_N / alpha_D
    return (a * N_c**a * params_at(C, D_c)) ** (1 / (1 + a))
