"""What the law gets wrong: where it is known, how it goes on beyond, and what it adds to a forecast."""

from __future__ import annotations

import tomllib

import numpy as np
import pandas as pd
import pytest
import tomli_w
import xarray as xr

from bayes_scaling.errors import InvalidModel, InvalidSpecification
from bayes_scaling.model.document import default_model, read_model
from bayes_scaling.model.gaussian import AtDraws, Basis, Decay, Serial, effects_given_rows
from bayes_scaling.model.layout import Layout
from bayes_scaling.model.prior_draws import draw_prior
from bayes_scaling.model.walk import RandomWalk, _between_rows
from bayes_scaling.posterior.checks import check
from bayes_scaling.posterior.fit import Fit, load_fit
from bayes_scaling.posterior.predict import intervals, law_loss, predict
from bayes_scaling.posterior.residuals import loss_at_runs
from bayes_scaling.posterior.rows import predict_table
from bayes_scaling.posterior.variance import variance_shares
from tests.forecasting import forecast_by_hand

MIDDLE = {"params": 1e9, "tokens": 2e10}


def one_walk(draws=20_000, scale=0.02):
    """A walk from 10^20 FLOP, of which runs within two decades inform the steps."""
    effect = RandomWalk.model_validate({"scale": {"dist": "HalfNormal", "sigma": 0.1}, "smooth": 0.25})
    path = effect.place("C", "discrepancy", pd.DataFrame({"compute_flops": np.geomspace(1e18, 1e22, 33)}))
    z = np.random.default_rng(0).standard_normal((1, draws, len(path.labels)))
    dims = ("chain", "draw")
    table = {path.scale_name: (dims, np.full((1, draws), scale)), path.effect_name: ((*dims, path.dim), scale * z)}
    return path, xr.Dataset(table).assign_coords(path.coords)


def walk(path, draws, values, seed):
    return path.at(draws, {"compute_flops": values}, {}, seed)


@pytest.mark.parametrize(
    ("decades", "from_middle"), [(20.0, 0.0), (21.0, 1.0), (18.5, 1.5), (22.0, 2.0), (23.0, 3.0), (15.0, 5.0)]
)
def test_a_walk_widens_with_the_square_root_of_the_distance(decades, from_middle):
    path, draws = one_walk()
    spread = float(walk(path, draws, 10.0**decades, 1).std())
    # Averaging takes 7/32 of a step, a quarter of a decade, at the origin, and as much there, at a knot as well.
    assert spread == pytest.approx(0.02 * np.sqrt(max(from_middle - 0.25 * 7 / 16, 0.0)), rel=0.02, abs=1e-12)


@pytest.mark.parametrize("tolerance", [0.1, 0.03, 0.005])
def test_a_basis_leaves_out_no_more_of_a_walk_than_its_tolerance(tolerance):
    tokens = 10 ** np.random.default_rng(1).uniform(8, 11, 40)

    def basis(tolerance):
        effect = RandomWalk(scale={"dist": "HalfNormal", "sigma": 0.1}, tolerance=tolerance)
        return effect.place("D", "discrepancy", pd.DataFrame({"tokens": tokens})).basis

    distance = np.abs(np.log10(tokens) - np.log10(tokens).mean())
    variances, whole = (np.square(basis(each)).sum(1) for each in (tolerance, 1e-4))
    taken = (distance - whole)[distance > 0.14] / 0.07  # by averaging, in steps: 7/32 at the origin and 7/32 to 1/4 there
    assert (taken > 7 / 16 - 1e-6).all()
    assert (taken < 15 / 32 + 1e-6).all()
    assert (variances <= whole + 1e-12).all()
    assert 0.2 * tolerance < np.sqrt((whole - variances).mean()) <= tolerance
    assert basis(tolerance).shape[1] < basis(1e-4).shape[1]


def test_beyond_the_runs_one_seed_is_one_walk():
    path, draws = one_walk(draws=50)
    alone, together = walk(path, draws, 1e24, 3), walk(path, draws, xr.DataArray([1e23, 1e24], dims="query"), 3)
    xr.testing.assert_allclose(alone, together.isel(query=1))
    assert not np.allclose(alone, walk(path, draws, 1e24, 4))
    above, below = walk(path, draws, 1e24, 3), walk(path, draws, 1e16, 3)
    assert abs(np.corrcoef(above.values.ravel(), below.values.ravel())[0, 1]) < 0.9
    # It goes on from what the runs say, and has a slope everywhere.
    near = 10 ** xr.DataArray(np.linspace(21.5, 22.5, 2001), dims="query")
    slope = walk(path, draws, near, 3).diff("query") / (1.0 / 2000)
    assert float(abs(slope.diff("query")).max()) < 0.02


