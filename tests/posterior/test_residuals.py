"""What a joint fit expects of its rows: densities, checks, comparison and agreement, against answers worked out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats

from bayes_scaling.errors import InvalidInputs, MissingColumn, MissingOption, NewGroupWarning, OutOfRange, TooFewRuns
from bayes_scaling.evaluation.compare import compare
from bayes_scaling.model.document import read_model
from bayes_scaling.model.layout import Layout
from bayes_scaling.model.prior_draws import draw_prior
from bayes_scaling.posterior.checks import check
from bayes_scaling.posterior.examples import example_fit, example_system
from bayes_scaling.posterior.fit import Fit, load_fit
from bayes_scaling.posterior.predict import predict
from bayes_scaling.posterior.residuals import (
    flat_draws,
    innovations,
    law_at_runs,
    log_likelihood,
    loss_at_runs,
    measured_at_runs,
)
from bayes_scaling.questions.claims import claims
from bayes_scaling.questions.heterogeneity import agreement
from bayes_scaling.runs.derived import lowest, shapes
from tests.forecasting import SHAPE, forecast_by_hand


@pytest.fixture(scope="module")
def system() -> Fit:
    """A fit by hand whose curves scatter as an Ornstein-Uhlenbeck process of one per cent and length one half."""
    fit, rng = example_system(chains=2, draws=30), np.random.default_rng(0)
    tree = {group.path: group.to_dataset(inherit=False) for group in fit.tree.subtree}
    posterior = tree["/posterior"]
    posterior["length_curves"] = xr.full_like(posterior["length_curves"], 0.5)
    rows = tree["/observations/curves"]
    table = rows.to_dataframe()
    steps = np.log(table["steps"].to_numpy())
    same = table["run_id"].to_numpy()[:, None] == table["run_id"].to_numpy()[None]
    covariance = 0.01**2 * np.exp(-np.abs(steps[:, None] - steps[None]) / 0.5) * same
    noise = np.linalg.cholesky(covariance + 1e-14 * np.eye(len(table))) @ rng.standard_normal(len(table))
    tree["/observations/curves"] = rows.assign(loss=rows["loss"] * np.exp(noise))
    return Fit(xr.DataTree.from_dict(tree), fit.model, fit.reference, fit.facts)


def measured(fit: Fit, name: str) -> xr.DataArray:
    view = fit.view(name)
    return measured_at_runs(view, loss_at_runs(view), np.random.default_rng(0))


def test_the_density_is_that_of_the_whole_process(system):
    table = system.rows("curves")
    log_density = log_likelihood(system)["measured_curves"].isel(chain=0, draw=3)
    draw = system.posterior.isel(chain=0, draw=3)
    residual = np.log(table["loss"]) - np.log(loss_at_runs(system.view("curves")).isel(chain=0, draw=3).values)
    for run, rows in table.groupby("run_id").indices.items():
        steps = np.log(table["steps"].to_numpy()[rows])
        covariance = float(draw["sigma_curves"]) ** 2 * np.exp(
            -np.abs(steps[:, None] - steps) / float(draw["length_curves"])
        )
        whole = stats.multivariate_normal.logpdf(residual.to_numpy()[rows], cov=covariance)
        assert log_density.values[rows].sum() == pytest.approx(whole), run


def test_surprises_are_independent_where_the_model_is_right(system):
    z = innovations(system.view("curves"))[0].median(("chain", "draw")).values
    assert stats.kstest(z, "norm").pvalue > 0.01
    in_order = z.reshape(5, 6)
    assert abs(np.corrcoef(in_order[:, :-1].ravel(), in_order[:, 1:].ravel())[0, 1]) < 0.5


def test_every_observation_is_checked(system):
    found = check(system).set_index("check")
    assert found.loc["coverage test, p-value, curves", "passed"]
    assert found.loc["trend test with S, p-value, curves", "passed"]
    bent = {group.path: group.to_dataset(inherit=False) for group in system.tree.subtree}
    rows = bent["/observations/curves"]
    bent["/observations/curves"] = rows.assign(loss=rows["loss"] * (rows["steps"] / 4e4) ** 0.2)
    worse = check(Fit(xr.DataTree.from_dict(bent), system.model, system.reference, system.facts)).set_index("check")
    assert not worse.loc["coverage test, p-value, curves", "passed"]
    assert not worse.loc["trend test with S, p-value, curves", "passed"]


def test_a_run_is_left_out_with_what_the_discrepancy_knows_of_it():
    """Steps of the discrepancy follow a run: given them, leaving it out would cost next to nothing."""
    nearly = 0.004 * (1 + 1e-9 * np.random.default_rng(0).standard_normal(SHAPE))  # no weights are equal to the last digit
    fit = forecast_by_hand(steps=0.7, scale=0.02, sigma=nearly)
    rows = fit.layout.only
    residual = rows.log_measured - np.log(flat_draws(law_at_runs(fit))[0])
    loadings = rows.basis * 0.02
    covariance = 0.004**2 * np.eye(len(residual)) + loadings @ loadings.T
    whole = stats.multivariate_normal(cov=covariance).logpdf(residual)
    others = [np.delete(np.arange(len(residual)), row) for row in range(len(residual))]
    without = [stats.multivariate_normal(cov=covariance[np.ix_(o, o)]).logpdf(residual[o]) for o in others]
    expected = float(np.sum(whole - np.array(without)))
    assert compare({"one": fit, "same": fit})["elpd"].tolist() == pytest.approx([expected] * 2, rel=1e-6)


def test_the_better_model_is_preferred(system):
    groups = {group.path: group.to_dataset(inherit=False) for group in system.tree.subtree}
    groups["/posterior"] = groups["/posterior"].assign(alpha_S=groups["/posterior"]["alpha_S"] * 1.5)
    worse = Fit(xr.DataTree.from_dict(groups), system.model, system.reference, system.facts)
    table = compare({"right": system, "wrong": worse})
    assert table["model"].tolist() == ["right", "wrong"]
    assert table["difference"].iloc[1] < -5
    assert table["runs"].iloc[0] == 5  # all that is known of a run is left out at once


def test_only_fits_of_the_same_rows_are_compared(system):
    with pytest.raises(MissingOption):
        compare({"one": system})
    with pytest.raises(InvalidInputs):
        compare({"one": system, "other": example_fit()})


def test_agreement_is_a_ratio_of_effects():
    fit = example_system()
    groups = {group.path: group.to_dataset(inherit=False) for group in fit.tree.subtree}
    effects = groups["/posterior"]["N_c_effect_observation"]
    apart = xr.zeros_like(effects) + xr.DataArray([0.0, -0.1, 0.0], dims="observation")
    groups["/posterior"]["N_c_effect_observation"] = apart + 0.001 * np.random.default_rng(0).standard_normal(apart.shape)
    found = agreement(Fit(xr.DataTree.from_dict(groups), fit.model, fit.reference, fit.facts))
    first = found.set_index(["first", "second"]).loc[("curves", "decayed")]
    assert first["median"] == pytest.approx(np.exp(-0.1), rel=0.01)
    assert not first["agree"]
    assert found.set_index(["first", "second"]).loc[("curves", "limited"), "agree"]


def test_learned_is_what_the_first_observation_has():
    fit = example_system(chains=1, draws=1)
    groups = {group.path: group.to_dataset(inherit=False) for group in fit.tree.subtree}
    effects = groups["/posterior"]["N_c_effect_observation"]
    groups["/posterior"]["N_c_effect_observation"] = xr.zeros_like(effects) + xr.DataArray(
        [0.1, 0.0, 0.0], dims="observation"
    )
    moved = Fit(xr.DataTree.from_dict(groups), fit.model, fit.reference, fit.facts)
    assert moved.learned["N_c"].item() == pytest.approx(fit.learned["N_c"].item() * np.exp(0.1 / 0.077), rel=1e-6)
    assert moved.view("limited").posterior["N_c"].item() == pytest.approx(fit.learned["N_c"].item(), rel=1e-6)


def test_the_lowest_point_is_where_training_would_have_stopped():
    curve = pd.DataFrame({"run_id": list("aabb"), "steps": [1, 2, 1, 2], "loss": [3.0, 2.0, 2.5, 2.9]})
    assert lowest(curve)["steps"].tolist() == [2, 1]
    with pytest.raises(MissingColumn, match="'loss'"):
        lowest(curve.drop(columns="loss"))


def test_shapes_of_one_size_go_together():
    runs = pd.DataFrame({"params": [9.9e6, 1e6, 1.1e6, 1e7, 5e8], "aspect": [4.0, 4.0, 16.0, 64.0, 4.0]})
    found = shapes(runs)
    assert found["size"].nunique() == 2
    assert found.index.tolist() == [0, 1, 2, 3]
    with pytest.raises(TooFewRuns):
        shapes(runs.iloc[[0, 1]])


@pytest.fixture(scope="module")
def shaped() -> Fit:
    """A fit of the shape system whose posterior is its prior: every parameter that varies does."""
    system, rng = read_model("shape"), np.random.default_rng(0)
    sizes = np.repeat([6e3, 5e4], 4)
    table = pd.DataFrame({"params": sizes, "aspect": np.tile([1.0, 4.0, 16.0, 64.0], 2), "head_width": 8.0, "loss": 2.0})
    tables = {"shapes": table.assign(size=[f"N {n:.3g}" for n in sizes])}
    layout = Layout.of(system, tables)
    draws = draw_prior(layout, rng, draws=200)
    statistics = xr.Dataset({"diverging": (("chain", "draw"), np.zeros((1, 200), bool))})
    facts = {"runs": "by hand", "loss_unit": "nats/token", "params": "non-embedding"}
    return Fit.of(layout, {"posterior": draws, "prior": draws, "sample_stats": statistics}, facts)


def test_what_varies_over_a_column_varies_in_predictions(shaped):
    one, expected = shaped.view("shapes"), loss_at_runs(shaped.view("shapes"))
    for row in (1, 6):
        at = shaped.rows("shapes").iloc[row]
        given = {"params": at["params"], "aspect": at["aspect"], "head_width": at["head_width"]}
        seen = predict(one, group={"size": at["size"]}, **given)["expected_loss"]
        np.testing.assert_allclose(seen, expected.isel(run=row), rtol=1e-12)
    with pytest.warns(NewGroupWarning, match="new size"):
        new = predict(one, group={"size": "N 1e+06"}, **given)["expected_loss"]
    assert float(np.log(new).std()) > 0.05
    assert float(np.abs(np.log(new / seen)).max()) > 0.01


def test_the_centre_of_what_varies_is_learned(shaped):
    np.testing.assert_allclose(shaped.learned["aspect_cost"], shaped.posterior["aspect_cost_population"])
    assert "aspect_best" not in shaped.learned  # stated at a reference, and another number for each size
    assert claims(shaped)["claim"].tolist()[-1] == "cost of the ends of a 40-fold range of aspect ratios"


def test_a_joint_fit_comes_back_whole(shaped, tmp_path):
    again = load_fit(shaped.save(tmp_path / "shape.nc"))
    np.testing.assert_array_equal(loss_at_runs(again.view("shapes")), loss_at_runs(shaped.view("shapes")))
    assert again.thinned(50).rows("shapes").equals(shaped.rows("shapes"))


def test_a_row_s_own_error_widens_its_interval(system):
    groups = {group.path: group.to_dataset(inherit=False) for group in system.tree.subtree}
    rows = groups["/observations/noise"]
    groups["/observations/noise"] = rows.assign(noise_tokens_se=0.5 * rows["noise_tokens"])
    fit = Fit(xr.DataTree.from_dict(groups), system.model, system.reference, system.facts)
    spread = [np.log(measured(each, "noise")).std().item() for each in (system, fit)]
    rows = [float(np.log(measured(each, "noise")).std(("chain", "draw")).median()) for each in (system, fit)]
    assert rows[1] > 5 * rows[0]
    assert spread[1] > spread[0]


def test_one_observation_of_curves_is_judged_by_what_rows_before_leave(system):
    alone = system.view("curves")
    whole, one = check(system).set_index("check"), check(alone).set_index("check")
    assert whole.loc["coverage test, p-value, curves", "value"] == one.loc["coverage test, p-value", "value"]
    np.testing.assert_array_equal(log_likelihood(alone)["measured"], log_likelihood(system)["measured_curves"])


def test_too_few_draws_are_not_compared(system):
    with pytest.raises(OutOfRange, match=r"4 draws.*50"):
        compare({"one": system.thinned(2), "other": system.thinned(2)})
