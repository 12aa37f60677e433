"""Weighted draws moved on by an ensemble of walkers: what no proposal was near enough to reach.

Importance weights cannot tell of a part of the posterior that no draw has reached, and a mixture of a few distributions does
not reach all of a long, bent tail: standard deviations came out up to a third too small, and no diagnostic of the weights
saw it. So the draws are where some hundred walkers begin, not where they end. The walkers first spread over a posterior whose
likelihood is turned down, in which tails are near, and follow it while it is turned up, drawn anew by their weights
(sequential Monte Carlo: Del Moral, Doucet and Jasra 2006). They move along the difference of two places that walkers have
been at (differential evolution: ter Braak and Vrugt 2008), or to a place drawn from a mixture that is fitted to these; either
is accepted with the probability of Metropolis and Hastings. Each half of the walkers learns both from the other. At the
whole likelihood, rounds of moves go on until within the later half of them the walkers forget where they were. What is kept
comes after that, when nothing is learned any more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd

from bayes_scaling.inference.importance import Mixture, Weighted
from bayes_scaling.inference.surrogate import Surrogate
from bayes_scaling.model.density import Surface
from bayes_scaling.numerics import bisect
from bayes_scaling.posterior.checks import MEMORY, RULES, r_hat
from bayes_scaling.posterior.effective import KINDS, of_walkers

if TYPE_CHECKING:
    from bayes_scaling.inference.conditional import Conditional

_WALKERS: Final = {False: 200, True: 400}
"""Walkers of a posterior without and with effects of groups, whose tails are the slower to explore."""
_FEW_UNKNOWNS: Final = 15
"""Unknowns up to which a mixture is fitted to all of them; of more, effects of groups are drawn given the rest."""
_MOVES: Final = 40
"""Moves of a round."""
_HOT: Final = 0.03
"""Power of the likelihood in the first rounds."""
_HOT_ROUNDS: Final = 2
_FEWEST_ROUNDS: Final = 3
"""Rounds at the whole likelihood, at the fewest."""
_MOST_ROUNDS: Final = 25
"""Rounds at the most: walkers that do not forget where they were in these miss tails even where they do later.