def test_runs_that_share_a_quantity_give_a_walk_that_is_flat_among_them():
    runs = pd.DataFrame({"params": [1e8, 1e9], "tokens": [1e10, 1e10], "compute_flops": [6e18, 6e19]})
    tokens = Layout.of(read_model("kappa"), {"loss": runs.assign(loss=3.0)}).only.discrepancy[1]
    assert tokens.column == "tokens"
    assert np.isfinite(tokens.basis).all()
    np.testing.assert_allclose(tokens.basis, 0.0, atol=1e-12)


def test_without_steps_expected_is_the_law_and_at_steps_it_is_their_sum():
    flat, known = forecast_by_hand(scale=1e-14), forecast_by_hand(steps=0.01, scale=1e-14)
    at_law = predict(flat, **MIDDLE)
    xr.testing.assert_allclose(at_law["expected_loss"], at_law["law_loss"].rename("expected_loss"))
    runs = known.table
    last = {c: runs[c].max() for c in ("params", "tokens", "compute_flops")}
    here = predict(known, **last)
    log_ratio = np.log(here["expected_loss"] / here["law_loss"])
    expected = sum(float(0.01 * p.basis[-1].sum()) for p in known.layout.only.discrepancy)
    np.testing.assert_allclose(log_ratio, expected, rtol=1e-9)


def test_growth_widens_small_runs_and_narrows_large_ones():
    plain, growing = forecast_by_hand(), forecast_by_hand(growth=3.0)
    for run, wider in (({"params": 1e8, "tokens": 2e9}, True), ({"params": 1e10, "tokens": 2e11}, False)):
        widths = [
            float(np.log(predict(f, **run)["measured_loss"] / predict(f, **run)["law_loss"]).std()) for f in (plain, growing)
        ]
        assert (widths[1] > widths[0]) is wider


def test_intervals_widen_with_the_reach_and_say_why():
    fit = forecast_by_hand(scale=0.02)
    ahead = [{"params": 1e10 * k, "tokens": 2e11 * k} for k in (1.0, 10.0, 1e3)]
    widths = [float(np.log(i["upper"] / i["lower"])) for i in (intervals(predict(fit, **run)) for run in ahead)]
    assert widths[0] < widths[1] < widths[2]
    shares = [variance_shares(fit, **run) for run in ahead]
    assert float(shares[0]["noise"]) > 0.95
    assert float(shares[2]["discrepancy"]) > 0.95
    for share in shares:
        assert sum(float(share[part]) for part in ("parameters", "discrepancy", "noise")) == pytest.approx(1.0)


def test_a_distant_variance_is_the_sum_of_the_walks():
    fit = forecast_by_hand(scale=0.02, sigma=1e-6)
    run = {"params": 1e11, "tokens": 2e12}  # a decade beyond in N and D, two in C
    spread = float(np.log(predict(fit, **run)["measured_loss"]).std())
    assert spread == pytest.approx(0.02 * np.sqrt(1 + 1 + 2), rel=0.08)


def test_a_table_and_its_rows_agree():
    fit = forecast_by_hand(steps=0.003)
    table = pd.DataFrame({"params": [1e9, 1e12], "tokens": [2e10, 2e13]})
    rows = predict_table(fit, table)
    one = intervals(predict(fit, params=1e12, tokens=2e13))
    assert rows["mean_upper"].iloc[1] == pytest.approx(float(one["mean_upper"]), rel=1e-12)


def test_a_stored_fit_keeps_its_walks(tmp_path):
    fit = forecast_by_hand(steps=0.003)
    again = load_fit(fit.save(tmp_path / "fit.nc"))
    xr.testing.assert_identical(predict(again, params=1e12, tokens=2e13), predict(fit, params=1e12, tokens=2e13))


def test_residuals_are_what_law_and_walk_leave():
    fit = forecast_by_hand(steps=0.02)
    assert (
        float(
            abs(
                loss_at_runs(fit)
                / law_loss(fit, {c: xr.DataArray(fit.table[c].to_numpy(), dims="run") for c in ("params", "tokens")})
                - 1
            ).max()
        )
        > 0.01
    )
    assert "trend test with C, p-value" in set(check(fit)["check"])


