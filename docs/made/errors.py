"""The errors: every class that a program can tell apart, made of the classes themselves."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

from bayes_scaling import errors
from bayes_scaling.questions import guardrails
from docs.made.text import code, heading, joined, plain, table

_ABOUT = """A sentence says what is wrong and where, what was found, and what would be right. It is for people, and may change. Programs
tell errors apart by their classes, which stand in ``bayes_scaling.errors`` (``Refused`` in ``bs.questions``): each belongs to the class above it too, and all are a
:doc:`BayesScalingError </reference/bayes_scaling.BayesScalingError>`. ``code`` is the name of the class as a word. The service has it in its
problems, with the ``fields`` of a question that are wrong; ``failures.jsonl`` of a batch has the class as ``error``."""
_EXAMPLE = """
import bayes_scaling as bs
from bayes_scaling import errors

try:
    runs = bs.read_runs("runs.csv")
except errors.MissingColumn:
    ...
except errors.BadCells as error:
    cells = [(cell.row, cell.column, cell.value) for cell in error.failures]
"""


def pages() -> dict[str, str]:
    """Return the page of the errors."""
    base = errors.BayesScalingError
    rows = [
        (f"``{kind.__name__}``", _above(kind, base), plain((inspect.getdoc(kind) or "").partition("\n")[0]))
        for kind in _below(base)
    ]
    return {"errors.rst": joined(heading("Errors"), _ABOUT, code(_EXAMPLE.strip()), table(("class", "is a", "when"), rows))}


def _below(kind: type[Exception]) -> Iterator[type[Exception]]:
    """Yield the classes of the module below one, each before those below it."""
    for each in kind.__subclasses__():
        if each.__module__ in (errors.__name__, guardrails.__name__) and each.__mro__[1] is kind:
            yield each
            yield from _below(each)


def _above(kind: type[Exception], base: type[Exception]) -> str:
    return ", ".join(f"``{each.__name__}``" for each in kind.__bases__ if each is not base)
