"""Runs of one kind of source: ``read_wandb`` and its like, each documented by the readers of its kind."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bayes_scaling.runs.collecting.collect import collect
from bayes_scaling.runs.collecting.collected import Collected
from bayes_scaling.runs.readers import KINDS

_DOCUMENTATION = """Collect runs of the kind ``{kind}``.

{sources}

Parameters
----------
source : path or address
    What to read.
**options
    Those of :func:`~bayes_scaling.readers.collect`, which finds the kind out by itself.

Returns
-------
Collected
    Runs, curves, what was left out and why, and the card with every choice.

Raises
------
InvalidRuns
    If the source cannot be read or is of another kind, or columns are missing: all are told at once.
"""


def collector(kind: str) -> Callable[..., Collected]:
    """Return :func:`~bayes_scaling.runs.collecting.collect.collect` for one kind of source.

    >>> collector("excel").__name__
    'read_excel'
    """

    def read(source: str | Path, **options: Any) -> Collected:
        return collect(source, kind=kind, **options)

    read.__name__ = read.__qualname__ = f"read_{kind}"
    read.__doc__ = _documentation(kind)
    return read


def _documentation(kind: str) -> str:
    """Return what is read, in the words of the readers of the kind, and the example of theirs that calls its function."""
    texts = [inspect.getdoc(read) or "" for read in KINDS[kind]]
    sources = [text.partition("\n")[0].removeprefix("Read ") for text in texts]
    examples = [text[text.index("Examples\n") :] for text in texts if f"readers.read_{kind}(" in text]
    listed = "\n".join(f"- {source}" for source in sources)
    return "\n".join([_DOCUMENTATION.format(kind=kind, sources=listed), *examples[:1]])
