"""Systems of laws: what a document may say, what its rows are, and the joint posterior from file to answer."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import bayes_scaling as bs
from bayes_scaling.errors import (
    InvalidRequest,
    InvalidRuns,
    InvalidSpecification,
    MissingColumn,
    NotLearned,
    RepeatedRun,
    TooFewRuns,
    UnknownName,
    WrongPosterior,
)
from bayes_scaling.inference.build import build
from bayes_scaling.inference.sample import fit_layout
from bayes_scaling.inference.settings import Settings
from bayes_scaling.laws import LAWS
from bayes_scaling.model.document import model_from_json, read_model
from bayes_scaling.model.layout import Layout
from bayes_scaling.model.prior_draws import draw_prior
from bayes_scaling.model.reference import law_parameters
from bayes_scaling.model.tables import rows_of, tables_of
from bayes_scaling.posterior.fit import Fit, kept_rows, observation_draws
from bayes_scaling.report.tables import reproduce
from bayes_scaling.runs.derived import gradient_noise, steps_to_loss
from bayes_scaling.runs.table import RunTable, read_runs

pytestmark = pytest.mark.xdist_group("sampling")
TRUTH = {"N_c": 6e9, "alpha_N": 0.06, "S_c": 200.0, "alpha_S": 0.7, "B_star": 2e5, "alpha_B": 0.25}
CURVES = """
title = "Curves and gradient noise"
reference = { N = 3e4, S_min = 1000.0, L = 2.5 }

[parameters.N_c]
prior = { dist = "LogNormal", mu = 0.7, sigma = 0.5 }
[parameters.alpha_N]
prior = { dist = "LogNormal", mu = -2.5, sigma = 0.6 }
[parameters.S_c]
prior = { dist = "LogNormal", mu = -1.5, sigma = 0.8 }
[parameters.alpha_S]
prior = { dist = "LogNormal", mu = -0.5, sigma = 0.5 }
[parameters.B_star]
prior = { dist = "LogNormal", mu = 8.0, sigma = 1.5 }
[parameters.alpha_B]
prior = { dist = "LogNormal", mu = -1.5, sigma = 0.5 }
varies_by = "observation"
spread = { dist = "HalfNormal", sigma = 0.1 }
[parameters.noise_ratio]
fixed = 1.0

[[observations]]
name = "curves"
law = "kaplan_nsb"
table = "curves"
likelihood = { dist = "Normal", sigma = { dist = "HalfNormal", sigma = 0.05 } }
correlation = { length = { dist = "LogNormal", mu = 0.0, sigma = 1.0 } }

