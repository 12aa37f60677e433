"""The sampler's coordinates are another way to say the same posterior: the density is worked out by hand beside it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytensor
import pytest
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.traversal import graph_inputs
from scipy import stats

from bayes_scaling.inference import build_model
from bayes_scaling.inference.build import build
from bayes_scaling.laws import LAWS
from bayes_scaling.model.document import Model, read_model, shipped_models
from bayes_scaling.model.grouping import member
from bayes_scaling.model.layout import Layout
from bayes_scaling.model.reference import is_proportional, terms_of
from bayes_scaling.quantities import QUANTITIES
from bayes_scaling.runs.table import read_runs
from tests.walks import walk_covariance, zero_of_several

PLAIN = pytensor.compile.Mode(linker="py", optimizer=None)
RUNS = read_runs(
    pd.DataFrame(
        {
            # The last two repeat one recipe; the first three are points of one run, the next two of another.
            "run_id": ["p", "p", "p", "q", "q", "r", "s", "t", "u"],
            "checkpoint": [True, True, False, True, False, False, False, False, False],
            "params": [*np.geomspace(1e7, 1e10, 8), 1e10],
            "params_total": [*np.geomspace(2e7, 6e10, 8), 6e10],
            "tokens": [1e9, 3e9, 1e10, 1e9, 1e11, 1e9, 1e11, 1e11, 1e11],
            "dataset_tokens": [*np.tile([1e9, 1e10], 4), 1e10],
            "loss": np.linspace(4.0, 2.2, 9),
            "loss_se": 0.01,
            "group": list("aabbccabb"),
        }
    )
)


ONE_TABLE = [n for n in shipped_models() if read_model(n).is_one and read_model(n).only.table == "runs"]
"""Models of one observation of runs."""
SAME = {"recipe": [[7, 8]]}
"""Rows that share a part of the noise."""
ALONG = [[0, 1, 2], [3, 4]]
"""Rows that lie along a run."""


def believed(prior, value):
    """Log density of the logarithm of a positive number."""
    given = prior.arguments
    density = {
        "LogNormal": lambda: stats.norm.logpdf(np.log(value), given["mu"], given["sigma"]),
        "HalfNormal": lambda: stats.halfnorm.logpdf(value, scale=given["sigma"]) + np.log(value),
        "Gamma": lambda: stats.gamma.logpdf(value, given["alpha"], scale=1 / given["beta"]) + np.log(value),
        "Weibull": lambda: stats.weibull_min.logpdf(value, given["alpha"], scale=given["beta"]) + np.log(value),
        # Of the log odds, for a number between 0 and 1.
        "Uniform": lambda: np.log(value) + np.log1p(-value),
        "HalfCauchy": lambda: stats.halfcauchy.logpdf(value, scale=given["beta"]) + np.log(value),
    }
    return density[prior.dist]()


def by_hand(spec, at):
    """Log density of a model document, from its unknowns alone."""
    layout, law = Layout.of(spec, {"loss": RUNS.table}), spec.only.the_law
    groups = layout.only.groups
    total, values = 0.0, {}
    for name, parameter in spec.parameters.items():
        effects = []
        if parameter.varies_by:
            total += believed(parameter.spread, at[f"{name}_spread_group"])
            effect = at[f"{name}_effect_group"]
            total += stats.norm.logpdf(effect / at[f"{name}_spread_group"]).sum()
            effects = [effect]
            centre = at[f"{name}_population"]
        else:
            centre = at.get(f"{name}_at_reference", at[name])
        total += believed(parameter.prior, centre / layout.units.get(name, 1.0))
        values[name] = member(centre, effects)
    published = law.from_reference(values, layout.reference)
    of_run = {n: np.broadcast_to(v, len(groups.cells) or 1)[groups.of_run] for n, v in published.items()}
    expected = law(*(RUNS.table[c].to_numpy() for c in spec.only.columns.values()), **of_run)
    likelihood, residual = spec.only.likelihood, np.log(RUNS.table["loss"]) - np.log(expected)
    level = np.ones(len(expected))
    if likelihood.growth is not None:
        level = (expected / np.exp(np.log(RUNS.table["loss"]).mean())) ** at["growth"]
        total += believed(likelihood.growth, at["growth"])
        if likelihood.floor is not None:
            level = np.sqrt(at["floor"] ** 2 + (1 - at["floor"] ** 2) * level**2)
            total += believed(likelihood.floor, at["floor"])
    error = 0.01 / RUNS.table["loss"].to_numpy()
    scale = np.hypot(at["sigma"] * level, error)
    total += believed(likelihood.sigma, at["sigma"])
    if not spec.only.discrepancy:
        if likelihood.dist == "Normal":
            return total + stats.norm.logpdf(residual, scale=scale).sum()
        return total + (stats.t.logpdf(residual / scale, at["nu"]) - np.log(scale)).sum() + believed(likelihood.nu, at["nu"])
    covariance = np.asarray(at["sigma"] * level) ** 2
    for name in spec.only.noise:
        covariance = covariance + (at[f"noise_scale_{name}"] * level) ** 2 * ~np.isin(np.arange(len(RUNS)), SAME[name])
    covariance = np.diag(covariance)
    correlation = spec.only.correlation
    if correlation is not None:
        total += believed(correlation.length, at["length"])
        for name in ("run_share", "nugget"):
            prior = getattr(correlation, name)
            total += believed(prior, at[name]) if prior is not None else 0.0
        if correlation.nugget is not None:
            error = np.hypot(error, at["nugget"] * level)
        place = np.log(RUNS.table[correlation.along].to_numpy())
        for rows in ALONG:
            block = np.ix_(rows, rows)
            apart = np.abs(place[rows][:, None] - place[rows])
            fading = np.exp(-apart / at["length"])
            together = fading + at["run_share"] * (1 - fading) if correlation.run_share is not None else fading
            covariance[block] = np.sqrt(np.outer(*[np.diag(covariance)[rows]] * 2)) * together
    covariance += np.diag(error**2)  # each row's own, outside the correlated part
    for symbol, walk in spec.only.discrepancy.items():
        tau = at[f"discrepancy_scale_{symbol}"]
        total += believed(walk.scale, tau)
        label = RUNS.table[list(walk.by)].agg(":".join, axis=1).to_numpy() if walk.by else np.zeros(len(RUNS))
        column = RUNS.table[QUANTITIES[symbol].column].to_numpy()
        zero = zero_of_several(column, walk.smooth) if walk.by else float(np.log10(column).mean())
        for one in np.unique(label):
            block = np.ix_(label == one, label == one)
            apart = walk_covariance(column[label == one], walk.smooth, origin=zero)
            covariance[block] += tau**2 * np.outer(level, level)[block] * apart
    for name, part in spec.only.noise.items():
        tau = at[f"noise_scale_{name}"]
        total += believed(part.scale, tau)
        for rows in SAME[name]:
            block = np.ix_(rows, rows)
            covariance[block] += tau**2 * np.outer(level, level)[block]
    return total + stats.multivariate_normal.logpdf(residual, cov=covariance)


@pytest.mark.parametrize("name", ONE_TABLE)
def test_the_density_is_the_document_s(name):
    check_density(read_model(name))


WEIBULL = {"dist": "Weibull", "alpha": 3.0, "beta": 0.5}
CAUCHY = {"dist": "HalfCauchy", "beta": 0.4}


@pytest.mark.parametrize("name", ["chinchilla", "kappa_by_group", "kaplan_n"])
def test_the_density_has_any_distribution_of_pymc(name):
    document = read_model(name).model_dump(mode="json", exclude_none=True)
    terms = terms_of(read_model(name))
    for number, stated in enumerate(document["parameters"].values()):
        stated["prior"] = (WEIBULL, CAUCHY)[number % 2]
        if stated.get("varies_by"):
            stated["spread"] = CAUCHY
    document["observations"][0]["likelihood"]["sigma"] = CAUCHY
    spec = Model.model_validate(document)
    assert terms_of(spec) == terms  # sampled together as before
    check_density(spec)


def check_density(spec):
    model = build_model(spec, RUNS)
    log_density = model.compile_logp(mode=PLAIN)
    unknowns = [v for v in model.unobserved_RVs if "_z_" not in v.name]
    evaluate = model.compile_fn(model.replace_rvs_by_values(unknowns), mode=PLAIN, on_unused_input="ignore")
    rng = np.random.default_rng(3)
    start, differences = model.initial_point(), []
    for _ in range(4):
        point = {n: value + 0.3 * rng.standard_normal(np.shape(value)) for n, value in start.items()}
        at = dict(zip([v.name for v in unknowns], evaluate(point), strict=True))
        differences.append(float(log_density(point)) - by_hand(spec, at))
    # Equal up to a constant: the change of coordinates has a determinant of one everywhere.
    np.testing.assert_allclose(differences, differences[0], rtol=0, atol=1e-7)


@pytest.mark.parametrize("name", ["chinchilla", "kappa_by_group", "kaplan_nd"])
def test_the_start_is_a_plausible_loss(name):
    start = build_model(read_model(name), RUNS).initial_point()
    assert 0.4 < np.exp(start["log_loss_at_reference"]) < 2.7  # of the typical loss


def test_what_is_sampled_together():
    assert terms_of(read_model("chinchilla")) == ("E", "A", "B")
    assert terms_of(read_model("kaplan_nd")) == ("N_c", "D_c")
    assert terms_of(read_model("kaplan_n")) == ()
    for name in ("chinchilla", "kappa", "kaplan_nd", "kaplan_ns", "bnsl"):
        law = LAWS[name]
        assert is_proportional(law, [n for n, kind in law.parameters.items() if kind.unit == "loss"], law.parameters)


@pytest.mark.parametrize(
    "changed",
    [
        ("parameters.E", 'prior = { dist = "Uniform", lower = 1.0, upper = 2.5 }'),
        ("parameters.B", "fixed = 410.7"),
    ],
)
def test_bounded_and_fixed_terms_are_sampled_as_they_are(tmp_path, changed):
    table, line = changed
    text = read_model("chinchilla").to_toml()
    start = text.index(f"[{table}]")
    end = text.index("\n[parameters", text.index("\n\n", text.index(".prior]", start)))
    (tmp_path / "model.toml").write_text(f"{text[:start]}[{table}]\n{line}\n{text[end:]}")
    spec = read_model(tmp_path / "model.toml")
    assert terms_of(spec) == ()
    model = build_model(spec, RUNS)
    assert np.isfinite(model.compile_logp(mode=PLAIN)(model.initial_point()))


@pytest.mark.parametrize("name", ONE_TABLE)
def test_a_compiled_model_reads_exactly_what_its_tables_hand_over(name):
    """Other tables are given to it by these names: one too many is refused, one too few would stay that of the first table."""
    layout = Layout.of(read_model(name), {"loss": RUNS.table})
    built = build(layout)
    read = {variable.name for variable in graph_inputs([built.logp()]) if isinstance(variable, SharedVariable)}
    assert read - set(built.coords) == set(layout.data())
