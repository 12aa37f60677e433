"""Is this fit to be believed? Named checks, each with a value, a threshold and what to try next."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr

from bayes_scaling.model.names import SAMPLE_DIMS, is_log
from bayes_scaling.posterior.fit import Fit, scalars
from bayes_scaling.posterior.predict import inside, interval, quantiles
from bayes_scaling.posterior.residuals import innovations, loss_at_runs, measured_at_runs, usual_residual
from bayes_scaling.quantities import BY_COLUMN

CONVERGENCE: Final = "convergence"
"""What a check that decides whether the posterior is one is about."""
ADEQUACY: Final = "adequacy"
"""What a check of the model against the runs is about."""


@dataclass(frozen=True)
class Rule:
    """When a check passes, and what to try where it does not.

    Parameters
    ----------
    about : str
        ``"convergence"``: the draws are the posterior; ``"adequacy"``: the model describes the runs.
    comparison : str
        ``"at most"`` or ``"at least"`` the threshold.
    threshold : float
        The last value that passes.
    advice : str
        What to try next.
    """

    about: str
    comparison: str
    threshold: float
    advice: str

    def passes(self, value: float) -> bool:
        """Whether a value passes; one that is not a number never does."""
        return bool(value <= self.threshold if self.comparison == "at most" else value >= self.threshold)

    def __str__(self) -> str:
        """Return the rule in words."""
        return f"has to be {self.comparison} {self.threshold:g}"


_LONGER = "sample longer (--tune, --draws); if that does not help, tighten the prior of the parameter named"
_BEND = "the law bends where the runs do not: try a freer law, leave out the smallest runs, or group the runs"
RULES: Final = {
    "largest R-hat": Rule(CONVERGENCE, "at most", 1.01, _LONGER),
    "smallest bulk ESS": Rule(CONVERGENCE, "at least", 400, _LONGER),
    "smallest tail ESS": Rule(CONVERGENCE, "at least", 400, _LONGER),
    # One in thousands comes and goes with the machine; where a sampler cannot follow the posterior, it is per cents.
    "share of divergences": Rule(
        CONVERGENCE, "at most", 0.0005, "raise target_accept, or keep the prior of a spread further off zero"
    ),
    "smallest E-BFMI": Rule(CONVERGENCE, "at least", 0.3, "look for a prior with a very heavy tail, and tighten it"),
    "share of trees at full depth": Rule(CONVERGENCE, "at most", 0.05, _LONGER),
    "share of draws not finite": Rule(CONVERGENCE, "at most", 0, "a prior reaches where the law overflows: tighten it"),
    "chains": Rule(CONVERGENCE, "at least", 2, "sample at least two chains: one cannot be compared with another"),
    "p of the runs inside their 90 %": Rule(
        ADEQUACY, "at least", 0.01, "runs scatter more than the likelihood says: look at the residuals"
    ),
    "runs inside the prior's 99 %": Rule(
        ADEQUACY, "at least", 0.9, "the priors did not expect such runs: check the unit of the loss, then the priors"
    ),
    "p of the trend": Rule(ADEQUACY, "at least", 0.01, _BEND),
}
"""Every check by the name it begins with; thresholds stand here and nowhere else."""


def check(fit: Fit) -> pd.DataFrame:
    """Check whether a fit is to be believed.

    R-hat and effective sample sizes are ArviZ's rank-normalised ones, over every variable of the
    posterior. A trend is a line or a bow of the residuals over N, D or C, by ranks; its p is the share of
    replicated tables whose trend is as strong.

    Parameters
    ----------
    fit : Fit or JointFit
        The fit; of a joint one every observation is looked at, by what the rows before it on its run leave unsaid. Of a
        single observation whose residuals go together, convergence alone.

    Returns
    -------
    DataFrame
        Columns ``check``, ``about``, ``value``, ``rule``, ``passed``, ``where`` (the variable at fault),
        ``advice``: convergence first. ``convergence`` decides whether the posterior is one,
        ``adequacy`` tells how well the model describes the runs.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> checks = check(example_fit()).set_index("check")
    >>> bool(checks.passed["share of divergences"]), checks.rule["largest R-hat"]
    (True, 'has to be at most 1.01')
    """
    found = _convergence(fit)
    for name, view in fit.views.items():
        adequacy = _adequacy(view)
        found |= adequacy if fit.model.is_one else {f"{check}, {name}": value for check, value in adequacy.items()}
    return pd.DataFrame(
        [
            {
                "check": name,
                "about": rule.about,
                "value": value,
                "rule": str(rule),
                "passed": rule.passes(value),
                "where": where,
                "advice": rule.advice,
            }
            for beginning, rule in RULES.items()
            for name, (value, where) in found.items()
            if name.startswith(beginning)
        ]
    )


def contraction(fit: Fit) -> pd.DataFrame:
    """Return how much the runs taught about each unknown.

    Parameters
    ----------
    fit : Fit
        The fit.

    Returns
    -------
    DataFrame
        One row a variable of the posterior, ``prior_sd`` and ``posterior_sd`` of its logarithm and
        ``contraction`` = 1 - (posterior_sd / prior_sd)^2: near one, the runs spoke; near zero, the prior did.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> bool(contraction(example_fit()).loc["alpha", "contraction"] > 0.99)
    True
    """
    rows = {}
    prior = dict(scalars(fit.prior))
    for label, posterior in scalars(fit.posterior):
        # Effects of groups and steps of a walk are logarithms already; everything else is positive.
        scale = np.asarray if is_log(label) else np.log
        before, after = float(np.std(scale(prior[label]))), float(np.std(scale(posterior)))
        rows[label] = (before, after, 1 - (after / before) ** 2)
    return pd.DataFrame.from_dict(rows, orient="index", columns=["prior_sd", "posterior_sd", "contraction"])


def summarize(fit: Fit, *, prob: float = 0.9) -> pd.DataFrame:
    """Return the unknowns of a fit with their intervals.

    Parameters
    ----------
    fit : Fit
        The fit.
    prob : float
        Probability of the equal-tailed intervals.

    Returns
    -------
    DataFrame
        One row an unknown: ``median``, ``lower``, ``upper``, and ``contraction`` as :func:`contraction` has it.
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
    import arviz_stats  # a second of imports that answering from a stored fit does not need

    posterior, statistics = fit.posterior, fit.tree["sample_stats"].to_dataset()
    bad = [float((~np.isfinite(array)).mean()) for array in posterior.data_vars.values()]
    found: dict[str, tuple[float, str]] = {
        "share of divergences": (float(statistics["diverging"].mean()), ""),
        "share of draws not finite": (max(bad), str(list(posterior.data_vars)[int(np.argmax(bad))]) if max(bad) else ""),
        "chains": (float(posterior.sizes["chain"]), ""),
    }
    if posterior.sizes["draw"] >= 4 and not max(bad):
        with np.errstate(invalid="ignore"):  # a variable that never moves has no R-hat, and fails by that
            found["largest R-hat"] = _extreme(arviz_stats.rhat(posterior), np.argmax)
            for kind in ("bulk", "tail"):
                found[f"smallest {kind} ESS"] = _extreme(arviz_stats.ess(posterior, method=kind), np.argmin)
    else:
        found |= dict.fromkeys(("largest R-hat", "smallest bulk ESS", "smallest tail ESS"), (np.nan, ""))
    if "energy" in statistics:
        found["smallest E-BFMI"] = (float(np.min(arviz_stats.bfmi(statistics["energy"]).values)), "")
    if "reached_max_treedepth" in statistics:
        found["share of trees at full depth"] = (float(statistics["reached_max_treedepth"].mean()), "")
    return found


