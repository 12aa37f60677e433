"""Output of the command line: sentences for people, JSON for programs, warnings once."""

from __future__ import annotations

import json
import math
import sys
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bayes_scaling.errors import BayesScalingWarning

if TYPE_CHECKING:
    import pandas as pd

    from bayes_scaling.posterior.fit import Fit
    from bayes_scaling.posterior.mixture import Mixture


def verdict_of(fit: Fit | Mixture) -> dict[str, Any]:
    """Return whether a fit converged, and its verdict."""
    return {"converged": fit.converged, "verdict": fit.verdict}


def summary_of(fit: Fit) -> dict[str, Any]:
    """Return every parameter of a fit with its interval, for JSON."""
    from bayes_scaling.posterior.checks import summarize

    return {str(name): row.to_dict() for name, row in summarize(fit).iterrows()}


def print_checks(fit: Fit) -> None:
    """Print the verdict, then every check, then advice."""
    print(f"{fit.verdict}\n" + (f"{fit.how_sampled}\n" if fit.how_sampled else ""))
    for c in fit.checks:
        mark, place = "passed" if c["passed"] else "FAILED", f" ({c['where']})" if c["where"] else ""
        print(f"  {mark}  {c['check']}: {c['value']:.4g}, limit {c['rule']}{place}")
    for c in fit.checks:
        if not c["passed"]:
            print(f"\n  {c['about']}, {c['check']}: {c['advice']}.")


def print_table(table: pd.DataFrame) -> None:
    """Print a table to four digits."""
    print(table.to_string(index=False, float_format=lambda value: f"{value:.4g}"))


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table, for JSON."""
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def print_json(answer: Any) -> None:
    """Print JSON; what is not finite is null."""
    print(json.dumps(_plain(answer), indent=2, allow_nan=False))


def _plain(value: Any) -> Any:
    """Return a JSON value: numpy numbers as Python numbers, and null for what is not finite."""
    if isinstance(value, Mapping):
        return {str(name): _plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


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
