"""Any model by the groups of a column: the document, and what a fit of it says."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import bayes_scaling as bs
from bayes_scaling.errors import InvalidGrouping, InvalidModel
from bayes_scaling.laws.law import EXPONENT
from bayes_scaling.model.document import Model, model_from_json, read_model, shipped_models
from tests.command import command  # noqa: F401 - a fixture

OF_ONE = [name for name in shipped_models() if read_model(name).is_one and not read_model(name).groupings]


@pytest.mark.parametrize("name", OF_ONE)
def test_every_shipped_model_of_one_law_has_groups_and_is_a_document_like_any_other(name, tmp_path):
    model = read_model(name)
    by = model.by("variant")
    assert by.groupings == ("variant",)
    assert model_from_json(by.to_json()).digest == by.digest != model.digest
    path = tmp_path / "by.toml"
    path.write_text(by.to_toml(), encoding="utf-8")
    assert read_model(path).digest == by.digest
    shared = model.by("variant", shared_exponents=True)
    varies = {n for n, parameter in by.parameters.items() if parameter.varies_by}
    exponents = {n for n, kind in by.kinds.items() if kind == EXPONENT}
    assert {n for n, parameter in shared.parameters.items() if parameter.varies_by} == varies - exponents
    assert all(walk.by == ("variant",) for walk in by.discrepancy.values())
    assert {n: p.prior for n, p in by.parameters.items()} == {n: p.prior for n, p in model.parameters.items()}


def test_it_is_the_shipped_model_by_group_but_for_its_noise():
    shipped, made = read_model("kappa_by_group_forecast"), read_model("kappa").by("group")
    assert {n: p.varies_by for n, p in made.parameters.items()} == {n: p.varies_by for n, p in shipped.parameters.items()}
    assert {n: walk.by for n, walk in made.discrepancy.items()} == {n: walk.by for n, walk in shipped.discrepancy.items()}


def test_rows_of_two_groups_are_no_repeats_of_one_recipe():
    assert read_model("kappa").by("tokenizer").noise["recipe"].by[-1] == "tokenizer"


def test_what_has_no_groups_to_be_is_refused():
    with pytest.raises(InvalidModel, match="varies by group already"):
        read_model("kappa_by_group").by("variant")
    with pytest.raises(InvalidModel, match="several observations"):
        read_model("kaplan_system").by("variant")
    fixed = {"law": "kaplan_n", "parameters": {"N_c": {"fixed": 8.8e13}, "alpha_N": {"fixed": 0.076}}}
    only = Model.model_validate(fixed | {"likelihood": {"dist": "Normal", "sigma": {"dist": "HalfNormal", "sigma": 0.05}}})
    with pytest.raises(InvalidGrouping, match="kaplan_n"):
        only.by("variant")


def schedules() -> pd.DataFrame:
    """Six amounts of data under two schedules: offsets that differ by .12, one exponent, a thousandth of scatter."""
    tokens = np.geomspace(5e8, 2e10, 6)
    rng = np.random.default_rng(2)
    tables = [
        pd.DataFrame(
            {
                "schedule": name,
                "tokens": tokens,
                "loss": (offset + 0.5 * (tokens / 3e9) ** -0.39) * np.exp(1e-3 * rng.standard_normal(6)),
            }
        )
        for name, offset in (("constant", 3.22), ("linear", 3.10))
    ]
    return pd.concat(tables, ignore_index=True)


@pytest.mark.parametrize(
    ("change", "by", "said"),
    [
        (lambda t: t, "schedules", "no column 'schedules' to fit by; did you mean 'schedule'"),
        (lambda t: t, "tokens", "tokens is a quantity of the runs"),
        (lambda t: t[t["schedule"] == "linear"], "schedule", "Every run has the schedule 'linear'"),
        (lambda t: t.assign(schedule=range(len(t))), "schedule", "Every run has a different schedule"),
        (lambda t: t.assign(schedule=t["schedule"].where(t.index != 3)), "schedule", "schedule is missing in row 4"),
        (lambda t: t.assign(schedule=t["schedule"].where(t.index != 3, " ")), "schedule", "schedule is missing in row 4"),
    ],
)
def test_a_column_that_has_no_groups_is_refused(change, by, said):
    with pytest.raises(InvalidGrouping, match=said):
        bs.fit(change(schedules()), "offset_d", by=by)


def test_two_schedules_have_their_own_level_and_one_exponent(command, tmp_path):  # noqa: F811
    schedules().to_csv(tmp_path / "runs.csv", index=False)
    fitted = command("fit", tmp_path / "runs.csv", "--by", "schedule", "--seed", "1", "--out", tmp_path / "fit.nc")
    assert fitted.code == 0, fitted.err
    fit = bs.load_fit(tmp_path / "fit.nc")
    assert fit.converged
    assert fit.facts["sampler"] == "importance"
    assert fit.model.digest == read_model("offset_d").by("schedule").digest
    offset, exponent = fit.posterior["E"], fit.posterior["c"]
    for name, value in (("constant", 3.22), ("linear", 3.10)):
        low, high = offset.sel(schedule=name).quantile([0.05, 0.95])
        assert low < value < high
        assert float(offset.sel(schedule=name).median()) == pytest.approx(value, abs=0.03)
    ratio = exponent.sel(schedule="linear") / exponent.sel(schedule="constant")
    assert float(ratio.quantile(0.05)) < 1 < float(ratio.quantile(0.95))


def test_a_variant_that_saves_nothing_is_told_with_an_interval(command, tmp_path):  # noqa: F811
    """Four budgets of a baseline and a variant that needs a tenth more compute, .1 % of scatter: a small experiment."""
    compute = np.array([2e17, 2e18, 9e18, 3e19])
    rng = np.random.default_rng(3)
    rows = []
    for name, factor in (("base", 1.0), ("new", 0.91)):
        loss = 1.6 + 1.7 * (factor * compute / 3e18) ** -0.09
        rows.append(
            pd.DataFrame({"arm": name, "compute_flops": compute, "loss": loss * np.exp(1e-3 * rng.standard_normal(4))})
        )
    pd.concat(rows).to_csv(tmp_path / "runs.csv", index=False)
    weighed = command("weigh", tmp_path / "runs.csv", "--by", "arm", "--seed", "1", "--out", tmp_path / "mixture")
    assert weighed.code == 0, weighed.err
    assert "Stacking weights from leaving out each of 8 runs" in weighed.out
    answer = command("recipes", tmp_path / "mixture", "--baseline", "base", "--compute", "1e21", "--at-least", "1.05")
    assert answer.code == 1
    for form in ("by own_exponents", "by shared_exponents", "by the mixture"):
        assert f"At 1e21 FLOP, against base {form}:" in answer.out
    assert "NOT passed" in answer.out
    whole = json.loads(command("recipes", tmp_path / "mixture", "--baseline", "base", "--compute", "1e21", "--json").out)
    (row,) = [row for row in whole["recipes"] if row["form"] == "all"]
    assert row["multiplier_lower"] < 0.91 < row["multiplier_upper"]
    assert 0.5 < row["multiplier"] < 1.5
    assert 0.05 < row["chance"] < 0.6
