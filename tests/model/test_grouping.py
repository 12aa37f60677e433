from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bayes_scaling.errors import InvalidGrouping
from bayes_scaling.inference import build_model
from bayes_scaling.model.document import read_model
from bayes_scaling.model.grouping import Groups, effects_at
from bayes_scaling.runs.table import read_runs

DOCUMENT = """
law = "kaplan_n"
[parameters.N_c]
prior = {{ dist = "LogNormal", mu = 1.1, sigma = 0.5 }}
varies_by = {varies_by}
spread = {{ dist = "LogNormal", mu = -2.0, sigma = 0.7 }}
[parameters.alpha_N]
prior = {{ dist = "LogNormal", mu = -2.5, sigma = 0.6 }}
[likelihood]
dist = "StudentT"
nu = 4.0
sigma = {{ dist = "HalfNormal", sigma = 0.05 }}
"""
TABLE = pd.DataFrame(
    {
        "params": np.geomspace(1e7, 1e9, 6),
        "loss": 3.0,
        "corpus": ["C4", "C4", "Pile", "Pile", "Pile", "C4"],
        "arch": ["a", "b", "a", "b", "a", "a"],
    }
)


def groups_of(model, table):
    return Groups.of(model.group_columns, model.groupings, table)


@pytest.fixture
def spec(tmp_path, request):
    path = tmp_path / "grouped.toml"
    path.write_text(DOCUMENT.format(varies_by=request.param))
    return read_model(path)


@pytest.mark.parametrize("spec", ['["corpus", "arch"]'], indirect=True)
def test_crossed_groups(spec):
    groups = groups_of(spec, TABLE)
    assert groups.names == ["C4:a", "C4:b", "Pile:a", "Pile:b"]
    assert groups.factor_levels("arch") == ["a", "b"]
    model = build_model(spec, read_runs(TABLE))
    assert {"N_c_spread_corpus", "N_c_spread_arch"} <= set(model.named_vars)
    assert model.named_vars_to_dims["N_c"] == ("corpus_arch",)
    assert model.coords["corpus_arch"] == tuple(groups.names)


@pytest.mark.parametrize("spec", ['["corpus", "corpus:arch"]'], indirect=True)
def test_nested_groups(spec):
    groups = groups_of(spec, TABLE)
    assert groups.factor_levels("corpus:arch") == ["C4:a", "C4:b", "Pile:a", "Pile:b"]
    draws = xr.Dataset(
        {
            "N_c_effect_corpus": (("chain", "draw", "corpus"), [[[0.1, 0.2]]]),
            "N_c_spread_corpus": (("chain", "draw"), [[0.5]]),
            "N_c_effect_corpus_arch": (("chain", "draw", "corpus_arch"), [[[1.0, 2.0, 3.0, 4.0]]]),
            "N_c_spread_corpus_arch": (("chain", "draw"), [[0.5]]),
        },
        coords={"corpus": ["C4", "Pile"], "corpus_arch": ["C4:a", "C4:b", "Pile:a", "Pile:b"]},
    )
    assert [
        float(e.item())
        for e in effects_at(spec.parameters["N_c"].varies_by, "N_c", {"corpus": "Pile", "arch": "b"}, draws, 0)
    ] == [0.2, 4.0]
    known, fresh = effects_at(spec.parameters["N_c"].varies_by, "N_c", {"corpus": "Pile", "arch": "new"}, draws, 0)
    assert float(known.item()) == 0.2
    assert float(fresh.item()) not in (1.0, 2.0, 3.0, 4.0)
    # A new corpus is one corpus, whatever architecture is asked for in it.
    a, b = (
        effects_at(spec.parameters["N_c"].varies_by, "N_c", {"corpus": "new", "arch": arch}, draws, 0)[0].item()
        for arch in "ab"
    )
    assert a == b


@pytest.mark.parametrize("labels", [("1", "10"), ("a", "a-b"), ("C4", "C4 clean")])
@pytest.mark.parametrize("spec", ['["corpus", "corpus:arch"]'], indirect=True)
def test_groups_and_levels_have_one_order(spec, labels):
    table = TABLE.assign(corpus=list(labels) * 3)
    groups = groups_of(spec, table)
    assert groups.factor_levels("corpus:arch") == groups.names
    assert groups.labels("corpus:arch") == groups.names
    assert [groups.names[i] for i in groups.of_run] == [
        f"{c}:{a}" for c, a in zip(table["corpus"], table["arch"], strict=True)
    ]


@pytest.mark.parametrize("spec", ['"corpus"'], indirect=True)
def test_a_missing_group_is_a_sentence(spec):
    with pytest.raises(InvalidGrouping, match=r"'corpus'.*params, loss"):
        groups_of(spec, TABLE[["params", "loss"]])
    with pytest.raises(InvalidGrouping, match="row 2"):
        groups_of(spec, TABLE.assign(corpus=["C4", None, "C4", "C4", "C4", "C4"]))


def test_numbers_as_labels_have_one_spelling():
    spec = read_model("chinchilla_by_group")
    tables = [pd.DataFrame({"group": labels}) for labels in ([1, 2], [1.0, 2.0], ["1", "2"])]
    assert [groups_of(spec, table).names for table in tables] == [["1", "2"]] * 3
    assert groups_of(spec, pd.DataFrame({"group": [True, False]})).names == ["false", "true"]
