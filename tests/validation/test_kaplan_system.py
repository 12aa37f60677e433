"""What Kaplan's design and the ladder's can pin down: tables simulated with the paper's constants, fitted as one system.

Coverage of 50 % and 90 % intervals is counted for the parameters and for every claim that follows from them.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats

from bayes_scaling.inference.sample import fit_layout
from bayes_scaling.inference.settings import Settings
from bayes_scaling.laws import LAWS
from bayes_scaling.laws.constants import published
from bayes_scaling.model.document import Model, read_model
from bayes_scaling.model.layout import Layout
from bayes_scaling.model.prior_draws import draw_prior
from bayes_scaling.model.reference import publish
from bayes_scaling.model.tables import rows_of
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.quantities import training_compute
from bayes_scaling.questions.claims import claims
from bayes_scaling.runs.catalog import load_curves, load_runs
from tests.simulated import measured

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::bayes_scaling.errors.NotConvergedWarning"),
]  # short chains

TABLES = int(os.environ.get("TABLES", "50"))
TRUTH = published("kaplan2020 table 2").values | published("kaplan2020 table 3").values
TRUTH |= published("kaplan2020 eq 1.4").values | {"noise_ratio": 1.0}
NOISE = {
    "curves": {"scale": 0.01, "length": 0.8},
    "limited": {"scale": 0.01},
    "noise": {"scale": 0.15},
}
"""What the ladder was found to have, rounded."""
PRIORS = """
title = "Kaplan's laws with priors as wide as two very different designs need"
reference = {{ N = {N}, D = {D}, S_min = {S}, L = {L} }}
parameters.N_c.prior = {{ dist = "LogNormal", mu = {log_e_nats}, sigma = 0.8 }}
parameters.alpha_N.prior = {{ dist = "LogNormal", mu = -2.5, sigma = 0.6 }}
parameters.D_c.prior = {{ dist = "LogNormal", mu = {log_e_nats}, sigma = 0.8 }}
parameters.alpha_D.prior = {{ dist = "LogNormal", mu = -2.3, sigma = 0.6 }}
parameters.S_c.prior = {{ dist = "LogNormal", mu = {log_a_nat}, sigma = 1.5 }}
parameters.alpha_S.prior = {{ dist = "LogNormal", mu = -0.5, sigma = 0.6 }}
parameters.B_star.prior = {{ dist = "LogNormal", mu = {log_B}, sigma = 2.0 }}
parameters.alpha_B.prior = {{ dist = "LogNormal", mu = -1.5, sigma = 0.6 }}
parameters.noise_ratio.prior = {{ dist = "LogNormal", mu = 0.0, sigma = 0.7 }}

[[observations]]
name = "curves"
law = "kaplan_nsb"
table = "curves"
likelihood = {{ dist = "Normal", sigma = {{ dist = "HalfNormal", sigma = 0.05 }} }}
correlation = {{ length = {{ dist = "LogNormal", mu = 0.0, sigma = 1.0 }} }}

[[observations]]
name = "limited"
law = "kaplan_nd"
inputs = {{ D = "dataset_tokens" }}
likelihood = {{ dist = "Normal", sigma = {{ dist = "HalfNormal", sigma = 0.05 }} }}

