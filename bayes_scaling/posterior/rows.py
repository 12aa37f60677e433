"""Predictions of the rows of a table: each in its own group, and of a run that the fit has seen going on from there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_scaling.errors import InvalidInputs
from bayes_scaling.model.gaussian import Decay
from bayes_scaling.model.grouping import label_of
from bayes_scaling.model.names import SAMPLE_DIMS
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.predict import (
    INTERVAL_COLUMNS,
    REACHES,
    growth_at,
    intervals,
    new_run_sd,
    own_sd,
    predict,
    refuse_too_many,
)
from bayes_scaling.posterior.protocol import Posterior
from bayes_scaling.posterior.residuals import decay_of, flat_draws, law_at_runs, loss_at_runs, row_scales


def predict_table(fit: Posterior, table: pd.DataFrame, *, prob: float = 0.9, seed: int = 0) -> pd.DataFrame:
    """Predict every row of a table and append the intervals to it.

    Parameters
    ----------
    fit : Fit or Mixture
        What to predict from.
    table : DataFrame
        One row a run: the law's inputs, and the model's grouping columns where it has any. Where the model has a
        correlation along runs, a row whose ``run_id`` the fit has seen, further along than it has seen it, goes on from
        the last point seen, a little high or low as that was; without ``run_id`` every row is a new run.
    prob : float
        Probability of the intervals.
    seed : int
        As for :func:`predict`.

    Returns
    -------
    DataFrame
        The table with ``median``, ``lower``, ``upper`` of a new run's measured loss, ``mean_lower``,
        ``mean_upper`` of the mean loss, and the reach in decades.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> table = pd.DataFrame({"params": [1e9, 7e10], "tokens": [2e10, 1.4e12]})
    >>> predict_table(example_fit(), table).columns.tolist()[:7]
    ['params', 'tokens', 'median', 'lower', 'upper', 'mean_lower', 'mean_upper']
    """
    predicted = intervals(predict_rows(fit, table, seed=seed), prob)
    columns = [*INTERVAL_COLUMNS, *(str(c) for c in predicted.coords if str(c).startswith("reach_"))]
    others = table.drop(columns=columns, errors="ignore")
    return others.assign(**{name: predicted[name].values for name in columns})


@singledispatch
def predict_rows(fit: Fit, table: pd.DataFrame, *, seed: int = 0) -> xr.Dataset:
    """Predict every row of a table, each in its own group: what :func:`predict` returns, dims (chain, draw, row)."""
    refuse_too_many(fit, len(table))
    if not len(table):
        raise InvalidInputs("The table has no rows: give one for each run.")
    rows_of = table.reset_index(drop=True)
    present = [column for column in fit.model.group_columns if column in table]
    wanted = {*fit.model.only.columns.values(), *REACHES, "steps", "batch_tokens"}
    inputs = [str(column) for column in table if column in wanted and table[column].notna().all()]
    parts = []
    for labels, rows in rows_of.groupby(present, dropna=False) if present else [((), rows_of)]:
        group = {c: v for c, v in zip(present, labels, strict=True) if pd.notna(v)}  # pyright: ignore[reportArgumentType]
        prediction = predict(fit, group=group, seed=seed, **{c: rows[c].to_numpy(float) for c in inputs})
        parts.append(prediction.rename(query="row").assign_coords(row=rows.index))
    return continued(fit, rows_of, xr.concat(parts, dim="row", combine_attrs="drop_conflicts").sortby("row"))


def continued(fit: Fit, table: pd.DataFrame, prediction: xr.Dataset) -> xr.Dataset:
    """Condition the predicted ``measured_loss`` of rows of runs that the fit has seen on what was measured of these runs."""
    ends = continued_rows(fit, table)
    rows = np.flatnonzero(ends >= 0)
    if not rows.size:
        return prediction
    correlation = fit.model.only.correlation
    assert correlation is not None
    residual: Any = xr.DataArray(fit.layout.only.log_measured, dims="run") - np.log(loss_at_runs(fit))
    arrays = xr.broadcast(residual, *row_scales(fit, growth_at(fit, law_at_runs(fit))))
    of_rows, scale, own_variance = map(flat_draws, arrays)
    seen = Seen(of_rows, scale, own_variance, decay_of(fit.posterior))
    new = prediction.isel(row=rows)
    growth = growth_at(fit, new["law_loss"])
    own = flat_draws(new_run_sd(fit) * growth + 0 * new["law_loss"])
    single = flat_draws(own_sd(fit, growth) + 0 * new["law_loss"])
    residual_of_new: Any = np.log(new["measured_loss"] / new["expected_loss"])
    noise = flat_draws(residual_of_new) / (own**2 + single**2) ** 0.5
    expected = flat_draws(new["expected_loss"])
    runs, along = fit.table[correlation.by], np.log(fit.table[correlation.along].to_numpy(float))
    values = prediction["measured_loss"].transpose(*SAMPLE_DIMS, "row").values.copy()
    for number, row in enumerate(rows):
        members = np.flatnonzero((runs == runs.iloc[ends[row]]).to_numpy() & np.isfinite(along))
        place = np.log(float(table[correlation.along].iloc[row]))
        mean, share = seen.forecast(members, along[members], place)
        spread = (own[:, number] ** 2 * (1 - share) + single[:, number] ** 2) ** 0.5
        losses = expected[:, number] * np.exp(own[:, number] * mean + spread * noise[:, number])
        values[..., row] = losses.reshape(values.shape[:2])
    return prediction.assign(measured_loss=((*SAMPLE_DIMS, "row"), values))


@dataclass(frozen=True)
class Seen:
    """Residuals of the rows of a fit: arrays of shape (draw, row), and how their correlation falls."""

    residual: np.ndarray
    scale: np.ndarray
    own_variance: np.ndarray
    decay: Decay

    def forecast(self, members: np.ndarray, along: np.ndarray, place: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean of the correlated noise at a place of one run given its rows, and the share of variance explained.

        Both are in units of the noise's standard deviation there.
        """
        standard = self.residual[:, members] / self.scale[:, members]
        own = self.own_variance[:, members] / self.scale[:, members] ** 2
        between = self.decay.correlation(np.abs(along[:, None] - along[None, :]))
        covariance = between + own[:, :, None] * np.eye(len(members))
        to_place = self.decay.correlation(np.abs(place - along))
        weights = np.linalg.solve(covariance, to_place[..., None])[..., 0]
        return (weights * standard).sum(axis=1), (weights * to_place).sum(axis=1)


def continued_rows(fit: Fit, table: pd.DataFrame) -> np.ndarray:
    """Return for each row of a table the last row of the fit on the same run; -1 on another, or no further along."""
    correlation = fit.model.only.correlation
    if correlation is None or not {correlation.by, correlation.along} <= set(table) & set(fit.table):
        return np.full(len(table), -1)
    seen = fit.table[[correlation.by, correlation.along]].dropna()
    seen = seen[seen[correlation.by].map(str) != ""]
    ends = seen.groupby(seen[correlation.by].map(label_of), sort=False)[correlation.along].idxmax()
    last = table[correlation.by].map(label_of, na_action="ignore").map(ends).fillna(-1).to_numpy(int)
    place = pd.to_numeric(table[correlation.along], errors="coerce").to_numpy(float)
    return np.where((last >= 0) & (place > fit.table[correlation.along].to_numpy(float)[last]), last, -1)
