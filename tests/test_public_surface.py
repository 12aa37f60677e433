"""What users see, frozen; and what a stored fit is answered without."""

from __future__ import annotations

import subprocess
import sys

import pytest

import bayes_scaling as bs

PUBLIC = [
    "robust_choice",
    "shapes_near",
    "Answer",
    "Budget",
    "Forecast",
    "Supply",
    "chance",
    "compare_recipes",
    "cost",
    "crossing",
    "deadline",
    "front",
    "ladder_of",
    "least_compute",
    "lifetime",
    "live",
    "near_optimal",
    "next_run",
    "next_runs",
    "refits",
    "noise_parts",
    "overtraining",
    "question",
    "register_forecasts",
    "regret",
    "score_forecasts",
    "stopping",
    "write_decision",
    "Backtest",
    "BayesScalingError",
    "BayesScalingWarning",
    "Card",
    "Certificate",
    "Fit",
    "LAWS",
    "Law",
    "Mixture",
    "Model",
    "RunTable",
    "Transformer",
    "Weights",
    "allocate",
    "available_runs",
    "backtest",
    "budget_table",
    "build_model",
    "certify",
    "check",
    "contraction",
    "agreement",
    "bottleneck",
    "claims",
    "compare",
    "derive",
    "early_stopping",
    "effort",
    "frontier",
    "frontier_table",
    "embedding_gamma",
    "fit",
    "identifiability",
    "intervals",
    "law",
    "load_fit",
    "load_mixture",
    "load_curves",
    "load_runs",
    "nonembedding_params",
    "plot_backtest",
    "plot_forecast",
    "predict",
    "predict_table",
    "published",
    "published_names",
    "read_backtest",
    "read_certificate",
    "read_model",
    "read_runs",
    "shipped_models",
    "summarize",
    "total_params",
    "variance_shares",
    "training_compute",
    "weigh",
    "write_certificate",
    "write_report",
]


def test_the_public_names_are_these():
    assert sorted(dir(bs)) == sorted(PUBLIC)
    assert sorted(bs.__all__) == sorted(PUBLIC)
    for name in PUBLIC:
        assert getattr(bs, name).__doc__
    with pytest.raises(AttributeError):
        getattr(bs, "nothing")  # noqa: B009


def loaded_by(code):
    """Return the modules a fresh process has loaded after running some code."""
    script = f"{code}\nimport sys; print(' '.join(sys.modules))"
    return set(subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split())


def test_a_stored_fit_is_answered_without_pymc(fit_by_hand, tmp_path):
    path = fit_by_hand.save(tmp_path / "fit.nc")
    modules = loaded_by(
        f"import bayes_scaling as bs\nfit = bs.load_fit({str(path)!r})\n"
        "bs.intervals(bs.predict(fit, params=7e10, tokens=1.4e12))\nbs.budget_table(bs.allocate(fit, compute=1e23))\n"
    )
    assert "bayes_scaling.questions.allocation" in modules
    assert not modules & {"pymc", "pytensor", "nutpie", "numba", "arviz_stats", "matplotlib", "pooch"}


def test_help_loads_next_to_nothing():
    modules = loaded_by("import bayes_scaling.cli")
    assert not modules & {"pymc", "pandas", "xarray", "numpy", "matplotlib"}


def test_the_package_is_typed():
    from importlib.resources import files

    assert (files("bayes_scaling") / "py.typed").is_file()
    assert (files("bayes_scaling") / "__init__.pyi").is_file()
