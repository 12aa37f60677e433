"""The interactive part of a report in a real browser, opened from a file as from a mail."""

from __future__ import annotations

import re

import pytest

from bayes_scaling.posterior.examples import example_fit, example_system
from bayes_scaling.posterior.predict import interval, predict
from bayes_scaling.questions.frontier import frontier
from bayes_scaling.report import write_report
from bayes_scaling.report.interactive import DRAWS
from bayes_scaling.wording import short
from tests.grouped import grouped_fit
from tests.javascript import CHROMIUM

sync_api = pytest.importorskip("playwright.sync_api", reason="needs Playwright to open pages")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium to open pages")


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(scope="module", params=[example_fit, example_system])
def report(request, tmp_path_factory):
    return write_report(request.param(), tmp_path_factory.mktemp("report") / "report.html")


def opened(browser, path, **how):
    """Return a page, and what it complained about or asked the network for."""
    page, wrong = browser.new_context(**how).new_page(), []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: wrong.append(request.url) if request.url != path.as_uri() else None)
    page.goto(path.as_uri())
    return page, wrong


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_slider_answers_and_nothing_is_wrong(browser, report, width, scheme):
    page, wrong = opened(browser, report, viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.evaluate("document.querySelectorAll('#ask details').forEach(each => { each.open = true })")
    sliders = page.locator("#ask input[type=range]")
    assert sliders.count() >= 4
    for number in range(sliders.count()):
        slider = sliders.nth(number)
        answers = slider.locator("xpath=ancestor::div[@class='sliders']/following-sibling::dl")
        before = answers.inner_text()
        slider.focus()
        for _ in range(3):
            page.keyboard.press("ArrowLeft")
        assert answers.inner_text() != before
        assert "NaN" not in answers.inner_text()
    assert page.locator(".slice path.line").first.is_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert not wrong
    page.context.close()


def test_the_page_says_what_python_says(browser, tmp_path):
    fit = example_fit()
    page, wrong = opened(browser, write_report(fit, tmp_path / "report.html"))
    page.wait_for_selector(".fan path.line")
    for name, value in (("N (parameters)", "7e10"), ("D (tokens)", "1.4T"), ("target: below", "1.97")):
        page.get_by_label(name, exact=True).fill(value)
        page.keyboard.press("Enter")
    answers = page.locator(".answers").inner_text()
    ours = predict(fit.thinned(DRAWS // 4), params=7e10, tokens=1.4e12)
    median, lower, upper = (f"{float(end):.4g}" for end in interval(ours["measured_loss"], 0.9))
    assert f"{median} ({lower} to {upper})" in answers
    assert f"probability {float((ours['measured_loss'] < 1.97).mean()):.2f}" in answers
    assert f"{float(ours.reach_compute_flops):.2f} decades beyond the runs in C" in answers
    page.get_by_label("N (parameters)", exact=True).fill("no number")
    page.keyboard.press("Enter")
    assert page.get_by_label("N (parameters)", exact=True).input_value() == "70B"
    assert not wrong
    page.context.close()


@pytest.mark.filterwarnings("ignore::bayes_scaling.errors.NewGroupWarning")
def test_a_group_is_chosen_on_the_page(browser, tmp_path):
    fit = grouped_fit()
    page, wrong = opened(browser, write_report(fit, tmp_path / "report.html"))
    page.wait_for_selector(".fan path.line")
    few, answers = fit.thinned(DRAWS // 2), {}
    for name, group in (("group b", {"group": "b"}), ("group a", {"group": "a"}), ("a new group", {})):
        page.get_by_label("group", exact=True).select_option(name)
        for symbol, value in (("N (parameters)", "3e8"), ("D (tokens)", "8e9")):
            page.get_by_label(symbol, exact=True).fill(value)
            page.keyboard.press("Enter")
        answers[name] = page.locator(".answers").inner_text()
        ours = interval(predict(few, params=3e8, tokens=8e9, group=group)["measured_loss"], 0.9)
        median, lower, upper = (f"{float(end):.4g}" for end in ours)
        assert f"{median} ({lower} to {upper})" in answers[name]
    assert len(set(answers.values())) == 3
    for name, runs in (("a new group", 4), ("group b", 2)):  # all runs, or its own
        page.get_by_label("group", exact=True).select_option(name)
        sync_api.expect(page.locator(".fan circle.run")).to_have_count(runs, timeout=20_000)
    assert not wrong
    page.context.close()


@pytest.mark.parametrize("model", ["kaplan_system", "kaplan_system_forecast"])
def test_compute_optimal_training_is_answered_on_the_page(browser, tmp_path, model):
    fit = example_system(model)
    page, wrong = opened(browser, write_report(fit, tmp_path / "report.html"))
    assert (tmp_path / "report.html").stat().st_size < 2_000_000
    curves = page.locator("#ask details", has_text="curves").first
    curves.get_by_label("C (FLOP), best size", exact=True).fill("3e20")
    page.keyboard.press("Enter")
    answers, path = curves.locator(".answers").inner_text(), frontier(fit.thinned(DRAWS // 4), compute=3e20)
    assert f"{short(float(path['chosen_params']))} (optimum " in answers
    for column in ("params", "tokens", "batch_tokens", "steps"):
        _, lower, upper = (short(float(end)) for end in interval(path[column], 0.9))
        assert f"(optimum {lower} to {upper})" in answers
    assert not wrong
    page.context.close()


def test_without_a_script_the_page_reads_as_it_stands(browser, report):
    page, wrong = opened(browser, report, java_script_enabled=False)
    assert not page.locator("#ask").is_visible()
    assert page.get_by_role("heading", name="Parameters").is_visible()
    assert not wrong
    page.context.close()


def test_a_report_is_small_enough_for_a_mail(report):
    text = report.read_text()
    assert len(text) < 2_000_000
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    assert "default-src 'none'" in policy
    assert "sha256-" in policy