def _extreme(found: xr.Dataset, which: Any) -> tuple[float, str]:
    """Return the worst value over all variables, and the variable's name; not a number is the worst of all."""
    named = {str(name): array.values for name, array in found.data_vars.items()}
    for name, values in named.items():
        if np.isnan(values).any():
            return np.nan, name
    worst = [(values.flat[which(values)], name) for name, values in named.items()]
    position = which(np.array([value for value, _ in worst]))
    return float(worst[position][0]), worst[position][1]


_REPLICATES: Final = 200
_NULLS: Final = 2000


def checked(fit: Fit) -> Fit:
    """Return a fit with its checks."""
    return replace(fit, checks=tuple(check(fit).to_dict("records"))).with_layout(fit.layout)


def prior_predictive(fit: Fit) -> xr.DataArray:
    """Return what the priors alone would have measured at the rows of a fit of one observation.

    Parameters
    ----------
    fit : Fit
        The fit.

    Returns
    -------
    DataArray, dims (chain, draw, run)
        Measured losses; draws whose law or noise overflows are not numbers.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> prior_predictive(example_fit()).sizes["run"]
    25
    """
    prior = fit.at_prior()
    with np.errstate(over="ignore", invalid="ignore"):
        drawn = measured_at_runs(prior, loss_at_runs(prior), np.random.default_rng(1))
    return drawn.where(np.isfinite(drawn))


