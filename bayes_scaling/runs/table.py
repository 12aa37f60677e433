"""Measured runs: read a table, refuse every bad cell at once, and keep what the table means."""

from __future__ import annotations

import hashlib
import warnings
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from bayes_scaling import display
from bayes_scaling.errors import (
    BadCells,
    InconsistentComputeWarning,
    InvalidRuns,
    MissingColumn,
    MixedUnits,
    NoRows,
    NotALoss,
    RepeatedColumn,
    choose,
)
from bayes_scaling.quantities import BY_COLUMN, COMPUTE_TOLERANCE, RESOURCES, completed, sources, training_compute
from bayes_scaling.runs.aliases import likely_columns, numbers_named, power_of
from bayes_scaling.runs.bounds import refuse_columns
from bayes_scaling.runs.card import Card, card_beside, checked_card, read_card
from bayes_scaling.runs.condition import rows_where
from bayes_scaling.runs.curves import ALONG, canonical_curves
from bayes_scaling.runs.facts import Facts, refuse_lacking, with_facts
from bayes_scaling.runs.gaps import without_gaps
from bayes_scaling.runs.logged import Logged
from bayes_scaling.runs.measure import converted, remedy, source_of, unit_of
from bayes_scaling.runs.readers import read_source
from bayes_scaling.runs.units import in_full
from bayes_scaling.runs.validate import as_numbers, has_words, missing_cells, parse_cells, repeated_runs
from bayes_scaling.wording import amount

_ALWAYS: Final = {"params", "tokens", "compute_flops"}
"""Columns whose cells are checked where nothing says which ones a model needs."""
_OF_ONE_UNIT: Final = ("loss_unit", "unit", "units", "metric")
"""Columns that say what the loss of a row is."""


