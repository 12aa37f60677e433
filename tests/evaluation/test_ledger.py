"""A ledger loses nothing, whoever is killed, and shows every change."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from bayes_scaling.errors import BayesScalingWarning, InvalidLedger, Unwritable
from bayes_scaling.evaluation.ledger import append_all, read_ledger, repair
from tests.command import command  # noqa: F401 - a fixture

WRITER = """
import sys
from bayes_scaling.evaluation.ledger import append_all
for n in range(int(sys.argv[3])):
    print(append_all(sys.argv[1], lambda _: [{"who": sys.argv[2], "n": n}])[0]["number"], flush=True)
"""


def append(path, content):
    return append_all(path, lambda _: [content])[0]


def writer(path, who, count):
    return subprocess.Popen([sys.executable, "-c", WRITER, str(path), who, str(count)], stdout=subprocess.PIPE, text=True)


def test_entries_are_read_back_in_order(tmp_path):
    path = tmp_path / "ledger.jsonl"
    seals = [append(path, {"n": n})["seal"] for n in range(5)]
    found = read_ledger(path)
    assert [entry["n"] for entry in found] == list(range(5))
    assert [entry["seal"] for entry in found] == seals
    assert read_ledger(path, last=seals[2])


def test_two_processes_at_once_lose_nothing(tmp_path):
    path = tmp_path / "ledger.jsonl"
    writers = [writer(path, who, 60) for who in "ab"]
    told = [process.communicate(timeout=120)[0].split() for process in writers]
    found = read_ledger(path)
    assert len(found) == 120
    for who in "ab":
        assert [e["n"] for e in found if e["who"] == who] == list(range(60))
    assert sorted(int(n) for numbers in told for n in numbers) == list(range(120))


def test_a_writer_that_is_killed_loses_nothing_it_said_was_written(tmp_path):
    path = tmp_path / "ledger.jsonl"
    for attempt in range(4):
        process = writer(path, f"w{attempt}", 100_000)
        assert process.stdout is not None
        seen = [int(process.stdout.readline()) for _ in range(20 + 7 * attempt)]
        time.sleep(0.003 * attempt)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        found = read_ledger(path)
        assert [entry["number"] for entry in found] == list(range(len(found)))
        assert seen[-1] < len(found)


@pytest.mark.parametrize("cut", [1, 20, 90, -2])
def test_a_torn_line_is_kept_aside_and_nothing_is_added_before(tmp_path, cut):
    """A writer killed within its one write leaves part of a line: nobody was told of it."""
    path = tmp_path / "ledger.jsonl"
    append(path, {"n": 0})
    whole = path.read_bytes()
    append(path, {"n": 1})
    torn = path.read_bytes()[len(whole) :][:cut]
    path.write_bytes(whole + torn)
    with pytest.warns(BayesScalingWarning, match="is incomplete"):
        assert [entry["n"] for entry in read_ledger(path)] == [0]
    with pytest.raises(InvalidLedger, match="ledger repair"):
        append(path, {"n": 2})
    assert path.read_bytes() == whole + torn
    assert repair(path).read_bytes() == torn
    assert repair(path) is None
    append(path, {"n": 2})
    assert [entry["n"] for entry in read_ledger(path)] == [0, 2]


def test_an_empty_ledger_and_a_first_line_that_is_torn_are_refused(tmp_path):
    path = tmp_path / "ledger.jsonl"
    for content in (b"", b'{"n": 0, "num'):
        path.write_bytes(content)
        with pytest.raises(InvalidLedger, match="ledger repair"):
            append(path, {"n": 0})
        aside = repair(path)
        assert not path.exists()
        assert (aside is None) == (content == b"")
    append(path, {"n": 0})
    assert len(read_ledger(path)) == 1


@pytest.mark.parametrize(
    "line", [b"[" * 10_000, b'{"seal": ' + b"9" * 5000 + b"}", b"null", b'{"seal": null}', b'{"seal": NaN}', b"[1]", b'"x"']
)
def test_a_line_that_is_no_entry_is_refused(tmp_path, line):
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(line + b"\n")
    with pytest.raises(InvalidLedger, match="line 1"):
        read_ledger(path)


def test_a_pipe_is_no_ledger(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidLedger, match="a pipe"):
        read_ledger(tmp_path / "pipe")
    with pytest.raises(Unwritable, match="a pipe"):
        append(tmp_path / "pipe", {"n": 0})


def test_the_seal_to_publish_is_stated_and_checked(tmp_path, command):  # noqa: F811
    path = tmp_path / "ledger.jsonl"
    seals = [append(path, {"n": n})["seal"] for n in range(3)]
    assert seals[-1] in command("ledger", "seal", path).out
    assert "2 entries were added since" in command("ledger", "seal", path, "--published", seals[0]).out
    assert command("ledger", "seal", path, "--published", "0" * 64).code == 2
    path.write_bytes(path.read_bytes()[:-5])
    assert "The incomplete line is in" in command("ledger", "repair", path).out
    assert "taken out" in command("ledger", "seal", path, "--published", seals[2]).err


def test_an_editor_that_takes_the_last_end_of_line_takes_no_forecast(tmp_path):
    path = tmp_path / "ledger.jsonl"
    for n in range(2):
        append(path, {"n": n})
    path.write_bytes(path.read_bytes()[:-1])
    assert [entry["n"] for entry in read_ledger(path)] == [0, 1]
    append(path, {"n": 2})
    assert [entry["n"] for entry in read_ledger(path)] == [0, 1, 2]


def test_entries_of_one_call_are_there_together_or_not_at_all(tmp_path):
    path = tmp_path / "ledger.jsonl"
    append(path, {"n": 0})
    before = path.read_bytes()
    with pytest.raises(ValueError, match="JSON"):
        append_all(path, lambda _: [{"n": 1}, {"n": float("nan")}])
    assert path.read_bytes() == before


@pytest.mark.parametrize("change", ["value", "removed", "swapped", "added"])
def test_a_change_is_seen(tmp_path, change):
    path = tmp_path / "ledger.jsonl"
    for n in range(4):
        append(path, {"loss": n})
    lines = path.read_text().splitlines()
    if change == "value":
        lines[1] = json.dumps(json.loads(lines[1]) | {"loss": 7})
    elif change == "removed":
        del lines[1]
    elif change == "swapped":
        lines[1], lines[2] = lines[2], lines[1]
    else:
        lines.insert(2, lines[1])
    path.write_text("\n".join(lines) + "\n")
    for use in (lambda: read_ledger(path), lambda: append(path, {"loss": 9})):
        with pytest.raises(InvalidLedger, match=r"line [23]"):
            use()
    assert len(path.read_text().splitlines()) == len(lines)  # nothing was added to it


def test_what_is_cut_off_is_seen_by_whoever_noted_the_seal(tmp_path):
    path = tmp_path / "ledger.jsonl"
    seals = [append(path, {"n": n})["seal"] for n in range(3)]
    path.write_text("\n".join(path.read_text().splitlines()[:2]) + "\n")
    assert len(read_ledger(path)) == 2
    with pytest.raises(InvalidLedger):
        read_ledger(path, last=seals[2])


def test_another_file_is_no_ledger(tmp_path):
    path = tmp_path / "notes.txt"
    for content, said in (
        ("not json\n", "broken at line 1"),
        ('{"my": "file"}', "broken at line 1"),
        ("words", "is not a ledger"),
    ):
        path.write_text(content)
        with pytest.raises(InvalidLedger, match=said):
            append(path, {})
        assert path.read_text() == content
    with pytest.raises(InvalidLedger):
        read_ledger(tmp_path / "none.jsonl")
    with pytest.raises(Unwritable, match="cannot be written"):
        append(tmp_path / "no" / "folder.jsonl", {})
