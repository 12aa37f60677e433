"""Certificates: ranks that are uniform when they should be, simulated tables that are what they say, and a page that tells."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from bayes_scaling.errors import InvalidInputs, InvalidModel, InvalidRequest, OutOfRange
from bayes_scaling.evaluation import certify as room
from bayes_scaling.evaluation.certificate import BROKEN, FROM_THE_MODEL, Certificate, read_certificate
from bayes_scaling.evaluation.certify import certify
from bayes_scaling.evaluation.ranks import band, ecdf_difference, p_of_uniform, rank_of
from bayes_scaling.evaluation.simulate import AHEAD, beyond, from_broken_laws, from_the_model
from bayes_scaling.model.document import read_model
from bayes_scaling.posterior.residuals import loss_at_runs
from bayes_scaling.report import write_certificate, write_report
from bayes_scaling.runs.table import read_runs
from tests.command import command  # noqa: F401 - a fixture
from tests.forecasting import forecast_by_hand


@pytest.fixture(scope="module")
def design():
    return read_runs(forecast_by_hand().table, name="grid")


@pytest.mark.parametrize(("shape", "uniform"), [((1, 1), True), ((2, 2), False), ((0.5, 0.5), False), ((1.3, 1.0), False)])
def test_ranks_are_told_from_uniform(shape, uniform):
    rng = np.random.default_rng(0)
    found = [p_of_uniform(rng.beta(*shape, size=300)) > 0.01 for _ in range(20)]
    assert sum(found) >= 18 if uniform else sum(found) <= 6


def test_the_band_holds_uniform_ranks_as_often_as_it_says():
    rng, height = np.random.default_rng(1), band(200)
    held = [bool((np.abs(ecdf_difference(rng.uniform(size=200))[1]) <= height + 1e-12).all()) for _ in range(400)]
    assert np.mean(held) == pytest.approx(0.95, abs=0.035)


def test_a_rank_among_equals_is_in_the_middle():
    assert rank_of(1.0, np.ones(4)) == 0.5
    assert rank_of(0.0, np.ones(4)) == 0.1


def test_ranks_among_few_draws_are_uniform_too():
    rng = np.random.default_rng(0)
    found = [p_of_uniform((rng.integers(0, 101, 1000) + 0.5) / 101) > 0.01 for _ in range(40)]
    assert sum(found) >= 37


def test_a_table_from_the_model_scatters_as_its_truth_says(design):
    """Over many tables, what is left over the truth's own scale has a variance of one."""
    spec = read_model("kappa").without_discrepancy()
    left, rng = [], np.random.default_rng(0)
    for _ in range(200):
        table = from_the_model(spec, design, rng)
        law = spec.only.the_law(
            *(table.runs.table[c].to_numpy() for c in spec.columns.values()),
            **{n: table.truth[n] for n in spec.only.the_law.parameters},
        )
        level = (law / np.exp(np.log(law).mean())) ** table.truth["growth"]
        level = np.sqrt(table.truth["floor"] ** 2 + (1 - table.truth["floor"] ** 2) * level**2)
        left.append((np.log(table.runs.table["loss"]) - np.log(law)) / (table.truth["sigma"] * level))
    assert np.var(np.concatenate(left)) == pytest.approx(1.0, rel=0.08)


def test_a_discrepancy_is_simulated_too(design):
    spec, rng = read_model("kappa"), np.random.default_rng(0)
    tables = [from_the_model(spec, design, rng) for _ in range(100)]
    off = []
    for table in tables:
        law = {n: table.truth[n] for n in spec.only.the_law.parameters}
        far = table.ahead
        there = spec.only.the_law(*(far[c].to_numpy() for c in spec.columns.values()), **law)
        off.append(np.log(far["loss"]) - np.log(there))
    spread = np.sqrt(np.mean(np.square(off), axis=0))
    assert spread[0] < spread[2]
    assert spread[2] > 0.02


def test_broken_laws_are_not_the_model_s(design):
    """A break bends the loss away from the law far beyond, and hardly among the smallest runs."""
    spec, rng = read_model("kappa").without_discrepancy(), np.random.default_rng(0)
    tables = [from_broken_laws(spec, design, rng) for _ in range(30)]
    assert all(table.truth == {} for table in tables)
    assert all(np.isfinite(table.runs.table["loss"]).all() and len(table.ahead) == len(AHEAD) for table in tables)
    assert all((np.diff(table.ahead["loss"]) < 0.2).all() for table in tables)


def test_distances_are_of_compute(design):
    far = beyond(read_model("kappa"), design.table)
    largest = 6 * design.table["params"].max() * design.table["tokens"].max()
    np.testing.assert_allclose(np.log10(far["compute_flops"] / largest), AHEAD)


