"""Run notebooks from top to bottom and keep what they show: ``python -m notebooks.execute [NAME ...]``, all by default."""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parent
_BAR = "application/vnd.jupyter.widget-view+json"
"""A progress bar, of which nothing is left once the kernel has ended."""


def executed(path: Path) -> nbformat.NotebookNode:
    """Return a notebook with its outputs, without progress bars and times."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook, timeout=900, kernel_name="python3", coalesce_streams=True, resources={"metadata": {"path": str(FOLDER)}}
    ).execute()
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if _BAR not in output.get("data", {})]
    return notebook


def kinds(notebook: nbformat.NotebookNode) -> list[list[list[str]]]:
    """Return what kinds of output each cell has."""
    return [[sorted(o.get("data", {o.output_type: ""})) for o in cell.get("outputs", [])] for cell in notebook.cells]


if __name__ == "__main__":
    for path in sorted(FOLDER.glob("*.ipynb")):
        if path.stem in sys.argv[1:] or not sys.argv[1:]:
            nbformat.write(executed(path), path)
            print(path, flush=True)
