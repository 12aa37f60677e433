"""Published constants as records: what a paper states, where in it, and with which error if any."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from bayes_scaling.errors import UnknownName, choose
from bayes_scaling.files import DATA
from bayes_scaling.quantities import PF_DAY

_IN_BASE_UNITS = {"PF-days": (PF_DAY, "FLOP")}


@dataclass(frozen=True)
class Constant:
    """One published number in its unit, with the standard error, or the interval and its probability, that the paper states.

    Compute is in FLOP, whatever the paper uses; the unit of a pure number is ``"1"``.
    """

    value: float
    unit: str = "1"
    se: float | None = None
    interval: tuple[float, float] | None = None
    probability: float | None = None


@dataclass(frozen=True)
class Record:
    """The constants of one place in a paper, by the parameter names of their law where there is one.

    The name is paper and place, the source the paper's key in ``data/references.bib``, ``where`` the equation, table or
    section, and the note what a reader should know before using the constants.
    """

    name: str
    source: str
    where: str
    constants: dict[str, Constant]
    law: str | None = None
    note: str = ""

    @property
    def values(self) -> dict[str, float]:
        """The bare numbers, ready for a law.

        >>> from bayes_scaling.laws import LAWS
        >>> round(LAWS["kaplan_n"](1e9, **published("kaplan2020 eq 1.1").values), 3)
        2.376
        """
        return {name: constant.value for name, constant in self.constants.items()}


def published(name: str) -> Record:
    """Return the record of published constants called ``name``, one of :func:`published_names`.

    >>> published("besiroglu2024").constants["alpha"]
    Constant(value=0.3478, unit='1', se=0.0154, interval=(0.317, 0.373), probability=0.95)
    """
    records = _records()
    if name not in records:
        raise UnknownName(f"There is no published record {name!r}; {choose(name, records)}.")
    return records[name]


def published_names(law: str | None = None) -> list[str]:
    """Return the keys of the published records, all or those of one law.

    >>> published_names("kaplan_nd")
    ['kaplan2020 table 2']
    """
    return [name for name, record in _records().items() if law is None or record.law == law]


def comparable(law: str) -> list[Record]:
    """Return the records to lay beside a fit of a law, by its parameter names: its own, and for kappa those of chinchilla.

    >>> list(comparable("kappa")[0].constants)
    ['E', 'A', 'a', 'B', 'b', 'kappa']
    """
    records = [published(name) for name in published_names(law)]
    if law == "kappa":  # at kappa = 1 it is the other
        names = {"alpha": "a", "beta": "b"}
        for record in comparable("chinchilla"):
            constants = {names.get(name, name): constant for name, constant in record.constants.items()}
            records.append(replace(record, law=law, constants=constants | {"kappa": Constant(1.0)}))
    return records


@cache
def _records() -> dict[str, Record]:
    document = tomllib.loads((DATA / "published" / "constants.toml").read_text(encoding="utf-8"))
    return {name: _record(name, dict(table)) for name, table in document.items()}


def _record(name: str, table: dict[str, Any]) -> Record:
    facts = {key: table.pop(key) for key in ("law", "where", "note") if key in table}
    constants = {symbol: _constant(**entry) for symbol, entry in table.items()}
    return Record(name=name, source=name.split()[0], constants=constants, **facts)


def _constant(value: float, unit: str = "1", se: float | None = None, interval: Any = None, **rest: float) -> Constant:
    factor, base = _IN_BASE_UNITS.get(unit, (1.0, unit))
    bounds = None if interval is None else (interval[0] * factor, interval[1] * factor)
    return Constant(value * factor, base, None if se is None else se * factor, bounds, **rest)
