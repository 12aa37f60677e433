"""Data cards: the facts about a table of runs that no column can hold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tomli_w

from bayes_scaling.errors import InvalidRuns, MissingSource, UnknownEntry, UnknownUnit, UnreadableSource, choose, first_fault
from bayes_scaling.files import read_toml, write_whole
from bayes_scaling.quantities import LOSS_UNITS

_PARAMS_ARE = ("non-embedding", "total")


@dataclass(frozen=True)
class Card:
    """What a table of runs means.

    Parameters
    ----------
    title : str
        What was measured, in a line.
    loss_unit : str
        ``"nats/token"``, ``"bits/token"``, ``"bits/byte"`` or ``"error rate"``.
    params : str
        What the column ``params`` counts: ``"non-embedding"`` or ``"total"``.
    citation, licence, notes : str
        Where the runs come from, what one may do with them, what is wrong with them.

    Examples
    --------
    >>> Card(title="Our ladder", loss_unit="bits/byte").params
    'non-embedding'
    """

    title: str = ""
    loss_unit: str = "nats/token"
    params: str = "non-embedding"
    citation: str = ""
    licence: str = ""
    notes: str = ""


def read_card(path: str | Path) -> Card:
    """Read a data card, a TOML file with the fields of :class:`Card`, or refuse it with what is wrong."""
    path = Path(path)
    try:
        fields = read_toml(path)
    except FileNotFoundError:
        raise MissingSource(f"There is no card {path}: give a TOML file.") from None
    except OSError as error:
        raise UnreadableSource(f"The card {path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise UnreadableSource(f"The card {path} is not TOML: {first_fault(error)}.") from None
    for name, value in fields.items():
        if name not in Card.__dataclass_fields__:
            raise UnknownEntry(f"The card {path} has an unknown field {name!r}; {choose(name, Card.__dataclass_fields__)}.")
        if not isinstance(value, str):
            raise InvalidRuns(f"The card {path}: {name} is {value!r}, it has to be text.")
    return checked_card(Card(**fields), f"The card {path}")


def checked_card(card: Card, place: str) -> Card:
    """Return the card, or refuse a unit or a count it cannot mean."""
    if card.loss_unit not in LOSS_UNITS:
        raise UnknownUnit(f"{place}: the loss unit {card.loss_unit!r} is unknown; {choose(card.loss_unit, LOSS_UNITS)}.")
    if card.params not in _PARAMS_ARE:
        raise UnknownEntry(f"{place}: params counts {card.params!r}; {choose(card.params, _PARAMS_ARE)}.")
    return card


def card_beside(path: Path) -> Path:
    """Return where the card of one table lies, beside it.

    >>> card_beside(Path("runs.csv.gz")).name
    'runs.card.toml'
    """
    return path.with_name(f"{path.name.split('.')[0]}.card.toml")


def write_card(card: Card, path: Path) -> Path:
    """Write a card as TOML."""
    return write_whole(
        path, tomli_w.dumps({name: value for name in Card.__dataclass_fields__ if (value := getattr(card, name))})
    )
