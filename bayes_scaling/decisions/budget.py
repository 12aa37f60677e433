"""The compute-optimal size: what the law says it is, and which one to choose not knowing the law exactly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr

from bayes_scaling.decisions.risk import RiskMeasure, risk_measure
from bayes_scaling.errors import InvalidRequest
from bayes_scaling.fits import Fit
from bayes_scaling.prediction import interval, law_loss, predict_at
from bayes_scaling.quantities import BY_COLUMN, params_at, tokens_at, training_compute
from bayes_scaling.requests import admit

_COARSE: Final = 41
_GOLDEN: Final = (5**0.5 - 1) / 2
_GOLDEN_STEPS: Final = 25
_FEWEST_PER_SIDE: Final = 1e3


def allocate(
    fit: Fit,
    *,
    compute: Any,
    risk: str | RiskMeasure = "mean",
    group: Mapping[str, str] | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """Split a compute budget between parameters and tokens.

    Two answers that differ: the optimum of each draw, whose scatter is how well the runs know it, and
    the one size to choose, which makes the risk of the law's loss over all draws least. A discrepancy widens the loss there;
    it does not move the choice, since where a walk goes along an untried budget nobody knows.

    Parameters
    ----------
    fit : Fit
        A fit of a law of N and D.
    compute : float or sequence
        Budgets, FLOP, with C = 6 N D.
    risk : str or callable
        ``"mean"``, ``"quantile:0.9"``, ``"cvar:0.9"``, or a function that reduces the draws of a loss to
        one number, larger being worse.
    group : mapping, optional
        Label of the run in each grouping column, as for :func:`~bayes_scaling.predict`.
    seed : int
        Of the measurement noise and of new groups.

    Returns
    -------
    Dataset, dims (chain, draw, compute_flops)
        ``optimal_params`` and ``optimal_tokens``, the optimum of each draw; ``params`` and ``tokens``,
        the choice; ``expected_loss`` and ``measured_loss`` at the choice; the reach of the choice.
        A single budget has no dimension.

    Raises
    ------
    InvalidRequest
        If the law has no trade-off between N and D, or a budget is not a positive number.

    Notes
    -----
    The loss along a budget has one minimum in log N for every law of N and D here. It is bracketed on a
    grid and narrowed by golden sections, for all draws and budgets at once, to a relative 1e-5.

    Examples
    --------
    >>> from bayes_scaling.examples import example_fit
    >>> exact = allocate(example_fit(chains=1, draws=1), compute=5.76e23)
    >>> f"{float(exact['params']):.4g} parameters, {float(exact['tokens']):.4g} tokens"
    '7.225e+10 parameters, 1.329e+12 tokens'
    """
    if not splits_a_budget(fit):
        raise InvalidRequest(
            f"The law {fit.spec.law} takes {', '.join(fit.spec.columns.values())}: a budget is split between N and D only by a law of "
            f"both. Fit one of chinchilla, kappa or kaplan_nd."
        )
    budgets = _budgets(compute)
    measure = risk_measure(risk) if isinstance(risk, str) else risk
    labels = admit(fit, group or {}, seed)

    def loss(log_params: Any) -> xr.DataArray:
        params = np.exp(log_params)
        return law_loss(fit, {"params": params, "tokens": tokens_at(budgets, params)}, group=labels, seed=seed)

    lowest, highest = np.log(_FEWEST_PER_SIDE), np.log(params_at(budgets, _FEWEST_PER_SIDE))
    each = _minimum(loss, lowest, highest)
    # Risk of the choice: its minimum lies among the optima of the draws.
    chosen = _minimum(lambda x: measure(loss(x)), each.min(("chain", "draw")) - 1.0, each.max(("chain", "draw")) + 1.0)
    params, optimal = np.exp(chosen), np.exp(each)
    choice = {"params": params, "tokens": tokens_at(budgets, params), "compute_flops": budgets}
    found = predict_at(fit, choice, group=labels, seed=seed).reset_coords(["params", "tokens"])
    named = risk if isinstance(risk, str) else getattr(risk, "__name__", "a function")
    return found.assign(optimal_params=optimal, optimal_tokens=tokens_at(budgets, optimal)).assign_attrs(risk=named)


def splits_a_budget(fit: Fit) -> bool:
    """Whether the law of a fit trades parameters against tokens.

    Examples
    --------
    >>> from bayes_scaling.examples import example_fit
    >>> splits_a_budget(example_fit())
    True
    """
    return set(fit.spec.columns.values()) == {"params", "tokens"}


def budget_table(allocation: xr.Dataset, prob: float = 0.9) -> pd.DataFrame:
    """Return an allocation as a table, one row a budget.

    Parameters
    ----------
    allocation : Dataset
        What :func:`allocate` returned.
    prob : float
        Probability of the intervals.

    Returns
    -------
    DataFrame
        ``compute_flops``; ``params``, ``tokens`` and ``tokens_per_param``, the choice, each with ``_median``,
        ``_lower`` and ``_upper`` of the optimum; ``median``, ``lower``, ``upper`` of a new run's measured
        loss there and ``mean_lower``, ``mean_upper`` of the law's; the reach, in decades.

    Examples
    --------
    >>> from bayes_scaling.examples import example_fit
    >>> budget_table(allocate(example_fit(), compute=[1e22, 1e23])).params_lower.round(-9).tolist()
    [9000000000.0, 29000000000.0]
    """
    columns: dict[str, Any] = {"compute_flops": allocation["compute_flops"]}
    quantities = {
        "params": (allocation["params"], allocation["optimal_params"]),
        "tokens": (allocation["tokens"], allocation["optimal_tokens"]),
        "tokens_per_param": (
            allocation["tokens"] / allocation["params"],
            allocation["optimal_tokens"] / allocation["optimal_params"],
        ),
    }
    for name, (choice, optimum) in quantities.items():
        columns[name] = choice
        columns |= dict(zip((f"{name}_median", f"{name}_lower", f"{name}_upper"), interval(optimum, prob), strict=True))
    columns |= dict(zip(("median", "lower", "upper"), interval(allocation["measured_loss"], prob), strict=True))
    _, columns["mean_lower"], columns["mean_upper"] = interval(allocation["expected_loss"], prob)
    columns |= {str(name): c for name, c in allocation.coords.items() if str(name).startswith("reach_")}
    return pd.DataFrame({name: np.atleast_1d(np.asarray(column)) for name, column in columns.items()})


def _budgets(compute: Any) -> xr.DataArray:
    try:
        values = np.asarray(compute, dtype=float)
    except (TypeError, ValueError):
        raise InvalidRequest(f"The compute is {compute!r}: give FLOP, a positive number or a list of them.") from None
    least, most = training_compute(_FEWEST_PER_SIDE, _FEWEST_PER_SIDE), BY_COLUMN["compute_flops"].maximum
    if values.ndim > 1:
        raise InvalidRequest(f"The compute has {values.ndim} dimensions: give one budget, or a list of them.")
    wrong = values[~((values > least) & (values <= most))]
    if wrong.size or not values.size:
        found = f"{wrong.flat[0]:g}" if wrong.size else "an empty list"
        raise InvalidRequest(f"The compute is {found}: it has to be FLOP, between {least:g} and {most:g}.")
    return xr.DataArray(values, dims=("compute_flops",) if values.ndim else ())


def _minimum(f: Callable[[Any], xr.DataArray], lowest: Any, highest: Any) -> xr.DataArray:
    """Return where a function of one variable is least, elementwise, between two bounds."""
    share = xr.DataArray(np.linspace(0.0, 1.0, _COARSE), dims="coarse")
    step = (highest - lowest) / (_COARSE - 1)
    best = f(lowest + share * (highest - lowest)).argmin("coarse")
    left, right = lowest + (best - 1).clip(0) * step, lowest + (best + 1).clip(max=_COARSE - 1) * step
    inner, outer = right - _GOLDEN * (right - left), left + _GOLDEN * (right - left)
    at_inner, at_outer = f(inner), f(outer)
    for _ in range(_GOLDEN_STEPS):
        falls = at_inner > at_outer  # the minimum lies right of `inner`; one of the two points serves again
        left, right = xr.where(falls, inner, left), xr.where(falls, right, outer)
        fresh = xr.where(falls, left + _GOLDEN * (right - left), right - _GOLDEN * (right - left))
        at_fresh = f(fresh)
        inner, outer = xr.where(falls, outer, fresh), xr.where(falls, fresh, inner)
        at_inner, at_outer = xr.where(falls, at_outer, at_fresh), xr.where(falls, at_fresh, at_inner)
    return (left + right) / 2
