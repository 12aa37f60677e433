"""An interrupt that is not lost: Python drops one that reaches it while it tidies up after an object."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager
from threading import Timer, main_thread
from typing import Any, Final

_LATER: Final = 0.2
"""Seconds after which an interrupt that was dropped is given again: on a busy machine, too, what dropped it is over by then."""


def _interrupt() -> None:
    """Interrupt the main thread, out of what it waits for, too."""
    if os.name == "nt":
        signal.raise_signal(signal.SIGINT)
    else:
        signal.pthread_kill(main_thread().ident or 0, signal.SIGINT)


@contextmanager
def no_interrupt_lost() -> Generator[None]:
    """Give an interrupt once more, a moment later, where Python has dropped it."""
    before = sys.unraisablehook

    def again(dropped: Any) -> None:
        if dropped.exc_type is not KeyboardInterrupt:
            before(dropped)
            return
        later = Timer(_LATER, _interrupt)
        later.daemon = True
        later.start()

    sys.unraisablehook = again
    try:
        yield
    finally:
        sys.unraisablehook = before