Beside NUTS, posteriors in which it took 240 to 900 moves came out with standard deviations of .89 to 1.09 of theirs, those in
which it took 1,100 and more, of groups all of them, with .65 to .9.
"""
_STILL_COUNT: Final = 0.3
"""Share of the walkers that still count where the power of the likelihood is raised."""
_IN_A_ROW: Final = {False: 1, True: 3}
"""Rounds in which walkers have to have forgotten where they were, without and with effects of groups: chance says it of slow ones
now and then."""
_MOST_BETWEEN: Final = {True: 40, False: 80}
"""Moves between two draws of a walker that are kept, at the most: where the draws pass the checks, and where they do not, as by chance
one fit in some tens does."""
_MARGIN: Final = 1.1
"""Effective sample size at which that ends, over that of the check: effects, which are drawn later, have a little less."""
_WORTH: Final = 800
"""Effective sample size that the draws are to have."""
_ENOUGH_TO_TELL: Final = 2000
"""Draws below which chains differ by chance."""
_NOTED: Final = {False: 5, True: 10}
"""Moves between two places of a walker that are noted, and that may be kept: in the posterior itself and in a surrogate of it."""
_PLACES: Final = 2000
"""Places of a half of the walkers between which differences are taken: weighted draws at first."""
_FROM_MIXTURE: Final = 0.5
"""Share of the moves to a place drawn from the mixture."""
_REDRAWN: Final = 0.6
"""Share of the other moves in which effects of groups are drawn anew given the rest, where they are drawn so."""
_ANEW: Final = 0.15
"""Share of the other moves in which one unknown is drawn anew from its prior: of the noise, tails reach as far as that."""
_DIRECTIONS: Final = (0.15, 0.4, 1.0)
"""Shares of the directions along which a walker moves at once."""
_BEST: Final = 2.38
"""Length, in standard deviations over the root of the directions, at which a Normal distribution is explored the fastest."""
_SPREAD: Final = 0.4
"""Standard deviation of the logarithm of the length."""
_JUMPS: Final = 0.1
"""Share of the differences that are taken whole, and lead from mode to mode."""
_JITTER: Final = 0.05
"""Standard deviation of the factor by which the length differs between directions."""
_HALVINGS: Final = 20
_LEAST_SCALE: Final = 1e-12
"""Share of the variance of all draws that the scale of the posterior has at the least."""


@dataclass(frozen=True)
class Walked:
    """Equally weighted draws of a posterior; those of a walker are beside each other.

    Parameters
    ----------
    points : ndarray, shape (chain, draw, coordinate)
        Where they lie.
    log_density : ndarray, shape (chain, draw)
        Log density of the posterior, up to a constant.
    walkers : ndarray, shape (chain, draw)
        The number of the walker.
    moves : int
        Moves of each walker before the first draw that is kept.
    memory : float
        Rank correlation of where they were half of the moves at the whole likelihood before it and at its beginning, in
        standard errors of none: the largest over the unknowns and the rounds in which they are to have forgotten it.
    disagreement : float
        The largest R-hat of what the chains are to agree on; one where the draws are too few to tell.
    evaluations : int
        Evaluations of the density.
    """

    points: np.ndarray
    log_density: np.ndarray
    walkers: np.ndarray
    moves: int
    memory: float
    disagreement: float
    evaluations: int

    @property
    def forgets(self) -> bool:
        """Whether the walkers forgot where they were."""
        return RULES[MEMORY].passes(self.memory)

    @property
    def agrees(self) -> bool:
        """Whether the chains agree, as far as there are draws enough to tell."""
        return RULES["largest R-hat"].passes(self.disagreement)


def walk(
    density: Surface,
    weighted: Weighted,
    rng: np.random.Generator,
    conditional: Conditional | None = None,
    *,
    chains: int,
    draws: int,
    published: Callable[[np.ndarray], np.ndarray] = np.asarray,
    progress: Callable[[float], None] | None = None,
) -> Walked:
    """Move walkers from weighted draws until they forget where they were, and return draws of them from then on.

    Parameters
    ----------
    density : Surface
        The posterior.
    weighted : Weighted
        Draws by importance sampling.
    rng : Generator
        Source of randomness.
    conditional : Conditional, optional
        The effects of groups given the other unknowns, where these alone are drawn from a mixture.
    chains, draws : int
        Chains that the walkers are divided among, and draws of each.
    published : callable, optional
        Returns of points of shape (point, coordinate) what is told of them, shape (point, quantity), by default the
        coordinates: chains are to agree on it, and the draws are to be worth enough of each.
    progress : callable, optional
        Told the share of the work that is done.
    """
    of_chain = max(1, _WALKERS[conditional is not None] // chains)
    kept = -(-draws // of_chain)
    ensemble = Ensemble(density, weighted, rng, conditional, of_chain * chains)
    to_settle = (_HOT_ROUNDS + _FEWEST_ROUNDS + 2) * _MOVES
    share = to_settle / (to_settle + kept * ensemble.noted)
    tell = progress or (lambda _: None)
    moves, memory = _settle(ensemble, lambda moves: tell(share * min(1.0, moves / to_settle)))
    enough = min(_WORTH, 0.5 * chains * draws)

    def of_chains(values: np.ndarray) -> np.ndarray:
        """Return what has a shape (walker, kept, ...) by chain and draw; of the last walker of a chain some may be too many."""
        return values.reshape(chains, -1, *values.shape[2:])[:, :draws]

    walkers = of_chains(np.repeat(np.arange(of_chain * chains)[:, None], kept, axis=1))

    def judge(points: np.ndarray) -> tuple[float, float]:
        """Return the largest R-hat of what points of shape (walker, kept, coordinate) publish, and the smallest effective size."""
        values = published(of_chains(points).reshape(chains * draws, -1))
        told = chains > 1 and len(values) >= _ENOUGH_TO_TELL
        apart = float(r_hat(values.reshape(chains, draws, -1)).max()) if told else 1.0
        return apart, float(min(of_walkers(values, walkers.ravel(), kind).min() for kind in KINDS))

    points, log_density, apart = _draw(ensemble, kept, judge, enough, lambda drawn: tell(share + (1 - share) * drawn / kept))
    return Walked(
        of_chains(points),
        of_chains(log_density),
        walkers,
        moves,
        memory,
        apart,
        ensemble.evaluations,
    )


def _settle(ensemble: Ensemble, tell: Callable[[int], None]) -> tuple[int, float]:
    """Move an ensemble until it forgets where it was, and return the moves and how much it still remembers, in standard errors."""
    memories, places = list[float](), list[np.ndarray]()
    for number in range(_MOST_ROUNDS):
        if number >= _HOT_ROUNDS and not ensemble.is_whole:
            ensemble.raise_power()
        if ensemble.is_whole and not places:
            places.append(ensemble.points)
        for _ in range(_MOVES // ensemble.noted):
            ensemble.move(ensemble.noted)
            ensemble.note()
        tell((number + 1) * _MOVES)
        if ensemble.is_whole:
            places.append(ensemble.points)
            memories.append(correlation(places[len(places) // 2], places[-1]) * np.sqrt(len(ensemble.points)))
            memory = max(memories[-ensemble.in_a_row :])
            if len(places) > max(_FEWEST_ROUNDS, ensemble.in_a_row) and RULES[MEMORY].passes(memory):
                return (number + 1) * _MOVES, memory
        ensemble.fit_mixture()
        ensemble.fit_surrogate()
    return _MOST_ROUNDS * _MOVES, max(memories[-ensemble.in_a_row :], default=np.inf)


def _draw(
    ensemble: Ensemble,
    kept: int,
    judge: Callable[[np.ndarray], tuple[float, float]],
    enough: float,
    tell: Callable[[int], None],
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return points and log densities of an ensemble that moves on, of shapes (walker, draw, ...), and how far chains disagree.

    Where the points are not enough, every second is kept, and the ensemble makes twice as many moves from one to the next,
    as often as it takes.
    """
    drawn, between = list[tuple[np.ndarray, np.ndarray]](), ensemble.noted
    while True:
        while len(drawn) < kept:
            ensemble.move(between)
            drawn.append((ensemble.points, ensemble.log_density))
            tell(len(drawn))
        points, log_density = (np.stack(each, axis=1) for each in zip(*drawn, strict=True))
        apart, worth = judge(points)
        agree = RULES["largest R-hat"].passes(apart)
        sound = agree and worth >= min(enough, _MARGIN * RULES["smallest tail ESS"].threshold)
        if kept == 1 or between >= _MOST_BETWEEN[sound] or (agree and worth >= enough):
            return points, log_density, apart
        drawn, between = drawn[1::2], 2 * between


