"""The ladder is what its plan says, and measures what it was designed to measure."""

from __future__ import annotations

import importlib
import math
import sys
import tomllib

import numpy as np
import pandas as pd
import pytest

import bayes_scaling as bs
from bayes_scaling.files import DATA

FOLDER = DATA / "ladder"


@pytest.fixture(scope="module")
def runs() -> pd.DataFrame:
    return bs.load_runs("ladder").table


@pytest.fixture(scope="module")
def curves() -> pd.DataFrame:
    return bs.load_curves("ladder").table


@pytest.fixture
def scripts(monkeypatch):
    """Import a script of the ladder's folder, as it is when it is run."""
    monkeypatch.syspath_prepend(FOLDER)
    names = [path.stem for path in FOLDER.glob("*.py")]
    yield importlib.import_module
    for name in names:
        sys.modules.pop(name, None)


def decades(values: pd.Series) -> float:
    return math.log10(values.max() / values.min())


def test_the_plan_is_what_the_design_writes(scripts):
    written = pd.read_csv(FOLDER / "plan.csv")
    pd.testing.assert_frame_equal(pd.DataFrame(scripts("design").plan()), written, check_dtype=False)


def test_every_planned_run_was_trained_as_planned(runs):
    plan = pd.read_csv(FOLDER / "plan.csv")
    assert runs["run_id"].tolist() == plan["run_id"].tolist()
    same = [
        "series",
        "depth",
        "width",
        "heads",
        "feedforward",
        "context",
        "dataset_tokens",
        "batch_tokens",
        "lr",
        "schedule",
    ]
    pd.testing.assert_frame_equal(runs[same], plan[same], check_dtype=False)
    assert (runs["seed"] == plan["seed"]).all()
    assert (runs["steps"] <= plan["steps"]).all()
    assert (runs["steps"] == plan["steps"])[plan["patience"] == 0].all()
    assert set(runs["outcome"]) == {"horizon", "early"}


def test_counts_are_exact(runs, scripts):
    for row in runs.drop_duplicates(["depth", "width", "heads", "feedforward"]).itertuples():
        shape = bs.laws.Transformer(
            depth=row.depth, width=row.width, heads=row.heads, feedforward=row.feedforward, context=1, vocabulary=256
        )
        assert row.params == shape.params
        assert row.params_total == shape.params + 256 * row.width  # no positions are learned
        products = {
            "attention": row.depth * 4 * row.width**2,
            "feed-forward": row.depth * 2 * row.width * row.feedforward,
            "output": 256 * row.width,
            "scores and mixing": row.depth * sum(2 * row.width * seen for seen in range(1, 129)) / 128,
        }
        assert row.flops_per_token == 3 * 2 * sum(products.values())
    assert (runs["tokens"] == runs["steps"] * runs["batch_tokens"]).all()
    assert np.allclose(runs["epochs"], runs["tokens"] / runs["dataset_tokens"], atol=1e-4)


def test_the_design_spans_what_was_asked(runs):
    of = dict(tuple(runs.groupby("series")))
    assert of["size"]["params"].nunique() >= 8
    assert decades(of["size"]["params"]) >= 2.5
    assert (of["size"]["tokens"] == 3 * 2**22).all()

    cells = of["data"].groupby("params")["dataset_tokens"].nunique()
    assert len(cells) >= 4
    assert cells.min() >= 4
    assert decades(of["data"]["dataset_tokens"]) >= 1.5
    assert (of["data"]["epochs"] > 1).mean() > 0.8
    scarce = of["data"]["dataset_tokens"] < 4e6
    assert (of["data"]["outcome"] == "early")[scarce].all()

    budgets = of["compute"].groupby(of["compute"]["run_id"].str.split("-").str[1])
    assert len(budgets) >= 4
    for budget, profile in budgets:
        assert profile["params"].nunique() >= 4
        assert np.allclose(profile["compute_flops"], float(budget), rtol=0.01)

    batches = of["batch"].groupby("params")["batch_tokens"]
    assert len(batches) >= 2
    assert batches.nunique().min() >= 6
    assert decades(of["batch"]["batch_tokens"]) >= 1.5

    at_n = of["shape"].groupby(np.log10(of["shape"]["params"]).round(0))
    assert len(at_n) >= 2
    for _, rows in at_n:
        assert len(rows[["depth", "width", "heads"]].drop_duplicates()) >= 5
        assert decades(rows["params"]) < 0.05

    again = of["seed"]["run_id"].str.replace(r"-s\d$", "", regex=True)
    assert again.value_counts().min() >= 2
    assert again.nunique() >= 3
    assert set(again) <= set(runs["run_id"])


def test_the_loss_falls_with_size_and_with_data(runs):
    by_size = runs.query("series == 'size'").sort_values("params")
    assert by_size["loss"].is_monotonic_decreasing
    for _, rows in runs.query("series == 'data'").groupby("params"):
        assert rows.sort_values("dataset_tokens")["loss"].is_monotonic_decreasing


def test_curves_end_where_their_runs_do_and_lie_on_a_grid_of_log_steps(runs, curves):
    assert set(curves["run_id"]) == set(runs["run_id"])
    for name, points in curves.groupby("run_id"):
        run = runs.set_index("run_id").loc[name]
        assert run["steps"] in set(points["steps"])
        ratios = np.diff(np.log2(points["steps"]))
        assert (ratios > 0).all()
        assert ratios.max() < 0.6
    last = curves.merge(runs[["run_id", "steps", "loss"]], on=["run_id", "steps"], suffixes=("", "_of_run"))
    harder = last["loss"] / last["loss_of_run"] - 1  # a part of the held-out text against all of it, as the card says
    assert harder.between(0.04, 0.12).all()


def test_the_noise_scale_grows_as_the_loss_falls(curves):
    measured = curves.dropna(subset=["gradient_trace"]).query("series == 'size' and steps >= 64")
    early, late = measured.query("steps < 512"), measured.query("steps >= 2048")
    ratio = [part["gradient_trace"].sum() / part["gradient_squared"].sum() for part in (early, late)]
    assert ratio[1] > 2 * ratio[0]


def test_the_folder_is_small(runs):
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) < 20e6


def test_the_card_names_every_package_of_the_corpus():
    recipe = tomllib.loads((FOLDER / "corpus.toml").read_text(encoding="utf-8"))
    card = bs.load_runs("ladder").card
    for package in recipe["package"]:
        assert package["name"] in card.notes
    assert recipe["sha256"][:16] in card.notes


def test_a_package_of_other_bytes_is_refused(scripts, tmp_path):
    corpus = scripts("corpus")
    path = tmp_path / "dict-gcide_1_all.deb"
    path.write_bytes(b"something else")
    with pytest.raises(corpus.CorpusError, match="the recipe wants 7b0af5cf"):
        corpus.checked(path, corpus.recipe()["package"][0])


def test_blocks_are_cut_at_line_ends_and_lose_nothing(scripts):
    text = b"".join(b"line %d\n" % number for number in range(1000)) + b"no end"
    blocks = scripts("corpus").blocks_of(text, 256)
    assert b"".join(blocks) == text
    assert all(block.endswith(b"\n") and 256 < len(block) < 270 for block in blocks[:-1])
