"""Priors and noise may be others, in the terms of PyMC, PreliZ and pymc_extras."""

from __future__ import annotations

import numpy as np
import preliz as pz
import pytest

import bayes_scaling as bs
from bayes_scaling.model.priors import Prior

KAPPA = bs.read_model("kappa")


@pytest.mark.parametrize(
    "given",
    [
        Prior(dist="LogNormal", mu=-1.0, sigma=0.25),
        {"dist": "LogNormal", "mu": -1, "sigma": 0.25},
        {"dist": "LogNormal", "kwargs": {"mu": -1, "sigma": 0.25}},  # what pymc_extras.prior.Prior.to_dict returns
        pz.LogNormal(-1, 0.25),
    ],
)
def test_a_prior_may_be_said_in_many_ways(given):
    model = KAPPA.with_priors(a=given)
    assert str(model.priors["a"]) == "LogNormal(mu=-1, sigma=0.25)"
    assert {name: prior for name, prior in model.priors.items() if name != "a"} == {
        name: prior for name, prior in KAPPA.priors.items() if name != "a"
    }
    assert KAPPA.with_priors(a=model.priors["a"]).digest == model.digest


def test_a_prior_elicited_by_preliz_is_taken():
    elicited = pz.Gamma()
    pz.maxent(elicited, 0.2, 0.5, 0.9, plot=False)
    prior = KAPPA.with_priors(a=elicited).priors["a"]
    draws = prior.draw(np.random.default_rng(0), 20_000)
    assert ((draws > 0.2) & (draws < 0.5)).mean() == pytest.approx(0.9, abs=0.01)


def test_a_document_may_be_written_as_pymc_extras_writes_it():
    assert str(Prior.model_validate({"dist": "HalfNormal", "kwargs": {"sigma": 0.5}})) == "HalfNormal(sigma=0.5)"


def test_groups_stay_where_a_prior_changes():
    grouped = KAPPA.by("schedule")
    assert grouped.with_priors(a=pz.LogNormal(-1, 0.25)).parameters["a"].varies_by == ("schedule",)


@pytest.mark.parametrize(
    ("priors", "said"),
    [
        ({"a": 3}, "The prior of a: 3 is not a prior"),
        ({"aa": pz.LogNormal(0, 1)}, "There is no parameter 'aa'"),
        ({"a": pz.LogNormal()}, "LogNormal takes the arguments"),
        ({"a": {"dist": "LogNormal", "mu": "much", "sigma": 1.0}}, "The prior of a: mu"),
    ],
)
def test_what_is_no_prior_is_said(priors, said):
    with pytest.raises(bs.BayesScalingError, match=said):
        KAPPA.with_priors(**priors)


def test_noise_may_be_another():
    model = bs.read_model("chinchilla").with_noise("Normal", nu=None, sigma={"dist": "HalfNormal", "sigma": 0.02})
    assert (model.likelihood.dist, str(model.likelihood.sigma)) == ("Normal", "HalfNormal(sigma=0.02)")
    system = bs.read_model("kaplan_system").with_noise(observation="noise", sigma=pz.HalfNormal(0.5))
    assert str(system.observation("noise").likelihood.sigma) == "HalfNormal(sigma=0.5)"
    assert system.observation("curves") == bs.read_model("kaplan_system").observation("curves")
    with pytest.raises(bs.BayesScalingError, match="need a Normal likelihood"):
        KAPPA.with_noise("StudentT", nu=4.0)


def test_the_graph_has_every_prior_and_law():
    source = bs.read_model("kaplan_system").graph().source
    model = bs.read_model("kaplan_system")
    assert all(f"{name} ~ {prior}" in source for name, prior in model.priors.items())
    assert all(observation.law in source for observation in model.observations)
    assert set(model.graph()._repr_mimebundle_()) == {"text/vnd.mermaid", "text/plain"}


def test_in_the_graph_every_parameter_of_a_law_points_to_it_and_no_other():
    model = bs.read_model("kaplan_system")
    arrows = [line.strip() for line in model.graph().source.splitlines()]
    for observation in model.observations:
        law = f"law_{model.suffix(observation)}"
        to_it = {line.removesuffix(f" --> {law}") for line in arrows if line.endswith(f" --> {law}")}
        named = set(observation.the_law.parameters) & set(model.parameters)
        assert {name for name in to_it if not name.startswith(law)} == named
