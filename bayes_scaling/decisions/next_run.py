"""The next run to train: which of several, at what they cost, makes the decision at hand better.

A run is worth what is expected to be better decided with it: the expected value of sample information (Raiffa and
Schlaifer 1961). Outcomes of a candidate are drawn from the posterior, and each reweighs the draws as if it had been
measured; what is then known of the forecast asked about, or of the size to choose with a budget, is compared with what is
known now. No posterior is sampled again: how far the weights can be trusted is said beside each candidate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from bayes_scaling.decisions.split import Surface, budgets_of, optima
from bayes_scaling.errors import InvalidRequest
from bayes_scaling.fits import Fit
from bayes_scaling.prediction import SAMPLE_DIMS, level_at, predict, typical_relative_se
from bayes_scaling.quantities import training_compute
from bayes_scaling.requests import admit, positive
from bayes_scaling.scatter import scale_of, sigma_of_new

_DRAWS: Final = 1000
_OUTCOMES: Final = 250
_SIZES: Final = 61
_CHEAPEST: Final = 0.01
FEWEST_EFFECTIVE: Final = 50.0
"""Effective draws that an outcome leaves on average, below which its weights are too few to be trusted."""


@dataclass(frozen=True)
class Forecast:
    """A decision that rests on the loss of one run: its risk is the variance of the log of the expected loss.

    Parameters
    ----------
    params, tokens : float
        The run.
    """

    params: float
    tokens: float


@dataclass(frozen=True)
class Budget:
    """A decision about the size to train with a budget: its risk is the expected regret of the choice.

    Parameters
    ----------
    compute : float
        FLOP.
    """

    compute: float


def next_run(
    fit: Fit,
    candidates: pd.DataFrame,
    about: Forecast | Budget,
    *,
    group: Mapping[str, str] | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Rank runs by what each is expected to improve of a decision, for its cost.

    Parameters
    ----------
    fit : Fit
        A fit of a law of N and D.
    candidates : DataFrame
        ``params`` and ``tokens`` of the runs one could train; ``cost``, in any unit, where it is not 6 N D.
    about : Forecast or Budget
        The decision.
    group : mapping, optional
        Labels of the runs, as for :func:`~bayes_scaling.predict`.
    seed : int
        Of the outcomes.

    Returns
    -------
    DataFrame
        The candidates, best first, with ``cost``; ``risk``, of the decision now; ``value``, by how much the run is expected
        to lower it; ``share``, of the risk; ``value_per_cost``; ``effective_draws``, what an outcome leaves of the draws on
        average; ``trusted``, whether these are enough. Where they are not, the value is a guess: sample anew with the run.

    Raises
    ------
    InvalidRequest
        If there is no candidate, or a number is not positive.

    Examples
    --------
    >>> from bayes_scaling.examples import example_fit
    >>> runs = pd.DataFrame({"params": [1e8, 5e9], "tokens": [2e9, 1e11]})
    >>> found = next_run(example_fit(), runs, Forecast(params=7e10, tokens=1.4e12))
    >>> bool((found["value"] >= 0).all())
    True
    """
    known = _known(fit, candidates, about, group, seed)
    rows = []
    for number in range(len(candidates)):
        value, effective = known.value([number])
        rows.append((value, effective))
    table = _plain(candidates).assign(cost=known.cost, risk=known.risk)
    table["value"] = [max(0.0, value) for value, _ in rows]
    table["share"] = np.clip(table["value"] / table["risk"], 0.0, 1.0) if known.risk > 0 else 0.0
    table["value_per_cost"] = table["value"] / table["cost"]
    table["effective_draws"] = [effective for _, effective in rows]
    table["trusted"] = table["effective_draws"] >= FEWEST_EFFECTIVE
    return table.sort_values("value_per_cost", ascending=False, kind="stable").reset_index(drop=True)


