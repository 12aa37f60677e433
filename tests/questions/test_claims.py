"""The paper's claims: each against its own closed form, with the paper's own constants and with draws."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from bayes_scaling.errors import InvalidInputs, NotConvergedWarning, NotLearned, OutOfRange, Unreachable
from bayes_scaling.laws import LAWS
from bayes_scaling.laws.constants import published
from bayes_scaling.posterior.examples import example_fit, example_system
from bayes_scaling.quantities import PF_DAY
from bayes_scaling.questions.bottleneck import bottleneck
from bayes_scaling.questions.claims import CLAIMS, _completed, claims, contradiction
from bayes_scaling.questions.derive import derive
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
    with pytest.raises(NotLearned):
        claims(example_fit())


def test_verdicts_and_probabilities():
    table = claims(example_system(draws=500)).set_index("claim")
    size = table.loc["exponent of size in compute by L(N, D), each token seen once"]
    assert (size["verdict"], size["above"]) == ("disagrees", 0.0)
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
    with pytest.raises(OutOfRange):
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


BY_NAME = {claim.statement: claim for claim in CLAIMS}


@pytest.mark.parametrize(
    ("statement", "region"),
    [
        ("exponent of the critical batch", (0.21 / 1.1, 0.21 * 1.1)),
        ("exponent of data in L(D)", (0.095 / 1.1, 0.103 * 1.1)),
        ("size at one PF-day", (0.65e9, 2.6e9)),
        ("compute where the laws contradict each other", (1e3 * PF_DAY, 1e5 * PF_DAY)),
        ("compute for 2.2 times the best size", (1.0, 1.22)),
        ("exponent of the steps in compute", (0.0, 0.033)),
        ("cost of the ends of a 40-fold range of aspect ratios", (0.0, 0.03)),
    ],
)
def test_what_is_practically_equal_to_a_number(statement, region):
    claim = BY_NAME[statement]
    assert claim.region == pytest.approx(region)
    assert claim.region[0] <= claim.published[0] <= claim.published[-1] <= claim.region[1]
    assert claim.why


@pytest.mark.parametrize(
    ("lower", "upper", "contraction", "verdict"),
    [
        (0.20, 0.22, 0.9, "agrees"),
        (0.24, 0.30, 0.9, "disagrees"),
        (0.10, 0.19, 0.9, "disagrees"),
        (0.22, 0.26, 0.9, "cannot tell"),  # it reaches over an end
        (0.10, 0.40, 0.9, "cannot tell"),  # it includes more than what is equal
        (0.20, 0.22, 0.4, "cannot tell"),  # the prior says so
        (0.24, 0.30, 0.4, "cannot tell"),
    ],
)
def test_a_verdict_is_where_the_interval_lies(lower, upper, contraction, verdict):
    assert BY_NAME["exponent of the critical batch"].verdict(lower, upper, contraction) == verdict


def test_a_limit_is_judged_on_one_side():
    for statement, well_below, above in (
        ("compute for 0.6 times the best size", (1.05, 1.10), (1.27, 1.43)),
        ("exponent of the steps in compute", (0.001, 0.02), (0.055, 0.073)),
    ):
        claim = BY_NAME[statement]
        assert [claim.verdict(*ends, 0.9) for ends in (well_below, above)] == ["agrees", "disagrees"]
    assert BY_NAME["compute for 0.6 times the best size"].verdict(1.1, np.inf, 0.9) == "cannot tell"


def of_the_paper() -> dict[str, float]:
    """The numbers of every claim, worked out from the published constants by the closed forms of the paper."""
    size, data, batch = (published(f"kaplan2020 eq {n}").values for n in ("1.1", "1.2", "1.4"))
    both, steps = published("kaplan2020 table 2").values, published("kaplan2020 table 3").values
    N_c, a, S_c, s = (steps[n] for n in ("N_c", "alpha_N", "S_c", "alpha_S"))
    B, b, f = batch["B_star"], batch["alpha_B"], a / s
    c = 1 / (1 / a + 1 / s + 1 / b)  # (1.8)
    C_c = 6 * N_c * B * S_c * (1 + f) ** (1 / s + 1 / a) * (1 / f) ** (1 / s)  # (B.8)

    def path(C):  # (B.6), (B.9), (1.4) and C = 6 N B S
        N, L = N_c * (C / C_c) ** (c / a) * (1 + f) ** (1 / a), (C_c / C) ** c
        return {"N": N, "L": L, "B": B / L ** (1 / b), "S": C / (6 * N * B / L ** (1 / b)), "D": 2 * C / (6 * N)}

    # L(D) of twice C / 6 N along that path meets L(C): both are powers of C.
    one = path(1.0)
    slope = data["alpha_D"] * (1 - c / a) - c
    C = (one["L"] / (data["D_c"] / one["D"]) ** data["alpha_D"]) ** (-1 / slope)
    at, pf_day, excess = path(C), path(PF_DAY), (1 + f) / 1.02
    size_2, steps_2 = excess ** (1 / a), ((1 + 1 / f) / (1 + 1 / 0.02)) ** (1 / s)  # (B.12), (B.13)

    def other(k):  # (B.17)
        return (1 + (1 - k**-a) / f) ** (-1 / s)

    power = both["alpha_N"] / both["alpha_D"]
    overfits = (both["N_c"] / 1e9) ** power * (1.02 ** (1 / both["alpha_D"]) - 1)  # D_c / D of (4.1)
    return {
        "exponent of size in L(N)": size["alpha_N"],
        "exponent of data in L(D)": data["alpha_D"],
        "exponent of steps in L(N, S_min)": s,
        "exponent of the critical batch": b,
        "fall of the loss that doubles the critical batch": 1 - 2**-b,
        "critical batch at the convergence of the paper's largest model": B / (size["N_c"] / 1.5e9) ** (size["alpha_N"] / b),
        "exponent of the loss in compute": c,
        "exponent of size in compute": c / a,
        "exponent of size in compute by L(N, D), each token seen once": 1 / (1 + power),
        "exponent of the batch in compute": c / b,
        "exponent of the steps in compute": c / s,
        "exponent of the data in compute": c / s + c / b,
        "size at one PF-day": pf_day["N"],
        "critical batch at one PF-day": pf_day["B"],
        "least steps at one PF-day": pf_day["S"],
        "data at one PF-day": pf_day["D"],
        "exponent of the data that size asks for": power,
        "data that keep a billion parameters within two per cent of endless data": both["D_c"] / overfits,
        "exponent in compute of the data that size asks for": c / a * a / both["alpha_D"],
        "compute where the laws contradict each other": C,
        "size where the laws contradict each other": at["N"],
        "data where the laws contradict each other": at["D"],
        "loss where the laws contradict each other": at["L"],
        "compute-optimal training stops above the converged loss by": f,
        "compute for 0.6 times the best size": 0.6 * other(0.6),
        "compute for 2.2 times the best size": 2.2 * other(2.2),
        "steps for 2.2 times the best size": other(2.2),
        "size of efficient training over that trained to 2 % above convergence": size_2,
        "steps of training to 2 % above convergence over efficient ones": 1 / steps_2,
        "compute of efficient training over that to 2 % above convergence": size_2 * steps_2,
    }


@pytest.mark.parametrize("statement", [claim.statement for claim in CLAIMS])
def test_what_its_constants_give(statement):
    wanted = of_the_paper().get(statement, np.nan)  # the paper prints no ratio of noise, and no cost of a shape
    assert BY_NAME[statement].of_constants == pytest.approx(wanted, rel=1e-6, nan_ok=True)


def test_the_paper_s_laws_contradict_what_it_prints():
    found = {
        name: round(BY_NAME[f"exponent of {name} in compute"].of_constants, 3) for name in ("size", "the steps", "the data")
    }
    assert found == {"size": 0.681, "the steps": 0.069, "the data": 0.319}
    outside = {
        claim.statement for claim in CLAIMS if claim.verdict(claim.of_constants, claim.of_constants, 1.0) == "disagrees"
    }
    assert {f"exponent of the {what} in compute" for what in ("steps", "data")} < outside
    assert "exponent of size in compute" not in outside


def test_a_prior_that_the_rows_did_not_narrow_cannot_tell():
    fit = example_system()
    shape = fit.posterior["alpha_B"].shape
    prior = fit.prior["alpha_B"].values.ravel()[: np.prod(shape)].reshape(shape)
    table = claims(with_posterior(fit, alpha_B=(("chain", "draw"), prior))).set_index("claim")
    batch = table.loc["exponent of the critical batch"]
    assert batch["verdict"] == "cannot tell"
    assert batch["contraction"] < 0.1
    assert (batch["prior_lower"], batch["prior_upper"]) == pytest.approx(np.quantile(fit.prior["alpha_B"], (0.05, 0.95)))
    # A number that does not rest on it is told, even if its function may take it.
    assert table.loc["compute-optimal training stops above the converged loss by", "contraction"] > 0.99
    assert table.loc["exponent of data in L(D)", "verdict"] == "agrees"


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
    fit = example_fit()  # it has learned E
    with pytest.raises(NotLearned, match="frontier"):
        derive(fit, "compute_exponent", alpha_N=0.1, alpha_B=0.2, alpha_S=0.7)
    with pytest.raises(Unreachable):
        derive(example_system(), "stopping_step", loss=2.0, L_infinite=3.0)
    with pytest.raises(OutOfRange):
        derive(example_system(), "critical_batch", loss=xr.DataArray(-1.0))
    with pytest.raises(InvalidInputs, match="2 and 3"):
        bottleneck(example_system(), params=[1e8, 1e9], dataset_tokens=[1e9] * 3, steps=1e5, batch_tokens=1e5)
    with pytest.raises(NotLearned):
        early_stopping(example_fit())


@pytest.mark.parametrize(("E", "kept"), [(0.0, False), (1.7, True)])
def test_an_irreducible_loss_of_nought_is_the_paper_s_form(E, kept):
    assert ("E" in _completed({"E": np.full(3, E)}, 1e20)) is kept
    assert ("E" in _completed({"E": np.array([0.0, E])}, 1e20)) is kept


def test_a_law_of_which_nothing_is_unknown_has_the_same_value_in_every_draw():
    fit, losses = example_system(), xr.DataArray([2.0, 3.0], dims="loss")
    found = derive(fit, "critical_batch", loss=losses, B_star=2e8, alpha_B=0.21)
    assert found.dims == ("chain", "draw", "loss")
    assert (found == LAWS["critical_batch"](losses, B_star=2e8, alpha_B=0.21)).all()