[[observations]]
name = "noise"
law = "noise_scale"
table = "gradient_noise"
measured = "noise_tokens"
likelihood = {{ dist = "Normal", sigma = {{ dist = "HalfNormal", sigma = 0.5 }} }}
"""
CORRELATED = """
along = "steps_min"
length = {{ dist = "LogNormal", mu = 0.0, sigma = 1.0 }}
"""
CURVES = f"""
title = "Learning curves alone, at an endless batch"
reference = {{{{ N = {{N}}, S_min = {{S}}, L = {{L}} }}}}
{PRIORS[PRIORS.index("parameters.N_c") : PRIORS.index("parameters.D_c")]}
{PRIORS[PRIORS.index("parameters.S_c") : PRIORS.index("parameters.B_star")]}
[[observations]]
name = "curves"
law = "kaplan_ns"
table = "curves"
likelihood = {{{{ dist = "Normal", sigma = {{{{ dist = "HalfNormal", sigma = 0.05 }}}} }}}}
[observations.correlation]{CORRELATED}"""


def kaplans_design() -> tuple[dict[str, pd.DataFrame], dict[str, float]]:
    """Sizes 768 to 1.5e9, data 22M to 23B, one batch of 2^19, as in sections 2 to 4; noise along two runs, as in Figure 10."""
    sizes, steps = np.geomspace(768, 1.5e9, 14), np.geomspace(6e3, 2.5e5, 15)
    curves = pd.DataFrame([(n, s) for n in sizes for s in steps], columns=["params", "steps"])
    curves = curves.assign(batch_tokens=2.0**19, run_id=[f"{n:.3g}" for n in curves["params"]])
    limited = pd.DataFrame(
        [(n, d) for n in np.geomspace(4e5, 1.5e9, 7) for d in np.geomspace(2.2e7, 2.3e10, 7)],
        columns=["params", "dataset_tokens"],
    )
    noise = curves[curves["run_id"].isin([f"{n:.3g}" for n in (sizes[8], sizes[10])])]
    at = {"N": 1e6, "D": 1e9, "S": 2e4, "log_B": 13.0, **in_nats(3.5)}
    return {"curves": curves, "limited": limited, "noise": noise.reset_index(drop=True)}, at


def ladders_design() -> tuple[dict[str, pd.DataFrame], dict[str, float]]:
    """The rows that kaplan_system takes from the shipped ladder, but for what was measured."""
    system, runs, curves = read_model("kaplan_system"), load_runs("ladder"), load_curves("ladder")
    tables = {o.name: rows_of(o, runs, curves) for o in system.observations if o.name in NOISE}
    return tables, {"N": 3e4, "D": 1e6, "S": 500.0, "log_B": 9.0, **in_nats(8.0)}


def in_nats(typical: float) -> dict[str, float]:
    """Return the typical loss, and the middle of priors stated in nats as multiples of it: e nats for size and data, one for steps."""
    return {"L": typical, "log_e_nats": 1.0 - np.log(typical), "log_a_nat": -np.log(typical)}


def with_truth(tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Return the tables with the losses that noise is measured at, and what a run has spent."""
    law = LAWS["kaplan_nsb"]
    for name in ("curves", "noise"):
        at = tables[name]
        loss = law(at["params"], at["steps"], at["batch_tokens"], **{n: TRUTH[n] for n in law.parameters if n in TRUTH})
        tables[name] = at.assign(loss=loss, compute_flops=training_compute(at["params"], at["steps"] * at["batch_tokens"]))
    noise, of_loss = tables["noise"].drop(columns=["noise_tokens_se"], errors="ignore"), LAWS["noise_scale"]
    of_truth = of_loss(noise["loss"], **{n: TRUTH[n] for n in of_loss.parameters})
    return tables | {"noise": noise.assign(noise_tokens=of_truth)}


def of_the_truth(system: Model, tables: dict[str, pd.DataFrame]) -> Fit:
    """Return a fit whose one draw is the truth, to ask it for claims."""
    layout = Layout.of(system, tables)
    values = {n: kind.at_reference(TRUTH[n], layout.reference, TRUTH) for n, kind in system.kinds.items()}
    draws = publish(system, values, layout.reference)
    posterior = xr.Dataset({n: xr.DataArray([[v]], dims=("chain", "draw")) for n, v in draws.items()})
    prior = draw_prior(layout, np.random.default_rng(0))
    one = prior.isel(draw=[0]).assign(posterior)
    return Fit.of(layout, {"posterior": one, "prior": prior, "sample_stats": xr.Dataset()}, {"runs": "the truth"})


