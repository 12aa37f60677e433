"""Sample efficiency: the steps, tokens and compute each size takes to a loss, and whether it gets there at all."""

from __future__ import annotations

from typing import Any

import xarray as xr

from bayes_scaling.laws.batch import critical_batch
from bayes_scaling.laws.kaplan import kaplan_n
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.inputs import one_length, positive, warn_unless_converged
from bayes_scaling.posterior.predict import SAMPLE_DIMS
from bayes_scaling.quantities import training_compute, training_tokens
from bayes_scaling.questions.frontier import laws_of


def effort(fit: Fit, *, loss: Any, params: Any) -> xr.Dataset:
    """Return what it takes a model of a size to reach a loss on endless data.

    Larger models take fewer steps and fewer tokens, and up to some size less compute: why large models stopped early win.

    Parameters
    ----------
    fit : Fit
        A fit that has learned N_c, alpha_N, S_c, alpha_S, B_star and alpha_B: a fit of ``kaplan_system``, say.
    loss : float, sequence or DataArray
        Loss to reach, in the fit's unit.
    params : float, sequence or DataArray
        Sizes N.

    Returns
    -------
    Dataset, dims (chain, draw, *given)
        ``steps_min`` at batches far above the critical one, ``tokens_min`` and ``compute_min_flops`` at batches far
        below it, and ``batch_tokens``, the critical batch at that loss, where both double; not a number in draws in which
        the size never gets there. ``reaches``, dims as given, is the probability that it does.

    Raises
    ------
    InvalidRequest
        If the fit has not learned a parameter, or an input is not a positive number.

    Warns
    -----
    NotConvergedWarning
        If the fit failed a convergence check.

    References
    ----------
    Kaplan et al. (2020), equations (1.4), (1.6) and (5.1), and Figure 2.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_system
    >>> sizes = xr.DataArray([1e8, 1e9, 1e10], dims="params")
    >>> found = effort(example_system(chains=1, draws=1), loss=2.9, params=sizes).isel(chain=0, draw=0)
    >>> [f"{tokens:.2g}" for tokens in found["tokens_min"].values]
    ['6e+10', '6e+09', '3e+09']
    """
    warn_unless_converged(fit)
    given = {"loss": positive("loss", loss), "params": positive("params", params)}
    one_length(given)
    loss, params = given.values()
    known = laws_of(fit)
    left = loss - kaplan_n(params, N_c=known["N_c"], alpha_N=known["alpha_N"], E=known.get("E", 0.0))
    reaches = left > 0
    steps = known["S_c"] * left.where(reaches) ** (-1 / known["alpha_S"])
    batch = critical_batch(loss, B_star=known["B_star"], alpha_B=known["alpha_B"]) + xr.zeros_like(steps)
    tokens = training_tokens(steps, batch)
    found = {
        "steps_min": steps,
        "tokens_min": tokens,
        "compute_min_flops": training_compute(params, tokens),
        "batch_tokens": batch,
    }
    told = xr.Dataset(found).transpose(*SAMPLE_DIMS, ...)
    return told.assign(reaches=reaches.mean(SAMPLE_DIMS))
