"""The contract of a law, for every law there is; a new one is tested by being there."""

from __future__ import annotations

import inspect
import re

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import xarray as xr

import bayes_scaling.inference.build  # noqa: F401 - teaches the laws about symbolic arrays
from bayes_scaling.files import DATA
from bayes_scaling.laws import LAWS, published, published_names
from bayes_scaling.quantities import QUANTITIES

ONE_TO_LOSS = [name for name, law in LAWS.items() if law.output == "loss"]
PLAIN = pytensor.compile.Mode(linker="py", optimizer=None)


def reference(law):
    """A point for every input, and for the inputs of the law whose parameters a derived one borrows."""
    symbols = [*law.inputs, *law.axes]
    return {symbol: 30.0 if symbol in law.best else 1e9 for symbol in symbols}


def parameters(law, scale=1.0):
    """Plausible values, stated at the reference point, so that every law is at home there.

    Where an exponent changes with an input, the published ones are.
    """
    if law.name in ("farseer", "moe"):
        return published(*published_names(law.name)).values
    there = {name: scale * (0.3 if kind.meaning == "an exponent" else 1.5) for name, kind in law.parameters.items()}
    return law.from_reference(there, reference(law))


def inputs(law, *, size=7):
    values = {"L": np.linspace(8.0, 12.0, size), "L_infinite": np.linspace(1.2, 1.9, size)}
    values |= {symbol: np.geomspace(5.0, 80.0, size) for symbol in law.inputs if symbol in law.best}
    return [values.get(name, np.geomspace(1e7, 1e11, size)) for name in law.inputs]


@pytest.mark.parametrize("name", LAWS)
def test_documentation_has_formula_source_and_example(name):
    law = LAWS[name]
    text = inspect.getdoc(law)
    assert ":math:" in text
    assert "Parameters\n----------" in text
    assert "Returns\n-------" in text
    assert ">>> " in text
    for word in (*law.inputs, *law.parameters):
        assert re.search(rf"^[\w, ]*\b{word}\b[\w, ]* : ", text, re.M), word
    assert f"{{{law.source}," in (DATA / "references.bib").read_text()
    assert law.equation


@pytest.mark.parametrize("name", LAWS)
def test_formula_is_the_code(name):
    law = LAWS[name]
    lines = law.formula.split("; ")
    known = dict(vars(inspect.getmodule(law.function))) | parameters(law) | dict(zip(law.inputs, inputs(law), strict=True))
    if any(line.startswith(("for ", "while ")) for line in lines):
        return  # M4 is solved step by step: its docstring has the equation
    for line in lines[:-1]:
        exec(line, known)
    np.testing.assert_allclose(eval(lines[-1], known), law(*inputs(law), **parameters(law)), rtol=1e-12)


@pytest.mark.parametrize("name", LAWS)
def test_floats_numpy_xarray_and_symbols_agree(name):
    law = LAWS[name]
    given, unknown = inputs(law), parameters(law)
    arrays = law(*given, **unknown)
    each = [law(*(float(x[i]) for x in given), **unknown) for i in range(len(given[0]))] if given else law(**unknown)
    named = law(*(xr.DataArray(x, dims="run") for x in given), **unknown)
    symbols = [pt.vector(n) for n in law.inputs], {n: pt.scalar(n) for n in law.parameters}
    graph = pytensor.function([*symbols[0], *symbols[1].values()], law(*symbols[0], **symbols[1]), mode=PLAIN)
    # A caller may hand over more than a law uses: the graph refuses what it does not need.
    symbolic = graph(*given, *unknown.values())
    for other in (each, named, symbolic):
        np.testing.assert_allclose(other, arrays, rtol=1e-11)


@pytest.mark.parametrize("name", LAWS)
def test_gradient_is_finite(name):
    law = LAWS[name]
    symbols = [pt.scalar(n) for n in (*law.inputs, *law.parameters)]
    given, unknown = (
        dict(zip(law.inputs, symbols, strict=False)),
        dict(zip(law.parameters, symbols[len(law.inputs) :], strict=True)),
    )
    slopes = pytensor.grad(law(*given.values(), **unknown), symbols)
    values = [float(x[3]) for x in inputs(law)] + [float(x) for x in parameters(law).values()]
    assert np.isfinite(pytensor.function(symbols, slopes, mode=PLAIN)(*values)).all()


@pytest.mark.parametrize("name", ONE_TO_LOSS)
def test_loss_falls_with_every_resource(name):
    law = LAWS[name]
    middle = [float(x[3]) for x in inputs(law)]
    if name == "moe":  # experts cost where data are few
        middle[law.inputs.index("D")] = 1e11
    for place, resource in enumerate(law.inputs):
        if resource in law.best:
            continue
        given = [np.geomspace(1e6, 1e12, 50) if i == place else x for i, x in enumerate(middle)]
        falls = np.diff(law(*given, **parameters(law))) < 0
        assert falls[:20].all(), resource
        # What is never seen, and what has been seen often enough, is worth nothing, or harmful.
        assert falls.all() or name.startswith("repeated"), resource


@pytest.mark.parametrize("name", ONE_TO_LOSS)
def test_a_shape_has_a_best_value(name):
    law = LAWS[name]
    for place, symbol in enumerate(law.inputs):
        if symbol in law.best:
            given = [np.geomspace(1e-2, 1e7, 101) if i == place else x[3] for i, x in enumerate(inputs(law))]
            loss = law(*given, **parameters(law))
            assert 0 < loss.argmin() < 100


@pytest.mark.parametrize("name", ONE_TO_LOSS)
def test_thirty_decades_are_sound(name):
    law = LAWS[name]
    given = [np.geomspace(1.0, 1e3 if symbol in law.best else 1e30, 61) for symbol in law.inputs]
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        loss = law(*given, **parameters(law))
    assert np.isfinite(loss).all()
    assert (loss > 0).all()


@pytest.mark.parametrize("name", LAWS)
def test_reference_and_back(name):
    law = LAWS[name]
    there = {n: 0.7 + 0.1 * i for i, n in enumerate(law.parameters)}
    back = law.at_reference(law.from_reference(there, reference(law)), reference(law))
    assert back == pytest.approx(there, rel=1e-12)


@pytest.mark.parametrize("name", LAWS)
def test_inputs_are_quantities(name):
    for symbol in LAWS[name].inputs:
        assert symbol in QUANTITIES or symbol in ("x", "E_min", "L_infinite")
