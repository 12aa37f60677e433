"""Every law at fifty digits: its values over thirty decades, and its gradient."""

from __future__ import annotations

import mpmath
import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest

from bayes_scaling import elementwise
from bayes_scaling.laws import LAWS
from tests.laws.test_every_law import PLAIN, inputs, parameters

DIGITS = 50
_TINY = mpmath.mpf(10) ** -20


@pytest.fixture(autouse=True)
def fifty_digits():
    """Teach the laws about numbers of fifty digits."""
    numbers = {
        elementwise.exp: mpmath.exp,
        elementwise.log: mpmath.log,
        elementwise.expm1: mpmath.expm1,
        elementwise.log1p: mpmath.log1p,
        elementwise.softplus: lambda x: mpmath.log1p(mpmath.exp(x)),
        elementwise.minimum: lambda x, y: min(x, y),
    }
    for function, exact in numbers.items():
        function.register(mpmath.mpf, exact)
    with mpmath.workdps(DIGITS):
        yield


def middle(law):
    """Return inputs inside the domain of a law; data of which some are repeated are seen a few times."""
    given = dict(zip(law.inputs, (float(x[3]) for x in inputs(law)), strict=True))
    if {"D", "D_unique"} <= set(given):
        given["D"] = 4 * given["D_unique"]
    if law.name == "useful_tokens":  # near the best rate and batch, of which nothing is left far away
        given |= {"lr": 2.0, "B": 3.0}
    return list(given.values())


def exact(values):
    return {name: mpmath.mpf(float(value)) for name, value in values.items()}


def shares_of_change(law, given, unknown):
    """Return, for every number of a law, how many per cent of the value one per cent of it is worth, at fifty digits."""
    numbers = [*given, *unknown.values()]

    def value(shifted):
        return law.function(*shifted[: len(given)], **dict(zip(unknown, shifted[len(given) :], strict=True)))

    at = value(numbers)
    shares = []
    for place, number in enumerate(numbers):
        up, down = ([*numbers[:place], number * factor, *numbers[place + 1 :]] for factor in (1 + _TINY, 1 - _TINY))
        shares.append((value(up) - value(down)) / (2 * _TINY * at))
    return shares


@pytest.mark.parametrize("name", LAWS)
def test_values_over_thirty_decades(name):
    law = LAWS[name]
    unknown = parameters(law)
    ends = {symbol: (1.0, 1e3) if symbol in law.best else (1.0, 1e30) for symbol in law.inputs}
    ends |= {"L": (8.0, 1e30), "L_infinite": (1.2, 1.9)}
    for place in np.linspace(0, 1, 31):
        given = [
            float(np.exp((1 - place) * np.log(low) + place * np.log(high))) for low, high in (ends[s] for s in law.inputs)
        ]
        with np.errstate(all="ignore"):
            found = float(law.function(*map(np.float64, given), **unknown))
        numbers = [mpmath.mpf(value) for value in given]
        if name == "compute_to_loss" and numbers[1] <= LAWS["kaplan_n"].function(
            numbers[0], **{n: exact(unknown)[n] for n in ("N_c", "alpha_N", "E")}
        ):
            continue  # a loss below the converged one of the size is never reached
        true = law.function(*numbers, **exact(unknown))
        if abs(true) < 1e-300:
            assert abs(found) < 1e-300
            continue
        # A float has its inputs to a relative error of 1.1e-16: what that is worth is no fault of the law.
        worth = sum(abs(share) for share in shares_of_change(law, numbers, exact(unknown)))
        assert abs(found / true - 1) < 2e-15 * (4 + worth + abs(mpmath.log(abs(true)))), (given, found, true)


@pytest.mark.parametrize("name", LAWS)
def test_gradients(name):
    law = LAWS[name]
    values = middle(law)
    unknown = {label: float(value) for label, value in parameters(law).items()}
    symbols = [pt.scalar(label) for label in (*law.inputs, *unknown)]
    of_law = law(*symbols[: len(values)], **dict(zip(unknown, symbols[len(values) :], strict=True)))
    slopes = pytensor.function(symbols, pytensor.grad(of_law, symbols), mode=PLAIN)(*values, *unknown.values())
    numbers = [mpmath.mpf(value) for value in values]
    at = law.function(*numbers, **exact(unknown))
    shares = shares_of_change(law, numbers, exact(unknown))
    for label, slope, share, value in zip(
        (*law.inputs, *unknown), slopes, shares, (*values, *unknown.values()), strict=True
    ):
        found = float(slope) * value / float(at)
        assert found == pytest.approx(float(share), rel=1e-9, abs=1e-12), label
