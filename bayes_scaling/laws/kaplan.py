"""The loss laws of Kaplan et al. (2020): L(N), L(D), L(C), L(N, D), L(N, S) and overfitting."""

from __future__ import annotations

from typing import Annotated

from bayes_scaling.elementwise import expm1, log1p
from bayes_scaling.laws.law import Exponent, Number, Value, law, scale


@law(output="loss", source="kaplan2020", equation="(1.1)")
def kaplan_n(N: Value, *, N_c: Annotated[Value, scale("N", "alpha_N")], alpha_N: Exponent) -> Value:
    r"""Loss of a converged model of N parameters with enough data, :math:`(N_c/N)^{\alpha_N}`.

    Parameters
    ----------
    N : float or array
        Non-embedding parameters.
    N_c : float or array
        Scale, parameters. It depends on the tokenizer and has no meaning of its own.
    alpha_N : float or array
        Exponent.

    Returns
    -------
    float or array
        Loss, nats per token.

    Examples
    --------
    >>> round(kaplan_n(1.5e9, N_c=8.8e13, alpha_N=0.076), 3)
    2.304
    """
    return (N_c / N) ** alpha_N


@law(output="loss", source="kaplan2020", equation="(1.2)")
def kaplan_d(D: Value, *, D_c: Annotated[Value, scale("D", "alpha_D")], alpha_D: Exponent) -> Value:
    r"""Loss of a large model stopped early on a data set of D tokens, :math:`(D_c/D)^{\alpha_D}`.

    Parameters
    ----------
    D : float or array
        Tokens in the data set.
    D_c : float or array
        Scale, tokens.
    alpha_D : float or array
        Exponent.

    Returns
    -------
    float or array
        Loss, nats per token.

    Examples
    --------
    >>> round(kaplan_d(23e9, D_c=5.4e13, alpha_D=0.095), 3)
    2.09
    """
    return (D_c / D) ** alpha_D


@law(output="loss", source="kaplan2020", equation="Figure 1 and section 1.2: L(C), fixed batch")
def kaplan_c(C: Value, *, C_c: Annotated[Value, scale("C", "alpha_C")], alpha_C: Exponent) -> Value:
    r"""Least loss reached with compute C at a fixed batch size, :math:`(C_c/C)^{\alpha_C}`.

    Parameters
    ----------
    C : float or array
        Training compute, FLOP.
    C_c : float or array
        Scale, FLOP.
    alpha_C : float or array
        Exponent.

    Returns
    -------
    float or array
        Loss, nats per token.

    Examples
    --------
    >>> from bayes_scaling.quantities import PF_DAY
    >>> round(kaplan_c(1 * PF_DAY, C_c=1.6e7 * PF_DAY, alpha_C=0.057), 3)
    2.574
    """
    return (C_c / C) ** alpha_C


@law(output="loss", source="kaplan2020", equation="(1.3)")
def kaplan_c_min(C_min: Value, *, C_c: Annotated[Value, scale("C_min", "alpha_C")], alpha_C: Exponent) -> Value:
    r"""Least loss reached with compute C_min at batches far below the critical one, :math:`(C_c/C_{min})^{\alpha_C}`.

    Parameters
    ----------
    C_min : float or array
        Adjusted compute, FLOP: see :func:`~bayes_scaling.laws.batch.minimum_compute`.
    C_c : float or array
        Scale, FLOP.
    alpha_C : float or array
        Exponent.

    Returns
    -------
    float or array
        Loss, nats per token.

    Examples
    --------
    >>> from bayes_scaling.quantities import PF_DAY
    >>> round(kaplan_c_min(1 * PF_DAY, C_c=3.1e8 * PF_DAY, alpha_C=0.050), 3)
    2.658
    """
    return (C_c / C_min) ** alpha_C


@law(output="loss", source="kaplan2020", equation="(1.5), (4.1)")
def kaplan_nd(
    N: Value,
    D: Value,
    *,
    N_c: Annotated[Value, scale("N", "alpha_N")],
    alpha_N: Exponent,
    D_c: Annotated[Value, scale("D", "alpha_D")],
    alpha_D: Exponent,
) -> Value:
    r"""Loss of N parameters on D tokens, stopped early, :math:`[(N_c/N)^{\alpha_N/\alpha_D} + D_c/D]^{\alpha_D}`.

    Parameters
    ----------
    N : float or array
        Non-embedding parameters.
    D : float or array
        Tokens in the data set.
    N_c, D_c : float or array
        Scales, parameters and tokens.
    alpha_N, alpha_D : float or array
        Exponents.

    Returns
    -------
    float or array
        Loss, nats per token.

    Examples
    --------
    >>> round(kaplan_nd(1.5e9, 23e9, N_c=6.4e13, alpha_N=0.076, D_c=1.8e13, alpha_D=0.103), 4)
    2.3101
    """
    return ((N_c / N) ** (alpha_N / alpha_D) + D_c / D) ** alpha_D


