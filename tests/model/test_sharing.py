"""Noise that rows share: which rows, what each adds, and what a new run then scatters by."""

from __future__ import annotations

import tomllib

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayes_scaling as bs
from bayes_scaling.errors import InvalidModel, InvalidSpecification
from bayes_scaling.evaluation import simulate
from bayes_scaling.evaluation.simulate import from_the_model
from bayes_scaling.model.document import Model, read_model
from bayes_scaling.model.effects import Shared
from bayes_scaling.model.layout import Layout
from bayes_scaling.model.prior_draws import draw_prior
from bayes_scaling.model.priors import Prior
from bayes_scaling.posterior.fit import load_fit
from bayes_scaling.posterior.predict import predict
from bayes_scaling.posterior.residuals import loss_at_runs, measured_at_runs, row_scales
from bayes_scaling.posterior.variance import included, noise_parts
from bayes_scaling.runs.table import read_runs

REPEATED = pd.DataFrame(
    {
        "run_id": [f"r{n}" for n in range(48)],
        "params": np.repeat(np.geomspace(1e7, 1e9, 24), 2),
        "tokens": np.repeat(np.tile(np.geomspace(1e9, 4e10, 6), 4), 2),
        "seed": np.tile([0, 1], 24),
    }
)
"""Twenty-four recipes, each with two seeds."""


SCALE = Prior(dist="HalfNormal", sigma=0.1)


def sharing_of(by, table):
    return Shared(by=tuple(by), scale=SCALE).place("run", "noise", table)


def layout_of(table: pd.DataFrame, model: Model | None = None) -> Layout:
    table = table if "loss" in table else table.assign(loss=3.0)
    if {"params", "tokens"} <= set(table) and "compute_flops" not in table:
        table = table.assign(compute_flops=6.0 * table["params"] * table["tokens"])
    return Layout.of(model or read_model("kappa"), {"loss": table})


def draws(**values):
    dims = ("chain", "draw")
    return xr.Dataset({name: (dims, np.full((1, 3), value)) for name, value in values.items()})


def test_rows_share_what_all_their_columns_say():
    table = pd.DataFrame({"params": [1e8, 1e8, 1e9, 1e8], "lr": [0.1, 0.1, 0.1, 0.2], "seed": [0, 1, 0, 0]})
    placed = sharing_of(["params", "lr", "depth"], table)
    assert placed.own.tolist() == [0, 0, 1, 1]
    np.testing.assert_array_equal(placed.basis, [[1], [1], [0], [0]])


@pytest.mark.parametrize(
    ("labels", "apart"),
    [
        (["a", "a", "b", "b"], True),
        (["a", "a", "a", "a"], False),
        (["a", "a", "b", "c"], True),
        (["a", "b", "c", "d"], False),
    ],
)
def test_labels_tell_rows_apart_where_some_rows_share_one_and_others_do_not(labels, apart):
    assert sharing_of(["lr"], pd.DataFrame({"lr": labels})).tells_rows_apart is apart


@pytest.mark.parametrize(
    ("table", "kept"),
    [
        (REPEATED, ["recipe"]),
        (REPEATED.iloc[::2], []),  # every recipe once
        (REPEATED.assign(params=1e8, tokens=1e9), []),  # one recipe alone: its noise is the law's
    ],
)
def test_what_the_columns_cannot_tell_leaves_the_model(table, kept):
    layout = layout_of(table)
    assert list(layout.model.only.noise) == kept
    assert ("noise.recipe" in layout.left_out) is not bool(kept)


def test_only_points_of_a_run_go_together():
    once = REPEATED.iloc[::2]
    assert layout_of(once).only.serial is None
    assert "correlation" in layout_of(once).left_out
    along = once.assign(run_id=np.repeat([f"r{n}" for n in range(12)], 2))
    assert layout_of(along).model.only.correlation is not None
    assert layout_of(along.drop(columns="run_id")).model.only.correlation is None


