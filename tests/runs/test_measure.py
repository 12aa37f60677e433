"""Scores, perplexities and units are recognised; clean ladders are never accused."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from bayes_scaling.errors import (
    BadCells,
    DivergedRunsWarning,
    ImplausibleCountsWarning,
    ImplausibleValues,
    InvalidRuns,
    MissingColumn,
    MissingResourceWarning,
    MixedUnits,
    NotALoss,
    RepeatedRunsWarning,
)
from bayes_scaling.model.document import default_model
from bayes_scaling.runs.measure import refuse_what_is_no_loss, standing
from bayes_scaling.runs.table import read_runs
from bayes_scaling.runs.to_fit import runs_to_fit

SIZES = np.array([1.2e8, 3.5e8, 7.7e8, 1.6e9])


def ladder(seed: int, sd: float, rows: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    N, D = 10 ** rng.uniform(7, 9.5, rows), 10 ** rng.uniform(8.5, 11, rows)
    loss = 1.8 + 400 * N**-0.34 + 410 * D**-0.28
    return pd.DataFrame({"params": N, "tokens": D, "loss": loss * np.exp(sd * rng.standard_normal(rows))})


def test_a_score_is_refused_and_what_it_lacks_is_taken():
    table = pd.DataFrame({"params": SIZES, "CORE": [0.11, 0.18, 0.21, 0.26]})
    with pytest.raises(NotALoss, match=r"N .*--columns 'loss=1 - CORE'"):
        runs_to_fit(read_runs(table, columns={"loss": "CORE"}))
    runs = runs_to_fit(read_runs(table, columns={"loss": "1 - CORE"}))
    assert runs.table["loss"].tolist() == pytest.approx([0.89, 0.82, 0.79, 0.74])
    assert runs.card.loss_unit == "error rate"
    assert read_runs(table, columns={"loss": "1-CORE"}).table["loss"].equals(runs.table["loss"])


def test_a_rising_loss_is_taken_where_the_user_says_so():
    runs = runs_to_fit(pd.DataFrame({"params": SIZES, "loss": [0.11, 0.18, 0.21, 0.26]}), anyway=True)
    assert len(runs) == 4
    assert runs.origin[-1] == "--anyway"
    assert runs_to_fit(runs).table.equals(runs.table)  # it stays taken, whatever fits it next


@pytest.mark.parametrize("score", [lambda loss: 1 - loss / 10, lambda loss: 100 - 10 * loss])
def test_scores_of_size_and_data_are_refused_in_any_unit(score):
    table = ladder(0, 0.01, 24)
    with pytest.raises(NotALoss, match="N and D"):
        runs_to_fit(table.assign(loss=score(table["loss"])))


@pytest.mark.parametrize("rows", [4, 8, 24])
def test_clean_ladders_are_never_accused(rows):
    for seed in range(100):
        for unit in (1.0, 20.0):
            table = ladder(seed, 0.05, rows).assign(loss=lambda t, unit=unit: t["loss"] / unit)
            refuse_what_is_no_loss(table, "loss", "nats/token", "ladder")


def test_noise_alone_is_seldom_taken_for_a_score():
    rng, accused = np.random.default_rng(0), 0
    table = ladder(0, 0.0, 12)
    for _ in range(2000):
        try:
            refuse_what_is_no_loss(table.assign(loss=3 + rng.standard_normal(12) / 10), "loss", "nats/token", "noise")
        except InvalidRuns:
            accused += 1
    assert accused <= 8  # two expected; eight or fewer with a probability of .9998


def test_one_budget_and_a_run_that_overfits_are_no_scores():
    N = np.geomspace(1e8, 1e10, 9)
    valley = pd.DataFrame({"params": N, "tokens": 1e19 / N, "loss": 0.5 + 0.1 * (np.log10(N) - 8.2) ** 2})
    assert len(runs_to_fit(valley)) == 9
    epochs = np.tile([1.0, 4.0, 16.0], 3)
    small = np.repeat([1e7, 1e8, 1e9], 3)
    repeated = pd.DataFrame({"params": small, "tokens": epochs * 1e8, "loss": 5 - 0.3 * np.log10(small) + 0.02 * epochs})
    assert len(runs_to_fit(repeated)) == 9


def test_a_perplexity_is_named_and_its_logarithm_taken():
    table = pd.DataFrame({"params": SIZES, "val_ppl": ["11.96", "8.98", "7.98", "(crashed)"]})
    with pytest.raises(NotALoss, match=r"'loss=ln\(val_ppl\)'"):
        read_runs(table, columns={"loss": "val_ppl"}, where="params < 1e9")
    with pytest.raises(MissingColumn, match=r"'loss'; .*'loss=ln\(val_ppl\)'"):
        read_runs(table)
    with pytest.raises(BadCells, match=r"row 4, loss.*'\(crashed\)'"):
        read_runs(table, columns={"loss": "ln(val_ppl)"})
    runs = read_runs(table, columns={"loss": "ln(val_ppl)"}, where="loss > 0")
    assert runs.table["loss"].tolist() == pytest.approx(np.log([11.96, 8.98, 7.98]).tolist())
    assert read_runs(runs).table["loss"].equals(runs.table["loss"])
    with pytest.raises(InvalidRuns, match=r"log loss.*loss_se"):
        read_runs(table.assign(se=0.1), columns={"loss": "ln(val_ppl)", "loss_se": "se"})
    with pytest.raises(MissingColumn, match="'ppl'"):
        read_runs(table, columns={"loss": "ln(ppl)"})


def test_losses_above_guessing_are_refused_but_one_that_diverged_is_not():
    table = ladder(0, 0.0, 12)
    with pytest.raises(ImplausibleValues):
        runs_to_fit(table.assign(loss=np.exp(table["loss"])))
    with pytest.warns(DivergedRunsWarning, match="1 of 12 losses"):
        assert len(runs_to_fit(table.assign(loss=table["loss"].where(table.index > 0, 13.0)))) == 12


@pytest.mark.parametrize(
    ("name", "unit"), [("val_bpb", "bits/byte"), ("bits_per_token", "bits/token"), ("nll", "nats/token")]
)
def test_a_name_states_the_unit(name, unit):
    table = pd.DataFrame({"params": SIZES, name: [1.2, 1.1, 1.0, 0.9]})
    assert read_runs(table, columns={"loss": name}).card.loss_unit == unit
    assert read_runs(table, columns={"loss": name}, loss_unit="bits/token").card.loss_unit == "bits/token"


@pytest.mark.parametrize(
    ("score", "unit"),
    [
        ([0.11, 0.18, 0.21, 0.26], "error rate"),
        (["11 %", None, 0.2099, 0.26], "error rate"),
        ([0.11, 0.18, 0.21, 0.36], "nats/token"),
        ([None, None, None, 0.26], "nats/token"),
        (["low", "low", "high", "high"], "nats/token"),
    ],
)
def test_a_loss_that_adds_up_to_one_with_a_score_is_an_error_rate(score, unit):
    table = pd.DataFrame({"params": SIZES, "eval_accuracy": score, "loss": [0.89, 0.82, 0.79, 0.74]})
    assert read_runs(table).card.loss_unit == unit
    assert read_runs(table, loss_unit="bits/byte").card.loss_unit == "bits/byte"


def test_metrics_are_never_mixed():
    table = pd.DataFrame({"params": SIZES, "loss": [3.4, 3.0, 2.9, 2.7], "metric": ["val", "train", "val", "train"]})
    with pytest.raises(MixedUnits, match=r"train and val.*metric == 'train'"):
        read_runs(table)
    assert len(read_runs(table, where="metric == 'val'")) == 2


def test_standing_counts_runs_below_less_runs_above():
    rng = np.random.default_rng(0)
    cells = rng.integers(0, 4, (30, 2)).astype(float)
    below = np.array([[(a >= b).all() and (a > b).any() for b in cells] for a in cells])
    np.testing.assert_array_equal(standing(cells), below.sum(axis=1) - below.sum(axis=0))


def test_numbers_as_people_write_them():
    table = pd.DataFrame(
        {
            "params": ["18M", "925,921", "1.5 B", "3e8"],
            "tokens": ["0.6B", "11.1b", "2T", "900k"],
            "loss": ["3.8", "3.9", "2.5", "4"],
        }
    )
    runs = read_runs(table).table
    assert runs["params"].tolist() == [18e6, 925921.0, 1.5e9, 3e8]
    assert runs["tokens"].tolist() == pytest.approx([0.6e9, 11.1e9, 2e12, 9e5])


@pytest.mark.parametrize("cell", ["12,34", "1.2.3", "18 million", ",", "M", "1e", "4,000,00"])
def test_what_is_no_number_stays_none(cell):
    with pytest.raises(BadCells, match="row 1, params"):
        read_runs(pd.DataFrame({"params": [cell, "1e8"], "loss": [3.0, 2.9]}))


def test_only_cells_that_are_used_are_checked():
    table = pd.DataFrame(
        {
            "params": ["1e8", "2e8", "(soon)"],
            "tokens": ["2e9", "4e9", "8e9"],
            "loss": ["3.4", "3.1", "3.0"],
            "width": ["d512", "d768", "d512"],
            "depth": ["12", "unknown", "-1"],
        }
    )
    with pytest.raises(InvalidRuns) as caught:
        read_runs(table)
    assert [(cell.row, cell.column) for cell in caught.value.failures] == [(3, "params")]
    kept = read_runs(table, where="width == 'd512'", needs=("tokens",)).table
    assert kept["width"].tolist() == ["d512", "d512"]
    assert kept["params"].isna().tolist() == [False, True]
    assert "aspect" not in kept
    assert len(read_runs(table, where="params > 0")) == 2
    with pytest.raises(MissingColumn, match="row 1, width"):
        read_runs(table, needs=("aspect",), where="params > 0")


def test_runs_logged_twice_count_once():
    table = ladder(0, 0.006, 8).round({"loss": 4}).assign(run_id=[f"run{i}" for i in range(8)])
    both = pd.concat([table, table.iloc[:3].assign(run_id=["x", "y", "z"])], ignore_index=True)
    with pytest.warns(
        RepeatedRunsWarning, match=r"3 of 11 rows .* \(x as run0, y as run1, z as run2\): each run is counted once"
    ):
        runs = runs_to_fit(both)
    assert runs.table["run_id"].tolist() == table["run_id"].tolist()
    assert len(runs_to_fit(both, anyway=True)) == 11
    assert len(runs_to_fit(both.assign(seed=range(11)))) == 11
    assert len(runs_to_fit(both.assign(loss=both["loss"].round(2)))) == 11


def test_runs_that_diverged_are_named():
    table = ladder(0, 0.006, 8).assign(run_id=[f"run{i}" for i in range(8)])
    diverged = table.assign(loss=table["loss"].mask(table.index > 5, 11.762))  # ln of a vocabulary of 128,000
    named = r"2 of 8 losses .* \(run6 with 11.76, run7 with 11.76\).* --where 'loss < 10'"
    with pytest.warns(DivergedRunsWarning, match=named):
        assert len(runs_to_fit(diverged)) == 8
    runs_to_fit(diverged.assign(checkpoint=[False] * 6 + [True] * 2))  # a curve starts there


def test_counts_in_millions_are_warned_of():
    runs = pd.DataFrame({"params": [1e7, 1e8, 1e9], "tokens": [0.2, 2.0, 20.0], "loss": [3.4, 3.0, 2.7]})
    with pytest.warns(
        ImplausibleCountsWarning, match=r"tokens of runs has a median of 2, too few tokens.*'tokens=tokens \(B\)'"
    ):
        runs_to_fit(runs)
    named = read_runs(runs.rename(columns={"tokens": "tokens (B)"}), columns={"tokens": "tokens (B)"})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert runs_to_fit(named).table["tokens"].tolist() == [2e8, 2e9, 2e10]


def test_a_column_that_may_be_the_tokens_is_named_where_they_lack():
    with pytest.warns(
        MissingResourceWarning, match=r"offset_n is fitted, the loss by params alone; likely --columns 'tokens=tokens_B'"
    ):
        assert default_model(["params", "tokens_B", "loss"]) == "offset_n"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert default_model(["params", "depth", "loss"]) == "offset_n"


def test_columns_given_the_other_way_round_are_told():
    with pytest.raises(MissingColumn, match="the other way round it is params=N"):
        read_runs(pd.DataFrame({"N": [1e8, 1e9], "loss": [3.0, 2.8]}), columns={"N": "params"})


def test_a_unit_may_have_its_short_name():
    assert read_runs(pd.DataFrame({"params": [1e8], "loss": [0.9]}), loss_unit="bpb").card.loss_unit == "bits/byte"
