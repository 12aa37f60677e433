"""Published and derived numbers, each with the place it comes from; rounded ones to their last digit."""

from __future__ import annotations

import numpy as np
import pytest

from bayes_scaling.laws import LAWS
from bayes_scaling.laws.constants import published
from bayes_scaling.quantities import PF_DAY, tokens_at

TABLE_2 = published("kaplan2020 table 2").values
TABLE_3 = published("kaplan2020 table 3").values
BATCH = published("kaplan2020 eq 1.4").values
SIZE = {k: TABLE_2[k] for k in ("N_c", "alpha_N")}
EXACT = {"rel": 1e-3}


def rounded(value, digits):
    """Agree to half a unit of the last quoted digit."""
    last = 10.0 ** (np.floor(np.log10(value)) - digits + 1)
    return pytest.approx(value, abs=0.501 * last)


@pytest.mark.parametrize(
    ("N", "D", "loss", "endless"),
    [(1.5e9, 23e9, 2.3101, 2.2485), (1e8, 1e9, 2.9567, 2.7623), (1e9, 22e9, 2.3693, 2.3188)],
)
def test_kaplan_nd_table_2(N, D, loss, endless):
    assert LAWS["kaplan_nd"](N, D, **TABLE_2) == pytest.approx(loss, **EXACT)
    assert LAWS["kaplan_n"](N, **SIZE) == pytest.approx(endless, **EXACT)
    excess = LAWS["overfitting"](N, D, **TABLE_2)
    assert excess == pytest.approx(loss / endless - 1, rel=3e-3)


def test_kaplan_exponent_of_overfitting():
    assert TABLE_2["alpha_N"] / TABLE_2["alpha_D"] == pytest.approx(0.738, **EXACT)


def test_data_requirement_is_about_a_relative_excess():
    # (4.4) says 5e3 N^0.74 for "about .02": relative gives 5.5e3, .02 nats would need three to four times more.
    relative = LAWS["data_requirement"](1.0, excess=0.02, **TABLE_2)
    assert relative == rounded(5.5e3, 2)
    for N, absolute in ((1e9, 1.35e4), (1e6, 2.31e4)):
        excess = 0.02 / LAWS["kaplan_n"](N, **SIZE)
        coefficient = LAWS["data_requirement"](N, excess=excess, **TABLE_2) / N ** (0.076 / 0.103)
        assert coefficient == pytest.approx(absolute, rel=5e-3)
    stated = published("kaplan2020 eq 4.4").values
    assert relative / stated["coefficient"] == pytest.approx(1.1, rel=0.01)


def test_kaplan_ns_table_3():
    assert LAWS["kaplan_ns"](1e9, 1e5, **TABLE_3) == pytest.approx(2.4005, **EXACT)


@pytest.mark.parametrize(("loss", "batch"), [(5, 9.86e4), (4, 2.85e5), (3, 1.12e6), (2.5, 2.67e6), (2, 7.74e6)])
def test_critical_batch(loss, batch):
    assert LAWS["critical_batch"](loss, **BATCH) == rounded(batch, 3)


def test_critical_batch_doubles_per_13_5_per_cent():
    assert 1 / BATCH["alpha_B"] == pytest.approx(4.762, **EXACT)
    assert 1 - 2 ** -BATCH["alpha_B"] == rounded(0.135, 3)


def test_compute_exponent_contradicts_itself_in_the_paper():
    exponents = {"alpha_B": 0.21, "alpha_S": 0.76}
    assert LAWS["compute_exponent"](alpha_N=0.076, **exponents) == rounded(0.0520, 3)
    assert LAWS["compute_exponent"](alpha_N=0.077, **exponents) == rounded(0.0525, 3)
    assert published("kaplan2020 section 6.4").values["alpha_C_min"] == 0.054
    assert published("kaplan2020 eq 1.3").values["alpha_C"] == 0.050


def test_exponents_of_size_batch_and_steps():
    alpha = LAWS["compute_exponent"](alpha_N=0.076, alpha_B=0.21, alpha_S=0.76)
    found = [alpha / a for a in (0.076, 0.21, 0.76)]
    assert found == [rounded(0.684, 3), rounded(0.248, 3), rounded(0.068, 2)]
    assert sum(found) == pytest.approx(1.0)


