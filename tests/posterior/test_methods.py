"""The functions of the package as methods of a fit, found by completion, and each the public function."""

from __future__ import annotations

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell

import bayes_scaling as bs
from bayes_scaling.posterior.examples import example_fit


def test_methods_are_the_public_functions(tmp_path):
    fit = example_fit()
    run = {"params": 7e10, "tokens": 1.4e12}
    assert fit.predict(**run).equals(bs.predict(fit, **run))
    assert fit.check().equals(bs.check(fit))
    assert str(fit.ask.stop_early.func) == str(bs.ask)
    assert fit.plot().axes[0].get_xlabel() == bs.plots.forecast(fit).axes[0].get_xlabel()
    assert fit.report(tmp_path / "report.html").is_file()
    mixture = bs.Mixture({"one": fit, "other": example_fit(draws=50)}, {"one": 0.5, "other": 0.5})
    assert mixture.ask("predict", **run).sentence == bs.ask(mixture, "predict", **run).sentence


def test_what_lies_too_far_is_refused_as_by_the_function():
    with pytest.raises(bs.questions.Refused, match="decades"):
        example_fit().predict(params=1e15, tokens=1e15)


def test_a_wrong_name_is_a_sentence():
    with pytest.raises(AttributeError, match="There is no question 'budget-of-nobody'"):
        example_fit().ask.budget_of_nobody  # noqa: B018
    with pytest.raises(AttributeError, match="There is no figure 'pie'"):
        example_fit().plot.pie  # noqa: B018


@pytest.mark.parametrize(
    ("text", "found"), [("fit.pre", "predict"), ("fit.ask.tar", "target"), ("fit.plot.forec", "forecast")]
)
def test_completion_finds_them(text, found):
    shell = InteractiveShell()
    shell.user_ns["fit"] = example_fit()
    with provisionalcompleter():
        matches = [match.text for match in shell.Completer.completions(text, len(text))]
    assert any(match.endswith(found) for match in matches)
