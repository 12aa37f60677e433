"""Conditions are parsed and never run: what they keep, and everything hostile refused."""

from __future__ import annotations

import builtins
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bayes_scaling as bs
from bayes_scaling.errors import BadCells, InvalidCondition, NoRows
from bayes_scaling.runs.condition import rows_where

TABLE = pd.DataFrame(
    {
        "params": [1e8, 1e9, 1e10, np.nan],
        "tokens": [2e9, 2e9, 2e10, 1e9],
        "series": ["a", "b", "b", None],
        "checkpoint": [True, False, False, False],
        "odd name": [1.0, 2.0, 3.0, 4.0],
    }
)


def kept(condition: str) -> list[int]:
    return np.flatnonzero(rows_where(condition, TABLE, "runs")).tolist()


@pytest.mark.parametrize(
    ("condition", "rows"),
    [
        ("params < 5e9", [0, 1]),
        ("1e8 < params <= 1e10", [1, 2]),
        ("series in ['b', 'c'] and not checkpoint", [1, 2]),
        ("series == 'a' or tokens > 1e10", [0, 2]),
        ("(series == 'b') & (params > 1e9)", [2]),
        ("tokens / params > 1.5", [0, 1, 2]),
        ("params == None", [3]),
        ("series != None", [0, 1, 2]),
        ("`odd name` >= 3", [2, 3]),
        ("~checkpoint", [1, 2, 3]),
        ("not (params < 5e9)", [2]),
        ("not (params / (`odd name` - 2) < 0)", [2]),  # nor is a quotient by zero less than anything, or more
        ("1 / (tokens - 2e9) > 0", [2]),
    ],
)
def test_what_a_condition_keeps(condition, rows):
    assert kept(condition) == rows


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20), st.floats(-1e6, 1e6), st.sampled_from(["<", "<=", ">", "!="])
)
def test_it_keeps_what_pandas_keeps(values, limit, sign):
    table = pd.DataFrame({"x": values})
    wanted = table.eval(f"x {sign} {limit!r}").to_numpy(bool)
    if wanted.any():
        assert (rows_where(f"x {sign} {limit!r}", table, "runs") == wanted).all()


HOSTILE = [
    "__import__('os').system('touch pwned')",
    "@pd.io.common.os.system('touch pwned')",
    "params.__class__.__mro__",
    "params.map(print)",
    "[x for x in (1, 2)] == 1",
    "(lambda: 1)() == 1",
    "(params := 3) == 3",
    "f'{params}' == 'x'",
    "params[0] == 1",
    "9**9**9**9 < params",
    "params ** 1e9 < 3",
    "(" * 10_000 + "params" + ")" * 10_000 + " < 1",
    "params < 1" + " or params < 1" * 100_000,
    "params \x00 < 1",
    "open('pwned', 'w')",
    "{1: 2} == params",
    "params if params else params",
    "params < 1; import os",
    "params < 1\nimport os",
]


@pytest.mark.parametrize("condition", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_condition_is_refused_and_nothing_runs(condition, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def never(*_args, **_kwargs):
        raise AssertionError("something ran")

    for name in ("eval", "exec"):
        monkeypatch.setattr(builtins, name, never)
    for name in ("query", "eval"):
        monkeypatch.setattr(pd.DataFrame, name, never)
    with pytest.raises(InvalidCondition):
        rows_where(condition, TABLE, "runs")
    assert not list(tmp_path.iterdir())


def test_a_hostile_document_is_refused_where_its_rows_are_asked_for(tmp_path):
    text = bs.read_model("critical_batch").to_toml()
    document = tmp_path / "model.toml"
    hostile = f"__import__('os').system('touch {tmp_path / 'pwned'}')"
    document.write_text(re.sub(r"where = .*", lambda _: f'where = """{hostile}"""', text))
    with pytest.raises(InvalidCondition, match="a call"):
        bs.build_model(bs.read_model(document), bs.load_runs("ladder"))
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize(
    ("condition", "kind", "named"),
    [
        ("parms < 1", InvalidCondition, "did you mean 'params'"),
        ("params", InvalidCondition, "character 1"),
        ("params == 'small'", InvalidCondition, "params"),
        ("params < 1", NoRows, "params < 1"),
        ("params = 1", InvalidCondition, "=="),
        ("series in 'abc'", InvalidCondition, "brackets"),
    ],
)
def test_a_mistake_is_a_sentence(condition, kind, named):
    with pytest.raises(kind, match=named):
        rows_where(condition, TABLE, "runs")


def test_rows_are_left_out_before_they_are_checked():
    crashed = pd.DataFrame(
        {
            "params": [1e8, 1e9, 1e10],
            "tokens": 2e10,
            "loss": [3.0, np.nan, 2.5],
            "state": ["finished", "crashed", "finished"],
        }
    )
    runs = bs.read_runs(crashed, where="state == 'finished' and compute_flops > 1e10")
    assert runs.table["params"].tolist() == [1e8, 1e10]
    assert runs.origin[-2:] == ("--where", "state == 'finished' and compute_flops > 1e10")
    bad = crashed.assign(loss=[3.0, np.nan, -1.0])
    with pytest.raises(BadCells, match="row 3, loss"):
        bs.read_runs(bad, where="state == 'finished'")
