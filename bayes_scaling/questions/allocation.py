"""The compute-optimal size: the optimum of each draw, and the one size to choose over all of them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr
from pydantic import Field

from bayes_scaling.errors import ConflictingOptions, OutOfRange, Unreachable
from bayes_scaling.posterior.compute import compute_ratio
from bayes_scaling.posterior.extrapolation import reach, reach_sentence
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.inputs import admit
from bayes_scaling.posterior.predict import SAMPLE_DIMS, interval, intervals, predict_at, sample_coords
from bayes_scaling.quantities import BY_COLUMN, tokens_at
from bayes_scaling.questions.base import Answer, Question
from bayes_scaling.questions.guardrails import stated_distances
from bayes_scaling.questions.optimum import among, choose, judged, optima, plausible
from bayes_scaling.questions.picture import curve
from bayes_scaling.questions.risk import RISK, RiskMeasure, risk_measure
from bayes_scaling.questions.surface import FEWEST, Supply, Surface, budgets_of
from bayes_scaling.wording import credible, flop, short

_AT_THE_END: Final = 0.05
"""Share of the draws whose optimum lies where the search ends, from which on an answer would be that end."""


def allocate(
    fit: Fit,
    *,
    compute: Any,
    risk: str | RiskMeasure = "mean",
    supply: Supply | None = None,
    least_params: float | None = None,
    most_params: float | None = None,
    group: Mapping[str, str] | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """Split a compute budget between parameters and tokens.

    Two answers that differ: the optimum of each draw, whose spread is its posterior uncertainty, and
    the one size to choose, which makes a risk over all draws least. Both are of the loss that :func:`~bayes_scaling.predict`
    predicts, the law with its model discrepancy: among the runs it moves the optimum to where they measured it. Beyond them its
    sign is unknown: the optimum of a draw goes further from that of the law, and the choice stays near it.

    Parameters
    ----------
    fit : Fit
        A fit of a law of N and D.
    compute : float or sequence
        Budgets, FLOP, with C = 6 N D.
    risk : str or callable
        ``"mean"``, of the mean loss; or, of the predicted loss of a new run, noise too, ``"median"``, ``"quantile:0.9"``,
        ``"cvar:0.9"``, ``"exceed:2.1"``, or a function that reduces the draws of a loss to one number, larger being worse: see
        :func:`~bayes_scaling.questions.risk.disutility`.
    supply : Supply, optional
        Text there is: tokens beyond it are seen again and worth less.
    least_params, most_params : float, optional
        Sizes allowed, as of what has to be served, or fits into memory.
    group : mapping, optional
        Label of the run in each grouping column, as for :func:`~bayes_scaling.predict`.
    seed : int
        Of the measurement noise and of new groups.

    Returns
    -------
    Dataset, dims (chain, draw, compute_flops)
        ``optimal_params`` and ``optimal_tokens``, the optimum of each draw, limits or not; ``law_optimal_params``, that of
        the law alone; ``params`` and ``tokens``, the choice; ``expected_loss`` and ``measured_loss`` at the choice; the reach
        of the choice. A single budget has no dimension.

    Raises
    ------
    InvalidRequest
        If the law has no trade-off between N and D, a budget is not a positive number, or no size is allowed.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> exact = allocate(example_fit(chains=1, draws=1), compute=5.76e23)
    >>> f"{float(exact['params']):.4g} parameters, {float(exact['tokens']):.4g} tokens"
    '7.225e+10 parameters, 1.329e+12 tokens'
    """
    labels = admit(fit, group or {}, seed)
    surface, budgets, measure = Surface.of(fit, labels, seed, supply), budgets_of(compute), risk_measure(risk)
    at = np.atleast_1d(budgets.values)
    each = optima(surface, at)
    of_law = optima(surface.law_alone, at) if surface.discrepancy else each
    _refuse_the_fewest(each, budgets)
    limits = _limits(least_params, most_params, budgets)
    chosen = choose(judged(surface, measure), at, measure, among(each), limits)
    prediction = _at_choice(fit, chosen, budgets, supply, labels, seed)
    coords = sample_coords(fit)
    optimal, law = (
        xr.DataArray(np.exp(best).reshape(*budgets.shape, *surface.shape), coords, (*budgets.dims, *SAMPLE_DIMS))
        for best in (each, of_law)
    )
    optimal, law = optimal.transpose(*SAMPLE_DIMS, ...), law.transpose(*SAMPLE_DIMS, ...)
    prediction = prediction.assign(
        optimal_params=optimal, optimal_tokens=tokens_at(budgets, optimal), law_optimal_params=law
    )
    return prediction.assign_attrs(risk=risk if isinstance(risk, str) else getattr(risk, "__name__", "a function"))


def chosen_runs(
    fit: Fit,
    *,
    compute: Any,
    risk: str | RiskMeasure = "mean",
    least_params: float | None = None,
    most_params: float | None = None,
    supply: Supply | None = None,
    group: Mapping[str, str] | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """Return what the run of each budget's choice measures: :func:`allocate` without the optimum of each draw."""
    labels = admit(fit, group or {}, seed)
    surface, budgets, measure = Surface.of(fit, labels, seed, supply), budgets_of(compute), risk_measure(risk)
    at = np.atleast_1d(budgets.values)
    limits = _limits(least_params, most_params, budgets)
    chosen = choose(judged(surface, measure), at, measure, plausible(surface, at), limits)
    return _at_choice(fit, chosen, budgets, supply, labels, seed)


