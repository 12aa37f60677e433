"""What a forecast rests on: a linear Normal law where everything is known, and posteriors that are really sampled again."""

from __future__ import annotations

import importlib.util
import json
import sys
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bayes_scaling.errors import InvalidInputs, WrongPosterior
from bayes_scaling.inference.sample import fit as sample
from bayes_scaling.inference.sample import fit_layout
from bayes_scaling.inference.settings import Settings
from bayes_scaling.laws import LAWS
from bayes_scaling.laws.constants import published
from bayes_scaling.model.document import Model, read_model
from bayes_scaling.posterior.examples import example_fit, example_system
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.predict import predict
from bayes_scaling.posterior.stated import stated_priors
from bayes_scaling.questions.allocation import allocate
from bayes_scaling.questions.base import ask
from bayes_scaling.runs.table import read_runs
from tests.grouped import grouped_fit

LAW = '''
from bayes_scaling.elementwise import log
from bayes_scaling.laws.law import Loss, Number, Value, law


@law(output="loss", source="kaplan2020", equation="none, an example")
def straight(N: Value, *, E: Loss, g: Number) -> Value:
    """A straight line of the log loss over the log of N."""
    return E * g ** log(N / 1e9)
'''
PRIORS = {"E": (0.9, 0.05), "g": (-0.1, 0.02)}
"""Centre and standard deviation of the logarithm."""
SIGMA = 0.02
LOGS = np.linspace(-3.0, 2.5, 12)
"""Logarithms of N over a billion."""
AHEAD = 4.0


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """A fit of a straight line with known noise: its draws have exactly the mean and the covariance of the posterior."""
    path = tmp_path_factory.mktemp("law") / "a_straight_law.py"
    path.write_text(LAW)
    spec = importlib.util.spec_from_file_location("a_straight_law", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["a_straight_law"] = module
    spec.loader.exec_module(module)
    rng = np.random.default_rng(2)
    parameters = {n: {"prior": {"dist": "LogNormal", "mu": mu, "sigma": sd}} for n, (mu, sd) in PRIORS.items()}
    sigma = {"dist": "LogNormal", "mu": -4.0, "sigma": 0.5}
    model = Model(law="straight", parameters=parameters, likelihood={"dist": "Normal", "sigma": sigma})
    y = 0.95 - 0.11 * LOGS + SIGMA * rng.normal(size=12)
    table = pd.DataFrame({"params": 1e9 * np.exp(LOGS), "loss": np.exp(y), "run_id": list("abcdefghijkl")})
    mean, covariance = posterior(y)
    z = rng.normal(size=(2000, 2))
    z = (z - z.mean(axis=0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(z.T, bias=True))).T
    draws = np.exp(mean + z @ np.linalg.cholesky(covariance).T).reshape(4, 500, 2)
    by_hand = {"E": draws[..., 0], "g": draws[..., 1], "sigma": np.full((4, 500), SIGMA)}
    dataset = xr.Dataset({name: (("chain", "draw"), values) for name, values in by_hand.items()})
    yield Fit.from_draws(dataset, model, table, {"runs": "by hand"}), y
    del LAWS["straight"], sys.modules["a_straight_law"]


def posterior(y, rows=slice(None), power=(1.0, 1.0)):
    """Return mean and covariance of the logarithms of E and g: the conjugate Normal posterior, priors and runs to a power."""
    design = np.stack([np.ones(12), LOGS], axis=1)[rows]
    mu, sd = np.array(list(PRIORS.values())).T
    covariance = np.linalg.inv(power[0] * np.diag(sd**-2.0) + power[1] * design.T @ design / SIGMA**2)
    return covariance @ (power[0] * mu / sd**2 + power[1] * design.T @ y[rows] / SIGMA**2), covariance


def test_each_prior_moves_the_forecast_as_its_closed_form_says(straight):
    fit, y = straight
    answer = ask(fit, "sensitivity", params=1e9 * np.exp(AHEAD))
    at, (_, covariance) = np.array([1.0, AHEAD]), posterior(y)
    sd = np.sqrt(at @ covariance @ at)
    table = answer.tables["priors"].set_index("parameter")
    for number, (name, (_, prior_sd)) in enumerate(PRIORS.items()):
        shift = (at @ covariance)[number] / prior_sd / sd
        assert table.loc[name, "shift"] == pytest.approx(shift, rel=1e-6)
        assert table.loc[name, "change"] == pytest.approx(np.expm1(shift * sd), rel=1e-6)
        # Of a Normal posterior a whole standard deviation does what the rate says.
        assert table.loc[name, "raised"] == pytest.approx(shift, abs=0.04)
        assert table.loc[name, "lowered"] == pytest.approx(-shift, abs=0.04)
    assert table.loc["sigma", "shift"] == pytest.approx(0.0, abs=1e-9)
    of_priors = covariance @ np.diag([sd**-2.0 for _, sd in PRIORS.values()]) @ covariance
    assert answer.values["prior_share"] == pytest.approx(at @ of_priors @ at / sd**2, rel=1e-6)
    assert answer.values["log_sd"] == pytest.approx(sd, rel=1e-9)


def test_each_row_moves_the_forecast_as_the_regression_without_it_says(straight):
    fit, y = straight
    at, (mean, covariance) = np.array([1.0, AHEAD]), posterior(y)
    table = ask(fit, "sensitivity", params=1e9 * np.exp(AHEAD)).tables["rows"].set_index("row")
    assert sorted(table.index) == list("abcdefghijkl")
    assert table["k_hat"].max() < 0.6
    expected = {}
    for number, label in enumerate("abcdefghijkl"):
        without, _ = posterior(y, np.arange(12) != number)
        expected[label] = at @ (without - mean) / np.sqrt(at @ covariance @ at)
    assert table["shift"].to_dict() == pytest.approx(expected, abs=0.06)
    assert table.index[0] == max(expected, key=lambda label: abs(expected[label]))
    assert abs(table["shift"].iloc[0]) > 0.3


def test_the_powers_are_those_of_the_conjugate_posterior(straight):
    fit, y = straight
    table = ask(fit, "sensitivity", params=1e9 * np.exp(AHEAD)).tables["power_scaling"].set_index("quantity")
    at, grid, spread = np.array([1.0, AHEAD]), np.linspace(-6, 6, 20_001), {}
    from scipy.stats import norm

    mean, covariance = posterior(y)
    sd = np.sqrt(at @ covariance @ at)
    for part, powers in {"prior": lambda a: (a, 1.0), "likelihood": lambda a: (1.0, a)}.items():
        spread[part] = 0.0
        for power in (0.8, 1.25):
            other, wide = posterior(y, power=powers(power))
            scaled = (grid - at @ (other - mean) / sd) / np.sqrt(at @ wide @ at / sd**2)
            both = []
            for p, q in ((norm.cdf(grid), norm.cdf(scaled)), (norm.sf(grid), norm.sf(scaled))):
                middle = (p + q) / 2
                both.append(
                    np.trapezoid(p * np.log2(p / middle) + q * np.log2(q / middle), grid) / np.trapezoid(p + q, grid)
                )
            # The integral of a cdf is over the range of the draws, some 7 standard deviations of 2000.
            spread[part] += np.sqrt(max(both) * 12 / 6.9) / np.log2(1.25) / 2
    for part, expected in spread.items():
        assert table.loc["loss", part] == pytest.approx(expected, rel=0.12)
    assert table.loc["loss", "prior"] < table.loc["loss", "likelihood"]


def ladder():
    """Sixteen runs with 1 % of scatter."""
    rng = np.random.default_rng(11)
    N, D = (axis.ravel() for axis in np.meshgrid(np.geomspace(1e8, 3e9, 4), np.geomspace(3e9, 1e11, 4)))
    loss = LAWS["chinchilla"](N, D, **published("besiroglu2024").values) * np.exp(0.01 * rng.standard_normal(N.size))
    return read_runs(pd.DataFrame({"params": N, "tokens": D, "loss": loss, "run_id": [f"run{n:02}" for n in range(16)]}))


RUN = {"params": 1e10, "tokens": 3e11}


@cache
def sampled(name):
    return sample(ladder(), name, seed=1, sampler="importance", progress=False)


def log_mean(fit):
    return float(np.log(predict(fit, **RUN)["expected_loss"]).mean())


def test_a_prior_that_is_moved_does_what_sampling_with_it_does():
    fit, document = sampled("chinchilla"), read_model("chinchilla")
    answer = ask(fit, "sensitivity", **RUN)
    table, sd = answer.tables["priors"].set_index("parameter"), answer.values["log_sd"]
    top = table.index[0]
    assert abs(table.loc[top, "shift"]) > 0.2
    name = top.removesuffix("_at_reference")
    for way, column in ((1, "raised"), (-1, "lowered")):
        given = document.parameters[name].prior.arguments
        prior = document.parameters[name].prior.model_copy(update={"mu": given["mu"] + way * given["sigma"]})
        moved = document.parameters | {name: document.parameters[name].model_copy(update={"prior": prior})}
        again = sample(
            ladder(), document.model_copy(update={"parameters": moved}), seed=2, sampler="importance", progress=False
        )
        assert again.model.parameters[name].prior.arguments["mu"] == pytest.approx(given["mu"] + way * given["sigma"])
        assert table.loc[top, column] == pytest.approx((log_mean(again) - log_mean(fit)) / sd, abs=0.12)
        assert way * table.loc[top, "shift"] == pytest.approx(table.loc[top, column], rel=0.5)


@pytest.mark.parametrize("name", ["chinchilla", "kappa"])
def test_a_row_that_is_left_out_does_what_sampling_without_it_does(name):
    fit = sampled(name)
    answer = ask(fit, "sensitivity", **RUN)
    known = answer.tables["rows"].dropna(subset=["shift"])
    assert len(known) > 8
    for label in known["row"].head(2):
        table = fit.table[fit.table["run_id"] != label].reset_index(drop=True)
        layout = replace(fit.layout.of(fit.model, {"loss": table}), reference=fit.layout.reference)
        if layout.only.effects:
            # The walks of the whole table: their origin is the middle of the runs.
            keep = (fit.table["run_id"] != label).to_numpy()
            effects = tuple(replace(e, basis=e.basis[keep], own=e.own[keep]) for e in fit.layout.only.effects)
            layout = replace(layout, rows={"loss": replace(layout.only, effects=effects)})
        again = fit_layout(layout, Settings("importance", 3, None, 1000, 4, 0.98), fit.facts, fit.card, progress=False)
        expected = (log_mean(again) - log_mean(fit)) / answer.values["log_sd"]
        assert known.set_index("row").loc[label, "shift"] == pytest.approx(expected, abs=0.15)


def test_the_answer_is_said_drawn_and_written():
    answer = ask(example_fit(chains=4, draws=500), "sensitivity")
    first, prior, row, *_, size = answer.sentence.splitlines()
    best = answer.values
    assert best["compute_flops"] == pytest.approx(10 * example_fit().table["compute_flops"].max())
    assert best["params"] == pytest.approx(best["optimal_params"])
    assert "rests on" in first
    assert f"is that of {answer.tables['priors'].parameter[0]}, " in prior
    assert f"left out is {answer.tables['rows'].row[0]}, " in row
    priors = answer.tables["priors"].set_index("parameter")
    assert f"most is that of {priors['params_shift'].abs().idxmax()}, " in size
    document = json.loads(json.dumps(answer.to_dict(), allow_nan=False))
    assert {"priors", "rows", "power_scaling"} <= set(document)
    shown = answer.figure().axes
    assert [axes.get_title() for axes in shown] == ["priors", "rows"]
    widths = [bar.get_width() for bar in shown[0].patches]
    assert widths == pytest.approx(answer.tables["priors"]["shift"].tolist())


def test_what_is_asked_is_what_is_forecast():
    fit = example_fit()
    asked = ask(fit, "sensitivity", params=7e10, tokens=1.4e12).values
    assert (asked["params"], asked["tokens"]) == (7e10, 1.4e12)
    assert asked["log_sd"] == pytest.approx(float(np.log(predict(fit, params=7e10, tokens=1.4e12)["expected_loss"]).std()))
    by_budget = ask(fit, "sensitivity", compute_flops=1e23).values
    assert 6 * by_budget["params"] * by_budget["tokens"] == pytest.approx(1e23)
    with pytest.raises(InvalidInputs, match="tokens"):
        ask(fit, "sensitivity", params=7e10)


def test_of_a_system_the_observation_is_named_and_all_rows_count():
    system = example_system(chains=4, draws=200)
    with pytest.raises(WrongPosterior):
        ask(system, "sensitivity")
    answer = ask(system, "sensitivity", observation="limited")
    rows = answer.tables["rows"]
    assert set(rows["observation"]) == {observation.name for observation in system.model.observations}
    assert rows["rows"].sum() == sum(len(system.rows(name)) for name in set(rows["observation"]))
    biggest = system.rows("limited")["params"].max()
    assert answer.values["params"] == pytest.approx(10 * biggest)
    assert "optimal_params" not in answer.values


def test_a_group_is_forecast_by_its_own_parameters():
    fit = grouped_fit()
    a, b = (ask(fit, "sensitivity", params=1e10, tokens=2e11, group={"group": label}) for label in "ab")
    assert {"E[a]", "E[b]"} <= set(a.tables["power_scaling"]["quantity"])
    assert a.values["log_sd"] != b.values["log_sd"]
    new = ask(fit, "sensitivity", params=1e10, tokens=2e11)
    assert any("no group was given" in caveat for caveat in new.caveats)
    spreads = new.tables["priors"].set_index("parameter")
    assert {f"{name}_spread_group" for name in fit.model.parameters} <= set(spreads.index)


def test_draws_that_do_not_vary_say_so(exact_fit):
    answer = ask(exact_fit, "sensitivity")
    assert answer.sentence.endswith("is the same in every draw: its sensitivity cannot be estimated.")
    assert answer.to_dict()["rows"][0]["shift"] is None
    assert answer.to_dict()["prior_share"] is None


def test_rows_that_the_draws_cannot_say_are_named():
    few = example_fit(chains=4, draws=5)  # of too few draws the shape of the weights is not known
    answer = ask(few, "sensitivity")
    assert (
        "What 25 of 25 rows do cannot be read off these draws, k-hat above 0.7 (row 1, row 2, row 3, ...)" in answer.sentence
    )
    assert answer.tables["rows"]["shift"].isna().all()
    assert answer.tables["priors"]["shift"].notna().all()


def test_a_prior_moves_the_compute_optimal_size_by_its_correlation_with_it():
    fit = example_fit(chains=4, draws=200)
    answer = ask(fit, "sensitivity")
    size = np.log(allocate(fit, compute=answer.values["compute_flops"])["optimal_params"].values.ravel())
    moved = answer.tables["priors"].set_index("parameter")
    for stated in stated_priors(fit):
        score = stated.score()
        shift = np.mean(score * (size - size.mean())) / size.std()
        assert moved.loc[stated.name, "params_shift"] == pytest.approx(shift, rel=1e-3, abs=1e-4)
        assert moved.loc[stated.name, "params_change"] == pytest.approx(np.expm1(shift * size.std()), rel=1e-3, abs=1e-4)
