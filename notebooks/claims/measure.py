"""Fits every data set the page of claims is about, and keeps what it needs: `results.json` and the pictures.

    python -m notebooks.claims.measure [NAME ...]

Public tables are read from the folder that BAYES_SCALING_MIRROR names; they are no part of this repository.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import bayes_scaling as bs
from bayes_scaling.evaluation.compare import compare
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.questions.claims import claims
from bayes_scaling.questions.early_stopping import early_stopping
from bayes_scaling.questions.heterogeneity import agreement
from bayes_scaling.report.system_pictures import claims_figure, shape_figure
from notebooks.claims import draw

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
_EFFECTIVE = ("smallest bulk ESS", "effective sample size of the weights")
"""Checks of how many independent draws the draws are worth, of NUTS and of importance sampling."""


def public(name: str, suffix: str = "") -> pd.DataFrame:
    """Return a public table as it was tidied."""
    return pd.read_csv(Path(os.environ["BAYES_SCALING_MIRROR"]) / "tidy" / f"{name}{suffix}.csv")


def told(fit: Fit, **facts: Any) -> dict[str, Any]:
    """Return what the page says of a fit."""
    rows = (
        {o.name: len(fit.rows(o.name)) for o in fit.model.observations} if isinstance(fit, Fit) else {"runs": len(fit.table)}
    )
    adequacy = [c for c in fit.checks if c["about"] == "adequacy"]
    summary = bs.summarize(fit)
    return {
        "rows": rows,
        "converged": fit.converged,
        "verdict": fit.verdict,
        "failed": [c["check"] for c in adequacy if not c["passed"]],
        "checks": len(adequacy),
        "sampler": fit.facts["sampler"],
        "seconds": fit.facts["seconds_of_sampling"],
        "parameters": {
            str(n): [float(row[c]) for c in ("median", "lower", "upper", "contraction")] for n, row in summary.iterrows()
        },
        "claims": claims_of(fit),
        **facts,
    }


def claims_of(fit: Fit) -> dict[str, list[float]]:
    """Return the numbers that the page judges claims by, of those that follow from a fit."""
    try:
        table = claims(fit).set_index("claim")
    except bs.BayesScalingError:
        return {}
    return table[["median", "lower", "upper", "prior_lower", "prior_upper", "contraction"]].T.to_dict("list")


def ladder() -> dict[str, Any]:
    """Our own runs: the whole system, its parts alone, with and without an offset, the batch of loss or of data, shape, isoFLOP."""
    fit = bs.fit("ladder", "kaplan_system", seed=1)
    table = claims(fit)
    figure = claims_figure(table)
    offset = bs.fit("ladder", "kaplan_system_offset", seed=1)
    batches = bs.load_runs("ladder").where("series == 'batch'")
    of_loss, of_data = (
        bs.fit(batches, name, curves=bs.load_curves("ladder"), seed=1)
        for name in ("critical_batch", "critical_batch_of_data")
    )
    equal = bs.load_runs("ladder").where("series == 'compute'").table
    iso = bs.fit(with_budgets(equal, "{:.1g}"), HERE / "ladder_isoflop.toml", seed=1)
    effective = min(c["value"] for c in fit.checks if c["check"] in _EFFECTIVE)
    return told(
        fit,
        figure=draw.save(figure, "ladder"),
        effective=float(effective),
        alone=alone(fit, "ladder"),
        agreement=agreement(fit).to_dict("records"),
        offset=told(offset),
        prefer_offset=compare({"paper": fit, "offset": offset}).to_dict("records"),
        critical_batch=told(of_loss),
        critical_batch_of_data=told(of_data),
        prefer_data=compare({"of the loss": of_loss, "of the data": of_data}).to_dict("records"),
        stopping=early_stopping(fit).to_dict("records"),
        shape=told(bs.fit("ladder", "shape", seed=1)),
        isoflop=told(iso),
    )


def alone(joint: Fit, runs: Any, curves: bs.RunTable | None = None) -> dict[str, dict[str, Any]]:
    """Return the intervals that each observation gives by itself: parameters and claims, by observation."""
    found = {}
    for observation in joint.model.observations:
        used = {
            n: p.model_copy(update={"varies_by": (), "spread": None})
            for n, p in joint.model.parameters.items()
            if n in observation.the_law.parameters
        }
        system = joint.model.model_copy(update={"parameters": used, "observations": (observation,)})
        fit = bs.fit(runs, system, curves=curves, seed=1)
        summary = bs.summarize(fit)
        found[observation.name] = {
            "parameters": {n: [float(summary.loc[n, c]) for c in ("median", "lower", "upper")] for n in used},
            "claims": claims_of(fit),
            "converged": fit.converged,
        }
    return found


def with_budgets(table: pd.DataFrame, form: str) -> bs.RunTable:
    """Return runs of equal compute with a label for their budget, and how far above its best run each is."""
    table = table.assign(budget=table["compute_flops"].map(form.format)).reset_index(drop=True)
    return bs.read_runs(table.assign(above_best=table["loss"] / table.groupby("budget")["loss"].transform("min") - 1))


def shehper2023() -> dict[str, Any]:
    """A replication with seven tiny models: curves at one batch, and three sizes on five amounts of data."""
    points = public("shehper2023", ".curves")
    points["run_id"] = points["run_id"].str.replace("LNS", "LN")
    runs, points = bs.read_runs(public("shehper2023"), name="shehper2023"), bs.read_runs(points, name="curves")
    fit = bs.fit(runs, HERE / "shehper2023.toml", curves=points, seed=1)
    return told(fit, figure=draw.save(draw.curves(fit, "curves"), "shehper2023"), alone=alone(fit, runs, points))


def moser2025() -> dict[str, Any]:
    """Ten tiny models, their curves at one small batch."""
    runs, points = (bs.read_runs(public("moser2025", suffix), name="moser2025") for suffix in ("", ".curves"))
    fit = bs.fit(runs, HERE / "moser2025.toml", curves=points, seed=1)
    return told(fit, figure=draw.save(draw.curves(fit, "curves"), "moser2025"))


def olmo_ladder2024() -> dict[str, Any]:
    """Five sizes and five durations: ends, and curves while the rate is high, a point for each fifth in the logarithm."""
    runs, points = public("olmo_ladder2024"), public("olmo_ladder2024", ".curves")
    points["high_rate"] = points["lr"] >= 0.75 * points["run_id"].map(runs.set_index("run_id")["lr"])
    points["place"] = (np.log(points["steps"]) / 0.2).round()
    points = points[points["high_rate"]].groupby(["run_id", "place"], sort=False).head(1).reset_index(drop=True)
    runs, points = (bs.read_runs(table, name="olmo_ladder2024") for table in (runs, points))
    fit = bs.fit(runs, HERE / "olmo_ladder2024.toml", curves=points, seed=1)
    figure = draw.save(draw.ends(fit, "ends"), "olmo_ladder2024")
    return told(fit, figure=figure, agreement=agreement(fit).to_dict("records"), alone=alone(fit, runs, points))


RECIPE = {
    "rw|base-longwarmup-kaplan|train": ("Kaplan's recipe and count", (0.835, 0.82, 0.85)),
    "rw|base-longwarmup-kaplan|val": ("with the output layer counted", (0.706, 0.706, 0.706)),
    "rw|base-shortwarmup-kaplan|val": ("and a short warm-up", (0.602, 0.602, 0.602)),
    "rw|base-shortwarmup-chinchilla|val": ("and decay for the run's length", (0.571, 0.571, 0.571)),
    "rw|tuned-shortwarmup-const|val": ("or rate, batch and beta tuned", (0.497, 0.49, 0.50)),
    "rw|tuned-longwarmup-const|train": ("tuned, long warm-up, Kaplan's count", None),
}
"""The set-ups of porian2024, what they are, and the published exponent with its interval where there is one."""


def porian2024() -> dict[str, Any]:
    """Six set-ups from Kaplan's recipe to Chinchilla's: the exponent of the best size, step by step."""
    table, ours, fits = public("porian2024"), [], {}
    for group, (name, _) in RECIPE.items():
        runs = table[table["group"] == group]
        if (runs["param_count"] == "standard").all():
            runs = runs.assign(params=runs["params_total"])
        runs = with_budgets(runs.drop(columns=["params_total"]), "{:.3g}")
        fit = bs.fit(runs, HERE / "porian2024.toml", seed=1)
        fits[name] = told(fit)
        ours.append(fits[name]["parameters"]["size_power"][:3])
    published = [numbers for _, numbers in RECIPE.values()]
    figure = draw.steps_of_a_recipe([name for name, _ in RECIPE.values()], np.array(ours), published)
    return {
        "steps": fits,
        "published": dict(RECIPE.values()),
        "figure": draw.save(figure, "porian2024"),
    }


def gemstones2025() -> dict[str, Any]:
    """Sixteen shapes at five sizes."""
    runs = bs.read_runs(public("gemstones2025"), name="gemstones2025")
    fit = bs.fit(runs, HERE / "gemstones2025.toml", seed=1)
    figure = shape_figure(fit, fit.model.observations[0], 0.9)
    return told(fit, figure=draw.save(figure, "gemstones2025"))


def steplaw2025() -> dict[str, Any]:
    """Seventeen models and lengths at ten batches: the best batch against data and size."""
    table = public("steplaw2025")
    table = table[~table["diverged"]]
    best = table.loc[table.groupby(["params", "tokens", "batch_tokens"])["loss"].idxmin()].reset_index(drop=True)
    best["cell"] = [f"{n:.3g} {d:.3g}" for n, d in zip(best["params"], best["tokens"], strict=True)]
    best["above_best"] = best["loss"] / best.groupby("cell")["loss"].transform("min") - 1
    fit = bs.fit(bs.read_runs(best, name="steplaw2025"), HERE / "steplaw2025.toml", seed=1)
    return told(fit, figure=draw.save(draw.best_batch(fit), "steplaw2025"))


def muennighoff2023() -> dict[str, Any]:
    """Repeated data: runs up to sixty epochs, without those that did worse than with fewer."""
    table = public("muennighoff2023").sort_values("epochs", kind="stable")
    table = table[table["loss"] <= 1.0001 * table.groupby(["params", "dataset_tokens"])["loss"].cummin()]
    kept = table[table["epochs"] <= 60].reset_index(drop=True)
    fit = bs.fit(bs.read_runs(kept, name="muennighoff2023"), "repeated", seed=1)
    all_kept = bs.fit(bs.read_runs(table.reset_index(drop=True), name="muennighoff2023"), "repeated", seed=1)
    figure = draw.save(
        draw.worth(fit, bs.laws.published("muennighoff2023 repetition").values["R_D_star"]), "muennighoff2023"
    )
    return told(fit, figure=figure, all=told(all_kept))


SETS: dict[str, Callable[[], dict[str, Any]]] = {
    f.__name__: f
    for f in (ladder, shehper2023, moser2025, olmo_ladder2024, porian2024, gemstones2025, steplaw2025, muennighoff2023)
}


def main(names: list[str]) -> None:
    """Fit the data sets named, or all, and keep the results; what is not named stays as it was."""
    for name in names or SETS:
        print(name, flush=True)
        result = SETS[name]()
        before = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
        found = before | {name: result}
        ordered = {each: rounded(found[each]) for each in SETS if each in found}
        RESULTS.write_text(json.dumps(ordered, indent=1) + "\n", encoding="utf-8")


def rounded(value: Any) -> Any:
    """Return numbers to five digits, and what is not finite as null."""
    if isinstance(value, dict):
        return {str(key): rounded(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(entry) for entry in value]
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float):
        return float(f"{value:.5g}") if np.isfinite(value) else None
    return value


if __name__ == "__main__":
    main(sys.argv[1:])
