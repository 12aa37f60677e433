"""The record of the long suite, and the page that is written from it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.validation import page, record


def ended(name, outcome="passed", printed=""):
    return pytest.TestReport(
        f"tests/test_it.py::{name}@group",
        ("tests/test_it.py", 1, name),
        {},
        outcome,
        None,
        "call",
        sections=[("Captured stdout call", printed)],
        duration=60.0,
    )


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    """A record of a test that passed, of one that failed, and of one that passed on other sources."""
    monkeypatch.setattr(record, "RECORD", tmp_path / "record.json")
    monkeypatch.setattr(record, "sources", lambda: "these")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_it.py").write_text(
        '"""What it is.\n\nMore."""\ndef test_a(): ...\ndef test_b(): ...\ndef test_c(): ...\n'
    )
    monkeypatch.setattr(page, "ROOT", tmp_path)
    record.Recorder("those").pytest_runtest_logreport(ended("test_c"))
    of_these = record.Recorder("these")
    of_these.pytest_runtest_logreport(ended("test_a[1e-3]", printed="90 % intervals cover 0.91\n"))
    of_these.pytest_runtest_logreport(ended("test_a[2]"))
    of_these.pytest_runtest_logreport(ended("test_b", "failed"))
    return record.read()


def left_after(options, names):
    items = [SimpleNamespace(nodeid=f"tests/test_it.py::{name}@group") for name in names]
    asked = SimpleNamespace(getoption=lambda name: options[name], hook=SimpleNamespace(pytest_deselected=lambda items: None))
    record.pytest_collection_modifyitems(asked, items)
    return [item.nodeid.partition("::")[2].partition("@")[0] for item in items]


@pytest.mark.usefixtures("recorded")
def test_a_run_that_is_continued_has_what_did_not_pass_on_the_same_sources():
    names = ["test_a[1e-3]", "test_a[2]", "test_b", "test_c", "test_new"]
    assert left_after({"goes_on": True}, names) == ["test_b", "test_c", "test_new"]
    assert left_after({"goes_on": False}, names) == names


def test_the_page_says_what_was_found(recorded):
    assert {name.partition("::")[2]: test["outcome"] for name, test in recorded["tests"].items()} == {
        "test_a[1e-3]": "passed",
        "test_a[2]": "passed",
        "test_b": "failed",
        "test_c": "passed",
    }
    written = page.page()
    assert "4 tests: **1 failed**, 3 passed" in written
    assert "## What it is\n" in written
    assert "| a | 2 passed | 2.0 |" in written
    assert "1e-3: 90 % intervals cover 0.91" in written


def test_the_page_is_of_the_record():
    assert page.PAGE.read_text() == page.page(), "run python -m tests.validation.page"
