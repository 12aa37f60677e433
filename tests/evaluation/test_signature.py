"""A signed ledger: what somebody without the key does to it is seen."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from bayes_scaling.errors import InvalidLedger, InvalidRequest
from bayes_scaling.evaluation.ledger import FIRST, append_all, seal
from bayes_scaling.evaluation.signature import sign, signature_of, verify
from tests.command import command

__all__ = ["command"]

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen")


def key(path, kind="ed25519"):
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(path)], check=True)
    return path


def append(path, *numbers):
    append_all(path, lambda _: [{"n": n} for n in numbers])


@pytest.fixture
def signed(tmp_path):
    """A ledger of three entries, its key, and the file of signers."""
    ledger = tmp_path / "ledger.jsonl"
    append(ledger, 1, 2, 3)
    ours = key(tmp_path / "ours")
    (tmp_path / "signers").write_text(f"somebody@example.org {ours.with_suffix('.pub').read_text()}")
    assert sign(ledger, ours) == signature_of(ledger)
    return ledger, ours, tmp_path / "signers"


def anew(ledger, entries):
    """Write a ledger anew, sealed as well as any."""
    before, lines = FIRST, []
    for number, entry in enumerate(entries):
        before = seal(before, content := entry | {"number": number, "written": "2026-01-01T00:00:00+00:00"})
        lines.append(json.dumps(content | {"seal": before}))
    ledger.write_text("\n".join(lines) + "\n")


def test_what_is_added_later_is_counted(signed):
    ledger, _, signers = signed
    assert (verify(ledger, signers).entries, verify(ledger, signers).since) == (3, 0)
    append(ledger, 4, 5)
    found = verify(ledger, signers)
    assert (found.signer, found.entries, found.since) == ("somebody@example.org", 3, 2)
    assert found.seal == json.loads(ledger.read_text().splitlines()[2])["seal"]


@pytest.mark.parametrize("numbers", [[1, 2], [1, 2, 4], [3, 2, 1], [1, 2, 3]])
def test_a_ledger_that_was_written_anew(numbers, signed):
    ledger, _, signers = signed
    anew(ledger, [{"n": n} for n in numbers])
    with pytest.raises(InvalidLedger):
        verify(ledger, signers)


def test_entries_taken_off_the_end(signed):
    ledger, _, signers = signed
    ledger.write_text("".join(ledger.read_text().splitlines(keepends=True)[:2]))
    with pytest.raises(InvalidLedger):
        verify(ledger, signers)


def test_a_signature_of_somebody_else(signed, tmp_path):
    ledger, _, signers = signed
    sign(ledger, key(tmp_path / "theirs"))
    with pytest.raises(InvalidLedger):
        verify(ledger, signers)


def test_a_signature_of_the_key_for_something_else(signed, tmp_path):
    ledger, ours, signers = signed
    message = "".join(signature_of(ledger).read_text().splitlines(keepends=True)[:2])
    other = ["ssh-keygen", "-Y", "sign", "-n", "git", "-f", str(ours)]
    made = subprocess.run(other, input=message, capture_output=True, text=True, check=True).stdout
    signature_of(ledger).write_text(message + made)
    with pytest.raises(InvalidLedger):
        verify(ledger, signers)


@pytest.mark.parametrize(
    ("was", "now"), [("of entry 3", "of entry 2"), ("seal ", "seal 0"), ("AAAA", "AAAB"), ("SSH", "PGP")]
)
def test_a_signature_that_was_edited(was, now, signed):
    ledger, _, signers = signed
    place = signature_of(ledger)
    place.write_text(place.read_text().replace(was, now, 1))
    with pytest.raises(InvalidLedger):
        verify(ledger, signers)


def test_what_is_missing_is_said(signed, tmp_path, monkeypatch):
    ledger, ours, signers = signed
    (tmp_path / "no key").write_text("no key")
    for wrong in (tmp_path / "none", tmp_path / "no key", tmp_path):
        with pytest.raises(InvalidLedger, match="key"):
            sign(ledger, wrong)
    with pytest.raises(InvalidLedger, match="none"):
        verify(ledger, tmp_path / "none")
    monkeypatch.setenv("PATH", str(tmp_path))
    for ask in (lambda: sign(ledger, ours), lambda: verify(ledger, signers)):
        with pytest.raises(InvalidRequest, match="OpenSSH"):
            ask()
    signature_of(ledger).unlink()
    with pytest.raises(InvalidLedger, match="sign-key"):
        verify(ledger, signers)


def test_on_the_command_line(signed, command):
    ledger, ours, signers = signed
    append(ledger, 4)
    said = json.loads(command("ledger", "seal", ledger, "--sign-key", ours, "--json").out)
    assert (said["entries"], said["signature"]) == (4, str(signature_of(ledger)))
    found = json.loads(command("ledger", "verify", ledger, "--signers", signers, "--json").out)
    assert found == {"signer": "somebody@example.org", "seal": said["seal"], "entries": 4, "since": 0}
    anew(ledger, [{"n": 1}])
    assert command("ledger", "verify", ledger, "--signers", signers).code == 2
