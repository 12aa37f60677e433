"""Fit the documents by our samplers and store how far they are from the references: ``python -m tests.reference.measure``.

``--nuts`` measures NUTS on the PyMC model too, a minute a document; names of documents measure these alone.
"""

from __future__ import annotations

import json
import sys
import warnings

import pandas as pd

import bayes_scaling as bs
from bayes_scaling.errors import BayesScalingWarning
from tests.reference.posteriors import DRAWS, NAMES, RESULTS, compared, results, runs_of

SAMPLERS = {"auto": {"seeds": (1, 2, 3, 4), "draws": None}, "nuts": {"seeds": (1,), "draws": 4000}}


def measure(name: str, sampler: str) -> pd.DataFrame:
    """Return how far one sampler is from the reference of a document."""
    given = SAMPLERS[sampler]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BayesScalingWarning)
        fits = [
            bs.fit(runs_of(name), name, sampler=sampler, seed=seed, draws=given["draws"] or DRAWS.get(name), progress=False)
            for seed in given["seeds"]
        ]
    return compared(name, fits).drop(columns="ess")


def main() -> None:
    """Measure, and store."""
    asked = [each for each in sys.argv[1:] if not each.startswith("-")]
    sampler = "nuts" if "--nuts" in sys.argv else "auto"
    for name in asked or NAMES:
        rows = measure(name, sampler).round(4).to_dict("index")
        found = results()  # another process may have measured others meanwhile
        found.setdefault(name, {})[sampler] = rows
        RESULTS.write_text(json.dumps(dict(sorted(found.items())), indent=1) + "\n")
        print(name, sampler, max(abs(row["mean"]) for row in rows.values()), flush=True)


if __name__ == "__main__":
    main()
