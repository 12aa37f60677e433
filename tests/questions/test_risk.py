"""Risk measures keep the promises their names make, on any draws."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from bayes_scaling.errors import UnknownChoice
from bayes_scaling.questions.risk import (
    chance_above,
    conditional_value_at_risk,
    disutility,
    expectation,
    quantile,
    risk_measure,
)

LOSSES = arrays.arrays(float, st.integers(2, 40), elements=st.floats(0.5, 10.0, width=32))
LEVEL = st.sampled_from([0.1, 0.5, 0.75, 0.9, 0.99])
COHERENT = [("mean", expectation), *((f"cvar:{p}", conditional_value_at_risk(p)) for p in (0.1, 0.5, 0.9, 0.97))]


def of(measure, losses):
    return float(measure(xr.DataArray(np.asarray(losses)[None], dims=("chain", "draw"))))


@pytest.mark.parametrize("measure", [m for _, m in COHERENT], ids=[n for n, _ in COHERENT])
@given(losses=LOSSES, others=st.randoms(use_true_random=False), by=st.floats(-0.4, 5.0), factor=st.floats(0.1, 5.0))
@settings(max_examples=40, deadline=None)
def test_a_coherent_measure_is_coherent(measure, losses, others, by, factor):
    second = np.array([others.uniform(0.5, 10.0) for _ in losses])
    here, there = of(measure, losses), of(measure, second)
    assert of(measure, np.maximum(losses, second)) >= max(here, there) - 1e-9  # monotone
    assert of(measure, losses + by) == pytest.approx(here + by, abs=1e-9)  # moves with a constant
    assert of(measure, factor * losses) == pytest.approx(factor * here, rel=1e-9)  # scales
    assert of(measure, losses + second) <= here + there + 1e-9  # never punishes mixing


@given(losses=LOSSES, level=LEVEL, by=st.floats(0.0, 3.0))
@settings(max_examples=40, deadline=None)
def test_quantiles_and_chances_are_monotone(losses, level, by):
    assert of(quantile(level), losses + by) >= of(quantile(level), losses) - 1e-12
    assert of(quantile(level), losses + by) == pytest.approx(of(quantile(level), losses) + by, abs=1e-9)
    assert of(chance_above(level * 10), losses + by) >= of(chance_above(level * 10), losses)


def test_a_quantile_is_not_subadditive():
    first, second = [0.0] * 9 + [10.0], [10.0] + [0.0] * 9
    measure = quantile(0.9 - 1e-9)
    assert of(measure, np.add(first, second)) > of(measure, first) + of(measure, second)


@given(losses=LOSSES, level=LEVEL)
@settings(max_examples=40, deadline=None)
def test_the_tail_is_between_its_quantile_and_the_worst(losses, level):
    tail = of(conditional_value_at_risk(level), losses)
    assert of(expectation, losses) - 1e-9 <= tail <= max(losses) + 1e-9
    # By brute force: of ten copies of each draw, the mean of the worst share (levels here are whole in a hundredth).
    copies = np.sort(np.repeat(losses, 100))[::-1]
    assert tail == pytest.approx(copies[: round((1 - level) * len(copies))].mean(), rel=1e-6)


def test_a_user_s_utility_is_what_is_made_large():
    losses = [1.0, 3.0]
    assert of(disutility(lambda loss: -loss), losses) == of(expectation, losses)
    steep = disutility(lambda loss: -np.exp(loss))
    assert of(steep, [2.0, 2.0]) < of(steep, losses)


@pytest.mark.parametrize(
    ("name", "expected"), [("mean", 3.0), ("median", 2.0), ("quantile:0.5", 2.0), ("exceed:1.5", 2 / 3), ("cvar:0.999", 6.0)]
)
def test_a_name_is_a_measure(name, expected):
    assert of(risk_measure(name), [1.0, 2.0, 6.0]) == pytest.approx(expected)


@pytest.mark.parametrize("name", ["exceed:-1", "exceed", "median:0.5", "cvar:1"])
def test_another_is_a_sentence(name):
    with pytest.raises(UnknownChoice):
        risk_measure(name)
