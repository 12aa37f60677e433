"""ArviZ works on a fit: statistics, predictive checks, leave-one-out, sensitivity and plots, each on the tree of a fit."""

from __future__ import annotations

import arviz as az
import matplotlib.pyplot as plt
import numpy as np
import pytest

import bayes_scaling as bs
from bayes_scaling.errors import UnknownChoice
from bayes_scaling.posterior import arviz
from bayes_scaling.posterior.examples import example_fit, example_system
from bayes_scaling.posterior.stated import stated_priors

GROUPS = ("posterior_predictive", "prior_predictive", "log_likelihood", "log_prior")
PARAMETERS = ["E", "A_at_reference", "a", "B_at_reference", "b"]


@pytest.fixture(scope="module")
def fit():
    """A shipped model with discrepancy and noise that rows share, fitted to shipped runs."""
    runs = bs.load_runs("ladder").where("series in ['size', 'compute'] and compute_flops < 1e13")
    return bs.fit(runs, "kappa", sampler="importance", seed=1, draws=500, progress=False)


@pytest.fixture(scope="module")
def tree(fit):
    return fit.with_groups(*GROUPS, seed=2).tree


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_summary(tree, fit):
    table = az.summary(tree, var_names=PARAMETERS, round_to="none")
    assert table["mean"].to_numpy(float) == pytest.approx([float(fit.posterior[name].mean()) for name in PARAMETERS])
    assert (table["r_hat"].to_numpy(float) < 1.05).all()


@pytest.mark.filterwarnings("ignore:Estimated shape parameter")  # effects follow single rows
def test_leave_one_out_is_that_of_compare(tree, fit):
    elpd = az.loo(tree).elpd
    assert elpd == pytest.approx(float(np.sum(az.loo(tree, pointwise=True).elpd_i)))
    by_hand = example_fit(chains=4, draws=250)
    table = bs.compare({"one": by_hand, "other": by_hand})
    assert az.loo(by_hand.with_groups("log_likelihood").tree).elpd == pytest.approx(table["elpd"].iloc[0])


@pytest.mark.filterwarnings("ignore:Estimated shape parameter")
def test_leave_one_out_pit_is_between_nothing_and_one(tree):
    pit = az.loo_pit(tree)["measured"].values
    assert pit.shape == tree["observed_data"]["measured"].shape
    assert (pit >= 0).all()
    assert (pit <= 1).all()
    assert pit.min() < 0.3
    assert pit.max() > 0.7


def test_power_scaling_takes_the_priors_of_the_document(tree, fit):
    assert list(tree["log_prior"].data_vars) == [stated.name for stated in stated_priors(fit)]
    table = az.psense_summary(tree, var_names=PARAMETERS)
    assert list(table.index) == PARAMETERS
    assert (table[["prior", "likelihood"]].to_numpy(float) >= 0).all()
    alone = az.psense_summary(tree, var_names=["kappa"], prior_var_names=["sigma"])
    assert float(alone["prior"].iloc[0]) < 0.05  # that of the noise says next to nothing of the law


def test_log_prior_is_that_of_the_model(fit):
    """Of a model whose every prior is on a parameter of its own, it is the density that is sampled."""
    from bayes_scaling.model.density import LogDensity

    by_hand = example_fit()
    density = LogDensity(by_hand.layout)
    points = density.points(by_hand.posterior)
    prior = density.parts(points)[0] - density.straight.to_pymc(points)[1]
    made = by_hand.with_groups("log_prior").tree["log_prior"].to_dataset().to_dataarray().sum("variable").values.ravel()
    assert made - made[0] == pytest.approx(prior - prior[0], abs=1e-8)


def test_predictive_draws_cover_the_rows_and_the_prior_is_wider(tree):
    observed = tree["observed_data"]["measured"]
    widths = {}
    for group in ("posterior_predictive", "prior_predictive"):
        low, high = np.nanquantile(tree[group]["measured"], [0.005, 0.995], axis=(0, 1))
        assert ((observed > low) & (observed < high)).mean() > 0.9
        widths[group] = high - low
    assert (widths["prior_predictive"] > widths["posterior_predictive"]).all()


