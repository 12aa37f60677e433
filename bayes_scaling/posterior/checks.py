"""Convergence and adequacy of a fit: named checks, each with a value, a limit and advice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr

from bayes_scaling.model.document import OF_RUNS
from bayes_scaling.model.names import SAMPLE_DIMS, is_log
from bayes_scaling.numerics import binomial_below, normal_scores, smoothed_weights
from bayes_scaling.posterior.effective import KINDS, effective_sizes
from bayes_scaling.posterior.fit import Fit, scalars
from bayes_scaling.posterior.predict import inside, interval, quantiles
from bayes_scaling.posterior.protocol import taking
from bayes_scaling.posterior.residuals import innovations, loss_at_runs, measured_at_runs, usual_residual
from bayes_scaling.posterior.structure import LEVEL, differences
from bayes_scaling.quantities import BY_COLUMN

CONVERGENCE: Final = "convergence"
"""Kind of a check that the draws represent the posterior."""
ADEQUACY: Final = "adequacy"
"""Kind of a check that the model describes the runs."""
_CELLS: Final = 10_000_000
_FEWEST_DRAWS, _REPLICATES, _NULLS = 25, 200, 2000


@dataclass(frozen=True)
class Rule:
    """The limit of a check, the last value that passes, and advice where it fails."""

    about: str
    comparison: str
    threshold: float
    advice: str

    def passes(self, value: float) -> bool:
        """Whether a value passes; NaN never does."""
        return bool(value <= self.threshold if self.comparison == "<=" else value >= self.threshold)

    def __str__(self) -> str:
        """Return the limit as a comparison."""
        return f"{self.comparison} {self.threshold:g}"


_LONGER = "sample longer (--tune, --draws); if that does not help, tighten the prior of the parameter named"
_OTHER = "sample by NUTS (--sampler nuts), which needs no proposal close to the posterior"
_WRONG_MODE = "the draws are in a mode that carries little of the mass: sample with another seed, or by importance (--sampler importance)"
_DIVERGENCES = "raise target_accept, or move the prior of a spread away from zero"
_NOISE = "residual noise is larger than the likelihood states: look at the residuals"
_PRIORS = "the prior predictive distribution excludes such runs: check the unit of the loss, then the priors"
_TREND = (
    "the residuals have a trend that the law misses: try a more flexible law, leave out the smallest runs, or group the runs"
)
_OTHER_COLUMN = "residuals differ by {column}, which the law leaves out: fit the runs by groups (--by {column}), or keep those of one label (--where)"
MEMORY: Final = "correlation of walkers with earlier positions, standard errors"
RULES: Final = {
    "largest R-hat": Rule(CONVERGENCE, "<=", 1.01, _LONGER),
    "smallest bulk ESS": Rule(CONVERGENCE, ">=", 400, _LONGER),
    "smallest tail ESS": Rule(CONVERGENCE, ">=", 400, _LONGER),
    # One in thousands depends on the machine; a sampler that cannot explore the posterior has several per cent.
    "share of divergences": Rule(CONVERGENCE, "<=", 0.0005, _DIVERGENCES),
    "smallest E-BFMI": Rule(CONVERGENCE, ">=", 0.3, "find a prior with a very heavy tail and tighten it"),
    "share of iterations at maximum tree depth": Rule(CONVERGENCE, "<=", 0.05, _LONGER),
    "share of draws not finite": Rule(CONVERGENCE, "<=", 0, "a prior allows values where the law overflows: tighten it"),
    "Pareto k-hat of the weights": Rule(CONVERGENCE, "<=", 0.7, _OTHER),
    "effective sample size of the weights": Rule(CONVERGENCE, ">=", 400, _OTHER),
    # A chain in the wrong mode passes R-hat where all are in it. Of a Normal posterior of d unknowns half the squared distance
    # from the mode has mean d/2 and standard deviation sqrt(d/2). Spreads of groups give it a longer tail, which the draws show.
    "log density below the best mode, standard deviations": Rule(CONVERGENCE, "<=", 5, _WRONG_MODE),
    "share of the mass in modes without draws": Rule(CONVERGENCE, "<=", 0.01, _WRONG_MODE),
    MEMORY: Rule(CONVERGENCE, "<=", 3.0, _OTHER),
    "chains": Rule(CONVERGENCE, ">=", 2, "sample at least two chains: R-hat compares chains"),
    "coverage test, p-value": Rule(ADEQUACY, ">=", 0.01, _NOISE),
    "share of runs in the 99 % prior predictive interval": Rule(ADEQUACY, ">=", 0.9, _PRIORS),
    "trend test": Rule(ADEQUACY, ">=", 0.01, _TREND),
    "residuals by": Rule(ADEQUACY, ">=", LEVEL, _OTHER_COLUMN),
}
"""Every check by the name it begins with; thresholds stand here and nowhere else."""


@taking("fit")
def check(fit: Fit) -> pd.DataFrame:
    """Check convergence and adequacy of a fit.

    R-hat and effective sample sizes are ArviZ's rank-normalised ones, over every variable of the
    posterior. A trend is a linear or quadratic dependence of the ranks of the residuals on those of N, D or C; its p-value
    is the share of replicated tables with as strong a trend.

    Parameters
    ----------
    fit : Fit
        The fit; of several observations each is checked. Serially correlated residuals are checked conditional on the
        residual before on the same run.

    Returns
    -------
    DataFrame
        Columns ``check``, ``about``, ``value``, ``rule``, ``passed``, ``where`` (the variable at fault),
        ``advice``: convergence first. ``convergence`` decides whether the fit has converged,
        ``adequacy`` describes how well the model fits the runs.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> checks = check(example_fit()).set_index("check")
    >>> bool(checks.passed["share of divergences"]), checks.rule["largest R-hat"]
    (True, '<= 1.01')
    """
    results = _convergence(fit)
    for name, view in fit.views.items():
        adequacy = _adequacy(_thinned(view))
        results |= adequacy if fit.model.is_one else {f"{check}, {name}": value for check, value in adequacy.items()}
    rows = [
        (name, rule.about, value, str(rule), rule.passes(value), where, rule.advice.format(column=_column_of(name)))
        for beginning, rule in RULES.items()
        for name, (value, where) in results.items()
        if name.startswith(beginning)
    ]
    return pd.DataFrame(rows, columns=["check", "about", "value", "rule", "passed", "where", "advice"])


def _column_of(check: str) -> str:
    return check.removeprefix("residuals by ").partition(", p-value")[0]


def contraction(fit: Fit) -> pd.DataFrame:
    """Return the posterior contraction of each parameter.

    Parameters
    ----------
    fit : Fit
        The fit.

    Returns
    -------
    DataFrame
        One row a variable of the posterior, ``prior_sd`` and ``posterior_sd`` of its logarithm and
        ``contraction`` = 1 - (posterior_sd / prior_sd)^2: near one, the data inform it; near zero, only
        the prior does.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> bool(contraction(example_fit()).loc["alpha", "contraction"] > 0.99)
    True
    """

    def sds(draws: xr.Dataset) -> pd.Series:
        # Group effects and discrepancies are logarithms already; everything else is positive.
        return pd.Series({label: np.std(v if is_log(label) else np.log(v)) for label, v in scalars(draws)}, dtype=float)

    posterior_sd = sds(fit.posterior)
    table = pd.DataFrame({"prior_sd": sds(fit.prior)[posterior_sd.index], "posterior_sd": posterior_sd})
    return table.assign(contraction=1 - (table["posterior_sd"] / table["prior_sd"]) ** 2)


@taking("fit")
def summarize(fit: Fit, *, prob: float = 0.9) -> pd.DataFrame:
    """Return the parameters of a fit with their intervals.

    Parameters
    ----------
    fit : Fit
        The fit.
    prob : float
        Probability of the equal-tailed intervals.

    Returns
    -------
    DataFrame
        One row a parameter: ``median``, ``lower``, ``upper``, and ``contraction`` as in :func:`contraction`.
        The probability is in ``attrs["prob"]``.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> table = summarize(example_fit(), prob=0.9)
    >>> bool(table.loc["E", "lower"] < 1.817 < table.loc["E", "upper"])
    True
    """
    rows = {label: np.quantile(draws, quantiles(prob)) for label, draws in scalars(fit.posterior)}
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["median", "lower", "upper"])
    table = table.join(contraction(fit)[["contraction"]])
    table.attrs["prob"] = prob
    return table


def _convergence(fit: Fit) -> dict[str, tuple[float, str]]:
    posterior, statistics = fit.posterior, fit.tree["sample_stats"].to_dataset()
    bad = [float((~np.isfinite(array)).mean()) for array in posterior.data_vars.values()]
    results: dict[str, tuple[float, str]] = {
        "share of draws not finite": (max(bad), str(list(posterior.data_vars)[int(np.argmax(bad))]) if max(bad) else ""),
        "chains": (float(posterior.sizes["chain"]), ""),
        **_modes(fit, statistics),
    }
    weighted = "importance" in fit.tree
    if weighted:
        log_ratio = fit.tree["importance"].to_dataset()["log_ratio"].values
        weights, shape = smoothed_weights(log_ratio)
        results["Pareto k-hat of the weights"] = (shape, "")
        results["effective sample size of the weights"] = (float(1 / (weights**2).sum()), "")
    else:
        results["share of divergences"] = (float(statistics["diverging"].mean()), "")
    if "memory_standard_errors" in fit.facts:
        results[MEMORY] = (float(fit.facts["memory_standard_errors"]), "")
    # Draws of older files that were resampled by weight alone have neither walkers nor chains: the weights say it.
    kinds = () if weighted and "walker" not in statistics else KINDS
    results |= mixing(posterior, statistics, kinds)
    if "energy" in statistics:
        energy = statistics["energy"].values
        moved = (np.diff(energy, axis=1) ** 2).mean(axis=1) / energy.var(axis=1, ddof=1)
        results["smallest E-BFMI"] = (float(moved.min()), "")
    if "reached_max_treedepth" in statistics:
        results["share of iterations at maximum tree depth"] = (float(statistics["reached_max_treedepth"].mean()), "")
    return results


def mixing(posterior: xr.Dataset, statistics: xr.Dataset, kinds: Sequence[str] = KINDS) -> dict[str, tuple[float, str]]:
    """Return the checks that longer chains improve: largest R-hat and smallest effective sizes, and the variable of each.

    Of fewer than four draws a chain, and where a draw is not finite, they are not a number.
    """
    every = {str(name): array.transpose(*SAMPLE_DIMS, ...).values for name, array in posterior.data_vars.items()}
    if posterior.sizes["draw"] < 4 or not all(np.isfinite(draws).all() for draws in every.values()):
        return dict.fromkeys(("largest R-hat", *(f"smallest {kind} ESS" for kind in kinds)), (np.nan, ""))
    with np.errstate(invalid="ignore"):  # a variable that never moves has no R-hat, and fails by that
        results = {"largest R-hat": _extreme({name: r_hat(draws) for name, draws in every.items()}, np.argmax)}
    sizes = effective_sizes(posterior, statistics, kinds) if kinds else {}
    return results | {f"smallest {kind} ESS": _extreme(of_kind, np.argmin) for kind, of_kind in sizes.items()}


def r_hat(draws: np.ndarray) -> np.ndarray:
    """Return the larger of R-hat of the ranks and of the ranks of distances from the median (Vehtari et al. 2021).

    Draws have shape (chain, draw, ...). Of draws that never move, and of a single chain, it is not a number.
    """
    chains, count, half = *draws.shape[:2], draws.shape[1] // 2
    if chains < 2:
        return np.full(draws.shape[2:], np.nan)
    flat = draws.reshape(chains, count, -1)
    halves = np.concatenate([flat[:, :half], flat[:, -half:]]).reshape(2 * chains * half, -1)
    largest = np.full(flat.shape[-1], -np.inf)
    for values in (halves, np.abs(halves - np.median(halves, axis=0))):
        z = normal_scores(pd.DataFrame(values).rank().to_numpy(), len(values)).reshape(2 * chains, half, -1)
        within, between = z.var(axis=1, ddof=1).mean(axis=0), half * z.mean(axis=1).var(axis=0, ddof=1)
        largest = np.maximum(largest, np.sqrt((between / within + half - 1) / half))
    return largest.reshape(draws.shape[2:])


def _modes(fit: Fit, statistics: xr.Dataset) -> dict[str, tuple[float, str]]:
    """Return how far the draws of a chain lie below the best mode, and what of the mass lies in modes without draws."""
    if "modes" not in fit.tree or not fit.tree["modes"].sizes["mode"]:
        return {}
    modes = fit.tree["modes"].to_dataset()
    unknowns = modes.sizes["coordinate"]
    below = float(modes["log_density"].max()) - statistics["lp"].median("draw").values
    spread = np.maximum(statistics["lp"].std("draw").values, np.sqrt(unknowns / 2))
    depth = (below - unknowns / 2) / spread
    visited = np.isin(np.arange(modes.sizes["mode"]), statistics["mode"].values)
    return {
        "log density below the best mode, standard deviations": (float(depth.max()), f"chain {int(depth.argmax())}"),
        "share of the mass in modes without draws": (float(modes["share"].values[~visited].sum()), ""),
    }


def _thinned(fit: Fit) -> Fit:
    """Return a fit with fewer draws where it has so many rows that draws times rows would fill the memory."""
    most = max(_FEWEST_DRAWS, _CELLS // (len(fit.layout.only) * fit.posterior.sizes["chain"]))
    return fit if fit.posterior.sizes["draw"] <= most else fit.thinned(most)


def _extreme(named: Mapping[str, np.ndarray], which: Any) -> tuple[float, str]:
    """Return the worst value over all variables, and the variable's name; argmax and argmin take NaN for the worst."""
    worst = {name: float(values.flat[which(values)]) for name, values in named.items()}
    name = list(worst)[which(list(worst.values()))]
    return worst[name], name