def test_scale_of_compute_is_half_of_what_the_paper_says():
    derived = LAWS["efficient_compute_scale"](B_star=BATCH["B_star"], **TABLE_3) / PF_DAY
    assert derived == rounded(1.61e8, 3)
    assert published("kaplan2020 eq 1.3").values["C_c"] / PF_DAY == pytest.approx(3.1e8)
    assert published("kaplan2020 figure 1").values["C_c"] / PF_DAY == pytest.approx(2.3e8)


def test_size_away_from_the_efficient_one():
    alphas = {"alpha_N": 0.077, "alpha_S": 0.76}
    cost, steps = LAWS["size_factor_cost"], LAWS["step_factor"]
    assert cost(size_factor=0.6, **alphas) == pytest.approx(1.165, **EXACT)
    assert cost(size_factor=2.2, **alphas) == pytest.approx(1.204, **EXACT)
    assert steps(size_factor=2.2, **alphas) == pytest.approx(0.547, **EXACT)
    assert cost(size_factor=1.0, **alphas) == 1.0
    assert LAWS["efficient_excess"](**alphas) == rounded(0.101, 3)


def test_efficient_training_is_consistent():
    # At the efficient size, (B.9) and C(N, L) are one: the loss stands alpha_N/alpha_S above the converged one,
    # and no other size reaches it with less compute.
    known = {**TABLE_3, "B_star": BATCH["B_star"], "alpha_B": BATCH["alpha_B"]}
    C = PF_DAY
    N = LAWS["efficient_params"](C, **known)
    loss = (1 + 0.077 / 0.76) * LAWS["kaplan_n"](N, N_c=TABLE_3["N_c"], alpha_N=TABLE_3["alpha_N"])
    assert LAWS["compute_to_loss"](N, loss, **known) == pytest.approx(C, rel=1e-9)
    nearby = LAWS["compute_to_loss"](N * np.array([0.8, 0.9, 1.1, 1.2]), loss, **known)
    assert (nearby > C).all()
    assert nearby[3] / C == pytest.approx(LAWS["size_factor_cost"](size_factor=1.2, alpha_N=0.077, alpha_S=0.76))


@pytest.mark.parametrize(
    ("record", "compute", "size", "loss"), [("table 6", 1.1e4, 1.2e12, 1.67), ("eq 6.7", 1e5, None, 1.49)]
)
def test_where_kaplan_laws_contradict_each_other(record, compute, size, loss):
    # L(D) of the data that efficient training sees meets L(C_min): below section 6.3 the paper says 1e4 PF-days.
    data, fastest = published(f"kaplan2020 {record}").values, published("kaplan2020 eq 1.3").values
    of_data = published("kaplan2020 eq 1.2").values
    grid = np.geomspace(1e2, 1e7, 200_001)
    tokens = data["D_e"] * grid ** data["D_power"]
    gap = LAWS["kaplan_d"](tokens, **of_data) - LAWS["kaplan_c_min"](grid * PF_DAY, **fastest)
    crossing = grid[np.argmin(np.abs(gap))]
    assert crossing == pytest.approx(compute, rel=0.07)
    assert LAWS["kaplan_c_min"](crossing * PF_DAY, **fastest) == rounded(loss, 3)
    if size:
        table = published("kaplan2020 table 6").values
        assert table["N_e"] * crossing ** table["N_power"] == rounded(size, 2)


def test_tokens_of_a_petaflop_day():
    # At the critical batch C = 2 C_min; Table 6's 2e10 tokens agree with it, equation (6.7)'s 4e10 do not.
    table = published("kaplan2020 table 6").values
    assert tokens_at(2 * PF_DAY, table["N_e"]) == rounded(2.2e10, 2)
    assert abs(np.log(tokens_at(2 * PF_DAY, table["N_e"]) / table["D_e"])) < 0.12
    assert published("kaplan2020 eq 6.7").values["D_e"] == 4e10


