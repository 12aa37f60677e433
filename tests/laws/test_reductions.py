"""A new thing reduces to an old one: limits and special cases in which one law is another."""

from __future__ import annotations

import numpy as np
import pytest

from bayes_scaling.laws import LAWS
from bayes_scaling.laws.constants import published

N, D = np.geomspace(1e6, 1e12, 9), np.geomspace(1e8, 1e13, 9)
TABLE_2 = published("kaplan2020 table 2").values
ADDITIVE = published("besiroglu2024").values


def test_kappa_at_one_is_chinchilla():
    values = {"E": ADDITIVE["E"], "A": ADDITIVE["A"], "a": ADDITIVE["alpha"], "B": ADDITIVE["B"], "b": ADDITIVE["beta"]}
    np.testing.assert_allclose(LAWS["kappa"](N, D, kappa=1.0, **values), LAWS["chinchilla"](N, D, **ADDITIVE), rtol=1e-14)


def test_kappa_without_offset_is_kaplan():
    a = TABLE_2["alpha_N"] / TABLE_2["alpha_D"]
    values = {"A": TABLE_2["N_c"] ** a, "a": a, "B": TABLE_2["D_c"], "b": 1.0, "kappa": TABLE_2["alpha_D"]}
    np.testing.assert_allclose(LAWS["kappa"](N, D, E=0.0, **values), LAWS["kaplan_nd"](N, D, **TABLE_2), rtol=1e-12)


def test_endless_data_is_the_size_law():
    size = LAWS["kaplan_n"](N, N_c=TABLE_2["N_c"], alpha_N=TABLE_2["alpha_N"])
    np.testing.assert_allclose(LAWS["kaplan_nd"](N, 1e60, **TABLE_2), size, rtol=1e-12)


def test_endless_steps_are_the_size_law():
    table = published("kaplan2020 table 3").values
    size = LAWS["kaplan_n"](N, N_c=table["N_c"], alpha_N=table["alpha_N"])
    np.testing.assert_allclose(LAWS["kaplan_ns"](N, 1e60, **table), size, rtol=1e-12)


def test_hyperbola_of_steps_and_examples():
    B = np.geomspace(1e4, 1e8, 9)
    S = LAWS["steps_to_loss"](B, S_least=5e3, B_crit=1e6)
    E, E_min = B * S, 1e6 * 5e3
    np.testing.assert_allclose((S / 5e3 - 1) * (E / E_min - 1), 1.0, rtol=1e-9)
    np.testing.assert_allclose(LAWS["minimum_steps"](S, B, B_crit=1e6), 5e3, rtol=1e-12)
    assert LAWS["critical_batch_of_minima"](E_min, 5e3) == 1e6


def test_extremes_of_the_batch():
    assert LAWS["minimum_compute"](1e20, 1.0, B_crit=1e6) == pytest.approx(1e20, rel=1e-5)
    assert LAWS["minimum_compute"](1e20, 1e6, B_crit=1e6) == 5e19
    assert LAWS["minimum_steps"](1e4, 1e12, B_crit=1e6) == pytest.approx(1e4, rel=1e-5)


def test_learning_curves_contain_each_other():
    x, power = np.geomspace(1e2, 1e9, 15), {"beta": 3.0, "c": 0.4}
    plain = LAWS["m1"](x, **power)
    np.testing.assert_allclose(LAWS["m2"](x, E=0.0, **power), plain)
    np.testing.assert_allclose(LAWS["m3"](x, gamma=0.0, **power), plain)
    # M4 far from random guessing, with alpha = 0 the transformed loss is the loss itself.
    np.testing.assert_allclose(LAWS["m4"](x, E=0.1, gap=1e6, alpha=1e-12, **power), 0.1 + plain, rtol=1e-6)


@pytest.mark.parametrize("alpha", [0.2, 0.5, 1.0, 1.7, 4.0])
def test_m4_solves_its_equation(alpha):
    x, known = np.geomspace(1.0, 1e9, 40), {"beta": 3.0, "c": 0.4}
    loss = LAWS["m4"](x, E=0.1, gap=0.9, alpha=alpha, **known)
    assert ((loss > 0.1) & (loss < 1.0)).all()
    np.testing.assert_allclose((loss - 0.1) / (1.0 - loss) ** alpha, 3.0 * x**-0.4, rtol=1e-6)


def test_a_break_far_away_is_no_break():
    x = np.geomspace(1e2, 1e6, 9)
    far = LAWS["bnsl"](x, E=0.5, b=2.0, c0=0.3, d1=1e30, c1=1.0, f1=0.2)
    np.testing.assert_allclose(far, 0.5 + 2.0 * x**-0.3, rtol=1e-12)


