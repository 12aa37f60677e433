"""The next run to train: the expected value of the information of several, for their cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypedDict, Unpack

import numpy as np
import pandas as pd
import xarray as xr
from pydantic import Field

from bayes_scaling.errors import InvalidInputs, MissingOption, Unreachable
from bayes_scaling.model.noise import Likelihood, standard_deviation
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.inputs import positive
from bayes_scaling.posterior.predict import growth_at, new_run_sd, own_sd, predict
from bayes_scaling.posterior.residuals import flat_draws
from bayes_scaling.quantities import training_compute
from bayes_scaling.questions.base import Answer, Question
from bayes_scaling.questions.optimum import optima
from bayes_scaling.questions.surface import DRAWS, Surface, budgets_of
from bayes_scaling.runs.validate import as_numbers
from bayes_scaling.wording import flop, number, short

_SIZES: Final = 61
_CHEAPEST: Final = 0.01
FEWEST_EFFECTIVE: Final = 50.0
"""Effective draws that an outcome leaves on average, below which its weights are too few to be trusted."""
_SURE: Final = 0.05
"""Standard error of a share of the risk up to which it is trusted."""


class Asked(TypedDict, total=False):
    """The group of the runs, and the seed of the outcomes."""

    group: Mapping[str, str] | None
    seed: int


@dataclass(frozen=True)
class Forecast:
    """A decision that rests on the loss of the run N, D: its risk is the variance of the log of the mean loss."""

    params: float
    tokens: float


@dataclass(frozen=True)
class Budget:
    """A decision about the size to train with a budget, FLOP: its risk is the expected regret of the choice."""

    compute: float


def next_run(fit: Fit, candidates: pd.DataFrame, about: Forecast | Budget, **asked: Unpack[Asked]) -> pd.DataFrame:
    """Return the table ``candidates`` of :class:`NextRun`."""
    state = _draws(fit, candidates, about, **asked)
    table = _plain(candidates).assign(cost=state.cost, risk=state.risk)
    table = table.join(_worth(state, [[row] for row in range(len(candidates))]))
    table["value_per_cost"] = table["value"] / table["cost"]
    return table.sort_values("value_per_cost", ascending=False, kind="stable").reset_index(drop=True)


def next_runs(
    fit: Fit, candidates: pd.DataFrame, about: Forecast | Budget, *, money: float, most: int = 10, **asked: Unpack[Asked]
) -> pd.DataFrame:
    """Return the table ``together`` of :class:`NextRun`: runs, at most some number, to train together for a sum of money.

    Twice runs are added one by one, that which adds most for its cost and that which adds most, until the money is spent: cheap runs
    first can leave no money for the one that matters (Leskovec et al. 2007). What a run adds is judged by the linear estimate, as
    weights of draws would take minutes; where it tells nothing, runs are taken in the order of what each is worth alone. The set of
    most value is returned.
    """
    state = _draws(fit, candidates, about, **asked)
    if not (np.isfinite(money) and money >= state.cost.min()):
        raise Unreachable(
            f"With {number(money)} none of the candidates can be paid: the cheapest costs {number(state.cost.min())}."
        )
    ways = [_added(state, money, min(most, len(candidates)), by_cost=by_cost) for by_cost in (True, False)]
    ways.append(_in_turn(state, money, most))
    chosen = max(ways, key=lambda way: state.worth(way).value)
    table = _plain(candidates.iloc[chosen]).assign(cost=state.cost[chosen], spent=np.cumsum(state.cost[chosen]))
    return table.join(_worth(state, [chosen[: n + 1] for n in range(len(chosen))]))


def _added(state: _Draws, money: float, most: int, *, by_cost: bool) -> list[int]:
    """Return runs added one by one while they are paid for and tell more: that of most value, or of most for its cost."""
    chosen: list[int] = []
    value, spent = 0.0, 0.0
    while len(chosen) < most:
        paid = np.flatnonzero(spent + state.cost <= money * (1 + 1e-12))
        left = [int(row) for row in paid if row not in chosen]
        gains = [(state.linear([*chosen, row]) - value) / (state.cost[row] if by_cost else 1.0) for row in left]
        if not gains or not max(gains) > 0:
            break
        chosen.append(left[int(np.argmax(gains))])
        value, spent = state.linear(chosen), spent + float(state.cost[chosen[-1]])
    return chosen


def _in_turn(state: _Draws, money: float, most: int) -> list[int]:
    """Return runs as far as they are paid for, that first which is worth most for its cost by itself; none that is worth nothing."""
    alone = np.array([state.worth([row]).value for row in range(len(state.cost))])
    chosen: list[int] = []
    for row in np.argsort(-alone / state.cost, kind="stable"):
        if alone[row] > 0 and len(chosen) < most and state.cost[[*chosen, row]].sum() <= money * (1 + 1e-12):
            chosen.append(int(row))
    return chosen


def _worth(state: _Draws, sets: Sequence[Sequence[int]]) -> pd.DataFrame:
    """Return what each set of runs is worth, and how sure weights of draws are of it."""
    table = pd.DataFrame([state.worth(chosen) for chosen in sets], columns=_Worth._fields)
    risk = state.risk or 1.0  # nothing is at risk, nothing is won
    table.insert(1, "share", np.minimum(table["value"] / risk, 1.0))
    return table


def risk_now(fit: Fit, about: Forecast | Budget, **asked: Unpack[Asked]) -> float:
    """Return the risk of a decision as things stand: variance of the log loss forecast, or expected regret of the size chosen."""
    return _draws(fit, fit.table[["params", "tokens"]].iloc[:1], about, most=DRAWS["risk"], **asked).risk


def ladder_of(fit: Fit, *, most: float, sizes: int = 9, lengths: int = 9) -> pd.DataFrame:
    """Return a grid of runs no dearer than some compute and not a hundred times cheaper, in proportions like those measured.

    Sizes go to four times the measured ones either way, and tokens a parameter to three times.

    >>> from bayes_scaling.posterior.examples import example_fit
    >>> runs = ladder_of(example_fit(), most=1e21)
    >>> bool((training_compute(runs["params"], runs["tokens"]) <= 1e21).all()), len(runs)
    (True, 23)
    """
    params, ratio = fit.table["params"], fit.table["tokens"] / fit.table["params"]
    size = np.repeat(np.geomspace(params.min() / 4, params.max() * 4, sizes), lengths)
    proportion = np.tile(np.geomspace(ratio.min() / 3, ratio.max() * 3, lengths), sizes)
    runs = pd.DataFrame({"params": size, "tokens": size * proportion})
    cost = training_compute(runs["params"], runs["tokens"])
    affordable = runs[(cost <= most) & (cost >= most * _CHEAPEST)].reset_index(drop=True)
    if affordable.empty:
        remedy = "allow more" if cost.min() > most else "allow less"
        raise Unreachable(
            f"No run of the grid costs about {flop(most)}; they cost {flop(cost.min())} to {flop(cost.max())}: {remedy}, or give the candidates."
        )
    return affordable


class _Worth(NamedTuple):
    """What a set of runs is worth: by how much it lowers the risk; the share of it by weights, and whether these are to be trusted."""

    value: float
    reweighted: float
    reweighted_se: float
    effective_draws: float
    trusted: bool


@dataclass(frozen=True)
class _Draws:
    """What the draws say of the candidates and of the decision."""

    means: np.ndarray  # (candidate, draw): log of the mean loss
    scales: np.ndarray  # (candidate, draw): residual scale of the log of a measured one
    losses: np.ndarray  # (choice, draw): what is lost by each choice; one row for a forecast
    forecast: bool
    cost: np.ndarray
    likelihood: Likelihood
    arguments: dict[str, Any]  # of the likelihood: a number, or one a draw
    noise: np.ndarray  # (candidate, draw): standardised residual of a measurement, where the draw is the truth

    @property
    def risk(self) -> float:
        """Risk of the decision now."""
        if self.forecast:
            return float(self.losses[0].var())
        return float((self.losses[self._now] - self.losses.min(axis=0)).mean())

    @property
    def _now(self) -> int:
        """The choice made now."""
        return int(self.losses.mean(axis=1).argmin())

    def worth(self, chosen: Sequence[int]) -> _Worth:
        """Return what a set of runs is worth.

        A linear estimate makes less of a run than it tells, next to nothing where losses have long tails. Where weights can be
        trusted, and less their standard error promise more, their value counts.
        """
        share, error, effective = self.reweighted(chosen)
        trusted = effective >= FEWEST_EFFECTIVE and error <= _SURE
        weighed = (share - error) * self.risk if trusted else 0.0
        return _Worth(max(0.0, self.linear(chosen), weighed), share, error, effective, trusted)

    def linear(self, chosen: Sequence[int]) -> float:
        """Return by how much a set of runs lowers the risk, where what is decided on is linear in what is measured.

        How is learned from half of the draws, that of the first chains or of the last, and judged by the other half: by draws that
        it was learned from every run would seem to tell something.
        """
        halves = np.array_split(np.arange(self.means.shape[1]), 2)
        return float(np.mean([self._linear(list(chosen), *order) for order in (halves, halves[::-1])]))

    def _linear(self, chosen: list[int], learned: np.ndarray, judged: np.ndarray) -> float:
        at_runs, about = self.means[chosen], self.losses
        mean_runs, mean = (values[:, learned].mean(axis=1, keepdims=True) for values in (at_runs, about))
        noise = np.diag((self.scales[chosen] ** 2 * self.likelihood.variance_inflation(**self.arguments)).mean(axis=1))
        from_runs, from_mean = at_runs - mean_runs, about - mean
        covariance = from_mean[:, learned] @ from_runs[:, learned].T / len(learned)
        gain = np.linalg.solve(from_runs[:, learned] @ from_runs[:, learned].T / len(learned) + noise, covariance.T).T
        if self.forecast:
            known = from_mean[:, judged] - gain @ from_runs[:, judged]
            return float((from_mean[:, judged] ** 2 - known**2).mean() - (gain @ noise @ gain.T).item())
        measured = from_runs[:, judged] + self.scales[np.ix_(chosen, judged)] * self.noise[np.ix_(chosen, judged)]
        choice = (mean + gain @ measured).argmin(axis=0)
        return float((about[self._now, judged] - about[choice, judged]).mean())

    def reweighted(self, chosen: Sequence[int]) -> tuple[float, float, float]:
        """Return the share of the risk a set of runs takes by importance weights, its standard error, and the effective draws left on average."""
        drawn = np.arange(0, self.means.shape[1], max(1, self.means.shape[1] // DRAWS["outcomes"]))
        log_weights = np.zeros((len(drawn), self.means.shape[1]))
        for row in chosen:
            mean, scale = self.means[row], self.scales[row]
            outcome = (mean + scale * self.noise[row])[drawn]
            log_weights += self.likelihood.log_density((outcome[:, None] - mean) / scale, **self.arguments) - np.log(scale)
        # The draw that is the truth would speak for itself: it is left out afterwards.
        log_weights[np.arange(len(drawn)), drawn] = -np.inf
        weights = np.exp(log_weights - log_weights.max(axis=1, keepdims=True))
        weights /= weights.sum(axis=1, keepdims=True)
        effective = float((1 / (weights**2).sum(axis=1)).mean())
        # The same truths before and after: what these happen to be cancels.
        if self.forecast:
            truth = self.losses[0, drawn]
            before, after = (truth - self.losses[0].mean()) ** 2, (truth - weights @ self.losses[0]) ** 2
        else:
            lost = self.losses[:, drawn] - self.losses[:, drawn].min(axis=0)
            choice = (weights @ self.losses.T).argmin(axis=1)
            before, after = lost[self._now], lost[choice, np.arange(len(drawn))]
        if not before.mean() > 0:
            return 0.0, 0.0, effective
        left = after.mean() / before.mean()
        error = np.std(after - left * before, ddof=1) / before.mean() / np.sqrt(len(before)) if len(before) > 1 else np.inf
        return float(1 - left), float(error), effective


def _draws(
    fit: Fit,
    candidates: pd.DataFrame,
    about: Forecast | Budget,
    *,
    most: int = DRAWS["next_run"],
    group: Mapping[str, str] | None = None,
    seed: int = 0,
) -> _Draws:
    missing = [column for column in ("params", "tokens") if column not in candidates]
    if missing or not len(candidates):
        problem = f"they lack {', '.join(missing)}" if missing else "there is none"
        raise InvalidInputs(f"Candidates are runs with params and tokens: {problem}.")
    params, tokens = (positive(column, as_numbers(candidates[column]).to_numpy()).values for column in ("params", "tokens"))
    thinned, count = fit.thinned(-(-most // fit.posterior.sizes["chain"])), len(params)
    at: dict[str, Any] = {"params": params, "tokens": tokens}
    if isinstance(about, Forecast):
        at = {name: np.append(values, getattr(about, name)) for name, values in at.items()}
    prediction = predict(thinned, group=group, seed=seed, **at)
    growth = growth_at(thinned, prediction["law_loss"])
    sd = standard_deviation(new_run_sd(thinned), own_sd(thinned, growth), growth) + 0 * prediction["law_loss"]
    means, scales = np.log(flat_draws(prediction["expected_loss"])).T, flat_draws(sd).T
    if isinstance(about, Forecast):
        losses = means[count:]
    else:
        budget = np.atleast_1d(budgets_of(about.compute).values)
        surface = Surface.asked(thinned, group=group, seed=seed)
        best = optima(surface, budget)[0]
        losses = surface.along(budget[:, None], np.linspace(best.min(), best.max(), _SIZES)[:, None])
    cost = as_numbers(candidates["cost"]).to_numpy() if "cost" in candidates else training_compute(params, tokens)
    if not (np.isfinite(cost) & (cost > 0)).all():
        raise InvalidInputs("The cost of a candidate has to be a positive number.")
    likelihood = thinned.model.only.likelihood
    unknowns = likelihood.arguments(thinned.posterior)
    arguments = {n: flat_draws(v) if isinstance(v, xr.DataArray) else v for n, v in unknowns.items()}
    noise = likelihood.standard(np.random.default_rng([seed, 11]), (count, means.shape[1]), **arguments)
    forecast = isinstance(about, Forecast)
    return _Draws(means[:count], scales[:count], losses, forecast, np.asarray(cost), likelihood, arguments, noise)


def _plain(candidates: pd.DataFrame) -> pd.DataFrame:
    """Return candidates without the columns of an earlier ranking."""
    ours = ("risk", "value", "share", "value_per_cost", "reweighted", "reweighted_se", "effective_draws", "trusted", "spent")
    return candidates.drop(columns=[c for c in ours if c in candidates]).reset_index(drop=True)


def _percent(share: float) -> str:
    return "less than 1 %" if share < 0.01 else f"{100 * share:.0f} %"


class NextRun(Question):
    """The runs one could train next, ranked by the value of their information for a decision, for their cost.

    A run is worth what is expected to be better decided with it: the expected value of sample information (Raiffa and
    Schlaifer 1961). Each draw of the posterior in turn is the truth, and measures the candidate; the decision is then made by
    the best linear estimate from what was measured, and its risk compared with that of deciding now. For Normal draws that is
    the value itself, for others with Normal noise no more than it (Student-t noise counts by its Fisher information, as which
    a run tells somewhat more than it does), and it is steady for sets of runs, where weights of draws are not. The estimate is learned from
    half of the draws and judged by the other. Beside it stands the value by importance weights, each outcome reweighing the
    draws, with its standard error and the effective draws that it leaves; where it is trusted and even less its standard error the larger,
    as of losses with long tails, it counts. Besides,
    :mod:`~bayes_scaling.questions.preposterior` samples posteriors anew. The risk of a forecast is the variance of the log of
    the mean loss, that of a budget the expected regret of the size chosen. Asked of a fit of a law of N and D.

    Table ``candidates``: the candidates, best first, with ``cost``, 6 N D, FLOP, where they have none; ``risk``, of the decision
    now; ``value``, by how much the run is expected to lower it; ``share``, of the risk; ``value_per_cost``; ``reweighted``, the
    share by importance weights, ``reweighted_se`` its standard error; ``effective_draws``, what an outcome leaves of the draws on
    average; ``trusted``, whether these are enough for it and the error is at most a twentieth. Table ``together``, where money is given: the runs to train with it, in the order of choice, ``spent`` so
    far, and the same of the set so far.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> runs = pd.DataFrame({"params": [1e8, 5e9], "tokens": [2e9, 1e11]})
    >>> answer = NextRun(candidates=runs, params=7e10, tokens=1.4e12).answer(example_fit())
    >>> bool((answer.tables["candidates"]["value"] >= 0).all())
    True
    """

    name = "next-run"
    panel = "Budget"
    about_budgets = True
    example = "next-run fit.nc --most 1e21 --params 7e10 --tokens 1.4e12"
    trade_off = False  # a run off the line is what such a design needs
    writes = "candidates"

    most: float | None = Field(
        default=None, gt=0, description="Largest cost of one run, FLOP; the candidates are then a grid around the runs."
    )
    candidates: tuple[dict[str, float], ...] = Field(
        default=(), max_length=10_000, description="Or a table of candidates: params, tokens and, if it is not 6 N D, cost."
    )
    money: float | None = Field(
        default=None, gt=0, description="Largest total cost of several runs: FLOP, or in the unit of the candidates' cost."
    )
    params: float | None = Field(default=None, gt=0, description="Parameters N of the run to forecast.")
    tokens: float | None = Field(default=None, gt=0, description="Tokens D of the run to forecast.")
    compute: float | None = Field(default=None, gt=0, description="Or the budget, FLOP, whose split is to be decided.")

    @property
    def about(self) -> Forecast | Budget:
        """The decision: about a forecast, or about a budget."""
        if self.compute is not None and self.params is None and self.tokens is None:
            return Budget(self.compute)
        if self.compute is None and self.params is not None and self.tokens is not None:
            return Forecast(self.params, self.tokens)
        raise MissingOption(
            "Say what is to be decided: --params and --tokens of the run to forecast, or --compute of the budget."
        )

    def _compute(self) -> Any:
        if self.params is not None and self.tokens is not None:
            return training_compute(self.params, self.tokens)
        return self.compute

    def _result(self, posterior: Fit) -> Answer:
        about = self.about
        if bool(self.candidates) == (self.most is not None):
            raise MissingOption("Give either the candidates, or most, the largest cost of one run.")
        pool = pd.DataFrame(list(self.candidates)) if self.candidates else ladder_of(posterior, most=self.most or 0.0)
        cost = short if "cost" in pool else flop
        what = "forecast" if self.params is not None else "choice of size"
        table = next_run(posterior, pool, about, group=self.group, seed=self.seed)
        best, most = table.iloc[0], table.loc[table["value"].idxmax()]
        sentence = (
            f"Next, train {short(best['params'])} parameters on {short(best['tokens'])} tokens ({cost(best['cost'])}): it is expected to remove {_percent(best['share'])} of the "
            f"risk of the {what}, the most for its cost of {len(table)} candidates. The most informative is "
            f"{short(most['params'])} on {short(most['tokens'])} ({cost(most['cost'])}): {_percent(most['share'])}."
        )
        tables = {"candidates": table}
        if self.money is not None:
            tables["together"] = next_runs(posterior, pool, about, money=self.money, group=self.group, seed=self.seed)
            runs = [f"{short(run['params'])} on {short(run['tokens'])}" for run in tables["together"].to_dict("records")]
            share = tables["together"]["share"].max() if runs else 0.0
            worth = f"{len(runs)} runs together are expected to remove {_percent(share)}: {', '.join(runs)}"
            sentence += f"\nFor {cost(self.money)}, {worth if runs else 'none of them is worth training'}."
        return Answer(sentence, tables=tables)
