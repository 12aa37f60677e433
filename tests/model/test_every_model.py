"""The contract of a model document, for every shipped one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytensor
import pytest

from bayes_scaling.inference import build_model
from bayes_scaling.model.document import model_from_json, read_model, shipped_models
from bayes_scaling.model.layout import Layout
from bayes_scaling.model.prior_draws import draw_prior
from bayes_scaling.runs.table import read_runs

MODELS = [n for n in shipped_models() if read_model(n).is_one and read_model(n).only.table == "runs"]
PLAIN = pytensor.compile.Mode(linker="py", optimizer=None)
RUNS = read_runs(
    pd.DataFrame(
        {
            "params": np.geomspace(1e7, 1e10, 12),
            "tokens": np.tile([1e9, 1e10, 1e11], 4),
            "params_total": 4 * np.geomspace(1e7, 1e10, 12),
            "dataset_tokens": np.tile([1e9, 2e9], 6),
            "loss": np.linspace(4.0, 2.2, 12),
            "group": ["a", "b"] * 6,
        }
    )
)


def test_the_issue_is_served():
    wanted = {
        "kaplan_n",
        "kaplan_d",
        "kaplan_c",
        "kaplan_nd",
        "chinchilla",
        "chinchilla_by_group",
        "kappa",
        "kappa_by_group",
    }
    assert wanted <= set(MODELS)


@pytest.mark.parametrize("name", MODELS)
def test_every_prior_says_why(name):
    spec = read_model(name)
    assert spec.title
    assert all(len(parameter.why.split()) >= 5 for parameter in spec.parameters.values())
    assert spec.only.likelihood.why


@pytest.mark.parametrize("name", MODELS)
def test_round_trips_keep_the_digest(name, tmp_path):
    spec = read_model(name)
    assert model_from_json(spec.to_json()).digest == spec.digest
    (tmp_path / "again.toml").write_text(spec.to_toml())
    assert read_model(tmp_path / "again.toml").digest == spec.digest


@pytest.mark.parametrize("name", MODELS)
def test_log_density_and_gradient_are_finite_at_the_start(name):
    model = build_model(read_model(name), RUNS)
    point = model.initial_point()
    log_density = model.compile_logp(mode=PLAIN)
    assert np.isfinite(log_density(point))
    # The gradient of a grouped model sums more terms than the plain linker takes: by differences, then.
    gradient = [
        (log_density({**point, name: value + 1e-6}) - log_density({**point, name: value - 1e-6})) / 2e-6
        for name, value in point.items()
    ]
    assert np.isfinite(gradient).all()
    assert any(abs(slope) > 1e-3 for slope in gradient)


@pytest.mark.parametrize("name", MODELS)
def test_prior_predictive_losses_are_plausible(name):
    spec = read_model(name)
    layout = Layout.of(spec, {"loss": RUNS.table})
    reference, prior = layout.reference, draw_prior(layout, np.random.default_rng(1))
    values = {n: prior[n] for n in spec.parameters if n in prior} | spec.fixed
    middle = {symbol: np.exp(np.log(RUNS.table[column]).mean()) for symbol, column in spec.only.columns.items()}
    losses = spec.only.the_law(*((middle | dict(reference))[symbol] for symbol in spec.only.the_law.inputs), **values)
    multiples = losses / layout.only.typical
    assert float(((multiples > 0.05) & (multiples < 10)).mean()) > 0.97
    assert 0.5 < float(multiples.median()) < 2.0


def test_digests_tell_models_apart():
    assert len({read_model(name).digest for name in MODELS}) == len(MODELS)


def test_reasons_do_not_change_the_digest(tmp_path):
    text = read_model("kappa").to_toml().replace("why = ", "why = # \n").replace('# \n"', '"Because. ')
    (tmp_path / "kappa.toml").write_text(text)
    assert read_model(tmp_path / "kappa.toml").digest == read_model("kappa").digest
