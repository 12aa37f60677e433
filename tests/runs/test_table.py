from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayes_scaling.errors import (
    BadCells,
    InconsistentComputeWarning,
    InvalidCondition,
    InvalidRuns,
    MissingColumn,
    MixedUnits,
    NoRows,
    RepeatedColumn,
    UnknownEntry,
    UnknownUnit,
    UnreadableSource,
)
from bayes_scaling.runs.card import Card, read_card
from bayes_scaling.runs.table import read_inputs, read_runs

GOOD = pd.DataFrame(
    {"run_id": ["a", "b"], "params": [1e8, 1e9], "tokens": [2e9, 2e10], "loss": [3.4, 2.8], "corpus": ["C4", "Pile"]}
)


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet", ".jsonl", ".ndjson"])
def test_every_format_reads_the_same(tmp_path, suffix):
    path = tmp_path / f"runs{suffix}"
    if "csv" in suffix:
        GOOD.to_csv(path, index=False)
    elif suffix == ".parquet":
        GOOD.to_parquet(path)
    else:
        GOOD.to_json(path, orient="records", lines=True)
    runs = read_runs(path)
    assert runs.name == "runs"
    assert runs.digest == read_runs(GOOD).digest
    assert runs.derived == ("compute_flops",)


def test_every_bad_cell_is_listed_at_once():
    table = GOOD.astype(object)
    table.loc[0, "params"] = "many"
    table.loc[1, "params"] = -5
    table.loc[0, "loss"] = np.inf
    table.loc[1, "loss"] = None
    table.loc[1, "tokens"] = 0
    table.loc[1, "run_id"] = "a"
    with pytest.raises(BadCells) as caught:
        read_runs(table)
    found = {(cell.row, cell.column, cell.reason) for cell in caught.value.failures}
    assert found == {
        (1, "params", "is not a number"),
        (2, "params", "has to be positive"),
        (1, "loss", "has to be finite"),
        (2, "loss", "is missing"),
        (2, "tokens", "has to be positive"),
        (2, "run_id", "occurs in an earlier row too"),
    }
    assert "6 bad cells" in str(caught.value)
    assert "row 1, params: is not a number (found 'many')" in str(caught.value)


def test_hundreds_of_bad_cells_stay_readable():
    table = pd.DataFrame({"params": [-1.0] * 300, "tokens": 1e9, "loss": 3.0})
    with pytest.raises(BadCells, match="280 more") as caught:
        read_runs(table)
    assert len(caught.value.failures) == 300


def test_columns_are_renamed_and_the_replaced_one_steps_aside():
    table = GOOD.rename(columns={"params": "N"}).assign(params=-1)
    assert read_runs(table, columns={"params": "N"}).table["params"].tolist() == [1e8, 1e9]
    with pytest.raises(MissingColumn, match="did you mean 'tokens'"):
        read_runs(GOOD, columns={"tokens": "tokans"})
    swapped = read_runs(GOOD, columns={"params": "tokens", "tokens": "params"}).table
    assert swapped["params"].tolist() == GOOD["tokens"].tolist()
    with pytest.raises(RepeatedColumn):
        read_runs(GOOD, columns={"tokens": "params", "params": "params"})


def test_compute_far_from_6nd_is_a_warning_with_the_row():
    table = GOOD.assign(compute_flops=[6 * 1e8 * 2e9, 6 * 1e9 * 2e10 * 5])
    with pytest.warns(InconsistentComputeWarning, match=r"1 of 2 rows .* most in row 2 \(a factor 5\)"):
        read_runs(table)


def test_compute_of_the_total_count_is_no_warning():
    read_runs(GOOD.assign(params_total=GOOD["params"] * 3, compute_flops=6 * GOOD["params"] * 3 * GOOD["tokens"]))


def test_checkpoints_of_one_run_may_share_its_name():
    table = pd.DataFrame(
        {"run_id": "a", "params": 1e8, "tokens": [1e9, 2e9, 3e9], "loss": 3.0, "checkpoint": [True, True, False]}
    )
    assert len(read_runs(table)) == 3
    with pytest.raises(BadCells, match="row 2, run_id: 3 rows"):
        read_runs(table.drop(columns="checkpoint"))
    with pytest.raises(BadCells):
        read_runs(table.assign(tokens=1e9))


