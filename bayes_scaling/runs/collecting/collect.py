"""Runs collected from where they were logged."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pandas as pd

from bayes_scaling.errors import InconsistentComputeWarning
from bayes_scaling.quantities import ALONG_A_RUN
from bayes_scaling.runs.card import Card
from bayes_scaling.runs.collecting.collected import Collected
from bayes_scaling.runs.collecting.columns import convert_loss, known_meaning, work_out
from bayes_scaling.runs.collecting.ends import At, pick
from bayes_scaling.runs.collecting.gathering import Gathering
from bayes_scaling.runs.collecting.labels import labels_of
from bayes_scaling.runs.collecting.missing import refuse_missing
from bayes_scaling.runs.collecting.names import Map, names_of, read_map
from bayes_scaling.runs.collecting.tabular import tabular
from bayes_scaling.runs.collecting.which import count_once
from bayes_scaling.runs.collecting.which import keep as keep_runs
from bayes_scaling.runs.curves import read_file
from bayes_scaling.runs.facts import Facts, with_facts
from bayes_scaling.runs.logged import Logged
from bayes_scaling.runs.measure import refuse_what_is_no_loss
from bayes_scaling.runs.readers import read_source
from bayes_scaling.runs.table import RunTable, read_runs

NEEDED: Final = ("params", "tokens", "loss")
"""Columns that runs are collected with unless told otherwise."""
_FIRST: Final = ("params", "params_total", "tokens", "loss")


def collect(
    source: str | Path | pd.DataFrame | Logged,
    *,
    kind: str | None = None,
    map: str | Path | Map | None = None,  # noqa: A002 - the word for it
    at: At = "last",
    dedupe: bool = True,
    keep: str | None = None,
    facts: Facts | Sequence[Facts] | None = None,
    unfinished: bool = False,
    anyway: bool = False,
    needs: Collection[str] = NEEDED,
    name: str | None = None,
) -> Collected:
    r"""Collect measured runs from where they were logged.

    Parameters
    ----------
    source : path, DataFrame or address
        A file, a folder or an address: an export or a project of W&B, a store of MLflow, a folder of TensorBoard or Lightning,
        ``trainer_state.json``, a table.
    kind : str, optional
        Kind of the source, such as ``"wandb"``, where its content leaves it open.
    map : path or mapping, optional
        Which field each column is: see :func:`~bayes_scaling.runs.collecting.names.read_map`. Others are guessed by their names, and said.
    at : {"last", "min", "all"}
        Which point of its curve a run is: its last, that of the least loss, or each as a row.
    dedupe : bool
        Whether a run that was logged twice, equal in all but its name, counts once.
    keep : str, optional
        Condition on the fields of the source that runs to collect meet. One on the state says which states are taken; without it
        runs that crashed or go on are left out.
    facts : mapping, DataFrame or path, or several, optional
        What the source does not say: values that all runs share, or a table by ``run_id``.
    unfinished : bool
        Whether runs that have not reached their last step are taken.
    anyway : bool
        Whether a loss is taken that rises with size and data, or lies above that of guessing.
    needs : collection of str
        Columns that the runs are to have.
    name : str, optional
        Short name; by default that of the source.

    Returns
    -------
    Collected
        Runs, curves, what was left out and why, and the card with every choice.

    Raises
    ------
    InvalidRuns
        If the source cannot be read, or columns are missing: all are told at once.

    Examples
    --------
    >>> table = pd.DataFrame({"n_params": ["17M", "30M"], "train_tokens": ["1B", "2B"], "val/loss": [3.4, 3.1]})
    >>> collected = collect(table)
    >>> collected.runs.table[["params", "tokens", "loss"]].to_dict("list")
    {'params': [17000000.0, 30000000.0], 'tokens': [1000000000.0, 2000000000.0], 'loss': [3.4, 3.1]}
    >>> print(*collected.lines, sep="\n")
    assumed: params = n_params
    assumed: tokens = train_tokens
    assumed: params without embeddings (params_are = "total" in a map, if not)
    assumed: loss = val/loss; nats/token
    """
    place = "The table" if isinstance(source, pd.DataFrame | Logged) else str(source)
    found = read_source(source, kind) if isinstance(source, str | Path) else source
    logged = found if isinstance(found, Logged) else tabular(found, place, kind)
    given = facts if isinstance(facts, list | tuple) else () if facts is None else (facts,)
    gathered = _gathering(logged, read_map(map), given, place)
    keep_runs(gathered, keep, unfinished=unfinished)
    pick(gathered, at)
    work_out(gathered)
    refuse_missing(gathered, needs)
    convert_loss(gathered)
    if dedupe and at != "all":
        count_once(gathered, labels_of(gathered))
    short = "runs" if place == "The table" else Path(place).name.split(".")[0]
    collected = _collected(gathered, name or short, at, needs)
    if not anyway:
        refuse_what_is_no_loss(collected.runs.table, gathered.names.one("loss") or "loss", gathered.unit, place)
    return collected


def _gathering(logged: Logged, given: Mapping[str, Any], facts: Sequence[Facts], place: str) -> Gathering:
    """Return fields with names: those of a map, of facts, and those that are guessed."""
    shared, tables = {}, []
    for each in facts:
        if isinstance(each, Mapping):
            shared |= each
        else:
            tables.append(read_file(Path(each)) if isinstance(each, str | Path) else each)
    by_run = dict.fromkeys(str(column) for table in tables for column in table if column != "run_id")
    names = names_of(logged, given, {**shared, **by_run}, place)
    label = names.one("run_id") or "run_id"
    fields = logged.runs.set_axis(pd.Index(logged.runs[label].astype(str), name="run_id"))
    for table in tables:
        joined = with_facts(pd.DataFrame({"run_id": fields.index}), table, place).set_axis(fields.index)
        names.values |= {str(column): joined[column] for column in table if column != "run_id"}
    gathered = Gathering(logged, names, place, fields, rules=list(logged.notes))
    gathered.params_are = known_meaning(names.settings.get("params_are", ""))
    return gathered


def _collected(gathered: Gathering, name: str, at: At, needs: Collection[str]) -> Collected:
    """Return the runs as a checked table, with the card that says how it came about."""
    runs = gathered.runs.assign(checkpoint=True) if at == "all" else gathered.runs
    first = [column for column in _FIRST if column in runs]
    table = runs[[*first, *(column for column in runs if column not in first)]].join(labels_of(gathered))
    table = table.rename_axis("run_id").reset_index().dropna(axis=1, how="all")
    assumed, rules = tuple(dict.fromkeys(gathered.names.assumed)), tuple(dict.fromkeys(gathered.rules))
    what = gathered.logged.what
    notes = "\n".join((f"Collected from {gathered.place}, {what}.", *assumed, *rules))
    card = Card(f"Runs from {what}", gathered.unit, gathered.params_are, notes=notes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InconsistentComputeWarning)  # a rule says it
        checked = read_runs(table, card=card, needs=tuple(needs), name=name)
    dropped = pd.DataFrame(gathered.dropped, columns=["run_id", "reason"])
    return Collected(checked, _curves(gathered.curves, checked), dropped, card, assumed, rules, what)


def _curves(points: pd.DataFrame, runs: RunTable) -> pd.DataFrame:
    """Return the points with the columns of their runs that do not grow along them."""
    if points.empty:
        return points
    own = [column for column in runs.table if column not in (*ALONG_A_RUN, *points, "checkpoint")]
    of_runs = runs.table.drop_duplicates("run_id")[["run_id", *own]]
    return points.assign(checkpoint=True).merge(of_runs, on="run_id").dropna(axis=1, how="all")
