"""Write the golden numbers of cases that have none yet: `python -m tests.golden.write`; `--draws` made the draws, once.

Numbers that stand are never written again: where a meaning is settled anew, it is an exception with its reason. Nine answers
about what no run has seen got another name, and other numbers, when these came to be drawn alike on every machine, three about
the chance of a loss when budgets came to share their noise, and two about the next run when its value came to be judged by other draws than
it was learned from; so did the three models of a limit, whose scatter no longer grows with the loss.
"""

from __future__ import annotations

import sys

from tests.golden import stored
from tests.golden.answers import ANSWERS, answer
from tests.golden.densities import CASES, densities_at, points_of, prior_of
from tests.golden.numbers import committed, write


def main() -> None:
    """Write every file."""
    if "--draws" in sys.argv:
        stored.make()
    writers = {
        "densities": (CASES, lambda case: densities_at(case, points_of(case))),
        "prior_draws": (CASES, prior_of),
        "answers": (ANSWERS, answer),
    }
    for file, (names, numbers) in writers.items():
        stand = committed(file)
        write(file, stand | {name: numbers(name) for name in names if name not in stand})


if __name__ == "__main__":
    main()
