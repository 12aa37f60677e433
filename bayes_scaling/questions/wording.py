"""How sentences, reports and the command line write numbers: engineering suffixes, powers of ten for FLOP alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bayes_scaling.quantities import BY_COLUMN

_SUFFIXES = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K"))


def axis_label(column: str) -> str:
    """Return a quantity as an axis has it: symbol and unit."""
    quantity = BY_COLUMN.get(column)
    return f"{quantity.symbol} ({quantity.unit})" if quantity else column


def number(value: float) -> str:
    """Write a number to three digits.

    Examples
    --------
    >>> number(0.0123456), number(4.2e-6)
    ('0.0123', '4.20e-06')
    """
    return f"{value:.3g}" if 1e-3 <= abs(value) < 1e4 or value == 0 else f"{value:.2e}"


def percent(prob: float) -> str:
    """Write a probability, or a share, in per cent.

    Examples
    --------
    >>> percent(0.9), percent(0.123456)
    ('90 %', '12.3 %')
    """
    return f"{100 * prob:.3g} %"


def short(value: float) -> str:
    """Write an amount to three digits with the suffix K, M, B or T.

    Examples
    --------
    >>> [short(value) for value in (70.23e9, 1.4e12, 442_368, 999_900, 21.3, 3.1e16)]
    ['70.2B', '1.4T', '442K', '1M', '21.3', '31000T']
    """
    if not math.isfinite(value):
        return f"{value:g}"
    rounded = float(f"{value:.3g}")
    for factor, letter in _SUFFIXES:
        if abs(rounded) >= factor:
            return f"{rounded / factor:g}{letter}" if abs(rounded) < 1e18 else f"{rounded / factor:.3g}{letter}"
    return f"{rounded:g}"


def flop(value: float) -> str:
    """Write a compute to three digits in powers of ten.

    Examples
    --------
    >>> flop(5.76e23), flop(1e14)
    ('5.76e23 FLOP', '1e14 FLOP')
    """
    return f"{power(value)} FLOP"


def power(value: float) -> str:
    """Write a compute without its unit.

    Examples
    --------
    >>> power(5.76e23)
    '5.76e23'
    """
    return f"{value:.3g}".replace("e+", "e")


def credible(prob: float, lower: str, upper: str) -> str:
    """Write an interval whose ends are written already.

    Examples
    --------
    >>> credible(0.9, "1.2", "1.4")
    '90 % interval 1.2 to 1.4'
    """
    return f"{percent(prob)} interval {lower} to {upper}"


def listed(words: Sequence[str]) -> str:
    """Join words as a list in a sentence.

    Examples
    --------
    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
