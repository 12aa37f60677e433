"""No number moves: densities, prior draws and answers are those written before the redesign."""

from __future__ import annotations

import pytest

from tests.golden.answers import ANSWERS, answer
from tests.golden.densities import CASES, densities_at, in_numpy, prior_of
from tests.golden.numbers import committed, differences


def _compare(file: str, name: str, found: object) -> None:
    wrong = list(differences(f"{file}/{name}", committed(file)[name], found))
    assert not wrong, "\n".join([f"{len(wrong)} numbers differ:", *wrong[:20]])


@pytest.mark.parametrize("case", CASES)
def test_log_density_and_gradient(case: str) -> None:
    """The density that is sampled is the one it was, and numpy's is the same."""
    points = committed("densities")[case]["points"]
    sampled = densities_at(case, points)
    _compare("densities", case, sampled)
    assert in_numpy(case, points) == pytest.approx(sampled["log_density"], rel=1e-10)


@pytest.mark.parametrize("case", CASES)
def test_prior_draws(case: str) -> None:
    """Priors are drawn as they were."""
    _compare("prior_draws", case, prior_of(case))


@pytest.mark.parametrize("name", ANSWERS)
def test_answer(name: str) -> None:
    """Answers from stored draws are those they were."""
    _compare("answers", name, answer(name))


def test_every_number_has_its_test() -> None:
    """Nothing that was written is left out."""
    assert set(committed("answers")) == set(ANSWERS)
    assert set(committed("densities")) == set(committed("prior_draws")) == set(CASES)
