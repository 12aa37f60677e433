"""Runs the example of a docstring, and keeps what a function gave back in it: so a page shows what its example makes."""

from __future__ import annotations

import doctest
import inspect
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch


def returned(documented: Any, *places: tuple[Any, str]) -> list[Any]:
    """Run the example of what is documented, and return what each call of the functions at ``places`` gave back."""
    kept: list[Any] = []
    with ExitStack() as stack:
        for owner, name in places:
            stack.enter_context(patch.object(owner, name, _keeping(getattr(owner, name), kept)))
        _run(documented)
    return kept


def _keeping(function: Callable[..., Any], kept: list[Any]) -> Callable[..., Any]:
    def kept_too(*given: Any, **named: Any) -> Any:
        kept.append(function(*given, **named))
        return kept[-1]

    return kept_too


def _run(documented: Any) -> None:
    names = dict(vars(inspect.getmodule(documented)))
    for example in _examples(inspect.getdoc(documented) or ""):
        if not example.options.get(doctest.SKIP):
            exec(compile(example.source, "<example>", "exec"), names)  # our own docstrings, which the tests run too


def _examples(text: str) -> Iterable[doctest.Example]:
    return doctest.DocTestParser().get_examples(text)
