"""What CONTRIBUTING.md says of a user's own parts is run: the code registers them, the document builds and draws."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytensor
import pytest

from bayes_scaling.inference import build_model
from bayes_scaling.inference.distributions import OWN
from bayes_scaling.laws import LAWS
from bayes_scaling.model.document import Model, read_model
from bayes_scaling.model.effects import Effect
from bayes_scaling.model.layout import Layout
from bayes_scaling.model.noise import Likelihood
from bayes_scaling.model.prior_draws import draw_prior
from bayes_scaling.plugins import GROUP
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.predict import predict
from bayes_scaling.posterior.residuals import log_likelihood

TEXT = (Path(__file__).parent.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", TEXT.split("## Your own law", 1)[1].split("\n## ", 1)[0], re.M | re.S)
PLAIN = pytensor.compile.Mode(linker="py", optimizer=None)
RUNS = pd.DataFrame({"params": np.geomspace(1e7, 1e10, 8), "loss": np.linspace(3.4, 2.3, 8)})


@pytest.fixture
def own_parts():
    exec(compile(BLOCKS[0][1], "CONTRIBUTING.md", "exec"), {"__name__": "__main__"})
    yield
    for registry, name in (
        (LAWS, "logarithmic"),
        (OWN, "LogLaplace"),
        (Effect.REGISTRY, "jump"),
        (Likelihood.REGISTRY, "Laplace"),
    ):
        del registry[name]


def fit_of(model: Model) -> Fit:
    layout = Layout.of(model, {"loss": RUNS})
    return Fit.from_draws(draw_prior(layout, np.random.default_rng(0), draws=20), layout.model, RUNS)


def test_the_parts_are_registered_and_the_document_is_a_model(own_parts, tmp_path):
    assert [kind for kind, _ in BLOCKS] == ["python", "toml", "toml"]
    document = tmp_path / "model.toml"
    document.write_text(BLOCKS[1][1])
    model = read_model(document)
    built = build_model(model, RUNS)
    assert np.isfinite(built.compile_logp(mode=PLAIN)(built.initial_point()))
    assert (predict(fit_of(model), params=[1e8, 1e11])["law_loss"] > 0).all()


def test_the_likelihood_is_one(own_parts):
    given = {key: value for key, value in tomllib.loads(BLOCKS[1][1]).items() if key != "discrepancy"}
    given["likelihood"]["dist"] = "Laplace"
    model = Model.model_validate(given)
    built = build_model(model, RUNS)
    assert np.isfinite(built.compile_logp(mode=PLAIN)(built.initial_point()))
    assert np.isfinite(log_likelihood(fit_of(model))["measured"]).all()


def test_the_group_of_entry_points_is_the_one():
    assert list(tomllib.loads(BLOCKS[2][1])["project"]["entry-points"]) == [GROUP]
