"""What every row measured given all others, and what leaving it out does to a forecast, in every draw.

Effects are integrated out, as they are when the posterior is sampled: given the other unknowns, rows and effects are Normal
together, so that the density of a row given all others, and the effects without it, have a closed form (leave-one-out
formulas of a Normal regression: Rasmussen and Williams 2006, section 5.4.2). Draws that know the row stand for those that
do not by far better than where the effects, which follow the row, are weighted with the rest.

Points that the model correlates along one run are left out together: a single one says little that its neighbours do not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr

from bayes_scaling.model import gaussian, names
from bayes_scaling.model.gaussian import Serial
from bayes_scaling.model.layout import Rows
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.predict import growth_at, law_loss
from bayes_scaling.posterior.residuals import decay_of, flat_draws, law_at_runs, log_likelihood, row_scales

_CELLS: Final = 10_000_000
"""Numbers of one array, draws times rows times effects, that are in memory together."""
_LOG_TWO_PI: Final = float(np.log(2 * np.pi))


@dataclass(frozen=True, eq=False)
class LeftOut:
    """Rows that are left out, one or a run at a time.

    Parameters
    ----------
    labels : tuple of str
        Their names.
    counts : ndarray, shape (unit,)
        How many rows each is.
    log_density : ndarray, shape (draw, unit)
        Log density of what they measured given all others.
    moved : ndarray, shape (draw, unit)
        What leaving them out adds to a forecast of the log loss, given the other unknowns.
    whole : ndarray, shape (draw,)
        Log density of all rows.
    """

    labels: tuple[str, ...]
    counts: np.ndarray
    log_density: np.ndarray
    moved: np.ndarray
    whole: np.ndarray


def left_out(fit: Fit, loading: np.ndarray | None = None, *, together: Mapping[str, np.ndarray] | None = None) -> LeftOut:
    """Return the rows of one observation, each as all others see it.

    Parameters
    ----------
    fit : Fit
        A fit of one observation.
    loading : ndarray, shape (draw, effect), optional
        What each of its effects adds to a forecast of the log loss at one standard deviation: see :func:`loading_at`.
    together : mapping of str to ndarray, optional
        Numbers of the rows that are left out together, all points that the model correlates along one run among them; by default
        these, and every other row alone.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> rows = left_out(example_fit())
    >>> rows.labels[:2], rows.log_density.shape
    (('row 1', 'row 2'), (400, 25))
    """
    rows = fit.layout.only
    units = together or _units(rows)
    labels, counts = tuple(units), np.array([len(members) for members in units.values()])
    if rows.effects:
        return LeftOut(labels, counts, *_among_effects(fit, list(units.values()), loading))
    (each,) = (flat_draws(density) for density in log_likelihood(fit).data_vars.values())
    density = np.stack([each[:, members].sum(axis=1) for members in units.values()], axis=1)
    return LeftOut(labels, counts, density, np.zeros_like(density), each.sum(axis=1))


def loading_at(fit: Fit, columns: Mapping[str, Any], group: Mapping[str, str], seed: int = 0) -> np.ndarray | None:
    """Return what each effect of one observation adds to the log loss of one new run at one standard deviation, (draw, effect).

    Nothing is returned where it has no effects.
    """
    rows = fit.layout.only
    if not rows.effects:
        return None
    growth = growth_at(fit, law_loss(fit, columns, group=group, seed=seed))
    parts = []
    for effect in rows.effects:
        count, added = len(effect.labels), np.zeros(len(effect.labels))
        if effect in rows.discrepancy:
            # A draw for each coefficient in which it alone is one; with a scale of nothing no fresh step is beside it.
            unit = xr.DataArray(np.eye(count)[None], dims=(*names.SAMPLE_DIMS, effect.dim), coords=effect.coords)
            nothing = xr.DataArray(np.zeros((1, count)), dims=names.SAMPLE_DIMS)
            draws = xr.Dataset({effect.effect_name: unit, effect.scale_name: nothing})
            added = np.ravel(effect.at(draws, columns, group, seed))
        parts.append(flat_draws(growth * fit.posterior[effect.scale_name])[:, None] * added)
    return np.concatenate(parts, axis=1)


def _units(rows: Rows) -> dict[str, np.ndarray]:
    """Return the rows that are left out together, by name."""
    correlation, serial = rows.observation.correlation, rows.serial
    if correlation is None or serial is None:
        members = {number: np.array([number]) for number in range(len(rows))}
        named = {number: rows.label(number) for number in members}
    else:
        members = {number: np.array([number]) for number in serial.alone}
        members |= {block[0]: block[there > 0] for block, there in zip(serial.rows, serial.there, strict=True)}
        named = {first: rows.label(first) for first in members}
    # Two rows of one name are told apart by their numbers.
    twice = pd.Series(named).duplicated(keep=False)
    return {f"{label} (row {first + 1})" if twice[first] else label: members[first] for first, label in named.items()}


def _among_effects(
    fit: Fit, units: list[np.ndarray], loading: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the log density of units given all others, what leaving them out adds, and the log density of all rows."""
    rows, draws, law = fit.layout.only, fit.posterior, law_at_runs(fit)
    growth = growth_at(fit, law) + xr.zeros_like(law)
    residual: Any = xr.DataArray(rows.log_measured, dims="run") - np.log(law)
    residual, scale, own, growth = map(flat_draws, xr.broadcast(residual, *row_scales(fit, growth), growth))
    widths = [np.repeat(flat_draws(draws[e.scale_name])[:, None], len(e.labels), axis=1) for e in rows.effects]
    widths = np.concatenate(widths, axis=1)
    decay = decay_of(draws) if rows.serial is not None else None
    found = []
    at_once = max(1, _CELLS // rows.basis.size)
    for start in range(0, len(residual), at_once):
        part = slice(start, start + at_once)
        loadings = growth[part, :, None] * rows.basis * widths[part, None, :]
        own_variance = own[part] if own[part].any() else None
        of_part = None if decay is None else decay.at(part)
        white = gaussian.whiten(residual[part], scale[part], own_variance, loadings, rows.serial, of_part)
        toward = np.zeros((len(loadings), loadings.shape[-1])) if loading is None else loading[part]
        found.append(_each_without(white, rows.serial, units, toward))
    density, moved, whole = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
    return density, moved, whole


def _each_without(
    white: gaussian.Whitened, serial: Serial | None, units: list[np.ndarray], loading: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the log density of units given all others, what leaving them out adds to a forecast, and that of all rows."""
    z, deviation, loaded = (_by_row(parts, serial) for parts in (white.residual, white.deviation, white.loadings))
    factor = np.linalg.cholesky(np.eye(loaded.shape[-1]) + loaded.swapaxes(1, 2) @ loaded)
    # In these coordinates the effects given all rows are independent, of unit variance.
    root = np.linalg.inv(factor).swapaxes(1, 2)
    loaded, toward = loaded @ root, loading[:, None, :] @ root
    mean = z[:, None, :] @ loaded
    left, toward = z - (mean @ loaded.swapaxes(1, 2))[:, 0], (toward @ loaded.swapaxes(1, 2))[:, 0]
    whole = -0.5 * ((z**2).sum(axis=1) - (mean**2).sum(axis=(1, 2)) + z.shape[1] * _LOG_TWO_PI)
    whole -= np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(axis=1) + np.log(deviation).sum(axis=1)
    density, moved = np.empty((len(z), len(units))), np.empty((len(z), len(units)))
    alone = np.array([len(unit) == 1 for unit in units])
    if alone.any():
        row = np.array([unit[0] for unit in units if len(unit) == 1])
        unexplained = 1 - np.einsum("drq,drq->dr", loaded, loaded)[:, row]
        apart = left[:, row] / unexplained  # from what all others say, in its own deviation
        density[:, alone] = -0.5 * (left[:, row] * apart - np.log(unexplained) + _LOG_TWO_PI) - np.log(deviation[:, row])
        moved[:, alone] = -toward[:, row] * apart
    for number in np.flatnonzero(~alone):
        unit = units[number]
        unexplained = np.eye(len(unit)) - loaded[:, unit] @ loaded[:, unit].swapaxes(1, 2)
        apart = np.linalg.solve(unexplained, left[:, unit, None])[..., 0]
        spread = np.linalg.slogdet(unexplained)[1] - len(unit) * _LOG_TWO_PI
        density[:, number] = -0.5 * ((left[:, unit] * apart).sum(axis=1) - spread) - np.log(deviation[:, unit]).sum(axis=1)
        moved[:, number] = -(toward[:, unit] * apart).sum(axis=1)
    return density, moved, whole


def _by_row(parts: tuple[Any, ...], serial: Serial | None) -> np.ndarray:
    """Return what rows alone and blocks of runs have along the second axis, in the order of the rows, without padding."""
    if serial is None:
        return parts[0]
    place, rows = serial.order
    joined = np.concatenate([parts[0], parts[1][:, place]], axis=1)
    return joined[:, np.argsort(np.concatenate([serial.alone, rows]))]
