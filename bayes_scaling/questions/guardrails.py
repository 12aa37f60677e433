"""Guardrails: when a question is not answered unless its caveats are overridden.

One rule of distance for every question, and for the functions that name a run or a budget: none is answered where the size,
the data or the compute of a run lies more than :data:`FURTHEST` decades outside the runs of the fit, above or below.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr

from bayes_scaling.errors import InvalidRequest
from bayes_scaling.posterior.compute import count_sentence
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.protocol import Posterior
from bayes_scaling.quantities import BY_COLUMN, RESOURCES, completed
from bayes_scaling.questions.surface import budget_ratio, splits_a_budget
from bayes_scaling.wording import number

FURTHEST: Final = 3.0
"""Decades of N, D or C outside the runs beyond which a question is not answered."""
SPENT_OVER_LEAST: Final = 2.0
"""Steps, and compute, at the critical batch over the least there are: Kaplan et al. (2020), equations (5.4) and (5.5)."""
_GIVEN: Final = (*RESOURCES, "steps", "batch_tokens")
"""Columns that say these, or that they follow from."""
_NARROWEST: Final = 0.1
"""Decades by which runs leave one line of N and D, at the least, for a law to tell the two apart."""


class Refused(InvalidRequest):
    """A question with caveats that refuse it, its ``reasons``; ``override`` asks all the same.

    Examples
    --------
    >>> import bayes_scaling as bs
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> try:
    ...     bs.ask(example_fit(), "target", target=2.0, compute=[1e30])
    ... except bs.questions.Refused as refused:
    ...     print(refused)
    What is asked for lies 7.9 decades beyond the runs in C, more than 3: no law has been checked that far. For an answer all the same: anyway=True in Python, --anyway on the command line.
    """

    def __init__(self, reasons: Iterable[str]) -> None:
        self.reasons = tuple(reasons)
        how = "For an answer all the same: anyway=True in Python, --anyway on the command line."
        super().__init__(" ".join([*self.reasons, how]))


def caveats(posterior: Posterior, *, compute: Any = None, furthest: float = FURTHEST, trade_off: bool = False) -> list[str]:
    """Return the caveats of a decision about budgets, each a sentence; of a mixture, those of every fit that has weight.

    >>> from bayes_scaling.posterior.examples import example_fit
    >>> caveats(example_fit(), compute=1e27, trade_off=True)
    ['What is asked for lies 4.9 decades beyond the runs in C, more than 3: no law has been checked that far.']
    """
    reasons = [] if posterior.converged else [posterior.verdict]
    far = too_far(posterior, [{} if compute is None else {"compute_flops": compute}], furthest)
    lines = [_one_line(fit) for fit in posterior.parts.values() if trade_off and splits_a_budget(fit)]
    return list(dict.fromkeys([*reasons, *far, *filter(None, lines)]))


def _one_line(fit: Fit) -> str:
    """Return the caveat of runs on one line of log N and log D; nothing where they are not."""
    place = np.log10(fit.table[["params", "tokens"]].to_numpy(float))
    # The standard deviation of the runs off the best line through log N and log D, decades.
    off_line = float(np.linalg.svd(place - place.mean(axis=0), compute_uv=False)[-1] / np.sqrt(len(place)))
    if off_line >= _NARROWEST:
        return ""
    return (
        f"The runs lie on one line in log N and log D, with a standard deviation of {number(off_line, 2)} decades: the effects of "
        f"size and data are not identifiable, and the priors decide how to split a budget. Train some runs off the line."
    )


def resources(named: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return N, D and C of the runs that a request names, by column: as given, or by D = B S and C = 6 N D.

    What is no number, or none of that quantity, is not a number here: it is refused where the request is checked.

    >>> resources({"params": 1e9, "steps": 1e4, "batch_tokens": 1e6, "loss": 2.0})
    {'params': array([1.e+09]), 'tokens': array([1.e+10]), 'compute_flops': array([6.e+19])}
    """
    given = {column: _numbers(column, named[column]) for column in _GIVEN if column in named}
    completed(given)
    return {column: given[column] for column in RESOURCES if column in given}


def _numbers(column: str, value: Any) -> np.ndarray:
    numbers = pd.to_numeric(pd.Series(np.ravel(value)), errors="coerce").to_numpy(float)
    return np.where((numbers >= 1) & (numbers <= BY_COLUMN[column].maximum), numbers, np.nan)


def too_far(
    posterior: Posterior, requests: list[Mapping[str, Any]], furthest: float, what: str = "What is asked for"
) -> list[str]:
    """Return a caveat for each request, values by column, whose runs lie too far outside those of a posterior.

    >>> from bayes_scaling.posterior.examples import example_fit
    >>> too_far(example_fit(), [{"params": [1e9, 1e14, 1.0], "tokens": 1e12}], 3.0)
    ['2 of 3 runs lie more than 3 decades outside the runs of the fit, the furthest, number 3, 8.0 decades below them in N: no law has been checked that far.']
    """
    return list(dict.fromkeys(line for each in distances(posterior, requests) for line in beyond(each, furthest, what)))


