"""What Jupyter shows: small, escaped, the verdict first; and figures that need no import."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace

import pandas as pd
import pytest
from matplotlib.colors import to_rgb

import bayes_scaling as bs
from bayes_scaling.evaluation.choice import Choice
from bayes_scaling.posterior.checks import checked
from bayes_scaling.posterior.examples import example_fit, example_system

_LARGEST = 30_000
RUN = {"params": 7e10, "tokens": 1.4e12}


def example_mixture():
    fit = example_fit()
    return bs.Mixture({"one": fit, "<b>other</b>": fit}, {"one": 0.5, "<b>other</b>": 0.5})


def example_live():
    curve = example_system().rows("curves").query("run_id == run_id[0]").head(4)
    return bs.live(example_system(), curve, end={"steps": 1e6}, observation="curves")


SHOWN = {
    "fit": lambda: checked(example_fit()),
    "system": example_system,
    "mixture": example_mixture,
    "choice": lambda: Choice(example_fit(), None, "Chosen."),
    "answer": lambda: example_fit().ask("predict", **RUN),
    "answer with tables": lambda: bs.ask(example_system(), "claims"),
    "live": example_live,
    "model": lambda: bs.read_model("kappa"),
    "model of a system": lambda: bs.read_model("kaplan_system"),
    "law": lambda: bs.laws.LAWS["kaplan_nsb"],
    "laws": lambda: bs.laws.LAWS,
    "runs": lambda: bs.load_runs("ladder"),
}


@pytest.mark.parametrize("name", SHOWN)
def test_a_card_is_small_and_takes_the_colours_of_the_page(name):
    card = SHOWN[name]()._repr_html_()
    assert len(card.encode()) < _LARGEST
    assert re.findall(r"<(p|table|ul)", card)
    outside = re.sub(r"<svg.*?</svg>", "", card, flags=re.DOTALL)
    assert not re.search(r"color|background|<script|<style", outside)
    assert "<b>" not in card


def test_the_verdict_stands_first_and_what_failed_is_strong():
    fit = example_fit()
    failed = {
        "check": "R-hat",
        "about": "convergence",
        "passed": False,
        "value": 1.2,
        "rule": "<= 1.01",
        "where": "",
        "advice": "",
    }
    bad = replace(fit, checks=(failed,)).with_layout(fit.layout)
    assert bad._repr_html_().startswith("<p><strong>This posterior has NOT converged")
    assert "&lt;= 1.01" in bad._repr_html_()
    assert "<svg" in fit._repr_html_()


def test_names_of_a_table_are_escaped():
    table = pd.DataFrame({"run_id": ["<script>alert(1)</script>"], **{k: [v] for k, v in RUN.items()}, "loss": [2.0]})
    assert "<script>" not in bs.read_runs(table, name="<script>")._repr_html_()


def test_figures_are_shown_without_an_import():
    code = (
        "import sys\nfrom IPython.core.interactiveshell import InteractiveShell\n"
        "from bayes_scaling.posterior.examples import example_fit\n"
        "fit = example_fit()\nshow = InteractiveShell().display_formatter.format\n"
        "for figure in (fit.plot(), fit.ask('regret', compute=1e23).figure()):\n"
        "    data, _ = show(figure)\n    assert data['image/svg+xml'].startswith('<svg'), list(data)\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_figures_have_paper_of_their_own():
    """They are read on a light page and on a dark one."""
    svg = example_fit().plot().svg()
    paper = re.search(r'<g id="patch_1">.*?fill: (#\w+)', svg, flags=re.DOTALL)
    assert paper is not None
    assert min(to_rgb(paper.group(1))) > 0.9


def test_sliders_answer_a_budget():
    fit = example_fit()
    compute, target, answer = fit.plot.budget().children
    before = answer.value
    compute.value = 23.5
    assert answer.value != before
    assert str(fit.ask("decide", compute=10**23.5, target=target.value).sentence.split("\n")[0][:20]) in answer.value
    target.value = 3.0
    assert "3 nats/token" in answer.value


def test_without_ipywidgets_the_sliders_say_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    with pytest.raises(bs.BayesScalingError, match=r'pip install "bayes-scaling\[jupyter\]"'):
        example_fit().plot.budget()