def correlation(before: np.ndarray, after: np.ndarray) -> float:
    """Return the largest rank correlation, over the unknowns, of where walkers were and where they are.

    It is one where none has moved, or all are in one place.

    >>> round(correlation(np.array([[1.0], [2.0], [3.0]]), np.array([[2.0], [9.0], [4.0]])), 12)
    0.5
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        each = pd.DataFrame(before).rank().corrwith(pd.DataFrame(after).rank())
    return float(each.fillna(1.0).max())


class _State(NamedTuple):
    """Where walkers are: points, and log densities of the prior, of what was measured, of the proposals of effects and of the rest.

    ``moved_in`` is that of what was measured as it is in the surrogate that walkers move in, where there is one.
    """

    points: np.ndarray
    prior: np.ndarray
    measured: np.ndarray
    moved_in: np.ndarray
    of_effects: np.ndarray
    of_mixture: np.ndarray

    def at(self, chosen: np.ndarray) -> _State:
        """Return the state of some walkers."""
        return _State(*(part[chosen] for part in self))

    def where(self, taken: np.ndarray, other: _State) -> _State:
        """Return the state of these walkers, and of another where it is not taken."""
        return _State(*(np.where(taken.reshape(-1, *[1] * (a.ndim - 1)), a, b) for a, b in zip(self, other, strict=True)))


class Ensemble:
    """Walkers in a posterior whose likelihood has a power.

    Each half of them learns how to move from the other half alone. A proposal that knows where a walker is makes it
    leave too often: tails in which few are would empty, round by round.

    Parameters
    ----------
    density, weighted, rng, conditional
        As for :func:`walk`.
    count : int
        Walkers.
    power : float
        Of the likelihood.
    """

    def __init__(
        self,
        density: Surface,
        weighted: Weighted,
        rng: np.random.Generator,
        conditional: Conditional | None,
        count: int,
        *,
        power: float = _HOT,
    ) -> None:
        self._density, self._rng, self._conditional = density, rng, conditional
        every = np.arange(density.size)
        self._rest = every if conditional is None else conditional.others
        self._mixed = every if density.size <= _FEW_UNKNOWNS else self._rest
        self._half = np.arange(count) % 2
        self._mixtures: list[Mixture] = []
        self._warm = [np.empty((0, density.size))] * 2
        self._power, self.evaluations = power, 0
        away = weighted.points - weighted.weights @ weighted.points
        least = _LEAST_SCALE * np.diag(weighted.points.var(axis=0))  # where a few draws have all the weight, they span less
        self._scale = np.linalg.cholesky((weighted.weights * away.T) @ away + least)
        self._places = [weighted.points[rng.choice(len(weighted.points), _PLACES, p=weighted.weights)] for _ in range(2)]
        self._surrogate = None if conditional is not None else Surrogate.near(density, weighted, rng)
        self._known: list[tuple[np.ndarray, np.ndarray]] = []
        self._state = self._state_at(weighted.points[rng.choice(len(weighted.points), count, p=weighted.weights)])
        self._state = self._in_all_rows(self._state)

    @property
    def noted(self) -> int:
        """Moves between two places that are noted."""
        return _NOTED[self._surrogate is not None]

    @property
    def in_a_row(self) -> int:
        """Rounds in which the walkers have to have forgotten where they were."""
        return _IN_A_ROW[self._conditional is not None]

    @property
    def points(self) -> np.ndarray:
        """Where the walkers are, shape (walker, coordinate)."""
        return self._state.points

    @property
    def log_density(self) -> np.ndarray:
        """Log density of the posterior where they are, shape (walker,)."""
        return self._state.prior + self._state.measured

    @property
    def is_whole(self) -> bool:
        """Whether the power of the likelihood is one."""
        return self._power == 1.0

    def note(self) -> None:
        """Take differences from now on between where the walkers are too, and no longer where they were long ago."""
        halves = (self.points[self._half == half] for half in range(2))
        self._places = [np.vstack(each)[-_PLACES:] for each in zip(self._places, halves, strict=True)]
        if self._surrogate is not None:
            self._known.append((self.points, self._state.measured - self._state.moved_in))

    def fit_mixture(self) -> None:
        """Propose from now on from a mixture fitted to where the walkers were of late, and before the power was raised last.

        A mixture that is somewhat wider than the posterior reaches its tails.
        """
        places = [np.vstack(each)[:, self._mixed] for each in zip(self._places, self._warm, strict=True)]
        self._mixtures = [Mixture.around(each, self._rng) for each in reversed(places)]
        self._state = self._state._replace(of_mixture=self._of_mixture(self.points))

    def fit_surrogate(self) -> None:
        """Move from now on in a surrogate fitted to where the walkers were of late, too, where there is one."""
        if self._surrogate is not None:
            points, lacking = (np.concatenate(each) for each in zip(*self._known, strict=True))
            self._known = []
            self._surrogate.learn(points, lacking)
            self._state = self._state._replace(moved_in=self._surrogate.parts(self.points)[1])

    def raise_power(self) -> None:
        """Raise the power of the likelihood as far as enough walkers still count, and draw them anew by their weights."""
        below = self._state.measured - self._state.measured.max()

        def lacking(power: np.ndarray | float) -> float:
            return _STILL_COUNT - _share_counting((power - self._power) * below)

        enough, _ = bisect(lacking, self._power, 1.0, halvings=_HALVINGS)
        power = float(enough) if lacking(1.0) > 0 else 1.0
        chosen = np.empty(len(below), dtype=int)
        for half in range(2):
            (walkers,) = np.nonzero(self._half == half)
            edges = np.cumsum(np.exp((power - self._power) * below[walkers]))
            places = (np.arange(len(walkers)) + self._rng.random()) / len(walkers) * edges[-1]
            chosen[walkers] = walkers[np.searchsorted(edges, places)]
        self._power, self._state = power, self._state.at(chosen)
        self._warm = [each[::2] for each in self._places]

    def move(self, count: int) -> None:
        """Move every walker so many times; where they move in a surrogate, all rows say now and then whether they stay."""
        for start in range(0, count, self.noted):
            before = self._state
            for _ in range(min(self.noted, count - start)):
                self._move()
            if self._surrogate is not None:
                self._judge(before)

    def _judge(self, before: _State) -> None:
        """Leave walkers where they moved in a surrogate with the probability that leaves the posterior as it is."""
        there = self._in_all_rows(self._state)
        with np.errstate(invalid="ignore"):
            rise = self._power * ((there.measured - there.moved_in) - (before.measured - before.moved_in))
            self._state = there.where(np.log(self._rng.random(len(rise))) < rise, before)

    def _move(self) -> None:
        """Propose a place to each walker, which it takes with the probability that leaves the posterior as it is."""
        rng, count = self._rng, len(self.points)
        points, drawn, of_prior = self._along_differences(), np.zeros(count, dtype=bool), np.zeros(count)
        if self._mixtures:
            drawn = rng.random(count) < _FROM_MIXTURE
            for half, mixture in enumerate(self._mixtures):
                of_it = drawn & (self._half == half)
                points[np.ix_(of_it, self._mixed)] = mixture.draw(rng, int(of_it.sum()))
        anew = ~drawn & (rng.random(count) < _ANEW)
        points[anew], of_prior[anew] = self._density.from_own_priors(self.points[anew], rng)
        redrawn = np.zeros(count, dtype=bool)
        if self._conditional is not None:
            redrawn = (drawn & (len(self._mixed) == len(self._rest))) | (~drawn & (rng.random(count) < _REDRAWN))
            points[redrawn] = self._conditional.complete(points[np.ix_(redrawn, self._rest)], rng)
        there, here = self._state_at(points), self._state
        with np.errstate(invalid="ignore"):
            rise = there.prior - here.prior - of_prior + self._power * (there.moved_in - here.moved_in)
            rise += np.where(drawn, here.of_mixture - there.of_mixture, 0.0)
            rise += np.where(redrawn, here.of_effects - there.of_effects, 0.0)
            taken = np.log(rng.random(count)) < rise  # never where the density is no number
        self._state = there.where(taken, here)

    def _in_all_rows(self, state: _State) -> _State:
        """Return a state with the log density of what was measured in all rows, where that is not known yet."""
        measured, new = state.measured.copy(), np.isnan(state.measured)
        if new.any():
            self.evaluations += int(new.sum())
            measured[new] = self._density.parts(state.points[new])[1]
        return state._replace(measured=measured)

    def _state_at(self, points: np.ndarray) -> _State:
        none = np.zeros(len(points))
        of_effects = none if self._conditional is None else self._conditional.log_density(points)
        of_mixture = self._of_mixture(points) if self._mixtures else none
        prior, moved_in = (self._surrogate or self._density).parts(points)
        measured = moved_in
        if self._surrogate is None:
            self.evaluations += len(points)
        else:
            measured = np.full(len(points), np.nan)
        return _State(points, prior, measured, moved_in, of_effects, of_mixture)

    def _of_mixture(self, points: np.ndarray) -> np.ndarray:
        """Return the log density of the mixture that each walker's proposals are drawn from, at one point for each."""
        values = np.empty(len(points))
        for half, mixture in enumerate(self._mixtures):
            values[self._half == half] = mixture.log_density(points[self._half == half][:, self._mixed])
        return values

    def _along_differences(self) -> np.ndarray:
        """Return points along differences of two places, in some of the directions of the posterior's own scale."""
        rng, (count, size) = self._rng, self.points.shape
        places, (one, other) = np.stack(self._places), rng.integers(_PLACES, size=(2, count))
        away = places[1 - self._half, one] - places[1 - self._half, other]
        chosen = rng.random((count, size)) < rng.choice(_DIRECTIONS, size=(count, 1))
        chosen[np.arange(count), rng.integers(size, size=count)] = True
        length = _BEST / np.sqrt(2 * chosen.sum(axis=1, keepdims=True)) * np.exp(_SPREAD * rng.standard_normal((count, 1)))
        length = np.where(rng.random((count, 1)) < _JUMPS, 1.0, length)
        length = length * (1 + _JITTER * rng.standard_normal((count, size)))
        along = np.linalg.solve(self._scale, away.T).T
        return self.points + (chosen * length * along) @ self._scale.T


def _share_counting(log_weights: np.ndarray) -> float:
    """Return the effective size of weights as a share of their number."""
    weights = np.exp(log_weights)
    return float(weights.sum() ** 2 / (weights**2).sum() / len(weights))