def _at_choice(
    fit: Fit, chosen: np.ndarray, budgets: xr.DataArray, supply: Supply | None, labels: Mapping[str, str], seed: int
) -> xr.Dataset:
    """Return what a new run of each budget's choice measures, with ``params`` and ``tokens``."""
    params = np.exp(xr.DataArray(chosen.reshape(budgets.shape), dims=budgets.dims))
    tokens = tokens_at(budgets, params)
    worth = tokens if supply is None else supply.worth(tokens)
    choice = {"params": params, "tokens": worth, "compute_flops": compute_ratio(fit) * budgets}
    prediction = predict_at(fit, choice, group=labels, seed=seed).reset_coords(["params", "tokens"])
    if supply is not None and "reach_tokens" in prediction.coords:
        prediction = prediction.assign_coords(reach_tokens=reach(fit, "tokens", tokens))
    return prediction.assign(tokens=tokens).assign_coords(compute_flops=budgets)


def _refuse_the_fewest(optima: np.ndarray, budgets: xr.DataArray) -> None:
    """Refuse budgets whose optimum has, in one draw of twenty, the fewest parameters that are looked at, or tokens."""
    at = np.atleast_1d(budgets.values)
    for what, size in (("parameters", np.exp(optima)), ("tokens", tokens_at(at[:, None], np.exp(optima)))):
        ended = (size <= 1.01 * FEWEST).mean(axis=-1) > _AT_THE_END
        if ended.any():
            raise Unreachable(
                f"At {flop(float(at[ended].max()))} the optimum may have fewer than {short(FEWEST)} {what}, where the search ends: ask "
                f"for more compute."
            )


def _limits(least: float | None, most: float | None, budgets: xr.DataArray) -> tuple[float, float] | None:
    """Return the least and the most log N that is allowed."""
    if least is None and most is None:
        return None
    low, high = least if least is not None else FEWEST, most if most is not None else BY_COLUMN["params"].maximum
    for name, value in (("least_params", low), ("most_params", high)):
        if not (np.isfinite(value) and value > 0):
            raise OutOfRange(f"{name} is {value:g}: it has to be a positive number.")
    if low > high:
        raise ConflictingOptions(f"least_params is {short(low)} and most_params {short(high)}: no size is allowed.")
    if float(tokens_at(budgets, low).min()) < FEWEST:
        raise Unreachable(
            f"A budget of {flop(float(budgets.min()))} shows {short(low)} parameters fewer than {FEWEST:g} tokens: allow smaller "
            f"sizes."
        )
    return float(np.log(low)), float(np.log(high))


