"""What a file of measured runs does not say itself: facts given beside it, and which of them an export lacks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pandas as pd

from bayes_scaling.errors import MissingColumn, RepeatedRun, UnknownEntry, choose
from bayes_scaling.runs.curves import read_file

Facts = Mapping[str, float | str] | pd.DataFrame | str | Path
"""One value for every row by column, or a table with a row a run."""
_OF_CURVES: Final = {"params": "parameters", "batch_tokens": "tokens a step"}
"""What a law of a learning curve needs and an export of one never says."""


def with_facts(table: pd.DataFrame, facts: Facts | None, place: str) -> pd.DataFrame:
    """Return a table with the columns that were given beside it; those that it has stay as they are.

    >>> points = pd.DataFrame({"run_id": ["a", "a", "b"], "steps": [1, 2, 1]})
    >>> with_facts(points, {"batch_tokens": 512}, "The table")["batch_tokens"].tolist()
    [512, 512, 512]
    >>> with_facts(points, pd.DataFrame({"run_id": ["a", "b"], "params": [1e6, 2e6]}), "The table")["params"].tolist()
    [1000000.0, 1000000.0, 2000000.0]
    """
    if facts is None:
        return table
    if isinstance(facts, Mapping):
        return table.assign(**{name: value for name, value in facts.items() if name not in table})
    of_runs = read_file(Path(facts)) if isinstance(facts, str | Path) else facts
    given = str(facts) if isinstance(facts, str | Path) else "The table of facts"
    for has, it in ((of_runs, given), (table, place)):
        if "run_id" not in has:
            raise MissingColumn(f"{it} has no column 'run_id' to join the facts by; found {', '.join(map(str, has))}.")
    if of_runs["run_id"].duplicated().any():
        raise RepeatedRun(
            f"{given} has the run {of_runs['run_id'][of_runs['run_id'].duplicated()].iloc[0]!r} twice: once is enough."
        )
    runs = of_runs["run_id"].astype(str)
    unknown = [run for run in dict.fromkeys(table["run_id"].astype(str)) if run not in set(runs)]
    if unknown:
        raise UnknownEntry(f"{given} has no row for the run {unknown[0]!r}; {choose(unknown[0], runs)}.")
    new = of_runs.drop(columns=[name for name in of_runs if name in table]).set_axis(runs)
    joined = new.loc[table["run_id"].astype(str)].set_axis(table.index)
    return pd.concat([table, joined], axis=1)


def lacking(table: pd.DataFrame) -> list[str]:
    """Return what an export does not say of its runs, or nothing of a table that is none."""
    said = {*table, *(("batch_tokens",) if "tokens" in table else ())}
    return [name for name in _OF_CURVES if "export" in table.attrs and name not in said]


def refuse_lacking(table: pd.DataFrame, place: str) -> None:
    """Refuse an export of learning curves as long as size and batch of its runs are unknown, in one sentence that asks for both."""
    missing = lacking(table)
    if missing:
        words = " and ".join(f"{name} ({_OF_CURVES[name]})" for name in missing)
        pairs, columns = ",".join(f"{name}=..." for name in missing), ", ".join(missing)
        raise MissingColumn(
            f"{place} is {table.attrs['export']}, which does not say {words} of its runs: give them with --facts {pairs} where all "
            f"runs have the same, or --facts RUNS.csv, a table of run_id, {columns} (in Python facts={{...}} or a DataFrame)."
        )
