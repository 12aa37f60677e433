"""What tests share: tables, fits made by hand, one real fit, and the folder of public measured runs."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bayes_scaling.laws import LAWS
from bayes_scaling.laws.constants import published
from bayes_scaling.posterior.examples import example_fit
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.runs.catalog import MIRROR
from bayes_scaling.runs.table import RunTable, read_runs

os.environ.setdefault("PYTENSOR_FLAGS", "traceback__limit=0")  # where each node was made: a quarter of the time of a model

HOFFMANN_LIKE = published("besiroglu2024").values


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests share a process where they share what takes long to make: the fit by NUTS, and what a module makes once for them."""
    for item in items:
        if "real_fit" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("sampling"))
        elif item.get_closest_marker("xdist_group") is None and _shares_with_its_module(item):
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))


def _shares_with_its_module(item: pytest.Item) -> bool:
    made = getattr(getattr(item, "_fixtureinfo", None), "name2fixturedefs", {})
    return any(definition.scope == "module" for definitions in made.values() for definition in definitions)


@pytest.fixture
def exact_fit() -> Fit:
    """One draw: everything derived from it has a closed form."""
    return example_fit(chains=1, draws=1)


@pytest.fixture
def fit_by_hand() -> Fit:
    """Four chains of a hundred draws."""
    return example_fit()


@pytest.fixture(scope="session")
def simulated_runs() -> RunTable:
    """Forty runs on a grid of N and D, losses of the published law with half a per cent of scatter."""
    rng = np.random.default_rng(7)
    N, D = (axis.ravel() for axis in np.meshgrid(np.geomspace(5e7, 5e9, 8), np.geomspace(2e9, 1e11, 5)))
    loss = LAWS["chinchilla"](N, D, **HOFFMANN_LIKE) * np.exp(0.005 * rng.standard_normal(N.size))
    return read_runs(pd.DataFrame({"params": N, "tokens": D, "loss": loss}), name="simulated")


@pytest.fixture(scope="session")
def real_fit(simulated_runs: RunTable) -> Fit:
    """The one posterior that the fast tests sample by NUTS."""
    from bayes_scaling.inference import fit

    return fit(simulated_runs, "chinchilla", sampler="nuts", seed=3, draws=500, tune=500, full=True, progress=False)


@pytest.fixture(scope="session")
def public_runs() -> Path:
    """The folder of public measured runs, named by the environment variable."""
    folder = os.environ.get(MIRROR)
    if not folder or not Path(folder).is_dir():
        pytest.skip(f"needs the public measured runs: name their folder in {MIRROR}")
    return Path(folder)
