"""Every broken input of the folder ``bad``: exit code 2, one message that says it, no traceback, nothing written."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from tests.command import command  # noqa: F401 - a fixture

BAD = Path(__file__).parent.parent / "bad"
EXPECTED = tomllib.loads((BAD / "expected.toml").read_text())
FILES = EXPECTED["files"]
GOOD = "params,tokens,loss\n1e8,2e9,3.4\n1e9,2e10,2.8\n1e9,4e10,2.7\n"


@pytest.fixture
def place(tmp_path, fit_by_hand):
    """A folder with a good table and a good fit, and names for what is not there."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "good.csv").write_text(GOOD)
    fit_by_hand.save(tmp_path / "fit.nc")
    return {
        "good": tmp_path / "good.csv",
        "fit": tmp_path / "fit.nc",
        "folder": tmp_path / "folder",
        "out": tmp_path / "out",
    }


def refused(answer, says, place):
    assert answer.code == 2
    assert says in answer.err, answer.err
    assert "Traceback" not in answer.err
    assert answer.out == ""
    assert answer.err.count("Error: ") == 1
    assert sorted(p.name for p in place["out"].parent.iterdir()) == ["fit.nc", "folder", "good.csv"]


def test_the_folder_is_complete():
    found = {str(p.relative_to(BAD)) for p in BAD.rglob("*") if p.is_file()}
    assert found - {"expected.toml", "tables/with_a_bad_card/card.toml"} == set(FILES)
    assert len(FILES) + len(EXPECTED["arguments"]) > 40


@pytest.mark.parametrize("name", [n for n in FILES if n.startswith("tables/")])
def test_tables(name, command, place):  # noqa: F811
    refused(command("fit", BAD / name, "--model", "chinchilla", "--out", place["out"]), FILES[name], place)


@pytest.mark.parametrize("name", [n for n in FILES if n.startswith("models/")])
def test_models(name, command, place):  # noqa: F811
    refused(command("fit", place["good"], "--model", BAD / name, "--out", place["out"]), FILES[name], place)


@pytest.mark.parametrize("name", [n for n in FILES if n.startswith("fits/")])
@pytest.mark.parametrize("verb", ["check", "predict", "allocate", "report"])
def test_fits(name, verb, command, place):  # noqa: F811
    rest = {
        "check": [],
        "predict": ["--params", "1e9", "--tokens", "1e10"],
        "allocate": ["--compute", "1e23"],
        "report": ["--out", place["out"]],
    }[verb]
    refused(command(verb, BAD / name, *rest), FILES[name], place)


@pytest.mark.parametrize("case", EXPECTED["arguments"], ids=lambda case: " ".join(case["given"]))
def test_arguments(case, command, place):  # noqa: F811
    refused(command(*(word.format(**place) for word in case["given"])), case["says"], place)