@dataclass(frozen=True, eq=False)
class RunTable:
    """Measured training runs, validated: every number in it can be trusted to be one.

    Parameters
    ----------
    table : DataFrame
        One row a run (or a checkpoint of one), canonical columns and any grouping columns.
    name : str
        Short name, for file names and reports.
    card : Card
        What the numbers mean.
    derived : tuple of str
        Columns computed from others by C = 6 N D or D = B S.
    origin : tuple of str
        What to give the command line for the same table: its file or name, then options.
    notes : tuple of str
        What was done to the rows before they were fitted, sentences.

    Examples
    --------
    >>> runs = read_runs(pd.DataFrame({"params": [1e8, 1e9], "tokens": [2e9, 2e10], "loss": [3.4, 2.8]}))
    >>> len(runs), runs.derived
    (2, ('compute_flops',))
    """

    table: pd.DataFrame
    name: str = "runs"
    card: Card = field(default_factory=Card)
    derived: tuple[str, ...] = ()
    origin: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.table)

    def __repr__(self) -> str:
        """Return a line: name, size, ranges."""
        spans = [
            f"{column} {amount(self.table[column].min(), column)} to {amount(self.table[column].max(), column)}"
            for column in ("params", "tokens", "compute_flops", "loss")
            if column in self.table
        ]
        return f"<RunTable {self.name}: {len(self)} rows; {', '.join(spans)}; loss in {self.card.loss_unit}>"

    def _repr_html_(self) -> str:
        return display.paragraph(repr(self)[1:-1]) + display.table(self.table, index=False)

    @property
    def measure(self) -> str:
        """What the column of losses is in the table as it came, as far as its origin says.

        >>> table = pd.DataFrame({"params": [1e8, 1e9], "nll": [3.4, 2.8]})
        >>> read_runs(table, columns={"loss": "nll"}).measure
        'nll'
        """
        renamed = (pairs for option, pairs in pairwise(self.origin) if option == "--columns")
        named = (pair.partition("=") for pairs in renamed for pair in pairs.split(","))
        return next((theirs for ours, _, theirs in named if ours == "loss"), "loss")

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the table and the units: two tables with one digest are the same data."""
        text = self.table.to_csv(index=False, lineterminator="\n", float_format="%.12g")
        return hashlib.sha256(f"{self.card.loss_unit}\n{self.card.params}\n{text}".encode()).hexdigest()

    def has(self, columns: Iterable[str]) -> bool:
        """Whether every one of some columns is there, without gaps, and of numbers where these belong."""
        there = (c for c in columns if c in self.table and self.table[c].notna().all() and not has_words(self.table, c))
        return set(columns) <= set(there)

    def where(self, condition: str) -> RunTable:
        """Return the rows for which a condition on the columns holds, such as ``compute_flops < 1e20 and corpus == 'C4'``.

        See :func:`~bayes_scaling.runs.condition.rows_where`; a condition that cannot be evaluated, or leaves no row, is an
        :class:`InvalidRuns`.

        >>> runs = read_runs(pd.DataFrame({"params": [1e8, 1e9], "tokens": [2e9, 2e10], "loss": [3.4, 2.8]}))
        >>> len(runs.where("params < 5e8"))
        1
        """
        rows = self.table[rows_where(condition, self.table, self.name)]
        return replace(self, table=rows.reset_index(drop=True), origin=(*self.origin, "--where", condition))


def read_runs(
    source: str | Path | pd.DataFrame | RunTable,
    *,
    columns: Mapping[str, str] | None = None,
    loss_unit: str | None = None,
    card: str | Path | Card | None = None,
    needs: Collection[str] = ("loss",),
    name: str | None = None,
    where: str | None = None,
    facts: Facts | None = None,
) -> RunTable:
    """Read a table of measured runs and check every cell of it.

    Parameters
    ----------
    source : path, DataFrame or RunTable
        CSV (``.csv``, ``.csv.gz``), Parquet (``.parquet``) or JSON Lines (``.jsonl``, ``.ndjson``); learning curves too as a tracker
        exports its chart (CSV) and as the trainer of Hugging Face logs them (``trainer_state.json``).
    columns : mapping, optional
        Canonical name to the name in the table, such as ``{"params": "N"}``, or to what is made of a column: the logarithm of a
        perplexity, ``{"loss": "ln(ppl)"}``, and what a score lacks, ``{"loss": "1 - accuracy"}`` or ``"100 - accuracy"``. A power in brackets,
        ``FLOPs (P)`` or ``params (M)``, is the unit of its numbers.
    loss_unit : str, optional
        Unit of the loss, over the card's: ``"nats/token"``, ``"bits/token"``, ``"bits/byte"`` or ``"error rate"``. By default what the
        name of the column states, such as ``bpb``; beside a score that adds up to one with it, a loss is an error rate.
    card : path or Card, optional
        What the numbers mean; by default ``NAME.card.toml`` beside the table, or ``card.toml``, if there is one.
    needs : collection of str
        Columns that must be there without gaps. Of the others a cell that is no number is missing; where none are named beside the
        loss, the cells of ``params``, ``tokens`` and ``compute_flops`` are checked too.
    name : str, optional
        Short name; by default that of the file.
    where : str, optional
        Condition on the rows to keep, as for :meth:`RunTable.where`. Rows that it leaves out are not checked: a run that
        crashed may have no loss.
    facts : mapping, DataFrame or path, optional
        Columns that the source lacks: one value for all rows, such as ``{"params": 1.2e8, "batch_tokens": 2**19}``, or a table
        with a row a run, joined by ``run_id``.

    Returns
    -------
    RunTable
        The runs, with C, D or N filled in from C = 6 N D where the column is missing.

    Raises
    ------
    InvalidRuns
        If the table cannot be used: the error lists every bad cell with row, column, value and reason.

    Warns
    -----
    InconsistentComputeWarning
        If compute is more than a factor :data:`~bayes_scaling.quantities.COMPUTE_TOLERANCE` from 6 N D.

    Examples
    --------
    >>> table = pd.DataFrame({"N": [1e8, -1e9], "tokens": [2e9, 2e10], "loss": [3.4, 2.8]})
    >>> read_runs(table, columns={"params": "N"})
    Traceback (most recent call last):
    ...
    bayes_scaling.errors.BadCells: The table has 1 bad cell (rows count from 1, after the header).
      row 2, params: has to be positive (found -1000000000.0)
    """
    if isinstance(source, RunTable):
        # A column that was worked out from one that is renamed now is worked out again.
        derived = [column for column in source.derived if not columns or column in columns.values()]
        table = source.table.drop(columns=[column for column in source.derived if column not in derived])
        card, name = card or source.card, name or source.name
        again = read_runs(
            table, columns=columns, loss_unit=loss_unit, card=card, needs=needs, name=name, where=where, facts=facts
        )
        origin = (*source.origin, *again.origin)
        return replace(again, derived=(*derived, *again.derived), origin=origin, notes=(*source.notes, *again.notes))
    path = None if isinstance(source, pd.DataFrame) else Path(source)
    raw, place = _raw(source, columns)
    raw = with_facts(raw, facts, place)
    refuse_lacking(raw, place)
    if where:  # by the rows' own numbers; a cell that is no number is missing to it
        numbers = _completed(parse_cells(raw)[0])[0]
        raw = raw[rows_where(where, numbers, name or place)]
    measure = (columns or {}).get("loss", "loss")
    card = _card(card, path, loss_unit, raw, place, unit_of(measure, raw))
    if columns and columns.get("params") == "params_total":
        card = replace(card, params="total")
    needed = {"loss", *needs}
    used = {"loss_se", *needed, *(_ALWAYS if needed == {"loss"} else ())}
    table, derived, notes = _checked_table(raw, place, needed, used, repeats=False)
    if no_loss := remedy(measure):
        raise NotALoss(f"{place}: {no_loss} (in Python columns={{'loss': ...}}).")
    _warn_of_compute(table, place)
    renamed = ",".join(f"{ours}={theirs}" for ours, theirs in (columns or {}).items())
    given = ",".join(f"{ours}={value}" for ours, value in facts.items()) if isinstance(facts, Mapping) else facts
    stated = None if isinstance(given, pd.DataFrame) else given and str(given)
    options = {"--columns": renamed, "--facts": stated, "--loss-unit": loss_unit, "--where": where}
    origin = [str(path)] if path else []
    origin += [word for option, value in options.items() if value for word in (option, value)]
    name = name or (path.name.split(".")[0] if path else "runs")
    return RunTable(table.reset_index(drop=True), name, card, derived, tuple(origin), notes)


def read_inputs(
    source: str | Path | pd.DataFrame, *, columns: Mapping[str, str] | None = None, needs: Collection[str] = ()
) -> pd.DataFrame:
    """Read a table of runs to predict: checked like measured ones by :func:`read_runs`, but it needs no loss.

    >>> read_inputs(pd.DataFrame({"compute_flops": [6e20], "params": [1e9]}), needs=["tokens"])["tokens"].item()
    100000000000.0
    """
    raw, place = _raw(source, columns)
    return _checked_table(raw, place, set(needs), {*needs, *BY_COLUMN}, repeats=True)[0]


def _raw(source: str | Path | pd.DataFrame, columns: Mapping[str, str] | None) -> tuple[pd.DataFrame, str]:
    """Return the table as it came, under canonical names, and what to call it in messages."""
    place = "The table" if isinstance(source, pd.DataFrame) else str(source)
    raw = read_source(source) if isinstance(source, str | Path) else source
    if isinstance(raw, Logged):
        columns = columns or {}
        raw, columns = canonical_curves(raw, place, columns), {c: n for c, n in columns.items() if c not in ("loss", *ALONG)}
    if any(name is not None for name in raw.index.names):
        raw = raw.reset_index()
    refuse_columns(raw.shape[1], place)
    raw = _renamed(raw, columns or {}, place)
    if raw.empty:
        raise NoRows(f"{place} has no rows: give one row a run.")
    return raw.reset_index(drop=True), place


def _checked_table(
    raw: pd.DataFrame, place: str, needed: set[str], used: set[str], *, repeats: bool
) -> tuple[pd.DataFrame, tuple[str, ...], tuple[str, ...]]:
    """Return the table of numbers with columns filled in, their names and what was done to gaps, or list every bad cell that is used."""
    parsed, failures = parse_cells(raw)
    used = {*sources(used, set(raw)), "checkpoint"}
    failures = [cell for cell in failures if cell.column in used]
    table, derived, notes = _completed(parsed)
    missing = sorted(needed - set(table) - {cell.column for cell in failures})
    if missing:
        raise MissingColumn(_lacks(place, missing, raw), failures)
    failures += missing_cells(table, needed, failures)
    if not repeats:
        failures += repeated_runs(table)
    if failures:
        failures.sort(key=lambda cell: (cell.row or 0, cell.column))
        count = f"{len(failures)} bad cell{'s' * (len(failures) > 1)}"
        gaps = [cell.column for cell in failures if cell.reason in ("is not a number", "is missing") and not repeats]
        some = gaps and len({cell.row for cell in failures}) < len(table)
        hint = f" Rows without a number are left out by a condition: --where '{gaps[0]} > 0'." if some else ""
        raise BadCells(f"{place} has {count} (rows count from 1, after the header).{hint}", failures)
    return table, derived, notes


def _lacks(place: str, missing: list[str], table: pd.DataFrame) -> str:
    """Return which columns a table lacks, its own, and the likely match for each; of a loss and the resources beside it at once."""
    own = [str(column) for column in table]
    numbers = [str(column) for column, cells in table.items() if as_numbers(cells).notna().any()]
    no_loss = [found for found in map(remedy, own) if found] if "loss" in missing else []
    asked = [*missing, *(RESOURCES if "loss" in missing else ())]
    advice = [*no_loss, *likely_columns([column for column in asked if not (no_loss and column == "loss")], numbers)]
    first = missing[0]
    advice = advice or [
        f"rename with read_runs(table, columns={{'{first}': '...'}}) (on the command line: --columns {first}=...)"
    ]
    text = "; ".join(advice)
    return f"{place} has no column {', '.join(map(repr, missing))}; found {', '.join(own)}. {text[0].upper()}{text[1:]}."


def _completed(parsed: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...], tuple[str, ...]]:
    """Return a table with the columns that others give, their names, and what was done to gaps; columns of words give none."""
    words = [str(column) for column in parsed if has_words(parsed, str(column))]
    table, notes = without_gaps(parsed.drop(columns=words))
    derived = completed(table)
    return table.assign(**{column: parsed[column] for column in words}), tuple(c for c in derived if c not in words), notes


def _renamed(table: pd.DataFrame, columns: Mapping[str, str], place: str) -> pd.DataFrame:
    names, made = {}, {}
    for canonical, theirs in columns.items():
        names[canonical], made[canonical] = source_of(theirs, table)
        if names[canonical] not in table:
            right = choose(names[canonical], map(str, table))
            if canonical in table and names[canonical] in BY_COLUMN:
                right = f"the other way round it is {names[canonical]}={canonical}"
            raise MissingColumn(f"{place} has no column {names[canonical]!r} to use as {canonical}; {right}.")
    twice = [theirs for theirs, count in Counter(names.values()).items() if count > 1]
    if twice:
        raise RepeatedColumn(f"The column {twice[0]!r} cannot be used twice: give each canonical column one of its own.")
    if made.get("loss") is np.log and "loss_se" in names:
        raise InvalidRuns(f"{names['loss_se']!r} is not the standard error of a log loss: leave loss_se out of the columns.")
    replaced = [canonical for canonical in names if canonical in table and canonical not in names.values()]
    table = table.drop(columns=replaced).rename(columns={theirs: canonical for canonical, theirs in names.items()})
    repeated = table.columns[table.columns.duplicated()]
    if len(repeated):
        raise RepeatedColumn(f"{place} has more than one column {repeated[0]!r}: keep one.")
    in_powers = [
        name for name, theirs in columns.items() if name in BY_COLUMN and made[name] is None and power_of(theirs) != 1.0
    ]
    scaled = {name: numbers_named(table[name], columns[name]) for name in in_powers}
    return table.assign(
        **{name: numbers.astype(object).where(numbers.notna(), table[name]) for name, numbers in scaled.items()},
        **{name: converted(table[name], function) for name, function in made.items() if function is not None},
    )


def _card(
    card: str | Path | Card | None,
    path: Path | None,
    loss_unit: str | None,
    table: pd.DataFrame,
    place: str,
    by_itself: str | None,
) -> Card:
    """Return the card given, or the one beside the table, with the unit of the loss that the call, the table or the loss itself states."""
    if card is None and path is not None:
        card = next((beside for beside in (card_beside(path), path.parent / "card.toml") if beside.is_file()), None)
    if not isinstance(card, Card):
        card = Card(loss_unit=by_itself or Card.loss_unit) if card is None else read_card(card)
    kinds = {name: sorted({str(value) for value in table[name].dropna()}) for name in _OF_ONE_UNIT if name in table}
    for column, found in kinds.items():
        if len(found) > 1:
            raise MixedUnits(
                f"{place} mixes losses in {' and '.join(found)}: one fit takes one unit; convert them first, or keep one, "
                f"--where \"{column} == '{found[0]}'\" (of collect: --keep)."
            )
    stated = kinds.get("loss_unit", [])
    unit = in_full(loss_unit) if loss_unit else (stated[0] if stated else card.loss_unit)
    if stated and unit != stated[0]:
        raise InvalidRuns(f"{place} says its loss is in {stated[0]}, the call says {unit}: they have to agree.")
    return checked_card(replace(card, loss_unit=unit), place)


def _warn_of_compute(table: pd.DataFrame, place: str) -> None:
    if said := compute_finding(table):
        warnings.warn(f"{place}: {said}.", InconsistentComputeWarning, stacklevel=3)


def compute_finding(table: pd.DataFrame) -> str:
    """Return what is to be said of compute that is further from 6 N D than the tolerance, or nothing.

    >>> compute_finding(pd.DataFrame({"params": [1e8], "tokens": [2e9], "compute_flops": [1.4 * 1.2e18]}))
    'in 1 of 1 rows the compute is more than a factor 1.3 from 6 N D, most in row 1 (a factor 1.4). Check its unit, and which parameters are counted'
    """
    counts = [column for column in ("params", "params_total") if column in table]
    if "compute_flops" not in table or "tokens" not in table or not counts:
        return ""
    with np.errstate(all="ignore"):
        ratios = np.array([np.log(table["compute_flops"] / training_compute(table[n], table["tokens"])) for n in counts])
    ratios = np.where(np.isnan(ratios), 0.0, ratios)
    nearest = np.take_along_axis(ratios, np.abs(ratios).argmin(axis=0)[None], axis=0)[0]
    far = np.flatnonzero(np.abs(nearest) > np.log(COMPUTE_TOLERANCE))
    if not len(far):
        return ""
    worst = int(far[np.argmax(np.abs(nearest[far]))])
    return (
        f"in {len(far)} of {len(table)} rows the compute is more than a factor {COMPUTE_TOLERANCE:g} from 6 N D, most in row {worst + 1} "
        f"(a factor {np.exp(nearest[worst]):.3g}). Check its unit, and which parameters are counted"
    )
