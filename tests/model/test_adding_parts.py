"""A user's own effect and likelihood: one class in one module, usable in a document, a density and a prediction."""

from __future__ import annotations

import importlib
import sys

import numpy as np
import pandas as pd
import pytensor
import pytest
from scipy import stats

from bayes_scaling.errors import InvalidSpecification
from bayes_scaling.inference.build import build
from bayes_scaling.model.document import Model
from bayes_scaling.model.effects import Effect
from bayes_scaling.model.layout import Layout
from bayes_scaling.model.noise import Likelihood
from bayes_scaling.model.prior_draws import draw_prior
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.predict import predict
from bayes_scaling.posterior.residuals import log_likelihood, loss_at_runs

PLAIN = pytensor.compile.Mode(linker="py", optimizer=None)
MODULE = '''
from typing import ClassVar

import numpy as np

from bayes_scaling.model.effects import Effect, Placed
from bayes_scaling.model.noise import Likelihood


class Step(Effect):
    """A jump of the loss beyond a number of parameters, such as a change of hardware."""

    NAME: ClassVar[str] = "step"
    kind: str = "step"
    beyond: float

    def columns(self, name):
        return ("params",)

    def place(self, name, section, table):
        basis = (table["params"].to_numpy(float) > self.beyond).astype(float)[:, None]
        placed = Jump(name, section, basis, np.array(["jump"]), np.zeros(len(table)))
        object.__setattr__(placed, "beyond", self.beyond)
        return placed


class Jump(Placed):
    def path(self, draws, group, seed):
        jump = draws[self.effect_name].transpose("chain", "draw", ...).values.reshape(-1)
        return lambda columns: jump * (columns["params"] > self.beyond)


class Laplace(Likelihood):
    """Laplace residuals."""

    NAME: ClassVar[str] = "Laplace"
    SCALE: ClassVar[str] = "b"

    def standard(self, rng, shape, **arguments):
        return rng.laplace(size=shape)

    def log_density(self, z, **arguments):
        return -np.abs(z) - np.log(2.0)

    def quantile(self, prob, **arguments):
        return float(np.sign(prob - 0.5) * -np.log(2 * min(prob, 1 - prob)))
'''
RUNS = pd.DataFrame({"params": np.geomspace(1e7, 1e10, 8), "loss": np.linspace(3.4, 2.3, 8)})
PRIOR = {"dist": "LogNormal", "mu": -1.0, "sigma": 0.3}


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    (tmp_path / "my_parts.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("my_parts")
    for registry, name in ((Effect.REGISTRY, "step"), (Likelihood.REGISTRY, "Laplace")):
        registry.pop(name)
    sys.modules.pop("my_parts")


def model(likelihood: dict, **parts) -> Model:
    parameters = {name: {"prior": PRIOR} for name in ("N_c", "alpha_N")}
    return Model.model_validate({"law": "kaplan_n", "parameters": parameters, "likelihood": likelihood, **parts})


def test_an_effect_is_one_class(plugin):
    normal = {"dist": "Normal", "sigma": {"dist": "HalfNormal", "sigma": 0.05}}
    step = {"jump": {"kind": "step", "beyond": 1e9, "scale": {"dist": "HalfNormal", "sigma": 0.1}}}
    layout = Layout.of(model(normal, discrepancy=step), {"loss": RUNS})
    assert layout.only.basis.ravel().tolist() == [0] * 5 + [1] * 3
    built = build(layout)
    assert np.isfinite(built.compile_logp(mode=PLAIN)(built.initial_point()))
    draws = draw_prior(layout, np.random.default_rng(0), draws=50)
    fit = Fit.from_draws(draws, layout.model, RUNS)
    jumped = predict(fit, params=[1e8, 1e11])
    ratio = jumped["expected_loss"] / jumped["law_loss"]
    assert (ratio.isel(query=0) == 1).all()
    np.testing.assert_allclose(np.log(ratio.isel(query=1)), draws["discrepancy_jump"].isel(step_jump=0, drop=True))
    np.testing.assert_allclose(loss_at_runs(fit).isel(run=7) / predict(fit, params=1e10)["expected_loss"], 1.0)


def test_a_likelihood_is_one_class(plugin):
    laplace = {"dist": "Laplace", "sigma": {"dist": "HalfNormal", "sigma": 0.05}}
    layout = Layout.of(model(laplace), {"loss": RUNS})
    built = build(layout)
    assert np.isfinite(built.compile_logp(mode=PLAIN)(built.initial_point()))
    draws = draw_prior(layout, np.random.default_rng(0), draws=50)
    fit = Fit.from_draws(draws, layout.model, RUNS)
    residual = np.log(RUNS["loss"].to_numpy()) - np.log(loss_at_runs(fit).values)
    scale = draws["sigma"].values[..., None]
    wanted = stats.laplace.logpdf(residual, scale=scale)
    near = np.isfinite(wanted)  # scipy's own underflows far out
    np.testing.assert_allclose(log_likelihood(fit)["measured"].values[near], wanted[near])
    with pytest.raises(ValueError, match="has to be Normal, found Laplace"):
        model(laplace, discrepancy={"N": {"scale": {"dist": "HalfNormal", "sigma": 0.1}}})


def test_a_kind_that_is_not_there_is_a_sentence():
    with pytest.raises(ValueError, match="there is no 'Cauchi'") as error:
        model({"dist": "Cauchi", "sigma": PRIOR})
    assert not isinstance(error.value, InvalidSpecification) or "dist" in str(error.value)
