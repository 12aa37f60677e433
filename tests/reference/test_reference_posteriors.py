"""Our posteriors beside those of NumPyro and Stan, written independently: logarithms, in standard deviations of the reference."""

from __future__ import annotations

import numpy as np
import pytest

import bayes_scaling as bs
from tests.reference.page import PAGE, falls_short, page, worst
from tests.reference.posteriors import DRAWS, NAMES, by_stan, compared, digest, draws, info, results, runs_of

QUICK = ("kaplan_n", "kaplan_c", "chinchilla")
NUISANCE = {"S_least_center"}
"""Unknowns of the reference that a fit stores under another meaning."""


@pytest.mark.parametrize("name", NAMES)
def test_the_reference_is_sound(name):
    """It is of the document as it stands, its chains agree, and its thinned draws are of it."""
    of_it = info(name)
    assert of_it["document"] == digest(name), f"{name}.toml has changed: make its reference anew"
    assert of_it["checks"]["largest_r_hat"] < 1.005
    assert of_it["checks"]["divergences"] <= 40  # one in a thousand
    assert min(of_it["checks"]["least_ess_bulk"], of_it["checks"]["least_ess_tail"]) > 2000
    chains = draws(name)
    for unknown, stored in of_it["summary"].items():
        x = np.log(np.concatenate([chain[unknown] for chain in chains]))
        assert abs(x.mean() - stored["mean"]) < 0.25 * stored["sd"]
        assert 0.75 < x.std() / stored["sd"] < 1.25


@pytest.mark.parametrize("name", [name for name in NAMES if by_stan(name)])
def test_stan_and_numpyro_agree(name):
    other = by_stan(name)
    assert other["checks"]["largest_r_hat"] < 1.005
    for unknown, stored in info(name)["summary"].items():
        there = other["summary"][unknown]
        error = stored["sd"] * (1 / stored["ess_bulk"] + 1 / there["ess_bulk"]) ** 0.5
        assert there["mean"] == pytest.approx(stored["mean"], abs=4 * error)
        assert there["sd"] == pytest.approx(stored["sd"], rel=0.06)


def _agrees(name, **sampler):
    fits = [bs.fit(runs_of(name), name, seed=seed, progress=False, **sampler) for seed in (1, 2, 3, 4)]
    found = compared(name, fits)
    print(found.round(3).to_string())
    assert set(info(name)["summary"]) - set(found.index) <= NUISANCE
    assert not falls_short(found.to_dict("index")), worst(found.to_dict("index"))


@pytest.mark.parametrize("name", QUICK)
def test_our_sampler_agrees(name):
    _agrees(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if name not in QUICK])
def test_our_sampler_agrees_on_every_document(name):
    _agrees(name, draws=DRAWS.get(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if "system" not in name])
def test_nuts_on_our_model_agrees(name):
    _agrees(name, sampler="nuts", draws=2500)


def test_the_page_says_what_was_measured():
    assert PAGE.read_text(encoding="utf-8") == page()


def test_what_was_measured_agrees():
    for name, by in results().items():
        assert not {sampler: worst(rows) for sampler, rows in by.items() if falls_short(rows)}, name
