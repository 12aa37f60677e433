"""Output of the command line: sentences for people, JSON for programs, warnings once."""

from __future__ import annotations

import json
import sys
import warnings
from typing import TYPE_CHECKING, Any

from bayes_scaling.errors import BayesScalingWarning

if TYPE_CHECKING:
    import pandas as pd

    from bayes_scaling.posterior.fit import Fit
    from bayes_scaling.posterior.mixture import Mixture


def verdict_of(fit: Fit | Mixture) -> dict[str, Any]:
    """Return whether a fit converged, and its verdict."""
    return {"converged": fit.converged, "verdict": fit.verdict}


def print_checks(fit: Fit) -> None:
    """Print the verdict, then every check, then advice."""
    print(f"{fit.verdict}\n" + (f"{fit.how_sampled}\n" if fit.how_sampled else ""))
    for check in fit.checks:
        mark, place = "passed" if check["passed"] else "FAILED", f" ({check['where']})" if check["where"] else ""
        print(f"  {mark}  {check['check']}: {check['value']:.4g}, limit {check['rule']}{place}")
    for check in fit.checks:
        if not check["passed"]:
            print(f"\n  {check['about']}, {check['check']}: {check['advice']}.")


def print_table(table: pd.DataFrame) -> None:
    """Print a table to four digits."""
    print(table.to_string(index=False, float_format=lambda value: f"{value:.4g}"))


def print_json(answer: Any) -> None:
    """Print JSON; what is not finite is null."""
    from bayes_scaling.questions.base import plain

    print(json.dumps(plain(answer), indent=2, allow_nan=False))


def say(text: str) -> None:
    """Print a message on standard error, apart from results."""
    print(text, file=sys.stderr, flush=True)


_SHOWN: set[str] = set()


def show_warning(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    """Show a warning of ours as a sentence, once."""
    if issubclass(category, BayesScalingWarning) and str(message) not in _SHOWN:
        _SHOWN.add(str(message))
        say(f"Warning: {message}")


def complain(message: str, code: int) -> int:
    """Print an error and return the exit code."""
    say(f"Error: {message}" if code == 2 else message)
    return code


def show_warnings_once() -> None:
    """Show every warning of ours as one sentence on standard error, and no other."""
    _SHOWN.clear()
    warnings.showwarning = show_warning
    warnings.simplefilter("always", BayesScalingWarning)
