"""What the command line prints: sentences for people, JSON for programs, warnings once."""

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


def verdict_of(found: Fit | Mixture) -> dict[str, Any]:
    """Return whether a fit converged, and the sentence that says it."""
    return {"converged": found.converged, "verdict": found.verdict}


def summary_of(found: Fit) -> dict[str, Any]:
    """Return every unknown of a fit with its interval, for JSON."""
    from bayes_scaling.posterior.checks import summarize

    return {str(name): row.to_dict() for name, row in summarize(found).iterrows()}


def budget_said(row: pd.Series, prob: float, unit: str) -> str:
    """Say what to train with a budget."""
    from bayes_scaling.posterior.extrapolation import reach_sentence

    reaches = {str(c).removeprefix("reach_"): v for c, v in row.items() if str(c).startswith("reach_")}
    width = f"{100 * prob:g} % interval"
    return (
        f"At {row.compute_flops:.3g} FLOP:\n"
        f"  N    {row.params:.3g} parameters ({width} of the optimum {row.params_lower:.3g} to {row.params_upper:.3g})\n"
        f"  D    {row.tokens:.3g} tokens ({row.tokens_lower:.3g} to {row.tokens_upper:.3g})\n"
        f"  D/N  {row.tokens_per_param:.3g} ({row.tokens_per_param_lower:.3g} to {row.tokens_per_param_upper:.3g})\n"
        f"  loss {row['median']:.4f} {unit} of a new run ({row.lower:.4f} to {row.upper:.4f}); "
        f"expected {row.mean_lower:.4f} to {row.mean_upper:.4f}\n"
        f"  {reach_sentence(reaches)}"
    )


def print_checks(found: Fit) -> None:
    """Print the verdict, then every check, then what to try."""
    print(f"{found.verdict}\n")
    for c in found.checks:
        mark, place = "passed" if c["passed"] else "FAILED", f" ({c['where']})" if c["where"] else ""
        print(f"  {mark}  {c['check']}: {c['value']:.4g}, {c['rule']}{place}")
    for c in found.checks:
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
    """Return what JSON can hold: numpy numbers as Python's, and null for what is not finite."""
    if isinstance(value, Mapping):
        return {str(name): _plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def say(text: str) -> None:
    """Say something on standard error, where results do not go."""
    print(text, file=sys.stderr, flush=True)


_SHOWN: set[str] = set()


def show_warning(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    """Show a warning of ours as a sentence, once."""
    if issubclass(category, BayesScalingWarning) and str(message) not in _SHOWN:
        _SHOWN.add(str(message))
        say(f"Warning: {message}")


def complain(message: str, code: int) -> int:
    """Say what is wrong and return the exit code."""
    say(f"Error: {message}" if code == 2 else message)
    return code


def show_warnings_once() -> None:
    """Show every warning of ours as one sentence on standard error, and no other."""
    _SHOWN.clear()
    warnings.showwarning = show_warning
    warnings.simplefilter("always", BayesScalingWarning)
