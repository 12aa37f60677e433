"""Printed answers on two machines: the same words, and the same numbers but for Monte Carlo error.

Machines differ in the last digit of a sum, and so in every draw after the first that is decided by it: two are two samples of one
posterior. With 2,000 effective draws the end of a 90 % interval has a standard error of .047 standard deviations: .0013 of a loss
that is forecast to 2 %, and 2 % of a size whose interval spans a factor of three. A share of the variance has one of 1.2 points,
as eight seeds have shown. Allowed is four times that, and a unit of the last digit.
"""

from __future__ import annotations

import re

import pytest

NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e[+-]?\d+)?(?: %)?")
_DECIMALS_OF_A_LOSS = 4
_SHARE = 5.0
"""Points that a whole percentage may be off."""


def assert_same(printed: str, expected: str) -> None:
    """Agree in every word, and in every number to its tolerance."""
    assert NUMBER.sub("#", printed).split() == NUMBER.sub("#", expected).split()
    for shown, wanted in zip(NUMBER.findall(printed), NUMBER.findall(expected), strict=True):
        assert _value(shown) == pytest.approx(_value(wanted), rel=0, abs=_tolerance(wanted)), printed


def _value(number: str) -> float:
    return float(number.removesuffix(" %"))


def _tolerance(number: str) -> float:
    decimals = len(number.removesuffix(" %").partition("e")[0].partition(".")[2])
    if number.endswith(" %") and not decimals:
        return _SHARE
    return 0.005 if decimals >= _DECIMALS_OF_A_LOSS else max(0.08 * abs(_value(number)), 10.0**-decimals)
