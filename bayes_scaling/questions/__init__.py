"""Questions asked of a posterior: one class and one file a question.

>>> import bayes_scaling as bs
>>> from bayes_scaling.posterior.examples import example_fit
>>> print(bs.questions.Target(target=2.0, compute=[1e24]).answer(example_fit()))
1e24 FLOP, beyond the runs by 1.92 decades in C, reach 2 nats/token with a probability of 0.97.

``bs.ask(fit, "target", target=2.0, compute=[1e24])`` is the same by its verb.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_BASE = {
    "Answer": "base",
    "QUESTIONS": "base",
    "Question": "base",
    "Refused": "guardrails",
    "Supply": "surface",
    "ask": "base",
    "question": "base",
}


def __getattr__(name: str) -> Any:
    """Return a question's class, or what all questions share, imported when it is asked for."""
    if name in _BASE:
        return getattr(import_module(f"{__name__}.{_BASE[name]}"), name)
    from bayes_scaling.questions.registry import entries

    for entry in entries().values():
        if entry.kind == name:
            return entry.load()
    raise AttributeError(f"There is no question {name}: the questions are {', '.join(__dir__())}.")


def __dir__() -> list[str]:
    """Return the public names."""
    from bayes_scaling.questions.registry import entries

    return sorted({*_BASE, *(entry.kind for entry in entries().values())})
