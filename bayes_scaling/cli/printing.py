"""Output of the command line: sentences for people, JSON for programs, warnings once."""

from __future__ import annotations

import io
import json
import shlex
import sys
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from bayes_scaling.errors import BayesScalingWarning

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from bayes_scaling.posterior.fit import Fit
    from bayes_scaling.posterior.mixture import Mixture


_LONGEST: Final = 4000
"""Characters of a message that are shown."""


def verdict_of(fit: Fit | Mixture) -> dict[str, Any]:
    """Return whether a fit converged, and its verdict."""
    return {"converged": fit.converged, "verdict": fit.verdict}


def verdicts(fit: Fit | Mixture) -> list[str]:
    """Return the sentences on convergence and, where it failed, adequacy: what failed comes first."""
    inadequate = [] if fit.adequate else [fit.adequacy]
    return [*inadequate, fit.verdict] if fit.converged else [fit.verdict, *inadequate]


def end(fit: Fit | Mixture) -> None:
    """End with exit code 1 where any check failed."""
    if not (fit.converged and fit.adequate):
        sys.exit(1)


def print_checks(fit: Fit) -> None:
    """Print the verdicts, what failed first; suspect rows; then every check, then advice."""
    from bayes_scaling.posterior.suspects import suspects_sentence

    lines = [*verdicts(fit), *fit.pinned, suspects_sentence(fit), fit.how_sampled]
    print("\n".join(filter(None, lines)) + "\n")
    for check in fit.checks:
        mark, place = "passed" if check["passed"] else "FAILED", f" ({check['where']})" if check["where"] else ""
        print(f"  {mark}  {check['check']}: {check['value']:.4g}, limit {check['rule']}{place}")
    for check in fit.checks:
        if not check["passed"]:
            print(f"\n  {check['about']}, {check['check']}: {check['advice']}.")


def print_parameters(fit: Fit, prob: float) -> None:
    """Print every parameter with its interval: as published and, where that differs, at the reference point."""
    from bayes_scaling.model.names import is_log
    from bayes_scaling.posterior.checks import summarize
    from bayes_scaling.posterior.summary import reference_rows, units_of
    from bayes_scaling.wording import number, percent, point

    table = summarize(fit, prob=prob)
    written = {
        str(label): f"{number(row.median)} ({number(row.lower)} to {number(row.upper)})"
        for label, row in zip(table.index, table[["median", "lower", "upper"]].itertuples(), strict=True)
        if not is_log(str(label))
    }
    there = reference_rows(list(written))
    units = units_of(fit)
    rows = [
        (name, text, units.get(name.partition("[")[0], ""), written.get(there.get(name, ""), ""))
        for name, text in written.items()
        if name not in there.values()
    ]
    reference = point(fit.reference, fit.model.columns_of_inputs)
    place = f"; at the reference point {reference}, where priors are stated" if there else ""
    print(f"Parameters: posterior median and {percent(prob)} equal-tailed interval, as published{place}.")
    columns = ["parameter", "published", "unit", "at the reference"][: 4 if there else 3]
    widths = [max(len(row[place]) for row in (columns, *rows)) + 2 for place in range(len(columns))]
    for row in (columns, *rows):
        print("  " + "".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)).rstrip())


def print_forecast(fit: Fit, out: Path, prob: float) -> None:
    """Print how far the forecast of a fit reaches, where the fit is, and what to type next."""
    from bayes_scaling.posterior.horizon import horizon
    from bayes_scaling.questions.guardrails import FURTHEST
    from bayes_scaling.questions.surface import splits_a_budget
    from bayes_scaling.wording import coordinate, number, percent

    next_one = f"check {out} --again"
    ahead = horizon(fit, prob)
    if ahead is not None:
        resource = str(ahead.index.name)
        group = ahead.attrs["group"]
        of_group = f" of {', '.join(f'{column} {label}' for column, label in group.items())}" if group else ""
        print(f"\nForecast of a new run{of_group}, {percent(prob)} interval, in {fit.loss_unit}:")
        for decades, row in zip(ahead["decades"], ahead.itertuples(), strict=True):
            where = f"{decades:g} decade{'s' * (decades != 1)} beyond" if decades else "the largest run"
            print(f"  {where:<18} {coordinate(resource, float(str(row.Index)))}: {number(row.lower)} to {number(row.upper)}")
        print(f"Questions more than {FURTHEST:g} decades beyond the runs are refused, unless --anyway is given.")
        budget = f"{float(str(ahead.index[1])):.2g}".replace("e+", "e")
        flag = {"compute_flops": "compute"}.get(resource, resource)
        of_its_group = "".join(f" --group {shlex.quote(f'{column}={label}')}" for column, label in group.items())
        if splits_a_budget(fit):
            next_one = f"allocate {out} --compute {budget}{of_its_group}"
        elif len(fit.model.only.columns) == 1:
            next_one = f"predict {out} --{flag} {budget}{of_its_group}"
    print(f"\nFit: {out}\nNext: bayes-scaling {next_one if fit.converged else f'check {out}'}")


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
    message = message if len(message) <= _LONGEST else f"{message[:_LONGEST]}... ({len(message):,} characters)"
    with suppress(OSError, ValueError):  # nobody may be listening
        say(f"Error: {message}" if code == 2 else message)
    return code


def say_in_any_alphabet() -> None:
    """Print what a terminal cannot show, such as an accent in ASCII, as an escape."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def show_warnings_once() -> None:
    """Show every warning of ours as one sentence on standard error, and no other."""
    _SHOWN.clear()
    warnings.showwarning = show_warning
    warnings.simplefilter("always", BayesScalingWarning)
