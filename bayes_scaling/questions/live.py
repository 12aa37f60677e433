"""A run under way: the forecast of its end given its curve so far, and whether the curve has left the forecast."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr
from pydantic import Field

from bayes_scaling import display
from bayes_scaling.errors import InvalidInputs, NotLearned, WrongPosterior
from bayes_scaling.model.gaussian import Serial, innovations
from bayes_scaling.model.grouping import label_of
from bayes_scaling.model.noise import Correlation, relative_error
from bayes_scaling.numerics import weighted_quantile
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.predict import (
    growth_at,
    inside,
    interval,
    new_run_sd,
    own_sd,
    predict,
    quantiles,
    typical_relative_se,
)
from bayes_scaling.posterior.protocol import taking
from bayes_scaling.posterior.residuals import decay_of, flat_draws
from bayes_scaling.posterior.rows import Seen
from bayes_scaling.quantities import ALONG_A_RUN, BY_COLUMN, completed
from bayes_scaling.questions.base import ENDS, Answer, Question
from bayes_scaling.runs.table import read_inputs
from bayes_scaling.runs.validate import as_numbers
from bayes_scaling.wording import credible

FEWEST_EFFECTIVE: Final = 50.0
"""Effective draws below which the posterior has to be sampled anew with the curve."""
_FEWEST_AT_ALL: Final = 10.0
"""Effective draws below which no interval is stated."""
_OUTSIDE: Final = 0.99
_SAME: Final = 1.001
"""Ratio up to which a number that does not change along a run is the same one, rounded."""


@dataclass(frozen=True, eq=False)
class RunForecast:
    """The forecast of a run under way.

    Parameters
    ----------
    before, now : tuple of float
        Median, lower and upper end of the loss at its end, before its curve and given it.
    prob : float
        Probability of the intervals.
    effective_draws : float
        Effective number of draws, weighted by the curve; with fewer than fifty the answer is a guess.
    curve : DataFrame
        The points of the curve with ``lower`` and ``upper``, the 99 % forecast interval of each, and ``outside``.
    """

    before: tuple[float, ...]
    now: tuple[float, ...]
    prob: float
    effective_draws: float
    curve: pd.DataFrame

    def _repr_html_(self) -> str:
        return display.paragraph(self.sentence, strong=self.left) + display.table(self.curve, index=False)

    @property
    def left(self) -> bool:
        """Whether the run has left its forecast: its last point is outside the 99 % interval."""
        return bool(self.curve["outside"].iloc[-1])

    @property
    def sentence(self) -> str:
        """The state of the run in a line."""
        (_, low, high), (middle, lower, upper) = self.before, self.now
        width = credible(self.prob, f"{lower:.4g}", f"{upper:.4g}")
        sentence = f"The run will end at a loss of {middle:.4g} ({width}); the forecast before its curve was {low:.4g} to {high:.4g}."
        if self.effective_draws < _FEWEST_AT_ALL:
            sentence = (
                f"The curve leaves {self.effective_draws:.0f} effective draws, too few for an interval: fit again with the curve. The forecast "
                f"before it was {low:.4g} to {high:.4g}."
            )
        if self.left:
            where = "above" if self.curve["loss"].iloc[-1] > self.curve["upper"].iloc[-1] else "below"
            sentence = f"The run has LEFT its forecast: its last point lies {where} the 99 % interval. {sentence}"
        if _FEWEST_AT_ALL <= self.effective_draws < FEWEST_EFFECTIVE:
            sentence += f" Its curve leaves {self.effective_draws:.0f} effective draws: fit again with the curve."
        return sentence


@taking("fit")
def live(
    fit: Fit,
    curve: pd.DataFrame,
    *,
    end: Mapping[str, float],
    observation: str | None = None,
    group: Mapping[str, str] | None = None,
    prob: float = 0.9,
    seed: int = 0,
) -> RunForecast:
    """Update the forecast of the end of a run by its curve so far.

    The draws are reweighted by the likelihood of the curve with its serial correlation, and the end of the run is conditioned
    on the last residual: a run that is a little low stays so for a while. Points that the fit has seen, of a run of that name at that
    place, weigh no draw a second time.

    Parameters
    ----------
    fit : Fit
        A fit whose residuals are correlated along runs: of a system with learning curves, or of ``kappa`` on such points.
    curve : DataFrame
        Points of the run: the law's inputs and ``loss``.
    end : mapping
        The law's inputs at the end of the run. Those that do not change along it, such as ``params`` and ``batch_tokens``, are
        said by the curve or here.
    observation : str, optional
        Of a system: the observation that is of curves.
    group : mapping, optional
        Labels, as for :func:`~bayes_scaling.predict`.
    prob : float
        Probability of the intervals.
    seed : int
        Of the noise.

    Returns
    -------
    RunForecast
        The end before and now, and whether the run left its forecast.

    Raises
    ------
    InvalidRequest
        If the fit takes points of a run as independent, or the curve lacks an input or its loss.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_system
    >>> rows = example_system().rows("curves").query("run_id == run_id[0]").head(4)
    >>> live(example_system(), rows, end={"steps": 1e6}, observation="curves").left
    False
    """
    one, correlation = _along(fit, observation)
    inputs = [*one.model.only.columns.values()]
    points, rows = _rows(curve, end, inputs, correlation)
    *along, place = np.log(rows[correlation.along].to_numpy(float))
    along = np.array(along)
    prediction = predict(one, group=group, seed=seed, **{column: rows[column].to_numpy(float) for column in inputs})
    law, measured = prediction["law_loss"], prediction["measured_loss"]
    growth = growth_at(one, law)
    stated = xr.DataArray(np.append(relative_error(points), typical_relative_se(one)), dims="query")
    own_variance = flat_draws(own_sd(one, growth, stated) ** 2 + 0 * law)
    scale, expected = flat_draws(new_run_sd(one) * growth + 0 * law), flat_draws(prediction["expected_loss"])
    residual = np.log(points["loss"].to_numpy(float) / expected[:, :-1])
    seen = Seen(residual, scale[:, :-1], own_variance[:, :-1], decay_of(one.posterior))
    block = np.arange(len(points))[None]
    serial = Serial(block, np.ones(block.shape), along[None], np.empty(0, int))
    z, deviation = innovations(seen.residual, seen.scale, seen.own_variance, serial, seen.decay)
    known = _in_the_fit(points, one.table, correlation)
    log_weight = ((-0.5 * z**2 - np.log(deviation)) * ~known).sum(axis=1)
    weight = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()
    mean, share = seen.forecast(block[0], along, float(place))
    noise = np.random.default_rng([seed, 3]).standard_normal(len(weight))
    spread = np.sqrt(scale[:, -1] ** 2 * (1 - share) + own_variance[:, -1])
    ends = expected[:, -1] * np.exp(scale[:, -1] * mean + spread * noise)
    _, lower, upper = (bound.values[:-1] for bound in interval(measured, _OUTSIDE))
    return RunForecast(
        before=tuple(float(bound.values[-1]) for bound in interval(measured, prob)),
        now=tuple(weighted_quantile(ends, weight, quantiles(prob)).tolist()),
        prob=prob,
        effective_draws=float(1 / (weight**2).sum()),
        curve=points.assign(lower=lower, upper=upper, outside=~inside(points["loss"], lower, upper)),
    )


def _rows(
    curve: pd.DataFrame, end: Mapping[str, float], inputs: list[str], correlation: Correlation
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the points of a curve in order, and the inputs of these and of the end, or refuse the curve."""
    along, columns = correlation.along, list(dict.fromkeys([*inputs, correlation.along]))
    curve = curve.assign(**{name: as_numbers(curve[name]) for name in map(str, curve) if name in BY_COLUMN})
    curve = curve.assign(**{name: value for name, value in end.items() if name not in (*curve, *ALONG_A_RUN)})
    whole = curve.copy()
    completed(whole)
    curve = curve.assign(**{name: whole[name] for name in columns if name in whole and name not in curve})
    missing = [column for column in (*columns, "loss") if column not in curve]
    if missing or not len(curve):
        raise InvalidInputs(
            f"A curve needs {', '.join(columns)} and loss; it lacks {', '.join(missing) or 'points'}. {_advice(missing, curve)}".strip()
        )
    for name in columns:
        least, most = curve[name].min(), curve[name].max()
        if name not in ALONG_A_RUN and most > least * _SAME:
            raise InvalidInputs(f"{name} changes along the curve, from {least:g} to {most:g}: give the points of one run.")
    points = curve.sort_values(along).reset_index(drop=True)
    stated = {name: points[name].iloc[-1] for name in points if name not in ALONG_A_RUN} | dict(end)
    completed(stated)
    last = {column: stated.get(column, points[column].iloc[-1]) for column in columns}
    rows = pd.concat([points[columns], pd.DataFrame([last])], ignore_index=True)
    place = rows[along].to_numpy(float)
    if not (np.isfinite(points["loss"]) & (points["loss"] > 0)).all() or not (np.isfinite(place) & (place > 0)).all():
        raise InvalidInputs(f"Every point of a curve needs a positive loss and {along}.")
    runs = set(points[correlation.by]) if correlation.by in points else set()
    if len(runs) > 1:
        raise InvalidInputs(f"The curve has {len(runs)} values of {correlation.by}: give the points of one run.")
    if (np.diff(place[:-1]) <= 0).any():
        raise InvalidInputs(f"Two points of the curve have the same {along}: keep one of them.")
    if place[-1] <= place[-2]:
        raise InvalidInputs(f"The end of the run has {along} {place[-1]:g}, no further than its curve.")
    return points, rows


