"""The page, in a real browser: every slider, two plans, the link, both looks, a phone; nothing asked of another machine."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect, sync_playwright

from bayes_scaling.posterior.examples import example_fit
from tests.service.service import checked, start

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: install chromium, or name it in CHROMIUM")
SLIDERS = ("compute", "target", "params", "tokens")
WAIT = 90_000


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def opened(browser, service):
    """Return a function that opens the page; at the end nothing has gone wrong in it, and nothing was asked elsewhere."""
    contexts, wrong, elsewhere = [], [], []

    def open_page(fragment="A.fit=fit", *, address=service.address, **how) -> Page:
        contexts.append(context := browser.new_context(**how))
        page = context.new_page()
        page.set_default_timeout(WAIT)
        page.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on(
            "request",
            lambda request: None if request.url.startswith((address, "data:", "blob:")) else elsewhere.append(request.url),
        )
        page.goto(f"{address}#{fragment}")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not [line for line in wrong if not re.search(r"status of 4(01|09|22)", line)]
    assert not elsewhere


def is_ready(page, letter="A"):
    expect(plan(page, letter)).to_have_attribute("data-ready", re.compile(r"\d+"), timeout=WAIT)
    expect(plan(page, letter)).not_to_have_class(re.compile("waiting"), timeout=WAIT)


def plan(page, letter="A"):
    return page.get_by_role("region", name=f"Plan {letter}")


def move(page, name, share, letter="A"):
    """Move a slider to a share of its way, by the keyboard's event, and wait for what comes of it."""
    count = int(plan(page, letter).get_attribute("data-ready"))
    page.locator(f"#{letter}-{name}").evaluate(
        "(slider, share) => { slider.value = Number(slider.min) + share * (slider.max - slider.min);"
        " slider.dispatchEvent(new Event('input', { bubbles: true })); }",
        share,
    )
    expect(plan(page, letter)).to_have_attribute("data-ready", str(count + 1), timeout=WAIT)


def said(page, letter="A"):
    return plan(page, letter).inner_text()


def test_it_shows_what_the_service_answers(opened, http):
    page = opened("A.fit=fit&A.compute=1e23&A.target=2.1")
    is_ready(page)
    decided = http.post("/fits/fit/decide", json={"compute": 1e23, "target": 2.1, "device": "h100"}).json()
    best = decided["allocation"][0]
    seen = http.post("/fits/fit/predict", json={"params": best["params"], "tokens": best["tokens"]}).json()
    text = said(page)
    assert f"{seen['median']:.4f}" in text
    assert f"{seen['lower']:.4f} to {seen['upper']:.4f}" in text
    assert decided["sentence"].partition("\n")[0] in text
    assert "within 1 % of the least loss" in text
    assert f"{seen['extrapolation_distance']['compute_flops']:.2f} decades beyond the runs" in text
    for title in ("Forecast along compute", "Loss over N and D", "Sizes at 1e23 FLOP", "Regret of a size at 1e23 FLOP"):
        expect(plan(page).get_by_role("heading", name=title)).to_be_visible()
    for legend in ("you are here", "compute-optimal N, 90 %", "new run, 90 %", "expected regret"):
        expect(plan(page).get_by_text(legend).first).to_be_visible()


def test_each_slider_asks_anew(opened):
    page = opened()
    is_ready(page)
    for name in SLIDERS:
        before = said(page)
        move(page, name, 0.62)
        assert said(page) != before, name
    chosen = [page.locator(f"#A-{name}").get_attribute("aria-valuetext") for name in ("params", "tokens")]
    count = int(plan(page).get_attribute("data-ready"))
    page.get_by_role("button", name="Take the compute-optimal N and D").click()
    expect(plan(page)).to_have_attribute("data-ready", str(count + 1), timeout=WAIT)
    assert [page.locator(f"#A-{name}").get_attribute("aria-valuetext") for name in ("params", "tokens")] != chosen


def test_a_slider_is_moved_by_keys(opened):
    page = opened()
    is_ready(page)
    before = page.locator("#A-compute").input_value()
    page.locator("#A-compute").focus()
    page.keyboard.press("ArrowRight")
    assert float(page.locator("#A-compute").input_value()) > float(before)


def test_the_budget_is_said_in_hours_and_money(opened):
    page = opened("A.fit=fit&A.compute=1e23")
    is_ready(page)
    for unit, word in (("hours", "GPU-hours (1e23 FLOP)"), ("money", "dollars (1e23 FLOP)")):
        page.locator("#A-unit").select_option(unit)
        expect(plan(page).locator("[data-said=compute]")).to_contain_text(word, timeout=WAIT)


