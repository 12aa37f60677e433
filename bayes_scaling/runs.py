"""Measured runs: read a table, refuse every bad cell at once, and keep what the table means."""

from __future__ import annotations

import hashlib
import tomllib
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from bayes_scaling.errors import BadCell, InconsistentComputeWarning, InvalidRuns, choose
from bayes_scaling.quantities import BY_COLUMN, LOSS_UNITS, completed, training_compute

COMPUTE_TOLERANCE: Final = 2.0
"""A run whose compute is further than this factor from 6 N D is warned about."""

_PARAMS_ARE = ("non-embedding", "total")
_LARGEST_OF_OTHERS = {"loss_se": 1e3, "epochs": 1e9, "depth": 1e6, "width": 1e9, "heads": 1e6, "lr": 1e3}
_MAXIMUM: Final = {column: quantity.maximum for column, quantity in BY_COLUMN.items()} | _LARGEST_OF_OTHERS
_TRUTH: Final = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False, "": False}
_MISSING: Final = {"", "nan", "na", "n/a", "null", "none"}


@dataclass(frozen=True)
class Card:
    """What a table of runs means: the facts that no column can hold.

    Parameters
    ----------
    title : str
        What was measured, in a line.
    loss_unit : str
        ``"nats/token"``, ``"bits/token"`` or ``"bits/byte"``.
    params : str
        What the column ``params`` counts: ``"non-embedding"`` or ``"total"``.
    citation, licence, notes : str
        Where the runs come from, what one may do with them, what is wrong with them.
    """

    title: str = ""
    loss_unit: str = "nats/token"
    params: str = "non-embedding"
    citation: str = ""
    licence: str = ""
    notes: str = ""


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

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.table)

    def __repr__(self) -> str:
        """Return a line: name, size, ranges."""
        spans = [
            f"{column} {self.table[column].min():.3g}..{self.table[column].max():.3g}"
            for column in ("params", "tokens", "compute_flops", "loss")
            if column in self.table
        ]
        return f"<RunTable {self.name}: {len(self)} rows; {', '.join(spans)}; loss in {self.card.loss_unit}>"

    def _repr_html_(self) -> str:
        from html import escape

        return f"<p>{escape(repr(self)[1:-1])}</p>{self.table.to_html(max_rows=10, max_cols=12)}"

    @property
    def digest(self) -> str:
        """SHA-256 of the table and the units: two tables with one digest are the same data."""
        text = self.table.to_csv(index=False, lineterminator="\n", float_format="%.12g")
        return hashlib.sha256(f"{self.card.loss_unit}\n{self.card.params}\n{text}".encode()).hexdigest()

    def where(self, condition: str) -> RunTable:
        """Return the rows for which a condition on the columns holds.

        Parameters
        ----------
        condition : str
            A pandas query, such as ``"compute_flops < 1e20 and corpus == 'C4'"``.

        Raises
        ------
        InvalidRuns
            If the condition cannot be evaluated, or no row is left.

        Examples
        --------
        >>> runs = read_runs(pd.DataFrame({"params": [1e8, 1e9], "tokens": [2e9, 2e10], "loss": [3.4, 2.8]}))
        >>> len(runs.where("params < 5e8"))
        1
        """
        try:
            kept = self.table.query(condition, engine="python")
        except Exception as error:
            raise InvalidRuns(
                f"The condition {condition!r} cannot be evaluated on {self.name}: {error}. "
                f"Compare columns with numbers or quoted words; the columns are {', '.join(self.table)}."
            ) from None
        if not isinstance(kept, pd.DataFrame) or kept.empty:
            raise InvalidRuns(f"No row of {self.name} is left where {condition}; give a condition that some row meets.")
        return replace(self, table=kept.reset_index(drop=True))