def test_units_are_declared_and_never_mixed(tmp_path):
    assert read_runs(GOOD, loss_unit="bits/byte").card.loss_unit == "bits/byte"
    assert read_runs(GOOD.assign(loss_unit="bits/token")).card.loss_unit == "bits/token"
    with pytest.raises(MixedUnits, match="bits/byte and nats/token"):
        read_runs(GOOD.assign(loss_unit=["nats/token", "bits/byte"]))
    with pytest.raises(InvalidRuns, match=r"bits/byte.*nats/token"):
        read_runs(GOOD.assign(loss_unit="bits/byte"), loss_unit="nats/token")
    with pytest.raises(UnknownUnit, match="'nats'"):
        read_runs(GOOD, loss_unit="nats")
    (tmp_path / "card.toml").write_text('loss_unit = "bits/byte"\nparams = "total"\n')
    GOOD.to_csv(tmp_path / "runs.csv", index=False)
    assert read_runs(tmp_path / "runs.csv").card == Card(loss_unit="bits/byte", params="total")


def test_the_unit_is_part_of_what_the_data_are():
    assert read_runs(GOOD).digest != read_runs(GOOD, loss_unit="bits/byte").digest


@pytest.mark.parametrize(
    ("text", "kind", "named"),
    [
        ("loss_unit = 3", InvalidRuns, "loss_unit is 3"),
        ('los_unit = "bits/byte"', UnknownEntry, "did you mean 'loss_unit'"),
        ("loss_unit = ", UnreadableSource, r"card\.toml"),
        ('params = "all"', UnknownEntry, "'all'"),
    ],
)
def test_a_bad_card_is_a_sentence(tmp_path, text, kind, named):
    (tmp_path / "card.toml").write_text(text)
    with pytest.raises(kind, match=named):
        read_card(tmp_path / "card.toml")


def test_where_keeps_what_a_condition_says():
    runs = read_runs(GOOD)
    assert runs.where("params < 5e8 and corpus == 'C4'").table["run_id"].tolist() == ["a"]
    for condition in ("params <", "color == 'red'", "__import__('os').getcwd()", "params + 1"):
        with pytest.raises(InvalidCondition):
            runs.where(condition)
    with pytest.raises(NoRows):
        runs.where("params > 1e12")


def test_inputs_need_no_loss():
    table = read_inputs(pd.DataFrame({"params": [1e9], "compute_flops": [6e19], "loss": [None]}), needs=["tokens"])
    assert table["tokens"].item() == pytest.approx(1e10)
    with pytest.raises(MissingColumn, match="'tokens'"):
        read_inputs(pd.DataFrame({"params": [1e9]}), needs=["tokens"])


def test_a_table_read_again_is_the_same():
    runs = read_runs(GOOD, loss_unit="bits/byte", name="mine")
    again = read_runs(runs)
    assert (again.name, again.card, again.digest, again.derived) == (runs.name, runs.card, runs.digest, runs.derived)


def test_a_renamed_count_takes_its_meaning_and_its_compute_along():
    runs = read_runs(GOOD.assign(params_total=GOOD["params"] * 3))
    total = read_runs(runs, columns={"params": "params_total"})
    assert total.card.params == "total"
    assert total.table["compute_flops"].tolist() == pytest.approx([6 * 3e8 * 2e9, 6 * 3e9 * 2e10])


def test_a_named_index_is_a_column():
    assert read_runs(GOOD.set_index("corpus")).table["corpus"].tolist() == ["C4", "Pile"]


def test_origin_is_how_to_ask_for_the_table_again(tmp_path):
    GOOD.rename(columns={"params": "N"}).to_csv(tmp_path / "runs.csv", index=False)
    runs = read_runs(tmp_path / "runs.csv", columns={"params": "N"}, loss_unit="bits/byte").where("params < 5e8")
    options = ("--columns", "params=N", "--loss-unit", "bits/byte", "--where", "params < 5e8")
    assert read_runs(runs).origin == (str(tmp_path / "runs.csv"), *options)


