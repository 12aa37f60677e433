"""Some rows of a table that is too large: their posterior is that of all rows, wider by what was said."""

from __future__ import annotations

import re

import numpy as np
import pytest

import bayes_scaling as bs
from bayes_scaling.model.thinning import thin
from tests.benchmarks.sampling import simulated

pytestmark = pytest.mark.slow
FORECASTS = ((10**10, 10**11.5), (3e8, 1e10))
"""Ten times beyond the largest compute, and in the middle of the runs."""


def test_the_posterior_of_some_rows_is_that_of_all_and_wider_by_what_was_said():
    every = simulated(100_000)
    few = thin(every, rows=20_000)
    stated = [[float(x) for x in pair] for pair in re.findall(r"([\d.]+) to ([\d.]+) times", few.notes[0])]
    fits = [bs.fit(runs, "kappa", seed=1, progress=False) for runs in (every, few)]
    assert all(fit.converged for fit in fits)
    for (least, most), (params, tokens) in zip(stated, FORECASTS, strict=True):
        of_all, of_few = (np.log(bs.predict(fit, params=params, tokens=tokens)["expected_loss"].values) for fit in fits)
        ratio = of_few.std() / of_all.std()
        print(f"stated {least:.3g} to {most:.3g}, found {ratio:.3g}; {of_all.mean():.5f} and {of_few.mean():.5f}")
        assert least / 1.3 < ratio < 1.3 * most
        assert abs(of_few.mean() - of_all.mean()) < 3 * of_few.std()
