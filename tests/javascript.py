"""JavaScript that tests run: by Node.js, or by Chromium where there is none."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
_QUIET = ("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage")


def evaluated(program):
    """Return what the last expression of a program is, by way of JSON; numbers that are none come as text."""
    wrapped = (
        f"JSON.stringify((() => {{ {program} }})(), "
        "(key, value) => typeof value === 'number' && !Number.isFinite(value) ? String(value) : value)"
    )
    if node := shutil.which("node"):
        script = f"process.stdout.write({wrapped})"
        return json.loads(subprocess.run([node, "-"], input=script, capture_output=True, text=True, check=True).stdout)
    if CHROMIUM is None:
        pytest.skip("needs Node.js or Chromium to run JavaScript")
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder, "page.html")
        page.write_text(
            f"<!doctype html><meta charset=utf-8><pre></pre><script>document.querySelector('pre').textContent = {wrapped}</script>"
        )
        command = [CHROMIUM, *_FLAGS, *_QUIET, f"--user-data-dir={folder}/profile", "--dump-dom", page.as_uri()]
        shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    return json.loads(html.unescape(re.search("<pre>(.*)</pre>", shown, re.S)[1]))
