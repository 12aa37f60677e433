"""Files: where the shipped ones are, and writing so that a file is whole or not there."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from bayes_scaling.errors import InvalidRequest, Unwritable

_INSTALLED: Final = Path(__file__).parent / "_shipped"
_ROOT: Final = _INSTALLED if _INSTALLED.is_dir() else Path(__file__).parent.parent

MODELS: Final = _ROOT / "models"
"""Folder of the shipped model documents: in the wheel beside the code, in a checkout at the top."""

DATA: Final = _ROOT / "data"
"""Folder of the shipped tables."""


@contextmanager
def whole_file(path: str | Path) -> Generator[Path]:
    """Give an empty file in the same folder to write to; it becomes ``path`` once it is written, or is removed."""
    path = Path(path)
    check_writable(path)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".unfinished")
    os.close(handle)
    unfinished = Path(name)
    umask = os.umask(0)
    os.umask(umask)
    try:
        yield unfinished
        with unfinished.open("rb+") as file:
            os.fsync(file.fileno())
        unfinished.chmod(0o666 & ~umask)
        unfinished.replace(path)
    except OSError as error:
        raise Unwritable(f"{path} cannot be written: {error.strerror or error}; what was there is still there.") from None
    finally:
        unfinished.unlink(missing_ok=True)


def write_whole(path: str | Path, text: str) -> Path:
    """Write text as UTF-8, in one piece, and return the path."""
    with whole_file(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
    return Path(path)


def check_writable(path: str | Path) -> None:
    """Refuse a path that cannot be written to, before long work is done for it.

    >>> check_writable("/no/such/folder/fit.nc")
    Traceback (most recent call last):
    ...
    bayes_scaling.errors.Unwritable: There is no folder /no/such/folder to write fit.nc to: make it first.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise Unwritable(f"There is no folder {path.parent} to write {path.name} to: make it first.")
    if path.is_dir():
        raise Unwritable(f"{path} is a folder: give the name of a file in it.")
    if not os.access(path.parent, os.W_OK):
        raise Unwritable(f"The folder {path.parent} cannot be written to: choose another.")


def read_json[T](path: str | Path, build: Callable[[Any], T], *, what: str, made_by: str) -> T:
    """Read a JSON file that the command line wrote, and build from it what it holds."""
    try:
        return build(json.loads(Path(path).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidRequest(f"{path} is no {what}: {reason}. Make one with `{made_by}`.") from None


def make_folder(path: str | Path) -> None:
    """Make a folder where there is none."""
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unwritable(f"The folder {path} cannot be made: {error.strerror}.") from None
