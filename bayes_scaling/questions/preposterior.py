"""Whether a run is worth what it is said to be: posteriors sampled anew with outcomes it might have."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
import pandas as pd

from bayes_scaling.errors import NotConvergedWarning, OutOfRange
from bayes_scaling.posterior.compute import compute_ratio
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.inputs import positive
from bayes_scaling.posterior.predict import predict, typical_relative_se
from bayes_scaling.posterior.residuals import flat_draws
from bayes_scaling.quantities import training_compute
from bayes_scaling.questions.next_run import Budget, Forecast, risk_now

MOST_OUTCOMES: Final = 200


def refits(
    fit: Fit,
    run: Mapping[str, float],
    about: Forecast | Budget,
    sample: Callable[[pd.DataFrame], Fit],
    *,
    times: int = 8,
    group: Mapping[str, str] | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Sample a posterior anew for each of several outcomes of a run, and return the risk of the decision that is left.

    ``sample`` goes from a table of runs to a fit by the same model. Outcomes are the middles of ``times`` equally likely
    ranges of what the run is forecast to measure, so that the mean of the risks left is what
    :class:`~bayes_scaling.questions.next_run.NextRun` expects without sampling: ``risk`` less ``value``. A row an outcome:
    ``loss`` that was supposed, ``risk`` then left, ``converged``; in ``attrs``, ``risk`` now and ``share``, how much of it
    the run takes on average.

    A posterior that learns nothing leaves the risk as it is:

    >>> from bayes_scaling.posterior.examples import example_fit
    >>> fit = example_fit()
    >>> about = Forecast(params=7e10, tokens=1.4e12)
    >>> round(refits(fit, {"params": 5e9, "tokens": 1e11}, about, lambda runs: fit, times=2).attrs["share"], 9)
    0.0
    """
    if times < 1:
        raise OutOfRange(f"The number of simulated outcomes is {times}: it has to be at least 1.")
    if times > MOST_OUTCOMES:
        raise OutOfRange(
            f"The number of simulated outcomes is {times:.4g}: it has to be at most {MOST_OUTCOMES}, and 8 are mostly enough."
        )
    at = {name: float(positive(name, run[name]).values.item()) for name in ("params", "tokens")}
    measured = predict(fit, group=group, seed=seed, **at)["measured_loss"]
    outcomes = np.quantile(flat_draws(measured), (np.arange(times) + 0.5) / times)
    row = at | {"compute_flops": compute_ratio(fit) * training_compute(at["params"], at["tokens"])} | dict(group or {})
    rows = []
    for number, loss in enumerate(outcomes):
        errors = {"loss_se": typical_relative_se(fit) * loss} if "loss_se" in fit.table else {}
        added = pd.DataFrame([{c: row.get(c) for c in fit.table} | {"loss": loss} | errors])
        if "run_id" in added:
            added["run_id"] = f"supposed {number}"
        again = sample(pd.concat([fit.table, added.dropna(axis="columns")], ignore_index=True))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotConvergedWarning)  # of a refit, not of the fit: it is in the table
            risk = risk_now(again, about, group=group, seed=seed)
        rows.append({"loss": loss, "risk": risk, "converged": again.converged})
    table, now = pd.DataFrame(rows), risk_now(fit, about, group=group, seed=seed)
    table.attrs = {"risk": now, "share": 1 - float(table["risk"].mean()) / now if now > 0 else 0.0}
    return table