@pytest.mark.xdist_group("designs")  # both write into one file
@pytest.mark.parametrize("design", [kaplans_design, ladders_design])
def test_truths_are_inside_their_intervals(design, tmp_path):
    tables, at = design()
    tables = with_truth(tables)
    (tmp_path / "system.toml").write_text(PRIORS.format(**at))
    system = read_model(tmp_path / "system.toml")
    true_claims = claims(of_the_truth(system, tables)).set_index("claim")["median"]
    card = load_runs("ladder").card
    names = [n for n in system.parameters if n in TRUTH]
    inside: list[dict[str, dict[float, bool]]] = []
    told, unconverged = [], 0
    for seed in range(TABLES):
        drawn = measured(system, tables, TRUTH, NOISE, np.random.default_rng(seed))
        settings = Settings(seed=seed, draws=500, tune=500, chains=2, target_accept=0.9)
        fit = fit_layout(Layout.of(system, drawn), settings, {"runs": "simulated"}, card, progress=False)
        unconverged += any(c["check"] == "largest R-hat" and c["value"] > 1.03 for c in fit.checks)
        row: dict[str, dict[float, bool]] = {}
        for name in names:
            draws = fit.posterior[name].values
            row[name] = {p: bool(abs((draws < TRUTH[name]).mean() - 0.5) <= p / 2) for p in (0.5, 0.9)}
        said = {p: claims(fit, prob=p).set_index("claim") for p in (0.5, 0.9)}
        for claim, value in true_claims.items():
            row[claim] = {
                p: claim in t.index and bool(t.loc[claim, "lower"] <= value <= t.loc[claim, "upper"])
                for p, t in said.items()
            }
        inside.append(row)
        width = {n: np.std(np.log(fit.posterior[n].values)) for n in names}
        prior = {n: np.std(np.log(fit.prior[n].values)) for n in names}
        told.append({n: (float(width[n]), float(1 - (width[n] / prior[n]) ** 2)) for n in names})
    print(f"\n{design.__name__}: {TABLES} tables, {unconverged} with R-hat above 1.03")
    for name in names:
        sd, contraction = np.mean([t[name] for t in told], axis=0)
        print(f"  {name:<12} sd of the log {sd:.3f}, contraction {contraction:.3f}", end="")
        print("".join(f"; {np.mean([r[name][p] for r in inside]):.0%} inside {p:.0%}" for p in (0.5, 0.9)))
    for claim in true_claims.index:
        print(f"  {claim}: " + ", ".join(f"{np.mean([r[claim][p] for r in inside]):.0%} inside {p:.0%}" for p in (0.5, 0.9)))
    _keep(design.__name__.removesuffix("_design"), names, told, inside)
    for prob in (0.5, 0.9):
        lowest = stats.binom.ppf(0.0005, TABLES, prob) / TABLES
        rates = {n: np.mean([r[n][prob] for r in inside]) for n in inside[0]}
        assert min(rates.values()) >= lowest, (prob, {n: r for n, r in rates.items() if r < lowest})
        assert abs(np.mean([rates[name] for name in names]) - prob) < 0.12
    assert unconverged <= TABLES // 10


def _keep(design: str, names: list[str], told: list, inside: list) -> None:
    """Write what the page of claims tells of a design into the file that RECOVERY names, if it names one."""
    if "RECOVERY" not in os.environ:
        return
    file = Path(os.environ["RECOVERY"])
    found = json.loads(file.read_text()) if file.exists() else {}
    rates = {n: {str(p): round(float(np.mean([r[n][p] for r in inside])), 2) for p in (0.5, 0.9)} for n in inside[0]}
    width = {n: np.mean([t[n] for t in told], axis=0).round(3) for n in names}
    found[design] = {
        "tables": TABLES,
        "parameters": {n: {"sd": width[n][0], "contraction": width[n][1], **rates[n]} for n in names},
        "claims": {n: rate for n, rate in rates.items() if n not in names},
    }
    file.write_text(json.dumps(found, indent=1) + "\n")


def test_points_of_a_curve_are_not_independent(tmp_path):
    """Intervals that take points of a curve as independent are too narrow; those that know better are honest."""
    tables, at = kaplans_design()
    curves = {"curves": tables["curves"].rename(columns={"steps": "steps_min"})}
    card, rates = load_runs("ladder").card, {"tables": TABLES}
    (tmp_path / "correlated.toml").write_text(CURVES.format(**at))
    correlated = read_model(tmp_path / "correlated.toml")
    for name, text in (
        ("correlated", CURVES),
        ("independent", CURVES.replace("[observations.correlation]" + CORRELATED, "")),
    ):
        (tmp_path / f"{name}.toml").write_text(text.format(**at))
        system = read_model(tmp_path / f"{name}.toml")
        drawn = [measured(correlated, curves, TRUTH, NOISE, np.random.default_rng([seed, 1])) for seed in range(TABLES)]
        inside = []
        for seed, each in enumerate(drawn):
            settings = Settings(seed=seed, draws=500, tune=500, chains=2, target_accept=0.9)
            fit = fit_layout(Layout.of(system, each), settings, {"runs": "simulated"}, card, progress=False)
            ranks = [(fit.posterior[n].values < TRUTH[n]).mean() for n in ("N_c", "alpha_N", "S_c", "alpha_S")]
            inside.append([abs(rank - 0.5) <= 0.45 for rank in ranks])
        rates[name] = round(float(np.mean(inside)), 3)
        print(f"\n{name}: {rates[name]:.0%} of N_c, alpha_N, S_c, alpha_S inside their 90 %", flush=True)
    if "CURVES" in os.environ:
        Path(os.environ["CURVES"]).write_text(json.dumps(rates, indent=1) + "\n")
    assert 0.82 < rates["correlated"] < 0.97
    assert rates["independent"] < 0.7
