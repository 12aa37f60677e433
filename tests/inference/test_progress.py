"""Where a progress bar is shown."""

from __future__ import annotations

import sys
import time
from types import SimpleNamespace

import pytest

from bayes_scaling.inference.progress import is_shown, progress_bar, waiting


def test_a_bar_leaves_standard_output_to_answers(capfd):
    with progress_bar(True) as show:
        show("sampling", 0.5)
    printed = capfd.readouterr()
    assert printed.out == ""
    assert printed.err != ""


def test_nothing_is_shown_where_none_is_asked_for(capfd):
    with progress_bar(False) as show:
        show("sampling", 0.5)
    assert capfd.readouterr() == ("", "")


def test_without_a_terminal_what_takes_long_says_how_long(capfd, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("bayes_scaling.inference.progress.time.monotonic", lambda: now[0])
    monkeypatch.setattr("bayes_scaling.inference.progress.is_shown", lambda progress: False)
    with progress_bar() as show:
        for now[0], label, share in [
            (1, "finding the modes", None),
            (10, "sampling", 0.0),
            (29, "sampling", 0.2),
            (50, "sampling", 0.4),
            (70, "sampling", 0.6),
            (410, "sampling", 0.8),
        ]:
            show(label, share)
    printed = capfd.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines() == [
        "sampling, 40 % done, some 60 seconds left",
        "sampling, 80 % done, some 2 minutes left",
    ]


@pytest.mark.parametrize(("progress", "lines"), [(None, 3), (False, 0)])
def test_what_is_waited_for_without_a_terminal_says_so_until_it_ends(progress, lines, capfd, monkeypatch):
    monkeypatch.setattr("bayes_scaling.inference.progress.is_shown", lambda progress: False)
    monkeypatch.setattr("bayes_scaling.inference.progress._SECONDS", 0.01)
    with waiting("sampling by NUTS", progress):
        time.sleep(0.5)
    printed = capfd.readouterr().err.splitlines()
    assert len(printed) >= lines
    assert (not printed) is (lines == 0)
    assert all(line.startswith("sampling by NUTS, ") for line in printed)
    time.sleep(0.05)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("runs", [True, False])
def test_a_bar_is_shown_in_a_kernel_that_runs_not_where_one_was_imported(runs, monkeypatch):
    kernels = SimpleNamespace(IPKernelApp=SimpleNamespace(initialized=lambda: runs))
    monkeypatch.setitem(sys.modules, "ipykernel", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "ipykernel.kernelapp", kernels)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    assert is_shown(None) is runs
    assert is_shown(True)
    assert not is_shown(False)
