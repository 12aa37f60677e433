"""Variants of public runs, forecast at larger budgets from smaller ones: do intervals hold, and stated chances come true?"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bayes_scaling.inference import fit
from bayes_scaling.posterior.inputs import input_arrays
from bayes_scaling.posterior.predict import inside, predict_at, quantiles
from bayes_scaling.questions.base import question

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::bayes_scaling.errors.BayesScalingWarning")]

_BINS = (0.499, 0.6, 0.8, 0.95, 0.99, 1.0001)


def porian(folder) -> Iterator[tuple[str, pd.DataFrame, list[float]]]:
    """The best loss of six recipes at each compute: those of one kind of loss can be compared."""
    table = pd.read_csv(folder / "tidy" / "porian2024.csv")
    best = table.loc[table.groupby(["group", "compute_flops"])["loss"].idxmin()]
    best = best.assign(variant=best["group"].str.replace("rw|", "").str.replace("|", "/"), checkpoint=False)
    yield "porian2024", best[["variant", "compute_flops", "loss"]], [3.9e17, 1.59e18, 6.39e18]


def mayilvahanan(folder) -> Iterator[tuple[str, pd.DataFrame, list[float]]]:
    """One model on three corpora, by five texts, along its training."""
    table = pd.read_csv(folder / "tidy" / "mayilvahanan2025.csv").query("1.7e9 < params < 1.72e9")
    for text in [column for column in table if column.startswith("bpb_")]:
        rows = pd.DataFrame({"variant": table["group"], "tokens": table["tokens"], "loss": table[text]}).dropna()
        yield f"mayilvahanan2025 {text}", rows, [5e10, 1.2e11]


def gadre(folder) -> Iterator[tuple[str, pd.DataFrame, list[float]]]:
    """One grid of size and data on three corpora, by two texts."""
    table = pd.read_csv(folder / "tidy" / "gadre2024.csv")
    for text in ("loss", "loss_openlm_val"):
        rows = table[["params", "tokens", "compute_flops"]].assign(variant=table["corpus"], loss=table[text])
        yield f"gadre2024 {text}", rows, [1e19, 1e20]


SOURCES = {"porian2024": (porian, "offset_c"), "mayilvahanan2025": (mayilvahanan, "offset_d"), "gadre2024": (gadre, "kappa")}


def forecasts(name: str, rows: pd.DataFrame, model: str, cuts: list[float]) -> Iterator[dict[str, object]]:
    """Yield a row for every pair of variants and larger budget at which both were measured."""
    inputs = [column for column in ("params", "tokens", "compute_flops") if column in rows][:2]
    over = "compute_flops" if "compute_flops" in rows else "tokens"
    for cut in cuts:
        small, large = rows[rows[over] < cut], rows[rows[over] >= cut]
        if small.groupby("variant").size().min() < 4:
            continue
        made = fit(small, model, by="variant", seed=1, sampler="importance")
        for given, of_both in large.groupby(inputs):
            at = input_arrays(made, dict(zip(inputs, map(xr.DataArray, np.atleast_1d(given)), strict=True)))
            loss = of_both.set_index("variant")["loss"]
            drawn = {
                v: predict_at(made, at, group={"variant": v}, seed=1)["measured_loss"].values.ravel() for v in loss.index
            }
            for one, other in combinations(sorted(drawn), 2):
                if name == "porian2024" and one.split("/")[-1] != other.split("/")[-1]:
                    continue  # a loss in training, and one in validation
                behind = np.log(drawn[other] / drawn[one])
                truth = float(np.log(loss[other] / loss[one]))
                _, lower, upper = np.quantile(behind, quantiles(0.9))
                chance = float((behind > 0).mean())
                stated, true = max(chance, 1 - chance), (truth > 0) == (chance >= 0.5)
                covered = bool(inside(truth, lower, upper))
                yield {
                    "source": name,
                    "cut": cut,
                    "pair": f"{one} {other}",
                    "stated": stated,
                    "true": true,
                    "covered": covered,
                }


@pytest.mark.parametrize("source", list(SOURCES))
def test_stated_chances_of_the_better_variant_come_true(public_runs, source):
    made, model = SOURCES[source]
    told = pd.DataFrame([row for name, rows, cuts in made(public_runs) for row in forecasts(name, rows, model, cuts)])
    bins = pd.cut(told["stated"], _BINS)
    table = told.groupby(bins, observed=True).agg(
        forecasts=("true", "size"), stated=("stated", "mean"), true=("true", "mean")
    )
    print(f"\n{source}, {told['pair'].nunique()} pairs, {len(told)} forecasts; 90 % intervals of the difference cover "
          f"{told['covered'].mean():.2f}\n{table.round(2)}")  # fmt: skip
    assert told["covered"].mean() >= 0.8
    sure = told[told["stated"] > 0.95]
    assert sure["true"].mean() >= 0.9


def test_speed_ups_of_public_variants_have_intervals(public_runs):
    (_, rows, _), *_ = porian(public_runs)
    validated = rows[rows["variant"].str.endswith("val")]
    made = fit(validated, "offset_c", by="variant", seed=1)
    answer = question("recipes", baseline="base-longwarmup-kaplan/val", compute=[1e20]).answer(made)
    print(answer.sentence)
    table = answer.tables["recipes"].set_index("variant")
    assert (table["multiplier_lower"] < table["multiplier"]).all()
    assert (table["multiplier"] < table["multiplier_upper"]).all()
    assert table.loc["base-shortwarmup-chinchilla/val", "chance"] > 0.95
