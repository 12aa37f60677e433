"""Guardrails: caveats of a decision, which refuse it until they are overridden."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from bayes_scaling.errors import InvalidRequest
from bayes_scaling.posterior.compute import count_sentence
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.protocol import Posterior
from bayes_scaling.questions.surface import budget_ratio, splits_a_budget
from bayes_scaling.questions.wording import number

FURTHEST: Final = 3.0
"""Decades of compute beyond the runs at which extrapolation is a caveat."""
SPENT_OVER_LEAST: Final = 2.0
"""Steps, and compute, at the critical batch over the least there are: Kaplan et al. (2020), equations (5.4) and (5.5)."""
_NARROWEST: Final = 0.1
"""Decades by which runs leave one line of N and D, at the least, for a law to tell the two apart."""


class Refused(InvalidRequest):
    """A decision with caveats; ``override`` asks all the same."""


def caveats(posterior: Posterior, *, compute: Any = None, furthest: float = FURTHEST, trade_off: bool = False) -> list[str]:
    """Return the caveats of a decision about budgets, each a sentence; of a mixture, those of every fit that has weight.

    >>> from bayes_scaling.posterior.examples import example_fit
    >>> caveats(example_fit(), compute=1e27, trade_off=True)
    ['The decision lies 4.9 decades of compute beyond the runs, more than 3: no law has been checked that far.']
    """
    each = [_of_fit(part, compute, furthest, trade_off) for part in posterior.parts.values()]
    return list(dict.fromkeys(caveat for part in each for caveat in part))


def _of_fit(fit: Fit, compute: Any, furthest: float, trade_off: bool) -> list[str]:
    reasons = [] if fit.converged else [fit.verdict]
    most = largest(fit, "compute_flops")
    if compute is not None and most:
        beyond = float(np.log10(budget_ratio(fit) * np.max(np.asarray(compute, float)) / most))
        if beyond > furthest:
            reasons.append(
                f"The decision lies {beyond:.1f} decades of compute beyond the runs, more than {furthest:g}: no law has been "
                f"checked that far."
            )
    if trade_off and splits_a_budget(fit):
        place = np.log10(fit.table[["params", "tokens"]].to_numpy(float))
        # The standard deviation of the runs off the best line through log N and log D, decades.
        off_line = float(np.linalg.svd(place - place.mean(axis=0), compute_uv=False)[-1] / np.sqrt(len(place)))
        if off_line < _NARROWEST:
            reasons.append(
                f"The runs lie on one line of log N and log D, {number(off_line, 2)} decades off it: what size and what data are worth "
                f"cannot be told apart, and how to split a budget is the priors' opinion. Train some runs off the line."
            )
    return reasons


def budget_notes(posterior: Posterior) -> list[str]:
    """Return how the tables of a posterior count compute, where that is not the 6 N D of budgets; each a sentence.

    >>> from bayes_scaling.posterior.examples import example_fit
    >>> budget_notes(example_fit())
    []
    """
    notes = [count_sentence(part) for part in posterior.parts.values() if splits_a_budget(part)]
    return [note for note in dict.fromkeys(notes) if note]


def refuse_unless(override: bool, reasons: list[str]) -> None:
    """Refuse a decision that has caveats, with how to get an answer all the same, unless they are overridden."""
    if reasons and not override:
        raise Refused(
            f"{' '.join(reasons)} For an answer all the same, override (on the command line: --override or --anyway)."
        )


def largest(fit: Fit, column: str) -> float:
    """Return the largest value of a column among the rows of a fit; zero where no row has it.

    Compute counts as spent at the critical batch: C_min is half of it.
    """
    if column == "compute_min_flops":
        return largest(fit, "compute_flops") / SPENT_OVER_LEAST
    tables = [fit.rows(observation.name) for observation in fit.model.observations]
    return max((float(table[column].max()) for table in tables if column in table), default=0.0)