def _in_the_fit(points: pd.DataFrame, table: pd.DataFrame, correlation: Correlation) -> np.ndarray:
    """Return which points of a curve the posterior has seen: they weigh its draws no second time."""
    place = [correlation.by, correlation.along]
    if not {*place} <= {*points} & {*table}:
        return np.zeros(len(points), dtype=bool)
    each, seen = (of[place].assign(**{correlation.by: of[correlation.by].map(label_of)}) for of in (points, table))
    return pd.MultiIndex.from_frame(each).isin(pd.MultiIndex.from_frame(seen))


def _advice(missing: list[str], curve: pd.DataFrame) -> str:
    """Return how to give what a curve lacks and does not change along it."""
    fixed = [name for name in missing if name not in ALONG_A_RUN]
    fixed += ["batch_tokens"] if "tokens" in missing and "steps" in curve else []
    at_end = " ".join(f"--end {name}=..." for name in fixed)
    return f"Values that do not change along it can be given at its end: {at_end}." if fixed else ""


def _along(fit: Fit, observation: str | None) -> tuple[Fit, Correlation]:
    """Return the fit of the law of a curve, and how its points are correlated."""
    curves = [o.name for o in fit.model.observations if o.correlation is not None and o.output == "loss"]
    name = observation if observation is not None else curves[0] if len(curves) == 1 else None
    if name not in curves:
        if fit.model.is_one:
            raise NotLearned(
                "This fit takes points of a run as independent, so that a curve would count for far too much: fit a model with "
                "learning curves, or a table with points along runs."
            )
        raise WrongPosterior(
            f"Name the observation that the curve belongs to: {', '.join(curves) or 'none of this fit is correlated along runs'}."
        )
    correlation = fit.model.observation(name).correlation
    assert correlation is not None
    return fit.view(name), correlation


