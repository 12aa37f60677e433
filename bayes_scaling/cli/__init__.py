"""The command line: a verb reads its request, calls one function, and prints text or JSON.

What a verb needs is imported inside it, so that --help is instant and a stored fit is queried without PyMC.
"""

from __future__ import annotations

import sys

from bayes_scaling.cli import fitting, queries, systems, trials  # the verbs, in the order of --help

# isort: split
from bayes_scaling.cli import decisions, ledger

# isort: split
from bayes_scaling.cli.options import app
from bayes_scaling.cli.printing import complain, show_warnings_once
from bayes_scaling.errors import BayesScalingError

__all__ = ["app", "decisions", "fitting", "ledger", "main", "queries", "systems", "trials"]


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
