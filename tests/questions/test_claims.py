"""The paper's claims: each against its own closed form, with the paper's own constants and with draws."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from bayes_scaling.errors import InvalidRequest, NotConvergedWarning
from bayes_scaling.laws import LAWS
from bayes_scaling.laws.constants import published
from bayes_scaling.posterior.examples import example_fit, example_system
from bayes_scaling.quantities import PF_DAY
from bayes_scaling.questions.bottleneck import bottleneck
from bayes_scaling.questions.claims import CLAIMS, claims, contradiction
from bayes_scaling.questions.early_stopping import early_stopping

SYSTEM = (
    published("kaplan2020 table 2").values | published("kaplan2020 table 3").values | published("kaplan2020 eq 1.4").values
)


@pytest.fixture(scope="module")
def exact():
    return claims(example_system(chains=1, draws=1)).set_index("claim")["median"]


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("exponent of the loss in compute", 0.05245),
        ("exponent of size in compute", 0.6812),
        ("size at one PF-day", 5.84e8),
        ("exponent of the data that size asks for", 0.7476),
        ("compute-optimal training stops above the converged loss by", 0.1013),
        ("compute for 0.6 times the best size", 1.165),
        ("compute for 2.2 times the best size", 1.204),
        ("steps for 2.2 times the best size", 0.547),
        ("size of efficient training over that trained to 2 % above convergence", 2.708),
        ("compute of efficient training over that to 2 % above convergence", 0.354),
    ],
)
def test_the_paper_s_constants_give_what_follows_from_them(exact, claim, value):
    assert exact[claim] == pytest.approx(value, rel=1.5e-3)


def test_two_per_cent_above_convergence_is_brute_force_too():
    """Size, steps and compute to one loss for two stopping rules, with the curve inverted numerically."""
    L, a, s = 2.5, SYSTEM["alpha_N"], SYSTEM["alpha_S"]
    spent = {}
    for excess in (a / s, 0.02):
        params = SYSTEM["N_c"] * (L / (1 + excess)) ** (-1 / a)
        steps = SYSTEM["S_c"] * (L - L / (1 + excess)) ** (-1 / s)
        spent[excess] = params, steps
    (n, t), (n2, t2) = spent.values()
    told = claims(example_system(chains=1, draws=1)).set_index("claim")["median"]
    assert told["size of efficient training over that trained to 2 % above convergence"] == pytest.approx(n / n2)
    assert told["steps of training to 2 % above convergence over efficient ones"] == pytest.approx(t2 / t)
    assert told["compute of efficient training over that to 2 % above convergence"] == pytest.approx(n * t / (n2 * t2))


def test_the_contradiction_is_where_the_laws_cross():
    laws = {
        n: xr.DataArray([[SYSTEM[n]]], dims=("chain", "draw"))
        for n in ("N_c", "alpha_N", "S_c", "alpha_S", "B_star", "alpha_B")
    }
    of_data = {"D_c": SYSTEM["D_c"], "alpha_D": SYSTEM["alpha_D"]}
    found = contradiction(laws=laws, **of_data).squeeze()
    assert LAWS["kaplan_d"](found["tokens"], **of_data).item() == pytest.approx(found["loss"].item(), rel=1e-9)
    assert found["compute_min_flops"].item() > 1e4 * PF_DAY
    never = contradiction(laws=laws, D_c=SYSTEM["D_c"], alpha_D=10.0)
    assert np.isnan(never["loss"]).all()


def test_a_claim_is_told_only_where_its_constants_were_learned():
    assert len(claims(example_system())) == len(CLAIMS) - 1  # nothing of shapes
    with pytest.raises(InvalidRequest, match="no claim of the paper rests on that"):
        claims(example_fit())


def test_verdicts_and_probabilities():
    table = claims(example_system(draws=500)).set_index("claim")
    size = table.loc["exponent of size in compute"]
    assert (size["verdict"], size["above"]) == ("ours is smaller", 0.0)
    batch = table.loc["exponent of the critical batch"]
    assert batch["verdict"] == "agrees"
    assert 0.3 < batch["above"] < 0.7
    assert (table["lower"] <= table["upper"]).all()
    assert (table["decades_beyond"] >= 0).all()


def test_a_fit_that_failed_says_so_first():
    bad = [
        {
            "about": "convergence",
            "check": "largest R-hat",
            "value": 2.0,
            "rule": "",
            "passed": False,
            "where": "",
            "advice": "",
        }
    ]
    fit = replace(example_system(), checks=tuple(bad))
    for ask in (claims, early_stopping):
        with pytest.warns(NotConvergedWarning, match="has NOT converged"):
            ask(fit)


def test_stopping_is_the_bound_of_the_paper():
    table = early_stopping(example_system(chains=1, draws=1))
    first = table.iloc[0]
    of = {n: SYSTEM[n] for n in ("N_c", "alpha_N")}
    of_data = {n: SYSTEM[n] for n in ("D_c", "alpha_D")}
    loss = LAWS["kaplan_nd"](first["params"], first["dataset_tokens"], **of, **of_data)
    bound = LAWS["stopping_step"](
        loss, LAWS["kaplan_n"](first["params"], **of), S_c=SYSTEM["S_c"], alpha_S=SYSTEM["alpha_S"]
    )
    assert first["bound"] == pytest.approx(bound)
    assert set(table["above"]) <= {0.0, 1.0}


def test_a_bottleneck_is_what_a_run_has_least_of():
    fit = example_system()
    plenty = {"params": 1e11, "dataset_tokens": 1e14, "steps": 1e7, "batch_tokens": 1e8}
    for resource, little in (("params", 1e6), ("dataset_tokens", 1e8), ("steps", 3e3)):
        found = bottleneck(fit, **plenty | {resource: little})
        assert found["probability"].sel(resource=resource) > 0.99
        assert found["probability"].sum() == pytest.approx(1.0)
    with pytest.raises(InvalidRequest, match="positive number"):
        bottleneck(fit, **plenty | {"steps": -1.0})


def test_the_combined_law_has_the_two_it_is_made_of_at_its_ends():
    endless = LAWS["kaplan_ndsb"](1e9, 1e10, 1e30, 2**19, **SYSTEM)
    assert endless == pytest.approx(
        LAWS["kaplan_nd"](1e9, 1e10, **{n: SYSTEM[n] for n in LAWS["kaplan_nd"].parameters if n != "E"})
    )
    data = LAWS["kaplan_ndsb"](1e9, 1e40, 1e5, 2**19, **SYSTEM)
    assert data == pytest.approx(
        LAWS["kaplan_nsb"](1e9, 1e5, 2**19, **{n: SYSTEM[n] for n in LAWS["kaplan_nsb"].parameters if n != "E"})
    )


def with_posterior(fit, **draws):
    groups = {group.path: group.to_dataset(inherit=False) for group in fit.tree.subtree}
    groups["/posterior"] = groups["/posterior"].assign(draws)
    return replace(fit, tree=xr.DataTree.from_dict(groups))


def test_a_number_stands_for_all_that_are_rounded_to_it():
    by_name = {claim.statement: claim for claim in CLAIMS}
    assert by_name["exponent of the critical batch"].allowed == pytest.approx((0.205, 0.215))
    assert by_name["exponent of data in L(D)"].allowed == pytest.approx((0.09495, 0.1035))
    assert by_name["size at one PF-day"].allowed == pytest.approx((1.25e9, 1.35e9))


def test_what_the_rows_did_not_teach_is_the_prior_s():
    fit = example_system()
    prior = fit.prior["alpha_B"].values.ravel()[: fit.posterior["alpha_B"].size].reshape(fit.posterior["alpha_B"].shape)
    told = claims(with_posterior(fit, alpha_B=(("chain", "draw"), prior))).set_index("claim")["verdict"]
    assert told["exponent of the critical batch"] == "the prior's"
    assert told["exponent of size in compute"] == "the prior's"
    assert told["exponent of data in L(D)"] != "the prior's"


def test_a_number_of_the_document_is_no_answer(tmp_path):
    fit = example_system()
    parameters = dict(fit.model.parameters)
    parameters["noise_ratio"] = parameters["noise_ratio"].model_copy(update={"prior": None, "fixed": 1.0})
    spec = fit.model.model_copy(update={"parameters": parameters})
    groups = {group.path: group.to_dataset(inherit=False) for group in fit.tree.subtree}
    for name in ("/posterior", "/prior"):
        groups[name] = groups[name].drop_vars("noise_ratio")
    fixed = replace(fit, model=spec, tree=xr.DataTree.from_dict(groups))
    assert "gradient noise scale over critical batch" not in set(claims(fixed)["claim"])
    assert float(fixed.learned["noise_ratio"].mean()) == 1.0


def test_a_size_that_never_gets_there_costs_without_end():
    fit = example_system()
    told = claims(with_posterior(fit, alpha_S=fit.posterior["alpha_S"] * 20)).set_index("claim")
    assert np.isinf(told.loc["compute for 0.6 times the best size", "upper"])
    assert told.loc["compute for 0.6 times the best size", "defined"] == 1.0


def test_closed_forms_without_an_offset_are_refused_where_there_is_one():
    from bayes_scaling.questions.derive import derive

    fit = example_fit()  # it has learned E
    with pytest.raises(InvalidRequest, match="ask frontier instead"):
        derive(fit, "compute_exponent", alpha_N=0.1, alpha_B=0.2, alpha_S=0.7)
    with pytest.raises(InvalidRequest, match="no value there in any draw"):
        derive(example_system(), "stopping_step", loss=2.0, L_infinite=3.0)
    with pytest.raises(InvalidRequest, match="positive number"):
        derive(example_system(), "critical_batch", loss=xr.DataArray(-1.0))
    with pytest.raises(InvalidRequest, match="2 and 3 entries"):
        bottleneck(example_system(), params=[1e8, 1e9], dataset_tokens=[1e9] * 3, steps=1e5, batch_tokens=1e5)
    with pytest.raises(InvalidRequest, match="No observation of this fit"):
        early_stopping(example_fit())
