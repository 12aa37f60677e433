"""Write the golden numbers: `python -m tests.golden.write`; draws too with `--draws`, which was done once."""

from __future__ import annotations

import sys

from tests.golden import stored
from tests.golden.answers import ANSWERS, answer
from tests.golden.densities import CASES, densities_at, points_of, prior_of
from tests.golden.numbers import write


def main() -> None:
    """Write every file."""
    if "--draws" in sys.argv:
        stored.make()
    write("densities", {case: densities_at(case, points_of(case)) for case in CASES})
    write("prior_draws", {case: prior_of(case) for case in CASES})
    write("answers", {name: answer(name) for name in ANSWERS})


if __name__ == "__main__":
    main()