@pytest.mark.parametrize(
    ("record", "a", "first", "second"),
    [
        ("hoffmann2022 rounded", 0.452, (32.2e9, 2.98e12, 92.6), (213e9, 29.7e12)),
        ("hoffmann2022 unrounded", 0.457, (40.4e9, 2.38e12, 58.9), (273e9, 23.2e12)),
        ("besiroglu2024", 0.513, (72.3e9, 1.33e12, 18.4), (619e9, 10.2e12)),
    ],
)
def test_optimum_of_the_additive_law(record, a, first, second):
    values = published(record).values
    del values["E"]
    assert values["beta"] / (values["alpha"] + values["beta"]) == rounded(a, 3)
    for C, (N, D, *ratio) in ((5.76e23, first), (3.8e25, second)):
        size = LAWS["chinchilla_optimal_params"](C, **values)
        tokens = tokens_at(C, size)
        assert size == pytest.approx(N, rel=4e-3)
        assert tokens == pytest.approx(D, rel=5e-3)
        if ratio:
            assert tokens / size == pytest.approx(ratio[0], rel=2e-3)


def test_closed_form_optimum_is_the_minimum():
    values = published("besiroglu2024").values
    N = np.geomspace(1e9, 1e13, 400_001)
    best = N[np.argmin(LAWS["chinchilla"](N, tokens_at(5.76e23, N), **values))]
    del values["E"]
    assert LAWS["chinchilla_optimal_params"](5.76e23, **values) == pytest.approx(best, rel=1e-4)


def test_unrounded_and_muennighoff_constants():
    exact = published("hoffmann2022 unrounded").values
    assert [np.log(exact[k]) for k in "ABE"] == pytest.approx([6.0073404, 6.0179186, 0.5267228], rel=1e-6)
    other = published("muennighoff2023").values
    assert [np.log(other[k]) for k in "ABE"] == pytest.approx([6.255414, 7.3049974, 0.6254804], rel=1e-6)


def test_facts_without_a_law_are_as_published():
    assert published("muennighoff2023 repetition").values == {"R_D_star": 15.387756, "R_N_star": 5.309743}
    largest = published("hoffmann2022 table 3").values
    assert largest["D"] / largest["N"] == pytest.approx(22.4, abs=0.05)
    # (6.6) follows from (4.4) and Table 6: .74 times .73.
    data = published("kaplan2020 eq 6.6").values
    assert data["N_power"] * published("kaplan2020 table 6").values["N_power"] == rounded(data["C_power"], 2)
    step = published("steplaw2025").values
    assert [step[n] for n in ("lr_coefficient", "lr_power_N", "lr_power_D")] == [1.79, -0.713, 0.307]
    assert (step["batch_coefficient"], step["batch_power_D"]) == (0.58, 0.571)
    assert published("bergsma2025").values == {"batch_power_D": 0.383}
    steps = published("porian2024").values
    assert list(steps.values()) == [0.835, 0.706, 0.602, 0.571, 0.497]


@pytest.mark.parametrize(
    ("experts", "m", "mu", "n", "nu"),
    [
        (1, 30.3640, 0.1817, 53.9838, 0.1965),
        (2, 27.7982, 0.1780, 66.8401, 0.2065),
        (4, 24.8462, 0.1731, 87.7022, 0.2192),
        (8, 21.8330, 0.1676, 119.9126, 0.2338),
        (16, 19.0159, 0.1617, 167.5073, 0.2494),
        (32, 16.5424, 0.1557, 234.6726, 0.2652),
    ],
)
def test_experts_reduce_to_table_4_of_ludziejewski(experts, m, mu, n, nu):
    # Table 4 is what Table 3's rounded constants give at each number of experts, to 3e-3 of the coefficients.
    share = 1 + 9 / 13 * (experts - 1)
    paper, N, D = published("ludziejewski2025").values, np.array([1e8, 1e9]), np.array([1e9, 1e10])
    size = LAWS["moe"](N, share * N, 1e60, **paper) - paper["E"]
    data = LAWS["moe"](1e9, share * 1e9, D, **paper) - LAWS["moe"](1e9, share * 1e9, 1e60, **paper)
    assert -np.log10(size[1] / size[0]) == pytest.approx(mu, abs=1.5e-4)
    assert -np.log10(data[1] / data[0]) == pytest.approx(nu, abs=1.5e-4)
    assert size[1] * 1e9**mu == pytest.approx(m, rel=3e-3)
    assert data[1] * 1e10**nu == pytest.approx(n, rel=5e-3)


