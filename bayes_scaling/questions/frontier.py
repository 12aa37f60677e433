"""Compute-optimal training by L(N, S_min) and the critical batch: size, batch, steps, data and loss at a compute.

The closed form of Kaplan et al. (2020), appendix B, holds without an offset. With one, what is left is one unknown: the
loss t that finite size leaves. The size that reaches a loss with the least compute stops at L = E + (1 + alpha_N/alpha_S) t,
and everything else follows from t; the t of a compute is found by Newton's method in the logarithms.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr

from bayes_scaling.errors import InvalidRequest
from bayes_scaling.laws.batch import critical_batch
from bayes_scaling.laws.efficient import efficient_excess
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.inputs import positive, warn_unless_converged
from bayes_scaling.posterior.predict import interval
from bayes_scaling.quantities import training_compute, training_tokens

NEEDS: Final = ("N_c", "alpha_N", "S_c", "alpha_S", "B_star", "alpha_B")
"""Parameters a fit has to have."""
SPENT_OVER_LEAST: Final = 2.0
"""Steps, and compute, at the critical batch over the least there are: equations (5.4) and (5.5) at B = B_crit."""
_NEWTON_STEPS: Final = 20
_CLOSE: Final = 1e-13
"""Step in log t that changes nothing more; without an offset the first step is exact."""


def frontier(fit: Fit, *, compute_min: Any = None, compute: Any = None) -> xr.Dataset:
    """Return what compute-optimal training is at a compute, as draws from the posterior.

    Parameters
    ----------
    fit : Fit
        A fit that has learned N_c, alpha_N, S_c, alpha_S, B_star and alpha_B; an offset E where the document has one.
    compute_min : float or sequence, optional
        Compute C_min, FLOP, as it would be at a batch far below the critical one.
    compute : float or sequence, optional
        Compute C, FLOP, spent at the critical batch: twice C_min. Give one of the two.

    Returns
    -------
    Dataset, dims (chain, draw, compute)
        ``params`` N; ``batch_tokens``, the critical batch; ``steps_min`` and ``steps``, the least steps and those at the
        critical batch; ``tokens`` D processed there; ``loss``; ``compute_min_flops`` and ``compute_flops``; and the
        local exponents of N, B, S, D and the loss in C, which without an offset are the same everywhere:
        ``params_exponent``, ``batch_exponent``, ``steps_exponent``, ``tokens_exponent``, ``loss_exponent``. A single
        compute has no dimension.

    Raises
    ------
    InvalidRequest
        If the fit has not learned a parameter, or a compute is not a positive number.

    Warns
    -----
    NotConvergedWarning
        If the fit failed a convergence check.

    References
    ----------
    Kaplan et al. (2020), equations (1.7), (1.8) and appendix B.
    """
    warn_unless_converged(fit)
    if (compute is None) == (compute_min is None):
        raise InvalidRequest("Give one of compute, FLOP at the critical batch, and compute_min, FLOP at a tiny batch.")
    laws = laws_of(fit)
    given = ("compute_flops", compute) if compute_min is None else ("compute_min_flops", compute_min)
    spent = positive(*given)
    spent = spent.rename(query="compute") if "query" in spent.dims else spent
    least = spent / SPENT_OVER_LEAST if compute_min is None else spent
    return efficient(least, **laws)


def laws_of(fit: Fit) -> dict[str, Any]:
    """Return the parameters of L(N, S_min) and of the critical batch that a fit has learned, with an offset where it has one.

    Raises
    ------
    InvalidRequest
        If it has not learned one.
    """
    learned = fit.learned
    missing = [name for name in NEEDS if name not in learned]
    if missing:
        raise InvalidRequest(
            f"This follows from {', '.join(NEEDS)}; the fit has not learned {', '.join(missing)}: fit a system such as "
            f"kaplan_system."
        )
    return {name: learned[name] for name in (*NEEDS, "E") if name in learned}


def efficient(compute_min: xr.DataArray, **laws: Any) -> xr.Dataset:
    """Return compute-optimal training at a compute for known parameters of the laws: what :func:`frontier` returns."""
    labels = laws["N_c"].coords
    # To align labels of draws sixty times takes longer than the arithmetic.
    plain = {name: value.drop_vars(list(value.coords)) for name, value in laws.items()}
    log_t = np.log(2.0) + xr.zeros_like(compute_min + plain["N_c"])
    for _ in range(_NEWTON_STEPS):
        found = efficient_at(log_t, **plain)
        step = np.log(found["compute_min_flops"] / compute_min) * found["loss_exponent"] / found["share"]
        log_t = log_t + step
        if float(np.abs(step).max()) < _CLOSE:
            break
    found = efficient_at(log_t, **plain).transpose("chain", "draw", ...).drop_vars("share").assign_coords(labels)
    at = {"compute_min_flops": compute_min, "compute_flops": SPENT_OVER_LEAST * compute_min}
    return found.assign_coords(at)


def efficient_at(
    log_t: Any, *, N_c: Any, alpha_N: Any, S_c: Any, alpha_S: Any, B_star: Any, alpha_B: Any, E: Any = 0.0
) -> xr.Dataset:
    """Return the compute-optimal training whose size leaves the loss t: quantities, and exponents in compute there."""
    stops = efficient_excess(alpha_N=alpha_N, alpha_S=alpha_S)
    t = np.exp(log_t)
    params, steps, loss = stopped_at(t, stops, N_c=N_c, alpha_N=alpha_N, S_c=S_c, alpha_S=alpha_S, E=E)
    batch = critical_batch(loss, B_star=B_star, alpha_B=alpha_B)
    share = (1 + stops) * t / loss  # of the loss that is not the offset
    of_compute = -1 / (1 / alpha_N + 1 / alpha_S + share / alpha_B)  # slope of log t in log C
    taken = SPENT_OVER_LEAST * steps
    found = {
        "params": params,
        "batch_tokens": batch,
        "steps_min": steps,
        "steps": taken,
        "tokens": training_tokens(taken, batch),
        "loss": loss,
        "params_exponent": -of_compute / alpha_N,
        "batch_exponent": -of_compute * share / alpha_B,
        "steps_exponent": -of_compute / alpha_S,
        "tokens_exponent": -of_compute * (share / alpha_B + 1 / alpha_S),
        "loss_exponent": -of_compute * share,
        "compute_min_flops": training_compute(params, training_tokens(steps, batch)),
        "share": share,
    }
    return xr.Dataset({name: value + xr.zeros_like(loss) for name, value in found.items()})


def stopped_at(t: Any, excess: Any, *, N_c: Any, alpha_N: Any, S_c: Any, alpha_S: Any, E: Any = 0.0) -> tuple[Any, Any, Any]:
    """Return size, least steps and loss of the run whose size leaves the loss t, stopped at an excess above that, a share of t."""
    return N_c * t ** (-1 / alpha_N), S_c * (excess * t) ** (-1 / alpha_S), E + (1 + excess) * t


def frontier_table(fit: Fit, found: xr.Dataset, prob: float = 0.9) -> pd.DataFrame:
    """Return a frontier as a table, one row a compute.

    Parameters
    ----------
    fit : Fit
        The fit it follows from.
    found : Dataset
        What :func:`frontier` returned.
    prob : float
        Probability of the equal-tailed intervals.

    Returns
    -------
    DataFrame
        ``compute_flops``, ``compute_min_flops``; ``{name}_median``, ``{name}_lower``, ``{name}_upper`` for ``params``,
        ``tokens``, ``batch_tokens``, ``steps``, ``steps_min``, ``loss`` and the exponents; and ``decades_beyond`` the
        largest compute measured, not a number where no row says its compute.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_system
    >>> fit = example_system()
    >>> frontier_table(fit, frontier(fit, compute=1e22))["decades_beyond"].round(1).tolist()
    [1.1]
    """
    most = largest(fit, "compute_flops")
    columns: dict[str, Any] = {c: np.atleast_1d(found[c].values) for c in ("compute_flops", "compute_min_flops")}
    for name in found.data_vars:
        ends = zip(("median", "lower", "upper"), interval(found[name], prob), strict=True)
        columns |= {f"{name}_{end}": np.atleast_1d(bound.values) for end, bound in ends}
    beyond = np.log10(columns["compute_flops"] / most) if most else np.full(len(columns["compute_flops"]), np.nan)
    return pd.DataFrame(columns).assign(decades_beyond=np.maximum(beyond, 0.0))


def largest(fit: Fit, column: str) -> float:
    """Return the largest value of a column among the rows of a fit; zero where no row has it.

    Compute counts as spent at the critical batch: C_min is half of it.
    """
    if column == "compute_min_flops":
        return largest(fit, "compute_flops") / SPENT_OVER_LEAST
    tables = [fit.rows(observation.name) for observation in fit.model.observations]
    return max((float(table[column].max()) for table in tables if column in table), default=0.0)
