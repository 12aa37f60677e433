"""Where the command line runs and writes: whatever that is, an answer or one sentence, no half file, no hang."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from bayes_scaling.errors import Unwritable
from bayes_scaling.files import write_whole
from bayes_scaling.posterior.examples import example_fit

RUN = f"{sys.executable} -c 'from bayes_scaling.cli import main; main()'"
PREDICT = f"{RUN} predict $FIT --params 1e9 --tokens 1e10"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (f"{PREDICT} > /dev/full", 2),
        (f"{PREDICT} >&-", 0),
        (f"set -o pipefail; {PREDICT} | true", None),
        (f"LC_ALL=C PYTHONIOENCODING=ascii {PREDICT}", 0),
        (f"mkdir gone; cd gone; rmdir ../gone; {PREDICT}", 2),
        (f"env -u HOME TERM=dumb COLUMNS=20 MPLBACKEND=nonsense {RUN} report $FIT --out r.html", 0),
        (f"{RUN} report $FIT --out $FIT", 2),
        (f"{RUN} report $FIT --out /dev/full", 2),
        (f"{RUN} report $FIT --out {'x' * 300}.html", 2),
        (f"mkfifo pipe.nc; {RUN} predict pipe.nc --params 1e9 --tokens 1e10", 2),
        (f"{RUN} fit ladder --draws 100000000000000000000 --out q.nc", 2),
    ],
)
def test_an_answer_or_a_sentence(line, code, tmp_path):
    path = example_fit().save(tmp_path / "fit.nc")
    before = path.read_bytes()
    surroundings = os.environ | {
        "FIT": str(path),
        "PYTHONPATH": os.pathsep.join(map(os.path.abspath, filter(None, sys.path))),
    }
    found = subprocess.run(["bash", "-c", line], cwd=tmp_path, env=surroundings, capture_output=True, text=True, timeout=60)
    assert code is None or found.returncode == code, found.stderr
    assert "Traceback" not in found.stderr
    assert code != 2 or found.stderr.startswith("Error: ")
    assert path.read_bytes() == before
    assert not [left for left in tmp_path.iterdir() if left.suffix == ".unfinished" or left.name == "q.nc"]


def test_what_a_killed_process_left_is_removed_by_the_next_write(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    left = tmp_path / f".a.txt.{gone.pid}.x1.unfinished"
    kept = [tmp_path / f".a.txt.{os.getpid()}.x2.unfinished", tmp_path / f".b.txt.{gone.pid}.x3.unfinished"]
    for file in (left, *kept):
        file.write_text("half")
    write_whole(tmp_path / "a.txt", "whole")
    assert not left.exists()
    assert all(file.exists() for file in kept)
    with pytest.raises(Unwritable, match="too long"):
        write_whole(tmp_path / ("x" * 300), "")
