"""What follows from a system of laws, asked as documents: each says its numbers, in its interval, as plain data."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest

from bayes_scaling.errors import ConflictingOptions, InvalidRequest, NotConvergedWarning, WrongPosterior
from bayes_scaling.posterior.checks import check
from bayes_scaling.posterior.examples import example_fit, example_system
from bayes_scaling.posterior.mixture import Mixture
from bayes_scaling.questions.base import QUESTIONS, question
from bayes_scaling.questions.guardrails import Refused

ASKED = {
    "claims": {},
    "frontier": {"compute": [1e21, 1e23]},
    "bottleneck": {"params": 1e8, "dataset_tokens": 3e7, "steps": 1e5, "batch_tokens": 2**19},
    "derive": {"law": "critical_batch", "inputs": {"loss": 2.0}},
    "effort": {"loss": 2.9, "params": [1e6, 1e9]},
    "deadline": {"params": 1e9, "loss": 2.9, "days": 1.0, "seconds_per_step": 1.0},
    "stop-early": {"compute_min": 1e21, "params": 1e9},
    "early-stopping": {},
    "heterogeneity": {},
}
TABLES = {
    "claims": ["claims"],
    "frontier": ["frontier"],
    "bottleneck": ["resources"],
    "derive": [],
    "effort": ["sizes"],
    "deadline": ["deadline", "front"],
    "stop-early": ["runs"],
    "early-stopping": ["runs"],
    "heterogeneity": ["pairs"],
}


def answer(name, fit=None, **given):
    return question(name, **ASKED[name] | given).answer(fit or example_system())


@pytest.mark.parametrize("name", ASKED)
def test_every_answer_is_a_sentence_with_numbers_as_data(name):
    kind, found = QUESTIONS[name], answer(name)
    assert kind.name == name
    assert kind.example.startswith(f"{name} ")
    assert all(field.description for field in kind.model_fields.values())
    assert list(found.tables) == TABLES[name]
    assert kind.writes in (*found.tables, "")
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["sentence"] == found.sentence
    assert found.sentence.endswith((".", ")", "0.01"))
    assert pickle.loads(pickle.dumps(found)).sentence == found.sentence
    assert "<table" in found._repr_html_() or not found.tables


@pytest.mark.parametrize("name", ASKED)
def test_the_probability_of_the_intervals_is_the_one_asked_for(name):
    def width(found):
        rows = [row for table in found.tables.values() for row in table.to_dict("records")]
        rows += [found.values, found.values.get("loss", {})]
        ends = [
            (row, end.removesuffix("upper")) for row in rows if isinstance(row, dict) for end in row if end.endswith("upper")
        ]
        relative = [
            (row[f"{end}upper"] - row[f"{end}lower"]) / abs(row[f"{end}upper"]) for row, end in ends if row[f"{end}upper"]
        ]
        return np.nansum(relative)

    wide, narrow = answer(name, prob=0.9), answer(name, prob=0.5)
    assert "90 %" in wide.sentence or name == "early-stopping"
    assert "90 %" not in narrow.sentence
    assert narrow.about["prob"] == 0.5
    assert 0.0 <= width(narrow) < width(wide) or name == "heterogeneity"  # whose effects have no scatter by hand


@pytest.mark.parametrize("name", ASKED)
def test_a_mixture_is_refused_in_a_sentence(name):
    fits = {"one": example_fit(), "two": example_fit()}
    with pytest.raises(WrongPosterior, match=name):
        answer(name, Mixture(fits, {"one": 0.5, "two": 0.5}))


def test_a_fit_that_failed_a_check_is_a_caveat_or_refuses_the_decision():
    fit = example_system(chains=2, draws=20)
    bad = replace(fit, checks=tuple({**c, "passed": False} for c in check(fit).to_dict("records")))
    with pytest.warns(NotConvergedWarning):
        assert "NOT converged" in answer("claims", bad).caveats[0]
    with pytest.raises(Refused):
        answer("deadline", bad)
    with pytest.warns(NotConvergedWarning):
        assert "NOT converged" in answer("deadline", bad, override=True).caveats[0]


def test_a_question_says_what_it_has_no_use_for():
    with pytest.raises(ConflictingOptions, match="corpus"):
        answer("claims", group={"corpus": "C4"})


def test_the_words_are_the_numbers():
    said = answer("frontier", example_system(chains=1, draws=1)).sentence
    assert "At 1e23 FLOP, 2.10 decades beyond the runs (90 % intervals):" in said
    assert "N    1.93B parameters (1.93B to 1.93B)" in said
    assert "1M parameters reach 2.9 nats/token with a probability of less than 0.01." in answer("effort").sentence
    assert "twice the dataset_tokens" in answer("bottleneck").sentence.splitlines()[1]
    row = answer("deadline").tables["deadline"].iloc[0]
    assert f"a probability of {row['chance']:.2f}" in answer("deadline").sentence
    found = answer("derive")
    assert found.sentence == "critical_batch: 7.75M (90 % interval 7.36M to 8.07M)."
    assert found.values["median"] == pytest.approx(7.745e6, rel=1e-3)
    claims = answer("claims").sentence
    assert "size at one PF-day, (6.1): published 1.3B parameters; ours 584M (90 % interval 544M to 629M)" in claims
    assert "(6.8): published 8.64e23 FLOP; ours 2.62e28 (90 % interval 6.3e27 to 1.26e29)" in claims
    assert found.data is not None
    assert found.to_dict()["loss"] == 2.0


def test_draws_without_a_value_are_counted():
    found = answer("derive", law="stopping_step", inputs={"loss": 2.57, "L_infinite": 2.569})
    assert found.values["defined"] == 1.0
    assert "exists in" not in found.sentence


def test_early_stops_before_and_after_the_bound_are_counted():
    table = answer("early-stopping").tables["runs"]
    sentence = answer("early-stopping").sentence
    assert f"Of {len(table)} runs" in sentence
    assert f" {int((table['above'] >= 0.95).sum())} were best after" in sentence


def test_observations_that_share_everything_say_so(exact_fit):
    assert answer("heterogeneity", exact_fit).sentence == "The observations share every parameter."


@pytest.mark.parametrize(
    ("name", "axes"),
    [
        ("frontier", ("C (FLOP)", "params median")),
        ("effort", ("N (parameters)", None)),
        ("deadline", ("D (tokens)", "S (steps)")),
    ],
)
def test_curves_have_a_figure(name, axes):
    drawn = answer(name).figure().axes[0]
    assert drawn.get_xlabel() == axes[0]
    assert drawn.get_ylabel() == axes[1] or axes[1] is None
    with pytest.raises(InvalidRequest, match="has no figure"):
        answer("claims").figure()


def test_the_table_is_that_of_the_draws():
    for name, value, row, column in (
        ("claims", "value", {"claim": "exponent of size in compute"}, "median"),
        ("stop-early", "gain", {"run": "own size"}, "gain"),
    ):
        found = answer(name, prob=0.5)
        (key, label), table = *row.items(), next(iter(found.tables.values()))
        draws = found.data[value].sel(row)
        table = table.reset_index().set_index(key).loc[label]
        assert float(draws.median()) == pytest.approx(table[column])
    runs = answer("early-stopping")
    assert runs.data["bound"].median(("chain", "draw")).values == pytest.approx(runs.tables["runs"]["bound"])
