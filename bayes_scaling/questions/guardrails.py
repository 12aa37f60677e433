"""What should keep a person from deciding: said first, and in the way until they say `anyway`."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from bayes_scaling.errors import InvalidRequest
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.questions.frontier import largest
from bayes_scaling.questions.surface import splits_a_budget

FURTHEST: Final = 3.0
"""Decades of compute beyond the runs within which a decision is answered without being asked twice."""
_NARROWEST: Final = 0.1
"""Decades by which runs leave one line of N and D, at the least, for a law to tell the two apart."""


class Refused(InvalidRequest):
    """A decision that the fit should not be asked for; ``anyway`` asks all the same."""


def doubts(fit: Fit, *, compute: Any = None, furthest: float = FURTHEST, trade_off: bool = False) -> list[str]:
    """Return the reasons not to rely on a decision, each a sentence.

    Parameters
    ----------
    fit : Fit
        What the decision rests on.
    compute : float or array, optional
        Budgets the decision is about, FLOP.
    furthest : float
        Decades beyond the runs that are taken without doubt.
    trade_off : bool
        Whether the decision trades size against data.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> doubts(example_fit(), compute=1e27, trade_off=True)
    ['The decision lies 4.9 decades of compute beyond the runs, more than 3: nobody has seen a law hold that far.']
    """
    found = [] if fit.converged else [fit.verdict]
    most = largest(fit, "compute_flops")
    if compute is not None and most:
        beyond = float(np.log10(np.max(np.asarray(compute, float)) / most))
        if beyond > furthest:
            found.append(
                f"The decision lies {beyond:.1f} decades of compute beyond the runs, more than {furthest:g}: nobody has seen a law "
                f"hold that far."
            )
    if trade_off and splits_a_budget(fit):
        spread = _off_a_line(fit)
        if spread < _NARROWEST:
            found.append(
                f"The runs lie on one line of log N and log D, {spread:.2g} decades off it: what size and what data are worth cannot "
                f"be told apart, and how to split a budget is the priors' opinion. Train some runs off the line."
            )
    return found


def refuse_unless(anyway: bool, reasons: list[str]) -> None:
    """Refuse a decision that has doubts, unless it is wanted anyway.

    Raises
    ------
    Refused
        With the reasons, and how to get an answer all the same.
    """
    if reasons and not anyway:
        raise Refused(f"{' '.join(reasons)} Ask with anyway (on the command line: --anyway) for an answer all the same.")


def _off_a_line(fit: Fit) -> float:
    """Return how far runs scatter off the best line through log N and log D: a standard deviation, decades."""
    place = np.log10(fit.table[["params", "tokens"]].to_numpy(float))
    return float(np.linalg.svd(place - place.mean(axis=0), compute_uv=False)[-1] / np.sqrt(len(place)))
