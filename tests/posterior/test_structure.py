"""Groups that were pooled are named by their column; columns that say nothing are not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bayes_scaling.inference import fit
from bayes_scaling.model.other_columns import _follows, other_columns
from bayes_scaling.numerics import beta_below
from bayes_scaling.posterior.checks import check
from bayes_scaling.posterior.fit import Fit, load_fit
from bayes_scaling.posterior.structure import LEVEL, differences
from bayes_scaling.posterior.summary import described

SETS = 60


def table(seed: int, rows: int = 24) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    N, D = 10 ** rng.uniform(7, 9.5, rows), 10 ** rng.uniform(8.5, 11, rows)
    loss = (1.8 + 400 * N**-0.34 + 410 * D**-0.28) * np.exp(0.006 * rng.standard_normal(rows))
    return pd.DataFrame({"params": N, "tokens": D, "loss": loss})


def irrelevant(rng: np.random.Generator, rows: int) -> dict[str, np.ndarray]:
    return {
        "schedule": rng.choice(["cosine", "linear"], rows),
        "host": rng.choice(["a", "b", "c"], rows),
        "flag": rng.choice([True, False], rows),
        "decay": rng.uniform(0, 1, rows),
        "dropout": rng.choice([0.0, 0.1, 0.2], rows),
    }


def with_columns(found: Fit, **columns) -> Fit:
    """The fit with other columns beside what it has seen."""
    name, rows = found.model.only.name, found.layout.only
    rows = replace(rows, table=rows.table.assign(**columns))
    return replace(found).with_layout(replace(found.layout, rows={name: rows}))


@pytest.fixture(scope="module")
def clean() -> Fit:
    return fit(table(0), seed=1, progress=False)


@pytest.mark.slow
def test_columns_that_say_nothing_are_accused_as_often_as_stated(clean):
    rng, first = np.random.default_rng(1), []
    for found in (clean, fit(table(1), seed=1, progress=False)):
        first += [differences(with_columns(found, **irrelevant(rng, 24)))[0] for _ in range(SETS)]
    assert {each.tests for each in first} == {5}
    for level in (LEVEL, 0.1):
        count = sum(each.p < level for each in first)
        assert stats.binom.sf(count - 1, 2 * SETS, level) > 0.001, (level, count)


def test_pooled_schedules_are_named_everywhere(tmp_path):
    rng = np.random.default_rng(3)
    runs = table(3).assign(**irrelevant(rng, 24), **{"eval/host": rng.choice(["p", "q"], 24)})
    runs["loss"] *= np.where(runs["schedule"] == "cosine", 0.98, 1.02)
    found = fit(runs, seed=1, progress=False)
    first = differences(found)[0]
    assert (first.column, first.tests, first.found) == ("schedule", 6, True)
    assert first.spread == pytest.approx(0.04, rel=0.3)
    rows = check(found).set_index("check")
    assert rows.loc["residuals by schedule, p-value", "advice"].endswith("or keep those of one label (--where)")
    assert "--by schedule" in rows.loc["residuals by schedule, p-value", "advice"]
    assert "after correction for 6 columns" in rows.loc["residuals by schedule, p-value", "where"]
    assert not any(name.startswith("residuals by") and name != "residuals by schedule, p-value" for name in rows.index)
    assert not found.adequate
    assert "residuals by schedule" in found.adequacy
    assert "residuals by schedule" in described(found)["adequacy"]
    again = load_fit(found.save(tmp_path / "fit.nc"))
    assert differences(again) == differences(found)
    assert "eval/host" in other_columns(again.layout.only)


def test_a_column_is_tested_given_those_before(clean):
    rng = np.random.default_rng(4)
    residual = np.random.default_rng(7).choice([0, 1], 24)
    name = clean.model.only.name
    rows = clean.layout.only
    bent = rows.table.assign(
        loss=rows.table["loss"] * (1 + 0.03 * residual), schedule=residual, alias=residual, host=rng.choice(["a", "b"], 24)
    )
    bent = replace(clean).with_layout(replace(clean.layout, rows={name: replace(rows, table=bent)}))
    found = differences(bent)
    assert [each.column for each in found if each.found] in (["schedule"], ["alias"])
    assert found[-1].p == 1.0 or found[-1].column == "host"


def test_points_of_a_run_count_once():
    runs, rng = table(5), np.random.default_rng(5)
    points = pd.concat([runs.assign(tokens=runs["tokens"] * share) for share in (0.25, 0.5, 1.0)], ignore_index=True)
    points = points.assign(run_id=np.tile(np.arange(24), 3).astype(str), checkpoint=True)
    offset = np.exp(0.01 * rng.standard_normal(24))
    points["loss"] = (1.8 + 400 * points["params"] ** -0.34 + 410 * points["tokens"] ** -0.28) * np.tile(offset, 3)
    with pytest.warns(UserWarning, match="points along a run"):
        found = fit(points, "chinchilla", seed=1, progress=False)
    p = []
    for _ in range(SETS):
        of_runs, of_points = rng.choice(["a", "b"], 24), rng.choice(["a", "b"], 72)
        each = differences(with_columns(found, host=np.tile(of_runs, 3), phase=of_points))
        assert [difference.column for difference in each][:1] == ["host"]
        p.append(each[0].p)
    assert np.mean(np.array(p) < LEVEL) < 0.04  # as independent rows, a fifth


def test_what_goes_with_the_inputs_is_no_column_of_its_own(clean):
    N, D = (clean.table[column].to_numpy() for column in ("params", "tokens"))
    rows = with_columns(
        clean,
        run_id=[f"r{i}" for i in range(24)],
        number=np.arange(24) + 7,
        size=np.where(N > 1e8, "large", "small"),
        ratio=np.where(D / N > 100, "over", "under"),
        hours=3e-18 * N * D,
        train_loss=clean.table["loss"] + 0.1,
        score=np.random.default_rng(0).uniform(size=24),
        held=-clean.table["loss"],
        constant="same",
        params_total=N + 5e7,
        warmup=np.random.default_rng(9).uniform(size=24),
        optimizer=np.where(np.arange(24) % 2, "adam", None),
    ).layout.only
    assert set(other_columns(rows)) == {"warmup", "optimizer"}


@pytest.mark.parametrize("a", [0.5, 3.0, 400.0])
@pytest.mark.parametrize("b", [0.5, 2.0, 30.0])
def test_beta_below_is_scipy_s(a, b):
    x = np.concatenate([[0.0, 1.0], np.random.default_rng(0).uniform(size=30), np.geomspace(1e-6, 0.1, 5)])
    np.testing.assert_allclose(beta_below(x, a, b), stats.beta.cdf(x, a, b), rtol=1e-10, atol=1e-300)


def test_a_column_that_is_a_power_of_the_inputs_follows_from_them():
    rng = np.random.default_rng(0)
    inputs = np.log(10 ** rng.uniform(8, 11, (40, 2)))
    for numbers in (np.exp(inputs @ [0.5, -0.25]), inputs @ [1.0, 2.0] + 3.0, np.log(np.exp(inputs[:, 0])) ** 2):
        assert _follows(numbers, inputs)
    assert not _follows(rng.uniform(1, 2, 40), inputs)
