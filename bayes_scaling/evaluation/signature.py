"""A ledger signed by an SSH key: who has the key vouches for all its entries up to a seal, whoever rewrites the file later.

The signature stands in a file beside the ledger: what was signed, in two lines, and the signature as ``ssh-keygen -Y sign`` makes it.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from bayes_scaling.errors import InvalidLedger, InvalidRequest, first_fault
from bayes_scaling.evaluation.ledger import read_ledger
from bayes_scaling.files import read_text, write_whole

_NAMESPACE: Final = "bayes-scaling-ledger"
"""What the signature is for: one of the same key for something else does not count."""
_SIGNED: Final = re.compile(r"(seal ([0-9a-f]{64})\nof entry (\d+)\n)(-----BEGIN SSH SIGNATURE-----\n.*)", re.DOTALL)


@dataclass(frozen=True)
class Signed:
    """What a signature says of a ledger.

    Parameters
    ----------
    signer : str
        Name of who signed, from the file of signers.
    seal : str
        The seal that was signed.
    entries : int
        Entries of the ledger up to it.
    since : int
        Entries that were added since.
    """

    signer: str
    seal: str
    entries: int
    since: int


def signature_of(ledger: str | Path) -> Path:
    """Return the file in which the signature of a ledger stands.

    >>> signature_of("forecasts.jsonl").name
    'forecasts.jsonl.signed'
    """
    return Path(f"{ledger}.signed")


def sign(ledger: str | Path, key: str | Path) -> Path:
    """Sign the last seal of a ledger by an SSH key, write the signature beside it, and return its file.

    Raises
    ------
    InvalidRequest
        If the ledger was changed, the key does not sign, or this machine has no ``ssh-keygen``.
    """
    entries = read_ledger(ledger)
    message = f"seal {entries[-1]['seal']}\nof entry {len(entries)}\n"
    if not Path(key).is_file():
        raise InvalidLedger(f"There is no key {key}: give the file of an SSH key, such as ~/.ssh/id_ed25519.")
    done = _keygen(["sign", "-n", _NAMESPACE, "-f", str(Path(key).absolute())], message)
    if done.returncode:
        raise InvalidLedger(f"The key {key} does not sign: {_said(done)}.")
    return write_whole(signature_of(ledger), message + done.stdout)


def verify(ledger: str | Path, signers: str | Path) -> Signed:
    """Check the signature beside a ledger, and that what was signed is in the ledger.

    ``signers`` is a file of allowed signers, a line each, as of ``ssh-keygen``: a name, and a public key.

    Raises
    ------
    InvalidRequest
        If there is no signature, none of the signers made it, or the ledger is not what was signed.
    """
    place = signature_of(ledger)
    try:
        text = read_text(place)
    except (OSError, ValueError) as error:
        raise InvalidLedger(
            f"The signature {place} cannot be read: {first_fault(error)}. `bayes-scaling ledger seal {ledger} --sign-key KEY` makes one."
        ) from None
    if (found := _SIGNED.fullmatch(text)) is None:
        raise InvalidLedger(f"{place} is not the signature of a ledger.")
    if not Path(signers).is_file():
        raise InvalidLedger(f"There is no file {signers}: give one with a name and a public key on each line.")
    message, seal, count, signature = found.groups()
    of_signers = ["-f", str(Path(signers).absolute())]
    with TemporaryDirectory() as folder:
        (made := Path(folder, "signature")).write_text(signature)
        named = _keygen(["find-principals", "-s", str(made), *of_signers], "")
        names = named.stdout.splitlines() if not named.returncode else []
        check = ["verify", "-n", _NAMESPACE, "-s", str(made), *of_signers]
        signer = next((name for name in names if not _keygen([*check, "-I", name], message).returncode), None)
    if signer is None:
        raise InvalidLedger(f"The signature {place} was made by none of the signers in {signers}, or for another text.")
    entries = read_ledger(ledger, last=seal)
    if len(entries) < int(count) or entries[int(count) - 1]["seal"] != seal:
        raise InvalidLedger(f"The ledger {ledger} is not what {signer} signed: entry {count} has another seal.")
    return Signed(signer, seal, int(count), len(entries) - int(count))


def _keygen(words: list[str], message: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(["ssh-keygen", "-Y", *words], input=message, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise InvalidRequest(
            "ssh-keygen, which signs and verifies, is not on this machine: install OpenSSH, or publish the seal."
        ) from None


def _said(done: subprocess.CompletedProcess[str]) -> str:
    """Return what is wrong, in one line."""
    return first_fault(ValueError(done.stderr.strip() or f"ssh-keygen ended with {done.returncode}"))
