"""Repeated data on the public runs of Muennighoff et al.: what repetition is worth, and forecasts of more of it than was seen."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayes_scaling.evaluation.scores import scored
from bayes_scaling.evaluation.trial import sampled
from bayes_scaling.inference import fit
from bayes_scaling.inference.settings import Settings
from bayes_scaling.laws.constants import published
from bayes_scaling.model.document import read_model
from bayes_scaling.runs.table import read_runs

pytestmark = pytest.mark.slow
LAWS = ("chinchilla", "repeated", "repeated_excess", "repeated_penalty")


@pytest.fixture(scope="module")
def runs(public_runs):
    table = pd.read_csv(public_runs / "tidy" / "muennighoff2023.csv")
    return table[["run_id", "params", "tokens", "dataset_tokens", "loss", "epochs"]]


def test_worth_of_repetition_and_of_excess_parameters_up_to_four_epochs(runs):
    """Of the 61 runs of at most four epochs; of more, the interval moves up: 24 (12 to 72) to ten epochs, 60 and above to sixty."""
    found = fit(read_runs(runs[runs["epochs"] <= 4.05]), "repeated_excess", seed=1, sampler="importance", progress=False)
    assert found.converged, found.verdict
    paper = published("muennighoff2023 repetition").values
    for name, theirs in (("R_D", paper["R_D_star"]), ("R_N", paper["R_N_star"])):
        low, middle, high = found.learned[name].quantile([0.05, 0.5, 0.95]).values
        print(f"{name}* {middle:.1f} ({low:.1f} to {high:.1f}), the paper {theirs:.1f}")
        assert low < theirs < high


def test_forecasts_of_held_out_repetitions(runs):
    """Fitted to at most ten epochs, of all the rest: the penalty forecasts best, and alone covers what it says."""
    known, ahead = (runs[rows].reset_index(drop=True) for rows in (runs["epochs"] <= 10, runs["epochs"] > 10))
    scores = {}
    for law in LAWS:
        _, draws = sampled(read_model(law), read_runs(known), ahead, Settings("importance", seed=1))
        outcome = scored(np.log(ahead["loss"].to_numpy()), draws)
        scores[law] = outcome["interval_score_0.9"].mean(), outcome["inside_0.9"].mean()
        print(f"{law}: interval score {scores[law][0]:.2f}, {scores[law][1]:.0%} of {len(outcome)} inside 90 %")
    best = scores.pop("repeated_penalty")
    assert best[1] > 0.8
    assert best[0] < 0.6 * min(score for score, _ in scores.values())
    assert scores["repeated_excess"][0] < scores["chinchilla"][0]
