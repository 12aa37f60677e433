"""Noise that rows share: which rows, what each adds, and what a new run then scatters by."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayes_scaling as bs
from bayes_scaling.errors import InvalidModel, InvalidSpecification
from bayes_scaling.evaluation import simulate
from bayes_scaling.evaluation.simulate import from_the_model
from bayes_scaling.model.documents import read_model
from bayes_scaling.model.prior_draws import draw_prior
from bayes_scaling.model.priors import Prior
from bayes_scaling.model.sharing import as_columns_allow, own_sigma, shared_at_runs, sharing_of
from bayes_scaling.posterior.fit import load_fit
from bayes_scaling.posterior.predict import loss_at_runs, measured_at_runs, predict
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


def draws(**values):
    dims = ("chain", "draw")
    return xr.Dataset({name: (dims, np.full((1, 3), value)) for name, value in values.items()})


def test_rows_share_what_all_their_columns_say():
    table = pd.DataFrame({"params": [1e8, 1e8, 1e9, 1e8], "lr": [0.1, 0.1, 0.1, 0.2], "seed": [0, 1, 0, 0]})
    found = sharing_of("recipe", ["params", "lr", "depth"], table)
    assert found.of_run.tolist() == [0, 0, -1, -1]
    assert found.alone.tolist() == [0, 0, 1, 1]
    np.testing.assert_array_equal(found.design, [[1], [1], [0], [0]])


@pytest.mark.parametrize(
    ("table", "kept"),
    [
        (REPEATED, ["recipe"]),
        (REPEATED.iloc[::2], []),  # every recipe once
        (REPEATED.assign(params=1e8, tokens=1e9), []),  # one recipe alone: its noise is the law's
        (REPEATED.drop(columns=["params", "tokens"]), []),
    ],
)
def test_what_the_columns_cannot_tell_leaves_the_model(table, kept):
    assert list(as_columns_allow(read_model("kappa"), table).noise) == kept


def test_only_points_of_a_run_go_together():
    once = REPEATED.iloc[::2]
    assert as_columns_allow(read_model("kappa"), once).correlation is None
    along = once.assign(run_id=np.repeat([f"r{n}" for n in range(12)], 2))
    assert as_columns_allow(read_model("kappa"), along).correlation is not None
    assert as_columns_allow(read_model("kappa"), along.drop(columns="run_id")).correlation is None


def test_simulated_points_go_together_along_their_run():
    runs = REPEATED.iloc[::2].assign(
        run_id=np.repeat([f"r{n}" for n in range(6)], 4), checkpoint=np.tile([True, True, True, False], 6), loss=3.0
    )
    runs = runs.assign(params=np.repeat(np.geomspace(1e7, 1e9, 6), 4), tokens=np.tile([1e9, 2e9, 4e9, 8e9], 6))
    spec = as_columns_allow(read_model("kappa"), runs)
    assert spec.correlation is not None
    quiet = {**spec.model_dump(exclude_unset=True), "discrepancy": {}}
    quiet["likelihood"] = spec.likelihood.model_copy(update={"growth": None})
    quiet["correlation"] = spec.correlation.model_copy(
        update={"length": Prior(dist="LogNormal", mu=np.log(2.0), sigma=1e-6)}
    )
    spec, ratios = spec.model_copy(update={k: quiet[k] for k in ("discrepancy", "likelihood", "correlation")}), []
    table = read_runs(runs)
    for number in range(300):
        prior = draw_prior(spec, table.table, np.random.default_rng(number), draws=1)
        truth = simulate._pretended(spec, table, prior, np.full(24, 3.0))
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
        assert sharing_of("recipe", ["params", "optimizer"], kept).of_run.tolist() == [-1, -1, 0, 0]


def test_two_points_at_one_place_are_refused():
    runs = REPEATED.iloc[:4].assign(run_id="r", tokens=[1e9, 2e9, 2e9, 4e9], loss=3.0, checkpoint=[True, True, False, True])
    with pytest.raises(InvalidModel, match="at one place"):
        as_columns_allow(read_model("kappa"), runs)


def test_a_row_alone_has_all_of_it_to_itself_and_others_share():
    sharing = sharing_of("run", ["run_id"], pd.DataFrame({"run_id": ["a", "a", "b"]}))
    effect = xr.DataArray(np.full((1, 3, 1), 0.1), dims=("chain", "draw", sharing.dim), coords=sharing.coords)
    posterior = draws(sigma=0.003, noise_scale_run=0.004).assign(noise_effect_run=effect)
    np.testing.assert_allclose(own_sigma([sharing], posterior).isel(chain=0, draw=0), [0.003, 0.003, 0.005])
    np.testing.assert_allclose(shared_at_runs([sharing], posterior).isel(chain=0, draw=0), [0.1, 0.1, 0.0])


def test_seeds_and_recipes_are_told_apart_and_a_new_run_has_both(tmp_path):
    seeds, recipes = 0.004, 0.02
    rng, law = np.random.default_rng(5), read_model("kappa").the_law
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
    spec, ratios = as_columns_allow(read_model("kappa"), REPEATED), []
    spec = spec.model_copy(update={"likelihood": spec.likelihood.model_copy(update={"growth": None})})
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
        ({"N": {"by": "run_id", "scale": {"dist": "HalfNormal", "sigma": 0.1}}}, "no quantity"),
        ({"run": {"by": [], "scale": {"dist": "HalfNormal", "sigma": 0.1}}}, "noise.run.by"),
    ],
)
def test_a_bad_part_is_named(tmp_path, noise, said):
    import tomli_w

    document = read_model("kappa").model_dump(mode="json", exclude_unset=True, exclude_none=True)
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
