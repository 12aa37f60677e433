"""Rows that went wrong: found one after another, each given an error of its own where that makes the runs likelier.

A row is a suspect where all other rows, with law, discrepancy and noise, put it further away than one row of such a table
strays by chance, or far further than they put the others: noise that was learned from bad rows excuses them. The worst suspect is given an error of its own (see :class:`~bayes_scaling.model.noise.Outliers`), the mode
is climbed anew, and the next one is looked for there: two bad rows hide each other until one of them is out of the way. Of
the sets on this way the one is taken whose mode has the largest mass (Laplace's approximation), with the prior odds of a bad
row for each, times four: a bad row that is kept costs more than a good one that is set aside. A row stays in the set
where it went wrong with a probability of a fifth or more.

Where a row is off by a fifth of the loss or more, bad rows may have bent the law itself: the search is begun once more with
those set aside that the law with Student-t residuals, and without discrepancy, leaves far out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Final

import numpy as np

from bayes_scaling.inference.modes import Mode, climbed, find_modes
from bayes_scaling.model import gaussian, names
from bayes_scaling.model.density import LogDensity
from bayes_scaling.model.layout import Layout
from bayes_scaling.model.noise import Likelihood
from bayes_scaling.model.unknowns import JointlyNormal

_BY_CHANCE: Final = 0.5
"""Rows of a table that are suspects though nothing is wrong with them, on average."""
_FAR: Final = 8.0
"""Medians of what rows are off, beyond which a row is a suspect whatever the noise."""
_GROSS: Final = 0.2
"""Relative error of a row at which it may have bent the law."""
_TAIL: Final = 2.0
"""Degrees of freedom of the residuals that find such rows."""
_FAVOUR: Final = 4.0
"""How much worse it is to keep a bad row than to set a good one aside."""
_IN_VAIN: Final = 3
"""Suspects in a row that made the runs no likelier, after which the search ends."""
_MOST: Final = 10
"""Rows at the most, and a fifth of an observation's."""
_STEP: Final = 1e-4

Place = tuple[str, int]
"""A row: its observation, and its number."""


@dataclass(frozen=True)
class Outlier:
    """A row that went wrong.

    Parameters
    ----------
    observation : str
        Its observation.
    row : int
        Its number among the rows of that.
    label : str
        Its name.
    prob : float
        Probability that it went wrong.
    off : float
        Logarithm of what was measured over what all other rows say.
    """

    observation: str
    row: int
    label: str
    prob: float
    off: float


@dataclass(frozen=True)
class _State:
    """Some rows with an error of their own, and the mode that was found with them."""

    density: LogDensity
    mode: Mode
    places: tuple[Place, ...]

    @property
    def score(self) -> float:
        """Log mass of the mode, with the prior odds of every row that is set aside."""
        layout = self.density.layout
        odds = (_prob(layout, observation) for observation, _ in self.places)
        return self.mode.log_mass + sum(np.log(prob / (1 - prob)) for prob in odds)

    @property
    def merit(self) -> float:
        """Its score, with what is lost by keeping a bad row."""
        return self.score + len(self.places) * float(np.log(_FAVOUR))

    def without(self, place: Place) -> _State | None:
        """Return the state in which a row is not set aside."""
        return self.with_rows(tuple(other for other in self.places if other != place))

    def with_rows(self, places: tuple[Place, ...], *, anew: bool = False) -> _State | None:
        """Return the state of other rows, climbed to from this one, or searched for anew."""
        by_name = {name: [row for of_it, row in places if of_it == name] for name in self.density.layout.rows}
        density = LogDensity(self.density.layout.with_outliers(by_name))
        if anew:
            modes = find_modes(density, np.random.default_rng(0))
            return _State(density, modes[0], places) if modes else None
        start, variance = np.zeros(density.size), np.ones(density.size)
        old = {coordinate.name: coordinate.place for coordinate in self.density.coordinates}
        for coordinate in density.coordinates:
            before = old.get(coordinate.name)
            if before is not None and coordinate.place.stop - coordinate.place.start == before.stop - before.start:
                start[coordinate.place] = self.mode.point[before]
                variance[coordinate.place] = np.diag(self.mode.covariance)[before]
        modes = climbed(density, start[None], np.diag(variance))
        return _State(density, modes[0], places) if modes else None