def test_simulated_points_go_together_along_their_run():
    runs = REPEATED.iloc[::2].assign(
        run_id=np.repeat([f"r{n}" for n in range(6)], 4), checkpoint=np.tile([True, True, True, False], 6), loss=3.0
    )
    runs = runs.assign(params=np.repeat(np.geomspace(1e7, 1e9, 6), 4), tokens=np.tile([1e9, 2e9, 4e9, 8e9], 6))
    layout, ratios = layout_of(runs), []
    only = layout.model.only
    assert only.correlation is not None
    length = Prior(dist="LogNormal", mu=np.log(2.0), sigma=1e-6)
    update = {"discrepancy": {}, "likelihood": only.likelihood.model_copy(update={"growth": None, "floor": None})}
    update["correlation"] = only.correlation.model_copy(update={"length": length, "run_share": None, "nugget": None})
    quiet = layout_of(runs, layout.model.model_copy(update={"observations": (only.model_copy(update=update),)}))
    for number in range(300):
        prior = draw_prior(quiet, np.random.default_rng(number), draws=1)
        truth = simulate._as_fit(quiet, prior, read_runs(runs))
        law = loss_at_runs(truth)
        noise = np.log(measured_at_runs(truth, law, np.random.default_rng(number)) / law).values.reshape(6, 4)
        ratios.append(noise / float(prior["sigma"].item()))
    found = np.corrcoef(np.concatenate(ratios).T)
    # A factor of two in tokens apart: e^(-ln 2 / 2).
    expected = np.exp(-np.log(2.0) * np.abs(np.subtract.outer(range(4), range(4))) / 2.0)
    np.testing.assert_allclose(found, expected, atol=0.06)


def test_what_is_not_said_is_shared_with_no_one_before_and_after_sampling():
    table = pd.DataFrame({"params": [1e8, 1e8, 2e8, 2e8], "optimizer": [None, None, "adam", "adam"]})
    stored = table.assign(optimizer=["", "", "adam", "adam"])  # as a netCDF file takes it
    for kept in (table, stored):
        assert sharing_of(["params", "optimizer"], kept).own.tolist() == [1, 1, 0, 0]


def test_two_points_at_one_place_are_refused():
    runs = REPEATED.iloc[:4].assign(run_id="r", tokens=[1e9, 2e9, 2e9, 4e9], loss=3.0, checkpoint=[True, True, False, True])
    with pytest.raises(InvalidModel, match="keep one of them"):
        layout_of(runs)


def test_a_row_alone_has_all_of_it_to_itself_and_others_share():
    sharing = sharing_of(["run_id"], pd.DataFrame({"run_id": ["a", "a", "b"]}))
    effect = xr.DataArray(np.full((1, 3, 1), 0.1), dims=("chain", "draw", sharing.dim), coords=sharing.coords)
    posterior = draws(sigma=0.003, noise_scale_run=0.004).assign(noise_effect_run=effect)
    np.testing.assert_allclose(sharing.at_rows(posterior).isel(chain=0, draw=0), [0.1, 0.1, 0.0])
    noise = {"run": Shared(by=("run_id",), scale=SCALE)}
    table = pd.DataFrame({"run_id": ["a", "a", "b"], "params": [1e8, 2e8, 4e8], "loss": [3.0, 2.9, 2.8]})
    law = read_model("kaplan_n")
    normal = law.only.model_copy(update={"noise": noise, "likelihood": read_model("kappa").only.likelihood})
    fit = simulate._as_fit(
        Layout.of(law.model_copy(update={"observations": (normal,)}), {"loss": table}),
        posterior.assign(N_c=posterior["sigma"] * 0 + 1e13, alpha_N=posterior["sigma"] * 0 + 0.07),
        read_runs(table.assign(checkpoint=[True, False, False])),
    )
    scale, _ = row_scales(fit, 1.0)
    np.testing.assert_allclose(scale.isel(chain=0, draw=0), [0.003, 0.003, 0.005])


