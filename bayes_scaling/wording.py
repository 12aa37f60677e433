"""How sentences, reports and the command line write numbers: engineering suffixes for amounts, powers of ten for FLOP."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from bayes_scaling.quantities import BY_COLUMN, QUANTITIES

_SUFFIXES = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K"))


def axis_label(column: str) -> str:
    """Return a quantity as an axis has it: symbol and unit."""
    quantity = BY_COLUMN.get(column)
    return f"{quantity.symbol} ({quantity.unit})" if quantity else column


def number(value: float, digits: int = 3) -> str:
    """Write a number to some digits; one below 1e-4 or from a million on as a power of ten.

    >>> number(0.0123456), number(2071.0), number(4.2e-6), number(8.8e13), number(0.0123456, 2)
    ('0.0123', '2070', '4.2e-6', '8.8e13', '0.012')
    """
    rounded = f"{value:.{digits}g}"
    if 1e-4 <= abs(float(rounded)) < 1e6:
        return np.format_float_positional(float(rounded), trim="-")
    return _as_power(rounded)


def percent(prob: float) -> str:
    """Write a probability, or a share, in per cent.

    >>> percent(0.9), percent(0.123456)
    ('90 %', '12.3 %')
    """
    return f"{number(100 * prob)} %"


def probability(prob: float) -> str:
    """Write a probability that was counted in draws, to two digits: no count makes a thing sure, or impossible.

    >>> probability(0.4321), probability(0.001), probability(1.0)
    ('0.43', 'less than 0.01', 'more than 0.99')
    """
    if prob < 0.01:
        return "less than 0.01"
    return "more than 0.99" if prob > 0.99 else f"{prob:.2f}"


def short(value: float) -> str:
    """Write an amount to three digits with the suffix K, M, B or T.

    >>> [short(value) for value in (70.23e9, 1.4e12, 442_368, 999_900, 21.3, 3.1e16)]
    ['70.2B', '1.4T', '442K', '1M', '21.3', '31000T']
    """
    rounded = float(f"{value:.3g}")
    if math.isfinite(value):
        for factor, letter in _SUFFIXES:
            if abs(rounded) >= factor:
                return f"{number(rounded / factor)}{letter}"
    return number(rounded)


def amount(value: float, column: str) -> str:
    """Write a quantity: compute in powers of ten, everything else with a suffix.

    >>> amount(1e21, "compute_flops"), amount(2e9, "params")
    ('1e21', '2B')
    """
    return power(value) if column in BY_COLUMN and BY_COLUMN[column].unit == "FLOP" else short(value)


def with_unit(value: float, column: str) -> str:
    """Write a quantity and its unit; of what has no unit the column.

    >>> with_unit(1e21, "compute_flops"), with_unit(2e10, "tokens"), with_unit(4, "epochs")
    ('1e21 FLOP', '20B tokens', '4 epochs')
    """
    return f"{amount(value, column)} {BY_COLUMN[column].unit if column in BY_COLUMN else column}"


def coordinate(column: str, value: float) -> str:
    """Write where something lies: the symbol of a quantity and its amount.

    >>> coordinate("params", 2e9), coordinate("compute_flops", 1e21), coordinate("epochs", 4)
    ('N = 2B', 'C = 1e21', 'epochs = 4')
    """
    return f"{BY_COLUMN[column].symbol if column in BY_COLUMN else column} = {amount(value, column)}"


def point(values: Mapping[str, float], columns: Mapping[str, str]) -> str:
    """Write a point, such as the reference point, by symbols of which each is a column; what a law calls otherwise has its symbol, too.

    >>> point({"N": 2e9, "L": 2.5}, {"N": "params"}), point({"x": 1e21}, {"x": "compute_flops"})
    ('N = 2B, L = 2.5', 'x = C = 1e21')
    """
    return ", ".join(
        " = ".join((*_symbols(name, columns), amount(value, columns.get(name, "")))) for name, value in values.items()
    )


def _symbols(name: str, columns: Mapping[str, str]) -> tuple[str, ...]:
    quantity = BY_COLUMN.get(columns.get(name, ""))
    return (name,) if name in QUANTITIES or quantity is None else (name, quantity.symbol)


def flop(value: float) -> str:
    """Write a compute with its unit.

    >>> flop(5.76e23), flop(1e14)
    ('5.76e23 FLOP', '1e14 FLOP')
    """
    return f"{power(value)} FLOP"


def power(value: float) -> str:
    """Write a compute to three digits in powers of ten.

    >>> power(5.76e23), power(150000.0)
    ('5.76e23', '1.5e5')
    """
    return _as_power(f"{value:.3g}")


def duration(seconds: float) -> str:
    """Write how long work takes: seconds below a hundred, minutes above.

    >>> duration(42.3), duration(2500)
    ('42 seconds', '42 minutes')
    """
    return f"{seconds:.0f} seconds" if seconds < 100 else f"{seconds / 60:.0f} minutes"


def credible(prob: float, lower: str, upper: str) -> str:
    """Write an interval whose ends are written already.

    >>> credible(0.9, "1.2", "1.4")
    '90 % interval 1.2 to 1.4'
    """
    return f"{percent(prob)} interval {lower} to {upper}"


def _as_power(text: str) -> str:
    return text.replace("e+0", "e").replace("e+", "e").replace("e-0", "e-")
