"""What users see, frozen; and what a stored fit is answered without."""

from __future__ import annotations

import subprocess
import sys

import pytest

import bayes_scaling as bs

PUBLIC = [
    "Answer",
    "BayesScalingError",
    "BayesScalingWarning",
    "Card",
    "Fit",
    "Mixture",
    "Model",
    "RunTable",
    "allocate",
    "ask",
    "backtest",
    "batch",
    "budget_table",
    "build_model",
    "certify",
    "check",
    "claims",
    "compare",
    "derive",
    "evaluation",
    "fit",
    "fit_many",
    "frontier",
    "intervals",
    "law",
    "laws",
    "live",
    "load_curves",
    "load_fit",
    "load_mixture",
    "load_runs",
    "plots",
    "predict",
    "predict_table",
    "question",
    "questions",
    "read_batch",
    "read_model",
    "read_runs",
    "readers",
    "shipped_models",
    "summarize",
    "to_arviz",
    "weigh",
    "write_report",
]


EVALUATION = [
    "Backtest",
    "Certificate",
    "Choice",
    "Weights",
    "choose",
    "read_backtest",
    "read_certificate",
    "register_forecasts",
    "score_forecasts",
    "weigh_left_out",
]
BATCH = ["fit_many", "read_answers", "read_batch", "read_failures"]
PLOTS = [
    "backtest",
    "budget",
    "envelope",
    "forecast",
    "isoflop",
    "learning_curves",
    "parameters",
    "predictive_check",
    "prior_predictive",
    "priors",
    "regret",
    "residuals",
    "surface",
]
LAWS = [
    "LAWS",
    "Law",
    "Transformer",
    "embedding_gamma",
    "law",
    "nonembedding_params",
    "published",
    "published_names",
    "total_params",
]


def test_the_public_names_are_these():
    assert len(PUBLIC) <= 45
    assert sorted(dir(bs)) == sorted(PUBLIC)
    assert sorted(bs.__all__) == sorted(PUBLIC)
    for name in PUBLIC:
        assert getattr(bs, name).__doc__
    with pytest.raises(AttributeError):
        getattr(bs, "nothing")  # noqa: B009


@pytest.mark.parametrize(
    ("room", "public"),
    [(bs.batch, BATCH), (bs.evaluation, EVALUATION), (bs.laws, LAWS), (bs.plots, PLOTS)],
)
def test_the_public_names_of_a_room_are_these(room, public):
    assert sorted(room.__all__) == sorted(public)
    assert all(getattr(room, name).__doc__ for name in public)


def test_every_question_is_public_by_its_class():
    for kind in bs.questions.QUESTIONS.values():
        assert getattr(bs.questions, kind.__name__) is kind
        assert kind.__name__ in dir(bs.questions)
    with pytest.raises(AttributeError, match="There is no question Nothing"):
        bs.questions.Nothing  # noqa: B018


def loaded_by(code):
    """Return the modules a fresh process has loaded after running some code, as where Dask is not installed.

    xarray loads ``dask.array``, and with it scipy, wherever it finds it: the tests of clusters need it, a user does not.
    """
    script = f"import sys; sys.modules['dask.array'] = None\n{code}\nprint(' '.join(sys.modules))"
    return set(subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split())


def test_a_stored_fit_is_answered_without_pymc(fit_by_hand, tmp_path):
    path = fit_by_hand.save(tmp_path / "fit.nc")
    modules = loaded_by(
        f"import bayes_scaling as bs\nfit = bs.load_fit({str(path)!r})\n"
        "bs.intervals(bs.predict(fit, params=7e10, tokens=1.4e12))\nbs.budget_table(bs.allocate(fit, compute=1e23))\n"
    )
    assert "bayes_scaling.questions.allocation" in modules
    assert not modules & {"pymc", "pytensor", "nutpie", "numba", "arviz_stats", "matplotlib", "pooch"}


def test_a_fit_by_importance_sampling_loads_no_more_than_it_needs(tmp_path):
    modules = loaded_by(
        "import bayes_scaling as bs\nruns = bs.load_runs('ladder').where(\"series == 'size' and compute_flops < 1e13\")\n"
        f"bs.fit(runs, sampler='importance', progress=False).save({str(tmp_path / 'fit.nc')!r})\n"
    )
    assert "bayes_scaling.inference.engine" in modules
    assert not modules & {"pymc", "pytensor", "nutpie", "numba", "arviz_stats", "matplotlib", "pooch"}
    assert not modules & {"scipy.special", "scipy.linalg", "scipy.optimize"}


@pytest.mark.parametrize(("sampler", "step"), [("importance", "_weighted"), ("nuts", "_by_nuts")])
def test_a_fit_has_one_thread_of_every_linear_algebra(sampler, step):
    """PyMC brings a library of its own, scipy's, once a fit has begun."""
    code = (
        # xarray loads dask.array, and with it scipy's linear algebra, wherever it finds it; nothing of a fit uses that.
        "import sys\nsys.modules['dask.array'] = None\n"
        "import bayes_scaling as bs\nfrom threadpoolctl import threadpool_info\nfrom bayes_scaling.inference import engine\n"
        "def stop(*given):\n    used = [p['num_threads'] for p in threadpool_info() if p['user_api'] == 'blas']\n"
        "    raise SystemExit(0 if used and set(used) <= {1} else f'threads: {used}')\n"
        f"engine._compiled = lambda layout: __import__('scipy.linalg')\nengine.{step} = stop\n"
        f"bs.fit(bs.load_runs('ladder').where(\"series == 'size'\"), sampler={sampler!r})\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_kind_of_source_has_a_reader_that_is_public():
    kinds = ("wandb", "mlflow", "tensorboard", "trainer", "lightning", "excel", "checkpoints", "table")
    assert {f"read_{kind}" for kind in kinds} == {name for name in dir(bs.readers) if name.startswith("read_")}
    for kind in kinds:
        assert getattr(bs.readers, f"read_{kind}").__name__ == getattr(bs, f"read_{kind}").__name__ == f"read_{kind}"
    with pytest.raises(AttributeError, match="There is no read_nothing"):
        bs.readers.read_nothing  # noqa: B018
    with pytest.raises(AttributeError, match="read_nothing"):
        bs.read_nothing  # noqa: B018


def test_a_reader_at_the_top_reads(tmp_path):
    log = tmp_path / "export.csv"
    log.write_text("Name,State,n_params,train/tokens,val/loss\na,finished,1e7,2e8,4.1\nb,crashed,2e7,4e8,3.8\n")
    collected = bs.read_wandb(log)
    assert collected.runs.table["run_id"].tolist() == ["a"]
    assert collected.dropped["run_id"].tolist() == ["b"]


def test_every_public_name_is_there_in_a_fresh_process():
    loaded_by("import bayes_scaling as bs\nfor name in ['readers', *dir(bs)]: getattr(bs, name)")


def test_help_loads_next_to_nothing():
    modules = loaded_by("import bayes_scaling.cli")
    assert not modules & {"pymc", "pandas", "xarray", "numpy", "matplotlib"}


def test_the_package_is_typed():
    from importlib.resources import files

    assert (files("bayes_scaling") / "py.typed").is_file()
    assert (files("bayes_scaling") / "__init__.pyi").is_file()
