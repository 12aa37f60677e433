"""The backtest itself: right splits to right forecasts, picked up where it was left, and baselines that find a law."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest

from bayes_scaling.errors import InvalidModel, InvalidRequest, OutOfRange, UnknownChoice
from bayes_scaling.evaluation import backtest as room
from bayes_scaling.evaluation.backtest import backtest
from bayes_scaling.evaluation.baselines import BASELINES
from bayes_scaling.evaluation.origins import rolling_origins
from bayes_scaling.evaluation.outcome import MODEL, read_backtest
from bayes_scaling.evaluation.scores import scored
from bayes_scaling.laws import LAWS
from bayes_scaling.report.tables import backtest_table
from bayes_scaling.report.trials import plot_backtest
from tests.command import command  # noqa: F401 - a fixture
from tests.conftest import HOFFMANN_LIKE


def ladder(scatter=0.0, seed=0):
    N, D = (axis.ravel() for axis in np.meshgrid(np.geomspace(5e7, 5e9, 7), np.geomspace(2e9, 1e11, 5)))
    loss = LAWS["chinchilla"](N, D, **HOFFMANN_LIKE) * np.exp(scatter * np.random.default_rng(seed).standard_normal(N.size))
    return pd.DataFrame({"params": N, "tokens": D, "compute_flops": 6 * N * D, "loss": loss})


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_finds_a_law_without_scatter(name):
    table = ladder()
    origin = rolling_origins(table, per_decade=1)[0]
    known, ahead = table.iloc[origin.fitted], table.iloc[origin.ahead]
    draws = BASELINES[name](known, ahead, np.random.default_rng(0))
    np.testing.assert_allclose(np.median(draws, axis=0), np.log(ahead["loss"]), atol=2e-4)


def test_residuals_widen_a_bootstrap_to_the_scatter():
    table = ladder(scatter=0.01)
    origin = rolling_origins(table, per_decade=1)[0]
    known, ahead = table.iloc[origin.fitted], table.iloc[origin.ahead]
    narrow, wide = (
        BASELINES[f"huber + bootstrap{more}"](known, ahead, np.random.default_rng(0)).std(axis=0)
        for more in ("", " + residuals")
    )
    assert (wide > narrow).all()
    assert np.median(wide) > 0.006


def fake(job):
    """A forecast that is always one per cent high, with a sd of one per cent."""
    ahead = job.runs.table.iloc[job.origin.ahead]
    truth = np.log(ahead["loss"].to_numpy())
    draws = truth + 0.01 + 0.01 * np.random.default_rng(0).standard_normal((500, 1))
    beyond = np.log10(ahead[job.over].to_numpy() / job.runs.table[job.over].iloc[job.origin.fitted].max())
    told = pd.DataFrame({"method": job.method, "cut": job.origin.cut, "row": job.origin.ahead, "ahead": beyond})
    return told.assign(loss=ahead["loss"].to_numpy(), converged=True).join(scored(truth, draws))


@pytest.fixture
def counted(monkeypatch):
    """Replace the sampling by a known forecast, and count how often it is asked for."""
    asked = []

    def outcome(job):
        asked.append(job.method)
        return fake(job)

    monkeypatch.setattr(room, "_outcome", outcome)
    return asked


def test_scores_are_of_every_split_and_method(counted):
    found = backtest(ladder(0.01), "kappa", per_decade=1, progress=False)
    cuts = rolling_origins(ladder(), per_decade=1)
    assert len(counted) == len(cuts) * 6
    assert set(found.scores["forecasts"]) == {sum(len(o.ahead) for o in cuts)}
    assert set(found.scores["runs"]) == {len(cuts[0].ahead)}
    assert set(found.scores["clusters"]) == {len(cuts)}
    assert found.scores["median_error"].to_numpy() == pytest.approx(0.01, abs=2e-3)
    assert found.scores["method"].iloc[0] == MODEL
    assert f"with {len(cuts)} cuts" in found.sentence
    assert re.search(r"90 % intervals covered \d+ % \(± \d+ % by cuts and runs\) of", found.sentence)
    assert f"With {len(cuts)} cuts the standard errors are themselves uncertain" in found.sentence
    assert set(found.by_distance["ahead"].astype(str)) <= {"to 0.25", "0.25 to 0.5", "0.5 to 1", "1 to 2", "over 2"}


def test_a_stopped_backtest_goes_on_where_it_was(counted, monkeypatch, tmp_path):
    whole, calls = room._outcome, []

    def stopped(job):
        calls.append(job)
        if len(calls) > 3:
            raise KeyboardInterrupt
        return whole(job)

    monkeypatch.setattr(room, "_outcome", stopped)
    with pytest.raises(KeyboardInterrupt):
        backtest(ladder(0.01), "kappa", per_decade=1, store=tmp_path, progress=False)
    assert len(list(tmp_path.iterdir())) == 3
    counted.clear()
    monkeypatch.setattr(room, "_outcome", whole)
    again = backtest(ladder(0.01), "kappa", per_decade=1, store=tmp_path, progress=False)
    assert len(counted) == len(rolling_origins(ladder(), per_decade=1)) * 6 - 3
    pd.testing.assert_frame_equal(
        again.predictions, backtest(ladder(0.01), "kappa", per_decade=1, progress=False).predictions
    )


def test_another_question_takes_nothing_from_the_store(counted, tmp_path):
    backtest(ladder(0.01), "kappa", per_decade=1, store=tmp_path, progress=False)
    counted.clear()
    backtest(ladder(0.01), "kappa", per_decade=1, store=tmp_path, seed=2, progress=False)
    backtest(ladder(0.01, seed=5), "kappa", per_decade=1, store=tmp_path, progress=False)
    assert len(counted) == 2 * len(rolling_origins(ladder(), per_decade=1)) * 6


def test_baselines_are_chosen_by_name(counted):
    chosen = ("huber + bootstrap",)
    found = backtest(ladder(0.01), "kappa", per_decade=1, baselines=chosen, progress=False)
    assert found.scores["method"].tolist() == [MODEL, *chosen]
    with pytest.raises(UnknownChoice, match="did you mean 'huber"):
        backtest(ladder(0.01), "kappa", per_decade=1, baselines=("huber + boot",), progress=False)


def test_one_resource_has_the_law_alone_beside_it(counted):
    found = backtest(ladder(0.01)[["compute_flops", "loss"]], "offset_c", per_decade=1, progress=False)
    assert found.scores["method"].tolist() == [MODEL, room.LAW_ALONE]


def test_json_is_read_back(counted, tmp_path):
    found = backtest(ladder(0.01), "kappa", per_decade=1, progress=False)
    (tmp_path / "backtest.json").write_text(found.to_json())
    again = read_backtest(tmp_path / "backtest.json")
    assert again.sentence == found.sentence
    pd.testing.assert_frame_equal(again.scores, found.scores, check_dtype=False)
    with pytest.raises(InvalidRequest, match="is not a valid backtest"):
        read_backtest(tmp_path / "none.json")


def test_one_cut_has_no_standard_error(counted, command, tmp_path):  # noqa: F811
    table = ladder(0.01)
    found = backtest(table, "kappa", per_decade=1, least=26, progress=False)
    assert set(found.scores["clusters"]) == {1}
    assert found.scores["coverage_0.9_se"].isna().all()
    assert "no standard error can be stated" in found.sentence
    assert "(±" not in found.sentence
    assert not any("±" in cell for row in backtest_table(found).cells for cell in map(str, row))
    table.to_csv(tmp_path / "runs.csv", index=False)
    parsed = json.loads(command("backtest", tmp_path / "runs.csv", "--per-decade", "1", "--least", "26", "--json").out)
    assert parsed["scores"][0]["coverage_0.9_se"] is None


def test_the_picture_shows_every_method(counted):
    figure = plot_backtest(backtest(ladder(0.01), "kappa", per_decade=1, progress=False))
    assert len(figure.axes) == 3
    assert len(figure.axes[0].lines) == 7  # the diagonal and six ways


def test_the_command_writes_table_figure_and_json(counted, tmp_path, command):  # noqa: F811
    ladder(0.01).to_csv(tmp_path / "runs.csv", index=False)
    answer = command("backtest", tmp_path / "runs.csv", "--out", tmp_path / "out", "--per-decade", "1")
    assert answer.code == 0, answer.err
    assert {"backtest.json", "scores.csv", "backtest.png", "splits"} == {p.name for p in (tmp_path / "out").iterdir()}
    assert "huber + bootstrap + residuals" in answer.out
    assert re.search(r"^ *model +\d+ +\d+ +[\d.]+ ± [\d.]+ ", answer.out, re.MULTILINE)
    parsed = json.loads(command("backtest", tmp_path / "runs.csv", "--per-decade", "1", "--json").out)
    assert parsed["facts"]["over"] == "compute_flops"
    assert parsed["scores"][0]["coverage_0.9_se"] == 0.5 / parsed["scores"][0]["clusters"]  # every forecast is covered


def test_a_backtest_without_meaning_is_refused():
    with pytest.raises(InvalidModel, match="which a backtest needs"):
        backtest(ladder(), "kaplan_system")
    with pytest.raises(OutOfRange, match="workers"):
        backtest(ladder(), "kappa", workers=0)


@pytest.mark.xdist_group("forecast")
def test_a_real_split_is_sampled_and_holds(tmp_path):
    table = ladder(0.005)
    found = backtest(
        table, "kappa", per_decade=1, least=26, baselines=False, draws=200, tune=300, store=tmp_path, progress=False
    )
    assert found.scores["method"].tolist() == [MODEL]
    assert found.scores["coverage_0.95"].iloc[0] > 0.6
    assert found.scores["median_error"].iloc[0] < 0.03
    assert 0 < found.scores["width"].iloc[0] < 0.2


@pytest.mark.filterwarnings("ignore::bayes_scaling.errors.CheckpointWarning")
def test_points_along_runs_are_losses_of_so_many_runs(monkeypatch):
    monkeypatch.setattr(room, "_outcome", fake)
    table = ladder()  # five amounts of data of each of seven sizes, one size after the other in the grid's columns
    along = backtest(
        table.assign(run_id=[f"N {size:g}" for size in table["params"]], checkpoint=True),
        "kappa",
        per_decade=1,
        progress=False,
    )
    apart = backtest(table, "kappa", per_decade=1, progress=False)
    assert (along.predictions["run"] == along.predictions["row"] % 7).all()
    assert (apart.predictions["run"] == apart.predictions["row"]).all()
    losses = along.predictions["row"].nunique()
    assert re.search(
        rf"of {losses} losses of {along.predictions['run'].nunique()} runs, .* Each loss counts once", along.sentence
    )
    assert re.search(rf"of {losses} runs, .* Each run counts once", apart.sentence)
