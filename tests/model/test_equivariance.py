"""Units do not matter: other units of loss, size and data multiply the answer, and change nothing else."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bayes_scaling.model.density import LogDensity
from bayes_scaling.model.document import read_model, shipped_models
from bayes_scaling.model.layout import Layout
from bayes_scaling.model.tables import tables_of

FACTORS = st.floats(1e-3, 1e3)
OF_SIZE = ("params", "params_total")
OF_TOKENS = ("tokens", "dataset_tokens", "batch_tokens", "noise_tokens", "noise_tokens_se")
GRID = pd.DataFrame(
    {
        "params": np.repeat(np.geomspace(1e7, 1e10, 5), 4),
        "params_total": np.repeat(np.geomspace(1e7, 1e10, 5), 4) * np.tile([1.0, 2.0, 5.0, 9.0], 5),
        "tokens": np.tile(np.geomspace(1e9, 1e11, 4), 5),
        "dataset_tokens": np.tile([1e9, 5e9, 1e10, 1e11], 5),
        "loss": np.linspace(4.0, 2.2, 20) * np.exp(0.01 * np.sin(np.arange(20.0))),
        "loss_se": 0.01,
        "group": list("aabbccabba") * 2,
        "run_id": [f"r{n // 2}" for n in range(20)],
    }
).assign(compute_flops=lambda table: 6 * table["params"] * table["tokens"])


@cache
def density_of(name: str) -> LogDensity:
    model = read_model(name)
    of_runs = model.is_one and model.only.table == "runs"
    return LogDensity(Layout.of(model, {model.only.name: GRID} if of_runs else tables_of(model, "ladder")))


def in_other_units(table: pd.DataFrame, loss: float, size: float, tokens: float) -> pd.DataFrame:
    by = dict.fromkeys(OF_SIZE, size) | dict.fromkeys(OF_TOKENS, tokens)
    by |= {"loss": loss, "loss_se": loss, "compute_flops": size * tokens, "lr": size}
    return table.assign(**{column: table[column] * factor for column, factor in by.items() if column in table})


@pytest.mark.parametrize("name", shipped_models())
@settings(max_examples=5, deadline=None)
@given(loss=FACTORS, size=FACTORS, tokens=FACTORS)
@example(loss=1.0, size=0.103, tokens=1.0)  # which of two equal gaps between sizes is the wider was decided by rounding
def test_other_units_change_nothing_but_the_unit(name, loss, size, tokens):
    if name == "farseer":  # a form of tokens, and of no other unit of data: its exponent of D changes with the size
        tokens = 1.0
    density = density_of(name)
    rows = density.layout.rows
    other = LogDensity(
        Layout.of(read_model(name), {n: in_other_units(each.table, loss, size, tokens) for n, each in rows.items()})
    )
    assert [c.name for c in other.coordinates] == [c.name for c in density.coordinates]
    points = density.start + 0.1 * np.random.default_rng(0).standard_normal((3, density.size))
    for ours, theirs in zip(density.parts(points), other.parts(points), strict=True):
        assert np.isfinite(ours).all()
        np.testing.assert_allclose(theirs - theirs[0], ours - ours[0], atol=1e-6 * (1 + abs(ours).max()))
    draws, others = density.draws(points, (1, 3)), other.draws(points, (1, 3))
    for parameter, symbol in density.layout.model.units.items():
        if symbol == "L" and parameter in draws and not density.layout.model.kinds[parameter].moves:
            np.testing.assert_allclose(others[parameter], loss * draws[parameter], rtol=1e-9)


@pytest.mark.parametrize("name", ["kappa", "chinchilla", "kappa_by_group_forecast"])
def test_the_order_of_rows_does_not_matter(name):
    density = density_of(name)
    (table,) = (rows.table for rows in density.layout.rows.values())
    order = np.random.default_rng(1).permutation(len(table))
    shuffled = LogDensity(Layout.of(read_model(name), {"loss": table.iloc[order].reset_index(drop=True)}))
    points = density.start + 0.1 * np.random.default_rng(0).standard_normal((3, density.size))
    np.testing.assert_allclose(shuffled.of(points), density.of(points), rtol=1e-9)


def test_a_column_twice_under_another_name_does_not_matter():
    density = density_of("kappa")
    twice = LogDensity(Layout.of(read_model("kappa"), {"loss": GRID.assign(loss_again=GRID["loss"], N=GRID["params"])}))
    points = density.start + 0.1 * np.random.default_rng(0).standard_normal((3, density.size))
    np.testing.assert_array_equal(twice.of(points), density.of(points))
