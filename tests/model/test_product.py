"""Everything composes: observations, groups, discrepancy, shared noise, correlation with a nugget, likelihood, growth.

The density of every composition is held against a dense multivariate Normal (or Student-t) worked out here from the
table, and what cannot be integrated in closed form is refused by the document.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import pytensor
import pytest
from scipy import stats

from bayes_scaling.errors import InvalidSpecification
from bayes_scaling.inference.build import build
from bayes_scaling.laws import LAWS
from bayes_scaling.model.document import Model
from bayes_scaling.model.layout import Layout
from tests.walks import walk_covariance, zero_of_several

PLAIN = pytensor.compile.Mode(linker="py", optimizer=None)
TABLE = pd.DataFrame(
    {
        "run_id": list("aaabbcdefg"),
        "params": [1e8, 1e8, 1e8, 3e8, 3e8, 1e9, 1e9, 1e9, 2e9, 4e9],
        "tokens": [1e9, 2e9, 5e9, 3e9, 9e9, 2e10, 2e10, 4e10, 4e10, 1e11],
        "recipe": list("pppqqrrstu"),
        "group": list("xxxyyxxyyx"),
        "loss": np.linspace(3.4, 2.2, 10),
        "loss_se": [0.01, 0.02, 0.01, 0.01, 0.03, 0.01, 0.02, 0.01, 0.01, 0.02],
    }
)
TABLE["compute_flops"] = 6 * TABLE["params"] * TABLE["tokens"]
PRIOR = {"dist": "LogNormal", "mu": -1.0, "sigma": 0.5}
SMOOTH = 0.4
SMALL = {"dist": "LogNormal", "mu": -3.5, "sigma": 0.5}
SHARE = {"dist": "Uniform", "lower": 0.0, "upper": 1.0}
PARAMETERS = {"E": "LogNormal", "A": "LogNormal", "alpha": "LogNormal", "B": "LogNormal", "beta": "LogNormal"}
CASES = [
    dict(zip(("several", "groups", "discrepancy", "shared", "correlation", "growth", "normal"), on, strict=True))
    for on in product((False, True), repeat=7)
    if sum(on[1:6]) in (0, 1, 2, 5) and (not on[0] or sum(on[1:6]) in (1, 5))
]


def document(case: dict[str, bool]) -> dict:
    """Return the document of a composition."""
    likelihood = {"dist": "Normal", "sigma": SMALL} if case["normal"] else {"dist": "StudentT", "nu": 4.0, "sigma": SMALL}
    likelihood |= {"growth": PRIOR, "floor": SHARE} if case["growth"] else {}
    observation = {"law": "chinchilla", "likelihood": likelihood}
    if case["discrepancy"]:
        by = {"by": "group"} if case["groups"] else {}
        observation["discrepancy"] = {"C": {"scale": SMALL, "smooth": SMOOTH, **by}, "N": {"scale": SMALL, "smooth": SMOOTH}}
    if case["shared"]:
        observation["noise"] = {"recipe": {"by": "recipe", "scale": SMALL}}
    if case["correlation"]:
        observation["correlation"] = {"along": "tokens", "length": PRIOR, "run_share": SHARE, "nugget": SMALL}
    varying = {"varies_by": "group", "spread": SMALL} if case["groups"] else {}
    parameters = {name: {"prior": PRIOR} for name in PARAMETERS}
    parameters["E"] |= varying
    parameters["alpha"] |= varying
    observations = [observation | {"name": name} for name in ("one", "two")] if case["several"] else [observation]
    return {"reference": {"N": 1e9, "D": 1e10}, "parameters": parameters, "observations": observations}


def walk(column: str, *, by_group: bool = False) -> np.ndarray:
    """Covariance of a walk from the middle of the rows, at scale one; of each group alone, from one place for all."""
    place = TABLE[column].to_numpy()
    if not by_group:
        return walk_covariance(place, SMOOTH)
    whole = np.zeros((len(TABLE), len(TABLE)))
    for label in "xy":
        rows = np.flatnonzero(TABLE["group"] == label)
        whole[np.ix_(rows, rows)] = walk_covariance(place[rows], SMOOTH, origin=zero_of_several(place, SMOOTH))
    return whole


def same(column: str) -> np.ndarray:
    return (TABLE[column].to_numpy()[:, None] == TABLE[column].to_numpy()).astype(float)


def dense(case: dict[str, bool], at: dict[str, np.ndarray], suffix: str) -> float:
    """Return the log density of one observation, worked out densely from the table."""

    def of_it(name: str) -> float:
        return float(at[f"{name}_{suffix}" if suffix else name])

    values = {name: at.get(f"{name}_population", at.get(f"{name}_at_reference", at[name])) for name in PARAMETERS}
    group = (TABLE["group"] == "y").to_numpy().astype(int)
    for name in ("E", "alpha") if case["groups"] else ():
        centre = at[f"{name}_population"] if f"{name}_population" in at else at[name]
        values[name] = centre * np.exp(at[f"{name}_effect_group"][group])
    law = LAWS["chinchilla"]
    parameters = law.from_reference(values, {"N": 1e9, "D": 1e10})
    expected = law(TABLE["params"].to_numpy(), TABLE["tokens"].to_numpy(), **parameters)
    residual = np.log(TABLE["loss"].to_numpy() / expected)
    typical = np.exp(np.log(TABLE["loss"]).mean())
    grown = np.ones(len(TABLE))
    if case["growth"]:
        floor = of_it("floor")
        grown = np.sqrt(floor**2 + (1 - floor**2) * (expected / typical) ** (2 * of_it("growth")))
    error = (TABLE["loss_se"] / TABLE["loss"]).to_numpy()
    own = np.full(len(TABLE), of_it("sigma") ** 2)
    if not case["normal"]:
        scale = np.sqrt(own * grown**2 + error**2)
        return float((stats.t.logpdf(residual / scale, 4.0) - np.log(scale)).sum())
    covariance = np.zeros((len(TABLE), len(TABLE)))
    if case["shared"]:
        repeated = TABLE["recipe"].duplicated(keep=False).to_numpy()
        own = own + of_it("noise_scale_recipe") ** 2 * ~repeated
        covariance += of_it("noise_scale_recipe") ** 2 * same("recipe") * np.outer(repeated, repeated)
    correlated = np.diag(own)
    if case["correlation"]:
        place = np.log(TABLE["tokens"].to_numpy())
        share = of_it("run_share")
        fading = np.exp(-np.abs(place[:, None] - place) / of_it("length"))
        along = (share + (1 - share) * fading) * same("run_id")
        correlated = np.sqrt(np.outer(own, own)) * along
        error = np.hypot(error, of_it("nugget") * grown)
    covariance += correlated
    if case["discrepancy"]:
        covariance += of_it("discrepancy_scale_C") ** 2 * walk("compute_flops", by_group=case["groups"])
        covariance += of_it("discrepancy_scale_N") ** 2 * walk("params")
    covariance = covariance * np.outer(grown, grown) + np.diag(error**2)
    return float(stats.multivariate_normal.logpdf(residual, cov=covariance))


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(name for name, on in case.items() if on) or "plain")
def test_a_composition_is_its_dense_density_or_refused(case):
    integrated = case["discrepancy"] or case["shared"] or case["correlation"]
    if integrated and not case["normal"]:
        with pytest.raises(Exception, match="has to be Normal") as error:
            Model.model_validate(document(case))
        assert isinstance(error.value, ValueError | InvalidSpecification)
        return
    model = Model.model_validate(document(case))
    layout = Layout.of(model, {observation.name: TABLE for observation in model.observations})
    built = build(layout)
    observed = [name for name in built.named_vars if name.startswith("measured")]
    density = built.compile_fn(
        built.logp(vars=[built[name] for name in observed], sum=False),
        mode=PLAIN,
        inputs=built.value_vars,
        on_unused_input="ignore",
    )
    unknowns = [v for v in built.unobserved_RVs if "_z_" not in v.name]
    evaluate = built.compile_fn(
        built.replace_rvs_by_values(unknowns), mode=PLAIN, inputs=built.value_vars, on_unused_input="ignore"
    )
    rng = np.random.default_rng(2)
    point = {n: value + 0.2 * rng.standard_normal(np.shape(value)) for n, value in built.initial_point().items()}
    at = dict(zip([v.name for v in unknowns], evaluate(point), strict=True))
    found = dict(zip(observed, (float(np.sum(term)) for term in density(point)), strict=True))
    for observation in model.observations:
        suffix = model.suffix(observation)
        name = f"measured_{suffix}" if suffix else "measured"
        assert found[name] == pytest.approx(dense(case, at, suffix), rel=1e-9), name
