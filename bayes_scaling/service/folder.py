"""The fits of a folder: which there are now, and what stands in their files, noticed when it changes."""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bayes_scaling.posterior.mixture import WEIGHTS

_AGE: Final = 1.0
"""Seconds after which the folder is looked through again, whatever its time stamp says: a mixture may have become whole."""
_SHARE: Final = 0.02
"""Share of the time that may be spent on it, in a folder of very many fits."""

Signature = tuple[tuple[int, ...], ...]
"""Inode, size and time of change of each file."""


@dataclass(frozen=True)
class Stored:
    """A fit, or a mixture of fits, as it lies in the folder: its name, its path, and the state of its files."""

    name: str
    path: Path
    signature: Signature

    @property
    def is_mixture(self) -> bool:
        """Whether it is a folder with a mixture of fits."""
        return self.path.suffix != ".nc"

    def unchanged(self) -> bool:
        """Whether the files are those they were."""
        return _signature(self.path) == self.signature

    def digest(self) -> str:
        """SHA-256 of the bytes of its files; nothing where they changed meanwhile.

        It says which answers are of the same files.
        """
        content = hashlib.sha256()
        try:
            for path in _files(self.path):
                with path.open("rb") as file:
                    content.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
        except OSError:
            return ""
        return content.hexdigest() if self.unchanged() else ""


class Folder:
    """The fits of a folder by name: its ``*.nc`` and mixtures, and those of ``fits`` in it, where a batch has them.

    A name is looked up among those that were found: no path is made of it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._paths: dict[str, Path] = {}
        self._again = 0.0
        self._stamp: tuple[int, ...] = ()

    @property
    def names(self) -> list[str]:
        """The names of all fits, in order."""
        self._look()
        return sorted(self._paths)

    def find(self, name: str) -> Stored | None:
        """Return a fit as it lies there now; nothing where there is none of that name."""
        self._look()
        path = self._paths.get(name)
        signature = None if path is None else _signature(path)
        return None if path is None or signature is None else Stored(name, path, signature)

    def _look(self) -> None:
        places = (self.path, self.path / "fits")
        stamp = tuple(_stamp(place) for place in places)
        begun = time.monotonic()
        if stamp == self._stamp and begun < self._again:
            return
        found: dict[str, Path] = {}
        for place in places:
            if (place / WEIGHTS).is_file():
                found.setdefault(place.resolve().name, place)
            for name, is_file in _entries(place):
                if is_file and name.endswith(".nc"):
                    found.setdefault(name.removesuffix(".nc"), place / name)
                elif not is_file and (place / name / WEIGHTS).is_file():
                    found.setdefault(name, place / name)
        self._paths, self._stamp, now = found, stamp, time.monotonic()
        self._again = now + max(_AGE, (now - begun) / _SHARE)


def _entries(place: Path) -> list[tuple[str, bool]]:
    """Return the names in a folder, hidden ones left out, and whether each is a file."""
    try:
        with os.scandir(place) as entries:
            return sorted((entry.name, entry.is_file()) for entry in entries if not entry.name.startswith("."))
    except OSError:
        return []


def _stamp(place: Path) -> int:
    try:
        return place.stat().st_mtime_ns
    except OSError:
        return 0


def _files(path: Path) -> list[Path]:
    """Return the files of a fit, or of a mixture."""
    return [path] if path.suffix == ".nc" else [path / WEIGHTS, *sorted(path.glob("*.nc"))]


def _signature(path: Path) -> Signature | None:
    """Return the state of the files of a fit; nothing where one is not there."""
    try:
        states = [os.stat(file) for file in _files(path)]  # noqa: PTH116 - half the time of Path.stat, at every request
    except OSError:
        return None
    return tuple((state.st_ino, state.st_size, state.st_mtime_ns) for state in states)
