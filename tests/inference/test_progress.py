"""Where a progress bar is shown."""

from __future__ import annotations

from bayes_scaling.inference.progress import progress_bar


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
