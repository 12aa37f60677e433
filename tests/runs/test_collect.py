"""What `collect` decides on the way from fields to runs: each choice is said, each run left out has a reason."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

import bayes_scaling as bs
from bayes_scaling.errors import (
    ImplausibleValues,
    InvalidRuns,
    MissingColumn,
    MixedUnits,
    NoRows,
    NotALoss,
    RepeatedRun,
    UnknownEntry,
    UnknownUnit,
    UnreadableSource,
)

N = np.array([1e7, 3e7, 1e8, 3e8])
D = 20 * N
LOSS = np.round(1.8 + 400 * N**-0.34 + 410 * D**-0.28, 4)
collect = bs.readers.collect


def table(**columns):
    return pd.DataFrame({"name": list("abcd"), "n_params": N, "train_tokens": D, "val/loss": LOSS} | columns)


def curves(losses, step=(100, 200, 300)):
    rows = [
        {"run": run, "step": s, "val/loss": loss, "N": 1e7 * 3**k, "batch_tokens": 65536}
        for k, (run, values) in enumerate(losses.items())
        for s, loss in zip(step, values, strict=True)
    ]
    return pd.DataFrame(rows)


def test_every_guess_is_said():
    found = collect(table(**{"lr": 1e-3, "User": "me"}))
    assert found.assumed == (
        "params = n_params",
        "tokens = train_tokens",
        'params without embeddings (params_are = "total" in a map, if not)',
        "loss = val/loss; nats/token",
    )
    assert all(line in found.card.notes for line in found.assumed)
    assert found.runs.card.params == "non-embedding"


def test_a_map_says_which_field_is_which(tmp_path):
    (tmp_path / "map.toml").write_text(
        'params = "size"\nbatch_tokens = ["sequences", "length"]\nsteps = "updates"\nloss = "ln(score)"\nschedule = "decay"\n'
        'params_are = "total"\ncorpus = "C4"\n'.replace('corpus = "C4"\n', "")
    )
    raw = pd.DataFrame(
        {
            "size": ["10M", "30M"],
            "sequences": 64,
            "length": 1024,
            "updates": 1000,
            "score": np.exp([3.5, 3.2]),
            "decay": ["cosine", "wsd"],
        }
    )
    found = collect(raw, map=tmp_path / "map.toml")
    assert found.runs.table[["params", "tokens"]].to_numpy().tolist() == [[1e7, 65536e3], [3e7, 65536e3]]
    assert found.runs.table["loss"].to_numpy() == pytest.approx([3.5, 3.2])
    assert found.runs.table["schedule"].tolist() == ["cosine", "wsd"]
    assert found.card.params == "total"
    assert found.assumed == ("loss = ln(score); nats/token",)


@pytest.mark.parametrize(
    ("text", "kind", "named"),
    [
        ("params = ", UnreadableSource, "map.toml"),
        ('parms = "size"', UnknownEntry, "did you mean 'params'"),
        ('params = "sizes"\ntokens = "tok"', MissingColumn, r"'sizes'.*params \(likely 'n_params'\).*'tok'.*tokens"),
        ('[params]\nfield = "size"', InvalidRuns, "'params'"),
        ("batch_tokens = [1, 2]", InvalidRuns, "batch_tokens"),
        ('params_are = "active"', UnknownEntry, "non-embedding, total"),
    ],
)
def test_a_map_that_is_wrong_is_refused(tmp_path, text, kind, named):
    (tmp_path / "map.toml").write_text(text)
    with pytest.raises(kind, match=named):
        collect(table(), map=tmp_path / "map.toml")


def test_everything_that_is_missing_is_told_at_once():
    raw = pd.DataFrame({"modelsize_b": [0.1, 0.2], "toks seen": [1e9, 2e9], "score": [1.0, 2.0]})
    with pytest.raises(MissingColumn) as caught:
        collect(raw)
    message = str(caught.value)
    assert "lacks params (parameters)" in message
    assert "tokens (seen in training)" in message
    assert "; loss" in message
    assert "Its fields: modelsize_b, toks seen, score" in message
    assert "--facts params=...,tokens=...; by run: --facts SIZES.csv, a table of run_id, params, tokens" in message
    with pytest.raises(MissingColumn, match="--columns tokens=tokns"):
        collect(pd.DataFrame({"params": [1e8, 2e8], "tokns": [1e9, 2e9], "loss": [3.0, 2.9]}))


def test_runs_that_are_no_runs_are_left_out_by_name_and_reason():
    raw = table(state=["finished", "crashed", "running", "finished"])
    raw.loc[3, "val/loss"] = None
    found = collect(raw)
    assert found.dropped.to_dict("list") == {
        "run_id": ["b", "c", "d"],
        "reason": ["state is crashed", "state is running", "no val/loss was logged"],
    }
    assert collect(raw, unfinished=True).runs.table["run_id"].tolist() == ["a", "c"]
    assert collect(raw, keep="state != 'crashed'").runs.table["run_id"].tolist() == ["a", "c"]
    kept = collect(raw, keep="n_params < 5e7")
    assert ("d", "does not meet --keep n_params < 5e7") in list(kept.dropped.itertuples(index=False, name=None))
    with pytest.raises(NoRows, match=r"failed.*--unfinished"):
        collect(table(state="failed"))


def test_the_point_a_run_is_taken_at():
    raw = curves({"a": (4.0, 3.0, 3.1), "b": (3.9, 2.8, 2.7), "c": (3.8, 2.9, float("nan"))})
    raw["val/loss"] = raw["val/loss"].astype(object).where(raw["val/loss"].notna(), "nan")
    last = collect(raw)
    assert last.runs.table[["run_id", "loss", "steps"]].to_numpy().tolist() == [["a", 3.1, 300], ["b", 2.7, 300]]
    assert last.dropped.to_dict("list") == {"run_id": ["c"], "reason": ["it diverged: its loss is not a number at step 300"]}
    least = collect(raw, at="min")
    assert least.runs.table["steps"].tolist() == [200, 300, 200]
    assert len(collect(raw, at="all").runs) == 6
    with pytest.raises(UnknownEntry, match=r"'end'.*last, min, all"):
        collect(raw, at="end")
    blown = collect(curves({"a": (4.0, 3.0, 11.76), "b": (3.9, 2.8, 2.7)}))
    assert "a may have diverged: it ends at 11.76, its least loss is 3" in blown.rules


def test_a_run_logged_twice_counts_once():
    raw = pd.concat([table(), table().iloc[:2].assign(name=["x", "y"])])
    found = collect(raw)
    assert found.dropped.to_dict("list") == {
        "run_id": ["x", "y"],
        "reason": ["it repeats a, to the last digit of its loss", "it repeats b, to the last digit of its loss"],
    }
    assert len(collect(raw, dedupe=False).runs) == 6
    repeats = raw.assign(seed=[0, 0, 0, 0, 1, 1])
    assert len(collect(repeats).runs) == 6


def test_two_sweeps_of_one_name():
    raw = table(name=["a", "a", "b", "c"])
    with pytest.raises(RepeatedRun, match=r"'a' \(rows 1, 2\)"):
        collect(raw)
    told = collect(raw.assign(ID=list("wxyz")))
    assert told.runs.table["run_id"].tolist() == ["a (w)", "a (x)", "b", "c"]
    assert "2 runs share names and are told apart by ID" in told.rules
    whole = collect(pd.concat([table(), table().iloc[:1]]))
    assert len(whole.runs) == 4
    assert "1 row repeats another one in full: counted once" in whole.rules


def test_steps_without_a_batch_and_a_batch_without_a_length():
    raw = table(step=1000).drop(columns="train_tokens")
    with pytest.raises(MissingColumn, match="--facts batch_tokens="):
        collect(raw)
    with pytest.raises(MissingColumn, match="length"):
        collect(raw.assign(global_batch_size=512))
    found = collect(raw.assign(global_batch_size=512), facts={"length": 2048})
    assert set(found.runs.table["tokens"]) == {1000 * 512 * 2048}
    assert "tokens = steps x batch_tokens" in found.rules
    by_device = raw.assign(per_device_train_batch_size=4, gradient_accumulation_steps=8, world_size=16, seq_len=2048)
    assert set(collect(by_device).runs.table["batch_tokens"]) == {4 * 8 * 16 * 2048}
    of_one = raw.assign(batch_size=12, gradient_accumulation_steps=40, block_size=1024)  # as nanoGPT counts it
    assert "batch_tokens = batch_size x gradient_accumulation_steps x block_size" in collect(of_one).assumed
    whole = raw.assign(global_train_batch_size=512, gradient_accumulation_steps=40, world_size=8, max_sequence_length=4096)
    assert "batch_tokens = global_train_batch_size x max_sequence_length" in collect(whole).assumed


def test_tokens_of_several_epochs():
    found = collect(table(epochs=[0.5, 1, 2, 4]))
    assert found.runs.table["dataset_tokens"].to_numpy() == pytest.approx(D / np.array([1, 1, 2, 4]))
    assert any("data are repeated" in rule for rule in found.rules)
    passes = collect(table(epochs=[1, 1, 2, 4], unique_tokens=D).drop(columns="train_tokens"))
    assert passes.runs.table["tokens"].to_numpy() == pytest.approx(D * [1, 1, 2, 4])
    assert "tokens = epochs x dataset_tokens, every pass counted" in passes.rules


def test_sizes_in_other_units():
    found = collect(table(params_m=N / 1e6, tokens_b=D / 1e9).drop(columns=["n_params", "train_tokens"]))
    assert found.runs.table["params"].to_numpy() == pytest.approx(N)
    assert found.runs.table["tokens"].to_numpy() == pytest.approx(D)
    assert "params = params_m, in units of 1e+06" in found.assumed
    written = collect(table(**{"params (M)": ["10M", "30M", "100M", "300M"]}).drop(columns="n_params"))
    assert written.runs.table["params"].tolist() == N.tolist()
    with pytest.raises(ImplausibleValues, match=r"n_params.*10 to 300.*'params \(M\)'"):
        collect(table(n_params=N / 1e6))
    with pytest.raises(ImplausibleValues, match=r"train_tokens.*0\.2 to 6"):
        collect(table(train_tokens=D / 1e9))


def test_facts_of_all_runs_and_of_each_go_together(tmp_path):
    sizes = pd.DataFrame({"run_id": list("abcd"), "params": N})
    sizes.to_csv(tmp_path / "sizes.csv", index=False)
    raw = table(step=1000).drop(columns=["n_params", "train_tokens"])
    found = collect(raw, facts=[tmp_path / "sizes.csv", {"batch_tokens": 65536, "corpus": "C4"}])
    assert found.runs.table["params"].tolist() == N.tolist()
    assert set(found.runs.table["tokens"]) == {65536000}
    assert set(found.runs.table["corpus"]) == {"C4"}


def test_facts_stand_above_guesses():
    sizes = pd.DataFrame({"run_id": list("abcd"), "params": 2 * N, "corpus": ["x", "x", "y", "y"]})
    found = collect(table(), facts=sizes)
    assert found.runs.table["params"].tolist() == (2 * N).tolist()
    assert found.runs.table["corpus"].tolist() == ["x", "x", "y", "y"]
    with pytest.raises(UnknownEntry, match="'d'"):
        collect(table(), facts=sizes[:3])
    with pytest.raises(InvalidRuns, match="params=many"):
        collect(table(), facts={"params": "many"})


@pytest.mark.parametrize(
    ("name", "made", "facts", "unit"),
    [
        ("val/bpb", LOSS / math.log(2) / 4, {}, "bits/byte"),
        ("val/bpb", LOSS / math.log(2) / 4, {"bytes_per_token": 4}, "nats/token"),
        ("val/ppl", np.exp(LOSS), {}, "nats/token"),
        ("bits per token", LOSS / math.log(2), {}, "nats/token"),
        ("test bpc", LOSS / math.log(2) / 5, {"characters_per_token": 5.0}, "nats/token"),
        ("loss (nats/byte)", LOSS / 4, {"bytes_per_token": 4.0}, "nats/token"),
    ],
)
def test_units_are_converted_where_they_are_stated(name, made, facts, unit):
    found = collect(table().drop(columns="val/loss").assign(**{name: made}), facts=facts)
    assert found.card.loss_unit == unit
    expected = LOSS if unit == "nats/token" else made
    assert found.runs.table["loss"].to_numpy() == pytest.approx(expected)


def test_units_that_cannot_be_converted_are_refused():
    with pytest.raises(MissingColumn, match=r"bits/character.*characters_per_token"):
        collect(table().drop(columns="val/loss").assign(bpc=LOSS))
    mixed = table(loss_unit=["nats/token", "bits/byte"] * 2)
    with pytest.raises(MixedUnits, match=r"bits/byte and nats/token.*bytes_per_token"):
        collect(mixed)
    found = collect(mixed.assign(bytes_per_token=4.0))
    assert found.runs.table["loss"].to_numpy() == pytest.approx(LOSS * np.array([1, 4 * math.log(2)] * 2))
    with pytest.raises(UnknownUnit, match="'furlongs'"):
        collect(table(), map={"loss_unit": "furlongs"})


def test_a_perplexity_called_loss_and_a_score():
    with pytest.raises(ImplausibleValues, match=r"12\.5"):
        collect(table(**{"val/loss": np.exp(LOSS)}))
    with pytest.raises(NotALoss, match="N and D"):
        collect(table(**{"val/loss": 1 - LOSS / 10}))
    assert len(collect(table(**{"val/loss": 1 - LOSS / 10}), anyway=True).runs) == 4


@pytest.mark.parametrize(("field", "factor"), [("FLOPs (P)", 1e-15), ("train_flops [exa]", 1e-18), ("total_flops", 1.0)])
def test_compute_in_powers_is_read_as_what_it_is(field, factor):
    found = collect(table(**{field: 6 * N * D * factor}))
    assert found.runs.table["compute_flops"].to_numpy() == pytest.approx(6 * N * D)


@pytest.mark.parametrize("ratio", [1e-15, 1e-3, 0.01, 100, 1e6])
def test_compute_in_a_wrong_unit_is_refused_in_both_directions(ratio):
    with pytest.raises(ImplausibleValues, match=r"total_flops.*6 N D"):
        collect(table(total_flops=6 * N * D * ratio))


@pytest.mark.parametrize("ratio", [1.4, 1 / 1.4])
def test_compute_that_counts_otherwise_is_said(ratio):
    said = [rule for rule in collect(table(total_flops=6 * N * D * ratio)).rules if "6 N D" in rule]
    assert said == [
        f"in 4 of 4 rows the compute is more than a factor 1.3 from 6 N D, most in row 1 (a factor {ratio:.3g}). "
        "Check its unit, and which parameters are counted"
    ]
    assert not [rule for rule in collect(table(total_flops=6 * N * D * 1.2)).rules if "6 N D" in rule]


SHAPE = {"n_layer": [12, 24], "n_embd": [768, 1024], "n_head": [12, 16], "train_tokens": [1e9, 2e9], "val/loss": [3.4, 3.1]}


def test_parameters_from_a_configuration():
    gpt = collect(pd.DataFrame(SHAPE))
    assert gpt.runs.table["params"].tolist() == [12 * 12 * 768**2, 12 * 24 * 1024**2]
    assert "without embeddings" in gpt.card.notes
    total = collect(pd.DataFrame(SHAPE).assign(vocab_size=50257, block_size=1024), map={"params_are": "total"})
    assert total.runs.table["params"].tolist() == [12 * 12 * 768**2 + 51281 * 768, 12 * 24 * 1024**2 + 51281 * 1024]
    assert "shares the token embedding (assumed" in total.card.notes
    moe = collect(
        pd.DataFrame(SHAPE).assign(num_experts=8, num_experts_per_tok=2, intermediate_size=1000, hidden_act="silu")
    )
    attention, expert = 4 * 768**2, 3 * 768 * 1000
    assert moe.runs.table["params"].iloc[0] == 12 * (attention + 2 * expert + 8 * 768)
    assert moe.runs.table["params_total"].iloc[0] == 12 * (attention + 8 * expert + 8 * 768)
    assert "the 2 of 8 experts that a token passes" in moe.card.notes
    with pytest.raises(ImplausibleValues, match=r"row 1.*7 heads"):
        collect(pd.DataFrame(SHAPE | {"n_head": 7}))


def test_only_what_total_counts_there_are():
    found = collect(table(total_params=N).drop(columns="n_params"))
    assert found.card.params == "total"
    assert "params counts all parameters, with embeddings: no other count was logged" in found.rules


def test_what_was_collected_is_written_and_read_again(tmp_path):
    found = collect(table(**{"val/bpb": LOSS, "sched": ["a", "a", "b", "b"]}).drop(columns="val/loss"))
    paths = found.save(tmp_path / "runs.csv", tmp_path / "curves.parquet")
    assert [path.name for path in paths] == ["runs.csv", "runs.card.toml", "curves.parquet"]
    again = bs.read_runs(tmp_path / "runs.csv")
    assert again.card == found.card
    pd.testing.assert_frame_equal(again.table, found.runs.table)
    assert list(pd.read_csv(tmp_path / "runs.csv")) == ["run_id", "params", "tokens", "loss", "sched"]
    assert "params = n_params" in found._repr_html_()
    assert found.to_dict()["runs"][0]["run_id"] == "a"


def test_settings_in_one_cell_are_fields():
    """As the script in the documentation of W&B writes a project into a CSV."""
    config = [str({"n_params": n, "schedule": "cosine", "layers": [1, 2], "lr": 1e-3}) for n in N.tolist()]
    summary = [
        str({"val/loss": loss, "train/tokens": d, "_runtime": 1.0, "done": True})
        for loss, d in zip(LOSS.tolist(), D.tolist(), strict=True)
    ]
    found = collect(pd.DataFrame({"name": list("abcd"), "config": config, "summary": summary}))
    assert found.runs.table["loss"].tolist() == LOSS.tolist()
    assert "params = config.n_params" in found.assumed
    assert "tokens = summary.train/tokens" in found.assumed
    with pytest.raises(MissingColumn, match="params"):
        collect(pd.DataFrame({"name": ["a"], "config": ["{'n': __import__('os')}"], "tokens": 1e9, "loss": 3.0}))


def test_what_is_no_loss_and_what_is_no_number_is_said():
    scores = table(acc=[0.2, 0.3, 0.4, 0.5]).drop(columns="val/loss")
    with pytest.raises(MissingColumn, match=r"'acc'.*'loss=1 - acc'"):
        collect(scores)
    with pytest.raises(MissingColumn, match=r"params.*'n_params'.*'large'"):
        collect(table(n_params="large"))
    two = table(**{"eval/c4/loss": LOSS, "eval/pile/loss": LOSS}).drop(columns="val/loss")
    with pytest.raises(MissingColumn, match=r"eval/pile/loss.*--columns 'loss=eval/c4/loss'"):
        collect(two)
    assert collect(two, map={"loss": "eval/pile/loss"}).assumed[-1] == "loss = eval/pile/loss; nats/token"


def test_the_learning_rate_is_the_peak_not_the_last():
    found = collect(table(lr=1e-5, learning_rate=[1e-3, 2e-3, 1e-3, 1e-3]))
    assert found.runs.table["lr"].tolist() == [1e-3, 2e-3, 1e-3, 1e-3]


def test_rows_repeated_whole_beside_two_sweeps_of_one_name():
    raw = pd.concat([table(name=["a", "a", "b", "c"])] * 2, ignore_index=True)
    with pytest.raises(RepeatedRun, match=r"'a' \(rows 1, 2\)"):
        collect(raw)


@pytest.mark.parametrize(
    ("columns", "kind"),
    [
        ({"val/loss": [10**400] * 4}, NoRows),
        ({"n_params": [[1], [2], [3], [4]]}, MissingColumn),
        ({"total_flops": [5e-324, 1e18, 1e18, 1e18]}, None),
        ({"State": pd.to_datetime(["2026-01-01"] * 4)}, None),
        ({math.nan: [{"a": 1}, None, 3, "x"], 5: [[1], (2,), {3}, None]}, None),
        ({"group": [1, None, "", True]}, None),
        ({"checkpoint": ["no", 5, None, "x"]}, None),
    ],
    ids=["huge", "lists", "tiny compute", "dates", "names", "labels", "checkpoint"],
)
@pytest.mark.parametrize("at", ["last", "all"])
def test_cells_of_any_kind_are_runs_or_a_sentence(columns, kind, at):
    raw = pd.concat([table().drop(columns=[name for name in columns if name in table()]), pd.DataFrame(columns)], axis=1)
    if kind is None:
        assert len(collect(raw, at=at).runs) == 4
    else:
        with pytest.raises(kind):
            collect(raw, at=at)


@pytest.mark.parametrize(("amounts", "first"), [([0] * 4, "a: 0"), ([1e17, math.inf, 1e18, 1e19], "b: inf")])
def test_compute_that_was_not_counted_is_left_out(amounts, first):
    found = collect(table(total_flops=amounts))
    assert found.runs.table["compute_flops"].to_numpy() == pytest.approx(6 * N * D)
    assert any(
        rule.startswith("total_flops is left out, since it is not a positive number in") and first in rule
        for rule in found.rules
    )


def test_a_table_of_compute_alone_is_told_the_law_of_it():
    with pytest.raises(InvalidRuns, match="For a law of compute_flops alone: --needs compute_flops,loss"):
        collect(pd.DataFrame({"flops": [1e18, 1e19], "loss": [3.1, 2.9]}))


def test_many_rows_that_are_one_again_are_left_out_at_once(tmp_path):
    table = pd.DataFrame({"params": [1e6] * 3000, "tokens": [1e8] * 3000, "loss": [3.1234567] * 3000})
    table.to_csv(tmp_path / "same.csv", index=False)
    found = collect(tmp_path / "same.csv")
    assert (len(found.runs), len(found.dropped)) == (1, 2999)
    assert len([line for line in found.lines if line.startswith("left out")]) == 21
    assert found.lines[-1].startswith("left out: 2,979 more")
