"""Rows that may have gone wrong: found one after another, and each given an error of its own.

A row is a suspect where all other rows, with law, discrepancy and noise, put it further away than one row of such a table
strays by chance, or far further than they put the others: noise that was learned from bad rows excuses them. The worst
suspect is given an error of its own (see :class:`~bayes_scaling.model.noise.Outliers`), the mode is climbed anew, and the
next one is looked for there: two bad rows hide each other until one of them is out of the way. Of the sets on this way the
one is taken whose mode has the largest mass (Laplace's approximation), and far larger for every row of it: where noise that
grows with the loss, or a discrepancy, explains a row nearly as well, that is what new runs have to expect too, and the row
stays. How far a row of the set counts is for the posterior to say; other suspects are named with the odds they had.

Where a row is off by a fifth of the loss or more, bad rows may have bent the law itself: the search is begun once more with
those set aside that the law with Student-t residuals, and without discrepancy, leaves far out.

Of a table of many rows the worst suspects are tried with some of the others, taken at random: these say as well what one row
should have measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist
from typing import Any, Final

import numpy as np

from bayes_scaling.inference.modes import ENOUGH_ROWS, Mode, climbed, find_modes
from bayes_scaling.model import gaussian, names
from bayes_scaling.model.density import LogDensity
from bayes_scaling.model.layout import Layout
from bayes_scaling.model.noise import Likelihood, Outliers
from bayes_scaling.model.unknowns import JointlyNormal

_BY_CHANCE: Final = 0.5
"""Rows of a table that are suspects though nothing is wrong with them, on average."""
_FAR: Final = 8.0
"""Medians of what rows are off, beyond which a row is a suspect whatever the noise."""
_GROSS: Final = 0.2
"""Relative error of a row at which it may have bent the law."""
_TAIL: Final = 2.0
"""Degrees of freedom of the residuals that find such rows."""
_LEAST_ODDS: Final = 12.0
"""Odds that a row went wrong, below which it has no error of its own: forecasts of public runs were too narrow with less."""
_LEAST_OFF: Final = 0.04
"""Relative error below which a row is never set aside: what strays less is the noise that new runs have too."""
_NAMED: Final = 0.1
"""Probability that a row went wrong from which on it is named."""
_IN_VAIN: Final = 3
"""Suspects one after another that made the runs no likelier, after which the search ends."""
_MOST: Final = 8
"""Rows at the most, and a fifth of an observation's."""
_STEP: Final = 1e-4

Place = tuple[str, int]
"""A row: its observation, and its number."""


@dataclass(frozen=True)
class _State:
    """Some rows with an error of their own, and the mode that was found with them."""

    density: LogDensity
    mode: Mode
    places: tuple[Place, ...]

    @property
    def merit(self) -> float:
        """Log mass of the mode, less the odds below which no row is worth it."""
        return self.mode.log_mass - len(self.places) * float(np.log(_LEAST_ODDS))

    @cached_property
    def residuals(self) -> tuple[tuple[Place, float, float], ...]:
        """Every row that can be wrong, how many standard deviations it is from what all others say, and the residual itself."""
        return tuple(_residuals(self))

    def with_row(self, place: Place, off: float) -> _State | None:
        """Return the state of one row more, climbed to from where its error is as large as it is off.

        None where the climb ends in a mode in which that error is next to nothing.
        """
        return self.climbed(self.density.layout, (*self.places, place), {place: off})

    def without(self, place: Place) -> _State | None:
        """Return the state of one row less."""
        return self.climbed(self.density.layout, tuple(other for other in self.places if other != place), {})

    def climbed(self, layout: Layout, places: tuple[Place, ...], begin: dict[Place, float]) -> _State | None:
        """Return the state of a layout and its rows that a climb from here reaches; what is not known here starts as the prior."""
        density = _density_of(layout, places)
        start, variance = density.start.copy(), np.ones(density.size)
        old = {coordinate.name: coordinate.place for coordinate in self.density.coordinates}
        for coordinate in density.coordinates:
            before = old.get(coordinate.name)
            if before is not None and not coordinate.name.startswith("outlier_z"):
                start[coordinate.place] = self.mode.point[before]
                variance[coordinate.place] = np.diag(self.mode.covariance)[before]
        known = dict(_errors(self)) | {place: _z(density.layout, place, off) for place, off in begin.items()}
        for place, at in _coordinates(density):
            start[at] = known.get(place, 0.0)
        modes = climbed(density, start[None], np.diag(variance))
        if not modes:
            return None
        state = _State(density, modes[0], places)
        found = dict(_errors(state))
        return None if any(found[place] < 0.5 * known[place] for place in begin) else state


