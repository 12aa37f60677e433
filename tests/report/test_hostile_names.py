"""Names from outside are text on a page: markup, TeX, braces and long ones, in the page, its figures and its script."""

from __future__ import annotations

import html
import re

import numpy as np
import pytest

from bayes_scaling.model.density import LogDensity
from bayes_scaling.model.document import read_model
from bayes_scaling.model.layout import Layout
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.report import write_report
from tests.model.test_equivariance import GRID

MARKUP = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
TEX = r"$\frac{1}{0$ & \input{x} {{ braces }} {0.x} %s \\"
LONG = "m" * 3000


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    table = GRID.assign(group=GRID["group"].map(dict(zip("abc", (MARKUP, TEX, LONG), strict=True))))
    table["run_id"] = [f"{TEX} {number}" for number in range(len(table))]
    density = LogDensity(Layout.of(read_model("kappa_by_group"), {"loss": table}))
    draws = density.draws(density.start + 0.1 * np.random.default_rng(0).standard_normal((200, density.size)), (2, 100))
    facts = {"runs": MARKUP, "params": TEX, "citation": LONG, "loss_unit": f"nats {MARKUP}", "seed": 0, "versions": {}}
    fit = Fit.from_draws(draws, density.layout.model, table, facts)
    return write_report(fit, tmp_path_factory.mktemp("hostile") / "report.html", group={"group": MARKUP})


def test_markup_stays_text(page):
    text = page.read_text()
    assert re.findall("<script[^>]*>", text) == ['<script type="application/json" id="draws">', "<script>"]
    assert "<img" not in text
    assert MARKUP in html.unescape(text)
    assert TEX in html.unescape(text)
    assert len(text) < 2_000_000


def test_a_browser_runs_nothing_of_it(page):
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs Playwright to open pages")
    from tests.javascript import CHROMIUM

    if CHROMIUM is None:
        pytest.skip("needs Chromium to open pages")
    wrong = []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        opened = browser.new_page(viewport={"width": 390, "height": 900})
        opened.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
        opened.on("console", lambda message: wrong.append(message.text))
        opened.on("pageerror", lambda error: wrong.append(str(error)))
        opened.goto(page.as_uri())
        opened.wait_for_selector(".slice path.line")
        assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")
        browser.close()
    assert not wrong
