"""Units of a loss: what each is in nats per token, and what has to be known to say so."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from bayes_scaling.errors import MissingColumn, MixedUnits, UnknownUnit, choose
from bayes_scaling.quantities import LOSS_UNITS


@dataclass(frozen=True)
class Unit:
    """A unit of the loss: ``nats`` turns it into nats per piece of text, and ``pieces`` names how many pieces a token is."""

    nats: Callable[[Any], Any]
    pieces: str | None = None


def _from_bits(loss: Any) -> Any:
    return loss * math.log(2)


def _as_it_is(loss: Any) -> Any:
    return loss


UNITS: Final = {
    "nats/token": Unit(_as_it_is),
    "bits/token": Unit(_from_bits),
    "perplexity": Unit(np.log),
    "bits/byte": Unit(_from_bits, "bytes_per_token"),
    "nats/byte": Unit(_as_it_is, "bytes_per_token"),
    "bits/character": Unit(_from_bits, "characters_per_token"),
    "nats/character": Unit(_as_it_is, "characters_per_token"),
}
"""Units that have nats per token."""
PIECES: Final = ("bytes_per_token", "characters_per_token")
_NAMES: Final = {
    **{"bpb": "bits/byte", "bits per byte": "bits/byte", "bpc": "bits/character", "bits per char": "bits/character"},
    **{"bits per character": "bits/character", "nats per byte": "nats/byte", "nats per char": "nats/character"},
    **{
        "nats per character": "nats/character",
        "bpt": "bits/token",
        "bits per token": "bits/token",
        "nats per token": "nats/token",
    },
    **{"nats": "nats/token", "nat": "nats/token", "ppl": "perplexity", "perplexity": "perplexity", "bits": "bits/token"},
    **{"nats token": "nats/token", "bits token": "bits/token", "bits byte": "bits/byte", "bits character": "bits/character"},
    **{
        "bits char": "bits/character",
        "nats char": "nats/character",
        "nats byte": "nats/byte",
        "nats character": "nats/character",
    },
}


_PER_WHAT: Final = frozenset({"nat", "nats", "bits"})
"""Names that do not say per what."""


def unit_named(name: str) -> str | None:
    """Return the unit that a name or a word for one states, or nothing.

    >>> unit_named("val/bpb"), unit_named("bits per character"), unit_named("loss (bits/byte)"), unit_named("val/loss")
    ('bits/byte', 'bits/character', 'bits/byte', None)
    """
    words = f" {' '.join(re.findall(r'[a-z]+', name.lower()))} "
    found = [name for name in _NAMES if f" {name} " in words]
    return _NAMES[max(found, key=len)] if found else None


def in_full(text: str) -> str:
    """Return the unit that a text is short for; the text itself where it is none, or does not say per what.

    >>> in_full("bpb"), in_full("bits per token"), in_full("nats")
    ('bits/byte', 'bits/token', 'nats')
    """
    unit = unit_named(text)
    return text if unit is None or text.lower() in _PER_WHAT else unit


def known_unit(text: str, place: str) -> str:
    """Return the unit that a text is, or refuse it.

    >>> known_unit("bpb", "map.toml")
    'bits/byte'
    """
    unit = text if text in (*UNITS, *LOSS_UNITS) else unit_named(text)
    if unit is None:
        raise UnknownUnit(f"{place}: the loss unit {text!r} is unknown; {choose(text, [*UNITS, 'error rate'])}.")
    return unit


def in_one_unit(
    loss: pd.Series, units: pd.Series, pieces: Mapping[str, pd.Series | float], place: str
) -> tuple[pd.Series, str, list[str]]:
    """Return losses in one unit, the unit, and what was done, in words; losses of several units without a common one are refused.

    ``pieces`` has ``bytes_per_token`` and ``characters_per_token`` where they are known. Nats per token are made wherever that can be
    done; a unit that all runs share stays as it is where it cannot, if a table of runs may be in it.

    >>> loss, unit, done = in_one_unit(pd.Series([2.0, 4.0]), pd.Series(["bits/byte", "nats/token"]), {"bytes_per_token": 4.0}, "runs")
    >>> loss.round(3).tolist(), unit, done
    ([5.545, 4.0], 'nats/token', ['loss in bits/byte times ln 2 and bytes_per_token is nats/token'])
    """
    kinds = list(dict.fromkeys(units))
    missing = {kind: UNITS[kind].pieces for kind in kinds if kind in UNITS and UNITS[kind].pieces not in (None, *pieces)}
    missing |= {kind: None for kind in kinds if kind not in UNITS}
    if len(kinds) == 1 and missing and kinds[0] in LOSS_UNITS:
        return loss, kinds[0], []
    if missing and len(kinds) > 1:
        needed = " and ".join(sorted({piece for piece in missing.values() if piece}))
        right = (
            f"give {needed}, with --facts {needed}=..., or keep the runs of one unit"
            if needed
            else "keep the runs of one unit"
        )
        raise MixedUnits(f"{place} mixes losses in {' and '.join(sorted(kinds))}: one fit takes one unit; {right}.")
    if missing:
        raise MissingColumn(
            f"{place} has its loss in {kinds[0]}, which cannot be converted to nats/token without {missing[kinds[0]]}: give it, --facts "
            f"{missing[kinds[0]]}=..."
        )
    converted, done = loss.copy(), []
    for kind in kinds:
        rows, unit = units == kind, UNITS[kind]
        with np.errstate(all="ignore"):
            nats = unit.nats(loss[rows])
        if unit.pieces:
            given = pieces[unit.pieces]
            nats = nats * (given if isinstance(given, float | int) else given[rows])
        converted[rows] = nats
        if kind != "nats/token":
            factor = " and ".join(filter(None, ("ln 2" if kind.startswith("bits") else "", unit.pieces)))
            made = "its logarithm" if kind == "perplexity" else f"times {factor}"
            done.append(
                f"loss in {kind} {made} is nats/token"
                if kind != "perplexity"
                else "the logarithm of the perplexity is nats/token"
            )
    return converted, "nats/token", done
