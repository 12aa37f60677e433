"""An append-only file of forecasts: one line each, each sealed with the lines before it.

A seal is the SHA-256 of the seal before it and of the entry, so that a changed, moved or removed forecast invalidates every
later seal. A truncated file remains a valid chain: publish the last seal to detect truncation.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final

from bayes_scaling.errors import InvalidRequest, Unwritable

FIRST: Final = "0" * 64
"""The seal before the first line."""


def append(path: str | Path, content: Mapping[str, Any]) -> dict[str, Any]:
    """Write one entry at the end of a ledger: :func:`append_all` with one."""
    return append_all(path, lambda _: [content])[0]


def append_all(
    path: str | Path, compose: Callable[[list[dict[str, Any]]], Sequence[Mapping[str, Any]]]
) -> list[dict[str, Any]]:
    """Write entries at the end of a ledger, and return when they are on the disk.

    Parameters
    ----------
    path : str or path
        The ledger; created where there is none.
    compose : callable
        From the entries of the ledger to the new ones, JSON values; an exception leaves the ledger unchanged. The file is
        locked meanwhile.

    Returns
    -------
    list of dict
        The entries as written, each with its ``number``, ``written`` and ``seal``.

    Raises
    ------
    InvalidRequest
        If the file is no ledger, or a seal in it is wrong: nothing is added to an altered ledger.
    Unwritable
        If it cannot be written.

    Notes
    -----
    An incomplete last line of a killed process was never acknowledged and is removed.
    """
    place = Path(path)
    with _locked(place) as file:
        content = file.read()
        whole, entries = _whole(content, place)
        added: list[dict[str, Any]] = []
        for new in compose(list(entries)):
            before = added[-1]["seal"] if added else entries[-1]["seal"] if entries else FIRST
            entry = {"number": len(entries) + len(added), "written": datetime.now(UTC).isoformat(timespec="seconds"), **new}
            entry = json.loads(json.dumps(entry, allow_nan=False))
            added.append(entry | {"seal": seal(before, entry)})
        lines = b"".join(json.dumps(entry, sort_keys=True).encode() + b"\n" for entry in added)
        try:
            file.seek(len(whole))
            file.truncate()
            if whole and not whole.endswith(b"\n"):
                file.write(b"\n")
            file.write(lines)
            file.flush()
            os.fsync(file.fileno())
            if not content:
                _sync_folder(place)
        except OSError as error:
            raise Unwritable(f"The ledger {path} cannot be written: {error.strerror}.") from None
    return added


def read_ledger(path: str | Path, *, last: str | None = None) -> list[dict[str, Any]]:
    """Return every entry of a ledger, in order, each seal checked.

    Parameters
    ----------
    path : str or path
        The ledger.
    last : str, optional
        A published seal, which must be in the ledger.

    Raises
    ------
    InvalidRequest
        If there is no ledger, a seal is wrong, or the published one is missing.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise InvalidRequest(
            f"The ledger {path} cannot be read: {error.strerror}. `bayes-scaling forecast` creates one."
        ) from None
    entries = _whole(content, Path(path))[1]
    if last is not None and last not in {entry["seal"] for entry in entries}:
        raise InvalidRequest(f"The seal {last[:12]}... is not in the ledger {path}: its forecast was taken out or changed.")
    return entries


def seal(before: str, entry: Mapping[str, Any]) -> str:
    """Return the seal of an entry after another.

    Examples
    --------
    >>> seal(FIRST, {"number": 0})[:8] == seal(FIRST, {"number": 0, "seal": "x"})[:8]
    True
    """
    content = json.dumps({name: value for name, value in entry.items() if name != "seal"}, sort_keys=True)
    return hashlib.sha256(f"{before}\n{content}".encode()).hexdigest()


def _whole(content: bytes, path: Path) -> tuple[bytes, list[dict[str, Any]]]:
    """Return the complete lines of a file and their entries; an incomplete last line was never acknowledged.

    A complete last line without an end of line, as editors write it, counts.
    """
    end = content.rfind(b"\n") + 1
    tail = content[end:]
    if tail:
        try:
            json.loads(tail)
        except ValueError:
            if not end and not tail.startswith(b'{"'):
                raise InvalidRequest(f"The file {path} is no ledger; it was not changed.") from None
        else:
            end = len(content)  # it is verified as any line
    return content[:end], _checked(content[:end], path)


def _sync_folder(path: Path) -> None:
    """Write the name of a new file to the disk."""
    folder = os.open(path.resolve().parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _checked(content: bytes, path: Path) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = []
    before = FIRST
    for number, line in enumerate(content.splitlines(), start=1):
        try:
            entry = json.loads(line)
            stated = entry["seal"]
        except (ValueError, KeyError, TypeError):
            raise InvalidRequest(f"The ledger {path} is broken at line {number}: the line is no entry.") from None
        if stated != seal(before, entry):
            raise InvalidRequest(
                f"The ledger {path} was changed at or before line {number}: its seal does not match. Restore the ledger from a copy."
            )
        entries.append(entry)
        before = stated
    return entries


@contextmanager
def _locked(path: Path) -> Generator[IO[bytes]]:
    """Open a file to read and append with an exclusive lock."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise Unwritable(f"The ledger {path} cannot be written: {error.strerror}.") from None
    with os.fdopen(descriptor, "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # released when the file is closed, by the kernel where the process is killed
        yield file