def test_seeds_and_recipes_are_told_apart_and_a_new_run_has_both(tmp_path):
    seeds, recipes = 0.004, 0.02
    rng, law = np.random.default_rng(5), read_model("kappa").only.the_law
    expected = law(REPEATED["params"], REPEATED["tokens"], E=1.6, A=300.0, a=0.35, B=400.0, b=0.3, kappa=1.0)
    loss = expected * np.exp(np.repeat(rng.normal(0, recipes, 24), 2) + rng.normal(0, seeds, 48))
    fit = bs.fit(REPEATED.assign(loss=loss), "kappa", discrepancy=False, draws=1000, tune=800, progress=False)
    low, high = np.quantile(fit.posterior["sigma"], [0.01, 0.99])
    assert low < seeds < high
    low, high = np.quantile(fit.posterior["noise_scale_recipe"], [0.01, 0.99])
    assert low < recipes < high
    # Repeats lie together around a loss of their own, which the law does not have to explain.
    residual = np.log(loss.to_numpy()) - np.log(loss_at_runs(fit)).median(("chain", "draw")).values
    assert residual.std() < 1.5 * seeds
    # What a new run measures has the noise of a recipe that nobody has trained.
    found = predict(fit, params=1e8, tokens=6e9)
    scatter = float(np.log(found["measured_loss"] / found["expected_loss"]).std())
    assert scatter == pytest.approx(np.hypot(seeds, recipes), rel=0.35)
    assert "of a recipe" in included(fit)
    assert noise_parts(fit)["what"].tolist() == ["of a seed", "of a recipe"]
    again = load_fit(fit.save(tmp_path / "fit.nc"))
    xr.testing.assert_identical(loss_at_runs(again), loss_at_runs(fit))


def test_simulated_repeats_share_their_recipe():
    model, ratios = layout_of(REPEATED).model, []
    level = model.only.model_copy(update={"likelihood": model.only.likelihood.model_copy(update={"growth": None})})
    spec = model.model_copy(update={"observations": (level,)})
    runs = read_runs(REPEATED.assign(loss=3.0))
    for number in range(40):
        found = from_the_model(spec, runs, np.random.default_rng(number))
        ratio = np.log(found.runs.table["loss"]).to_numpy().reshape(-1, 2) @ [1.0, -1.0]
        ratios.append(np.std(ratio) / (np.sqrt(2) * found.truth["sigma"]))
    # Two seeds of a recipe differ by their own scatter alone, whatever the recipes do.
    assert np.median(ratios) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize(
    ("noise", "said"),
    [
        ({"run": {"by": "run_id", "scale": {"dist": "Uniforn", "sigma": 0.1}}}, "noise.run.scale"),
        ({"N": {"by": "run_id", "scale": {"dist": "HalfNormal", "sigma": 0.1}}}, "is not a quantity"),
        ({"run": {"by": [], "scale": {"dist": "HalfNormal", "sigma": 0.1}}}, "noise.run.by"),
    ],
)
def test_a_bad_part_is_named(tmp_path, noise, said):
    import tomli_w

    document = tomllib.loads(read_model("kappa").to_toml())
    (tmp_path / "model.toml").write_text(tomli_w.dumps(document | {"noise": noise}))
    with pytest.raises(InvalidSpecification, match=said):
        read_model(tmp_path / "model.toml")


def test_a_heavy_tail_cannot_share_noise(tmp_path):
    text = (
        read_model("chinchilla").to_toml() + '\n[noise.run]\nby = "run_id"\nscale = { dist = "HalfNormal", sigma = 0.1 }\n'
    )
    (tmp_path / "model.toml").write_text(text)
    with pytest.raises(InvalidSpecification, match="Normal"):
        read_model(tmp_path / "model.toml")
