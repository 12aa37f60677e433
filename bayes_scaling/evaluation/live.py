"""A run that is under way: what its curve so far says of its end, and whether it has left what was forecast of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr

from bayes_scaling.errors import InvalidRequest
from bayes_scaling.model.gaussian import Serial, innovations
from bayes_scaling.model.names import SAMPLE_DIMS
from bayes_scaling.model.noise import Correlation, relative_error, standard_deviation
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.predict import growth_at, interval, new_run_sd, predict, typical_relative_se
from bayes_scaling.posterior.rows import Seen, flat_draws

FEWEST_EFFECTIVE: Final = 50.0
"""Effective draws below which the posterior has to be sampled anew with the curve."""
_OUTSIDE: Final = 0.99


@dataclass(frozen=True, eq=False)
class Live:
    """What a fit says of a run under way.

    Parameters
    ----------
    before, now : tuple of float
        Median, lower and upper end of what the run measures at its end, before its curve and given it.
    prob : float
        Probability of the intervals.
    effective_draws : float
        How many draws the curve leaves; with fewer than fifty the answer is a guess.
    curve : DataFrame
        The points of the curve with ``lower`` and ``upper``, what was forecast of each with 99 %, and ``outside``.
    """

    before: tuple[float, float, float]
    now: tuple[float, float, float]
    prob: float
    effective_draws: float
    curve: pd.DataFrame

    @property
    def left(self) -> bool:
        """Whether the run has left its forecast: its last point is outside what was forecast of it with 99 %."""
        return bool(self.curve["outside"].iloc[-1])

    @property
    def sentence(self) -> str:
        """The state of the run in a line."""
        (_, low, high), (middle, lower, upper) = self.before, self.now
        said = (
            f"The run will end at {middle:.4g} ({100 * self.prob:g} % interval {lower:.4g} to {upper:.4g}); before its curve it was "
            f"{low:.4g} to {high:.4g}."
        )
        if self.left:
            where = "above" if self.curve["loss"].iloc[-1] > self.curve["upper"].iloc[-1] else "below"
            said = f"The run has LEFT its forecast: its last point lies {where} the 99 % interval. {said}"
        if self.effective_draws < FEWEST_EFFECTIVE:
            said += f" Its curve leaves {self.effective_draws:.0f} effective draws: fit anew with it."
        return said


def live(
    fit: Fit,
    curve: pd.DataFrame,
    *,
    end: Mapping[str, float],
    observation: str | None = None,
    group: Mapping[str, str] | None = None,
    prob: float = 0.9,
    seed: int = 0,
) -> Live:
    """Update what is forecast of the end of a run by its curve so far.

    The draws are reweighted by how well each describes the curve, whose points go together as the model says, and the end of
    the run goes on from its last point: a run that is a little low stays so for a while.

    Parameters
    ----------
    fit : Fit
        A fit whose residuals go together along runs: of a system with learning curves, or of ``kappa`` on such points.
    curve : DataFrame
        Points of the run: the law's inputs and ``loss``.
    end : mapping
        The law's inputs at the end of the run; those that do not change may be left out.
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
    Live
        The end before and now, and whether the run left its forecast.

    Raises
    ------
    InvalidRequest
        If the fit takes points of a run as independent, or the curve lacks an input or its loss.
    """
    found, correlation = _along(fit, observation)
    columns = list(dict.fromkeys([*found.model.only.columns.values(), correlation.along]))
    missing = [column for column in (*columns, "loss") if column not in curve]
    if missing or not len(curve):
        raise InvalidRequest(f"A curve needs {', '.join(columns)} and loss; it lacks {', '.join(missing) or 'points'}.")
    points = curve.sort_values(correlation.along).reset_index(drop=True)
    rows = pd.concat(
        [points[columns], pd.DataFrame([{c: end.get(c, points[c].iloc[-1]) for c in columns}])], ignore_index=True
    )
    place = np.log(rows[correlation.along].to_numpy(float))
    if not (np.isfinite(points["loss"]) & (points["loss"] > 0)).all() or not np.isfinite(place).all():
        raise InvalidRequest(f"Every point of a curve needs a positive loss and {correlation.along}.")
    runs = set(points[correlation.by]) if correlation.by in points else set()
    if len(runs) > 1:
        raise InvalidRequest(f"The curve has {len(runs)} values of {correlation.by}: give the points of one run.")
    if (np.diff(place[:-1]) <= 0).any():
        raise InvalidRequest(f"Two points of the curve have the same {correlation.along}: keep one of them.")
    if place[-1] <= place[-2]:
        raise InvalidRequest(
            f"The end of the run has {correlation.along} {rows[correlation.along].iloc[-1]:g}, no further than its curve."
        )
    prediction = predict(
        found, group=group, seed=seed, **{c: rows[c].to_numpy(float) for c in found.model.only.columns.values()}
    )
    law = prediction["law_loss"]
    growth = growth_at(found, law)
    stated = np.append(relative_error(points), typical_relative_se(found))
    nugget: Any = found.posterior.get("nugget", 0.0)
    error = _flat(standard_deviation(nugget, xr.DataArray(stated, dims="query"), growth) + 0 * law)
    scale = _flat(new_run_sd(found, nugget=False) * growth + 0 * law)
    expected, length = _flat(prediction["expected_loss"]), flat_draws(found.posterior["length"])
    residual = np.log(points["loss"].to_numpy(float)) - np.log(expected[:, :-1])
    along = place[:-1]
    block = np.arange(len(points))[None]
    serial = Serial(block, np.ones(block.shape), np.abs(along[:, None] - along[None, :])[None], np.empty(0, int))
    left, deviation = innovations(residual, scale[:, :-1], error[:, :-1], serial, length)
    log_weight = (-0.5 * left**2 - np.log(deviation)).sum(axis=1)
    weight = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()
    seen = Seen(residual, scale[:, :-1], error[:, :-1], length)
    mean, share = seen.forecast(np.arange(len(points)), along, float(place[-1]))
    noise = np.random.default_rng([seed, 3]).standard_normal(len(weight))
    spread = np.sqrt(scale[:, -1] ** 2 * (1 - share) + error[:, -1] ** 2)
    ends = expected[:, -1] * np.exp(scale[:, -1] * mean + spread * noise)
    measured = prediction["measured_loss"]
    _, lower, upper = interval(measured, _OUTSIDE)
    told = points.assign(lower=lower.values[:-1], upper=upper.values[:-1])
    told["outside"] = (told["loss"] < told["lower"]) | (told["loss"] > told["upper"])
    first = tuple(float(bound.values[-1]) for bound in interval(measured, prob))
    now = _weighted(ends, weight, (0.5, (1 - prob) / 2, (1 + prob) / 2))
    return Live((first[0], first[1], first[2]), (now[0], now[1], now[2]), prob, float(1 / (weight**2).sum()), told)


def _along(fit: Fit, observation: str | None) -> tuple[Fit, Correlation]:
    """Return the fit of the law of a curve, and how its points are correlated."""
    curves = [o.name for o in fit.model.observations if o.correlation is not None and o.output == "loss"]
    name = observation if observation is not None else curves[0] if len(curves) == 1 else None
    if name not in curves:
        if fit.model.is_one:
            raise InvalidRequest(
                "This fit takes points of a run as independent, and a curve would count for far too much: fit a model with "
                "learning curves, or a table with points along runs."
            )
        raise InvalidRequest(
            f"Say which observation the curve is of: {', '.join(curves) or 'none of this fit is correlated along runs'}."
        )
    correlation = fit.model.observation(name).correlation
    assert correlation is not None
    return fit.view(name), correlation


def _flat(draws: xr.DataArray) -> np.ndarray:
    return draws.stack(sample=SAMPLE_DIMS).transpose("sample", "query").values


def _weighted(values: np.ndarray, weights: np.ndarray, at: tuple[float, ...]) -> list[float]:
    """Return quantiles of weighted draws."""
    order = np.argsort(values)
    below = np.cumsum(weights[order]) - 0.5 * weights[order]
    return [float(np.interp(level, below, values[order])) for level in at]
