"""Predictions of the rows of a table: each in its own group, and of a run that the fit has seen going on from there."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from bayes_scaling.model.scatter import kept_from_before, relative_se, scale_of, sigma_of_new, standardized
from bayes_scaling.model.sharing import own_sigma, sharings_of
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.predict import (
    INTERVAL_COLUMNS,
    REACHES,
    SAMPLE_DIMS,
    intervals,
    law_at_runs,
    level_at,
    loss_at_runs,
    predict,
    typical_relative_se,
)


def predict_table(fit: Fit, table: pd.DataFrame, *, prob: float = 0.9, seed: int = 0) -> pd.DataFrame:
    """Predict every row of a table and append the intervals to it.

    Parameters
    ----------
    fit : Fit
        The fit.
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
        ``mean_upper`` of the law's expected loss, and the reach in decades.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> table = pd.DataFrame({"params": [1e9, 7e10], "tokens": [2e10, 1.4e12]})
    >>> predict_table(example_fit(), table).columns.tolist()[:7]
    ['params', 'tokens', 'median', 'lower', 'upper', 'mean_lower', 'mean_upper']
    """
    return appended(table, intervals(predict_rows(fit, table, seed=seed), prob))


def appended(table: pd.DataFrame, found: xr.Dataset) -> pd.DataFrame:
    """Return a table with the intervals and the reach of its rows, in place of any it had."""
    ours = [*INTERVAL_COLUMNS, *(str(c) for c in found.coords if str(c).startswith("reach_"))]
    return table.drop(columns=[c for c in ours if c in table]).assign(**{name: found[name].values for name in ours})


def predict_rows(fit: Fit, table: pd.DataFrame, *, seed: int = 0) -> xr.Dataset:
    """Predict every row of a table, each in its own group.

    Parameters
    ----------
    fit : Fit
        The fit.
    table : DataFrame
        As for :func:`predict_table`.
    seed : int
        As for :func:`predict`.

    Returns
    -------
    Dataset, dims (chain, draw, row)
        What :func:`predict` returns, a row of the table an entry.
    """
    rows_of = table.reset_index(drop=True)
    present = [column for column in fit.spec.group_columns if column in table]
    wanted = {*fit.spec.columns.values(), *REACHES, "steps", "batch_tokens"}
    known = [str(column) for column in table if column in wanted and table[column].notna().all()]
    parts = []
    for labels, rows in rows_of.groupby(present, dropna=False) if present else [((), rows_of)]:
        group = {c: v for c, v in zip(present, labels, strict=True) if pd.notna(v)}  # pyright: ignore[reportArgumentType]
        prediction = predict(fit, group=group, seed=seed, **{c: rows[c].to_numpy(float) for c in known})
        parts.append(prediction.rename(query="row").assign_coords(row=rows.index))
    return gone_on(fit, rows_of, xr.concat(parts, dim="row", combine_attrs="drop_conflicts").sortby("row"))


def gone_on(fit: Fit, table: pd.DataFrame, prediction: xr.Dataset) -> xr.Dataset:
    """Let rows of runs that the fit has seen go on from the last point of each: the noise there is kept as far as it is known to.

    Parameters
    ----------
    fit : Fit
        The fit.
    table : DataFrame
        The rows.
    prediction : Dataset, dims (chain, draw, row)
        What is predicted of them as new runs.

    Returns
    -------
    Dataset, dims (chain, draw, row)
        The prediction, ``measured_loss`` of such rows given the last point; the same Dataset where there are none.
    """
    last, distance = last_seen(fit, table)
    rows = np.flatnonzero(last >= 0)
    if not rows.size:
        return prediction
    draws, level = fit.posterior, level_at(fit, prediction["law_loss"].isel(row=rows))
    errors, loss = (xr.DataArray(values, dims="run") for values in (relative_se(fit.runs), fit.runs["loss"].to_numpy(float)))
    own = own_sigma(sharings_of(fit.spec, fit.runs), draws)
    there = level_at(fit, law_at_runs(fit).drop_vars("run"))
    z = standardized(loss, loss_at_runs(fit).drop_vars("run"), own, errors, there).isel(
        run=xr.DataArray(last[rows], dims="row")
    )
    scale = scale_of(sigma_of_new(draws), typical_relative_se(fit), level)
    kept = kept_from_before(xr.DataArray(last[rows], dims="row"), xr.DataArray(distance[rows], dims="row"), draws["length"])
    whole, new = prediction["measured_loss"], prediction.isel(row=rows)
    noise = np.log(new["measured_loss"] / new["expected_loss"])
    on = new["expected_loss"] * np.exp(kept * scale * z + (1 - kept**2) ** 0.5 * noise)
    values = whole.transpose(*SAMPLE_DIMS, "row").values.copy()
    values[..., rows] = on.transpose(*SAMPLE_DIMS, "row").values
    return prediction.assign(measured_loss=(whole.transpose(*SAMPLE_DIMS, "row").dims, values))


def last_seen(fit: Fit, table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return for each row of a table the run of the fit that it goes on from, and how far in the logarithm.

    Returns
    -------
    tuple of ndarray
        Position of the last point of the run among the runs of the fit, -1 where the row is not of a run that the fit has
        seen, or no further along; the distance, one where there is none.
    """
    nothing = np.full(len(table), -1), np.ones(len(table))
    correlation = fit.spec.correlation
    if correlation is None or not {correlation.by, correlation.along} <= set(table) & set(fit.runs):
        return nothing
    seen = fit.runs[[correlation.by, correlation.along]].dropna()
    seen = seen[seen[correlation.by].map(str) != ""]
    ends = seen.groupby(correlation.by, sort=False)[correlation.along].idxmax()
    last = table[correlation.by].map(ends).fillna(-1).to_numpy(int)
    place = np.log(pd.to_numeric(table[correlation.along], errors="coerce").to_numpy(float))
    distance = place - np.log(fit.runs[correlation.along].to_numpy(float))[last]
    further = (last >= 0) & (distance > 0)
    return np.where(further, last, -1), np.where(further, distance, 1.0)
