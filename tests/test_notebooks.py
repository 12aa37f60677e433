"""Every notebook is kept with what it shows, to be read on a code host, and shows the same when it is run again."""

from __future__ import annotations

import re

import nbformat
import pytest

from notebooks.execute import FOLDER, executed, kinds

NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
LONG = {"kaplan_system", "critical_batch"}
"""Notebooks that fit systems: a quarter of a minute each."""
_PICTURES = {"image/png", "image/svg+xml"}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_kept_with_its_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))
    text = path.read_text(encoding="utf-8")
    assert any(_PICTURES & {*output} for cell in kinds(notebook) for output in cell) or "<svg" in text
    assert path.stat().st_size < 1_000_000
    assert not re.search(r"Traceback|/home/|/tmp/", text)


@pytest.mark.filterwarnings("ignore")  # the kernel is another process, with warnings of its own
@pytest.mark.parametrize(
    "path", [pytest.param(path, marks=pytest.mark.slow if path.stem in LONG else [], id=path.stem) for path in NOTEBOOKS]
)
def test_it_shows_the_same_when_it_is_run_again(path):
    assert kinds(executed(path)) == kinds(nbformat.read(path, as_version=4))
