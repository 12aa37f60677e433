"""The command line: a verb for every question, made of its class, and a few that write files.

What a verb needs is imported inside it, so that --help is instant and a stored fit is queried without PyMC.
"""

from __future__ import annotations

import sys

from bayes_scaling.cli import batch, collecting, fitting, ledger, pages, serving, trials  # verbs that are no questions
from bayes_scaling.cli.application import app
from bayes_scaling.cli.printing import complain, show_warnings_once
from bayes_scaling.errors import BayesScalingError

__all__ = ["app", "batch", "collecting", "fitting", "ledger", "main", "pages", "serving", "trials"]


def main() -> None:
    """Run the command line; every mistake of the user's is one sentence on standard error and exit code 2."""
    show_warnings_once()
    try:
        app()
    except BayesScalingError as error:
        sys.exit(complain(str(error), 2))
    except BrokenPipeError:
        sys.exit(141)
    except KeyboardInterrupt:
        sys.exit(complain("Interrupted; nothing unfinished was written.", 130))
