"""Cells that a table lacks and that follow from others of their row: filled by one rule a column, in a sentence."""

from __future__ import annotations

import pandas as pd

from bayes_scaling.quantities import IDENTITIES


def without_gaps(table: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return a table without the gaps that others of its columns fill, and what was done, in sentences.

    Tokens and parameters that are missing are worked out, those that are there stay. Compute is counted in one way in all rows or the
    law would see a step: where some rows lack it and all have N and D, it is left out, and becomes 6 N D.

    >>> table = pd.DataFrame({"params": [1e8, 1e9], "tokens": [2e9, 2e10], "compute_flops": [1.3e18, float("nan")]})
    >>> without_gaps(table)
    (        params        tokens
    0  1.000000e+08  2.000000e+09
    1  1.000000e+09  2.000000e+10, ('compute_flops is missing in 1 of 2 rows: C is 6 N D in all of them.',))
    """
    notes: list[str] = []
    for column, (first, second), identity in IDENTITIES:
        if column == "compute_flops" or not {column, first, second} <= set(table):
            continue
        worked_out = identity(table[first], table[second])
        filled = table[column].isna() & worked_out.notna()
        if filled.any():
            table = table.assign(**{column: table[column].fillna(worked_out)})
            notes.append(
                f"{column} is missing in {filled.sum()} of {len(table)} rows: there it follows from {first} and {second}."
            )
    whole = {"params", "tokens"} <= set(table) and table[["params", "tokens"]].notna().all(axis=None)
    if whole and "compute_flops" in table and (gaps := table["compute_flops"].isna()).any():
        table = table.drop(columns="compute_flops")
        notes.append(f"compute_flops is missing in {gaps.sum()} of {len(table)} rows: C is 6 N D in all of them.")
    return table, tuple(notes)
