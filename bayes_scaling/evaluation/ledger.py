"""An append-only file of forecasts: one line each, every line sealed with what came before it.

A line's seal is the SHA-256 of the seal before it and of what the line says, so that no forecast can be changed, moved or
taken out without every later seal being wrong. Cutting off the end leaves a chain that is whole: whoever must not be able
to do that is told the last seal when it is made.
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


def append(path: str | Path, said: Mapping[str, Any]) -> dict[str, Any]:
    """Write one entry at the end of a ledger: :func:`append_all` with one."""
    return append_all(path, lambda _: [said])[0]


def append_all(path: str | Path, say: Callable[[list[dict[str, Any]]], Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Write entries at the end of a ledger, and do not return before they are on the disk.

    Parameters
    ----------
    path : str or path
        The ledger; begun where there is none.
    say : callable
        From the entries there are to what the new ones say, anything JSON can hold; what it raises leaves the ledger as it
        was. No other process writes meanwhile.

    Returns
    -------
    list of dict
        The entries as written, each with its ``number``, ``written`` and ``seal``.

    Raises
    ------
    InvalidRequest
        If the file is no ledger, or a seal in it is wrong: nothing is added to a ledger that was changed.
    Unwritable
        If it cannot be written.

    Notes
    -----
    A line that a killed process left without an end was never acknowledged, and is taken out.
    """
    place = Path(path)
    with _held(place) as file:
        content = file.read()
        whole, entries = _whole(content, place)
        added: list[dict[str, Any]] = []
        for said in say(list(entries)):
            before = added[-1]["seal"] if added else entries[-1]["seal"] if entries else FIRST
            entry = {"number": len(entries) + len(added), "written": datetime.now(UTC).isoformat(timespec="seconds"), **said}
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
                _keep_name(place)
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
        A seal that was noted down when it was made: it has to be among those of the ledger still.

    Raises
    ------
    InvalidRequest
        If there is none, a seal is wrong, or the one that was noted is not there.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise InvalidRequest(
            f"The ledger {path} cannot be read: {error.strerror}. `bayes-scaling forecast` begins one."
        ) from None
    entries = _whole(content, Path(path))[1]
    if last is not None and last not in {entry["seal"] for entry in entries}:
        raise InvalidRequest(
            f"The seal {last[:12]}... is not in the ledger {path}: the forecast it belongs to was taken out or changed, and every later one with it."
        )
    return entries


def seal(before: str, entry: Mapping[str, Any]) -> str:
    """Return the seal of an entry after another.

    Examples
    --------
    >>> seal(FIRST, {"number": 0})[:8] == seal(FIRST, {"number": 0, "seal": "x"})[:8]
    True
    """
    said = json.dumps({name: value for name, value in entry.items() if name != "seal"}, sort_keys=True)
    return hashlib.sha256(f"{before}\n{said}".encode()).hexdigest()


def _whole(content: bytes, path: Path) -> tuple[bytes, list[dict[str, Any]]]:
    """Return what of a file is whole lines, and their entries; what follows the last end of line was never acknowledged.

    A last line that only lost its end, as editors have it, is whole all the same.
    """
    end = content.rfind(b"\n") + 1
    tail = content[end:]
    if tail:
        try:
            json.loads(tail)
        except ValueError:
            if not end and not tail.startswith(b'{"'):
                raise InvalidRequest(f"The file {path} is no ledger: it is left as it is.") from None
        else:
            end = len(content)  # it is looked at as any line is
    return content[:end], _checked(content[:end], path)


def _keep_name(path: Path) -> None:
    """Write the name of a new file to the disk, too."""
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
            found = entry["seal"]
        except (ValueError, KeyError, TypeError):
            raise InvalidRequest(f"The ledger {path} is broken at line {number}: it is no entry of a ledger.") from None
        if found != seal(before, entry):
            raise InvalidRequest(
                f"The ledger {path} was changed at or before line {number}: the seal of the forecast there is not the one it was "
                f"written with. Compare with a copy: what was forecast is no longer known."
            )
        entries.append(entry)
        before = found
    return entries


@contextmanager
def _held(path: Path) -> Generator[IO[bytes]]:
    """Open a file to read and append, alone among all processes."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise Unwritable(f"The ledger {path} cannot be written: {error.strerror}.") from None
    with os.fdopen(descriptor, "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # released when the file is closed, by the kernel where the process is killed
        yield file
