"""The report is read as a reader's program would: its words, its tables, and that it needs nothing else."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from html.parser import HTMLParser

import pandas as pd
import pytest
import xarray as xr

from bayes_scaling.errors import ConflictingOptions, NewGroupWarning, NotConvergedWarning, OutOfRange
from bayes_scaling.posterior.checks import check
from bayes_scaling.posterior.examples import example_fit, example_system
from bayes_scaling.questions.base import question
from bayes_scaling.report import write_decision, write_report
from bayes_scaling.report.figures import INK
from bayes_scaling.report.pictures import priors
from bayes_scaling.report.surface_pictures import surface
from tests.grouped import grouped_fit


class Page(HTMLParser):
    """Collects headings, tables and text."""

    def __init__(self, text):
        super().__init__()
        self.headings, self.tables, self.open = [], 0, []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "path", "use", "br"):
            self.open.append(tag)
        self.tables += tag == "table"
        assert not any(name in ("src", "href") and not value.startswith("#") for name, value in attrs if value)

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        if self.open and self.open[-1] in ("h1", "h2"):
            self.headings.append(data)


def drawn(text):
    """Return how many figures a page has without its script."""
    return re.sub("<template>.*?</template>", "", text, flags=re.S).count("<svg")


@pytest.fixture(scope="module")
def checked():
    fit = example_fit()
    return replace(fit, checks=tuple({**c, "passed": True} for c in check(fit).to_dict("records")))


def test_every_section_is_there_and_nothing_is_fetched(checked, tmp_path):
    held_out = pd.DataFrame({"run_id": ["big"], "params": [5e10], "tokens": [1e12], "compute_flops": [3e23], "loss": [1.99]})
    text = write_report(checked, tmp_path / "report.html", held_out=held_out, budgets=[1e22, 5.76e23]).read_text()
    page = Page(text)
    assert page.headings[1] == "Ask this fit"
    assert page.headings[2:] == [
        "Forecast",
        "Budget",
        "Sensitivity",
        "Parameters",
        "Measured against predicted",
        "Model and data",
        "Prior against posterior",
        "How to reproduce",
    ]
    assert "://" not in re.sub(r'xmlns(:xlink)?="[^"]*"', "", text)
    assert re.findall("<script[^>]*>", text) == ['<script type="application/json" id="draws">', "<script>"]
    assert drawn(text) == 9
    assert "90 %" in text
    assert "besiroglu2024" in text
    assert "5.76e23" in text
    assert "The 90 % predictive intervals cover 1 of 1 held-out runs" in text
    assert INK not in text
    assert "currentColor" in text
    assert "prefers-color-scheme: dark" in text
    ids = re.findall(r' id="([^"]+)"', text)
    assert len(set(ids)) == len(ids)


def test_a_failed_check_comes_before_anything_else(tmp_path):
    fit = example_fit(chains=1, draws=50)
    fit = replace(fit, checks=tuple(check(fit).to_dict("records")))
    with pytest.warns(NotConvergedWarning):
        text = write_report(fit, tmp_path / "report.html").read_text()
    body = text[text.index("<main>") :]
    assert body.index("has NOT converged") < body.index("Forecast")
    assert 'class="verdict failed"' in body
    assert "sample longer" in body


def test_a_law_of_one_resource_has_no_budget(tmp_path):
    from tests.one_resource import one_resource_fit

    held_out = pd.DataFrame({"params": [1e10], "loss": [2.0]})
    text = write_report(one_resource_fit(), tmp_path / "report.html", held_out=held_out).read_text()
    assert "extrapolation in N (decades)" in text
    assert "Budget" not in Page(text).headings
    assert "Forecast" in Page(text).headings


def test_groups_are_named(tmp_path):
    fit = grouped_fit()
    known = write_report(fit, tmp_path / "a.html", group={"group": "a"}).read_text()
    assert "Forecast and budget are for group a." in known
    with pytest.warns(NewGroupWarning):
        new = write_report(fit, tmp_path / "new.html").read_text()
    assert "are for a new group" in new


def test_names_from_outside_are_escaped(tmp_path):
    fit = replace(example_fit(), facts={**example_fit().facts, "runs": "<script>alert(1)</script>"})
    text = write_report(fit, tmp_path / "report.html").read_text()
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text


@pytest.mark.parametrize("target", [None, 2.0])
def test_a_decision_states_the_caveats_it_overrides(tmp_path, target):
    fit, asked = example_fit(), question("allocation", compute=1e26, target=target, override=True)
    answer = asked.answer(fit)
    assert answer.caveats
    text = html.unescape(write_decision(fit, asked, answer, tmp_path / "decision.html").read_text())
    assert all(f"Caveat overridden: {caveat}" in text for caveat in answer.caveats)
    assert ("Probability of a loss below 2" in text) == (target is not None)


def test_a_bad_request_writes_nothing(tmp_path, fit_by_hand):
    with pytest.raises(OutOfRange):
        write_report(fit_by_hand, tmp_path / "report.html", budgets=[-1.0])
    assert list(tmp_path.iterdir()) == []


def test_figures_are_stable_and_do_not_touch_the_user_s_style():
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    assert surface(example_fit()).on_page == surface(example_fit()).on_page
    assert "<path" in priors(example_fit()).on_page
    assert dict(mpl.rcParams) == before


@pytest.fixture(scope="module")
def joint():
    fit = example_system()
    return replace(fit, checks=tuple({**c, "passed": True} for c in check(fit).to_dict("records")))


def test_the_report_of_a_system_has_everything_that_follows(joint, tmp_path):
    text = write_report(joint, tmp_path / "report.html").read_text()
    page = Page(text)
    assert page.headings[1] == "Ask this fit"
    assert page.headings[2:] == [
        "Parameters",
        "Published claims",
        "Critical batch",
        "Compute-optimal training",
        "Steps and tokens to a loss",
        "Early stopping on limited data",
        "Learning curves",
        "Measured against predicted",
        "Model and data",
        "Prior against posterior",
        "How to reproduce",
    ]
    assert drawn(text) == 13
    assert "Of 31 statements of Kaplan et al. (2020)" in text
    assert "L(N, D), each token seen once, at" in text
    assert "kaplan2020 table 3" in text
    assert INK not in text
    ids = re.findall(r' id="([^"]+)"', text)
    assert len(set(ids)) == len(ids)
    with pytest.raises(ConflictingOptions, match="budgets"):
        write_report(joint, tmp_path / "report.html", budgets=[1e20])


def test_observations_that_differ_are_named(joint, tmp_path):
    groups = {group.path: group.to_dataset(inherit=False) for group in joint.tree.subtree}
    effects = groups["/posterior"]["N_c_effect_observation"]
    apart = xr.DataArray([0.0, -0.1, 0.0], dims="observation")
    groups["/posterior"]["N_c_effect_observation"] = xr.zeros_like(effects) + apart
    fit = replace(joint, tree=xr.DataTree.from_dict(groups))
    text = write_report(fit, tmp_path / "report.html").read_text()
    assert "Heterogeneity: N_c (loss left by N at its reference) of decayed is 0.905 times that of curves" in text
    assert "of limited is" not in text


def test_a_system_that_failed_says_so_first(joint, tmp_path):
    bad = {
        "about": "convergence",
        "check": "largest R-hat",
        "value": 2.0,
        "rule": "at most",
        "passed": False,
        "where": "",
        "advice": "",
    }
    with pytest.warns(NotConvergedWarning):
        text = write_report(replace(joint, checks=(bad,)), tmp_path / "report.html").read_text()
    body = text[text.index("<main>") :]
    assert body.index("has NOT converged") < body.index("Parameters")
