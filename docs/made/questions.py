"""A page for every question: what it answers, its fields, what it can be asked of, and the figure of its example."""

from __future__ import annotations

from typing import Any

from pydantic_core import PydanticUndefined

from bayes_scaling.cli.questions import PANELS
from bayes_scaling.plugins import is_shipped
from bayes_scaling.questions.base import QUESTIONS, Question
from bayes_scaling.report.figures import styled
from docs.made.examples import returned
from docs.made.text import code, contents, documentation, drawing, heading, indented, joined, plain, table

_OF = {"fit": "a fit", "observation": "a fit, or one observation of a fit of several laws", "mixture": "a mixture of fits"}


def pages() -> dict[str, str]:
    """Return the pages of the questions."""
    shipped = {name: kind for name, kind in QUESTIONS.items() if is_shipped(kind)}
    return {"questions/index.rst": _index(shipped)} | {f"questions/{n}.rst": _page(kind) for n, kind in shipped.items()}


def _index(kinds: dict[str, type[Question]]) -> str:
    said = (
        "A question is asked of a stored posterior, and answered in a sentence, tables and often a figure. The verb on the command "
        "line, `bs.ask(fit, VERB, ...)` and the class in `bs.questions` are the same question."
    )
    parts = []
    for panel in PANELS:
        rows = [(f":doc:`{n}`", plain(_first(kind))) for n, kind in kinds.items() if kind.panel == panel]
        parts += [heading(panel, "-"), table(("question", "what it answers"), rows)] if rows else []
    return joined(heading("Questions"), plain(said), *parts, contents(kinds))


def _first(kind: type[Question]) -> str:
    return (kind.__doc__ or "").strip().partition("\n")[0]


def _page(kind: type[Question]) -> str:
    python = f'bs.ask(fit, "{kind.name}", ...)      # or bs.questions.{kind.__name__}(...).answer(fit)'
    return joined(
        heading(kind.name),
        f".. py:currentmodule:: {kind.__module__}",
        f".. py:class:: bayes_scaling.questions.{kind.__name__}\n\n{indented(documentation(kind.__doc__ or ''))}",
        _figure(kind),
        heading("How it is asked", "-"),
        code(f"$ bayes-scaling {kind.example}", "console"),
        code(python),
        f"Options of the verb: :doc:`../commands/{kind.name}`. {_asked_of(kind)}",
        heading("Fields", "-"),
        table(("field", "default", "meaning"), [_field(kind, name) for name in kind.options()]),
    )


def _asked_of(kind: type[Question]) -> str:
    if not kind.takes:
        return "It needs no posterior."
    of = " or ".join(_OF[what] for what in kind.takes)
    guard = (
        "Reasons not to rely on the posterior refuse the answer, unless ``override`` is set."
        if kind.guarded
        else "Reasons not to rely on the posterior stand before the answer."
    )
    return f"It is asked of {of}. {guard}"


def _field(kind: type[Question], name: str) -> tuple[str, str, str]:
    field = kind.model_fields[name]
    default: Any = field.get_default(call_default_factory=True)
    shown = "required" if default is PydanticUndefined else "" if default in (None, (), {}, "") else f"``{default}``"
    return f"``{name}``", shown, plain(field.description or "")


def _figure(kind: type[Question]) -> str:
    answers = returned(kind, (kind, "answer"))
    drawn = next((answer for answer in reversed(answers) if answer.draw is not None), None)
    if drawn is None:
        return ""
    about = "The figure of the example's answer. Its posterior is made by hand, not measured."
    return joined(heading("Figure", "-"), drawing(styled(drawn.figure)(), kind.name, about), plain(about))
