"""Which fields of a source are the columns of a run table: as a document says, or by an alias, in a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

import pandas as pd

from bayes_scaling.errors import InvalidRuns, MissingColumn, MissingSource, UnknownEntry, UnreadableSource, choose
from bayes_scaling.files import read_toml
from bayes_scaling.quantities import BY_COLUMN
from bayes_scaling.runs.aliases import (
    ALIASES,
    BATCH,
    LENGTH,
    PART_OF_BATCH,
    SHAPE,
    TIMES,
    likely,
    losses_of,
    match,
    power_of,
)
from bayes_scaling.runs.logged import Logged
from bayes_scaling.runs.measure import source_of
from bayes_scaling.runs.units import PIECES, unit_named
from bayes_scaling.runs.validate import as_numbers

Map = Mapping[str, Any]
"""Our columns to the fields of a source."""
WORDS: Final = {"batch": "sequences a step", "length": "tokens a sequence", "repeat": "devices times gradient accumulation"}
"""What a map may have beside columns: the parts of a batch in tokens."""
SETTINGS: Final = ("loss_unit", "params_are")
_WORDED: Final = ("activation", "tied")
"""Parts of a shape that are no numbers."""
_COLUMNS: Final = (*BY_COLUMN, *ALIASES, *SHAPE, *WORDS, *PIECES, *SETTINGS, "loss_se")


@dataclass
class Names:
    """Which field each column is: ``fields`` by name, or several whose product it is; ``values`` that hold for all runs; what was assumed."""

    fields: dict[str, tuple[str, ...]] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    assumed: list[str] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)

    def __contains__(self, column: str) -> bool:
        return column in self.fields or column in self.values

    def one(self, column: str) -> str | None:
        """Return the field that a column is, where it is one."""
        return self.fields[column][0] if len(self.fields.get(column, ())) == 1 else None


def read_map(given: str | Path | Map | None) -> dict[str, Any]:
    """Read a map: a TOML document, or a mapping, of our columns to fields.

    A field is text, a product of fields a list, and a number or a word that no field has holds for all runs::

        params = "model/n_params"
        batch_tokens = ["global_batch_size", "seq_len"]   # a product
        loss = "ln(val/ppl)"                              # of a perplexity; "1 - accuracy" of a score
        loss_unit = "bits/byte"
        bytes_per_token = 4.4
        params_are = "total"                              # or "non-embedding"

    >>> read_map({"params": "N", "batch_tokens": ["batch", "length"], "lr": 0.1})
    {'params': 'N', 'batch_tokens': ['batch', 'length'], 'lr': 0.1}
    """
    if given is None:
        return {}
    if isinstance(given, Mapping):
        document, place = dict(given), "The map"
    else:
        place = f"The map {given}"
        try:
            document = read_toml(given)
        except OSError:
            raise MissingSource(f"There is no map {given}: give a TOML file.") from None
        except ValueError as error:
            raise UnreadableSource(f"{place} is not TOML: {error}.") from None
    for column, theirs in document.items():
        if isinstance(theirs, dict):
            raise InvalidRuns(f'{place}: {column!r} is a table: a map is lines of column = "field", without tables.')
        if isinstance(theirs, list) and not all(isinstance(part, str) for part in theirs):
            raise InvalidRuns(f"{place}: {column} is {theirs!r}: a product is a list of the names of fields.")
        if isinstance(theirs, list) and column in ("loss", "run_id"):
            raise InvalidRuns(f"{place}: {column} is one field, not a product.")
    return document


def names_of(logged: Logged, given: Map, facts: Mapping[str, Any], place: str) -> Names:
    """Return which field each column is: those given first, then by aliases, each of which is said.

    All fields that a map names and the source lacks are told in one error, each with the likely match.
    """
    _refuse_misspelt(given)
    names, fields = Names(), logged.fields
    wrong: list[str] = []
    for column, theirs in given.items():
        if column in SETTINGS and str(theirs) not in fields:
            names.settings[column] = str(theirs)
        elif isinstance(theirs, str):
            base = source_of(theirs, fields)[0] if column == "loss" else theirs
            if base in (*fields, "run_id"):
                names.fields[column] = (theirs,)
            elif column in BY_COLUMN or column in WORDS or column in SHAPE:
                number = as_numbers(pd.Series([theirs])).iloc[0]
                if number == number and column != "loss":
                    names.values[column] = float(number)
                else:
                    wrong.append(_no_field(column, base, fields))
            else:
                wrong.append(_no_field(column, base, fields))
        elif isinstance(theirs, list):
            wrong += [_no_field(column, part, fields) for part in theirs if part not in fields]
            names.fields[column] = tuple(theirs)
        else:
            names.values[column] = theirs
    if wrong:
        raise MissingColumn(f"{place} {'; '.join(wrong)}. Its fields: {', '.join(fields) or 'none'}.")
    names.values |= facts
    _guess(names, logged)
    return names


def _no_field(column: str, theirs: str, fields: list[str]) -> str:
    near = likely(theirs, fields) or likely(column, fields)
    return f"has no field {theirs!r} to use as {column}" + (f" (likely {near!r})" if near else "")


def _guess(names: Names, logged: Logged) -> None:
    """Add the columns that aliases find; an assumption is a sentence ``column = field``."""
    points, runs = list(map(str, logged.points)), list(map(str, logged.runs))
    fields, numbers = logged.fields, _with_numbers(logged)
    if "loss" not in names:
        losses = losses_of(
            [name for name in (points if len(logged.points) else runs) if not name.endswith(("__MIN", "__MAX"))]
        )
        losses = losses or losses_of(runs)
        if len(losses) == 1:
            is_perplexity = _is_perplexity(losses[0])
            _assume(names, "loss", f"ln({losses[0]})" if is_perplexity else losses[0])
        elif losses:
            names.settings["losses"] = ", ".join(losses)
    taken = {source_of(theirs, fields)[0] for parts in names.fields.values() for theirs in parts}
    for column, aliases in ALIASES.items():
        if column in names or column in ("run_id", "loss_unit"):
            continue
        along = column in ("steps", "tokens", "epochs", "compute_flops")
        places = (points, runs) if along else ([name for name in runs if name not in points],)
        if column == "params" and "params_total" in names:
            continue
        numeric = column in BY_COLUMN
        free = ([n for n in place if n not in taken and (not numeric or n in numbers)] for place in places)
        found = next((name for names_there in free if (name := match(aliases, names_there))), None)
        if found is not None and found != "run_id":
            taken.add(found)
            _assume(names, column, found)
    if "batch_tokens" not in names:
        _guess_batch(names, runs)
    for part, aliases in SHAPE.items():
        if part not in names and (found := match(aliases, [n for n in runs if part in _WORDED or n in numbers])):
            names.fields[part] = (found,)  # said where the shape is used
    if "loss_unit" not in (*names.settings, *names.fields) and (found := match(ALIASES["loss_unit"], runs)):
        names.fields["loss_unit"] = (found,)
    for piece in PIECES:
        if piece not in names and piece in runs:
            names.fields[piece] = (piece,)


def _with_numbers(logged: Logged) -> set[str]:
    """Return the fields of which some cell is a number."""
    return {str(name) for table in (logged.points, logged.runs) for name in table if as_numbers(table[name]).notna().any()}


def _guess_batch(names: Names, runs: list[str]) -> None:
    """Add sequences a step, tokens a sequence, and what a batch of one device is multiplied with."""
    whole, part = match(BATCH, runs), match(PART_OF_BATCH, runs)
    if "batch" not in names and (whole or part):
        times = [] if whole else [name for aliases in TIMES if (name := match(aliases, runs))]
        names.fields["batch"] = (whole or part or "", *times)
    if "length" not in names and (found := match(LENGTH, runs)):
        names.fields["length"] = (found,)


def _assume(names: Names, column: str, theirs: str) -> None:
    names.fields[column] = (theirs,)
    power = power_of(theirs) if column in BY_COLUMN and column != "loss" else 1.0
    if theirs != column or power != 1.0:
        names.assumed.append(f"{column} = {theirs}" + (f", in units of {power:g}" if power != 1.0 else ""))


def _is_perplexity(name: str) -> bool:
    return unit_named(name.replace("_", " ")) == "perplexity" or unit_named(name.rsplit("/", 1)[-1]) == "perplexity"


def _refuse_misspelt(given: Map) -> None:
    """Refuse a map whose left side looks like a misspelt column of ours."""
    for column in given:
        if column not in _COLUMNS and get_close_matches(column, _COLUMNS, 1, 0.8):
            raise UnknownEntry(f"The map: there is no column {column!r}; {choose(column, _COLUMNS)}.")
