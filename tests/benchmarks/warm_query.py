"""How long each question takes of a stored fit in a process that is warm, beside importing numpy and xarray in a fresh one.

Run with ``make benchmark``: the median of several rounds, each measured beside the import.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
import warnings

from bayes_scaling.errors import BayesScalingWarning
from bayes_scaling.posterior.examples import example_fit, example_system
from bayes_scaling.questions.base import question

ROUNDS = 9
OF_A_LAW = {
    "target": {"target": 2.0},
    "allocation": {"compute": 5.76e23},
    "regret": {"compute": 5.76e23, "params": [7e10, 2.8e11]},
    "lifetime": {"target": 2.1, "demand": 1e13},
    "next_run": {"most": 1e22, "params": 7e10, "tokens": 1.4e12},
}
OF_A_SYSTEM = {
    "deadline": {"params": 1e9, "loss": 2.9, "days": 1.0, "seconds_per_step": 1.0},
    "stopping": {"compute_min": 1e21},
}


def main() -> None:
    """Print milliseconds and a ratio for each question."""
    warnings.simplefilter("ignore", BayesScalingWarning)
    fits = (example_fit(chains=4, draws=1000), OF_A_LAW), (example_system(chains=4, draws=1000), OF_A_SYSTEM)
    asked = [(name, question(name, **given), fit) for fit, questions in fits for name, given in questions.items()]
    took: dict[str, list[float]] = {name: [] for name, *_ in asked}
    base = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import numpy, xarray"], check=True)
        base.append(time.perf_counter() - started)
        for name, one, fit in asked:
            started = time.perf_counter()
            one.answer(fit)
            took[name].append(time.perf_counter() - started)
    for name, seconds in took.items():
        ratio = statistics.median(s / b for s, b in zip(seconds, base, strict=True))
        print(
            f"{name}: {1e3 * statistics.median(seconds):.0f} ms, {ratio:.2f} times `import numpy, xarray` in a fresh process"
        )


if __name__ == "__main__":
    main()