def screened(density: LogDensity, modes: list[Mode]) -> tuple[Layout, list[Outlier]]:
    """Return the layout in which the rows that went wrong have an error of their own, and these rows.

    Parameters
    ----------
    density : LogDensity
        The posterior, in which no row has one.
    modes : list of Mode
        Its modes, that of the largest mass first.
    """
    alone = _State(density, modes[0], ())
    best = _searched(alone)
    if max((abs(off) for _, _, off in _residuals(alone)), default=0.0) > _GROSS:
        places = _gross(density.layout)
        begun = alone.with_rows(places, anew=True) if places else None
        best = max(best, _searched(begun) if begun is not None else best, key=lambda state: state.merit)
    best, probs = _kept(best)
    off = {place: residual for place, _, residual in _residuals(best)} if probs else {}
    rows = best.density.layout.rows
    outliers = [Outlier(name, row, rows[name].label(row), prob, off[name, row]) for (name, row), prob in probs.items()]
    return best.density.layout, outliers


def _searched(start: _State) -> _State:
    """Return the best state on the way on which the worst suspect is set aside again and again."""
    best = state = start
    limit = -NormalDist().inv_cdf(_BY_CHANCE / 2 / sum(len(rows) for _, rows in start.density.layout))
    in_vain = 0
    while in_vain < _IN_VAIN:
        rows = list(_residuals(state))
        far = _FAR * float(np.median([abs(off) for _, _, off in rows])) if rows else np.inf
        suspects = [(max(abs(z) / limit, abs(off) / far), place) for place, z, off in rows if _may_be(state, place)]
        worst = max(suspects, default=(0.0, ("", -1)))
        following = state.with_rows((*state.places, worst[1])) if worst[0] > 1.0 else None
        if following is None:
            break
        state, in_vain = following, in_vain + 1
        if state.merit > best.merit:
            best, in_vain = state, 0
    return best


