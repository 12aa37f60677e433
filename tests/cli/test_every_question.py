"""Every question, asked on the command line as its help shows, of every kind of posterior: an answer, or a sentence that refuses."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace

import pandas as pd
import pytest

from bayes_scaling.errors import WrongPosterior
from bayes_scaling.posterior.checks import check
from bayes_scaling.posterior.examples import example_fit, example_rates, example_system
from bayes_scaling.posterior.mixture import Mixture
from bayes_scaling.questions.base import QUESTIONS
from tests.command import command  # noqa: F401 - a fixture
from tests.grouped import grouped_fit


def checked(fit):
    return replace(fit, checks=tuple(check(fit).to_dict("records")))


@pytest.fixture(scope="module")
def posteriors():
    """A fit of one law, one of groups, one of a system, one observation of it, and a mixture."""
    one, system = checked(example_fit(chains=4, draws=500)), example_system(chains=4, draws=500)
    mixture = Mixture({"one": one, "other": checked(example_fit(chains=4, draws=400))}, {"one": 0.7, "other": 0.3})
    return {
        "fit": one,
        "grouped": grouped_fit(),
        "system": system,
        "observation": system.view("limited"),
        "mixture": mixture,
    }


@pytest.fixture(scope="module")
def folder(posteriors, tmp_path_factory):
    """The posteriors as the command line finds them."""
    folder = tmp_path_factory.mktemp("stored")
    for name, posterior in posteriors.items():
        posterior.save(folder / (name if name == "mixture" else f"{name}.nc"))
    checked(example_rates()).save(folder / "rates.nc")
    points = {"params": 1e8, "batch_tokens": 5e5, "steps": [1e4, 2e4, 4e4], "loss": [3.4, 3.3, 3.2]}
    pd.DataFrame(points).to_csv(folder / "run.csv", index=False)
    scan = {"params": 1e8, "batch_tokens": [2.5e5, 1e6], "steps": [4e4, 1.4e4], "loss": 3.0}
    pd.DataFrame(scan).to_csv(folder / "steps.csv", index=False)
    return folder


def words_of(name, folder, of=None):
    """Return the words of a question's example, about the files of a folder."""
    words = shlex.split(QUESTIONS[name].example)
    stored = {"fit.nc": {"recipes": "grouped.nc", "rate": "rates.nc"}.get(name, "fit.nc")}
    places = {word: str(folder / (of or stored.get(word, word))) for word in ("fit.nc", "system.nc", "mixture")}
    places |= {word: str(folder / word) for word in ("run.csv", "steps.csv", "decision.html")}
    return [places.get(word, word).replace("group=C4", "group=a").replace("group=RedPajama", "group=b") for word in words]


@pytest.mark.parametrize("name", list(QUESTIONS))
def test_its_example_is_answered_in_words_and_in_json(command, folder, name):  # noqa: F811
    answer = command(*words_of(name, folder), *(["--override"] if QUESTIONS[name].guarded else []))
    assert answer.code == 0, answer.err
    assert answer.out.strip()
    whole = command(*words_of(name, folder), *(["--override"] if QUESTIONS[name].guarded else []), "--json")
    assert json.loads(whole.out)


@pytest.mark.parametrize("of", ["fit.nc", "system.nc", "observation.nc", "mixture"])
@pytest.mark.parametrize("name", [name for name, kind in QUESTIONS.items() if kind.takes])
def test_it_takes_any_posterior_or_refuses_it_in_a_sentence(command, folder, name, of):  # noqa: F811
    answer = command(*words_of(name, folder, of))
    assert answer.code in (0, 2)
    assert answer.out.strip() if answer.code == 0 else answer.err.startswith("Error: ")


@pytest.mark.parametrize("name", [name for name, kind in QUESTIONS.items() if kind.takes])
def test_what_is_no_posterior_is_refused(name):
    kind = QUESTIONS[name]
    with pytest.raises(WrongPosterior):
        kind.model_construct().answer("fit.nc")