def read_runs(
    source: str | Path | pd.DataFrame | RunTable,
    *,
    columns: Mapping[str, str] | None = None,
    loss_unit: str | None = None,
    card: str | Path | Card | None = None,
    needs: Collection[str] = ("loss",),
    name: str | None = None,
) -> RunTable:
    """Read a table of measured runs and check every cell of it.

    Parameters
    ----------
    source : path, DataFrame or RunTable
        CSV (``.csv``, ``.csv.gz``), Parquet (``.parquet``) or JSON Lines (``.jsonl``, ``.ndjson``).
    columns : mapping, optional
        Canonical name to the name in the table, such as ``{"params": "N"}``.
    loss_unit : str, optional
        Unit of the loss, over the card's: ``"nats/token"``, ``"bits/token"`` or ``"bits/byte"``.
    card : path or Card, optional
        What the numbers mean; by default ``card.toml`` beside the table, if there is one.
    needs : collection of str
        Columns that must be there without gaps.
    name : str, optional
        Short name; by default that of the file.

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
        If compute is more than a factor :data:`COMPUTE_TOLERANCE` from 6 N D.

    Examples
    --------
    >>> table = pd.DataFrame({"N": [1e8, -1e9], "tokens": [2e9, 2e10], "loss": [3.4, 2.8]})
    >>> read_runs(table, columns={"params": "N"})
    Traceback (most recent call last):
    ...
    bayes_scaling.errors.InvalidRuns: The table has 1 bad cell (rows count from 1, after the header).
      row 2, params: has to be positive (found -1000000000.0)
    """
    given = source if isinstance(source, RunTable) else None
    if isinstance(source, RunTable):
        source, name, card = source.table, name or source.name, card or source.card
    path = None if isinstance(source, pd.DataFrame) else Path(source)
    raw, place = _raw(source, columns)
    described = _described(card, path, loss_unit, raw, place)
    table, derived = _checked_table(raw, place, {"loss", *needs}, repeats=False)
    if given is None:
        _warn_of_compute(table, place)
    name = name or (path.name.split(".")[0] if path else "runs")
    return RunTable(table, name, described, (*(given.derived if given else ()), *derived))


def read_inputs(
    source: str | Path | pd.DataFrame, *, columns: Mapping[str, str] | None = None, needs: Collection[str] = ()
) -> pd.DataFrame:
    """Read a table of runs to predict: checked like measured ones, but it needs no loss.

    Parameters
    ----------
    source : path or DataFrame
        As for :func:`read_runs`.
    columns : mapping, optional
        Canonical name to the name in the table.
    needs : collection of str
        Columns that must be there, or follow from others, without gaps.

    Returns
    -------
    DataFrame
        The table, numbers where numbers belong.

    Raises
    ------
    InvalidRuns
        If the table cannot be used.

    Examples
    --------
    >>> read_inputs(pd.DataFrame({"compute_flops": [6e20], "params": [1e9]}), needs=["tokens"])["tokens"].item()
    100000000000.0
    """
    raw, place = _raw(source, columns)
    return _checked_table(raw, place, set(needs), repeats=True)[0]


def _raw(source: str | Path | pd.DataFrame, columns: Mapping[str, str] | None) -> tuple[pd.DataFrame, str]:
    """Return the table as it came, under canonical names, and what to call it in messages."""
    place = "The table" if isinstance(source, pd.DataFrame) else str(source)
    raw = source.copy() if isinstance(source, pd.DataFrame) else _read(Path(source))
    raw = _renamed(raw, columns or {}, place)
    if raw.empty:
        raise InvalidRuns(f"{place} has no rows: give one row a run.")
    return raw.reset_index(drop=True), place


