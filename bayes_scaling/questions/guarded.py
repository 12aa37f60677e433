"""The functions of the package that name a run or a budget: each refuses what lies too far from the runs, unless ``anyway``.

Reports, backtests and questions call the functions themselves, and state the distance.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, Final

import pandas as pd
import xarray as xr

from bayes_scaling.posterior import predict as predictions
from bayes_scaling.posterior import rows
from bayes_scaling.posterior.protocol import taking
from bayes_scaling.questions import allocation
from bayes_scaling.questions import frontier as frontiers
from bayes_scaling.questions.guardrails import FURTHEST, beyond, refuse_unless, stated_distances

_MORE: Final = """
anyway : bool
    Answer however far from the runs.
furthest : float
    Decades outside the runs, in N, D or C, beyond which the answer is refused.

Returns
"""


def guarded[Result: xr.Dataset | pd.DataFrame](function: Callable[..., Result]) -> Callable[..., Result]:
    """Return a function that refuses an answer whose extrapolation distances, its ``reach_*``, are too large.

    >>> from bayes_scaling.posterior.examples import example_fit
    >>> allocate(example_fit(), compute=1e30)
    Traceback (most recent call last):
    bayes_scaling.questions.guardrails.Refused: The answer lies 7.9 decades beyond the runs in C, more than 3: no law has been
    checked that far. For an answer all the same: anyway=True in Python, --anyway on the command line.
    >>> allocate(example_fit(), compute=1e30, anyway=True)["params"].item() > 1e13
    True
    """

    @wraps(function)
    def refuses(*given: Any, anyway: bool = False, furthest: float = FURTHEST, **named: Any) -> Result:
        answer = function(*given, **named)
        refuse_unless(anyway, beyond(stated_distances(answer), furthest))
        return answer

    signature, own = inspect.signature(function), inspect.signature(refuses, follow_wrapped=False).parameters
    parameters = [*signature.parameters.values(), own["anyway"], own["furthest"]]
    parameters.sort(key=lambda parameter: parameter.kind)
    refuses.__dict__["__signature__"] = signature.replace(parameters=parameters)
    refuses.__doc__ = inspect.cleandoc(function.__doc__ or "").replace("\n\nReturns\n", _MORE, 1)
    refuses.__module__ = __name__
    return refuses


predict = guarded(taking("fit", "mixture")(predictions.predict))
predict_table = guarded(taking("fit", "mixture")(rows.predict_table))
allocate = guarded(taking("fit")(allocation.allocate))
frontier = guarded(taking("fit")(frontiers.frontier))
