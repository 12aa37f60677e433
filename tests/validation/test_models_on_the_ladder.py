"""Every shipped model on the runs of our own ladder that its law is about."""

from __future__ import annotations

import pytest

from bayes_scaling.inference import fit
from bayes_scaling.model.document import read_model, shipped_models
from bayes_scaling.posterior.predict import inside
from bayes_scaling.posterior.rows import predict_table
from bayes_scaling.runs.catalog import load_runs
from bayes_scaling.runs.table import read_runs

pytestmark = pytest.mark.slow

END_OF_A_COSINE = "series in ['size', 'compute', 'seed'] and schedule == 'cosine'"
RUNS = {
    "kaplan_n": "series == 'size'",
    "kaplan_d": "series == 'data' and width == 48",
    "kaplan_c": "run_id in ['iso-2e11-16', 'iso-6e11-32', 'iso-2e12-36', 'iso-6e12-48', 'size-64', 'size-96', 'size-128']",
    "kaplan_nd": "series == 'data'",
    "chinchilla": END_OF_A_COSINE,
    "kappa": END_OF_A_COSINE,
    "chinchilla_by_group": "series in ['size', 'compute', 'seed', 'schedule', 'batch']",
    "kappa_by_group": "series in ['size', 'compute', 'seed', 'schedule', 'batch']",
    "kappa_by_group_forecast": "series in ['size', 'compute', 'seed', 'schedule', 'batch']",
    "offset_n": "series == 'size'",
    "offset_d": "series == 'data' and width == 48",
    "offset_c": "run_id in ['iso-2e11-16', 'iso-6e11-32', 'iso-2e12-36', 'iso-6e12-48', 'size-64', 'size-96', 'size-128']",
    "repeated": "series in ['data', 'schedule'] and schedule == 'constant'",
    "repeated_excess": "series in ['data', 'schedule'] and schedule == 'constant'",
    "repeated_penalty": "series in ['data', 'schedule'] and schedule == 'constant'",
    "ceiling": END_OF_A_COSINE,
    "farseer": END_OF_A_COSINE,
}
COLUMNS = {
    "kaplan_d": {"tokens": "dataset_tokens"},
    "offset_d": {"tokens": "dataset_tokens"},
    "kaplan_nd": {"tokens": "dataset_tokens"},
    "chinchilla_by_group": {"group": "schedule"},
    "kappa_by_group": {"group": "schedule"},
    "kappa_by_group_forecast": {"group": "schedule"},
}
SYSTEMS = [n for n in shipped_models() if not read_model(n).is_one or read_model(n).only.table not in ("runs", "scans")]


def test_every_model_has_its_runs():
    of_error_rates, of_mixtures, of_steps_to_a_loss = {"saturating_d"}, {"moe"}, {"steps_to_loss"}
    assert set(RUNS) | of_error_rates | of_mixtures | of_steps_to_a_loss | set(SYSTEMS) == set(shipped_models())


@pytest.mark.parametrize("name", RUNS)
def test_it_converges_and_says_what_was_measured(name):
    runs = load_runs("ladder").where(RUNS[name])
    if name in COLUMNS:
        runs = read_runs(runs.table.drop(columns="compute_flops"), columns=COLUMNS[name], card=runs.card, name="ladder")
    found = fit(runs, read_model(name), seed=1)
    assert found.converged, found.verdict
    predicted = predict_table(found, runs.table)
    share = inside(predicted["loss"], predicted["lower"], predicted["upper"]).mean()
    exponents = [n for n in read_model(name).parameters if n.startswith("a") or n in ("b", "beta", "kappa")]
    said = ", ".join(
        f"{n} {float(found.posterior[n].mean()):.3f} ± {float(found.posterior[n].std()):.3f}" for n in exponents
    )
    print(f"{name}: {len(runs)} runs, {share:.0%} inside 90 %; {said}")
    assert share >= 0.8


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_system_converges(name):
    runs = load_runs("ladder")
    found = fit(runs.where("series == 'batch'") if name.startswith("critical_batch") else runs, name, seed=1)
    seconds = found.facts["seconds_of_sampling"]
    failed = [c["check"] for c in found.checks if not c["passed"]]
    print(f"{name}: {seconds:.0f} s; {found.how_sampled}; failed {failed}")
    assert found.converged, found.verdict
    if name == "kaplan_system":
        assert not failed


def test_two_evidences_of_the_critical_batch_agree():
    """Steps to a loss and gradient noise: the ratio that the theory calls one is a parameter, and is near it."""
    found = fit(load_runs("ladder").where("series == 'batch'"), "critical_batch", seed=1)
    assert found.converged, found.verdict
    for name in ("alpha_B", "noise_ratio", "B_star_at_reference"):
        low, high = (float(found.posterior[name].quantile(q)) for q in (0.05, 0.95))
        print(f"{name}: 90 % interval {low:.4g} to {high:.4g}")
    low, high = (float(found.posterior["noise_ratio"].quantile(q)) for q in (0.05, 0.95))
    assert 0.7 < low < high < 1.5


def test_the_exponent_of_size_has_an_interval():
    found = fit(load_runs("ladder").where("series == 'size'"), "kaplan_n", seed=1)
    lower, upper = (float(found.posterior["alpha_N"].quantile(q)) for q in (0.05, 0.95))
    print(f"alpha_N 90 % interval {lower:.4f} to {upper:.4f}")
    assert 0.09 < lower < upper < 0.112
