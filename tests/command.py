"""Runs the command line inside the test's own process."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from typing import NamedTuple

import pytest

from bayes_scaling.cli import main


class Answer(NamedTuple):
    """What a command came back with."""

    code: int
    out: str
    err: str


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Answer]:
    """Return a function that runs ``bayes-scaling`` with the given words."""

    # The command line draws into files whatever the environment says; the kernels of later tests do not.
    monkeypatch.setenv("MPLBACKEND", "agg")

    def run(*words: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["bayes-scaling", *map(str, words)])
        capsys.readouterr()
        with warnings.catch_warnings(), pytest.raises(SystemExit) as stopped:
            main()
        code = stopped.value.code
        return Answer(code if isinstance(code, int) else 0, *capsys.readouterr())

    return run