def _adequacy(fit: Fit) -> dict[str, tuple[float, str]]:
    from scipy.stats import binom  # as above

    rows, rng = fit.layout.only, np.random.default_rng(0)
    measured, z = rows.measured, innovations(fit)[0]
    if rows.serial is None and rows.observation.output == "loss":
        _, lower, upper = interval(measured_at_runs(fit, loss_at_runs(fit), rng), 0.9)
        count = int(inside(measured, lower.values, upper.values).sum())
    else:
        count = int((np.abs(z.median(SAMPLE_DIMS)) <= usual_residual(fit, 0.9)).sum())
    found = {"p of the runs inside their 90 %": (float(binom.cdf(count, len(rows), 0.9)), f"{count} of {len(rows)} inside")}
    _, lower, upper = interval(prior_predictive(fit), 0.99)
    found["runs inside the prior's 99 %"] = (float(inside(measured, lower.values, upper.values).mean()), "")
    usual = ("params", "tokens", "compute_flops") if rows.observation.table == "runs" else ()
    columns = usual or tuple(rows.observation.columns.values())
    return found | _trends(z, fit.table, columns, rng)


def _trends(
    residual: xr.DataArray, rows: pd.DataFrame, columns: tuple[str, ...], rng: np.random.Generator
) -> dict[str, tuple[float, str]]:
    """Return, for each column, how often residuals without a trend would show a line or bow as strong."""
    step = max(1, residual.sizes["chain"] * residual.sizes["draw"] // _REPLICATES)
    ranks = _ranks(residual.stack(sample=SAMPLE_DIMS).transpose("sample", "run").values[::step])
    null = _ranks(rng.standard_normal((_NULLS, len(rows))))
    found = {}
    for column in columns:
        if column not in rows or rows[column].isna().any() or rows[column].nunique() < 3:
            continue
        line = _ranks(rows[column].to_numpy(float)[None])[0]
        bow = line**2 - (line**2).mean() - (line**3).sum() * line
        shapes = np.stack([line, bow / max(float(np.linalg.norm(bow)), 1e-12)])
        strength, by_chance = (((each @ shapes.T) ** 2).sum(axis=1) for each in (ranks, null))
        symbol = BY_COLUMN[column].symbol if column in BY_COLUMN else column
        found[f"p of the trend with {symbol}"] = (float((by_chance >= strength[:, None] - 1e-12).mean()), "")
    return found


def _ranks(rows: np.ndarray) -> np.ndarray:
    """Return the ranks along each row, centred and of unit length, so that their products are correlations."""
    order = pd.DataFrame(rows).rank(axis=1).to_numpy(float)
    centred = order - order.mean(axis=1, keepdims=True)
    return centred / np.linalg.norm(centred, axis=1, keepdims=True)