def fake(piece):
    """An outcome that is exact: uniform ranks and forecasts."""
    rng = np.random.default_rng([piece.number, int(piece.truth == BROKEN)])
    rows = (
        [{"what": "rank", "of": name, "pit": rng.uniform()} for name in ("E", "kappa")]
        if piece.truth == FROM_THE_MODEL
        else []
    )
    rows += [{"what": "forecast", "of": f"{ahead:g}", "pit": rng.uniform(), "width": 0.1 * ahead} for ahead in AHEAD]
    return pd.DataFrame(rows).assign(truth=piece.truth, table=piece.number, converged=piece.number != 3)


@pytest.fixture
def exact(monkeypatch):
    monkeypatch.setattr(room, "_outcome", fake)


def test_an_exact_model_is_certified(exact, design):
    found = certify(design, "kappa", tables=300, progress=False)
    assert found.uniformity["uniform"].all()
    assert len(found.ranks) == 300
    assert found.coverage["coverage_0.9"].to_numpy() == pytest.approx(0.9, abs=0.06)
    assert "no departure from uniform ranks is detected in any of 2 parameters (so many tables detect" in found.sentence
    assert "2 of 600 fits had not converged" in found.sentence


def test_a_wrong_model_is_not():
    rng = np.random.default_rng(0)
    ranks = pd.DataFrame({"E": rng.uniform(size=200), "kappa": rng.beta(3, 1, size=200)})
    forecasts = pd.DataFrame(
        {
            "truth": FROM_THE_MODEL,
            "table": range(200),
            "ahead": 1.0,
            "pit": rng.beta(0.3, 0.3, 200),
            "width": 0.1,
            "converged": True,
        }
    )
    found = Certificate(ranks, forecasts, {})
    assert found.uniformity["uniform"].tolist() == [True, False]
    assert "ranks of kappa are NOT uniform" in found.sentence
    assert found.coverage["coverage_0.9"].iloc[0] < 0.8


def test_the_page_and_the_report_say_it(exact, design, tmp_path):
    found = certify(design, "kappa", tables=20, progress=False, store=tmp_path / "tables")
    assert len(list((tmp_path / "tables").iterdir())) == 40
    page = write_certificate(found, tmp_path / "certificate.html").read_text()
    assert found.sentence in page
    assert page.count("<svg") == 2
    (tmp_path / "certificate.json").write_text(found.to_json())
    again = read_certificate(tmp_path / "certificate.json")
    assert again.sentence == found.sentence
    report = write_report(forecast_by_hand(), tmp_path / "report.html", certificate=again).read_text()
    assert found.sentence in report
    assert "a random walk of the log loss" in report
    with pytest.raises(InvalidRequest, match="is not a valid certificate"):
        read_certificate(tmp_path / "certificate.html")
    other = certify(design, "chinchilla", tables=2, progress=False)
    with pytest.raises(InvalidInputs):
        write_report(forecast_by_hand(), tmp_path / "report.html", certificate=other)


def test_the_verb(exact, design, tmp_path, command):  # noqa: F811
    design.table.to_csv(tmp_path / "runs.csv", index=False)
    answer = command("certify", tmp_path / "runs.csv", "--tables", "5", "--out", tmp_path / "out", "--json")
    assert json.loads(answer.out)["facts"]["tables"] == 5
    assert {"certificate.json", "certificate.html", "tables"} == {p.name for p in (tmp_path / "out").iterdir()}


def test_what_cannot_be_certified_is_a_sentence(design):
    with pytest.raises(InvalidModel, match="which a certificate needs"):
        certify(design, "kaplan_system")
    with pytest.raises(InvalidModel, match="--no-broken"):
        certify(design, "kappa_by_group")
    with pytest.raises(OutOfRange, match="10,000"):
        certify(design, "kappa", tables=10**20)
    with pytest.raises(OutOfRange, match="tables"):
        certify(design, "kappa", tables=0)


def test_a_fit_by_hand_is_its_own_law(design):
    np.testing.assert_allclose(loss_at_runs(forecast_by_hand()).isel(chain=0, draw=0), design.table["loss"], rtol=1e-9)


def test_the_rows_that_a_model_chooses_are_the_design():
    """They are chosen once, by a condition and by what lies near each other in size: the simulated tables have these rows."""
    found = certify("ladder", "shape", tables=1, broken=False, draws=100, progress=False)
    assert found.facts["rows"] == 14
    assert found.ranks[["alpha_N", "aspect_best_population"]].notna().all(axis=None)
