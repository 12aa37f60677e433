"""A service in a process of its own, as people start it, and the folder that it serves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from bayes_scaling.posterior.checks import check
from bayes_scaling.posterior.examples import example_fit, example_rates, example_system
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.mixture import Mixture
from tests.grouped import grouped_fit

COMMAND = str(Path(sys.executable).with_name("bayes-scaling"))


def checked(fit: Fit) -> Fit:
    """Return a fit with its checks."""
    return replace(fit, checks=tuple(check(fit).to_dict("records")))


def not_converged() -> Fit:
    """Return a fit whose chains lie apart."""
    fit = example_fit(chains=4, draws=100)
    posterior = fit.posterior
    apart = posterior.assign({name: posterior[name] * (1 + 0.03 * (posterior["chain"] == 0)) for name in ("E", "A", "B")})
    return checked(fit._with_posterior(apart))


def fill(folder: Path) -> Path:
    """Save a fit of each kind in a folder."""
    one = checked(example_fit(chains=4, draws=500))
    mixture = Mixture({"one": one, "other": checked(example_fit(chains=4, draws=400))}, {"one": 0.7, "other": 0.3})
    fits = {
        "fit": one,
        "grouped": grouped_fit(),
        "rates": checked(example_rates()),
        "system": example_system(chains=4, draws=500),
        "not_converged": not_converged(),
    }
    for name, fit in fits.items():
        fit.save(folder / f"{name}.nc")
    mixture.save(folder / "mixture")
    (folder / "damaged.nc").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    return folder


@dataclass
class Service:
    """A running service."""

    process: subprocess.Popen[bytes]
    address: str
    folder: Path
    errors: Path

    @property
    def port(self) -> int:
        """Its port."""
        return int(self.address.rstrip("/").rpartition(":")[2])

    @property
    def log(self) -> list[dict[str, Any]]:
        """The lines of its log."""
        return [json.loads(line) for line in self.errors.read_text().splitlines() if line.startswith("{")]

    @property
    def children(self) -> list[int]:
        """The processes that answer."""
        found = []
        for status in Path("/proc").glob("[0-9]*/stat"):
            try:
                pid, parent = int(status.parent.name), int(status.read_text().rpartition(") ")[2].split()[1])
                command = (status.parent / "cmdline").read_text()
            except (OSError, ValueError):
                continue
            if parent == self.process.pid and "spawn_main" in command:
                found.append(pid)
        return found

    def stop(self, how: int = signal.SIGTERM) -> int:
        """Stop it, and return its exit code."""
        self.process.send_signal(how)
        return self.process.wait(timeout=30)


def start(folder: Path, *options: str) -> Service:
    """Start a service of a folder, and wait until it answers."""
    errors = Path(tempfile.mkstemp(suffix=".log")[1])
    with errors.open("wb") as log:
        words = [COMMAND, "serve", str(folder), "--port", "0", *options]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(words, stderr=log, stdout=log, env=environment)
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        told = [word for word in errors.read_text().split() if word.startswith("http://")]
        try:
            if told and httpx.get(f"{told[0]}healthz", timeout=5).status_code == 200:
                return Service(process, told[0], folder, errors)
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    process.kill()
    raise AssertionError(f"The service did not start:\n{errors.read_text()}")