def next_runs(
    fit: Fit,
    candidates: pd.DataFrame,
    about: Forecast | Budget,
    *,
    money: float,
    most: int = 10,
    group: Mapping[str, str] | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Choose runs to train together for a sum of money: each next one is that which adds most for its cost.

    Parameters
    ----------
    fit, candidates, about, group, seed
        As for :func:`next_run`.
    money : float
        What they may cost together, in the unit of their cost.
    most : int
        How many at the most.

    Returns
    -------
    DataFrame
        The runs in the order of choice: ``value`` of the set so far, ``share`` of the risk, ``spent`` so far, and
        ``effective_draws``, ``trusted`` as for :func:`next_run`.

    Raises
    ------
    InvalidRequest
        As for :func:`next_run`; or if the money pays for none.
    """
    known = _known(fit, candidates, about, group, seed)
    if not (np.isfinite(money) and money >= known.cost.min()):
        raise InvalidRequest(f"With {money:g} none of the candidates can be paid: the cheapest costs {known.cost.min():g}.")
    chosen: list[int] = []
    rows, value, spent = [], 0.0, 0.0
    while len(chosen) < min(most, len(candidates)):
        best: tuple[float, int, float, float] | None = None
        for number in range(len(candidates)):
            if number in chosen or spent + known.cost[number] > money * (1 + 1e-12):
                continue
            found, effective = known.value([*chosen, number])
            gain = (found - value) / known.cost[number]
            if best is None or gain > best[0]:
                best = gain, number, found, effective
        if best is None or not best[0] > 0:
            break  # what is left is not paid for, or tells nothing more
        _, number, value, effective = best
        chosen.append(number)
        spent += float(known.cost[number])
        rows.append((value, min(1.0, value / known.risk), spent, effective))
    table = _plain(candidates.iloc[chosen]).assign(cost=known.cost[chosen])
    told = pd.DataFrame(rows, columns=["value", "share", "spent", "effective_draws"])
    return table.join(told).assign(trusted=told["effective_draws"] >= FEWEST_EFFECTIVE)


def ladder_of(fit: Fit, *, most: float, sizes: int = 9, lengths: int = 9) -> pd.DataFrame:
    """Return a grid of runs no dearer than some compute and not a hundred times cheaper, in proportions like those measured.

    Sizes go to four times the measured ones either way, and tokens a parameter to three times.

    Raises
    ------
    InvalidRequest
        If no run of the grid costs so little.

    Examples
    --------
    >>> from bayes_scaling.examples import example_fit
    >>> found = ladder_of(example_fit(), most=1e21)
    >>> bool((training_compute(found["params"], found["tokens"]) <= 1e21).all()), len(found)
    (True, 23)
    """
    runs = fit.runs
    ratio = runs["tokens"] / runs["params"]
    grid = [
        (size, size * proportion)
        for size in np.geomspace(runs["params"].min() / 4, runs["params"].max() * 4, sizes)
        for proportion in np.geomspace(ratio.min() / 3, ratio.max() * 3, lengths)
    ]
    found = pd.DataFrame(grid, columns=["params", "tokens"])
    cost = training_compute(found["params"], found["tokens"])
    kept = found[(cost <= most) & (cost >= most * _CHEAPEST)].reset_index(drop=True)
    if kept.empty:
        raise InvalidRequest(f"No run of the grid costs about {most:g} FLOP: allow more, or give the candidates.")
    return kept


@dataclass(frozen=True)
class _Known:
    """What the draws say of the candidates and of the decision."""

    means: np.ndarray  # (candidate, draw): log of the expected loss
    scales: np.ndarray  # (candidate, draw): scatter of the log of a measured one
    losses: np.ndarray  # (choice, draw): what is lost by each choice; one row for a forecast
    forecast: bool
    cost: np.ndarray
    noise: np.ndarray  # (candidate, outcome)
    drawn: np.ndarray  # (outcome,): the draw that is the truth
    nu: np.ndarray | None  # (draw,): degrees of freedom of the scatter, where it has a heavy tail
    norm: np.ndarray | float  # (draw,): log of what its density is a multiple of

    @property
    def risk(self) -> float:
        """Risk of the decision now, over the truths that are drawn."""
        if self.forecast:
            of = self.losses[0]
            return float(((of[self.drawn] - of.mean()) ** 2).mean())
        lost = self.losses - self.losses.min(axis=0)
        return float(lost[self._now, self.drawn].mean())

    @property
    def _now(self) -> int:
        """The choice made now."""
        return int(self.losses.mean(axis=1).argmin())

    def value(self, chosen: Sequence[int]) -> tuple[float, float]:
        """Return by how much a set of runs lowers the risk, and the effective draws an outcome leaves on average."""
        log_weights = np.zeros((len(self.drawn), self.means.shape[1]))
        for number in chosen:
            mean, scale = self.means[number], self.scales[number]
            outcome = mean[self.drawn] + scale[self.drawn] * self.noise[number]
            log_weights += self._log_density((outcome[:, None] - mean) / scale) - np.log(scale)
        # The draw that is the truth would speak for itself: it is left out of what is known afterwards.
        log_weights[np.arange(len(self.drawn)), self.drawn] = -np.inf
        weights = np.exp(log_weights - log_weights.max(axis=1, keepdims=True))
        weights /= weights.sum(axis=1, keepdims=True)
        effective = float((1 / (weights**2).sum(axis=1)).mean())
        # The same truths before and after: what these happen to be cancels.
        if self.forecast:
            of = self.losses[0]
            center = weights @ of
            lowered = (of[self.drawn] - of.mean()) ** 2 - (of[self.drawn] - center) ** 2
            return float(lowered.mean()), effective
        choice = (weights @ self.losses.T).argmin(axis=1)
        return float((self.losses[self._now, self.drawn] - self.losses[choice, self.drawn]).mean()), effective

    def _log_density(self, z: np.ndarray) -> np.ndarray:
        """Return the log density of standardized residuals, but for what the density of each draw is a multiple of."""
        if self.nu is None:
            return -0.5 * z**2
        return self.norm - 0.5 * (self.nu + 1) * np.log1p(z**2 / self.nu)


def _known(
    fit: Fit, candidates: pd.DataFrame, about: Forecast | Budget, group: Mapping[str, str] | None, seed: int
) -> _Known:
    missing = [column for column in ("params", "tokens") if column not in candidates]
    if missing or not len(candidates):
        said = f"they lack {', '.join(missing)}" if missing else "there is none"
        raise InvalidRequest(f"Candidates are runs with params and tokens: {said}.")
    params, tokens = (positive(column, candidates[column].to_numpy(float)).values for column in ("params", "tokens"))
    thinned = fit.thinned(-(-_DRAWS // fit.posterior.sizes["chain"]))
    wanted = about if isinstance(about, Forecast) else None
    at: dict[str, Any] = {"params": params, "tokens": tokens}
    if wanted is not None:
        at = {name: np.append(values, getattr(wanted, name)) for name, values in at.items()}
    found = predict(thinned, group=group, seed=seed, **at)
    level = level_at(thinned, found["law_loss"])
    sigma = scale_of(sigma_of_new(thinned.posterior), typical_relative_se(thinned), level) + 0 * found["law_loss"]
    stacked = [a.stack(sample=SAMPLE_DIMS).transpose("query", "sample").values for a in (found["expected_loss"], sigma)]
    means, scales = np.log(stacked[0]), stacked[1]
    count = len(params)
    rng = np.random.default_rng([seed, 11])
    if wanted is not None:
        losses = means[count:]
    else:
        assert isinstance(about, Budget)
        budget = float(budgets_of(about.compute))
        surface = Surface.of(thinned, admit(thinned, group or {}, seed), seed)
        best = optima(surface, np.array([budget]))[0]
        sizes = np.linspace(best.min(), best.max(), _SIZES)
        losses = surface.along(np.array([[budget]]), sizes[:, None])
    cost = candidates["cost"].to_numpy(float) if "cost" in candidates else training_compute(params, tokens)
    if not (np.isfinite(cost) & (cost > 0)).all():
        raise InvalidRequest("The cost of a candidate has to be a positive number.")
    drawn = rng.integers(means.shape[1], size=_OUTCOMES)
    noise, nu, norm = rng.standard_normal((count, _OUTCOMES)), None, 0.0
    if thinned.spec.likelihood.dist == "StudentT":
        from scipy.special import gammaln  # some tenths of a second that other questions do without

        given: Any = thinned.posterior.get("nu", thinned.spec.likelihood.nu)
        nu = (given + 0 * thinned.posterior["sigma"]).transpose(*SAMPLE_DIMS).values.ravel()
        norm = gammaln((nu + 1) / 2) - gammaln(nu / 2) - 0.5 * np.log(nu)
        noise = noise / np.sqrt(rng.chisquare(nu[drawn], size=noise.shape) / nu[drawn])
    return _Known(means[:count], scales[:count], losses, wanted is not None, np.asarray(cost), noise, drawn, nu, norm)


def _plain(candidates: pd.DataFrame) -> pd.DataFrame:
    """Return candidates without what an earlier ranking said of them."""
    ours = ("risk", "value", "share", "value_per_cost", "effective_draws", "trusted", "spent")
    return candidates.drop(columns=[c for c in ours if c in candidates]).reset_index(drop=True)


def mentioned(about: Mapping[str, Any]) -> Forecast | Budget:
    """Return the decision that a request names: ``params`` and ``tokens`` of a forecast, or ``compute`` of a budget.

    Raises
    ------
    InvalidRequest
        If it names neither, or both.

    Examples
    --------
    >>> mentioned({"compute": 1e24})
    Budget(compute=1e+24)
    """
    given = {name for name, value in about.items() if value is not None}
    if given == {"compute"}:
        return Budget(float(about["compute"]))
    if given == {"params", "tokens"}:
        return Forecast(float(about["params"]), float(about["tokens"]))
    raise InvalidRequest(
        "Say what is to be decided: --params and --tokens of the run to forecast, or --compute of the budget."
    )
