"""The page on decisions is made of what was measured, and its advice is the paper's."""

from __future__ import annotations

import pytest

from notebooks.decisions.page import HERE, measured, page


def test_the_page_says_what_was_measured():
    assert (HERE / "README.md").read_text(encoding="utf-8") == page(measured())


def test_the_paper_s_early_stop_comes_out_of_its_constants():
    found = measured()["advice"]["published"]
    assert found["size of the early stop over that of the converged run"][0] == pytest.approx(2.70, abs=0.05)
    assert found["updates of the converged run over those of the early stop"][0] == pytest.approx(7.5, abs=0.25)
    assert found["compute the early stop saves"][0] == pytest.approx(0.64, abs=0.02)


def test_gopher_was_too_large():
    for found in measured()["hoffmann"].values():
        chinchilla, gopher = found["regret"]
        # What is expected of the one size is above even the upper end of the other's interval. The two intervals meet: both include
        # what the discrepancy leaves open, since decisions are made on what is predicted.
        assert gopher["regret"] > chinchilla["regret_upper"]
        assert gopher["regret_lower"] > 0.01
        assert gopher["wasted"] > 0.3
