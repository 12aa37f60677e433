"""Files: where the shipped ones are, reading with bounds, and writing so that a file is whole or not there; and what fits into memory."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import tomllib
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from bayes_scaling.errors import InvalidRequest, Unwritable, first_fault

_INSTALLED: Final = Path(__file__).parent / "_shipped"
_ROOT: Final = _INSTALLED if _INSTALLED.is_dir() else Path(__file__).parent.parent

MODELS: Final = _ROOT / "models"
"""Folder of the shipped model documents: in the wheel beside the code, in a checkout at the top."""

DATA: Final = _ROOT / "data"
"""Folder of the shipped tables."""

_LARGEST_DOCUMENT: Final = 4 * 2**20
_LARGEST_RESULT: Final = 2**30
_DEEPEST: Final = 50
"""Bytes of a document and of a result, and tables within tables, that are read."""
_FORMAT: Final = 1
_UNFINISHED: Final = ".unfinished"
BAD_CONTENT: Final = (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError, OverflowError)
"""What reading and interpreting the content of a file can raise: it is not what it should be."""


@contextmanager
def whole_file(path: str | Path) -> Generator[Path]:
    """Give an empty file in the same folder to write to; it becomes ``path`` once it is written, or is removed.

    Its content is on the disk before it has the name, and the name before this returns: a machine that loses its power has the file
    of before or this one. What a process that was killed left of the same file is removed.
    """
    path = Path(path)
    check_writable(path)
    try:
        _remove_left(path)
        unfinished = path.with_name(f".{path.name[:150]}.{os.getpid()}.{secrets.token_hex(4)}{_UNFINISHED}")
        unfinished.touch(exist_ok=False)
    except OSError as error:
        raise _unwritable(path, error) from None
    try:
        yield unfinished
        with unfinished.open("rb+") as file:
            os.fsync(file.fileno())
        unfinished.replace(path)
        sync_folder(path)
    except OSError as error:
        raise _unwritable(path, error) from None
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)


def sync_folder(path: Path) -> None:
    """Write the name of a file to the disk, where a system lets a folder be opened."""
    if os.name == "nt":
        return
    folder = os.open(path.absolute().parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno != errno.EINVAL:  # of file systems that sync no folders
            raise
    finally:
        os.close(folder)


def _unwritable(path: Path, error: OSError) -> Unwritable:
    return Unwritable(f"{path} cannot be written: {error.strerror or error}; what was there is still there.")


def _remove_left(path: Path) -> None:
    """Remove what processes that are gone left unfinished of a file."""
    for left in path.parent.glob(f".*{_UNFINISHED}"):
        name, _, rest = left.name.removeprefix(".").removesuffix(_UNFINISHED).rpartition(".")
        of, _, owner = name.rpartition(".")
        if of == path.name[:150] and rest and owner.isdigit() and not _is_running(int(owner)):
            with suppress(OSError):
                left.unlink()


def _is_running(process: int) -> bool:
    """Whether a process is there; on Windows, where asking would end it, it is taken to be."""
    if os.name == "nt":
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # of another user
        return True
    return True


def write_whole(path: str | Path, text: str) -> Path:
    """Write text as UTF-8, in one piece, and return the path."""
    with whole_file(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
    return Path(path)


def memory() -> float:
    """Return the bytes of memory of this machine; infinite where it does not say, as on Windows.

    >>> memory() > 1e6
    True
    """
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        return float("inf")


def check_writable(path: str | Path) -> None:
    """Refuse a path that cannot be written to, before long work is done for it.

    >>> check_writable("/no/such/folder/fit.nc")
    Traceback (most recent call last):
    ...
    bayes_scaling.errors.Unwritable: There is no folder /no/such/folder to write fit.nc to: make it first.
    """
    path = Path(path)
    if str(path) == "-":
        raise Unwritable("- does not stand for standard output here: give the name of a file.")
    try:
        if not path.parent.is_dir():
            raise Unwritable(f"There is no folder {path.parent} to write {path.name} to: make it first.")
        if path.is_dir():
            raise Unwritable(f"{path} is a folder: give the name of a file in it.")
        if path.exists() and not path.is_file():
            raise Unwritable(f"{path} is a pipe or a device: give the name of a file.")
        if not os.access(path.parent, os.W_OK):
            raise Unwritable(f"The folder {path.parent} cannot be written to: choose another.")
        if len(os.fsencode(path.name)) > 255:
            raise Unwritable(f"The name {path.name[:40]}... is too long for a file: give one of at most 255 bytes.")
    except (OSError, ValueError) as error:
        if isinstance(error, Unwritable):
            raise
        raise Unwritable(f"{str(path)[:100]} cannot be written: {first_fault(error)}.") from None


def refuse_overwriting(out: str | Path | None, *inputs: object) -> None:
    """Refuse to write to a file that is read in the same call."""
    for given in inputs:
        if out is not None and isinstance(given, str | Path) and _is_same(Path(out), Path(given)):
            raise Unwritable(f"{out} is an input of this command: write to another file.")


def _is_same(one: Path, other: Path) -> bool:
    with suppress(OSError, ValueError):
        return one.exists() and other.exists() and one.samefile(other)
    return False


def read_text(path: str | Path, *, most: int = _LARGEST_DOCUMENT) -> str:
    """Return the text of a file; what is no file, too large or no UTF-8 is an OSError or a ValueError."""
    path = Path(path)
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is a folder, a pipe or a device, not a file")
    if (size := path.stat().st_size) > most:
        raise ValueError(f"it has {size / 1e6:.3g} MB, at most {most / 1e6:.3g} MB are read")
    return path.read_text(encoding="utf-8")


def read_toml(path: str | Path) -> dict[str, Any]:
    """Return the tables of a TOML document of bounded size and depth; anything else is an OSError or a ValueError."""
    try:
        document = tomllib.loads(read_text(path))
    except RecursionError:
        raise ValueError(f"it is nested deeper than {_DEEPEST} tables") from None
    layer: list[Any] = [document]
    for _ in range(_DEEPEST):
        layer = [
            each
            for part in layer
            if isinstance(part, dict | list)
            for each in (part.values() if isinstance(part, dict) else part)
        ]
    if layer:
        raise ValueError(f"it is nested deeper than {_DEEPEST} tables")
    return document


def sealed_json(document: Mapping[str, Any]) -> str:
    """Return JSON with the number of its format, and a digest that tells whether it was edited: see :func:`read_json`."""
    content = {name: value for name, value in document.items() if name not in ("format", "digest")}
    return json.dumps({"format": _FORMAT, **content, "digest": _digest(content)}, indent=1)


def read_json[T](path: str | Path, build: Callable[[Any], T], *, what: str, made_by: str) -> T:
    """Read a JSON file that the command line wrote, sealed by :func:`sealed_json`, and build from it what it holds.

    Raises
    ------
    InvalidRequest
        If it is none, was edited, or is of another format.
    """
    from pydantic_core import from_json  # refuses what is nested too deeply, and numbers of thousands of digits

    remedy = f"Make one with `{made_by}`."
    try:
        document = from_json(read_text(path, most=_LARGEST_RESULT), allow_inf_nan=True)
        stated, found = document.pop("digest", None), document.pop("format", None)
        if found != _FORMAT:
            raise ValueError(
                "it states no format" if found is None else f"its format is {found!r}, this version reads {_FORMAT}"
            )
        if stated != _digest(document):
            raise ValueError("it was edited: it does not match its digest")
        return build(document)
    except BAD_CONTENT as error:
        raise InvalidRequest(f"{str(path)[:200]} is not a valid {what}: {first_fault(error)}. {remedy}") from None


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def make_folder(path: str | Path) -> None:
    """Make a folder where there is none."""
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise Unwritable(f"The folder {str(path)[:200]} cannot be made: {first_fault(error)}.") from None
