"""Results of trials made by hand, for documentation and tests: no run was forecast, and nothing was sampled for them."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd

from bayes_scaling.evaluation.certificate import BROKEN, FROM_THE_MODEL, Certificate
from bayes_scaling.evaluation.outcome import MODEL, Backtest
from bayes_scaling.evaluation.scores import scored

_DRAWS = 200


@cache
def example_backtest() -> Backtest:
    """Return a backtest at four cuts of twelve runs each, and a rival whose intervals are half as wide as its errors.

    >>> example_backtest().scores.set_index("method")["coverage_0.9"].round(2).to_dict()
    {'model': 0.96, 'huber': 0.52}
    """
    rng = np.random.default_rng(0)
    parts = []
    for method, width in ((MODEL, 1.0), ("huber", 0.5)):
        for cut in range(4):
            ahead = np.linspace(0.1, 1.6, 12)
            sd = 0.004 + 0.01 * ahead
            truth = np.log(2.5) - 0.1 * ahead
            median = truth + sd * rng.standard_normal(12)
            draws = median + width * sd * rng.standard_normal((_DRAWS, 12))
            rows = scored(truth, draws)
            place = {
                "method": method,
                "cut": cut,
                "row": range(12),
                "run": range(12),
                "ahead": ahead,
                "loss": np.exp(truth),
                "converged": True,
            }
            parts.append(rows.assign(**place))
    facts = {"runs": "example", "model": "kappa", "over": "compute_flops", "per_decade": 4, "least": 15, "seed": 0}
    return Backtest(pd.concat(parts, ignore_index=True), facts)


@cache
def example_certificate() -> Certificate:
    """Return a certificate of eighty simulated tables, whose ranks are uniform by hand.

    >>> example_certificate().uniformity["uniform"].to_dict()
    {'E': True, 'alpha': True}
    """
    rng = np.random.default_rng(1)
    ranks = pd.DataFrame({name: rng.permutation((np.arange(80) + 0.5) / 80) for name in ("E", "alpha")})
    forecasts = [
        {
            "truth": truth,
            "table": table,
            "ahead": ahead,
            "pit": rng.uniform(),
            "width": 0.05 * (1 + ahead),
            "converged": True,
        }
        for truth in (FROM_THE_MODEL, BROKEN)
        for table in range(80)
        for ahead in (0.5, 1.0, 2.0)
    ]
    facts = {"runs": "example", "model": "kappa", "tables": 80, "seed": 1}
    return Certificate(ranks, pd.DataFrame(forecasts), facts)
