"""The command line: a verb for every question, made of its class, and a few that write files.

What a verb needs is imported inside it, so that --help is instant and a stored fit is queried without PyMC.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from bayes_scaling.cli import batch, collecting, fitting, ledger, pages, serving, trials  # verbs that are no questions
from bayes_scaling.cli.application import app
from bayes_scaling.cli.interrupts import no_interrupt_lost
from bayes_scaling.cli.printing import complain, say_in_any_alphabet, show_warnings_once
from bayes_scaling.errors import BayesScalingError, InvalidRequest, first_fault

__all__ = ["app", "batch", "collecting", "fitting", "ledger", "main", "pages", "serving", "trials"]


def _refuse_no_folder() -> None:
    """Refuse a working directory that is gone, which libraries cannot be imported from."""
    try:
        Path.cwd()
    except OSError:
        raise InvalidRequest("The current folder no longer exists: change to another one.") from None


def _close_output() -> None:
    """Give up what could not be written to standard output, so that nothing is said of it again on the way out."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main() -> None:
    """Run the command line; every mistake of the user's is one sentence on standard error and exit code 2."""
    show_warnings_once()
    say_in_any_alphabet()
    os.environ["MPLBACKEND"] = "agg"  # pictures go into files, whatever windows there are
    try:
        try:
            _refuse_no_folder()
            with no_interrupt_lost():
                app()
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except BayesScalingError as error:
        sys.exit(complain(str(error), 2))
    except ModuleNotFoundError as error:
        sys.exit(complain(f"This command needs {error.name}, which is not installed: pip install {error.name}.", 2))
    except BrokenPipeError:
        _close_output()
        sys.exit(141)
    except RecursionError:
        sys.exit(complain("The input is nested too deeply.", 2))
    except MemoryError:
        sys.exit(complain("This machine does not have enough memory for that: ask for fewer draws, chains or rows.", 2))
    except OSError as error:
        _close_output()
        place = f"{str(error.filename)[:200]}: " if error.filename else ""
        sys.exit(complain(f"{place}{first_fault(error)}.", 2))
    except KeyboardInterrupt:
        sys.exit(complain("Interrupted; nothing unfinished was written.", 130))