def checked(fit: Fit) -> Fit:
    """Return a fit with its checks."""
    return replace(fit, checks=tuple(check(fit).to_dict("records"))).with_layout(fit.layout)


def prior_predictive(fit: Fit) -> xr.DataArray:
    """Return what the prior predicts at the rows of one observation, dims (chain, draw, run); NaN where it overflows."""
    prior = _thinned(fit.at_prior())
    with np.errstate(over="ignore", invalid="ignore"):
        drawn = measured_at_runs(prior, loss_at_runs(prior), np.random.default_rng(1))
    return drawn.where(np.isfinite(drawn))


def _adequacy(fit: Fit) -> dict[str, tuple[float, str]]:
    rows, rng = fit.layout.only, np.random.default_rng(0)
    measured, z = rows.measured, innovations(fit)[0]
    if rows.serial is None and rows.observation.output == "loss":
        # Between two quantiles of n draws a further one lies a little less often than between those of the distribution.
        draws = fit.posterior.sizes["chain"] * fit.posterior.sizes["draw"]
        wider = 0.9 * (draws + 1) / max(draws - 1, 1)
        _, lower, upper = interval(measured_at_runs(fit, loss_at_runs(fit), rng), min(wider, 0.999))
        count = int(inside(measured, lower.values, upper.values).sum())
    else:
        count = int((np.abs(z.median(SAMPLE_DIMS)) <= usual_residual(fit, 0.9)).sum())
    results = {"coverage test, p-value": (binomial_below(count, len(rows), 0.9), f"{count} of {len(rows)} inside")}
    _, lower, upper = interval(prior_predictive(fit), 0.99)
    share = float(inside(measured, lower.values, upper.values).mean())
    results["share of runs in the 99 % prior predictive interval"] = (share, "")
    usual = ("params", "tokens", "compute_flops") if rows.observation.table == "runs" else ()
    columns = usual or tuple(rows.observation.columns.values())
    return results | _trends(z, fit.table, columns, rng) | (_structure(fit) if rows.observation.table in OF_RUNS else {})