def test_labels_that_look_like_numbers_stay_usable():
    runs = read_runs(GOOD.assign(group=["1", "2"], tuned=["true", "false"]))
    assert runs.table["group"].tolist() == ["1", "2"]
    assert runs.table["tuned"].tolist() == [True, False]
    assert "<table" in runs._repr_html_()


def test_a_power_in_the_name_of_a_column_is_the_unit_of_its_numbers():
    table = pd.DataFrame({"N (M)": ["17", "30", "many"], "FLOPs (P)": [102, 360, 1.0], "loss": [3.4, 3.1, 3.0]})
    runs = read_runs(table[:2], columns={"params": "N (M)", "compute_flops": "FLOPs (P)"})
    assert runs.table["params"].tolist() == [1.7e7, 3e7]
    assert runs.table["tokens"].to_numpy() == pytest.approx([1e9, 2e9])
    with pytest.raises(BadCells, match=r"row 3, params.*'many'"):
        read_runs(table, columns={"params": "N (M)"}, needs=["loss", "params"])
    own = table[:2].assign(**{"N (M)": ["17M", "30M"]})
    assert read_runs(own, columns={"params": "N (M)"}).table["params"].tolist() == [1.7e7, 3e7]


def test_compute_in_some_rows_is_6_n_d_in_all_and_said():
    """Compute that counts attention in some rows and not in others would be a step that no law has."""
    table = GOOD.assign(compute_flops=[1.2 * 6 * 1e8 * 2e9, np.nan])
    runs = read_runs(table, needs=("params", "tokens", "compute_flops", "loss"))
    assert runs.table["compute_flops"].tolist() == (6 * GOOD["params"] * GOOD["tokens"]).tolist()
    assert runs.notes == ("compute_flops is missing in 1 of 2 rows: C is 6 N D in all of them.",)
    assert read_runs(runs, where="compute_flops > 1e19").notes == runs.notes


def test_tokens_of_some_rows_follow_from_compute_and_those_of_others_stay():
    table = GOOD.assign(tokens=[2e9, np.nan], compute_flops=[1.3e18, 1.2e20])
    runs = read_runs(table, needs=("tokens", "loss"))
    assert runs.table["tokens"].tolist() == [2e9, 2e10]
    assert runs.notes == ("tokens is missing in 1 of 2 rows: there it follows from compute_flops and params.",)


def test_a_gap_that_nothing_fills_is_a_bad_cell():
    table = GOOD.assign(tokens=[2e9, np.nan], compute_flops=[1.2e18, np.nan])
    with pytest.raises(InvalidRuns, match="1 bad cell") as caught:
        read_runs(table, needs=("tokens", "loss"))
    assert [(cell.row, cell.column) for cell in caught.value.failures] == [(2, "tokens")]


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (["Model", "Parameters", "Val Loss"], "--columns 'loss=Val Loss,params=Parameters'"),
        (["budget (FLOPs)", "width", "tokens", "paloma macro"], "--columns 'loss=paloma macro,compute_flops=budget"),
        (["num_params", "perplexity", "tokens_per_second"], "ln\\(perplexity\\)'; likely --columns 'params=num_params'"),
    ],
)
def test_what_a_table_lacks_is_said_with_the_likely_match_for_each(columns, said):
    with pytest.raises(InvalidRuns, match=said):
        read_runs(pd.DataFrame([range(1, len(columns) + 1)], columns=columns))


def test_cells_may_be_separated_by_spaces(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text("params   tokens loss\n1e6 1e8  3.1\n2e6 2e8 2.9\n")
    assert read_runs(path).table["loss"].tolist() == [3.1, 2.9]
    path.write_text("final loss\n3.1\n2.9\n")  # one column of two words
    with pytest.raises(MissingColumn, match="final loss"):
        read_runs(path)
