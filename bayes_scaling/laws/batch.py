"""Batch size: the critical batch, and what steps and compute would be at its two extremes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from bayes_scaling.elementwise import exp, log
from bayes_scaling.laws.law import Coefficient, Exponent, Loss, Number, Steps, Tokens, Value, law

BatchAtOneNat = Annotated[
    Value,
    Coefficient("critical batch at the reference loss", "batch_tokens", "L", lambda parameters: 1 / parameters["alpha_B"]),
    "critical batch at a loss of one nat",
]
_BatchAtOneToken = Annotated[
    Value,
    Coefficient("critical batch at the reference data", "batch_tokens", "D", lambda parameters: -parameters["gamma_B"]),
    "critical batch at one token of data",
]
_CriticalBatch = Annotated[Tokens, "critical batch"]
_LeastSteps = Annotated[Steps, "steps at an endless batch, S_min, one number for each model and loss"]
_NoiseRatio = Annotated[Number, "noise scale over critical batch"]
_NoiseScale = Annotated[Tokens, "gradient noise scale"]
_NEWTON_STEPS = 8


@dataclass(frozen=True)
class _StepsAtReference(Coefficient):
    """The least steps; at the reference point, the steps at the batch and the loss there, which is what runs measure."""

    def from_reference(self, value: Value, reference: Mapping[str, Value], parameters: Mapping[str, Value]) -> Value:
        """Return S_min = steps / (1 + B_crit/B0)."""
        return value / (1 + parameters["B_star"] / reference["B"])

    def at_reference(self, value: Value, reference: Mapping[str, Value], parameters: Mapping[str, Value]) -> Value:
        """Return the steps S_min (1 + B_crit/B0)."""
        return value * (1 + parameters["B_star"] * reference["L"] ** (-1 / parameters["alpha_B"]) / reference["B"])

    @property
    def published(self) -> tuple[str, str]:
        """What the least steps are, and their unit."""
        return "a number of steps", "steps"


_StepsThere = Annotated[
    Value,
    _StepsAtReference("steps at the reference batch and loss", "steps", "B", 0.0, also=("L",), through=("B_star",)),
    "steps at an endless batch, S_min, one number for each model and loss",
]


@law(output="batch_tokens", source="kaplan2020", equation="(1.4), (5.3)")
def critical_batch(L: Value, *, B_star: BatchAtOneNat, alpha_B: Exponent) -> Value:
    r"""Batch at which time and compute are balanced, :math:`B^* / L^{1/\alpha_B}`.

    >>> f"{critical_batch(3.0, B_star=2.1e8, alpha_B=0.21):.3g}"
    '1.12e+06'
    """
    return B_star / L ** (1 / alpha_B)


@law(output="steps", source="kaplan2020", equation="(5.1)")
def steps_to_loss(B: Value, *, S_least: _LeastSteps, B_crit: _CriticalBatch) -> Value:
    r"""Steps to a given loss at batch B, :math:`S_{min} (1 + B_{crit}/B)`.

    With examples E = B S and E_min = B_crit S_min it is the hyperbola (S/S_min - 1)(E/E_min - 1) = 1.

    >>> steps_to_loss(1e6, S_least=5000.0, B_crit=1e6)  # at the critical batch, twice the least steps
    10000.0
    """
    return S_least * (1 + B_crit / B)


@law(output="steps", source="kaplan2020", equation="(5.1) with (5.3)")
def steps_in_scan(B: Value, L: Value, *, S_least: _LeastSteps, B_star: BatchAtOneNat, alpha_B: Exponent) -> Value:
    r"""Steps to loss L at batch B, with the critical batch of that loss, :math:`S_{min} (1 + B^* L^{-1/\alpha_B} / B)`.

    >>> round(steps_in_scan(1.12e6, 3.0, S_least=5000.0, B_star=2.1e8, alpha_B=0.21))
    10011
    """
    return steps_to_loss(B, S_least=S_least, B_crit=critical_batch(L, B_star=B_star, alpha_B=alpha_B))


@law(output="steps", source="kaplan2020", equation="(5.1) with (5.3)")
def steps_of_batches(B: Value, L: Value, *, S_least: _StepsThere, B_star: BatchAtOneNat, alpha_B: Exponent) -> Value:
    r"""Steps to loss L at batch B, :func:`steps_in_scan` with a prior on the steps at the reference batch, :math:`S_{min} (1 + B^* L^{-1/\alpha_B} / B)`.

    Where few batches were tried, steps at one of them are known, and the least steps go with the critical batch.

    >>> round(steps_of_batches(1.12e6, 3.0, S_least=5000.0, B_star=2.1e8, alpha_B=0.21))
    10011
    """
    return steps_in_scan(B, L, S_least=S_least, B_star=B_star, alpha_B=alpha_B)


@law(output="batch_tokens", source="mccandlish2018", equation="(2.9)")
def noise_scale(L: Value, *, noise_ratio: _NoiseRatio, B_star: BatchAtOneNat, alpha_B: Exponent) -> _NoiseScale:
    r"""Gradient noise scale at loss L, a constant times the critical batch, :math:`r B^* / L^{1/\alpha_B}`.

    The critical batch is argued to be near the noise scale :math:`\mathrm{tr}(S)/|G|^2`, and to depend on the loss alone; the factor
    between them is for the data to say.

    >>> f"{noise_scale(3.0, noise_ratio=0.5, B_star=2.1e8, alpha_B=0.21):.3g}"
    '5.61e+05'
    """
    return noise_ratio * critical_batch(L, B_star=B_star, alpha_B=alpha_B)


@law(output="batch_tokens", source="zhang2024", equation="the fit over data sizes")
def critical_batch_of_data(D: Value, *, B_one: _BatchAtOneToken, gamma_B: Exponent) -> Value:
    r"""Critical batch as a power of the tokens trained on, :math:`B_1 D^{\gamma_B}`.

    >>> f"{critical_batch_of_data(3e9, B_one=93.2, gamma_B=0.47):.3g}"
    '2.65e+06'
    """
    return B_one * D**gamma_B


@law(output="steps", source="kaplan2020", equation="(5.1), with the critical batch of zhang2024")
def steps_in_scan_of_data(B: Value, *, S_least: _LeastSteps, B_one: _BatchAtOneToken, gamma_B: Exponent) -> Value:
    r"""Steps to a loss at batch B, the critical batch a power of the least data, :math:`S_{min} (1 + B_{crit}/B)`.

    The least data to the loss are B_crit S_min, and B_crit = B_1 (B_crit S_min)^gamma is a number for each S_min:
    :math:`B_{crit} = (B_1 S_{min}^{\gamma})^{1/(1-\gamma)}`, for gamma below one.

    >>> round(steps_in_scan_of_data(1e6, S_least=5000.0, B_one=93.2, gamma_B=0.47))
    54553
    """
    B_crit = (B_one * S_least**gamma_B) ** (1 / (1 - gamma_B))
    return steps_to_loss(B, S_least=S_least, B_crit=B_crit)


@law(output="batch_tokens", source="mccandlish2018", equation="(2.9), with the critical batch of zhang2024")
def noise_scale_of_data(
    D: Value, B: Value, *, noise_ratio: _NoiseRatio, B_one: _BatchAtOneToken, gamma_B: Exponent
) -> _NoiseScale:
    r"""Gradient noise scale after D tokens at batch B, r times the B_crit solving :math:`B_{crit} = B_1 (D / (1 + B/B_{crit}))^{\gamma}`.

    What counts is the least data to the same loss, D / (1 + B/B_crit): a large batch sees more than it needs. Newton's
    method finds the logarithm of B_crit, for gamma below one.

    >>> law = dict(noise_ratio=0.5, B_one=93.2, gamma_B=0.47)
    >>> [f"{noise_scale_of_data(3e9, batch, **law):.3g}" for batch in (1e3, 1e7)]
    ['1.33e+06', '3.83e+05']
    """
    most = critical_batch_of_data(D, B_one=B_one, gamma_B=gamma_B)
    B_crit = most * (1 + B / most) ** -gamma_B
    for _ in range(_NEWTON_STEPS):
        ratio = B / B_crit
        off = B_crit / (most * (1 + ratio) ** -gamma_B)
        B_crit = B_crit * off ** (-1 / (1 - gamma_B * ratio / (1 + ratio)))
    return noise_ratio * B_crit


@law(
    output="loss", source="steplaw2025", equation="the best batch as a power of D, and a parabola around it", best=("B", "D")
)
def off_best_batch(
    B: Value,
    D: Value,
    *,
    L_least: Annotated[Loss, "loss at the best batch, one number for each model and length"],
    B_one: Annotated[_BatchAtOneToken, "best batch at one token of data"],
    gamma_B: Exponent,
    batch_cost: Annotated[Number, "what a factor e off the best batch costs, a share of the loss"],
) -> Value:
    r"""Loss of one model and length at batch B, the best batch a power of the data, :math:`L_{min} \exp(c \ln^2(B / (B_1 D^{\gamma})))`.

    >>> law = dict(L_least=2.3, B_one=0.58, gamma_B=0.571, batch_cost=0.004)
    >>> [round(float(off_best_batch(batch, 1e10, **law)), 3) for batch in (7e4, 2.97e5, 1.2e6)]
    [2.319, 2.3, 2.318]
    """
    return L_least * exp(batch_cost * log(B / critical_batch_of_data(D, B_one=B_one, gamma_B=gamma_B)) ** 2)


@law(output="steps_min", source="kaplan2020", equation="(5.4)")
def minimum_steps(S: Value, B: Value, *, B_crit: _CriticalBatch) -> Value:
    r"""Steps the same loss would take at an endless batch, :math:`S / (1 + B_{crit}/B)`.

    >>> minimum_steps(10000.0, 1e6, B_crit=1e6)
    5000.0
    """
    return S / (1 + B_crit / B)


@law(output="compute_min_flops", source="kaplan2020", equation="(5.5)")
def minimum_compute(C: Value, B: Value, *, B_crit: _CriticalBatch) -> Value:
    r"""Compute the same loss would take at a tiny batch, :math:`C / (1 + B/B_{crit})`.

    >>> minimum_compute(1e20, 1e6, B_crit=1e6)
    5e+19
    """
    return C / (1 + B / B_crit)


@law(output="batch_tokens", source="kaplan2020", equation="(5.2)")
def critical_batch_of_minima(E_min: Annotated[Tokens, "least tokens processed"], S_min: Value) -> Value:
    r"""Critical batch from the least tokens and the least steps to a loss, :math:`E_{min} / S_{min}`.

    >>> critical_batch_of_minima(5e9, 5000.0)
    1000000.0
    """
    return E_min / S_min
