"""Numbers of the page are written as those of a sentence."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest

from bayes_scaling.wording import flop, percent, probability, short
from tests.javascript import evaluated


@pytest.mark.parametrize(
    ("write", "values"),
    [
        (short, [4.406e-5, 0.0001, 0.000128, 0.5, 1.0, 20.94, 999.4, 999.6, 1234.0, 7.03e10, 1.4e12]),
        (flop, [1.16e11, 6.26e13, 1e14, 5.76e23]),
        (percent, [0.9, 0.444, 1.0, 0.0]),
        (probability, [0.0, 0.004, 0.0101, 0.5, 0.9899, 0.9972, 1.0]),
    ],
)
def test_numbers_are_written_as_in_python(write, values):
    program = files("bayes_scaling.service").joinpath("static/words.js").read_text("utf-8").replace("export ", "")
    assert evaluated(f"{program}\nreturn {json.dumps(values)}.map({write.__name__})") == [write(value) for value in values]