def _structure(fit: Fit) -> dict[str, tuple[float, str]]:
    """Return the corrected p-value of every column by which the residuals differ; of the clearest one where they do not."""
    results: dict[str, tuple[float, str]] = {}
    for each in differences(fit):
        if results and not each.found:
            break
        of_tests = f"after correction for {each.tests} column{'s' * (each.tests > 1)}"
        what = f"{'thirds' if each.of_thirds else 'levels'} {100 * each.spread:.2g} % apart, " if each.found else ""
        results[f"residuals by {each.column}, p-value"] = (each.p, what + of_tests)
    return results


def _trends(
    residual: xr.DataArray, rows: pd.DataFrame, columns: tuple[str, ...], rng: np.random.Generator
) -> dict[str, tuple[float, str]]:
    """Return, for each column, the p-value of a linear or quadratic trend of the residuals."""
    step = max(1, residual.sizes["chain"] * residual.sizes["draw"] // _REPLICATES)
    ranks = _ranks(residual.stack(sample=SAMPLE_DIMS).transpose("sample", "run").values[::step])
    null = _ranks(rng.standard_normal((int(np.clip(_CELLS // len(rows), _REPLICATES, _NULLS)), len(rows))))
    results = {}
    for column in columns:
        if column not in rows or rows[column].isna().any() or rows[column].nunique() < 3:
            continue
        line = _ranks(rows[column].to_numpy(float)[None])[0]
        curve = line**2 - (line**2).mean() - (line**3).sum() * line
        shapes = np.stack([line, curve / max(float(np.linalg.norm(curve)), 1e-12)])
        strength, by_chance = (((each @ shapes.T) ** 2).sum(axis=1) for each in (ranks, null))
        symbol = BY_COLUMN[column].symbol if column in BY_COLUMN else column
        results[f"trend test with {symbol}, p-value"] = (float((by_chance >= strength[:, None] - 1e-12).mean()), "")
    return results


def _ranks(rows: np.ndarray) -> np.ndarray:
    """Return the ranks along each row, centred and of unit length, so that their products are correlations."""
    order = pd.DataFrame(rows).rank(axis=1).to_numpy(float)
    centred = order - order.mean(axis=1, keepdims=True)
    return centred / np.linalg.norm(centred, axis=1, keepdims=True)
