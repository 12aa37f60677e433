"""The JavaScript of every law says what the law says."""

from __future__ import annotations

import numpy as np
import pytest

from bayes_scaling.errors import InvalidSpecification
from bayes_scaling.laws import LAWS
from bayes_scaling.laws.javascript import javascript, javascript_of
from bayes_scaling.laws.law import Loss, Value, law
from tests.javascript import evaluated
from tests.laws.test_every_law import inputs, parameters

POINTS = 50


def random_points(law, rng):
    """Inputs over many decades, and parameters around plausible ones; an optional one is given, too."""
    there = inputs(law, size=POINTS)
    unknown = {name: value * np.exp(0.02 * rng.standard_normal(POINTS)) for name, value in parameters(law).items()}
    return [rng.permutation(x) * np.exp(0.02 * rng.standard_normal(POINTS)) for x in there], unknown


def test_every_law_is_the_same_in_javascript():
    rng = np.random.default_rng(0)
    points = {name: random_points(law, rng) for name, law in LAWS.items()}
    calls = []
    for name, (given, unknown) in points.items():
        rows = np.column_stack([*given, *unknown.values()]).tolist()
        calls.append(f"{name!r}: {rows!r}.map(row => ({javascript_of(LAWS[name])})(...row))")
    theirs = evaluated(f"return {{{','.join(calls)}}}")
    assert set(theirs) == set(LAWS)
    for name, (given, unknown) in points.items():
        ours = LAWS[name](*given, **unknown)
        assert np.isfinite(ours).mean() > 0.5, name
        there = np.array(theirs[name], float)
        np.testing.assert_allclose(there, ours, rtol=1e-9, err_msg=name, equal_nan=True)


def test_words_of_the_language_may_be_names():
    function = javascript(lambda x, y, z: x**-y + 2 / z, ["delete", "new", "λ"])
    assert evaluated(f"return ({function})(4, 0.5, 8)") == 0.75


def test_numbers_are_exact_and_signs_stay_where_they_are():
    function = javascript(lambda x: [-1e300 * x, x - -0.1, 2**40 + x, abs(-x) / np.float64(3.0), -(x**2), 7.0], ["x"])
    assert evaluated(f"return ({function})(2)") == [-2e300, 2.1, 2**40 + 2, 2 / 3, -4, 7]


@pytest.mark.parametrize(
    "body",
    [
        lambda x: x if x > 1 else 1 / x,
        lambda x: np.exp(x),
        lambda x: x + np.ones(2),
        lambda x: x.clip(0),
        lambda x: "no number",
    ],
)
def test_what_no_law_may_do_is_refused_in_a_sentence(body):
    with pytest.raises(InvalidSpecification, match=r"\.$"):
        javascript(body, ["x"])


def test_a_law_from_outside_has_javascript_by_being_there():
    try:

        @law(output="loss", source="ours", equation="none")
        def halving(N: Value, *, E: Loss) -> Value:
            """Loss of a model of N parameters."""
            return E * 0.5**N

        assert evaluated(f"return ({javascript_of(halving)})(3, 2)") == 0.25
    finally:
        LAWS.pop("halving", None)