@dataclass
class _Named:
    """Probability that a row went wrong, and by how much, for every row that was a suspect on the way."""

    rows: dict[Place, tuple[float, float]]

    def tell(self, place: Place, before: _State, after: _State, off: float) -> None:
        """Keep the odds that a row had when it was tried, or the best it had."""
        gain = min(after.mode.log_mass - before.mode.log_mass, 50.0)
        prob = float(1 / (1 + np.exp(-gain)))
        if prob >= max(_NAMED, self.rows.get(place, (0.0, 0.0))[0]):
            self.rows[place] = prob, off


@dataclass(frozen=True)
class Screened:
    """What the search for rows that went wrong has found.

    Parameters
    ----------
    layout : Layout
        The model in which such rows have an error of their own.
    mode : Mode
        The mode found with them, of a table of many rows with some of these.
    named : list of dict
        Suspects beside them that have no error of their own: ``observation``, ``row``, ``prob``, ``off``.
    """

    layout: Layout
    mode: Mode
    named: list[dict[str, Any]]

    @property
    def found(self) -> bool:
        """Whether there are such rows."""
        return any(rows.outliers for rows in self.layout.rows.values())


def screened(density: LogDensity, modes: list[Mode]) -> Screened:
    """Look for rows that went wrong.

    Parameters
    ----------
    density : LogDensity
        The posterior, in which no row has an error of its own.
    modes : list of Mode
        Its modes, that of the largest mass first.
    """
    layout = density.layout
    alone, numbers = _State(density, modes[0], ()), {name: np.arange(len(rows)) for name, rows in layout.rows.items()}
    if layout.most_rows > ENOUGH_ROWS:
        worst = sorted(alone.residuals, key=lambda each: -abs(each[1]))
        also = {name: [row for (of_it, row), _, _ in worst if of_it == name][: 2 * _MOST] for name in layout.rows}
        numbers = layout.some_rows(ENOUGH_ROWS, also)
        some = LogDensity(layout.at_rows(numbers))
        reached = climbed(some, modes[0].point[None], modes[0].covariance)
        alone = _State(some, (reached or modes)[0], ())
    named, rows = _Named({}), sum(len(rows) for _, rows in layout)
    best = _searched(alone, named, rows)
    if max((abs(off) for _, _, off in alone.residuals), default=0.0) > _GROSS:
        begun = _begun(alone.density.layout)
        best = max(best, best if begun is None else _searched(begun, named, rows), key=lambda state: state.merit)
    best = _kept(best)
    others = [
        {"observation": name, "row": int(numbers[name][row]), "prob": prob, "off": off}
        for (name, row), (prob, off) in named.rows.items()
        if (name, row) not in best.places
    ]
    outliers = {name: [int(numbers[name][row]) for of_it, row in best.places if of_it == name] for name in layout.rows}
    return Screened(layout.with_outliers(outliers), best.mode, others)


def _searched(start: _State, named: _Named, rows: int) -> _State:
    """Return the best state on the way on which the worst suspect of so many rows is given an error of its own again and again."""
    best = state = start
    limit = -NormalDist().inv_cdf(_BY_CHANCE / 2 / rows)
    in_vain, tried = 0, set[Place]()
    while in_vain < _IN_VAIN:
        left = state.residuals
        far = _FAR * float(np.median([abs(off) for _, _, off in left])) if left else np.inf
        suspects = [(max(abs(z) / limit, abs(off) / far), place, off) for place, z, off in left if _may_be(state, place)]
        worst = max((each for each in suspects if each[1] not in tried), default=(0.0, ("", -1), 0.0))
        if worst[0] <= 1.0:
            break
        tried.add(worst[1])
        in_vain += 1
        following = state.with_row(*worst[1:])
        if following is None:
            continue
        named.tell(worst[1], state, following, worst[2])
        if abs(worst[2]) >= _LEAST_OFF:
            state = following
        if state.merit > best.merit:
            best, in_vain = state, 0
    return best


def _kept(state: _State) -> _State:
    """Return the state without rows, one after another, that all but surely did not go wrong."""
    while state.places:
        others = [other for place in state.places if (other := state.without(place)) is not None]
        best = max(others, key=lambda other: other.merit, default=state)
        if best.merit <= state.merit:
            break
        state = best
    return state


