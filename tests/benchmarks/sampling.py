"""What fits cost: of a cold process, by sampler, by rows, of many tables, of a backtest and a certificate.

Run with ``make benchmark``. Times are of the processor, all threads together, beside importing numpy, scipy, pandas and xarray
in the same run; every part is measured in a fresh process, and includes what it imports where nothing is called warm.
``--large`` adds a table of 100,000 rows, ``--only NAME`` leaves out the parts that are not named.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ROUNDS = 3
COMMAND = str(Path(sys.executable).with_name("bayes-scaling"))
IMPORTS = [sys.executable, "-c", "import numpy, scipy, pandas, xarray"]
SMALL = "series in ['size', 'compute'] and compute_flops < 1e13"
TRUTH = {"E": 1.7, "A": 0.5, "a": 0.6, "B": 0.3, "b": 0.7, "kappa": 0.5}
Row = tuple[str, float, str]
"""What was measured, its seconds, and what else there is to say."""


def simulated(rows: int, seed: int = 0) -> pd.DataFrame:
    """Return a table of runs: the law kappa around 3e8 parameters and 1e10 tokens, and noise of half a per cent."""
    from bayes_scaling.laws import LAWS

    rng = np.random.default_rng([rows, seed])
    params, tokens = 10 ** rng.uniform(7.5, 9.5, rows), 10 ** rng.uniform(9.0, 11.0, rows)
    loss = LAWS["kappa"](params / 3e8, tokens / 1e10, **TRUTH) * np.exp(0.005 * rng.standard_normal(rows))
    return pd.DataFrame({"params": params, "tokens": tokens, "loss": loss})


def of_children(words: list[str]) -> float:
    """Return the processor's time of one fresh process."""
    before = os.times()
    subprocess.run(words, check=True, capture_output=True)
    after = os.times()
    return after.children_user - before.children_user + after.children_system - before.children_system


def of_this(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the processor's time of a call, and what it returned."""
    started = time.process_time()
    returned = work()
    return time.process_time() - started, returned


def cold(base: list[float]) -> Iterable[Row]:
    """Measure whole processes from the command to the saved fit, each beside one that only imports."""
    with tempfile.TemporaryDirectory() as folder:
        table, out = Path(folder) / "runs.csv", str(Path(folder) / "fit.nc")
        simulated(240).to_csv(table, index=False)
        words = {
            "`bayes-scaling fit`, cold, 26 runs of the ladder": ["ladder", "--where", SMALL],
            "`bayes-scaling fit`, cold, 240 simulated runs": [str(table)],
        }
        took: dict[str, list[float]] = {name: [] for name in words}
        for _ in range(ROUNDS):
            base.append(of_children(IMPORTS))
            for name, given in words.items():
                took[name].append(of_children([COMMAND, "fit", *given, "--out", out]))
    yield "`import numpy, scipy, pandas, xarray`, cold", statistics.median(base), f"median of {ROUNDS}, as the next two"
    for name, seconds in took.items():
        yield name, statistics.median(seconds), ""


def samplers() -> Iterable[Row]:
    """Compare effective draws a second of both samplers on 240 runs, modes included, compiling left out."""
    import arviz_stats
    import scipy.linalg  # noqa: F401  # pyright: ignore[reportUnusedImport]
    from threadpoolctl import threadpool_limits

    from bayes_scaling.inference.engine import Sampled, sample_posterior
    from bayes_scaling.inference.settings import Settings
    from bayes_scaling.model.document import read_model
    from bayes_scaling.model.layout import Layout
    from bayes_scaling.model.tables import tables_of
    from bayes_scaling.runs.table import read_runs

    model = read_model("kappa")
    layout = Layout.of(model, tables_of(model, read_runs(simulated(240))))

    def run(sampler: str) -> tuple[float, Sampled]:
        with threadpool_limits(1, "blas"):
            return of_this(lambda: sample_posterior(layout, Settings(sampler), False))

    run("importance")
    of_importance, sampled = run("importance")
    weights = np.exp(sampled.groups["importance"]["log_ratio"].values)
    by_importance = float(weights.sum() ** 2 / (weights**2).sum())
    run("nuts")
    of_nuts, sampled = run("nuts")
    sizes = arviz_stats.ess(sampled.posterior, method="bulk")
    by_nuts = min(float(size.min()) for size in sizes.data_vars.values())
    a_second, by_nuts_a_second = by_importance / of_importance, by_nuts / of_nuts
    said = (
        f"effective sample size {by_importance:.0f}: {a_second:.0f} a second, {a_second / by_nuts_a_second:.0f} times NUTS"
    )
    yield "importance sampling, 240 simulated runs, warm", of_importance, said
    said = f"smallest bulk ESS {by_nuts:.0f}: {by_nuts_a_second:.0f} a second"
    yield "NUTS, 240 simulated runs, compiled before", of_nuts, said


def rows(count: str) -> Iterable[Row]:
    """Measure a fit of a table of many rows, and the peak of its memory."""
    import resource

    import bayes_scaling as bs

    table = simulated(int(count))
    seconds, fit = of_this(lambda: bs.fit(table, progress=False))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform != "darwin" else 2**30)
    said = f"{1e3 * seconds / int(count):.2f} ms a row, peak {peak:.2f} GiB, {fit.facts['sampler']}"
    yield f"fit of {int(count):,} simulated runs", seconds, said


