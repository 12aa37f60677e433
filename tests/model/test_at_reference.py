"""A model whose priors are stated at the reference point of some rows: the same posterior on them, and the same priors on others."""

from __future__ import annotations

import numpy as np
import pytest

from bayes_scaling.model.density import LogDensity
from bayes_scaling.model.document import model_from_json, read_model, shipped_models
from bayes_scaling.model.layout import Layout
from bayes_scaling.posterior.examples import example_system
from tests.model.test_equivariance import density_of


@pytest.mark.parametrize("name", shipped_models())
def test_the_density_on_these_rows_is_the_same(name):
    density = density_of(name)
    tables = {each: rows.table for each, rows in density.layout.rows.items()}
    there = density.layout.model.at_reference(density.layout.reference)
    stated = LogDensity(Layout.of(model_from_json(there.to_json()), tables))
    points = density.start + 0.1 * np.random.default_rng(0).standard_normal((3, density.size))
    np.testing.assert_allclose(stated.of(points), density.of(points), rtol=1e-12)


def test_priors_stay_where_they_are_on_other_rows():
    model = read_model("kappa")
    table = density_of("kappa").layout.only.table
    layout = Layout.of(model, {"loss": table})
    other = Layout.of(model.at_reference(layout.reference), {"loss": table.assign(loss=2 * table["loss"])})
    assert other.units == layout.units
    assert other.reference == layout.reference
    assert Layout.of(model, {"loss": other.only.table}).units["E"] == pytest.approx(2 * layout.units["E"])


def test_one_observation_of_a_system_has_the_priors_of_the_system():
    system = example_system().layout
    assert system.units
    for name in system.rows:
        alone = example_system().view(name).layout
        assert alone.units == {each: unit for each, unit in system.units.items() if each in alone.model.parameters}


def test_a_prior_in_the_unit_of_the_table_stays_apart_from_those_on_multiples():
    model, table = read_model("chinchilla").pinned({"E": "1.69+-0.02"}), density_of("chinchilla").layout.only.table
    layout = Layout.of(model, {"loss": table})
    there = Layout.of(model.at_reference(layout.reference), {"loss": table})
    assert layout.terms == there.terms == ()
    assert layout.units == there.units
