"""Variants against closed forms: speed-ups at a budget and at a loss, crossings, mixtures, time, and the gate."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bayes_scaling.errors import ConflictingOptions, MissingOption, OutOfRange, UnknownChoice, Unreachable
from bayes_scaling.posterior.mixture import Mixture
from bayes_scaling.questions.base import question
from bayes_scaling.questions.recipes import throughputs
from tests.command import command  # noqa: F401 - a fixture
from tests.grouped import grouped_fit
from tests.variants import AT, EXPONENT, loss, variants_fit

FASTER = 0.9 ** (-1 / EXPONENT)
"""Of a variant whose term is nine tenths of the base's."""


@pytest.fixture(scope="module")
def three():
    return variants_fit({"base": 1.0, "better": 0.9, "worse": 1.1})


def asked(fit, **given):
    return question("recipes", anyway=True, **given).answer(fit)


def test_a_smaller_term_is_a_speed_up_of_the_same_factor_everywhere(three):
    answer = asked(three, baseline="base", tokens=[3e9, 1e11], loss=[2.0])
    table = answer.tables["recipes"].set_index(["variant", "tokens"])
    for tokens in (3e9, 1e11):
        assert table.loc[("better", tokens), "multiplier"] == pytest.approx(FASTER, rel=2e-3)
        assert table.loc[("worse", tokens), "multiplier"] == pytest.approx(1.1 ** (-1 / EXPONENT), rel=2e-3)
        gain = loss(tokens) - loss(tokens, factor=0.9)
        assert table.loc[("better", tokens), "gain"] == pytest.approx(gain, rel=1e-9)
    assert table["chance"].tolist() == table["chance_of_runs"].tolist() == table["chance_best"].tolist() == [1, 0, 1, 0]
    reached = answer.tables["losses"].set_index("variant")
    assert reached.loc["better", "multiplier"] == pytest.approx(FASTER, rel=2e-3)
    assert loss(reached.loc["better", "needed"], factor=0.9) == pytest.approx(2.0, rel=1e-4)
    assert (answer.tables["crossing"]["chance"] == 0).all()
    assert answer.sentence.startswith("At 3B tokens, against base:\n  better: speed-up in tokens 1.53")


def test_what_a_loss_needs_is_said_of_those_that_reach_it():
    """One that ends higher reaches no loss below its end, at any size."""
    fit = variants_fit({"base": 1.0, "better": 0.9, "never": 1.0})
    effect = fit.posterior["E_effect_variant"]
    fit = fit._with_posterior(fit.posterior.assign(E_effect_variant=effect + 0.5 * (effect["variant"] == "never")))
    answer = asked(fit, baseline="base", loss=[1.8])
    needed = answer.tables["losses"].set_index("variant")["needed"]
    assert np.isfinite(needed).to_dict() == {"better": True, "never": False}
    said = {line.split(":")[0].strip(): "it needs" in line for line in answer.sentence.splitlines() if "speed-up" in line}
    assert said == {"better": True, "never": False}


def test_a_pair_is_what_it_is_among_many(three):
    pair = asked(three, a={"variant": "worse"}, b={"variant": "base"}, tokens=[1e10]).tables["recipes"]
    many = asked(three, baseline="base", tokens=[1e10]).tables["recipes"]
    assert pair["multiplier"].item() == many.set_index("variant").loc["worse", "multiplier"]


def test_where_they_cross():
    factor, steeper = 1.2, 1.2
    fit = variants_fit({"base": 1.0, "new": factor}, {"new": steeper})
    row = asked(fit, baseline="base", tokens=[1e10]).tables["crossing"].iloc[0]
    where = AT * factor ** (1 / (EXPONENT * steeper - EXPONENT))
    assert row["tokens"] == pytest.approx(where, rel=0.15)
    assert (row["chance"], row["ahead"]) == (1.0, 1.0)
    assert (row["chance_beyond"], row["beyond"]) == (1.0, pytest.approx(where, rel=0.15))


def test_a_crossing_among_the_runs_is_none_beyond_them():
    fit = variants_fit({"base": 1.0, "new": 1.02}, {"new": 1.2})
    answer = asked(fit, baseline="base", tokens=[1e10])
    row = answer.tables["crossing"].iloc[0]
    assert row["tokens"] < fit.table["tokens"].max()
    assert (row["chance"], row["chance_beyond"]) == (1.0, 0.0)
    assert "beyond the largest run, within 6 decades of it: new less than 0.01." in answer.sentence


def test_chances_are_shares_of_draws_and_the_best_of_many_is_one():
    fit = variants_fit({"base": 1.0, "one": 1.0, "two": 0.99, "three": 1.01}, draws=400, scatter=0.02)
    table = asked(fit, baseline="base", tokens=[1e10], at_least=1.02, sure=0.2).tables["recipes"].set_index("variant")
    effect = fit.posterior["beta_effect_variant"]
    for name in ("one", "two", "three"):
        ahead = (effect.sel(variant=name) < effect.sel(variant="base")).mean()
        assert table.loc[name, "chance"] == pytest.approx(float(ahead))
        least = (effect.sel(variant="base") - effect.sel(variant=name)) / EXPONENT >= np.log(1.02)
        assert table.loc[name, "chance_at_least"] == pytest.approx(float(least.mean()), abs=0.01)
        assert table.loc[name, "passes"] == (table.loc[name, "chance_at_least"] >= 0.2)
    base_best = float((effect.sel(variant="base") == effect.min("variant")).mean())
    assert table["chance_best"].sum() == pytest.approx(1 - base_best)


