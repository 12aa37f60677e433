"""How each test of the long suite ended and what it printed, kept as it runs, so that an interrupted run can be continued.

A plugin of pytest: ``python -m pytest -m slow -p tests.validation.record``; with ``--continue`` tests that have passed on the
same sources are left out. :mod:`tests.validation.page` writes docs/about/validation.md from the record.
"""

from __future__ import annotations

import datetime
import hashlib
import importlib.metadata
import json
import platform
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
RECORD = Path(__file__).with_name("record.json")
PROGRAMS = ("bayes-scaling", "numpy", "pymc", "nutpie", "arviz-stats", "xarray")
_SOURCES = ("bayes_scaling", "models", "data", "tests")
_KINDS = {".py", ".toml", ".csv", ".js", ".html", ".j2", ".json", ".gz"}
_LONGEST = 4000
"""Characters kept of what a test prints."""


def read() -> dict[str, dict[str, Any]]:
    """Return the record: ``runs``, by digest of the sources, and ``tests``, by name, each with the run it is of."""
    return json.loads(RECORD.read_text()) if RECORD.exists() else {"runs": {}, "tests": {}}


def sources() -> str:
    """Return the digest of all that a test can depend on here."""
    files = (path for folder in _SOURCES for path in (ROOT / folder).rglob("*"))
    found = hashlib.sha256()
    for path in sorted(path for path in files if path.suffix in _KINDS and path != RECORD and path.is_file()):
        found.update(f"{path.relative_to(ROOT)} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return found.hexdigest()[:16]


def machine() -> dict[str, Any]:
    """Return the commit, the versions and the processor of this run."""
    commit = subprocess.run(["git", "rev-parse", "--short=9", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    models = [line.partition(":")[2] for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    return {
        "commit": commit.stdout.strip(),
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in PROGRAMS},
        "processor": f"{models[0].strip() if models else platform.machine()}, {len(models) or '?'} threads",
    }


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


class Recorder:
    """Adds each test to the record as it ends."""

    def __init__(self, run: str) -> None:
        self.run = run
        self.seconds: dict[str, float] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the seconds of all parts of a test, and how it ended: its setup if that failed or skipped it."""
        name = report.nodeid.partition("@")[0]  # xdist adds the group
        self.seconds[name] = self.seconds.get(name, 0.0) + report.duration
        if report.when != "call" and report.outcome == "passed":
            return
        record = read()
        record["tests"][name] = {
            "outcome": "expected failure" if hasattr(report, "wasxfail") else report.outcome,
            "seconds": round(self.seconds[name], 1),
            "day": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "run": self.run,
            "printed": _told(report)[-_LONGEST:],
        }
        record["runs"][self.run] = record["runs"].get(self.run) or machine()
        record["runs"] = {
            key: run for key, run in record["runs"].items() if key in {t["run"] for t in record["tests"].values()}
        }
        record["tests"] = dict(sorted(record["tests"].items()))
        fresh = RECORD.with_suffix(".new")
        fresh.write_text(json.dumps(record, indent=1) + "\n")
        fresh.replace(RECORD)


def _told(report: pytest.TestReport) -> str:
    """Return what a test printed and, where it failed, how; why it was skipped, or is expected to fail."""
    if report.skipped:
        return str(getattr(report, "wasxfail", "")) or str(report.longrepr[2] if isinstance(report.longrepr, tuple) else "")
    return "\n".join(part for part in (report.capstdout.strip(), report.longreprtext if report.failed else "") if part)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that continues a run."""
    parser.addoption("--continue", action="store_true", dest="goes_on", help="leave out what has passed on the same sources")


def pytest_configure(config: pytest.Config) -> None:
    """Record in the process that the reports of all workers come to."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Recorder(sources()))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what has passed on the same sources, where a run is continued; forget tests that there no longer are."""
    if not config.getoption("goes_on"):
        return
    run, tests = sources(), read()["tests"]
    seen = {name for name, test in tests.items() if test["run"] == run and test["outcome"] in ("passed", "expected failure")}
    left = [item for item in items if item.nodeid.partition("@")[0] in seen]
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if item.nodeid.partition("@")[0] not in seen]