def _gross(layout: Layout) -> tuple[Place, ...]:
    """Return the rows that the laws with Student-t residuals, and without discrepancy, leave far out."""
    observations = []
    for rows in layout.rows.values():
        likelihood = Likelihood.of(
            {"dist": "StudentT", "nu": _TAIL, "sigma": rows.observation.likelihood.sigma.model_dump()}
        )
        update = {"likelihood": likelihood, "discrepancy": {}, "noise": {}, "correlation": None}
        screened = bool(_prob(layout, rows.observation.name))
        observations.append(rows.observation.model_copy(update=update) if screened else rows.observation)
    model = layout.model.model_copy(update={"observations": tuple(observations)})
    density = LogDensity(Layout.of(model, {name: rows.table for name, rows in layout.rows.items()}))
    modes = find_modes(density, np.random.default_rng(0))
    if not modes:
        return ()
    _, residuals = density.rows_at(modes[0].point[None])
    places: list[Place] = []
    for suffix, rows in density.layout:
        if _prob(layout, rows.observation.name):
            off = np.abs(residuals[names.of_observation("run", suffix)][0])
            worst = np.argsort(-off)[: min(_MOST, len(rows) // 5)]
            places += [(rows.observation.name, int(row)) for row in worst if off[row] > max(_GROSS, _FAR * np.median(off))]
    return tuple(places)


def _kept(state: _State) -> tuple[_State, dict[Place, float]]:
    """Leave out rows, one after another, that did not go wrong after all; return the others' probabilities."""
    while state.places:
        others = {place: state.without(place) for place in state.places}
        gains = {place: np.inf if other is None else state.score - other.score for place, other in others.items()}
        least = min(gains, key=lambda place: gains[place])
        other = others[least]
        if other is None or gains[least] > -np.log(_FAVOUR):
            return state, {place: float(1 / (1 + np.exp(-gain))) for place, gain in gains.items()}
        state = other
    return state, {}


def _prob(layout: Layout, observation: str) -> float:
    outliers = layout.rows[observation].observation.likelihood.outliers
    return 0.0 if outliers is None else outliers.prob


def _may_be(state: _State, place: Place) -> bool:
    """Whether a row can be a suspect: one more, of an observation that has outliers."""
    observation, _ = place
    count = sum(of_it == observation for of_it, _ in state.places)
    rows = state.density.layout.rows[observation]
    return (
        place not in state.places and bool(_prob(state.density.layout, observation)) and count < min(_MOST, len(rows) // 5)
    )


def _residuals(state: _State) -> Iterator[tuple[Place, float, float]]:
    """Yield every row, how many standard deviations it is from what all others say, and the residual itself."""
    steps = _STEP * np.eye(state.density.size)
    points = np.vstack([state.mode.point, state.mode.point + steps, state.mode.point - steps])
    at, residuals = state.density.rows_at(points)
    for suffix, rows in state.density.layout:
        dim, count = names.of_observation("run", suffix), len(steps)
        if dim not in at or not _prob(state.density.layout, rows.observation.name):
            continue
        jointly, residual = at[dim], residuals[dim]
        slopes = (residual[1 + count :] - residual[1 : 1 + count]).T / (2 * _STEP)  # of what is expected
        z, left = leave_one_out(_at_first(jointly), residual[0], slopes, state.mode.covariance)
        for row in range(len(rows)):
            yield (rows.observation.name, row), float(z[row]), float(left[row])


def _at_first(rows: JointlyNormal) -> JointlyNormal:
    """Return rows as they are at the first of some points."""

    def first(value: Any) -> Any:
        return value[0] if np.ndim(value) == 2 else value

    decay = rows.decay and gaussian.Decay(
        *(None if v is None else float(v[0, 0]) for v in (rows.decay.length, rows.decay.run_share))
    )
    effects = [(width[0], basis) for width, basis in rows.effects]
    return JointlyNormal(
        first(rows.mean), first(rows.deviation), first(rows.growth), first(rows.own_variance), effects, rows.serial, decay
    )


def leave_one_out(
    rows: JointlyNormal, residual: np.ndarray, slopes: np.ndarray, covariance: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return how far each row is from what all others say of it, in standard deviations, and as it is.

    Effects are integrated out, unknowns in the approximation that what is expected is linear in them: ``slopes`` by the
    unknowns, shape (row, unknown), and ``covariance`` of these given all rows.
    """
    whole = np.zeros_like(residual)
    scale, growth = rows.deviation * rows.growth + whole, rows.growth + whole
    own = None if rows.own_variance is None else rows.own_variance + whole
    loadings = [width * basis * growth[:, None] for width, basis in rows.effects]
    loaded = np.concatenate([*loadings, np.zeros((len(residual), 0))], axis=1)
    if rows.serial is None:
        variance = scale**2 + (0.0 if own is None else own)
        diagonal = 1 / variance

        def solved(columns: np.ndarray) -> np.ndarray:
            return columns / variance[:, None]
    else:
        white = np.concatenate(
            gaussian.whiten(residual, scale, own, np.eye(len(residual)), rows.serial, rows.decay).loadings
        )
        diagonal = (white**2).sum(axis=0)

        def solved(columns: np.ndarray) -> np.ndarray:
            return white.T @ (white @ columns)

    by_effects = solved(loaded)
    root = np.linalg.cholesky(np.eye(loaded.shape[1]) + loaded.T @ by_effects)

    def precise(columns: np.ndarray) -> np.ndarray:
        inner = np.linalg.solve(root.T, np.linalg.solve(root, by_effects.T @ columns))
        return solved(columns) - by_effects @ inner

    diagonal = diagonal - (np.linalg.solve(root, by_effects.T) ** 2).sum(axis=0)
    diagonal = diagonal - ((precise(slopes) @ np.linalg.cholesky(covariance)) ** 2).sum(axis=1)
    weighted = precise(residual[:, None])[:, 0]
    diagonal = np.maximum(diagonal, 1e-12)
    return weighted / diagonal**0.5, weighted / diagonal


def facts_of(outliers: list[Outlier]) -> Mapping[str, list[dict[str, Any]]]:
    """Return the rows as a fit keeps them, by observation."""
    kept: dict[str, list[dict[str, Any]]] = {}
    for one in outliers:
        kept.setdefault(one.observation, []).append(
            {"row": one.row, "label": one.label, "prob": round(one.prob, 4), "off": round(one.off, 6)}
        )
    return kept