def test_steps_are_drawn_from_their_conditional():
    rng = np.random.default_rng(0)
    loadings, variance, y = rng.standard_normal((9, 3)), rng.uniform(0.1, 0.5, 9), rng.standard_normal(9)
    rows = np.array([[0, 1, 2], [3, 4, 0], [7, 8, 0]])
    there = np.array([[1.0, 1, 1], [1, 1, 0], [1, 1, 0]])
    serial = Serial(rows, there, np.tile(np.arange(3) * -np.log(0.7), (3, 1)), np.array([5, 6]))
    at = AtDraws(y[None], variance[None] ** 0.5, 1.0, np.full((1, 9), 0.09), np.ones((1, 3)), Decay(np.ones(1)))
    (mean,), (root,) = effects_given_rows(at, Basis(loadings, np.arange(3), serial))
    together = np.eye(9)
    for first, second, power in ((0, 1, 1), (1, 2, 1), (0, 2, 2), (3, 4, 1), (7, 8, 1)):
        together[first, second] = together[second, first] = 0.7**power
    joint = loadings @ loadings.T + together * np.sqrt(np.outer(variance, variance)) + 0.09 * np.eye(9)
    np.testing.assert_allclose(mean, loadings.T @ np.linalg.solve(joint, y), rtol=1e-10)
    given = np.eye(3) - loadings.T @ np.linalg.solve(joint, loadings)
    np.testing.assert_allclose(np.linalg.inv(root @ root.T), given, rtol=1e-10)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("[discrepancy.Q]\nscale = { dist = 'HalfNormal', sigma = 0.1 }", "discrepancy.Q: there is no such quantity"),
        ("[discrepancy.C]\nscael = { dist = 'HalfNormal', sigma = 0.1 }", "did you mean 'scale'"),
        (
            "[discrepancy.C]\nscale = { dist = 'HalfNormal', sigma = 0.1 }",
            "likelihood.dist has to be Normal, found StudentT",
        ),
        ("[discrepancy.B]\nscale = { dist = 'HalfNormal', sigma = 0.1 }", "from which batch_tokens does not follow"),
    ],
)
def test_a_wrong_discrepancy_is_a_sentence(tmp_path, line, says):
    (tmp_path / "model.toml").write_text(f"{read_model('chinchilla').to_toml()}\n{line}\n")
    with pytest.raises(InvalidSpecification, match=says):
        read_model(tmp_path / "model.toml")


def test_groups_may_have_a_discrepancy_each(tmp_path):
    document = tomllib.loads(read_model("kappa_by_group").to_toml())
    document["likelihood"] = {"dist": "Normal", "sigma": {"dist": "HalfNormal", "sigma": 0.05}}
    document["discrepancy"] = {"C": {"by": "group", "scale": {"dist": "HalfNormal", "sigma": 0.1}}}
    (tmp_path / "model.toml").write_text(tomli_w.dumps(document))
    runs = pd.DataFrame(
        {"params": [1e8, 1e9, 1e8, 1e9], "tokens": 2e10, "loss": [3.0, 2.5, 3.1, 2.6], "group": list("aabb")}
    )
    runs["compute_flops"] = 6 * runs["params"] * runs["tokens"]
    walk_by_group = Layout.of(read_model(tmp_path / "model.toml"), {"loss": runs}).only.discrepancy[0]
    of_a = np.char.startswith(walk_by_group.labels, "a")
    assert 0 < of_a.sum() < len(of_a)
    assert not walk_by_group.basis[:2, ~of_a].any()
    assert not walk_by_group.basis[2:, of_a].any()


def test_the_default_model_follows_the_columns():
    assert default_model({"params", "tokens"}) == "kappa"
    assert [default_model({c}) for c in ("compute_flops", "tokens", "params")] == ["offset_c", "offset_d", "offset_n"]
    with pytest.raises(InvalidModel, match="no resource to forecast from"):
        default_model({"loss", "depth"})


@pytest.mark.parametrize("name", ["offset_n", "offset_d", "offset_c"])
def test_discrepancy_of_one_resource_is_as_wide_beyond_the_runs_as_among_them(name):
    # Where it grew with the loss, it shrank beyond the runs, and intervals with it: of public curves 90 % covered 60 %.
    model = read_model(name)
    (column,) = model.only.columns.values()
    runs = pd.DataFrame({column: np.geomspace(1e8, 1e10, 9), "loss": np.geomspace(0.9, 0.09, 9)})
    layout = Layout.of(model, {"loss": runs})
    prior = Fit.of(layout, {"posterior": draw_prior(layout, np.random.default_rng(0), draws=2000)}, {"loss_unit": "1"})
    predicted = predict(prior, **{column: np.array([1e7, 1e11])}, seed=1)
    widths = abs(np.log(predicted["expected_loss"] / predicted["law_loss"])).median(("chain", "draw"))
    assert widths[1] / widths[0] == pytest.approx(1.0, abs=0.1)


def test_one_word_takes_it_off():
    spec = read_model("kappa")
    assert spec.only.discrepancy
    assert not spec.without_discrepancy().only.discrepancy
    assert spec.without_discrepancy().digest != spec.digest


def test_a_walk_starts_between_two_places_however_many_rows_each_has():
    assert _between_rows(np.array([1.0, 1.0, 1.0, 1.0, 2.0]), 0.3) == 1.5
    assert _between_rows(np.array([1.0, 1.0]), 0.3) == 1.0
