"""What decisions are worth, on measured runs: regret at held-out budgets, chances that hold, and the runs to train next.

BAYES_SCALING_MIRROR=<folder> python -m notebooks.decisions.measure [advice | hoffmann | allocations | next_runs | live ...]

Every outcome is kept in .decisions; what was interrupted goes on from there. results.json holds what the page says.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import bayes_scaling as bs
from bayes_scaling.errors import BayesScalingWarning, InvalidRequest
from bayes_scaling.evaluation.baselines import point_fit
from bayes_scaling.evaluation.origins import rolling_origins
from bayes_scaling.evaluation.workers import digest_of, outcomes
from bayes_scaling.inference.sample import fit_table
from bayes_scaling.inference.settings import Settings
from bayes_scaling.laws import LAWS
from bayes_scaling.model.document import read_model
from bayes_scaling.posterior.compute import compute_ratio
from bayes_scaling.posterior.examples import example_system
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.predict import SAMPLE_DIMS, interval
from bayes_scaling.posterior.rows import predict_rows
from bayes_scaling.questions.frontier import efficient
from bayes_scaling.questions.learning_curve import laws_of
from bayes_scaling.questions.live import live
from bayes_scaling.questions.next_run import Forecast, next_runs
from bayes_scaling.questions.regret import near_optimal, regret
from bayes_scaling.questions.stop_early import nearly_converged
from bayes_scaling.runs.table import RunTable
from notebooks.population.ladders import LADDERS, Ladder, runs_of

HERE = Path(__file__).parent
STORE = HERE.parent.parent / ".decisions"
SETTINGS = {"draws": 300, "tune": 500}
ISOFLOP = ("hoffmann2022", "porian2024", "misfitting2025")
"""Sources with several sizes at a budget."""
OFF = (0.97, 0.985, 1.0, 1.015, 1.03)
"""Targets over the median that is forecast."""
WIDTH, SIZES = 0.1, 4
"""Decades of compute that count as one budget, and the sizes it needs."""
TABLES = ("misfitting2025, best rates", "gadre2024, C4", "olmo_ladder2024", "ladder")
REPETITIONS, START, ALLOWANCES, MOST, TARGETS = 20, 8, (0.05, 0.3), 12, 2
WAYS = ("ours", "uniform", "random")
CURVES, FOLDS = "gemstones2025, constant rate", 4
QUICKLY = {"draws": 500, "tune": 400, "chains": 2, "target_accept": 0.9}
"""Of the hundreds of fits by which ways to choose runs are told apart."""


def main(parts: Sequence[str]) -> None:
    """Measure what is asked, all by default, and add it to results.json."""
    warnings.simplefilter("ignore", BayesScalingWarning)
    path = HERE / "results.json"
    results = json.loads(path.read_text()) if path.is_file() else {}
    for name, measure in {
        "advice": advice,
        "hoffmann": hoffmann,
        "allocations": allocations,
        "next_runs": next_run_curves,
        "live": live_runs,
    }.items():
        if not parts or name in parts:
            results[name] = measure()
            path.write_text(json.dumps(results, indent=1, default=float) + "\n")


# Advice


def advice() -> dict[str, Any]:
    """Return what ten times the compute buys by the laws of Kaplan et al. (2020), and what an early stop saves."""
    ours = bs.fit("ladder", "kaplan_system", seed=1, progress=False)
    return {"published": _advice(example_system(chains=1, draws=1)), "ladder": _advice(ours)}


def _advice(fit: Any) -> dict[str, list[float]]:
    import xarray as xr

    known = laws_of(fit)
    path = efficient(xr.DataArray([1e20, 1e21], dims="compute"), **known)
    told = {}
    for name in ("params", "batch_tokens", "steps_min", "tokens"):
        told[f"{name} for ten times the compute"] = _ends(path[name].isel(compute=1) / path[name].isel(compute=0))
    if {"alpha_D"} <= set(fit.learned):
        told["data for eight times the size"] = _ends(8 ** (fit.learned["alpha_N"] / fit.learned["alpha_D"]))
    plain = {n: v.values for n, v in known.items()}
    size, steps, loss = nearly_converged(1e21, 0.02, **plain)
    budgets = np.geomspace(1e20, 1e21, 401)
    early = efficient(xr.DataArray(budgets, dims="compute"), **known).transpose("compute", *SAMPLE_DIMS)
    same = np.abs(early["loss"].values - loss).argmin(axis=0)
    rows = np.ogrid[tuple(slice(n) for n in same.shape)]
    told["size of the early stop over that of the converged run"] = _plain_ends(early["params"].values[(same, *rows)] / size)
    told["updates of the converged run over those of the early stop"] = _plain_ends(
        steps / early["steps_min"].values[(same, *rows)]
    )
    told["compute the early stop saves"] = _plain_ends(1 - budgets[same] / 1e21)
    return told


def _ends(draws: Any) -> list[float]:
    return [float(bound) for bound in interval(draws, 0.9)]


def _plain_ends(values: np.ndarray) -> list[float]:
    return [float(q) for q in np.quantile(values, [0.5, 0.05, 0.95])]


def hoffmann() -> dict[str, Any]:
    """Return what the runs of Hoffmann et al. (2022) say of their own budget, and of Gopher."""
    runs = runs_of(next(ladder for ladder in LADDERS if ladder.name == "hoffmann2022"))
    fit = bs.fit(runs, progress=False)
    told = {}
    for model in ("kappa", "chinchilla"):
        found = fit if model == "kappa" else bs.fit(runs, "chinchilla", progress=False)
        table = bs.budget_table(bs.allocate(found, compute=5.76e23))
        told[model] = {
            "allocation": table.iloc[0].to_dict(),
            "regret": regret(found, compute=5.76e23, params=[70e9, 280e9]).to_dict("records"),
            "near": near_optimal(found, compute=5.76e23, within=[0.001, 0.0025, 0.005, 0.01, 0.02]).to_dict("records"),
        }
    return told


# Allocations at held-out budgets


@dataclass(frozen=True)
class _Split:
    """One cut of one ladder."""

    ladder: Ladder
    cut: float

    @property
    def name(self) -> str:
        """File name of the outcome."""
        said = digest_of(self.ladder.name, self.cut, SETTINGS, read_model("kappa").digest, WIDTH, SIZES, OFF, "stated")
        return f"allocation-{said}.csv"


def allocations() -> dict[str, Any]:
    """Return the regret of every way to choose a size, and how chances came out."""
    pieces = []
    for ladder in LADDERS:
        try:
            origins = rolling_origins(runs_of(ladder).table)
        except InvalidRequest:
            continue  # no cut leaves enough runs
        pieces += [_Split(ladder, origin.cut) for origin in origins]
    every = pd.concat(outcomes(pieces, _at_a_cut, store=STORE, progress=True, label="cuts"), ignore_index=True)
    choices, chances = every[every["what"] == "choice"], every[every["what"] == "chance"]
    means = choices.groupby(["source", "method"], sort=False)["value"].agg(["mean", "median", "count"]).reset_index()
    pooled = choices.groupby("method", sort=False)["value"].agg(["mean", "median", "count"]).reset_index()
    stated = every[every["what"] == "stated regret"]
    stated = stated.assign(inside=stated["value"].between(stated["lower"], stated["upper"]))
    of_regret = stated.groupby("source", sort=False).agg(
        stated=("stated", "mean"), came=("value", "mean"), inside=("inside", "mean"), count=("value", "size")
    )
    bins = pd.cut(chances["chance"], [0, 0.05, 0.2, 0.4, 0.6, 0.8, 0.95, 1.0], include_lowest=True)
    reliability = chances.groupby(bins, observed=True).agg(
        said=("chance", "mean"), came=("value", "mean"), count=("value", "size")
    )
    return {
        "by_source": means.to_dict("records"),
        "pooled": pooled.to_dict("records"),
        "reliability": reliability.reset_index(drop=True).to_dict("records"),
        "stated_regret": of_regret.reset_index().to_dict("records"),
    }


def _at_a_cut(piece: _Split) -> pd.DataFrame:
    runs = runs_of(piece.ladder)
    table = runs.table
    known, ahead = (
        table[table["compute_flops"] < piece.cut * (1 - 1e-9)],
        table[table["compute_flops"] >= piece.cut * (1 - 1e-9)],
    )
    fit = _fitted(runs, known, Settings(**SETTINGS))
    rows: list[dict[str, Any]] = []
    measured = (
        predict_rows(fit, ahead.reset_index(drop=True))["measured_loss"].stack(s=SAMPLE_DIMS).transpose("row", "s").values
    )
    place = pd.Index(ahead.index)
    for loss, draws in zip(ahead["loss"], measured, strict=True):
        for off in OFF:
            target = off * float(np.median(draws))
            rows.append(
                {
                    "what": "chance",
                    "method": "kappa",
                    "chance": float((draws < target).mean()),
                    "value": float(loss < target),
                }
            )
    if piece.ladder.source in ISOFLOP:
        budgets = list(_budgets(ahead))
        ways = _ways(fit, known) if budgets else {}
        for C, at in budgets:
            for method, choose in ways.items():
                size = choose(C)
                if size is None:
                    continue
                nearest = int(np.abs(np.log(at["params"] / size)).to_numpy().argmin())
                losses = np.log(at["loss"].to_numpy(float))
                lost = float(losses[nearest] - losses.min())
                rows.append({"what": "choice", "method": method, "value": lost})
                if method == "kappa, mean":
                    drawn = np.log(measured[place.get_indexer(at.index)])
                    stated = drawn[nearest] - drawn.min(axis=0)
                    middle, lower, upper = np.quantile(stated, [0.5, 0.05, 0.95])
                    told = {"stated": float(stated.mean()), "lower": lower, "median": middle, "upper": upper}
                    rows.append({"what": "stated regret", "method": method, "value": lost, **told})
    return pd.DataFrame(rows).assign(ladder=piece.ladder.name, source=piece.ladder.source, cut=piece.cut)


def _ways(fit: Fit, known: pd.DataFrame) -> dict[str, Callable[[float], float | None]]:
    constants = point_fit(known)
    bottoms = [(np.log(C), _bottom(at)) for C, at in _budgets(known)]
    bottoms = [(C, size) for C, size in bottoms if size is not None]
    budget = 1 / compute_ratio(fit)  # of one, as the table counts compute: 6 N D
    line = np.polyfit(*np.array(bottoms).T, 1) if len(bottoms) >= 3 else None
    optimal = LAWS["chinchilla_optimal_params"]
    return {
        "kappa, mean": lambda C: float(bs.allocate(fit, compute=C * budget)["params"]),
        "kappa, worst tenth": lambda C: float(bs.allocate(fit, compute=C * budget, risk="cvar:0.9")["params"]),
        "Huber fit": lambda C: float(optimal(C, **{n: v for n, v in constants.items() if n != "E"})),
        "parabolas": lambda C: None if line is None else float(np.exp(np.polyval(line, np.log(C)))),
    }


def _budgets(table: pd.DataFrame) -> Any:
    """Yield the budgets of a table that have several sizes: compute, and the runs."""
    bins = np.floor(np.log10(table["compute_flops"]) / WIDTH)
    for _, at in table.groupby(bins):
        if at["params"].nunique() >= SIZES and at["params"].max() > 2 * at["params"].min():
            yield float(np.exp(np.log(at["compute_flops"]).mean())), at


def _bottom(at: pd.DataFrame) -> float | None:
    """Return the log size at the bottom of a parabola through the losses of one budget."""
    x = np.log(at["params"].to_numpy(float))
    bend, slope, _ = np.polyfit(x - x.mean(), at["loss"].to_numpy(float), 2)
    return float(x.mean() - slope / (2 * bend)) if bend > 0 else None


def _fitted(runs: RunTable, known: pd.DataFrame, settings: Settings) -> Fit:
    table = replace(runs, table=known.reset_index(drop=True))
    return fit_table(read_model("kappa"), table, settings)


# The next run


@dataclass(frozen=True)
class _Repetition:
    """One start of one table, carried on in every way."""

    ladder: Ladder
    number: int

    @property
    def name(self) -> str:
        """File name of the outcome."""
        said = digest_of(
            self.ladder.name, self.number, QUICKLY, read_model("kappa").digest, START, ALLOWANCES, MOST, TARGETS, "linear"
        )
        return f"next-{said}.csv"


def next_run_curves() -> dict[str, Any]:
    """Return the error of the final forecast by what was spent, for each way to choose runs."""
    chosen = [ladder for ladder in LADDERS if ladder.name in TABLES]
    pieces = [_Repetition(ladder, n) for n in range(REPETITIONS) for ladder in chosen]
    every = pd.concat(outcomes(pieces, _carried_on, store=STORE, progress=True, label="starts"), ignore_index=True)
    scores = ["error", "interval_score", "spent", "runs"]
    means = every.groupby(["ladder", "stage", "way"], sort=False)[scores].mean().reset_index()
    pooled = every.groupby(["stage", "way"], sort=False)[scores].mean().reset_index()
    keys = ["ladder", "number", "stage"]
    ours = every[every["way"] == "ours"].set_index(keys)
    paired = []
    for way in WAYS[1:]:
        other = every[every["way"] == way].set_index(keys)
        for stage in range(1, len(ALLOWANCES) + 1):
            for score in ("error", "interval_score"):
                gain = (other[score] - ours[score]).xs(stage, level="stage")
                told = gain.groupby("ladder").sem()
                error = float(np.sqrt((told**2).sum()) / len(told))
                row = {"against": way, "stage": stage, "score": score, "gain": gain.mean(), "se": error}
                paired.append(row | {"better": float((gain > 0).mean())})
    return {
        "by_table": means.to_dict("records"),
        "pooled": pooled.to_dict("records"),
        "paired": paired,
        "repetitions": REPETITIONS,
    }


def _carried_on(piece: _Repetition) -> pd.DataFrame:
    runs = runs_of(piece.ladder)
    ordered = runs.table.sort_values("compute_flops").reset_index(drop=True)
    targets, pool = ordered.iloc[-TARGETS:], ordered.iloc[:-TARGETS]
    rng = np.random.default_rng(piece.number)
    cheap = pool.index[: max(START + 2, len(pool) // 2)]
    start = sorted(rng.choice(cheap, size=START, replace=False).tolist())
    most = float(targets["compute_flops"].max())
    settings = Settings(seed=piece.number, **QUICKLY)
    before = _fitted(runs, pool.loc[start], settings)
    rows = []
    for way in WAYS:
        have, spent, fit = start, 0.0, before
        for stage, allowance in enumerate((0.0, *ALLOWANCES)):
            if stage:
                left, money = pool.drop(index=have), allowance * most - spent
                added = _chosen(way, fit, left, targets.iloc[-1], money, rng)
                have = sorted([*have, *added])
                spent += float(pool.loc[added, "compute_flops"].sum())
                fit = _fitted(runs, pool.loc[have], settings) if added else fit
            rows.append({"way": way, "stage": stage, "spent": spent / most, "runs": len(have), **_scored(fit, targets)})
    return pd.DataFrame(rows).assign(ladder=piece.ladder.name, number=piece.number)


def _scored(fit: Fit, targets: pd.DataFrame) -> dict[str, float]:
    drawn = predict_rows(fit, targets.reset_index(drop=True))["measured_loss"].stack(s=SAMPLE_DIMS).transpose("s", "row")
    draws, truth = np.log(drawn.values), np.log(targets["loss"].to_numpy(float))
    low, high = np.quantile(draws, [0.05, 0.95], axis=0)
    score = high - low + 20 * (np.clip(low - truth, 0, None) + np.clip(truth - high, 0, None))
    return {"error": float(np.abs(np.median(draws, axis=0) - truth).mean()), "interval_score": float(score.mean())}


def _chosen(way: str, fit: Fit, left: pd.DataFrame, target: pd.Series, money: float, rng: np.random.Generator) -> list[int]:
    """Return the runs to add for a sum of money."""
    paid = left[left["compute_flops"] <= money]
    if paid.empty:
        return []
    if way == "ours":
        pool = paid[["params", "tokens"]].assign(cost=paid["compute_flops"], row=paid.index)
        about = Forecast(float(target["params"]), float(target["tokens"]))
        return [int(row) for row in next_runs(fit, pool, about, money=money, most=MOST)["row"]]
    if way == "random":
        order = rng.permutation(paid.index.to_numpy()).tolist()
    else:  # a ladder: half of the money, a quarter and so on, each time the run that costs most nearly as much
        log_cost = np.log(paid["compute_flops"])
        order = [int((log_cost - np.log(money / 2**step)).abs().idxmin()) for step in range(1, MOST + 1)]
    added: list[int] = []
    total = 0.0
    for number in dict.fromkeys(order):
        if len(added) < MOST and total + float(paid.loc[number, "compute_flops"]) <= money:
            added.append(int(number))
            total += float(paid.loc[number, "compute_flops"])
    return added


# A run under way


@dataclass(frozen=True)
class _Fold:
    """Runs of a ladder that are held out together."""

    number: int

    @property
    def name(self) -> str:
        """File name of the outcome."""
        return f"live-{digest_of(CURVES, FOLDS, self.number, SETTINGS, read_model('kappa').digest)}.csv"


def live_runs() -> dict[str, Any]:
    """Return how the end of a run held out is forecast before its curve, and from the first half of it."""
    pieces = [_Fold(number) for number in range(FOLDS)]
    every = pd.concat(outcomes(pieces, _under_way, store=STORE, progress=True, label="folds"), ignore_index=True)
    rows = [
        {
            "when": when,
            "runs": len(told),
            "inside": float(told["inside"].mean()),
            "error": float(told["error"].median()),
            "width": float(told["width"].median()),
        }
        for when, told in every.groupby("when", sort=False)
    ]
    return {"rows": rows, "effective_draws": float(every["effective_draws"].median()), "ladder": CURVES}


def _under_way(fold: _Fold) -> pd.DataFrame:
    runs = runs_of(next(ladder for ladder in LADDERS if ladder.name == CURVES))
    labels = sorted(set(runs.table["run_id"]))[fold.number :: FOLDS]
    fit = _fitted(runs, runs.table[~runs.table["run_id"].isin(labels)], Settings(**SETTINGS))
    rows = []
    for label in labels:
        curve = runs.table[runs.table["run_id"] == label].sort_values("tokens")
        end = curve.iloc[-1]
        half = curve.iloc[: len(curve) // 2]
        found = live(fit, half, end={"params": end["params"], "tokens": end["tokens"]})
        for when, (middle, lower, upper) in (("before its curve", found.before), ("from half of it", found.now)):
            rows.append(
                {
                    "run_id": label,
                    "when": when,
                    "inside": lower <= end["loss"] <= upper,
                    "error": abs(np.log(end["loss"] / middle)),
                    "width": np.log(upper / lower),
                    "effective_draws": found.effective_draws,
                }
            )
    return pd.DataFrame(rows)


if __name__ == "__main__":
    main(sys.argv[1:])
