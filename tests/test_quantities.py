from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayes_scaling import quantities as q

COUNT = st.floats(1e3, 1e15)


@given(COUNT, COUNT)
def test_compute_closes(N, D):
    C = q.training_compute(N, D)
    assert q.tokens_at(C, N) == pytest.approx(D, rel=1e-12)
    assert q.params_at(C, D) == pytest.approx(N, rel=1e-12)


def test_completed_fills_whole_columns_only():
    table = pd.DataFrame({"steps": [10.0, 20.0], "batch_tokens": [5.0, np.nan], "params": [2.0, 3.0]})
    assert q.completed(table) == ("tokens", "compute_flops")
    assert table["tokens"][0] == 50
    assert table["compute_flops"][0] == 600
    assert table.loc[1, ["tokens", "compute_flops"]].isna().all()


def test_what_is_given_is_kept():
    run = {"params": 2.0, "tokens": 3.0, "compute_flops": 100.0}
    assert q.completed(run) == ()
    assert run["compute_flops"] == 100.0


def test_every_quantity_says_what_it_is():
    assert len(q.BY_COLUMN) == len(q.QUANTITIES)
    for quantity in q.QUANTITIES.values():
        assert quantity.meaning
        assert quantity.unit
        assert quantity.maximum > 0


def test_the_six_is_written_once():
    import bayes_scaling

    root = bayes_scaling.__path__[0]
    from pathlib import Path

    six = re.compile(r"(?<![\w.])6(?:\.0*)?\s*\*(?!\*)|(?<!\*)\*\s*6(?:\.0*)?(?![\w.])")
    places = [p.name for p in Path(root).rglob("*.py") if six.search(p.read_text())]
    assert places == []
    assert six.search("6 * N")
    assert six.search("N*6.0")
