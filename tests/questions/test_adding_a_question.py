"""A question is one class in one module: Python, JSON and the command line have it by its import."""

from __future__ import annotations

import importlib
import json
import sys

import pytest

import bayes_scaling as bs
from bayes_scaling.errors import InvalidFields
from bayes_scaling.posterior.examples import example_fit
from bayes_scaling.questions.registry import LOADED, entries
from tests.command import command  # noqa: F401 - a fixture

MODULE = '''
import pandas as pd
from pydantic import Field

from bayes_scaling.posterior.predict import interval, predict
from bayes_scaling.questions.base import Answer, Question


class Doubling(Question):
    """The loss that twice the data of a run removes."""

    name = "doubling"
    panel = "Forecast"
    example = "doubling fit.nc --params 7e10 --tokens 1.4e12"
    guarded = False
    writes = "gain"

    params: float = Field(gt=0, description="N of the run.")
    tokens: float = Field(gt=0, description="D of the run.")

    def _result(self, posterior):
        one, two = (predict(posterior, params=self.params, tokens=times * self.tokens)["law_loss"] for times in (1, 2))
        median, lower, upper = (float(end) for end in interval(one - two, self.prob))
        table = pd.DataFrame([{"gain": median, "lower": lower, "upper": upper}])
        return Answer(f"Twice the data removes {median:.3f} {posterior.loss_unit}.", tables={"gain": table})
'''


@pytest.fixture
def doubling(tmp_path, monkeypatch):
    """A module with a question, imported; gone afterwards."""
    (tmp_path / "asks_doubling.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("asks_doubling").Doubling
    del LOADED["doubling"], sys.modules["asks_doubling"]


def test_it_is_asked_by_its_verb_from_python_and_on_the_command_line(doubling, command, tmp_path):  # noqa: F811
    fit = example_fit(chains=4, draws=200)
    asked = {"params": 7e10, "tokens": 1.4e12}
    answer = bs.ask(fit, "doubling", **asked)
    assert answer.to_dict() == doubling(**asked).answer(fit).to_dict()
    stored = fit.save(tmp_path / "fit.nc")
    printed = command("doubling", stored, "--params", "7e10", "--tokens", "1.4e12", "--json")
    assert json.loads(printed.out)["gain"] == json.loads(json.dumps(answer.to_dict()))["gain"]
    assert "  doubling " in command("--help").out
    written = command("doubling", stored, "--params", "7e10", "--tokens", "1.4e12", "--out", tmp_path / "gain.csv")
    assert written.code == 0
    assert (tmp_path / "gain.csv").read_text().startswith("gain,lower,upper\n")


def test_a_wrong_value_of_it_is_a_sentence(doubling):
    with pytest.raises(InvalidFields, match="params is -1"):
        bs.ask(example_fit(), "doubling", params=-1, tokens=1e9)
    with pytest.raises(InvalidFields, match="tokens"):
        bs.ask(example_fit(), "doubling", params=1e9)


def test_a_question_of_the_folder_whose_file_is_gone_is_gone(monkeypatch):
    gone = type("Gone", (), {"panel": "Forecast", "aliases": (), "__doc__": "A question."})
    for module, there in (("bayes_scaling.questions.gone", False), ("elsewhere.gone", True)):
        monkeypatch.setattr(gone, "__module__", module)
        monkeypatch.setitem(LOADED, "gone", gone)
        assert ("gone" in entries()) is there
