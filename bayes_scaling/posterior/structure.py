"""Whether residuals differ by a column of the table that the model does not use: groups that were pooled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import pandas as pd

from bayes_scaling.model.gaussian import Decay
from bayes_scaling.model.names import SAMPLE_DIMS
from bayes_scaling.model.other_columns import is_of_thirds, other_columns
from bayes_scaling.numerics import beta_below
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.predict import growth_at, with_effects
from bayes_scaling.posterior.residuals import decay_of, flat_draws, law_at_runs, row_scales

LEVEL: Final = 0.01
"""Corrected p-value below which residuals differ."""
_DRAWS, _USUAL = 4000, 1 / 3
"""Draws that are looked at, and the share of them whose noise is nearest to its median."""
_FEWEST, _CELLS = 120, 12_000_000
"""Draws at the least, and draws times rows at the most."""
_FURTHEST: Final = 4.0
"""Robust standard deviations beyond which a residual counts as one there."""
_LEFT: Final = 0.05
"""Share of its variance below which the law has taken a direction of the residuals for itself."""


@dataclass(frozen=True)
class Difference:
    """How residuals differ by a column, given those that were found before.

    ``p`` is the p-value times ``tests``, the columns tested with it (Holm); ``spread`` how far apart the levels of the column lie, on
    the log scale; ``of_thirds`` whether the levels are thirds of numbers.
    """

    column: str
    p: float
    tests: int
    spread: float
    of_thirds: bool

    @property
    def found(self) -> bool:
        """Whether the residuals differ."""
        return self.p < LEVEL


def differences(fit: Fit) -> list[Difference]:
    """Return the columns by which the residuals of one observation differ, the clearest first, then the first by which they do not.

    F tests of the levels of a column in the residuals of law and discrepancy, one column after another, each given those before, with
    Holm's correction. Points of one run count as their mean. The residuals :math:`e` around the posterior mean are smaller than the
    noise, as the law has learned from the same rows: where all is Normal and the law linear, their covariance is :math:`M = V - K`
    with the noise's :math:`V`, which rows share as the model says, and the posterior's :math:`K` (Rasmussen and Williams 2006, section
    2.2), and :math:`M^{-1/2} e` has independent numbers, on which levels have the effect :math:`M^{1/2} V^{-1}` of themselves.

    >>> from bayes_scaling.posterior.examples import example_fit
    >>> differences(example_fit())
    []
    """
    rows, runs = fit.layout.only, _runs(fit)
    first = np.unique(runs, return_index=True)[1]
    levels = {name: of_it[first] for name, of_it in other_columns(rows).items() if (of_it == of_it[first][runs]).all()}
    if not levels:
        return []
    around = _around(fit, runs)
    left, free = around.independent_residual
    constant = around.effect_of(np.ones((len(first), 1)))
    basis, free = constant / np.linalg.norm(constant), free - 1
    designs = {name: around.effect_of(pd.get_dummies(of_it).to_numpy(float)) for name, of_it in levels.items()}
    found: list[Difference] = []
    while designs:
        left = left - basis @ (basis.T @ left)
        added = {name: _beside(basis, design) for name, design in designs.items()}
        p = {name: _p_value(left, vectors, free) for name, vectors in added.items()}
        name = min(p, key=lambda column: p[column])
        means = pd.Series(around.residual * around.deviation).groupby(levels[name]).mean()
        of_thirds = is_of_thirds(rows.table[name])
        found.append(Difference(name, min(1.0, p[name] * len(p)), len(p), float(np.ptp(means)), of_thirds))
        if not found[-1].found:
            break
        basis, free = np.concatenate([basis, added[name]], axis=1), free - added[name].shape[1]
        designs.pop(name)
    return found


@dataclass(frozen=True)
class _Around:
    """Residuals of runs around the posterior mean, in standard deviations.

    Parameters
    ----------
    residual, deviation : ndarray, shape (run,)
        The residuals, and the standard deviations of the noise.
    shared : ndarray, shape (run, coefficient)
        What noise that runs share adds to them: with it their covariance is V = 1 + shared shared'.
    learned : ndarray, shape (run, draw)
        What the law says in each draw, apart from its mean, over the square root of the number of draws: K = learned learned'.
    """

    residual: np.ndarray
    deviation: np.ndarray
    shared: np.ndarray
    learned: np.ndarray

    @cached_property
    def independent_residual(self) -> tuple[np.ndarray, int]:
        """Residuals that are independent, and how many directions of them there are."""
        vectors, left = self._left
        kept = left > _LEFT
        factors = np.where(kept, 1 / np.sqrt(np.maximum(left, _LEFT)), 0.0)
        return _stretched(self._alike(self.residual[:, None]), vectors, factors)[:, 0], len(self.residual) - int(
            (~kept).sum()
        )

    def effect_of(self, design: np.ndarray) -> np.ndarray:
        """Return what columns of a design add to independent residuals."""
        vectors, left = self._left
        return _stretched(self._alike(design), vectors, np.where(left > _LEFT, np.sqrt(np.maximum(left, _LEFT)), 0.0))

    @cached_property
    def _left(self) -> tuple[np.ndarray, np.ndarray]:
        """Directions in which the law has learned from the runs, and the share of the noise's variance that is left there."""
        vectors, sizes, _ = np.linalg.svd(self._alike(self.learned), full_matrices=False)
        return vectors, 1 - sizes**2

    def _alike(self, columns: np.ndarray) -> np.ndarray:
        """Return columns where the noise has unit covariance."""
        vectors, sizes, _ = np.linalg.svd(self.shared, full_matrices=False)
        return _stretched(columns, vectors, 1 / np.sqrt(1 + sizes**2))