class Live(Question):
    """The final loss of a run in progress, updated by its curve so far, and whether the run has left its forecast.

    Asked of a fit whose residuals are correlated along runs; a run that is a little low stays so for a while.

    Values: ``before`` and ``now``, each ``median``, ``lower``, ``upper`` of the loss at the end; ``left``, whether the last
    point is outside its interval; ``effective_draws``. Table ``curve``: the points with ``lower`` and ``upper``, the 99 %
    forecast interval of each, and ``outside``.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_system
    >>> rows = example_system().rows("curves").query("run_id == run_id[0]").head(4)
    >>> answer = Live(curve=rows, end={"steps": 1e6}, observation="curves").answer(example_system())
    >>> answer.values["left"], answer.tables["curve"]["outside"].any().item()
    (False, False)
    """

    name = "live"
    panel = "Forecast"
    example = "live system.nc --curve run.csv --end steps=100000"
    takes = ("fit",)
    guarded = False
    writes = "curve"

    curve: tuple[dict[str, str | int | float | bool | None], ...] = Field(
        min_length=1,
        description="Points of the run so far: the inputs of the law and loss; or the log of a trainer, trainer_state.json.",
    )
    end: dict[str, float] = Field(
        description="Inputs of the law at the end of the run; those that do not change can come from the curve.",
        json_schema_extra={"of": "NUMBER"},
    )
    observation: str | None = Field(default=None, description="Observation of curves, where the model has several.")

    def _requests(self) -> list[Mapping[str, Any]]:
        constant = {column: self.curve[-1].get(column) for column in ("params", "batch_tokens")}
        return [{**constant, **self.end}]

    def _result(self, posterior: Fit) -> Answer:
        points = read_inputs(pd.DataFrame(list(self.curve)), needs=["loss"])
        state = live(
            posterior, points, end=self.end, observation=self.observation, group=self.group, prob=self.prob, seed=self.seed
        )
        values = {
            "now": dict(zip(ENDS, state.now, strict=True)),
            "before": dict(zip(ENDS, state.before, strict=True)),
            "left": state.left,
            "effective_draws": state.effective_draws,
        }
        return Answer(state.sentence, values, {"curve": state.curve})
