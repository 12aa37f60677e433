"""How much longer than importing numpy and xarray a cold process takes to answer from a stored fit.

Run with ``make benchmark``: ratios measured side by side, the median of several rounds.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bayes_scaling.posterior.examples import example_fit

ROUNDS = 7
COMMAND = str(Path(sys.executable).with_name("bayes-scaling"))


def seconds(words: list[str]) -> float:
    """Time one fresh process."""
    started = time.perf_counter()
    subprocess.run(words, check=True, capture_output=True)
    return time.perf_counter() - started


def main() -> None:
    """Print one ratio a verb."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(example_fit(chains=4, draws=2000).save(Path(folder) / "fit.nc"))
        imports = [sys.executable, "-c", "import numpy, xarray"]
        verbs = {
            "predict": [COMMAND, "predict", path, "--params", "7e10", "--tokens", "1.4e12", "--json"],
            "allocate": [COMMAND, "allocate", path, "--compute", "5.76e23", "--json"],
            "target": [COMMAND, "target", path, "--loss", "2.0", "--json"],
            "decide": [COMMAND, "decide", path, "--compute", "5.76e23", "--json"],
            "help": [COMMAND, "--help"],
        }
        rounds = [(seconds(imports), {verb: seconds(words) for verb, words in verbs.items()}) for _ in range(ROUNDS)]
    for verb in verbs:
        ratio = statistics.median(took[verb] / base for base, took in rounds)
        print(f"{verb}: {ratio:.2f} times `import numpy, xarray`, 4 chains of 2000 draws")


if __name__ == "__main__":
    main()
