"""What rows measured given all others, against dense matrices of one draw after the other."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bayes_scaling.model.document import read_model
from bayes_scaling.model.layout import Layout
from bayes_scaling.model.prior_draws import draw_prior
from bayes_scaling.posterior.examples import example_fit
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.inputs import input_arrays
from bayes_scaling.posterior.left_out import left_out, loading_at
from bayes_scaling.posterior.predict import growth_at, predict
from bayes_scaling.posterior.residuals import flat_draws, law_at_runs, log_likelihood

RUN = {"params": 3e9, "tokens": 4e11}
EXTRAS = {
    "alone": {},
    "stated errors": {"loss_se": 0.03},
    "repeats": {"lr": [1e-3, 1e-3, 2e-3] * 4},
    "points of runs": {"run_id": ["a"] * 4 + ["b"] * 3 + list("cdefg"), "loss_se": 0.02},
}


def fit_to(extra, draws=3):
    """Return a fit of ``kappa`` to twelve rows whose posterior draws are the prior's, effects and all."""
    rng = np.random.default_rng(4)
    table = pd.DataFrame({"params": np.geomspace(1e8, 4e9, 12), "tokens": np.geomspace(1e10, 5e10, 12)[rng.permutation(12)]})
    table = table.assign(**extra, compute_flops=6 * table["params"] * table["tokens"], loss=2 + rng.random(12))
    if "lr" in extra:
        table.loc[1::3, ["params", "tokens"]] = table.loc[0::3, ["params", "tokens"]].to_numpy()
        table["compute_flops"] = 6 * table["params"] * table["tokens"]
    layout = Layout.of(read_model("kappa"), {"loss": table})
    drawn = draw_prior(layout, rng, draws=draws)
    return Fit.from_draws(drawn, read_model("kappa"), table, prior=drawn)


def dense(fit, draw):
    """Return residual, covariance of the noise, and loadings of the effects of one draw, in plain numpy."""
    rows, own = fit.layout.only, fit.posterior.isel(chain=0, draw=draw)
    law = law_at_runs(fit)
    growth = (growth_at(fit, law) + 0 * law).values[0, draw]
    shared = sum(float(own[e.scale_name]) ** 2 * e.own for e in rows.noise)
    sd = np.sqrt(float(own["sigma"]) ** 2 + shared) * growth * np.ones(len(rows))
    correlation = np.eye(len(rows))
    if rows.serial is not None:
        place = np.log(rows.table["tokens"].to_numpy(float))
        same = rows.table["run_id"].to_numpy()[:, None] == rows.table["run_id"].to_numpy()
        share = float(own["run_share"]) if "run_share" in own else 0.0
        fading = np.exp(-np.abs(place[:, None] - place) / float(own["length"]))
        correlation = np.where(same, share + (1 - share) * fading, 0.0)
        np.fill_diagonal(correlation, 1.0)
    nugget = float(own["nugget"]) if "nugget" in own else 0.0
    errors = rows.relative_error**2 + (nugget * growth) ** 2
    widths = np.concatenate([np.full(len(e.labels), float(own[e.scale_name])) for e in rows.effects])
    residual = rows.log_measured - np.log(law.values[0, draw])
    return residual, sd[:, None] * correlation * sd + np.diag(errors), growth[:, None] * rows.basis * widths


@pytest.mark.parametrize("name", EXTRAS)
def test_rows_given_all_others_are_as_dense_matrices_say(name):
    fit = fit_to(EXTRAS[name])
    assert ("recipe" in [e.name for e in fit.layout.only.effects]) is (name == "repeats")
    loading = loading_at(fit, input_arrays(fit, RUN), {})
    found = left_out(fit, loading)
    runs = fit.table["run_id"] if name == "points of runs" else pd.Series(range(12))
    assert found.counts.tolist() == ([1] * 5 + [4, 3] if name == "points of runs" else [1] * 12)
    for draw in range(3):
        residual, noise, loaded = dense(fit, draw)
        whole = noise + loaded @ loaded.T
        assert found.whole[draw] == pytest.approx(stats.multivariate_normal(cov=whole).logpdf(residual), rel=1e-7)
        ahead = loaded @ loading[draw]  # covariance of rows and forecast
        with_all = ahead @ np.linalg.solve(whole, residual)
        for number, label in enumerate(found.labels):
            out = (runs == label).to_numpy() if name == "points of runs" else runs == number
            others = np.flatnonzero(~out)
            gain = np.linalg.solve(whole[np.ix_(others, others)], whole[np.ix_(others, out)])
            covariance = whole[np.ix_(out, out)] - whole[np.ix_(out, others)] @ gain
            of_it = stats.multivariate_normal(residual[others] @ gain, covariance).logpdf(residual[out])
            assert found.log_density[draw, number] == pytest.approx(of_it, rel=1e-6, abs=1e-6)
            without = ahead[others] @ np.linalg.solve(whole[np.ix_(others, others)], residual[others])
            assert found.moved[draw, number] == pytest.approx(without - with_all, rel=1e-5, abs=1e-8)


def test_the_loading_is_what_a_coefficient_adds_to_the_forecast():
    fit = fit_to(EXTRAS["repeats"])
    loading, start = loading_at(fit, input_arrays(fit, RUN), {}), 0
    before = flat_draws(np.log(predict(fit, **RUN)["expected_loss"]))
    for effect in fit.layout.only.effects:
        scale = flat_draws(fit.posterior[effect.scale_name])
        for number in range(len(effect.labels)):
            draws = fit.posterior.copy(deep=True)
            draws[effect.effect_name].values[..., number] += scale
            after = flat_draws(np.log(predict(fit._with_posterior(draws), **RUN)["expected_loss"]))
            np.testing.assert_allclose(loading[:, start + number], after - before, rtol=1e-6, atol=1e-10)
        start += len(effect.labels)
    assert start == loading.shape[1]


def test_without_effects_rows_are_what_the_log_likelihood_says():
    fit = example_fit()
    found, each = left_out(fit), flat_draws(log_likelihood(fit)["measured"])
    np.testing.assert_array_equal(found.log_density, each)
    np.testing.assert_allclose(found.whole, each.sum(axis=1))
    assert not found.moved.any()
    assert loading_at(fit, {}, {}) is None


def test_rows_of_one_name_are_told_apart():
    labels = left_out(fit_to({"run_id": ["a", "a", *"bcdefghijk"], "loss_se": 0.01})).labels
    assert labels[-1] == "a"  # two points of one run go together
    one = example_fit()
    table = one.table.assign(run_id=["twice", "twice", *map(str, range(len(one.table) - 2))])
    named = Fit.from_draws(one.posterior, one.model, table, prior=one.prior)
    assert left_out(named).labels[:3] == ("twice (row 1)", "twice (row 2)", "0")
