"""The README is run: its commands give the answers printed beneath them, its links lead somewhere."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import httpx
import matplotlib as mpl
import pytest

from tests.command import command  # noqa: F401 - a fixture
from tests.printed import assert_same
from tests.service.service import start

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)
BLOCKS = BLOCK.findall(README)

pytestmark = pytest.mark.xdist_group("readme")


def test_blocks_are_the_ones_this_test_knows():
    assert [kind for kind, _ in BLOCKS] == ["", *2 * ["bash", "text"], "python", "text", "bash", "text", "text"]
    assert len(README.splitlines()) < 120


def test_commands_print_what_stands_beneath(tmp_path, monkeypatch, command):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    for number in (1, 3, 7):
        (_, commands), (_, expected) = BLOCKS[number], BLOCKS[number + 1]
        printed = ""
        for line in commands.splitlines():
            name, *words = shlex.split(line)
            if name == "curl":
                printed += answer_of_service(words)
                continue
            assert name == "bayes-scaling"
            if words[0] == "serve":
                assert words == ["serve", ".", "&"]
                continue
            answer = command(*words)
            assert answer.code == 0, answer.err
            printed += answer.out if words[0] in ("predict", "allocate", "target") else ""
            if words[0] == "fit":
                the_start_is_the_same(line, answer.out)
        assert_same(printed, expected)


def the_start_is_the_same(fit, printed):
    """The page of the first five minutes fits as the README does, and shows what that prints, and the same forecast."""
    start = [
        text.strip() for kind, text in BLOCK.findall((ROOT / "docs" / "start.md").read_text()) if kind in ("console", "text")
    ]
    assert start[1] == f"$ {fit}"
    assert printed.strip().startswith(start[2])
    predict, forecast = BLOCKS[1][1].splitlines()[1], BLOCKS[2][1].strip()
    assert start[3:5] == [f"$ {predict}", forecast]


def answer_of_service(words):
    """Start the service of this folder on a port that is free, and return what the line gives of it."""
    *flags, address, bar, jq, raw, what = words
    assert flags == ["-s", "--retry", "30", "--retry-connrefused", "--retry-delay", "1"]
    assert (bar, jq, raw, what) == ("|", "jq", "-r", ".sentence")
    running = start(Path())
    try:
        answer = httpx.get(address.replace("http://127.0.0.1:8000/", running.address), timeout=60)
        return answer.json()["sentence"]
    finally:
        running.stop()


def test_python_prints_what_stands_beneath(capsys):
    place = [kind for kind, _ in BLOCKS].index("python")
    with mpl.rc_context():
        exec(compile(BLOCKS[place][1], "README.md", "exec"), {})
    assert_same(capsys.readouterr().out, BLOCKS[place + 1][1])


def test_make_has_the_two_commands():
    makefile = (ROOT / "Makefile").read_text()
    for line in BLOCKS[0][1].splitlines():
        target = line.split()[1]
        assert re.search(rf"^{target}:", makefile, re.M)


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#]+)\)", README))))
def test_links_lead_somewhere(link):
    assert (ROOT / link).exists()
