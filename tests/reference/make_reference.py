# /// script
# requires-python = ">=3.12"
# dependencies = ["numpyro>=0.22", "jax>=0.12", "pandas>=3", "scipy>=1.15"]
# ///
"""Sample the reference posteriors of the shipped documents by NUTS in NumPyro, and store them in posteriordb's form.

``uv run --script tests/reference/make_reference.py [NAME ...]``: minutes each on one core. For every document
``posteriors/NAME.info.json`` has what was sampled, how, the checks and the summary over all draws, with Monte Carlo errors;
``posteriors/NAME.json.gz`` thinned draws, a list of chains, each a list for every unknown.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import sys
import time
import tomllib
from pathlib import Path

import jax
import numpy as np
import numpyro
from numpyro.diagnostics import effective_sample_size, split_gelman_rubin

numpyro.set_host_device_count(1)
jax.config.update("jax_enable_x64", True)

from numpyro_models import MODELS  # noqa: E402  (after the precision is set)

FOLDER = Path(__file__).parent
CHAINS, WARMUP, KEPT, ACCEPTED = 4, 1500, 250, 0.97
DRAWS = {
    **dict.fromkeys(("repeated_penalty", "best_rate"), 40000),
    "kaplan_system": 8000,
    **dict.fromkeys(("kaplan_system_offset", "kaplan_system_forecast"), 16000),
}
"""Draws of each chain, where they are not ten thousand."""
CLOSER = {"kappa_by_group_forecast": 0.995}
"""Acceptance rate where the usual one leaves more than one divergence in a thousand draws."""
FROM_MEDIANS = {"farseer", "kappa_by_group_forecast"}
"""Documents whose chains start at the medians of the priors: between -2 and 2, where others start, powers of powers overflow."""
SIMULATED = {"moe", "best_rate"}
"""Documents whose rows are simulated, see ``tables.py``; those of others are of the ladder."""
QUANTILES = (0.05, 0.5, 0.95)


def summary(draws: np.ndarray) -> dict[str, float]:
    """Return mean, standard deviation and quantiles of the logarithm, its effective sizes and R-hat, for draws (chain, draw)."""
    x = np.log(draws)
    low, _, high = (np.quantile(x, q) for q in QUANTILES)
    tails = [(x <= end).astype(float) for end in (low, high)]
    return {
        "mean": x.mean(),
        "sd": x.std(),
        **{f"q{round(100 * q)}": np.quantile(x, q) for q in QUANTILES},
        "ess_bulk": effective_sample_size(x),
        "ess_tail": min(effective_sample_size(tail) for tail in tails),
        "r_hat": split_gelman_rubin(x),
    }


def rounded(value: float) -> float:
    """Return a number to seven digits."""
    return float(f"{float(value):.7g}")


def make(name: str) -> None:
    """Sample one posterior and store it."""
    path = FOLDER.parents[1] / "models" / f"{name}.toml"
    document = tomllib.loads(path.read_text())
    model, rows = MODELS[name]
    start, count = time.perf_counter(), DRAWS.get(name, 10000)
    starts = numpyro.infer.init_to_median if name in FROM_MEDIANS else numpyro.infer.init_to_uniform
    accepted = CLOSER.get(name, ACCEPTED)
    kernel = numpyro.infer.NUTS(model, dense_mass=True, target_accept_prob=accepted, max_tree_depth=10, init_strategy=starts)
    sampler = numpyro.infer.MCMC(
        kernel, num_warmup=WARMUP, num_samples=count, num_chains=CHAINS, chain_method="sequential", progress_bar=False
    )
    sampler.run(jax.random.PRNGKey(20261127), rows(), document, extra_fields=("diverging",))
    draws = {n: np.asarray(v) for n, v in sampler.get_samples(group_by_chain=True).items()}
    draws = {n: v for n, v in draws.items() if v.ndim == 2 and not n.endswith("_multiple")}
    found = {n: {k: rounded(v) for k, v in summary(values).items()} for n, values in draws.items()}
    diverging = int(np.asarray(sampler.get_extra_fields(group_by_chain=True)["diverging"]).sum())
    checks = {
        "divergences": diverging,
        "largest_r_hat": max(each["r_hat"] for each in found.values()),
        "least_ess_bulk": min(each["ess_bulk"] for each in found.values()),
        "least_ess_tail": min(each["ess_tail"] for each in found.values()),
    }
    stated = {key: value for key, value in document.items() if key != "title"}
    info = {
        "name": f"{'simulated' if name in SIMULATED else 'ladder'}-{name}",
        "model": name,
        "document": hashlib.sha256(json.dumps(_without_reasons(stated), sort_keys=True).encode()).hexdigest()[:16],
        "data": "simulated" if name in SIMULATED else "data/ladder",
        "inference": {
            "method": "NUTS",
            "program": f"NumPyro {numpyro.__version__}, JAX {jax.__version__}",
            "chains": CHAINS,
            "warmup": WARMUP,
            "draws": count,
            "dense_mass": True,
            "target_accept": accepted,
            "seconds": round(time.perf_counter() - start),
        },
        "checks": checks,
        "of": "logarithms",
        "summary": found,
    }
    (FOLDER / "posteriors").mkdir(exist_ok=True)
    (FOLDER / "posteriors" / f"{name}.info.json").write_text(json.dumps(info, indent=1) + "\n")
    few = [{n: [float(f"{x:.6g}") for x in v[chain, :: count // KEPT]] for n, v in draws.items()} for chain in range(CHAINS)]
    with gzip.GzipFile(FOLDER / "posteriors" / f"{name}.json.gz", "w", mtime=0) as file:
        file.write(json.dumps(few, separators=(",", ":")).encode())
    print(name, f"{info['inference']['seconds']} s", checks, flush=True)


def _without_reasons(value: object) -> object:
    """Return what a document states, without the reasons."""
    if isinstance(value, dict):
        return {key: _without_reasons(each) for key, each in value.items() if key != "why"}
    return [_without_reasons(each) for each in value] if isinstance(value, list) else value


if __name__ == "__main__":
    for each in sys.argv[1:] or MODELS:
        make(each)
