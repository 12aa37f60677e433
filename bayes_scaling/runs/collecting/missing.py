"""What runs lack: every column at once, with the fields there are and the likely match for each."""

from __future__ import annotations

from collections.abc import Collection

from bayes_scaling.errors import MissingColumn
from bayes_scaling.quantities import completed
from bayes_scaling.runs.aliases import likely
from bayes_scaling.runs.collecting.gathering import Gathering
from bayes_scaling.runs.measure import remedy
from bayes_scaling.runs.validate import as_numbers


def refuse_missing(gathered: Gathering, needs: Collection[str]) -> None:
    """Refuse runs without a column that is needed, and leave out those that lack one that others have."""
    table = gathered.runs.copy()
    completed(table)
    missing = [column for column in needs if column not in table or table[column].isna().all()]
    if missing:
        raise MissingColumn(_message(gathered, needs, missing))
    for column in needs:
        gaps = [run for run in dict.fromkeys(table.index[table[column].isna()]) if run in gathered.fields.index]
        if gaps:
            gathered.drop(gaps, f"it has no {column}")
            table = table.drop(index=gaps)
    gathered.refuse_none()


def _message(gathered: Gathering, needs: Collection[str], missing: list[str]) -> str:
    fields = ", ".join(gathered.logged.fields) or "none"
    asked = [
        "batch_tokens" if column == "tokens" and "steps" in gathered.runs else column
        for column in missing
        if column != "loss"
    ]
    by_all, by_run = ",".join(f"{column}=..." for column in asked), ", ".join(asked)
    facts = (
        f" Where all runs share them: --facts {by_all}; by run: --facts SIZES.csv, a table of run_id, {by_run}."
        if asked
        else ""
    )
    there = [column for column in ("compute_flops", *needs) if column in gathered.runs and column not in (*missing, "loss")]
    fewer = f" For a law of {there[0]} alone: --needs {there[0]},loss." if there and "loss" not in missing else ""
    said = "; ".join(_ask(gathered, column) for column in missing)
    return f"{gathered.place}, {gathered.logged.what}, lacks {said}. Its fields: {fields}.{facts}{fewer}"


def _ask(gathered: Gathering, column: str) -> str:
    """Return what is missing, and the field that may be it."""
    names = gathered.names
    used = {part for parts in names.fields.values() for part in parts}
    unused = [name for name in gathered.logged.fields if name not in used]
    if column == "loss":
        return _ask_for_loss(names.settings.get("losses", ""), unused)
    near = likely(column, unused)
    cells = gathered.fields[near].dropna() if near in gathered.fields else None
    hint = f" (likely {near!r}: --columns {column}={near})" if near and near != column else ""
    if cells is not None and len(cells) and as_numbers(cells).isna().all():
        hint = f" ({near!r} has no number in it, found {cells.iloc[0]!r})"
    if column == "tokens" and "steps" in gathered.runs:
        if "batch" in names and "length" not in names:
            return "tokens: it has steps and sequences a step, not tokens a sequence (length)"
        return f"tokens: it has steps, not tokens a step (batch_tokens){hint}"
    return {"params": "params (parameters)", "tokens": "tokens (seen in training)"}.get(column, column) + hint


def _ask_for_loss(several: str, unused: list[str]) -> str:
    if several:
        return f"one loss: it has {several}; say which, --columns 'loss={several.split(', ')[0]}'"
    found = [remedy(name) for name in unused if remedy(name)]
    near = likely("loss", unused)
    return (
        f"loss ({'; '.join(found)})" if found else "loss" + (f" (likely {near!r}: --columns 'loss={near}')" if near else "")
    )