def _begun(layout: Layout) -> _State | None:
    """Return the state of the rows that the laws with Student-t residuals, and without discrepancy, leave far out."""
    observations = []
    for rows in layout.rows.values():
        likelihood = Likelihood.of(
            {"dist": "StudentT", "nu": _TAIL, "sigma": rows.observation.likelihood.sigma.model_dump()}
        )
        update = {"likelihood": likelihood, "discrepancy": {}, "noise": {}, "correlation": None}
        looked_at = rows.observation.likelihood.outliers is not None
        observations.append(rows.observation.model_copy(update=update) if looked_at else rows.observation)
    model = layout.model.model_copy(update={"observations": tuple(observations)})
    heavy = LogDensity(Layout.of(model, {name: rows.table for name, rows in layout.rows.items()}))
    modes = find_modes(heavy, np.random.default_rng(0))
    if not modes:
        return None
    _, residuals = heavy.rows_at(modes[0].point[None])
    far: dict[Place, float] = {}
    for suffix, rows in layout:
        if rows.observation.likelihood.outliers is not None:
            off = np.abs(residuals[names.of_observation("run", suffix)][0])
            worst = np.argsort(-off)[: _most(len(rows))]
            least = max(_GROSS, _FAR * float(np.median(off)))
            far |= {(rows.observation.name, int(row)): float(off[row]) for row in worst if off[row] > least}
    return _State(heavy, modes[0], ()).climbed(layout, tuple(far), far) if far else None


def _most(rows: int) -> int:
    return min(_MOST, rows // 5)


def _density_of(layout: Layout, places: tuple[Place, ...]) -> LogDensity:
    return LogDensity(layout.with_outliers({name: [row for of_it, row in places if of_it == name] for name in layout.rows}))


def _coordinates(density: LogDensity) -> Iterator[tuple[Place, int]]:
    """Yield the rows that have an error of their own, and where its coordinate lies."""
    places = {coordinate.name: coordinate.place for coordinate in density.coordinates}
    for suffix, rows in density.layout:
        for number, row in enumerate(rows.outliers):
            yield (rows.observation.name, row), places[names.of_observation("outlier_z", suffix)].start + number


def _errors(state: _State) -> Iterator[tuple[Place, float]]:
    for place, at in _coordinates(state.density):
        yield place, float(state.mode.point[at])


def _outliers(layout: Layout, observation: str) -> Outliers | None:
    return layout.rows[observation].observation.likelihood.outliers


def _z(layout: Layout, place: Place, off: float) -> float:
    outliers = _outliers(layout, place[0])
    return 0.0 if outliers is None else float(outliers.z(abs(off)))


def _may_be(state: _State, place: Place) -> bool:
    """Whether a row can be a suspect: one more, and not too many of its observation."""
    count = sum(of_it == place[0] for of_it, _ in state.places)
    return place not in state.places and count < _most(len(state.density.layout.rows[place[0]]))


def _residuals(state: _State) -> Iterator[tuple[Place, float, float]]:
    """Yield what :attr:`_State.residuals` holds."""
    steps = _STEP * np.eye(state.density.size)
    points = np.vstack([state.mode.point, state.mode.point + steps, state.mode.point - steps])
    at, residuals = state.density.rows_at(points)
    for suffix, rows in state.density.layout:
        dim, count = names.of_observation("run", suffix), len(steps)
        if dim not in at or rows.observation.likelihood.outliers is None:
            continue
        residual = residuals[dim]
        slopes = (residual[1 + count :] - residual[1 : 1 + count]).T / (2 * _STEP)  # of what is expected
        z, left = leave_one_out(_at_first(at[dim]), residual[0], slopes, state.mode.covariance)
        for row in range(len(rows)):
            yield (rows.observation.name, row), float(z[row]), float(left[row])


def _at_first(rows: JointlyNormal) -> JointlyNormal:
    """Return rows as they are at the first of some points."""

    def first(value: Any) -> Any:
        return value[0] if np.ndim(value) == 2 else value

    decay = rows.decay
    if decay is not None:
        decay = gaussian.Decay(*(None if v is None else float(v[0, 0]) for v in (decay.length, decay.run_share)))
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
    columns = np.concatenate([loaded, slopes, residual[:, None]], axis=1)
    by_noise, diagonal = gaussian.solved(columns, scale, own, rows.serial, rows.decay)
    effects = loaded.shape[1]
    by_effects = by_noise[:, :effects]
    root = np.linalg.cholesky(np.eye(effects) + loaded.T @ by_effects)
    explained = np.linalg.solve(root, by_effects.T)
    precise = by_noise[:, effects:] - explained.T @ (np.linalg.solve(root, loaded.T @ by_noise[:, effects:]))
    diagonal = diagonal - (explained**2).sum(axis=0)
    diagonal = diagonal - ((precise[:, :-1] @ np.linalg.cholesky(covariance)) ** 2).sum(axis=1)
    weighted = precise[:, -1]
    diagonal = np.maximum(diagonal, 1e-12)
    return weighted / diagonal**0.5, weighted / diagonal
