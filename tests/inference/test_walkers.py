"""Walkers on posteriors that are known in closed form."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from bayes_scaling.inference import walkers
from bayes_scaling.inference.importance import Weighted
from bayes_scaling.inference.surrogate import Surrogate
from bayes_scaling.inference.walkers import Ensemble, correlation, walk
from bayes_scaling.model.density import Surface
from bayes_scaling.posterior.checks import RULES
from tests.inference.test_importance import TWO

RULE = RULES["correlation of walkers with earlier positions, standard errors"]


class LongTail(Surface):
    """Three unknowns under Student-t distributions of three degrees of freedom, the second bent over the first."""

    size = 3
    of_it = stats.t(3)

    def parts(self, points):
        prior = stats.norm.logpdf(points, scale=30.0).sum(axis=1)
        straight = points - np.stack([0 * points[:, 0], 0.3 * points[:, 0] ** 2, 0 * points[:, 0]], axis=1)
        return prior, self.of_it.logpdf(straight).sum(axis=1) - prior


def begun(density, points):
    """Return equally weighted draws at some points."""
    return Weighted(points, density.of(points), np.zeros(len(points)), 1)


@pytest.fixture(scope="module")
def walked():
    """Return draws of walkers that begin in the middle tenth of a long tail."""
    near = 0.1 * np.random.default_rng(1).standard_normal((1000, 3))
    return walk(LongTail(), begun(LongTail(), near), np.random.default_rng(2), chains=4, draws=1000)


def assert_of_a_long_tail(points):
    """Compare the quantiles of points with those of the distribution that they are to be of."""
    straight = points.reshape(-1, 3)
    straight = straight - np.stack([0 * straight[:, 0], 0.3 * straight[:, 0] ** 2, 0 * straight[:, 0]], axis=1)
    for unknown in straight.T:
        for q in (0.02, 0.25, 0.5, 0.75, 0.98):
            assert (unknown <= LongTail.of_it.ppf(q)).mean() == pytest.approx(q, abs=4 * (q * (1 - q) / 600) ** 0.5)


def test_tails_are_reached_in_which_no_walker_began(walked):
    assert_of_a_long_tail(walked.points)


class Ridge(Surface):
    """The first of sixteen coordinates has a long tail; the others follow its square closely."""

    of_first, sd = stats.t(5), 0.1
    slopes = np.linspace(-0.5, 0.5, 15)
    size = 16

    def parts(self, points):
        first, others = points[:, :1], points[:, 1:]
        away = (others - self.slopes * first**2) / self.sd
        return np.zeros(len(points)), self.of_first.logpdf(first[:, 0]) - 0.5 * (away**2).sum(axis=1)

    def draws(self, rng, count):
        first = self.of_first.rvs((count, 1), random_state=rng)
        return np.hstack([first, self.slopes * first**2 + self.sd * rng.standard_normal((count, 15))])


def test_what_walkers_learn_of_each_other_empties_no_tail():
    """Walkers that begin at draws of the posterior still are such draws after twenty rounds of learning."""
    rng, density = np.random.default_rng(1), Ridge()
    ensemble = Ensemble(density, begun(density, density.draws(rng, 4000)), rng, None, 800, power=1.0)
    for _ in range(20):
        for _ in range(8):
            ensemble.move(5)
            ensemble.note()
        ensemble.fit_mixture()
    beyond = np.abs(ensemble.points[:, 0]) > Ridge.of_first.ppf(0.9)
    assert beyond.mean() == pytest.approx(0.2, abs=0.04)


def test_walkers_move_on_while_chains_disagree_on_what_is_published(walked):
    near = 0.1 * np.random.default_rng(1).standard_normal((1000, 3))
    sizes = {"chains": 4, "draws": 1000}
    # Sorted, the first chain has the smallest quarter.
    found = walk(
        LongTail(),
        begun(LongTail(), near),
        np.random.default_rng(2),
        published=lambda points: np.sort(points, axis=0),
        **sizes,
    )
    assert walked.agrees
    assert 1 < walked.disagreement < 1.01
    assert not found.agrees
    assert found.disagreement > 1.5
    assert found.evaluations > 1.5 * walked.evaluations


def test_draws_of_a_walker_are_beside_each_other(walked):
    assert walked.points.shape == (4, 1000, 3)
    assert walked.walkers.shape == walked.log_density.shape == (4, 1000)
    assert (np.diff(walked.walkers.ravel()) >= 0).all()
    assert len(np.unique(walked.walkers)) == walkers._WALKERS[False]
    assert set(walked.walkers[0]).isdisjoint(walked.walkers[1])
    np.testing.assert_allclose(walked.log_density.ravel(), LongTail().of(walked.points.reshape(-1, 3)))
    assert walked.forgets


def test_the_mass_of_each_mode_stays_what_the_weights_say_of_it():
    rng = np.random.default_rng(3)
    upper = rng.random(4000) < 0.2
    points = np.where(upper[:, None], 1.0, -1.0) + 0.1 * rng.standard_normal((4000, 3))
    found = walk(TWO, begun(TWO, points), rng, chains=2, draws=500).points.reshape(-1, 3)
    assert (found[:, 0] > 0).mean() == pytest.approx(0.2, abs=0.09)
    inside = found[found[:, 0] > 0]
    assert inside.mean(axis=0) == pytest.approx([1.0, 1.0, 1.0], abs=0.03)
    assert inside.std(axis=0) == pytest.approx([0.1, 0.1, 0.1], rel=0.25)


@pytest.mark.parametrize(("chains", "draws"), [(1, 1), (2, 30), (3, 77), (64, 5), (2, 250)])
def test_as_many_draws_as_are_asked_for(chains, draws):
    near = 0.1 * np.random.default_rng(1).standard_normal((500, 3))
    told = []
    found = walk(
        LongTail(), begun(LongTail(), near), np.random.default_rng(2), chains=chains, draws=draws, progress=told.append
    )
    assert found.points.shape == (chains, draws, 3)
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1.0)


def test_walkers_that_cannot_move_remember(monkeypatch):
    monkeypatch.setattr(Ensemble, "move", lambda self, count: None)
    near = np.random.default_rng(1).standard_normal((500, 3))
    found = walk(LongTail(), begun(LongTail(), near), np.random.default_rng(2), chains=2, draws=10)
    assert found.memory == pytest.approx(200**0.5)
    assert not found.forgets
    assert found.moves == walkers._MOST_ROUNDS * walkers._MOVES


def test_places_that_do_not_depend_on_each_other_are_forgotten():
    rng = np.random.default_rng(4)
    assert correlation(rng.random((200, 12)), rng.random((200, 12))) * 200**0.5 < RULE.threshold
    assert correlation(np.zeros((200, 1)), rng.random((200, 1))) == 1.0


class FewRows(Surface):
    """What some rows say of a long tail: less of it, and of another place."""

    size = 3

    def parts(self, points):
        prior = stats.norm.logpdf(points, scale=30.0).sum(axis=1)
        return prior, stats.t(4).logpdf((points - [1.0, -2.0, 0.5]) / 3.0).sum(axis=1) - prior


class ManyRows(LongTail):
    """A long tail that is expensive, and how often it was asked for."""

    asked = 0
    rows = 100_000

    def on_some_rows(self, count):
        return FewRows()

    def parts(self, points):
        self.asked += len(points)
        return super().parts(points)


def test_moves_in_a_surrogate_draw_from_the_posterior_of_all_rows(walked):
    density = ManyRows()
    near = 0.1 * np.random.default_rng(1).standard_normal((1000, 3))
    found = walk(density, begun(LongTail(), near), np.random.default_rng(2), chains=4, draws=1000)
    np.testing.assert_allclose(found.log_density.ravel(), LongTail().of(found.points.reshape(-1, 3)))
    assert_of_a_long_tail(found.points)
    assert density.asked == found.evaluations < 0.4 * walked.evaluations


def test_a_surrogate_is_exact_where_the_other_rows_add_a_paraboloid():
    class Normal(FewRows):
        def parts(self, points):
            prior, measured = super().parts(points)
            return prior, measured - ((points - 0.3) ** 2 @ [1.0, 2.0, 3.0]) + points[:, 0] * points[:, 2]

    points, elsewhere = np.random.default_rng(3).standard_normal((2, 200, 3))
    surrogate = Surrogate(FewRows(), points, Normal().of(points))
    np.testing.assert_allclose(surrogate.of(elsewhere), Normal().of(elsewhere), atol=1e-9)