PLOTS = {
    "plot_ppc_dist": {},
    "plot_ppc_interval": {},
    "plot_ppc_pit": {},
    "plot_loo_pit": {},
    "plot_loo_interval": {},
    "plot_psense_dist": {"var_names": ["E", "a"]},
    "plot_psense_quantities": {"var_names": ["E", "a"]},
    "plot_prior_posterior": {"var_names": ["E", "a"]},
    "plot_dist": {"var_names": ["E", "a"]},
    "plot_forest": {"var_names": ["E", "a"]},
    "plot_pair": {"var_names": ["E", "a"]},
    "plot_trace": {"var_names": ["E", "a"]},
    "plot_rank": {"var_names": ["E", "a"]},
    "plot_ess": {"var_names": ["E", "a"]},
}


@pytest.mark.filterwarnings("ignore:Estimated shape parameter")
@pytest.mark.parametrize("name", PLOTS)
def test_plots(tree, name):
    getattr(az, name)(tree, backend="matplotlib", **PLOTS[name])
    assert any(axes.has_data() for axes in plt.gcf().axes)


@pytest.mark.filterwarnings("ignore:overflow encountered in exp:RuntimeWarning")  # PyMC's own, of an acceptance rate
def test_an_extended_model_leads_back_to_a_fit():
    """A potential and a variable of the user's own, in the model that is fitted; its discrepancy is integrated out."""
    import pymc as pm

    runs = bs.load_runs("ladder").where("series == 'compute'")
    model = bs.read_model("offset_c")
    with bs.build_model(model, runs) as extended:
        pm.Potential("known", pm.logp(pm.Normal.dist(0.9, 0.001), extended["E"]))
        pm.Deterministic("twice", 2 * extended["E"])
        settings = {"chains": 2, "cores": 1, "random_seed": 1, "progressbar": False, "compute_convergence_checks": False}
        tree = pm.sample(80, tune=80, step=pm.DEMetropolisZ(), compile_kwargs={"mode": "FAST_COMPILE"}, **settings)
    fit = bs.Fit.from_draws(tree, "offset_c", runs)
    assert fit.digest == bs.Fit.from_draws(tree, model, runs.table).digest
    assert float(fit.posterior["E"].mean()) == pytest.approx(0.9, abs=0.01)
    assert tree["posterior"]["twice"].values == pytest.approx(2 * fit.posterior["E"].values)
    assert fit.verdict == "This posterior has not been checked for convergence."
    assert float(fit.predict(compute_flops=1e14)["expected_loss"].min()) > 0.9


def test_effects_that_were_integrated_out_are_drawn(fit):
    effects = [effect.effect_name for effect in fit.layout.only.effects]
    again = bs.Fit.from_draws(fit.posterior.drop_vars(effects), fit.model, fit.table)
    for name in effects:
        spread = fit.posterior[name].std(("chain", "draw"))
        apart = abs(again.posterior[name].mean(("chain", "draw")) - fit.posterior[name].mean(("chain", "draw")))
        assert (apart < 0.3 * spread).all()


def test_every_observation_has_its_variable():
    system = example_system()
    made = bs.to_arviz(system)
    for observation in system.model.observations:
        name = f"measured_{observation.name}"
        rows = len(system.rows(observation.name))
        assert made["observed_data"][name].dims == (f"run_{observation.name}",)
        for group in GROUPS[:3]:
            assert made[group][name].sizes[f"run_{observation.name}"] == rows


def test_portions_of_the_draws_give_what_all_of_them_give(fit, tree, monkeypatch):
    monkeypatch.setattr(arviz, "_CELLS", 100 * len(fit.table))
    again = fit.with_groups("log_likelihood", "posterior_predictive", seed=2).tree
    assert again["log_likelihood"].to_dataset().equals(tree["log_likelihood"].to_dataset())
    assert again["posterior_predictive"].sizes == tree["posterior_predictive"].sizes


def test_groups_follow_from_the_draws_and_are_not_kept(fit_by_hand, tmp_path):
    more = fit_by_hand.with_groups("log_likelihood")
    assert more.digest == fit_by_hand.digest
    again = bs.load_fit(more.save(tmp_path / "fit.nc")).with_groups("log_likelihood")
    assert again.tree["log_likelihood"]["measured"].equals(more.tree["log_likelihood"]["measured"])
    assert "log_likelihood" not in more.thinned(10).tree  # they are of other draws


def test_a_wrong_group_is_a_sentence(fit_by_hand):
    with pytest.raises(UnknownChoice, match="did you mean 'log_prior'"):
        fit_by_hand.with_groups("log_priors")
