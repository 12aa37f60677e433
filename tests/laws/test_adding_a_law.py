"""Adding a law touches one file: a module with one function is all a new law needs to be fitted."""

from __future__ import annotations

import importlib.util
import sys

import numpy as np
import pandas as pd
import pytest

from bayes_scaling.errors import UnknownName
from bayes_scaling.inference import build_model
from bayes_scaling.laws import LAWS, law
from bayes_scaling.model.document import read_model
from bayes_scaling.runs.table import read_runs

MODULE = '''
from typing import Annotated

from bayes_scaling.laws.law import Exponent, Loss, Value, coefficient, law


@law(output="loss", source="kaplan2020", equation="none, an example")
def root(N: Value, *, E: Loss, A: Annotated[Value, coefficient("N", 0.5)]) -> Value:
    """Half a power, E + A N^-0.5."""
    return E + A * N**-0.5
'''
DOCUMENT = """
law = "root"
[parameters]
E = { prior = { dist = "LogNormal", mu = 0.5, sigma = 0.5 } }
A = { prior = { dist = "LogNormal", mu = 0.0, sigma = 1.0 } }
[likelihood]
dist = "Normal"
sigma = { dist = "HalfNormal", sigma = 0.05 }
"""


@pytest.fixture
def with_a_new_law(tmp_path, monkeypatch):
    path = tmp_path / "a_new_law.py"
    path.write_text(MODULE)
    spec = importlib.util.spec_from_file_location("a_new_law", path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "a_new_law", module)
    spec.loader.exec_module(module)
    yield tmp_path
    del LAWS["root"]


def test_one_function_is_listed_documented_and_built(with_a_new_law):
    assert LAWS["root"].formula == "E + A * N ** (-0.5)"
    assert LAWS["root"].inputs == ("N",)
    document = with_a_new_law / "root.toml"
    document.write_text(DOCUMENT)
    runs = read_runs(pd.DataFrame({"params": [1e8, 1e9, 1e10], "loss": [3.0, 2.5, 2.2]}))
    model = build_model(read_model(document), runs)
    point = model.initial_point()
    assert np.isfinite(model.compile_logp()(point))
    # At the reference, the term is what the prior says, whatever the unit of N.
    assert {"E", "A", "A_at_reference", "sigma"} <= set(model.named_vars)


def test_a_taken_name_and_an_unknown_without_a_kind_are_refused():
    def chinchilla(N, *, E):
        return E

    chinchilla.__module__ = "elsewhere"
    with pytest.raises(TypeError, match="already"):
        law(output="loss", source="x", equation="y")(chinchilla)

    def nameless(N, *, E):
        return E

    with pytest.raises(TypeError, match="annotate E with its kind"):
        law(output="loss", source="x", equation="y")(nameless)


def test_a_wrong_name_is_a_sentence():
    with pytest.raises(UnknownName, match="did you mean 'chinchilla'"):
        LAWS["chinchila"]