def _checked_table(
    raw: pd.DataFrame, place: str, needed: set[str], *, repeats: bool
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return the table with numbers where numbers belong and whole columns filled in, or list every bad cell."""
    table, failures = _parsed(raw)
    derived = completed(table)
    missing = sorted(needed - set(table))
    if missing:
        raise InvalidRuns(
            f"{place} has no column {', '.join(map(repr, missing))}; found {', '.join(map(str, raw))}. "
            f"Rename with columns={{'{missing[0]}': '...'}} (on the command line: --columns {missing[0]}=...)."
        )
    failures += _gaps(table, needed, failures)
    if not repeats:
        failures += _duplicates(table)
    if failures:
        failures.sort(key=lambda cell: (cell.row or 0, cell.column))
        count = f"{len(failures)} bad cell{'s' * (len(failures) > 1)}"
        raise InvalidRuns(f"{place} has {count} (rows count from 1, after the header).", failures)
    return table, derived


def _read(path: Path) -> pd.DataFrame:
    """Return the table as it stands in the file, text unparsed."""
    if not path.is_file():
        raise InvalidRuns(f"There is no table {path}: give a CSV, Parquet or JSON Lines file.")
    kind = "".join(path.suffixes[-2:]).lower().removesuffix(".gz").rsplit(".", 1)[-1]
    readers: dict[str, Callable[[], pd.DataFrame]] = {
        "csv": lambda: pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig", skipinitialspace=True),
        "parquet": lambda: pd.read_parquet(path),
        "jsonl": lambda: pd.read_json(path, lines=True, dtype=False, convert_dates=False),
    }
    readers |= {"ndjson": readers["jsonl"], "pq": readers["parquet"]}
    if kind not in readers:
        raise InvalidRuns(f"{path} is of an unknown kind {path.suffix!r}: give .csv, .csv.gz, .parquet or .jsonl.")
    try:
        table = readers[kind]()
    except UnicodeDecodeError as error:
        raise InvalidRuns(
            f"{path} is not UTF-8 text (byte {error.object[error.start]:#04x} at {error.start}): save it as UTF-8."
        ) from None
    except pd.errors.EmptyDataError:
        raise InvalidRuns(f"{path} is empty: give a header and one row a run.") from None
    except Exception as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InvalidRuns(f"{path} cannot be read as {kind}: {first}.") from None
    if len(table.columns) == 1 and any(mark in str(table.columns[0]) for mark in ";\t|"):
        raise InvalidRuns(f"{path} is not separated by commas: its header is {table.columns[0]!r}; save it with commas.")
    return table


def _renamed(table: pd.DataFrame, columns: Mapping[str, str], place: str) -> pd.DataFrame:
    for canonical, theirs in columns.items():
        if theirs not in table:
            raise InvalidRuns(f"{place} has no column {theirs!r} to use as {canonical}; {choose(theirs, map(str, table))}.")
    # A column that a rename replaces steps aside.
    table = table.drop(columns=[c for c, theirs in columns.items() if c in table and c != theirs])
    extra = [theirs for canonical, theirs in columns.items() if list(columns.values()).count(theirs) > 1]
    if extra:
        raise InvalidRuns(f"The column {extra[0]!r} cannot be used twice: give each canonical column one of its own.")
    table = table.rename(columns={theirs: canonical for canonical, theirs in columns.items()})
    repeated = table.columns[table.columns.duplicated()]
    if len(repeated):
        raise InvalidRuns(f"{place} has more than one column {repeated[0]!r}: keep one.")
    return table


def _described(
    card: str | Path | Card | None, path: Path | None, loss_unit: str | None, table: pd.DataFrame, place: str
) -> Card:
    if card is None and path is not None and (path.parent / "card.toml").is_file():
        card = path.parent / "card.toml"
    described = card if isinstance(card, Card) else read_card(card) if card is not None else Card()
    stated = sorted({str(unit) for unit in table["loss_unit"]}) if "loss_unit" in table else []
    if len(stated) > 1:
        raise InvalidRuns(f"{place} mixes losses in {' and '.join(stated)}: one fit takes one unit; convert them first.")
    chosen = loss_unit or (stated[0] if stated else described.loss_unit)
    if stated and chosen != stated[0]:
        raise InvalidRuns(f"{place} says its loss is in {stated[0]}, the call says {chosen}: they have to agree.")
    return _checked(replace(described, loss_unit=chosen), place)


def read_card(path: str | Path) -> Card:
    """Read a data card, a TOML file with the fields of :class:`Card`.

    Raises
    ------
    InvalidRuns
        If the file is missing, is not TOML, or has a field that a card does not have.
    """
    path = Path(path)
    try:
        fields = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InvalidRuns(f"There is no card {path}: give a TOML file.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidRuns(f"The card {path} is not TOML: {error}.") from None
    known = Card.__dataclass_fields__
    for name, value in fields.items():
        if name not in known:
            raise InvalidRuns(f"The card {path} has an unknown field {name!r}; {choose(name, known)}.")
        if not isinstance(value, str):
            raise InvalidRuns(f"The card {path}: {name} is {value!r}, it has to be text.")
    return _checked(Card(**fields), f"The card {path}")


def _checked(card: Card, place: str) -> Card:
    if card.loss_unit not in LOSS_UNITS:
        raise InvalidRuns(f"{place}: the loss unit {card.loss_unit!r} is unknown; {choose(card.loss_unit, LOSS_UNITS)}.")
    if card.params not in _PARAMS_ARE:
        raise InvalidRuns(f"{place}: params counts {card.params!r}; {choose(card.params, _PARAMS_ARE)}.")
    return card


def _parsed(raw: pd.DataFrame) -> tuple[pd.DataFrame, list[BadCell]]:
    """Return the table with numbers where numbers belong, and the cells that are none."""
    failures: list[BadCell] = []
    table = pd.DataFrame(index=raw.index)
    for name in raw.columns:
        column, cells = str(name), raw[name]
        if column in _MAXIMUM:
            table[column] = _numbers(column, cells, failures)
        elif column == "checkpoint":
            words = cells.map(lambda cell: "" if _blank(cell) else str(cell).strip().lower())
            for row, word in words[~words.isin(_TRUTH)].items():
                failures.append(BadCell(_row(row), column, _shown(cells[row]), "has to be true or false"))
            table[column] = words.map(_TRUTH).fillna(False).astype(bool)
        else:
            table[column] = _labels(column, cells)
    return table, failures


def _labels(column: str, cells: pd.Series) -> pd.Series:
    """Return a column of the user's own: truth values or numbers where every cell is one, else words."""
    if pd.api.types.is_numeric_dtype(cells.dtype):
        return cells
    words = cells.map(lambda cell: None if _blank(cell) else str(cell).strip()).astype(object)
    if words.notna().all() and words.str.lower().isin(("true", "false")).all():
        return words.str.lower() == "true"
    numbers = pd.to_numeric(words, errors="coerce")
    is_label = column in ("run_id", "group")
    return words if is_label or words.isna().all() or numbers[words.notna()].isna().any() else numbers


def _numbers(column: str, cells: pd.Series, failures: list[BadCell]) -> pd.Series:
    blank = cells.map(_blank)
    truth = cells.map(lambda cell: isinstance(cell, bool | np.bool_))
    numbers = pd.to_numeric(cells.where(~blank & ~truth), errors="coerce").astype(float)
    smallest = 0.0 if column == "loss_se" else np.nextafter(0, 1)
    reasons = {
        "is not a number": numbers.isna() & ~blank,
        "has to be finite": np.isinf(numbers),
        "has to be positive": np.isfinite(numbers) & (numbers < smallest),
        f"is larger than {_MAXIMUM[column]:.0e}, which no run has; check the unit": np.isfinite(numbers)
        & (numbers > _MAXIMUM[column]),
    }
    for reason, bad in reasons.items():
        failures += [BadCell(_row(row), column, _shown(cells[row]), reason) for row in cells.index[bad]]
    return numbers


def _blank(cell: Any) -> bool:
    if isinstance(cell, str):
        return cell.strip().lower() in _MISSING
    return cell is None or cell is pd.NA or (isinstance(cell, float) and np.isnan(cell))


def _shown(cell: Any) -> str:
    return repr(cell.item() if isinstance(cell, np.generic) else cell)


def _row(index: Any) -> int:
    return int(index) + 1


def _gaps(table: pd.DataFrame, needed: set[str], failures: list[BadCell]) -> Iterator[BadCell]:
    known = {(cell.row, cell.column) for cell in failures}
    for column in sorted(needed):
        for row in table.index[table[column].isna()]:
            if (_row(row), column) not in known:
                yield BadCell(_row(row), column, "nothing", "is missing")


def _duplicates(table: pd.DataFrame) -> list[BadCell]:
    """Return the rows that stand for a run (or for one point along it) that another row stands for."""
    if "run_id" not in table:
        return []
    final = ~table["checkpoint"] if "checkpoint" in table else pd.Series(True, index=table.index)
    failures = [BadCell(_row(row), "run_id", "nothing", "is missing") for row in table.index[table["run_id"].isna()]]
    along = [column for column in ("tokens", "steps", "dataset_tokens") if column in table]
    for rows, key in ((table[final], ["run_id"]), (table[~final], ["run_id", *along])):
        named = rows[rows["run_id"].notna()]
        for row in named.index[named.duplicated(key)]:
            failures.append(BadCell(_row(row), "run_id", repr(table["run_id"][row]), "stands in an earlier row too"))
    return failures


def _warn_of_compute(table: pd.DataFrame, place: str) -> None:
    counts = [column for column in ("params", "params_total") if column in table]
    if "compute_flops" not in table or "tokens" not in table or not counts:
        return
    ratios = [np.log(table["compute_flops"] / training_compute(table[n], table["tokens"])) for n in counts]
    nearest = np.exp(np.abs(np.array(ratios)).min(axis=0))
    far = np.flatnonzero(nearest > COMPUTE_TOLERANCE)
    if len(far):
        worst = int(far[np.argmax(nearest[far])])
        warnings.warn(
            f"{place}: in {len(far)} of {len(table)} rows the compute is more than a factor {COMPUTE_TOLERANCE:g} "
            f"from 6 N D, most in row {_row(worst)} (a factor {nearest[worst]:.3g}). Check the units, and which "
            f"parameters are counted.",
            InconsistentComputeWarning,
            stacklevel=3,
        )