@pytest.mark.parametrize(
    ("compute", "experts", "params", "tokens"),
    [(1e20, 1, 1.7e9, 9.7e9), (1e20, 32, 669e6, 24.9e9), (1e21, 8, 3.8e9, 44.3e9), (1e22, 16, 13.2e9, 126.5e9)],
)
def test_experts_have_the_optima_of_table_1_of_ludziejewski(compute, experts, params, tokens):
    N = np.geomspace(1e8, 1e11, 20_001)
    share = 1 + 9 / 13 * (experts - 1)
    best = N[np.argmin(LAWS["moe"](N, share * N, tokens_at(compute, N), **published("ludziejewski2025").values))]
    assert best == pytest.approx(params, rel=0.04)
    assert tokens_at(compute, best) == pytest.approx(tokens, rel=0.04)


def test_the_released_code_of_muennighoff():
    # Models of Figure 1, right: what scaling_law() of the README returns.
    known = published("muennighoff2023").values | {"R_D": 15.387756, "R_N": 5.309743}
    assert LAWS["repeated_excess"](6.34e9, 242e9, 25e9, **known) == pytest.approx(2.2256440889984477, rel=1e-6)
    assert LAWS["repeated_excess"](8.67e9, 178e9, 25e9, **known) == pytest.approx(2.2269634075087867, rel=1e-6)
    # "MassiveText optimal": about twenty tokens fit a parameter where alpha is beta.
    fitting = LAWS["effective_params"](1e30, 1e9, 1e9, **{k: v for k, v in known.items() if k not in ("E", "R_D")})
    assert fitting / (1 + known["R_N"]) / 1e9 == pytest.approx(0.051, abs=5e-4)


def test_farseer_at_its_published_constants():
    # exp(a3 N^gamma + b3) + exp(a2 N^beta + b2) D^-exp(a1 N^alpha + b1), as the paper writes it.
    N, D = 1e9, 1e11
    limit = np.exp(-0.062465473 * N**0.13 + 0.1284880679442551)
    coefficient = np.exp(230.73437075885855 * N**-0.1729 - 1.544209554)
    exponent = np.exp(-1.665630816 * N**0.0458999999999619 + 3.133347198805445)
    found = LAWS["farseer"](N, D, **published("farseer2025").values)
    assert found == pytest.approx(limit + coefficient * D**-exponent, rel=1e-8)


def test_besiroglu_has_its_errors():
    a = published("besiroglu2024")
    assert a.constants["B"].se == 1293.0
    assert a.constants["beta"].interval == (0.331, 0.415)
    assert a.values["beta"] / (a.values["alpha"] + a.values["beta"]) == rounded(0.513, 3)


def test_the_rule_of_li_et_al():
    step = published("steplaw2025").values
    rule = {"lr_one": step["lr_coefficient"], "lr_N": -step["lr_power_N"], "lr_D": step["lr_power_D"]}
    batch = {"B_one": step["batch_coefficient"], "batch_D": step["batch_power_D"]}
    # 1.79 N^-0.713 D^0.307 and 0.58 D^0.571 at one billion parameters and a hundred billion tokens.
    assert LAWS["best_rate"](1e9, 1e11, **rule) == pytest.approx(1.79 * 10 ** (-0.713 * 9 + 0.307 * 11))
    assert LAWS["best_batch"](1e9, 1e11, **batch) == pytest.approx(0.58 * 10 ** (0.571 * 11))
    cost = {"lr_B": 0.5, "rate_cost": 0.1, "batch_cost": 0.08}
    lr, B = LAWS["best_rate"](1e9, 1e11, **rule), LAWS["best_batch"](1e9, 1e11, **batch)
    useful = LAWS["useful_tokens"]
    assert useful(1e9, 1e11, lr, B, **rule, **batch, **cost) == pytest.approx(1e11)
    assert useful(1e9, 1e11, np.e * lr, B, **rule, **batch, **cost) == pytest.approx(1e11 * np.exp(-0.1))
    # Four times the batch at twice the rate is off the batch alone.
    assert useful(1e9, 1e11, 2 * lr, 4 * B, **rule, **batch, **cost) == pytest.approx(1e11 * np.exp(-0.08 * np.log(4) ** 2))
    loss = {"E": 1.69, "A_N": 406.4, "alpha_N": 0.34, "A_D": 410.7, "alpha_D": 0.28}
    law = {"E": 1.69, "A": 406.4, "alpha": 0.34, "B": 410.7, "beta": 0.28}
    assert LAWS["off_best_rate"](1e9, 1e11, lr, B, **loss, **rule, **batch, **cost) == pytest.approx(
        LAWS["chinchilla"](1e9, 1e11, **law)
    )
