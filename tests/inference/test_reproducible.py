"""One seed gives one posterior, whatever the number of threads: to the last bit for a fit, and what is asked of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

FIT = """
import hashlib, json
import bayes_scaling as bs
runs = bs.load_runs("ladder").where("series in ['size', 'compute'] and compute_flops < 1e13")
found = {}
for model in ("chinchilla", "kappa"):
    fit = bs.fit(runs, model, seed=5, draws=200, progress=False)
    bits = b"".join(fit.posterior[name].values.tobytes() for name in sorted(fit.posterior))
    asked = (("allocate", {"compute": [1e13]}), ("sensitivity", {}))
    answers = {name: bs.ask(fit, name, **given, override=True).to_dict() for name, given in asked}
    found[model] = [hashlib.sha256(bits).hexdigest(), answers]
print(json.dumps(found))
"""


def with_threads(threads: int) -> dict[str, list]:
    """Return the digest of the draws of two fits in a process with so many threads of linear algebra, and answers."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    environment = {**os.environ, **dict.fromkeys(names, str(threads)), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run([sys.executable, "-c", FIT], stdout=subprocess.PIPE, env=environment, check=True)
    return json.loads(done.stdout)


def test_threads_change_no_bit_of_draws_and_answers():
    one, four = with_threads(1), with_threads(4)
    assert one.keys() == {"chinchilla", "kappa"}
    assert one == four