def test_a_break_adds_its_exponent():
    x = np.array([1e10, 1e11])
    low, high = LAWS["bnsl"](x, E=0.0, b=2.0, c0=0.3, d1=1e3, c1=0.4, f1=0.1)
    assert -np.log10(high / low) == pytest.approx(0.7, rel=1e-9)


def test_early_stopping_bound():
    gap = LAWS["kaplan_nd"](1e9, 1e9, **TABLE_2), LAWS["kaplan_n"](1e9, N_c=TABLE_2["N_c"], alpha_N=TABLE_2["alpha_N"])
    steps = LAWS["stopping_step"](*gap, S_c=2.1e3, alpha_S=0.76)
    assert (2.1e3 / steps) ** 0.76 == pytest.approx(gap[0] - gap[1])


def test_a_curve_at_a_batch_solves_its_own_equation():
    rng = np.random.default_rng(1)
    N, S, B = 10 ** rng.uniform((2, 0, 2), (12, 8, 8), (5000, 3)).T
    table = published("kaplan2020 table 3").values
    for alpha_S, alpha_B, B_star in ((0.76, 0.21, 2.1e8), (0.3, 0.5, 1e5), (1.2, 0.12, 1e9)):
        batch = {"B_star": B_star, "alpha_B": alpha_B}
        table |= {"alpha_S": alpha_S}
        loss = LAWS["kaplan_nsb"](N, S, B, **batch, **table)
        steps = LAWS["minimum_steps"](S, B, B_crit=LAWS["critical_batch"](loss, **batch))
        np.testing.assert_allclose(LAWS["kaplan_ns"](N, steps, **table), loss, rtol=1e-12)
        np.testing.assert_allclose(
            LAWS["kaplan_nsb"](N, S, 1e60, **batch, **table), LAWS["kaplan_ns"](N, S, **table), rtol=1e-12
        )


@pytest.mark.parametrize("E", [0.0, 0.8])
def test_required_data_keep_the_excess(E):
    table = published("kaplan2020 table 2").values | {"E": E}
    tokens = LAWS["data_requirement"](1e9, excess=0.02, **table)
    limited, endless = (LAWS["kaplan_nd"](1e9, data, **table) for data in (tokens, 1e60))
    assert limited / endless - 1 == pytest.approx(0.02, rel=1e-6)
    assert LAWS["overfitting"](1e9, tokens, **table) == pytest.approx(0.02, rel=1e-9)


def test_repetition_of_nothing_is_the_law_without_it():
    known = {"E": 1.9, "A": 520.0, "alpha": 0.35, "B": 1500.0, "beta": 0.35}
    once = LAWS["chinchilla"](1e9, 2e10, **known)
    assert LAWS["repeated"](1e9, 2e10, 2e10, R_D=15.0, **known) == pytest.approx(once)
    assert LAWS["repeated"](1e9, 2e10, 9e10, R_D=15.0, **known) == pytest.approx(once)  # the rest was never seen
    assert LAWS["repeated"](1e9, 2e10, 1e9, R_D=1e9, **known) == pytest.approx(once)  # repetition costs nothing


def test_excess_parameters_that_count_in_full_are_the_law_without_them():
    known = {"E": 1.9, "A": 520.0, "alpha": 0.35, "B": 1500.0, "beta": 0.3, "R_D": 15.0}
    plain = LAWS["repeated"](N, 4e9, 1e9, **known)
    np.testing.assert_allclose(LAWS["repeated_excess"](N, 4e9, 1e9, R_N=1e12, **known), plain, rtol=1e-9)
    small, large = LAWS["repeated_excess"](N, 4e9, 1e9, R_N=5.0, **known)[[0, -1]]
    assert small == pytest.approx(plain[0], rel=1e-12)  # a model that fits its data has no excess
    assert large > plain[-1]


def test_a_penalty_of_nothing_or_for_nothing_is_the_law_without_it():
    known = {"E": 1.9, "A": 520.0, "alpha": 0.35, "B": 1500.0, "beta": 0.35}
    penalty = {"P": 0.01, "delta": 0.8, "kappa": 0.6}
    once = LAWS["chinchilla"](N, 2e10, **known)
    np.testing.assert_allclose(LAWS["repeated_penalty"](N, 2e10, 2e10, **penalty, **known), once, rtol=1e-12)
    np.testing.assert_allclose(LAWS["repeated_penalty"](N, 2e10, 1e9, **penalty | {"P": 0.0}, **known), once, rtol=1e-12)
    added = LAWS["repeated_penalty"](1e9, 2e9, 1e9, **penalty, **known) - LAWS["chinchilla"](1e9, 2e9, **known)
    assert added == pytest.approx(0.01)  # one repetition, as many parameters as distinct tokens