def distances(posterior: Posterior, requests: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return how many decades the runs of each request lie outside those of a posterior, by column."""
    named = [resources(request) for request in requests]
    return [
        {column: distance(fit, column, values) for column, values in of_it.items()}
        for fit in posterior.parts.values()
        for of_it in named
    ]


def worst_distances(distances: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Return the largest of several extrapolation distances by column, in decades: negative below the runs.

    >>> worst_distances([{"params": [0.0, -1.5], "loss": 3.0}, {"params": 1.2, "tokens": 0.3}])
    {'params': -1.5, 'tokens': 0.3}
    """
    found: dict[str, float] = {}
    for each in distances:
        for column in (column for column in RESOURCES if column in each):
            values = np.nan_to_num(np.append(np.ravel(np.asarray(each[column], float)), found.get(column, 0.0)))
            found[column] = float(values[np.abs(values).argmax()])
    return found


def distance(fit: Fit, column: str, values: Any) -> Any:
    """Return how many decades values lie above the largest run of any observation (positive) or below the smallest (negative).

    Zero between, and where no row has the column.
    """
    least, most = _ends(fit, column)
    if column == "compute_flops":
        values = budget_ratio(fit) * values  # what is asked for is 6 N D, the runs' is what their table counts
    return np.log10(values / np.clip(values, least, most)) if most else 0.0 * values


def beyond(distances: Mapping[str, Any], furthest: float, what: str = "The answer") -> list[str]:
    """Return the caveat of distances from the runs, decades by column, of which one is too large; nothing where none is.

    >>> beyond({"params": 1.2, "compute_flops": -4.9}, 3.0)
    ['The answer lies 4.9 decades below the runs in C, more than 3: no law has been checked that far.']
    """
    columns = [column for column in RESOURCES if column in distances]
    if not columns:
        return []
    each = xr.broadcast(*(_along_runs(distances[column]) for column in columns))
    decades = np.nan_to_num(np.stack([value.values.ravel() for value in each]))
    far = int((np.abs(decades).max(axis=0) > furthest).sum())
    if not far:
        return []
    column, run = np.unravel_index(np.abs(decades).argmax(), decades.shape)
    worst, symbol = float(decades[column, run]), BY_COLUMN[columns[column]].symbol
    place, runs = "beyond" if worst > 0 else "below", decades.shape[1]
    if runs == 1:
        place = f"{what} lies {abs(worst):.1f} decades {place} the runs in {symbol}, more than {furthest:g}"
    else:
        place = (
            f"{far} of {runs} runs lie more than {furthest:g} decades outside the runs of the fit, the furthest, number {run + 1}, "
            f"{abs(worst):.1f} decades {place} them in {symbol}"
        )
    return [f"{place}: no law has been checked that far."]


def stated_distances(answer: xr.Dataset | pd.DataFrame | pd.Series | Mapping[str, Any]) -> dict[str, Any]:
    """Return the extrapolation distances that an answer, or a row of one, states, decades by column: its ``reach_*``.

    >>> stated_distances(pd.DataFrame({"reach_params": [1.2], "loss": [2.0]}))["params"].tolist()
    [1.2]
    """
    named: Any = answer.coords if isinstance(answer, xr.Dataset) else answer
    return {str(name).removeprefix("reach_"): value for name, value in named.items() if str(name).startswith("reach_")}


def _along_runs(value: Any) -> xr.DataArray:
    if isinstance(value, xr.DataArray):
        return value
    values = np.squeeze(np.asarray(value))
    return xr.DataArray(values, dims=("run",) * values.ndim)


def budget_notes(posterior: Posterior) -> list[str]:
    """Return how the tables of a posterior count compute, where that is not the 6 N D of budgets; each a sentence.

    >>> from bayes_scaling.posterior.examples import example_fit
    >>> budget_notes(example_fit())
    []
    """
    notes = [count_sentence(part) for part in posterior.parts.values() if splits_a_budget(part)]
    return [note for note in dict.fromkeys(notes) if note]


def refuse_unless(override: bool, reasons: list[str]) -> None:
    """Refuse what has caveats, and say how to get an answer all the same, unless they are overridden."""
    if reasons and not override:
        raise Refused(reasons)


def largest(fit: Fit, column: str) -> float:
    """Return the largest value of a column among the rows of a fit; zero where no row has it.

    Compute counts as spent at the critical batch: C_min is half of it.
    """
    if column == "compute_min_flops":
        return largest(fit, "compute_flops") / SPENT_OVER_LEAST
    return _ends(fit, column)[1]


def _ends(fit: Fit, column: str) -> tuple[float, float]:
    """Return the least and the largest value of a column among the rows of a fit; zeros where no row has it."""
    tables = [fit.table] if fit.model.is_one else [fit.rows(observation.name) for observation in fit.model.observations]
    values = [table[column] for table in tables if column in table and table[column].notna().any()]
    if not values:
        return 0.0, 0.0
    return float(min(value.min() for value in values)), float(max(value.max() for value in values))