def test_two_plans_beside_each_other_and_the_link_to_them(opened):
    page = opened("A.fit=fit&A.compute=1e23")
    is_ready(page)
    page.get_by_role("button", name="Compare two plans").click()
    is_ready(page, "B")
    move(page, "compute", 0.9, "B")
    page.locator("#B-fit").select_option("grouped")
    expect(plan(page, "B").get_by_label("Group: group")).to_be_visible(timeout=WAIT)
    is_ready(page, "B")
    a, b = plan(page, "A").bounding_box(), plan(page, "B").bounding_box()
    assert a["y"] == pytest.approx(b["y"], abs=2)
    assert b["x"] > a["x"] + a["width"]
    texts = [plan(page, letter).locator(".decision").inner_text() for letter in "AB"]
    link = page.url
    again = opened(link.partition("#")[2])
    is_ready(again)
    is_ready(again, "B")
    for letter, text in zip("AB", texts, strict=True):
        expect(plan(again, letter).locator(".decision")).to_have_text(text, use_inner_text=True)
    again.reload()
    is_ready(again, "B")
    expect(plan(again, "B").locator(".decision")).to_have_text(texts[1], use_inner_text=True)


def test_caveats_come_first_and_can_be_overridden(opened):
    page = opened("A.fit=not_converged")
    is_ready(page)
    caveat = plan(page).get_by_role("list", name="Caveats")
    expect(caveat).to_contain_text("has NOT converged", timeout=WAIT)
    expect(plan(page).locator("figure")).to_have_count(0)
    page.get_by_label("Answer even where a caveat refuses").check()
    expect(plan(page).locator("figure").first).to_be_visible(timeout=WAIT)
    expect(caveat).to_contain_text("has NOT converged")
    assert caveat.bounding_box()["y"] < plan(page).locator(".plan-run").bounding_box()["y"]
    assert "A.override=true" in page.url


def test_a_fit_of_another_kind_is_asked_by_its_questions(opened):
    page = opened("A.fit=system")
    expect(plan(page).get_by_role("list", name="Caveats")).to_contain_text("Ask anything else", timeout=WAIT)
    page.get_by_label("Question").select_option("claims")
    page.get_by_role("button", name="Ask of plan A's fit").click()
    answer = page.get_by_role("region", name="Answer")
    expect(answer.locator("table").first).to_be_visible(timeout=WAIT)
    page.get_by_label("Its fields, as JSON").fill("{")
    page.get_by_role("button", name="Ask of plan A's fit").click()
    expect(answer).to_contain_text("not JSON")


def test_charts_are_saved(opened, tmp_path):
    page = opened(accept_downloads=True)
    is_ready(page)
    for kind, begins in (("PNG", b"\x89PNG"), ("CSV", b"compute_flops,")):
        with page.expect_download() as download:
            plan(page).get_by_role("button", name=f"Forecast along compute of plan A as {kind}").click()
        path = tmp_path / f"chart.{kind.lower()}"
        download.value.save_as(path)
        assert path.read_bytes().startswith(begins)
    assert len(path.read_text().splitlines()) == 16
    plan(page).get_by_text("Numbers").first.click()
    expect(plan(page).get_by_role("region", name="Forecast along compute")).to_be_visible()


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_accessible_and_fits(width, scheme, opened):
    page = opened("A.fit=fit&B.fit=not_converged", viewport={"width": width, "height": 900}, color_scheme=scheme)
    is_ready(page)
    is_ready(page, "B")
    plan(page).get_by_text("Numbers").first.click()
    found = Axe().run(page).response["violations"]
    serious = [violation for violation in found if violation["impact"] in ("serious", "critical")]
    assert not serious, json.dumps([(v["id"], [n["html"][:200] for n in v["nodes"]]) for v in serious], indent=1)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    sizes = page.evaluate("[...document.querySelectorAll('svg text')].map((text) => text.getBoundingClientRect().height)")
    assert min(size for size in sizes if size) > 9 or width == 390
    if pictures := os.environ.get("BAYES_SCALING_PICTURES"):
        page.screenshot(path=Path(pictures) / f"page-{width}-{scheme}.png", full_page=True)


def test_the_report_opens_and_runs_under_its_policy(opened):
    page, wrong = opened(), []
    is_ready(page)
    page.context.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    with page.expect_popup() as popup:
        plan(page).get_by_role("link", name="Report of this fit").click()
    report = popup.value
    expect(report.locator("h1")).to_be_visible(timeout=WAIT)
    report.wait_for_load_state("networkidle")
    assert not wrong


def test_the_look_is_kept(opened):
    page = opened(color_scheme="light")
    is_ready(page)
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_role("button", name="Dark").click()
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert light != dark
    page.reload()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark


def test_a_token_is_asked_for_where_one_is_needed(opened, tmp_path):
    folder = tmp_path / "fits"
    folder.mkdir()
    checked(example_fit(draws=500)).save(folder / "fit.nc")
    (tmp_path / "token").write_text("a-token-that-nobody-guesses-1234")
    guarded = start(folder, "--token-file", str(tmp_path / "token"))
    try:
        page = opened("A.fit=fit", address=guarded.address)
        page.get_by_label("This service needs its token.").fill("a-token-that-nobody-guesses-1234")
        page.get_by_role("button", name="Use it").click()
        is_ready(page)
        assert "Predicted loss" in said(page)
        assert "token-that" not in page.url
    finally:
        guarded.stop()
