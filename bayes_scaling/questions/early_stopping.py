"""Early stopping on limited data: the step at which it may begin to pay (Kaplan et al. 2020, section 5.3), and what runs did."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from bayes_scaling.errors import InvalidRequest
from bayes_scaling.laws.batch import critical_batch, minimum_steps
from bayes_scaling.laws.kaplan import kaplan_n, kaplan_nd, stopping_step
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.inputs import warn_unless_converged
from bayes_scaling.posterior.predict import SAMPLE_DIMS, quantiles

_LIMITED = "kaplan_nd"
_NEEDS = ("steps", "batch_tokens", "params", "dataset_tokens")


def early_stopping(fit: Fit, *, prob: float = 0.9) -> pd.DataFrame:
    """Lay the steps at which runs on limited data were best beside the lower bound of equation (5.7).

    Parameters
    ----------
    fit : Fit
        A fit of a system with L(N, D), L(N, S_min) and the critical batch: ``kaplan_system``, say.
    prob : float
        Probability of the equal-tailed intervals.

    Returns
    -------
    DataFrame
        One row a run on limited data: ``params``, ``dataset_tokens``, ``stopped``, the steps at its lowest loss, adjusted
        to an endless batch (5.4), posterior median; ``bound``, ``lower``, ``upper``, the bound; and ``above``, the
        probability that the run was best at or after it.

    Raises
    ------
    InvalidRequest
        If no observation is of L(N, D) with steps and batches, or L(N, S_min) was not learned.

    Warns
    -----
    NotConvergedWarning
        If the fit failed a convergence check.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_system
    >>> early_stopping(example_system()).columns.tolist()
    ['params', 'dataset_tokens', 'stopped', 'bound', 'lower', 'upper', 'above']
    """
    warn_unless_converged(fit)
    limited = [o for o in fit.model.observations if o.law == _LIMITED and set(_NEEDS) <= set(fit.rows(o.name))]
    if not limited:
        raise InvalidRequest(f"No observation of this fit is of {_LIMITED} with rows that have {', '.join(_NEEDS)}.")
    observation, rows = limited[0], fit.rows(limited[0].name)
    own = fit.learned | {str(n): v for n, v in fit.view(observation.name).posterior.items()}
    wanted = ("N_c", "alpha_N", "D_c", "alpha_D", "S_c", "alpha_S", "B_star", "alpha_B")
    missing = [name for name in wanted if name not in own or set(own[name].dims) != set(SAMPLE_DIMS)]
    if missing:
        raise InvalidRequest(
            f"The bound follows from {', '.join(wanted)}; of this fit {', '.join(missing)} is no one number."
        )
    of_size = {n: own[n] for n in ("N_c", "alpha_N", "E") if n in own}
    params, data, steps, batch = (
        xr.DataArray(rows[c].to_numpy(float), dims="run") for c in ("params", "dataset_tokens", "steps", "batch_tokens")
    )
    loss = kaplan_nd(params, data, D_c=own["D_c"], alpha_D=own["alpha_D"], **of_size)
    bound = stopping_step(loss, kaplan_n(params, **of_size), S_c=own["S_c"], alpha_S=own["alpha_S"])
    critical = critical_batch(loss, B_star=own["B_star"], alpha_B=own["alpha_B"])
    stopped = minimum_steps(steps, batch, B_crit=critical)
    median, lower, upper = np.quantile(
        bound.transpose(*SAMPLE_DIMS, "run").values.reshape(-1, len(rows)), quantiles(prob), axis=0
    )
    told = {
        "params": rows["params"],
        "dataset_tokens": rows["dataset_tokens"],
        "stopped": stopped.median(SAMPLE_DIMS).values,
        "bound": median,
        "lower": lower,
        "upper": upper,
        "above": (stopped >= bound).mean(SAMPLE_DIMS).values,
    }
    return pd.DataFrame(told)
