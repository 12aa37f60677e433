"""Pins: a change of the document in the table's own units, and what it leaves out of the intervals is said."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from bayes_scaling.errors import InvalidModel, InvalidPin, InvalidSpecification
from bayes_scaling.inference import fit
from bayes_scaling.inference.sample import refuse_limits_above
from bayes_scaling.model.document import model_from_json, read_model
from bayes_scaling.model.layout import Layout
from bayes_scaling.model.pins import Pin
from bayes_scaling.model.prior_draws import draw_prior
from bayes_scaling.questions.base import ask
from bayes_scaling.runs.catalog import load_runs
from tests.command import command  # noqa: F401 - a fixture


@pytest.mark.parametrize("written", ["1.69+-0.02", "1.69 ± 0.02", "1.69 +/- 0.02", (1.69, 0.02), [1.69, 0.02]])
def test_a_pin_is_written_as_one_likes(written):
    assert Pin.of("E", written) == Pin(1.69, 0.02)


@pytest.mark.parametrize("wrong", ["", "x", "1+-", "-1", -1.0, (1, -0.1), (0.0, 0.1), "1+-2+-3", float("nan"), None])
def test_what_is_no_pin_is_a_sentence(wrong):
    with pytest.raises(InvalidModel, match=r"The pin E = .* is not valid"):
        read_model("kappa").pinned({"E": wrong})


def test_a_pin_changes_the_document_and_its_digest():
    model, exact = read_model("kappa"), read_model("kappa").pinned({"E": 1.69, "kappa": 1.0})
    assert exact.fixed == {"E": 1.69, "kappa": 1.0}
    assert model_from_json(exact.to_json()).digest == exact.digest != model.digest
    assert model.pinned({}).digest == model.digest
    uncertain = model.pinned({"E": "1.69+-0.02"})
    assert model_from_json(uncertain.to_json()).digest == uncertain.digest != exact.digest
    assert not read_model("kappa_by_group").pinned({"A": 3.0}).parameters["A"].varies_by


def test_a_pin_is_in_the_units_of_the_table(simulated_runs):
    model = read_model("chinchilla").pinned({"E": (1.69, 0.05), "alpha": (0.34, 0.02)})
    for factor in (1.0, 100.0):  # the typical loss is another
        table = simulated_runs.table.assign(loss=simulated_runs.table["loss"] * factor)
        prior = draw_prior(Layout.of(model, {"loss": table}), np.random.default_rng(0))
        assert float(prior["E"].mean()) == pytest.approx(1.69, abs=0.01)
        assert float(prior["E"].std()) == pytest.approx(0.05, rel=0.1)
        assert float(prior["alpha"].std()) == pytest.approx(0.02, rel=0.1)


@pytest.mark.parametrize(
    ("model", "pins", "message"),
    [
        ("kappa", {"X": 1.0}, "no parameter 'X' to pin"),
        ("kappa", {"A": "3+-1"}, "states the loss left by N"),
        ("farseer", {"s": 0.06}, "E is stated relative to it"),
    ],
)
def test_what_cannot_be_pinned_is_a_sentence(model, pins, message):
    with pytest.raises((InvalidModel, InvalidSpecification), match=message):
        read_model(model).pinned(pins)


def test_pins_are_said_wherever_the_fit_answers(simulated_runs):
    settings = {"seed": 1, "sampler": "importance", "draws": 500, "progress": False}
    pinned = fit(simulated_runs, "chinchilla", pin={"E": 1.7, "beta": 0.3658}, **settings)
    first, second = pinned.pinned
    assert first.startswith("E = 1.7 is fixed: no interval includes its uncertainty. The runs alone put it at 1.8")
    assert "1.7 lies below the quantile 0.001 of that" in first
    assert second.startswith("beta = 0.3658 is fixed")
    answer = ask(pinned, "predict", params=7e10, tokens=1.4e12)
    assert set(pinned.pinned) <= set(answer.caveats)
    free = fit(simulated_runs, "chinchilla", **settings)
    assert free.pinned == []
    wide = fit(simulated_runs, "chinchilla", pin={"E": (1.75, 0.3)}, **settings)
    (line,) = wide.pinned
    assert line.startswith("E was pinned to 1.75 ± 0.3. The runs alone put it at")
    assert float(wide.posterior["E"].std()) == pytest.approx(float(free.posterior["E"].std()), rel=0.25)


def test_pins_on_the_command_line(simulated_runs, tmp_path, command):  # noqa: F811
    table = tmp_path / "runs.csv"
    pd.DataFrame(simulated_runs.table).to_csv(table, index=False)
    out = tmp_path / "fit.nc"
    given = ("fit", table, "--model", "chinchilla", "--out", out, "--draws", "500", "--sampler", "importance")
    done = command(*given, "--pin", "E=1.817", "--pin", "alpha=.3478", "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert "E" not in found["parameters"]
    assert [line.partition(" is ")[0] for line in found["pinned"]] == ["E = 1.817", "alpha = 0.3478"]
    assert command("predict", out, "--params", "7e10", "--tokens", "1.4e12").out.startswith("E = 1.817 is fixed")
    for wrong in ("E", "E=x", "X=1"):
        refused = command(*given, "--pin", wrong)
        assert refused.code == 2
        assert "Traceback" not in refused.err


def test_a_limit_above_a_measured_loss_is_refused():
    runs = load_runs("pile_families")
    least, second = sorted(runs.table["loss"])[:2]
    with pytest.raises(
        InvalidPin, match=f"E is fixed at {second:g}.* 2 of 20 runs measured at most that, the least {least:g}"
    ):
        fit(runs, "chinchilla", pin={"E": second}, progress=False)
    refuse_limits_above(Layout.of(read_model("chinchilla").pinned({"E": least}), {"loss": runs.table}))  # by its noise
