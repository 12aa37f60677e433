"""One service for all tests that only ask."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.service.service import Service, fill, start


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run them in one process, so that one service is started."""
    for item in items:
        if "tests/service" in str(item.path):
            item.add_marker(pytest.mark.xdist_group("service"))


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a fit of each kind, a mixture, one that has not converged, and a damaged file."""
    return fill(tmp_path_factory.mktemp("served"))


@pytest.fixture(scope="session")
def service(served: Path) -> Iterator[Service]:
    """A service of that folder."""
    running = start(served)
    yield running
    if running.process.poll() is None:
        running.stop()


@pytest.fixture(scope="session")
def http(service: Service) -> Iterator[httpx.Client]:
    """A client of it."""
    with httpx.Client(base_url=service.address, timeout=60) as client:
        yield client