def many() -> Iterable[Row]:
    """Measure fits of many tables of one structure, one after the other in one process."""
    import bayes_scaling as bs

    tables = [simulated(26, seed) for seed in range(50)]
    bs.fit(tables[0], progress=False)
    seconds, fits = of_this(lambda: [bs.fit(table, seed=seed, progress=False) for seed, table in enumerate(tables)])
    by_nuts = sum(fit.facts["sampler"] == "nuts" for fit in fits)
    yield "50 fits of 26 simulated runs, warm", seconds, f"{seconds / 50:.2f} s a table, {by_nuts} by NUTS"


def backtest() -> Iterable[Row]:
    """Measure a backtest of the whole ladder, without baselines."""
    import bayes_scaling as bs

    seconds, outcome = of_this(lambda: bs.backtest("ladder", baselines=False, progress=False))
    cuts = outcome.predictions["cut"].nunique()
    yield (
        "backtest of the ladder",
        seconds,
        f"{cuts} cuts, {seconds / cuts:.2f} s each, {outcome.not_converged} not converged",
    )


def certificate() -> Iterable[Row]:
    """Measure a certificate of twenty tables on the design of the ladder's smaller runs."""
    import bayes_scaling as bs

    design = bs.load_runs("ladder").where(SMALL)
    seconds, outcome = of_this(lambda: bs.certify(design, tables=20, broken=False, progress=False))
    failed = 1 - outcome.forecasts.drop_duplicates("table")["converged"].mean()
    said = f"{seconds / 20:.2f} s a table, {100 * failed:.0f} % not converged"
    yield "certificate, 20 tables of 26 runs", seconds, said


PARTS: dict[str, Callable[..., Iterable[Row]]] = {
    "samplers": samplers,
    "rows": rows,
    "many": many,
    "backtest": backtest,
    "certificate": certificate,
}


def part_in_a_fresh_process(name: str, *given: str) -> Iterable[Row]:
    """Measure a part in a process of its own."""
    words = [sys.executable, "-m", "tests.benchmarks.sampling", "--part", name, *given]
    return json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Print the table: seconds, their ratio to the import, and what else was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", action="store_true", help="fit 100,000 rows, too")
    parser.add_argument("--only", nargs="*", choices=[*PARTS], help="these parts, beside the cold ones")
    parser.add_argument("--part", nargs="+", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.part:
        warnings.simplefilter("ignore")
        name, *given = asked.part
        print(json.dumps(list(PARTS[name](*given))))
        return
    print("| what | s | times the import | |\n|---|---|---|---|")
    base: list[float] = []
    wanted: list[tuple[str, ...]] = [("samplers",), ("rows", "1000"), ("rows", "10000")]
    wanted += [("rows", "100000")] * asked.large + [("many",), ("backtest",), ("certificate",)]
    found = [lambda: cold(base)]
    found += [lambda words=words: part_in_a_fresh_process(*words) for words in wanted if words[0] in (asked.only or PARTS)]
    for measure in found:
        for what, seconds, said in measure():
            print(f"| {what} | {seconds:.2f} | {seconds / statistics.median(base):.1f} | {said} |", flush=True)


if __name__ == "__main__":
    main()