def test_an_endless_ceiling_is_kappa_and_guessing_is_the_most():
    known = {"E": 0.2, "A": 500.0, "a": 0.5, "B": 900.0, "b": 0.5, "kappa": 0.6}
    np.testing.assert_allclose(LAWS["ceiling"](N, D, gap=1e60, **known), LAWS["kappa"](N, D, **known), rtol=1e-12)
    assert LAWS["ceiling"](1e-30, 1e-30, gap=0.8, **known) == pytest.approx(1.0)


def test_farseer_that_does_not_change_with_size_is_a_power_of_the_data():
    flat = {"E": 1.9, "s": 0.0, "q": 0.13, "B": 1500.0, "t": 0.0, "b": 0.17, "beta": 0.35, "r": 0.0, "a": 0.05}
    np.testing.assert_allclose(LAWS["farseer"](N, D, **flat), 1.9 + 1500.0 * D**-0.35, rtol=1e-12)


def test_priors_of_farseer_are_stated_for_the_model_of_the_reference():
    law, at = LAWS["farseer"], {"N": 1e9, "D": 1e10}
    paper = published("farseer2025").values
    there, step = law.at_reference(paper, at), 1e-5

    def slope(function, x):
        return (np.log(function(x * np.exp(step))) - np.log(function(x * np.exp(-step)))) / (2 * step)

    def limit(size):
        return law(size, 1e300, **paper)

    def data(size, tokens):
        return law(size, tokens, **paper) - limit(size)

    assert limit(1e9) == pytest.approx(there["E"])
    assert slope(limit, 1e9) == pytest.approx(-there["s"], rel=1e-6)
    assert data(1e9, 1e10) == pytest.approx(there["B"])
    assert slope(lambda tokens: data(1e9, tokens), 1e10) == pytest.approx(-there["beta"], rel=1e-6)
    assert slope(lambda size: data(size, 1.0), 1e9) == pytest.approx(-there["t"], rel=1e-6)
    exponent = lambda size: -slope(lambda tokens: data(size, tokens), 1e10)  # noqa: E731
    assert slope(exponent, 1e9) == pytest.approx(-there["r"], rel=1e-3)


def test_a_law_of_dense_models_is_a_mixture_of_one_expert():
    paper = published("ludziejewski2025").values
    experts = np.log(2.0732)
    dense = {
        "E": paper["E"],
        "A": paper["A"] * np.exp(-paper["delta"] * experts),
        "alpha": paper["alpha"] - paper["gamma"] * experts,
        "B": paper["B"] * np.exp(paper["omega"] * experts),
        "beta": paper["beta"] + paper["zeta"] * experts,
    }
    np.testing.assert_allclose(LAWS["moe"](N, N, D, **paper), LAWS["chinchilla"](N, D, **dense), rtol=1e-9)


def test_steps_of_batches_are_stated_where_they_are_measured():
    law, at = LAWS["steps_of_batches"], {"B": 1e6, "L": 3.0}
    known = {"S_least": 5000.0, "B_star": 2.1e8, "alpha_B": 0.21}
    assert law(1e6, 3.0, **known) == pytest.approx(law.at_reference(known, at)["S_least"])
    assert law(1e6, 3.0, **known) == LAWS["steps_in_scan"](1e6, 3.0, **known)


def test_a_scan_of_data_is_a_scan_at_its_own_critical_batch():
    least = {"S_least": 500.0, "B_one": 0.3, "gamma_B": 0.6}
    critical = (0.3 * 500.0**0.6) ** (1 / 0.4)
    assert critical == pytest.approx(LAWS["critical_batch_of_data"](critical * 500.0, B_one=0.3, gamma_B=0.6))
    assert LAWS["steps_in_scan_of_data"](critical, **least) == pytest.approx(1000.0)


@pytest.mark.parametrize(
    ("name", "best", "cost"), [("off_best_batch", "B_one", "batch_cost"), ("off_best_size", "N_one", "size_cost")]
)
def test_a_parabola_has_its_best_where_the_power_says(name, best, cost):
    power = {"off_best_batch": "gamma_B", "off_best_size": "size_power"}[name]
    known = {"L_least": 2.5, best: 0.4, power: 0.6, cost: 0.01}
    at = 0.4 * 1e10**0.6
    assert LAWS[name](at, 1e10, **known) == pytest.approx(2.5)
    assert LAWS[name](at * np.e, 1e10, **known) == pytest.approx(2.5 * np.exp(0.01))
