"""Grouped models from table to prediction: the shapes, labels and orders that only a real fit puts together."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayes_scaling.errors import InvalidModel
from bayes_scaling.inference.sample import fit_table
from bayes_scaling.inference.settings import Settings
from bayes_scaling.laws import LAWS
from bayes_scaling.laws.constants import published
from bayes_scaling.model.document import read_model
from bayes_scaling.posterior.fit import load_fit
from bayes_scaling.posterior.residuals import loss_at_runs
from bayes_scaling.posterior.rows import predict_table
from bayes_scaling.runs.table import read_runs

pytestmark = [
    pytest.mark.xdist_group("groups"),
    pytest.mark.filterwarnings("ignore::bayes_scaling.errors.NotConvergedWarning"),
]

TRUTH = published("kaplan2020 eq 1.1").values
QUICK = Settings("importance", seed=1, draws=150, chains=2)
DOCUMENT = """
law = "kaplan_n"
[parameters.N_c]
prior = { dist = "LogNormal", mu = 1.1, sigma = 0.5 }
%s
[parameters.alpha_N]
prior = { dist = "LogNormal", mu = -2.5, sigma = 0.6 }
%s
[likelihood]
dist = "StudentT"
nu = 4.0
sigma = { dist = "HalfNormal", sigma = 0.05 }
"""
SPREAD = 'spread = { dist = "LogNormal", mu = -2.0, sigma = 0.7 }'


def table(labels, *, factor=1.1):
    """Eight runs a group; each group's losses are a step above the one before."""
    N = np.geomspace(1e6, 1e9, 8)
    rng = np.random.default_rng(1)
    parts = [
        pd.DataFrame(
            {"params": N, "loss": LAWS["kaplan_n"](N, **TRUTH) * factor**i * np.exp(0.002 * rng.standard_normal(8))}
        ).assign(**dict(zip(("corpus", "arch"), label, strict=True)))
        for i, label in enumerate(labels)
    ]
    return pd.concat(parts, ignore_index=True)


def fitted(tmp_path, rows, first, second=""):
    (tmp_path / "model.toml").write_text(DOCUMENT % (first, second))
    spec, runs = read_model(tmp_path / "model.toml"), read_runs(rows)
    fit = fit_table(spec, runs, QUICK)
    return load_fit(fit.save(tmp_path / "fit.nc"))


def test_nested_labels_that_are_prefixes_of_each_other(tmp_path):
    rows = table([("C4", "x"), ("C4-en", "x"), ("C4", "y"), ("C4-en", "y")])
    fit = fitted(tmp_path, rows, f'varies_by = ["corpus", "corpus:arch"]\n{SPREAD}')
    np.testing.assert_allclose(loss_at_runs(fit).median(("chain", "draw")), rows["loss"], rtol=0.02)
    again = predict_table(fit, rows)
    np.testing.assert_allclose(again["median"], rows["loss"], rtol=0.02)


def test_an_exponent_that_varies_beside_a_shared_term_and_boolean_and_numeric_labels(tmp_path):
    rows = table([(0.5, True), (10.0, False)], factor=1.0)
    rows["loss"] = rows["loss"] * np.where(rows["arch"], (rows["params"] / 3e7) ** -0.02, 1.0)
    fit = fitted(tmp_path, rows, "", f'varies_by = ["corpus", "arch"]\n{SPREAD}')
    assert fit.posterior["N_c"].dims == ("chain", "draw", "corpus_arch")
    assert fit.groups.names == ["0.5:true", "10:false"]
    np.testing.assert_allclose(loss_at_runs(fit).median(("chain", "draw")), rows["loss"], rtol=0.02)
    # No NewGroupWarning, which would be an error here: every spelling of a known label is known.
    for columns in ({}, {"corpus": rows["corpus"].map(str), "arch": rows["arch"].map({True: "true", False: "false"})}):
        np.testing.assert_allclose(predict_table(fit, rows.assign(**columns))["median"], rows["loss"], rtol=0.02)


def test_labels_that_cannot_be_told_apart_are_refused(tmp_path):
    rows = table([("a", "b:c"), ("a:b", "c")])
    with pytest.raises(InvalidModel, match="contain colons and cannot be told apart"):
        fitted(tmp_path, rows, f'varies_by = ["corpus", "corpus:arch"]\n{SPREAD}')


def test_every_parameter_of_the_law_fixed(tmp_path):
    (tmp_path / "model.toml").write_text(
        'law = "kaplan_n"\n[parameters]\nN_c = { fixed = 8.8e13 }\nalpha_N = { fixed = 0.076 }\n'
        '[likelihood]\ndist = "StudentT"\nnu = 4.0\nsigma = { dist = "HalfNormal", sigma = 0.05 }\n'
    )
    runs = read_runs(table([("a", "b")]))
    fit = fit_table(read_model(tmp_path / "model.toml"), runs, QUICK)
    assert list(fit.posterior.data_vars) == ["sigma"]
    np.testing.assert_allclose(predict_table(fit, runs.table)["mean_lower"], LAWS["kaplan_n"](runs.table["params"], **TRUTH))
