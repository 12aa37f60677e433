"""An append-only file of forecasts: one line each, each sealed with the lines before it.

A seal is the SHA-256 of the seal before it and of the entry, so that a changed, moved or removed forecast invalidates every
later seal. A truncated file remains a valid chain: publish the last seal to detect truncation.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final

from filelock import FileLock

from bayes_scaling.errors import InvalidRequest, Unwritable

FIRST: Final = "0" * 64
"""The seal before the first line."""


def append_all(
    path: str | Path, compose: Callable[[list[dict[str, Any]]], Sequence[Mapping[str, Any]]]
) -> list[dict[str, Any]]:
    """Write entries at the end of a ledger, and return them, with ``number``, ``written`` and ``seal``, once they are on the disk.

    ``compose`` turns the entries of the ledger, which is locked meanwhile, into the new ones, JSON values; an exception leaves
    the ledger unchanged. A ledger that is not there is created; an incomplete last line of a killed process was never
    acknowledged and is removed.

    Raises
    ------
    InvalidRequest
        If the file is no ledger, or a seal in it is wrong: nothing is added to an altered ledger.
    Unwritable
        If it cannot be written.
    """
    place = Path(path)
    with _locked(place) as file:
        content = file.read()
        complete, entries = _complete(content, place)
        added: list[dict[str, Any]] = []
        before = entries[-1]["seal"] if entries else FIRST
        for number, new in enumerate(compose(list(entries)), start=len(entries)):
            entry = {"number": number, "written": datetime.now(UTC).isoformat(timespec="seconds"), **new}
            entry = json.loads(json.dumps(entry, allow_nan=False))
            before = seal(before, entry)
            added.append(entry | {"seal": before})
        lines = b"".join(json.dumps(entry, sort_keys=True).encode() + b"\n" for entry in added)
        try:
            file.seek(len(complete))
            file.truncate()
            if complete and not complete.endswith(b"\n"):
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
    """Return every entry of a ledger, in order, each seal checked; ``last`` is a published seal, which must be among them.

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
    entries = _complete(content, Path(path))[1]
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


def _complete(content: bytes, path: Path) -> tuple[bytes, list[dict[str, Any]]]:
    """Return the complete lines of a file and their entries, each seal checked.

    A complete last line without an end of line, as editors write it, counts; an incomplete one was never acknowledged.
    """
    lines, entries, before = content.splitlines(keepends=True), [], FIRST
    if lines and not lines[-1].endswith(b"\n") and not _is_json(lines[-1]):
        unfinished = lines.pop()
        if not lines and not unfinished.startswith(b'{"'):
            raise InvalidRequest(f"The file {path} is no ledger; it was not changed.")
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line)
            stated = entry["seal"]
        except (ValueError, KeyError, TypeError):
            raise InvalidRequest(f"The ledger {path} is broken at line {number}: the line is no entry.") from None
        before = seal(before, entry)
        if stated != before:
            raise InvalidRequest(
                f"The ledger {path} was changed at or before line {number}: its seal does not match. Restore the ledger from a copy."
            )
        entries.append(entry)
    return b"".join(lines), entries


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _sync_folder(path: Path) -> None:
    """Write the name of a new file to the disk, where a system lets a folder be opened."""
    if os.name == "nt":
        return
    folder = os.open(path.resolve().parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def _locked(path: Path) -> Generator[IO[bytes]]:
    """Open a file to read and append with an exclusive lock."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644)
    except OSError as error:
        raise Unwritable(f"The ledger {path} cannot be written: {error.strerror}.") from None
    with os.fdopen(descriptor, "r+b") as file:
        try:
            held = FileLock(f"{path}.lock").acquire()  # released by the system where the process is killed
        except OSError as error:
            raise Unwritable(f"The ledger {path} cannot be locked, {path}.lock: {error.strerror}.") from None
        with held:
            yield file
