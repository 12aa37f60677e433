"""An interrupt ends a verb whenever it comes."""

from __future__ import annotations

import signal
import time

import pytest

from bayes_scaling.cli import interrupts
from bayes_scaling.cli.interrupts import no_interrupt_lost


@pytest.fixture(autouse=True)
def interrupts_are_taken():
    """Also where the suite runs in the background of a shell, which ignores them."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Tidied:
    """An interrupt comes while this is tidied up, or something else goes wrong."""

    def __init__(self, error):
        self.error = error

    def __del__(self):
        if self.error is None:
            signal.raise_signal(signal.SIGINT)
        else:
            raise self.error


@no_interrupt_lost()
def wait_while_tidying_up():
    Tidied(None)
    time.sleep(10)


class OfABusyMachine(interrupts.Timer):
    """There it takes a while until a thread that has begun lets the one go on that began it."""

    def start(self):
        super().start()
        time.sleep(0.05)


@pytest.mark.parametrize("timer", [interrupts.Timer, OfABusyMachine])
def test_one_that_comes_while_an_object_is_tidied_up(timer, monkeypatch):
    monkeypatch.setattr(interrupts, "Timer", timer)
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        wait_while_tidying_up()
    assert time.monotonic() - started < 5


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_other_errors_go_where_they_went(monkeypatch):
    told = []
    monkeypatch.setattr("sys.unraisablehook", lambda dropped: told.append(dropped.exc_type))
    with no_interrupt_lost():
        Tidied(OSError("gone"))
    assert told == [OSError]