def budget_table(allocation: xr.Dataset, prob: float = 0.9) -> pd.DataFrame:
    """Return an allocation as a table, one row a budget.

    Parameters
    ----------
    allocation : Dataset
        What :func:`allocate` returned.
    prob : float
        Probability of the intervals.

    Returns
    -------
    DataFrame
        ``compute_flops``; ``params``, ``tokens`` and ``tokens_per_param``, the choice, each with ``_median``,
        ``_lower`` and ``_upper`` of the optimum; ``law_params``, the median optimum of the law alone; ``median``, ``lower``,
        ``upper`` of a new run's measured loss there and ``mean_lower``, ``mean_upper`` of the expected one; the reach, in
        decades.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> budget_table(allocate(example_fit(), compute=[1e22, 1e23])).params_lower.round(-9).tolist()
    [9000000000.0, 29000000000.0]
    """
    choice = allocation[["params", "tokens"]].assign(tokens_per_param=allocation["tokens"] / allocation["params"])
    optimum = allocation[["optimal_params", "optimal_tokens"]]
    optimum = optimum.assign(optimal_tokens_per_param=optimum["optimal_tokens"] / optimum["optimal_params"])
    columns: dict[str, Any] = {"compute_flops": allocation["compute_flops"]}
    for name in choice.data_vars:
        ends = (f"{name}_median", f"{name}_lower", f"{name}_upper")
        columns |= {str(name): choice[name], **dict(zip(ends, interval(optimum[f"optimal_{name}"], prob), strict=True))}
    columns["law_params"] = allocation["law_optimal_params"].median(SAMPLE_DIMS)
    columns |= {str(name): bound for name, bound in intervals(allocation, prob).data_vars.items()}
    columns |= {str(name): c for name, c in allocation.coords.items() if str(name).startswith("reach_")}
    return pd.DataFrame({name: np.atleast_1d(np.asarray(column)) for name, column in columns.items()})


class Allocate(Question):
    """The split of a compute budget between parameters and tokens, with credible intervals.

    Table ``budgets``: a row of :func:`~bayes_scaling.budget_table` a budget. Draws: what :func:`~bayes_scaling.allocate`
    returns. In JSON one budget is flat.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> Allocate(compute=[5.76e23]).answer(example_fit()).tables["budgets"]["params"].round(-8).tolist()
    [72100000000.0]
    """

    name = "allocate"
    panel = "Budget"
    about_budgets = True
    example = "allocate fit.nc --compute 5.76e23 --risk cvar:0.9"
    guarded = False
    writes = "budgets"

    compute: tuple[float, ...] = Field(description="Budget, FLOP; repeat for several.")
    risk: str = RISK

    def _result(self, posterior: Fit) -> Answer:
        draws = allocate(posterior, compute=list(self.compute), risk=self.risk, group=self.group, seed=self.seed)
        table = budget_table(draws, self.prob)
        rows = table.to_dict("records")
        values = {**rows[0], "risk": self.risk} if len(rows) == 1 else {}
        band = ("params_lower", "params_upper")
        draw = partial(curve, table="budgets", x="compute_flops", y="params", band=band, log="xy")
        sentence = "\n".join(budget_sentence(row, self.prob, posterior.loss_unit) for row in rows)
        return Answer(sentence, values, {"budgets": table}, data=draws, draw=draw)

    def document(self, answer: Answer) -> Any:
        """Return one budget flat, and several as a list, each with what is said of all."""
        whole = answer.to_dict()
        rows = whole.pop("budgets")
        return answer.to_dict() if len(rows) == 1 else [{**whole, **row, "risk": self.risk} for row in rows]


def budget_sentence(row: Mapping[str, Any], prob: float, unit: str) -> str:
    """Return one row of a budget table in words."""
    law = law_clause(row["law_params"], row["params_median"], "; {}")
    sizes = {n: (short(row[f"{n}_lower"]), short(row[f"{n}_upper"])) for n in ("params", "tokens", "tokens_per_param")}
    return (
        f"At {flop(row['compute_flops'])}:\n"
        f"  N    {short(row['params'])} parameters ({credible(prob, *sizes['params'])} of the optimum{law})\n"
        f"  D    {short(row['tokens'])} tokens ({' to '.join(sizes['tokens'])})\n"
        f"  D/N  {short(row['tokens_per_param'])} ({' to '.join(sizes['tokens_per_param'])})\n"
        f"  loss {row['median']:.4f} {unit} of a new run ({row['lower']:.4f} to {row['upper']:.4f}); "
        f"mean {row['mean_lower']:.4f} to {row['mean_upper']:.4f}\n"
        f"  {reach_sentence(stated_distances(row))}"
    )


def law_clause(law_params: float, params: float, form: str = " ({})") -> str:
    """Return what the law alone says of a size, where its discrepancy moves it.

    >>> law_clause(6.4e10, 7.1e10), law_clause(6.4e10, 6.4e10)
    (' (the law alone: 64B)', '')
    """
    return form.format(f"the law alone: {short(law_params)}") if short(law_params) != short(params) else ""