def test_time_is_the_speed_up_times_the_throughput(three):
    rates = {"base": 1e6, "better": 8e5, "worse": 1e6}
    given = asked(three, baseline="base", tokens=[1e10], throughput=rates).tables["recipes"].set_index("variant")
    assert given.loc["better", "time_multiplier"] == pytest.approx(0.8 * FASTER, rel=2e-3)
    measured = variants_fit({"base": 1.0, "better": 0.9}, tokens_per_second={"base": 1e6, "better": 8e5})
    assert throughputs(measured) == pytest.approx({"base": 1e6, "better": 8e5})
    by_column = asked(measured, baseline="base", tokens=[1e10]).tables["recipes"]
    assert by_column["time_multiplier"].item() == pytest.approx(0.8 * FASTER, rel=2e-3)


def test_a_mixture_shows_its_fits_and_itself():
    fits = {
        "own": variants_fit({"base": 1.0, "new": 0.9}, draws=50),
        "shared": variants_fit({"base": 1.0, "new": 1.1}, draws=50),
    }
    answer = asked(Mixture(fits, {"own": 0.7, "shared": 0.3}), baseline="base", tokens=[1e10], at_least=1.05, sure=0.6)
    table = answer.tables["recipes"].set_index("form")
    assert table["chance"].round(6).to_dict() == {"own": 1.0, "shared": 0.0, "all": 0.7}
    assert answer.passed
    assert "by own" in answer.sentence
    assert not asked(Mixture(fits, {"own": 0.5, "shared": 0.5}), baseline="base", tokens=[1e10], at_least=1.05).passed


def test_the_gate_has_an_exit_code(command, three, tmp_path):  # noqa: F811
    path = three.save(tmp_path / "fit.nc")
    given = ("recipes", path, "--baseline", "base", "--tokens", "1e10", "--anyway")
    passed = command(*given, "--at-least", "1.5", "--json")
    assert (passed.code, json.loads(passed.out)["passed"]) == (0, True)
    failed = command(*given, "--at-least", "1.6")
    assert failed.code == 1
    assert "NOT passed: a speed-up of at least 1.6 in tokens with a probability of 0.9." in failed.out
    assert command(*given).code == 0


@pytest.mark.parametrize(
    ("given", "kind", "named"),
    [
        ({"baseline": "base"}, MissingOption, "--tokens"),
        ({"baseline": "base", "compute": [1e20]}, MissingOption, "--tokens"),
        ({"baseline": "bas", "tokens": [1e10]}, UnknownChoice, "did you mean 'base'"),
        ({"tokens": [1e10]}, MissingOption, "--baseline"),
        ({"a": {"variant": "worse"}, "baseline": "base", "tokens": [1e10]}, ConflictingOptions, "--a and --b"),
        ({"baseline": "base", "tokens": [1e10], "throughput": {"better": 1.0}}, MissingOption, "worse, base"),
        ({"baseline": "base", "tokens": [1e10], "throughput": {"betters": 1.0}}, UnknownChoice, "'betters'"),
        ({"baseline": "base", "tokens": [1e10], "throughput": {"base": 0.0}}, OutOfRange, "throughput"),
    ],
)
def test_what_cannot_be_asked_is_a_sentence(three, given, kind, named):
    with pytest.raises(kind, match=named):
        asked(three, **given)


def test_groups_of_a_law_of_size_and_data_are_compared_at_their_best_sizes():
    answer = asked(grouped_fit(), baseline="b", compute=[1e21], loss=[2.2])
    (row,) = answer.tables["recipes"].to_dict("records")
    assert row["chance"] > 0.99
    assert row["multiplier_lower"] <= row["multiplier"] <= row["multiplier_upper"]
    (reached,) = answer.tables["losses"].to_dict("records")
    assert reached["multiplier"] > 1
    assert np.isfinite(reached["reach_compute_flops"])


@pytest.mark.parametrize("given", [{"a": {"variant": "worse"}}, {"b": {"variant": "worse"}}, {}])
def test_one_variant_alone_is_compared_with_nothing(three, given):
    with pytest.raises(MissingOption, match="--baseline"):
        asked(three, tokens=[1e10], **given)


def test_a_loss_that_none_reaches_or_all_reach_at_once_is_no_speed_up(three):
    with pytest.raises(Unreachable, match=r"No recipe is expected to reach a loss of 0\.01 within 6 decades"):
        asked(three, baseline="base", loss=[0.01])
    with pytest.raises(Unreachable, match="smallest run already reaches a loss of 50"):
        asked(three, baseline="base", loss=[50.0])
