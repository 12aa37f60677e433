"""What the package needs: under which licences, whether holes are known in it, and what a stored fit is read without."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pytest
from packaging.requirements import Requirement

from bayes_scaling.posterior.checks import checked
from bayes_scaling.posterior.examples import example_fit
from tests.service.service import start

ROOT = Path(__file__).parent.parent
ALLOWED = {
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSD",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MIT-CMU",
    "MPL-2.0",  # of whole files, none of which is changed or copied
    "PSF",
    "PSF-2.0",
    "Zlib",
}
IN_WORDS = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF",
}
"""Licences as packages name them that state no expression."""


@cache
def needed(*, extras: bool = False) -> dict[str, str]:
    """Return the packages that an installation brings, with their versions; with all extras, those of them that are here."""
    found: dict[str, str] = {}
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    waiting = [*project["dependencies"], *(chain(*project["optional-dependencies"].values()) if extras else ())]
    while waiting:
        need = Requirement(waiting.pop())
        name = re.sub(r"[-_.]+", "-", need.name).lower()
        if name not in found and (need.marker is None or need.marker.evaluate({"extra": ""})):
            try:
                package = distribution(need.name)
            except PackageNotFoundError:
                if extras:
                    print(f"{name} of an extra is not installed, and not looked at")
                    continue
                raise
            found[name] = package.version
            waiting += package.requires or []
    return found


def licences(name: str) -> set[str]:
    """Return the licences of an installed package, of which all hold, but where it leaves a choice."""
    about = distribution(name).metadata
    if expression := about.get("License-Expression"):
        return set(re.split(r" AND | OR ", expression.replace("(", "").replace(")", "")))
    kinds = [line.rpartition(" :: ")[2] for line in about.get_all("Classifier") or () if line.startswith("License :: ")]
    return {IN_WORDS.get(kind, kind) for kind in kinds or [str(about.get("License"))]}


def test_every_package_that_is_installed_has_a_licence_that_lets_it():
    assert len(needed()) > 40
    others = {name: found for name in needed() if not (found := licences(name)) <= ALLOWED}
    assert not others


@pytest.mark.slow
def test_the_licences_of_all_that_an_extra_brings_are_listed():
    every = {name: licences(name) for name in sorted(needed(extras=True))}
    print(*(f"{name} {needed(extras=True)[name]}: {', '.join(sorted(found))}" for name, found in every.items()), sep="\n")
    assert not {name: found for name, found in every.items() if not found <= ALLOWED}


@pytest.mark.slow
def test_no_hole_is_known_in_what_is_installed(tmp_path):
    if find_spec("pip_audit") is None:
        pytest.skip("not checked: pip-audit is not installed")
    every = needed(extras=True)
    (tmp_path / "needed.txt").write_text("".join(f"{name}=={version}\n" for name, version in every.items()))
    words = [
        sys.executable,
        "-m",
        "pip_audit",
        "--no-deps",
        "--disable-pip",
        "-f",
        "json",
        "-r",
        str(tmp_path / "needed.txt"),
    ]
    found = subprocess.run(words, capture_output=True, text=True, timeout=600)
    if not found.stdout.lstrip().startswith("{"):
        pytest.skip(f"not checked: no network, or none to the database of holes: {found.stderr[-200:]}")
    entries = json.loads(found.stdout)["dependencies"]
    assert not {entry["name"]: entry["vulns"] for entry in entries if entry.get("vulns")}
    unknown = [f"{entry['name']}: {entry['skip_reason']}" for entry in entries if "skip_reason" in entry]
    if unknown:  # a mirror need not have the database: what it knows nothing of is not free of holes
        pytest.skip(f"not checked: {len(unknown)} of {len(entries)} packages, such as {unknown[0]}")


WITHOUT = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"pymc", "pytensor", "nutpie", "numba", "llvmlite", "arviz", "arviz_plots"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
"""
QUESTIONS = (
    "predict FIT --params 7e10 --tokens 1.4e12",
    "allocate FIT --compute 1e21",
    "regret FIT --compute 1e21 --params 1e9",
    "target FIT --loss 2.5",
    "report FIT --out report.html",
    "check FIT",
)


@pytest.fixture
def without_pymc(tmp_path):
    """Return the surroundings of processes that have no PyMC, and a folder with a stored fit."""
    (tmp_path / "sitecustomize.py").write_text(WITHOUT)
    (tmp_path / "fits").mkdir()
    checked(example_fit(chains=4, draws=500)).save(tmp_path / "fits" / "fit.nc")
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}


def test_a_stored_fit_answers_without_pymc(without_pymc, tmp_path):
    run = (
        "import sys, shlex\nfrom bayes_scaling.cli import app\n"
        "for line in sys.argv[1:]:\n"
        "    code = app(shlex.split(line), standalone_mode=False)\n"
        "    assert not code, line\n"
        "try:\n    import pymc\nexcept ModuleNotFoundError:\n    print('no PyMC')\n"
    )
    lines = [line.replace("FIT", "fits/fit.nc") for line in QUESTIONS]
    found = subprocess.run(
        [sys.executable, "-c", run, *lines], cwd=tmp_path, env=without_pymc, capture_output=True, text=True, timeout=120
    )
    assert found.returncode == 0, found.stderr
    assert "no PyMC" in found.stdout


def test_a_stored_fit_is_served_without_pymc(without_pymc, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", without_pymc["PYTHONPATH"])
    service = start(tmp_path / "fits", "--workers", "1")
    try:
        answer = httpx.get(f"{service.address}fits/fit/predict?params=7e10&tokens=1.4e12", timeout=60)
    finally:
        service.stop()
    assert answer.status_code == 200, answer.text


def test_a_batch_and_its_workers_do_without_pymc(without_pymc, tmp_path):
    rng = np.random.default_rng(1)
    size, data = 10 ** rng.uniform((7, 9), (9, 11), (12, 2)).T
    loss = (1.7 + 400 * size**-0.34 + 410 * data**-0.28) * np.exp(0.005 * rng.standard_normal(12))
    pd.DataFrame({"params": size, "tokens": data, "loss": loss}).to_csv(tmp_path / "runs.csv", index=False)
    (tmp_path / "jobs.toml").write_text('models = ["kaplan_n"]\n[sampling]\ndraws = 50\n[[tables]]\npath = "runs.csv"\n')
    words = [sys.executable, "-m", "bayes_scaling", "batch", "jobs.toml", "--out", "out", "--workers", "1"]
    done = subprocess.run(words, cwd=tmp_path, env=without_pymc, capture_output=True, text=True, timeout=120)
    assert (done.returncode, "1 fit, 0 failed." in done.stdout) == (0, True), done.stdout + done.stderr


def test_a_sampler_that_needs_pymc_says_so(without_pymc, tmp_path):
    words = [sys.executable, "-m", "bayes_scaling", "fit", "ladder", "--sampler", "nuts", "--out", "new.nc"]
    found = subprocess.run(words, cwd=tmp_path, env=without_pymc, capture_output=True, text=True, timeout=120)
    assert found.returncode == 2
    assert "Traceback" not in found.stderr
    assert "is not installed" in found.stderr


@pytest.mark.xdist_group("together")
def test_tests_of_a_group_share_a_process(request):
    """Of some versions of pytest and pytest-xdist each fixture of a session is made in every process, and nothing says so."""
    assert request.node.nodeid.endswith("@together") or not request.config.getoption("loadgroup", default=False)
