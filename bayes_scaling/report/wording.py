"""How the report writes a number."""

from __future__ import annotations

from bayes_scaling.quantities import BY_COLUMN


def axis_label(column: str) -> str:
    """Return a quantity as an axis has it: symbol and unit."""
    quantity = BY_COLUMN.get(column)
    return f"{quantity.symbol} ({quantity.unit})" if quantity else column


def number(value: float) -> str:
    """Write a number to three digits."""
    return f"{value:.3g}" if 1e-3 <= abs(value) < 1e4 else f"{value:.2e}"


def percent(prob: float) -> str:
    """Write a probability as people say it."""
    return f"{100 * prob:.3g} %"


def short(value: float) -> str:
    """Write a large number as people say it: 70.2B, 1.4T; compute as 5.76e23."""
    for factor, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M")):
        if factor <= value < 1e3 * factor:
            return f"{value / factor:.3g}{letter}"
    return f"{value:.3g}".replace("e+", "e")
