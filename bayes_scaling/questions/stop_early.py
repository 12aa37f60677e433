"""Stop a large model early, or train a smaller one nearly to convergence: the same compute, two losses, and how sure (Kaplan et al. 2020, appendix B)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr

from bayes_scaling.errors import InvalidRequest
from bayes_scaling.laws.batch import critical_batch
from bayes_scaling.laws.efficient import compute_to_loss
from bayes_scaling.laws.kaplan import kaplan_n
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.inputs import positive, warn_unless_converged
from bayes_scaling.posterior.predict import SAMPLE_DIMS, interval
from bayes_scaling.quantities import training_compute, training_tokens
from bayes_scaling.questions.frontier import efficient, laws_of, stopped_at

_HALVINGS: Final = 34


def stopping(
    fit: Fit, *, compute_min: float, excess: float = 0.02, params: float | None = None, prob: float = 0.9
) -> pd.DataFrame:
    """Compare the compute-efficient run with a smaller model trained nearly to convergence, at equal compute.

    Parameters
    ----------
    fit : Fit
        A fit that has learned N_c, alpha_N, S_c, alpha_S, B_star and alpha_B: of ``kaplan_system``, say.
    compute_min : float
        Compute C_min, FLOP, as it would be at a batch far below the critical one.
    excess : float
        How far above its converged loss, as a share of what finite size leaves of it, the smaller model stops.
    params : float, optional
        A size of one's own, trained as far as the compute takes it, as a third row.
    prob : float
        Probability of the intervals.

    Returns
    -------
    DataFrame
        One row a run, ``stopped early``, ``nearly converged`` and ``own size``: medians of ``params``, ``steps_min`` and
        ``loss``, ``loss_lower`` and ``loss_upper``; ``gain``, by how much the loss of the run stopped early is less, with
        ``gain_lower``, ``gain_upper``; ``chance`` that it is.

    Raises
    ------
    InvalidRequest
        If the fit has not learned a parameter, or a number is not positive.

    Warns
    -----
    NotConvergedWarning
        If the fit failed a convergence check.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_system
    >>> found = stopping(example_system(), compute_min=1e21)
    >>> bool(found.loc["nearly converged", "gain"] > 0)
    True
    """
    warn_unless_converged(fit)
    known = laws_of(fit)
    plain = {name: value.transpose(*SAMPLE_DIMS).values for name, value in known.items()}
    spent, share = float(positive("compute_min_flops", compute_min)), float(excess)
    if not (np.isfinite(share) and 0 < share < 10):
        raise InvalidRequest(f"The excess is {excess:g}: it has to be a positive share of the loss, such as 0.02.")
    early = efficient(xr.DataArray(spent), **known)
    runs = {"stopped early": (early["params"], early["steps_min"], early["loss"])}
    runs["nearly converged"] = _named(nearly_converged(spent, share, **plain))
    if params is not None:
        runs["own size"] = _named(of_size(float(positive("params", params)), spent, **plain))
    rows = []
    for size, steps, loss in runs.values():
        median, lower, upper = (float(bound) for bound in interval(loss, prob))
        gain, gain_lower, gain_upper = (float(bound) for bound in interval(loss - runs["stopped early"][2], prob))
        rows.append(
            {
                "params": float(size.median(SAMPLE_DIMS)),
                "steps_min": float(steps.median(SAMPLE_DIMS)),
                "loss": median,
                "loss_lower": lower,
                "loss_upper": upper,
                "gain": gain,
                "gain_lower": gain_lower,
                "gain_upper": gain_upper,
                "chance": float((loss > runs["stopped early"][2]).mean()),
            }
        )
    return pd.DataFrame(rows, index=pd.Index(list(runs), name="run"))


def nearly_converged(compute_min: float, excess: float, **laws: Any) -> tuple[Any, Any, Any]:
    """Return size, least steps and loss of the model that a compute trains to an excess over what its size leaves."""
    curve = {name: value for name, value in laws.items() if name not in ("B_star", "alpha_B")}

    def spent(log_t: Any) -> Any:
        params, steps, loss = stopped_at(np.exp(log_t), excess, **curve)
        batch = critical_batch(loss, B_star=laws["B_star"], alpha_B=laws["alpha_B"])
        return np.log(training_compute(params, training_tokens(steps, batch)))

    return stopped_at(np.exp(_where(spent, np.log(compute_min), -12.0, 6.0, laws["N_c"])), excess, **curve)


def of_size(params: float, compute_min: float, **laws: Any) -> tuple[Any, Any, Any]:
    """Return size, least steps and loss of a model of a size, trained as far as a compute takes it."""
    converged = kaplan_n(params, N_c=laws["N_c"], alpha_N=laws["alpha_N"], E=laws.get("E", 0.0))

    def spent(log_left: Any) -> Any:
        return np.log(compute_to_loss(params, converged + np.exp(log_left), **laws))

    left = np.exp(_where(spent, np.log(compute_min), -40.0, 6.0, converged))
    return converged * 0 + params, laws["S_c"] * left ** (-1 / laws["alpha_S"]), converged + left


def _where(falling: Callable[[Any], Any], level: float, low: float, high: float, like: np.ndarray) -> np.ndarray:
    """Return where a falling function has a value, elementwise, by halving."""
    below, above = np.full(np.shape(like), low), np.full(np.shape(like), high)
    for _ in range(_HALVINGS):
        middle = (below + above) / 2
        right = falling(middle) > level
        below, above = np.where(right, middle, below), np.where(right, above, middle)
    return (below + above) / 2


def _named(run: tuple[np.ndarray, ...]) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray]:
    size, steps, loss = (xr.DataArray(values, dims=SAMPLE_DIMS) for values in run)
    return size, steps, loss