[[observations]]
name = "noise"
law = "noise_scale"
table = "gradient_noise"
measured = "noise_tokens"
likelihood = { dist = "StudentT", nu = 4.0, sigma = { dist = "HalfNormal", sigma = 0.3 } }
"""
SHARED = CURVES.replace('varies_by = "observation"\nspread = { dist = "HalfNormal", sigma = 0.1 }\n', "")


def simulated(seed: int = 0) -> tuple[RunTable, RunTable]:
    """Return runs and curves that the system above describes exactly, but for half a per cent of noise."""
    rng = np.random.default_rng(seed)
    parts = []
    for params in (3e3, 3e4, 3e5):
        for batch in (512, 2048, 16384):
            steps = np.geomspace(100, 4000, 12).round()
            loss = LAWS["kaplan_nsb"](params, steps, batch, **TRUTH)
            squared = 0.01 * loss**-2
            critical = LAWS["critical_batch"](loss, B_star=TRUTH["B_star"], alpha_B=TRUTH["alpha_B"])
            part = {"run_id": f"{params:g}-{batch}", "params": params, "batch_tokens": batch, "steps": steps, "loss": loss}
            noise = {"gradient_squared": squared * rng.normal(1, 0.1, 12), "gradient_trace": squared * critical}
            parts.append(pd.DataFrame(part | noise))
    points = pd.concat(parts, ignore_index=True)
    points["loss"] *= np.exp(0.005 * rng.standard_normal(len(points)))
    curves = read_runs(points.assign(checkpoint=True), name="simulated_curves")
    return read_runs(points.groupby("run_id", sort=False).tail(1).reset_index(drop=True), name="simulated"), curves


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    path = tmp_path_factory.mktemp("systems") / "curves.toml"
    path.write_text(CURVES)
    return path


@pytest.fixture(scope="module")
def joint(tmp_path_factory) -> Fit:
    path = tmp_path_factory.mktemp("shared") / "shared.toml"
    path.write_text(SHARED)
    runs, curves = simulated()
    return bs.fit(runs, path, curves=curves, seed=1, draws=1200, tune=500, chains=2, progress=False)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('law = "kaplan_nsb"', 'law = "kaplan_nsc"', "there is no law 'kaplan_nsc'"),
        ("[parameters.alpha_S]", "[parameters.alpha_T]", "parameters.alpha_T: no observation has it"),
        ("reference = { N = 3e4, S_min = 1000.0, L = 2.5 }", "reference = { N = 3e4 }", "reference.S_min"),
        ("L = 2.5", "L = -2.5", "has to be positive"),
        ('name = "noise"', 'name = "curves"', "two are called 'curves'"),
        ('name = "noise"', 'name = "the noise"', "is not a valid name"),
        ('table = "gradient_noise"', 'table = "noises"', "table"),
        ("[parameters.noise_ratio]\nfixed = 1.0", "", "noise_ratio"),
        ("correlation = { length", "correlation = { width", "width: unknown key; valid: along, by, length"),
        ('measured = "noise_tokens"', 'measures = "noise_tokens"', "did you mean 'measured'"),
    ],
)
def test_a_wrong_document_is_a_sentence(tmp_path, old, new, said):
    assert old in CURVES
    (tmp_path / "bad.toml").write_text(CURVES.replace(old, new))
    with pytest.raises(InvalidSpecification) as error:
        bs.read_model(tmp_path / "bad.toml")
    assert said in str(error.value)


def test_a_name_that_means_two_things_is_refused(tmp_path):
    other = CURVES + '\n[[observations]]\nname = "scan"\nlaw = "steps_to_loss"\ntable = "steps_to_loss"\n'
    other += 'likelihood = { dist = "Normal", sigma = { dist = "HalfNormal", sigma = 0.1 } }\n'
    (tmp_path / "bad.toml").write_text(other.replace('law = "steps_to_loss"', 'law = "efficient_compute_scale"'))
    with pytest.raises(InvalidSpecification, match="mean different things by it"):
        bs.read_model(tmp_path / "bad.toml")


@pytest.mark.parametrize("name", [n for n in bs.shipped_models() if not bs.read_model(n).is_one])
def test_shipped_systems_say_why_and_round_trip(name, tmp_path):
    system = bs.read_model(name)
    assert system.title
    assert all(len(parameter.why.split()) >= 5 for parameter in system.parameters.values())
    assert all(o.why and o.likelihood.why for o in system.observations)
    assert model_from_json(system.to_json()).digest == system.digest
    (tmp_path / "again.toml").write_text(system.to_toml())
    assert bs.read_model(tmp_path / "again.toml").digest == system.digest


def test_curves_have_to_be_handed_over(document):
    with pytest.raises(InvalidRuns, match="give the learning curves"):
        bs.fit(simulated()[0], document)


def test_the_density_is_the_document_s(document):
    """Worked out by hand in numpy, at a point away from the start: priors, and residuals one after the other along runs."""
    from scipy import stats

    system, (_, curves) = bs.read_model(document), simulated()
    tables = {"curves": curves.table, "noise": gradient_noise(curves.table)}
    model = build(Layout.of(system, tables))
    value = {"N_c_at_reference": 2.1, "alpha_N": 0.07, "S_c_at_reference": 0.3, "alpha_S": 0.6, "B_star_at_reference": 4e3}
    value |= {"alpha_B_spread_observation": 0.1, "sigma_curves": 0.01, "sigma_noise": 0.2, "length_curves": 0.7}
    z = np.array([0.5, -1.0])
    # What is sampled of a parameter that varies is its mean over the labels, in the logarithm.
    point = value | {"alpha_B_z_observation": z, "alpha_B_log_mean": np.log(0.3) + 0.1 * z.mean()}
    found = float(
        sum(
            np.sum(term)
            for term in model.compile_fn(model.logp(sum=False, jacobian=False), inputs=None)(transformed(model, point))
        )
    )

    def lognormal(x, mu, sigma):
        return stats.lognorm.logpdf(x, s=sigma, scale=np.exp(mu))

    wanted = lognormal(2.1, 0.7, 0.5) + lognormal(0.07, -2.5, 0.6) + lognormal(0.3, -1.5, 0.8) + lognormal(0.6, -0.5, 0.5)
    wanted += lognormal(4e3, 8.0, 1.5) + lognormal(0.3, -1.5, 0.5) + np.log(0.3) + lognormal(0.7, 0.0, 1.0)
    wanted += stats.halfnorm.logpdf(0.1, scale=0.1) + stats.norm.logpdf(z).sum()
    wanted += stats.halfnorm.logpdf(0.01, scale=0.05) + stats.halfnorm.logpdf(0.2, scale=0.3)
    for label, observation in zip(("curves", "noise"), system.observations, strict=True):
        place = sorted(("curves", "noise")).index(label)
        there = {"N_c": 2.1, "alpha_N": 0.07, "S_c": 0.3, "alpha_S": 0.6, "B_star": 4e3}
        there["alpha_B"] = 0.3 * np.exp(0.1 * z[place])
        law, table = observation.the_law, tables[label]
        parameters = law_parameters(law, system, there, system.reference)
        expected = law(*(table[c].to_numpy(float) for c in observation.columns.values()), **parameters)
        residual = np.log(table[observation.output].to_numpy(float) / expected)
        if label == "noise":
            scale = np.hypot(0.2, (table["noise_tokens_se"] / table["noise_tokens"]).to_numpy(float))
            wanted += stats.t.logpdf(residual, df=4.0, scale=scale).sum()
            continue
        for _, rows in table.groupby("run_id").indices.items():
            steps = np.log(table["steps"].to_numpy(float)[rows])
            covariance = 0.01**2 * np.exp(-np.abs(steps[:, None] - steps[None]) / 0.7)
            wanted += stats.multivariate_normal.logpdf(residual[rows], cov=covariance)
    assert found == pytest.approx(wanted, rel=1e-9)


def transformed(model, point):
    """Return a point in the coordinates of the sampler: logarithms where a number is positive."""
    return {
        variable.name: np.log(point[variable.name.removesuffix("_log__")])
        if variable.name.endswith("_log__")
        else point[variable.name]
        for variable in model.value_vars
    }


def test_the_joint_posterior_finds_the_truth(joint):
    assert len(joint.rows("curves")) == 108
    for name in ("alpha_N", "alpha_S", "B_star", "N_c", "S_c"):
        low, high = (float(joint.posterior[name].quantile(q)) for q in (0.005, 0.995))
        assert low < TRUTH[name] < high, name
    assert 0.003 < float(joint.posterior["sigma_curves"].mean()) < 0.008


def test_prior_and_posterior_have_the_same_variables(joint):
    assert set(joint.prior) == set(joint.posterior)
    assert {n: joint.prior[n].dims for n in joint.prior} == {n: joint.posterior[n].dims for n in joint.prior}


def test_an_observation_has_its_own_value_of_what_varies(document):
    system, (_, curves) = bs.read_model(document), simulated()
    tables = {"curves": curves.table, "noise": gradient_noise(curves.table)}
    layout = Layout.of(system, tables)
    draws = draw_prior(layout, np.random.default_rng(1), draws=100)
    free = {variable.name for variable in build(layout).unobserved_RVs}
    assert set(draws) <= free
    for observation in system.observations:
        own = observation_draws(layout, observation.name, draws)
        effect = draws["alpha_B_effect_observation"].sel(observation=observation.name, drop=True)
        np.testing.assert_allclose(own["alpha_B"], draws["alpha_B"] * np.exp(effect))
        # A coefficient whose exponent varies is published with that exponent, from the same value at the reference.
        np.testing.assert_allclose(own["B_star"], own["B_star_at_reference"] * 2.5 ** (1 / own["alpha_B"]))


def test_it_is_saved_and_loaded_whole(joint, tmp_path):
    again = bs.load_fit(joint.save(tmp_path / "joint.nc"))
    assert isinstance(again, Fit)
    assert again.model.digest == joint.model.digest
    pd.testing.assert_frame_equal(again.rows("noise"), joint.rows("noise"))
    assert again.verdict == joint.verdict
    assert "kaplan_nsb (108 rows)" in repr(again)


def test_one_observation_is_a_fit_of_its_law(joint):
    fit = joint.view("curves")
    prediction = bs.predict(fit, params=3e5, steps=4000, batch_tokens=2048)
    truth = LAWS["kaplan_nsb"](3e5, 4000, 2048, **TRUTH)
    answer = bs.intervals(prediction, prob=0.99)
    assert answer["lower"] < truth < answer["upper"]
    with pytest.raises(WrongPosterior, match="noise_tokens"):
        joint.for_loss("noise")
    with pytest.raises(UnknownName, match="did you mean 'noise'"):
        joint.view("nose")


def test_what_follows_carries_the_draws(joint):
    draws = bs.derive(joint, "compute_exponent")
    by_hand = 1 / sum(1 / joint.posterior[name] for name in ("alpha_S", "alpha_B", "alpha_N"))
    np.testing.assert_allclose(draws, by_hand)
    assert bs.derive(joint, "noise_scale", loss=2.0).dims == ("chain", "draw")
    for given, said in (
        ({}, "needs loss"),
        ({"los": 2.0}, "did you mean 'loss'"),
    ):
        with pytest.raises(InvalidRequest, match=said):
            bs.derive(joint, "critical_batch", **given)
    with pytest.raises(NotLearned, match="D_c"):
        bs.derive(joint, "kaplan_nd", params=1e6, tokens=1e8)


def test_the_command_line_asks_one_observation(joint, tmp_path, capsys):
    from bayes_scaling.cli import app

    path = str(joint.save(tmp_path / "joint.nc"))
    request = ["predict", path, "--params", "3e5", "--input", "steps=4000", "--input", "batch_tokens=2048"]
    with pytest.raises(WrongPosterior, match="curves, noise"):
        app(request, standalone_mode=False)
    app([*request, "--observation", "curves"], standalone_mode=False)
    assert "Predicted loss of a new run" in capsys.readouterr().out
    app(["derive", path, "critical_batch", "--input", "loss=2.0", "--json"], standalone_mode=False)
    assert '"median"' in capsys.readouterr().out


def test_steps_are_read_between_points():
    steps = np.geomspace(10, 1000, 25)
    curve = {b: 2 + (100 * (1 + 4096 / b) / steps) ** 0.5 for b in (512, 2048, 8192, 32768)}
    points = [
        pd.DataFrame({"run_id": f"b{b}", "params": 1e6, "batch_tokens": b, "steps": steps, "loss": y})
        for b, y in curve.items()
    ]
    found = steps_to_loss(pd.concat(points))
    exact = 100 * (1 + 4096 / found["batch_tokens"]) / (found["loss"] - 2) ** 2
    assert np.allclose(found["steps"], exact, rtol=0.01)
    assert (found.groupby("scan")["batch_tokens"].nunique() >= 4).all()
    with pytest.raises(TooFewRuns):
        steps_to_loss(points[0])


def test_noise_is_a_ratio_of_averages():
    rng = np.random.default_rng(3)
    curve = pd.DataFrame({"run_id": "a", "steps": np.arange(1.0, 4001.0), "loss": 2.0})
    curve["gradient_squared"], curve["gradient_trace"] = 0.1 + 0.2 * rng.standard_normal(4000), 500.0
    found = gradient_noise(curve, points=400)
    off = (found["noise_tokens"] - 5000) / found["noise_tokens_se"]
    assert len(found) == 10
    assert abs(off.mean()) < 1
    assert 0.4 < off.std() < 2
    with pytest.raises(MissingColumn, match="'gradient_trace'"):
        gradient_noise(curve.drop(columns="gradient_trace"))


def test_a_column_of_words_is_no_input_of_an_observation(tmp_path):
    (tmp_path / "shared.toml").write_text(SHARED)
    runs, curves = simulated()
    (of_curves,) = (o for o in bs.read_model(tmp_path / "shared.toml").observations if o.name == "curves")
    words = bs.read_runs(curves.table.assign(steps="many"), needs=["loss"])
    with pytest.raises(MissingColumn, match="'steps'"):
        rows_of(of_curves, runs, words)


@pytest.mark.slow
def test_one_compiled_system_serves_other_measurements(tmp_path):
    (tmp_path / "shared.toml").write_text(SHARED)
    system, (runs, curves) = bs.read_model(tmp_path / "shared.toml"), simulated()
    tables = {o.name: rows_of(o, runs, curves) for o in system.observations}
    higher = tables | {"curves": tables["curves"].assign(loss=1.1 * tables["curves"]["loss"])}
    settings = Settings("nuts", seed=1, draws=200, tune=300, chains=2)
    first, second = (
        fit_layout(Layout.of(system, each), settings, {"runs": "simulated"}, runs.card, progress=False)
        for each in (tables, higher)
    )
    ratio = float(second.posterior["N_c_at_reference"].mean() / first.posterior["N_c_at_reference"].mean())
    assert ratio == pytest.approx(1.1, rel=0.02)
    assert second.rows("curves")["loss"].mean() == pytest.approx(1.1 * first.rows("curves")["loss"].mean())


def test_curves_are_any_table(tmp_path):
    runs, curves = simulated()
    curves.table.to_csv(tmp_path / "curves.csv", index=False)
    (tmp_path / "shared.toml").write_text(SHARED)
    model = read_model(tmp_path / "shared.toml")
    expected = tables_of(model, runs, curves)["curves"]
    for given in (curves.table, tmp_path / "curves.csv", str(tmp_path / "curves.csv")):
        pd.testing.assert_frame_equal(tables_of(model, runs, given)["curves"][[*expected]], expected)


def test_curves_come_from_a_file_too(tmp_path, capsys):
    from bayes_scaling.cli import app

    (tmp_path / "shared.toml").write_text(SHARED)
    runs, curves = simulated()
    runs.table.to_csv(tmp_path / "runs.csv", index=False)
    curves.table.to_csv(tmp_path / "curves.csv", index=False)
    words = ["fit", str(tmp_path / "runs.csv"), "--model", str(tmp_path / "shared.toml"), "--out", str(tmp_path / "fit.nc")]
    with pytest.raises(InvalidRuns, match="--curves TABLE"):
        app(words, standalone_mode=False)
    few = ["--curves", str(tmp_path / "curves.csv"), "--draws", "20", "--tune", "20", "--chains", "2"]
    with contextlib.suppress(SystemExit):  # so few draws may fail a check, which is exit code 1
        app([*words, *few], standalone_mode=False)
    found = bs.load_fit(tmp_path / "fit.nc")
    assert len(found.rows("curves")) == 108
    assert f"--curves {tmp_path / 'curves.csv'}" in reproduce(found)
    with pytest.raises(InvalidRequest, match="leave --curves out"):
        app([*words[:2], "--model", "kaplan_n", *words[4:], *few], standalone_mode=False)


def test_a_run_is_at_a_place_once(document):
    runs, curves = simulated()
    twice = replace(curves, table=pd.concat([curves.table, curves.table.iloc[:1].assign(loss=2.0)], ignore_index=True))
    with pytest.raises(RepeatedRun, match="3000-512 at steps 100"):
        bs.fit(runs, document, curves=twice)


def test_a_grouping_of_true_and_false_is_kept_by_name():
    """What a fit keeps of a grouping column are the labels its effects have."""
    model, (_, curves) = bs.read_model("shape"), simulated()
    table = curves.table.iloc[:4].assign(size=[True, False, True, False], aspect=2.0, head_width=4.0)
    layout = Layout.of(model, {"shapes": table})
    kept = kept_rows(layout.only)
    assert kept["size"].values.tolist() == ["true", "false", "true", "false"]
    kept = kept_rows(Layout.of(model, {"shapes": table.assign(size=[1.0, 2.0, 1.0, 2.0])}).only)
    assert kept["size"].values.tolist() == [1.0, 2.0, 1.0, 2.0]
    assert kept["params"].dtype == float
