# /// script
# requires-python = "==3.12.*"
# dependencies = ["pystan>=3.10", "pandas>=2.2", "numpyro>=0.22", "jax>=0.5"]
# ///
"""Sample some of the reference posteriors a second time, by Stan: ``posteriors/NAME.stan.json`` has summary and checks.

``uv run --script tests/reference/make_stan.py [NAME ...]``: needs a C++ compiler. PyStan has wheels that work up to
Python 3.12.
"""

from __future__ import annotations

import json
import sys
import time
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import stan
import tables
from numpyro.diagnostics import effective_sample_size, split_gelman_rubin

FOLDER = Path(__file__).parent
CHAINS, WARMUP, DRAWS = 4, 1500, 10000
PROGRAMS = {
    "kaplan_n": ("one_resource", tables.of_size, ("params",), ("N_c", "alpha_N")),
    "kaplan_d": ("one_resource", tables.of_data, ("dataset_tokens",), ("D_c", "alpha_D")),
    "kaplan_c": ("one_resource", tables.of_compute, ("compute_flops",), ("C_c", "alpha_C")),
    "chinchilla": ("additive", tables.ends_of_a_cosine, ("params", "tokens", "dataset_tokens"), ()),
    "repeated_penalty": ("additive", tables.seen_again, ("params", "tokens", "dataset_tokens"), ("P", "delta", "kappa")),
}


def prior(document: dict[str, Any], name: str) -> list[float]:
    """Return location and scale of the logarithm of a parameter."""
    stated = document["parameters"][name]["prior"]
    return [stated["mu"], stated["sigma"]]


def make(name: str) -> None:
    """Sample one posterior and store its summary."""
    document = tomllib.loads((FOLDER.parents[1] / "models" / f"{name}.toml").read_text())
    program, rows, columns, unknowns = PROGRAMS[name]
    table, likelihood = rows(), document["likelihood"]
    data: dict[str, Any] = {"n": len(table), "loss": table["loss"].tolist(), "of_sigma": likelihood["sigma"]["sigma"]}
    data["of_nu"] = [likelihood["nu"]["alpha"], likelihood["nu"]["beta"]]
    data |= dict(
        zip(("x",) if program == "one_resource" else ("N", "D", "U"), table[list(columns)].T.values.tolist(), strict=True)
    )
    if program == "one_resource":
        data |= {"of_term": prior(document, unknowns[0]), "of_power": prior(document, unknowns[1])}
        stored = {"log_term": [f"{unknowns[0]}_at_reference"], "log_power": [unknowns[1]]}
    else:
        data |= {"of_terms": [prior(document, each) for each in ("E", "A", "B")], "penalised": int(bool(unknowns))}
        data |= {"of_powers": [prior(document, each) for each in ("alpha", "beta")]}
        data |= {"of_penalty": [prior(document, each) for each in unknowns]}
        stored = {"log_terms": ["E", "A_at_reference", "B_at_reference"], "log_powers": ["alpha", "beta"]}
        stored |= {"log_penalty": ["P_at_reference", "delta", "kappa"]} if unknowns else {}
    losses = {label for labels in stored.values() for label in labels if label == "E" or label.endswith("_at_reference")}
    start = time.perf_counter()
    posterior = stan.build((FOLDER / "stan" / f"{program}.stan").read_text(), data=data, random_seed=20261127)
    fit = posterior.sample(num_chains=CHAINS, num_warmup=WARMUP, num_samples=DRAWS, delta=0.97)
    typical, found = float(np.log(table["loss"]).mean()), {}
    of_chains = {n: fit[n].reshape(-1, DRAWS, CHAINS).transpose(0, 2, 1) for n in (*stored, "nu", "sigma")}
    draws = {
        label: of_chains[n][k] + typical * (label in losses)
        for n, labels in stored.items()
        for k, label in enumerate(labels)
    }
    draws |= {n: np.log(of_chains[n][0]) for n in ("nu", "sigma")}
    for label, x in draws.items():
        low, high = np.quantile(x, [0.05, 0.95])
        found[label] = {"mean": x.mean(), "sd": x.std(), "q5": low, "q95": high, "ess_bulk": effective_sample_size(x)}
        found[label] = {k: float(f"{v:.7g}") for k, v in (found[label] | {"r_hat": split_gelman_rubin(x)}).items()}
    info = {
        "name": f"ladder-{name}",
        "inference": {
            "method": "NUTS",
            "program": f"Stan by PyStan {version('pystan')}, httpstan {version('httpstan')}",
            "chains": CHAINS,
            "warmup": WARMUP,
            "draws": DRAWS,
            "delta": 0.97,
            "seconds": round(time.perf_counter() - start),
        },
        "checks": {
            "divergences": int(fit["divergent__"].sum()),
            "largest_r_hat": max(each["r_hat"] for each in found.values()),
        },
        "of": "logarithms",
        "summary": found,
    }
    (FOLDER / "posteriors" / f"{name}.stan.json").write_text(json.dumps(info, indent=1) + "\n")
    print(name, info["inference"]["seconds"], "s", info["checks"], flush=True)


if __name__ == "__main__":
    for each in sys.argv[1:] or PROGRAMS:
        make(each)
