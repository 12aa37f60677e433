"""An append-only file of forecasts: one line each, each sealed with the lines before it.

A seal is the SHA-256 of the seal before it and of the entry. What is detected without further ado: an entry that was edited,
moved, inserted, or removed before another. What is detected only by a seal that was published or noted, or signed: entries taken off the
end, and a ledger written anew by someone who can run this package, sealed as well as the first. What is not detected: when an entry was
written, which is what the writer's clock said, and forecasts that were registered elsewhere and never shown.
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import Any, Final

from filelock import FileLock
from pydantic_core import from_json

from bayes_scaling.errors import BayesScalingWarning, InvalidLedger, Unwritable, first_fault
from bayes_scaling.files import sync_folder, write_whole

FIRST: Final = "0" * 64
"""The seal before the first line."""


def append_all(
    path: str | Path, compose: Callable[[list[dict[str, Any]]], Sequence[Mapping[str, Any]]]
) -> list[dict[str, Any]]:
    """Write entries at the end of a ledger, and return them, with ``number``, ``written`` and ``seal``, once they are on the disk.

    ``compose`` turns the entries of the ledger, which is locked meanwhile, into the new ones, JSON values; an exception leaves
    the ledger unchanged. A ledger that is not there is created. One that is empty, or whose last line is torn, is refused:
    see :func:`repair`.

    Raises
    ------
    InvalidRequest
        If the file is no ledger, or a seal in it is wrong: nothing is added to an altered ledger.
    Unwritable
        If it cannot be written.
    """
    place = Path(path)
    with _locked(place) as (file, is_new):
        content = file.read()
        complete, entries, torn = _complete(content, place, may_be_empty=is_new)
        if torn:
            raise InvalidLedger(
                f"The last line of the ledger {path} is incomplete: its writer was killed before it was acknowledged. Nothing was "
                f"added; `bayes-scaling ledger repair {path}` moves the line to a file beside the ledger."
            )
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
            _write(file, lines if not complete or complete.endswith(b"\n") else b"\n" + lines)
            os.fsync(file.fileno())
            if not content:
                sync_folder(place)
        except OSError as error:
            with suppress(OSError):
                file.truncate(len(complete))  # nobody was told of what was written of it
            raise Unwritable(f"The ledger {path} cannot be written: {error.strerror}; nothing was added.") from None
    return added


def read_ledger(path: str | Path, *, last: str | None = None) -> list[dict[str, Any]]:
    """Return every entry of a ledger, in order, each seal checked; ``last`` is a published seal, which must be among them.

    Raises
    ------
    InvalidRequest
        If there is no ledger, a seal is wrong, or the published one is missing.
    """
    try:
        if Path(path).exists() and not Path(path).is_file():
            raise OSError("it is a folder, a pipe or a device")
        content = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        raise InvalidLedger(
            f"The ledger {str(path)[:200]} cannot be read: {first_fault(error)}. `bayes-scaling forecast` creates one."
        ) from None
    _, entries, torn = _complete(content, Path(path))
    if torn:
        warnings.warn(
            f"The last line of the ledger {path} is incomplete: it was never acknowledged as written, or was cut off since; "
            f"--seal with a published seal tells which. `bayes-scaling ledger repair` moves it to a file beside the ledger.",
            BayesScalingWarning,
            stacklevel=2,
        )
    if last is not None and last not in {entry["seal"] for entry in entries}:
        raise InvalidLedger(f"The seal {last[:12]}... is not in the ledger {path}: its forecast was taken out or changed.")
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


def repair(path: str | Path) -> Path | None:
    """Keep the torn last line of a ledger aside, in a file beside it, and return that file; none where no line is torn.

    Nothing is lost that was acknowledged: a line is torn where its writer was killed.

    Raises
    ------
    InvalidRequest
        If there is no ledger, or it was changed: that is not repaired.
    """
    place = Path(path)
    if not place.is_file():
        raise InvalidLedger(f"There is no ledger {path} to repair.")
    with _locked(place) as (file, _):
        complete, _, torn = _complete(file.read(), place, may_be_empty=True)
        aside = place.with_name(f"{place.name[:150]}.torn-{hashlib.sha256(torn).hexdigest()[:8]}") if torn else None
        if aside is not None:
            write_whole(aside, torn.decode(errors="backslashreplace"))
            file.truncate(len(complete))
            os.fsync(file.fileno())
        if not complete:
            place.unlink()
    return aside


def _complete(content: bytes, path: Path, *, may_be_empty: bool = False) -> tuple[bytes, list[dict[str, Any]], bytes]:
    """Return the complete lines of a file, their entries, each seal checked, and what follows: a torn line, or nothing.

    A complete last line without an end of line, as editors write it, counts.
    """
    lines, entries, before, torn = content.splitlines(keepends=True), [], FIRST, b""
    if not content and not may_be_empty:
        raise InvalidLedger(
            f"The ledger {path} is empty, and a ledger has at least one entry. Restore it from a copy, or, if it never had "
            f"one, remove it with `bayes-scaling ledger repair {path}`."
        )
    if lines and not lines[-1].endswith(b"\n") and _entry(lines[-1]) is None:
        torn = lines.pop()
        if not lines and not torn.startswith(b'{"'):
            raise InvalidLedger(f"The file {path} is not a ledger; it was not changed.")
    for number, line in enumerate(lines, start=1):
        entry = _entry(line)
        if entry is None or not isinstance(entry.get("seal"), str):
            raise InvalidLedger(f"The ledger {path} is broken at line {number}: the line is not an entry.")
        before = seal(before, entry)
        if entry["seal"] != before:
            raise InvalidLedger(
                f"The ledger {path} was changed at or before line {number}: its seal does not match. Restore the ledger from a copy."
            )
        entries.append(entry)
    return b"".join(lines), entries, torn


def _entry(line: bytes) -> dict[str, Any] | None:
    """Return the entry of a line; none where it is no table of JSON, is nested too deeply or has numbers without end."""
    try:
        found = from_json(line)
        json.dumps(found, allow_nan=False)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _write(file: FileIO, content: bytes) -> None:
    """Write all of some bytes."""
    while content:
        content = content[file.write(content) :]


@contextmanager
def _locked(path: Path) -> Generator[tuple[FileIO, bool]]:
    """Open a ledger to read and append, and say whether it is new; a lock beside it ends with the process, however it ends."""
    if path.exists() and not path.is_file():
        raise Unwritable(f"The ledger {path} cannot be written: it is a folder, a pipe or a device.")
    if not path.parent.is_dir():
        raise Unwritable(f"The ledger {path} cannot be written: there is no folder {path.parent}.")
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        lock.acquire()
    except OSError as error:
        raise Unwritable(f"The ledger {path} cannot be written: {error.strerror or error}.") from None
    try:
        created = not path.exists()
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644)
        except OSError as error:
            raise Unwritable(f"The ledger {path} cannot be written: {error.strerror}.") from None
        with os.fdopen(descriptor, "r+b", buffering=0) as file:
            try:
                yield file, created
            finally:
                if created and path.exists() and not path.stat().st_size:
                    path.unlink()  # nothing came of it
    finally:
        lock.release()