def _stretched(columns: np.ndarray, vectors: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Return columns with some orthonormal directions stretched by factors."""
    return columns + vectors @ ((factors - 1)[:, None] * (vectors.T @ columns))


def _around(fit: Fit, runs: np.ndarray) -> _Around:
    draws = min(_DRAWS, max(_FEWEST, _CELLS // len(runs)))
    fit = fit.thinned(max(1, draws // fit.posterior.sizes["chain"]))
    rows, law = fit.layout.only, law_at_runs(fit)
    growth = growth_at(fit, law) + 0.0 * law
    added = sum((effect.at_rows(fit.posterior) for effect in rows.discrepancy), start=0.0)
    expected = flat_draws(np.log(with_effects(law, added, growth)))
    scale, own_variance = row_scales(fit, growth)
    deviations = flat_draws((scale**2 + own_variance) ** 0.5)
    deviation = np.median(deviations, axis=0)
    # Of draws of other noise the law has another covariance: those of the usual noise are taken.
    off = np.abs(np.log(deviations / deviation).mean(axis=1))
    expected = expected[np.argsort(off, kind="stable")[: max(2, int(_USUAL * len(off)))]]
    middle = growth.median(SAMPLE_DIMS).values / deviation
    shared = [e.basis * float(fit.posterior[e.scale_name].median()) * middle[:, None] for e in rows.noise]
    shared = np.concatenate([*shared, np.zeros((len(rows), 0))], axis=1)
    residual = (rows.log_measured - expected.mean(axis=0)) / deviation
    learned = ((expected - expected.mean(axis=0)) / deviation).T / len(expected) ** 0.5
    means = _means(fit, runs)
    residual = means(residual)
    furthest = _FURTHEST * 1.4826 * float(np.median(np.abs(residual - np.median(residual))))
    residual = np.clip(residual, np.median(residual) - furthest, np.median(residual) + furthest)
    first = np.unique(runs, return_index=True)[1]
    return _Around(residual, deviation[first], means(shared), means(learned))


def _runs(fit: Fit) -> np.ndarray:
    """Return the number of the run of each row."""
    table = fit.layout.only.table
    if "run_id" not in table:
        return np.arange(len(table))
    known = table["run_id"].notna() & (table["run_id"].map(str) != "")
    return pd.factorize(table["run_id"].map(str).where(known, [f"\0{row}" for row in range(len(table))]))[0]


def _means(fit: Fit, runs: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Return what takes columns to their means over the rows of each run, over the standard deviation that serial correlation leaves."""
    counts = np.bincount(runs)
    divided_by = counts.astype(float)
    serial = fit.layout.only.serial
    if serial is not None:
        decay = decay_of(fit.posterior)
        share = None if decay.run_share is None else float(np.median(decay.run_share))
        correlation = Decay(float(np.median(decay.length)), share).correlation(serial.distance)
        there = serial.there / serial.there.sum(axis=1, keepdims=True)
        divided_by[runs[serial.rows[:, 0]]] *= np.einsum("bi,bij,bj->b", there, correlation, there) ** 0.5

    def means(columns: np.ndarray) -> np.ndarray:
        sums = np.zeros((len(counts), *columns.shape[1:]))
        np.add.at(sums, runs, columns)
        return (sums.T / divided_by).T

    return means


def _beside(basis: np.ndarray, design: np.ndarray) -> np.ndarray:
    """Return an orthonormal basis of what a design adds to another."""
    vectors, sizes, _ = np.linalg.svd(design - basis @ (basis.T @ design), full_matrices=False)
    return vectors[:, sizes > 1e-3 * np.linalg.norm(design)]


def _p_value(left: np.ndarray, vectors: np.ndarray, free: int) -> float:
    """Return the p-value of the F test of some directions among those of residuals that are free."""
    added = vectors.shape[1]
    if not added or free - added < 2:
        return 1.0
    share = float(((left @ vectors) ** 2).sum() / (left @ left)) if left.any() else 0.0
    return float(beta_below(np.array(1 - min(share, 1.0)), (free - added) / 2, added / 2))