@law(output="overfitting", source="kaplan2020", equation="(4.2)-(4.3)")
def overfitting(
    N: Value,
    D: Value,
    *,
    N_c: Annotated[Value, scale("N", "alpha_N")],
    alpha_N: Exponent,
    D_c: Annotated[Value, scale("D", "alpha_D")],
    alpha_D: Exponent,
) -> Value:
    r"""Relative excess of L(N, D) over endless data, :math:`(1 + (N/N_c)^{\alpha_N/\alpha_D} D_c/D)^{\alpha_D} - 1`.

    Parameters
    ----------
    N : float or array
        Non-embedding parameters.
    D : float or array
        Tokens in the data set.
    N_c, D_c : float or array
        Scales, parameters and tokens.
    alpha_N, alpha_D : float or array
        Exponents; N and D enter through N^(alpha_N/alpha_D) / D alone.

    Returns
    -------
    float or array
        L(N, D) / L(N, infinity) - 1, a pure number.

    Examples
    --------
    >>> round(float(overfitting(1.5e9, 23e9, N_c=6.4e13, alpha_N=0.076, D_c=1.8e13, alpha_D=0.103)), 4)
    0.0274
    """
    return expm1(alpha_D * log1p((N / N_c) ** (alpha_N / alpha_D) * D_c / D))


@law(output="dataset_tokens", source="kaplan2020", equation="(4.4), exactly")
def data_requirement(
    N: Value,
    *,
    excess: Number,
    N_c: Annotated[Value, scale("N", "alpha_N")],
    alpha_N: Exponent,
    D_c: Annotated[Value, scale("D", "alpha_D")],
    alpha_D: Exponent,
) -> Value:
    r"""Tokens that keep overfitting below ``excess``: :math:`D_c (N/N_c)^{\alpha_N/\alpha_D} / ((1 + excess)^{1/\alpha_D} - 1)`.

    The paper quotes 5e3 N^0.74 for an excess of "about 0.02". The coefficient comes out for a relative
    excess of .02 (5.5e3), and not for .02 nats, which the text could also mean (1.3e4 at a billion
    parameters, 2.3e4 at a million).

    Parameters
    ----------
    N : float or array
        Non-embedding parameters.
    excess : float or array
        Relative excess of the loss over endless data, a pure number.
    N_c, D_c : float or array
        Scales, parameters and tokens.
    alpha_N, alpha_D : float or array
        Exponents.

    Returns
    -------
    float or array
        Tokens.

    Examples
    --------
    >>> table2 = dict(N_c=6.4e13, alpha_N=0.076, D_c=1.8e13, alpha_D=0.103)
    >>> f"{data_requirement(1.0, excess=0.02, **table2):.2g}"
    '5.5e+03'
    """
    return D_c * (N / N_c) ** (alpha_N / alpha_D) / expm1(log1p(excess) / alpha_D)


@law(output="loss", source="kaplan2020", equation="(1.6), (5.6)")
def kaplan_ns(
    N: Value,
    S_min: Value,
    *,
    N_c: Annotated[Value, scale("N", "alpha_N")],
    alpha_N: Exponent,
    S_c: Annotated[Value, scale("S_min", "alpha_S")],
    alpha_S: Exponent,
) -> Value:
    r"""Learning curve with endless data, :math:`(N_c/N)^{\alpha_N} + (S_c/S_{min})^{\alpha_S}`.

    Parameters
    ----------
    N : float or array
        Non-embedding parameters.
    S_min : float or array
        Adjusted steps: see :func:`~bayes_scaling.laws.batch.minimum_steps`.
    N_c, S_c : float or array
        Scales, parameters and steps.
    alpha_N, alpha_S : float or array
        Exponents.

    Returns
    -------
    float or array
        Loss, nats per token.

    Examples
    --------
    >>> round(kaplan_ns(1e9, 1e5, N_c=6.5e13, alpha_N=0.077, S_c=2.1e3, alpha_S=0.76), 4)
    2.4005
    """
    return (N_c / N) ** alpha_N + (S_c / S_min) ** alpha_S


@law(output="steps", source="kaplan2020", equation="(5.7)")
def stopping_step(L: Value, L_infinite: Value, *, S_c: Annotated[Value, scale("S", "alpha_S")], alpha_S: Exponent) -> Value:
    r"""Least step at which training on limited data may stop, :math:`S_c / (L(N,D) - L(N,\infty))^{1/\alpha_S}`.

    Parameters
    ----------
    L : float or array
        Loss the limited data allow, L(N, D), nats per token.
    L_infinite : float or array
        Loss with endless data, L(N, infinity), nats per token.
    S_c : float or array
        Scale, steps.
    alpha_S : float or array
        Exponent.

    Returns
    -------
    float or array
        Steps: a lower bound.

    Examples
    --------
    >>> round(stopping_step(2.3101, 2.2485, S_c=2.1e3, alpha_S=0.76))
    82201
    """
    return S_c / (L - L_infinite) ** (1 / alpha_S)
