"""The store of a batch: a folder here, or in an object store, whose files are whole or not there."""

from __future__ import annotations

import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import fsspec
from filelock import FileLock, Timeout

from bayes_scaling.errors import Unwritable
from bayes_scaling.files import make_folder, whole_file

FOLDERS: Final = ("fits", "reports", "records")
_CLAIMS: Final = ".claims"
_RESERVE: Final = ".reserve"
_RESERVED: Final = 2**20
"""Bytes kept for the results, in case fits fill the disk."""


class Store:
    """Files by name under a folder: a path, or an address that fsspec knows, such as ``s3://bucket/batch``.

    Parameters
    ----------
    address : str or path
        Where.

    Examples
    --------
    >>> import tempfile
    >>> store = Store(tempfile.mkdtemp())
    >>> store.write("records/a.json", b"{}")
    >>> store.names("records"), store.read("records/a.json")
    (['a.json'], b'{}')
    """

    def __init__(self, address: str | Path) -> None:
        self.address = str(address)
        protocol = self.address.partition("://")[0] if "://" in self.address else "file"
        try:
            self._files, self.root = fsspec.url_to_fs(self.address)
        except (ImportError, ValueError) as error:
            raise Unwritable(
                f"{self.address} cannot be opened: {str(error).rstrip('.')}. For S3, pip install 'bayes-scaling[batch]'."
            ) from None
        self.folder = Path(self.root) if protocol in ("file", "local") else None
        """The folder, where it is on this machine."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Be pickled by address."""
        return Store, (self.address,)

    def make(self) -> None:
        """Make the folders, where there are folders."""
        if self.folder is not None:
            for name in (*FOLDERS, _CLAIMS):
                make_folder(self.folder / name)
            if not (self.folder / _RESERVE).exists():
                with whole_file(self.folder / _RESERVE) as path:
                    path.write_bytes(bytes(_RESERVED))

    def give_up_reserve(self) -> None:
        """Free the room that was kept for the results, on a disk that is full."""
        if self.folder is not None:
            (self.folder / _RESERVE).unlink(missing_ok=True)

    def place(self, name: str) -> str:
        """Return where a file is, for people."""
        return str(self.folder / name) if self.folder is not None else f"{self.address.rstrip('/')}/{name}"

    def read(self, name: str) -> bytes:
        """Return what is in a file; one that is not there is a FileNotFoundError."""
        return self._files.cat_file(f"{self.root}/{name}")

    def write(self, name: str, content: bytes) -> None:
        """Write a file in one piece."""
        with self.whole(name) as path:
            path.write_bytes(content)

    @contextmanager
    def whole(self, name: str) -> Generator[Path]:
        """Give a file on this machine to write to; it becomes the one of that name in one piece."""
        if self.folder is not None:
            (self.folder / name).parent.mkdir(exist_ok=True)
            with whole_file(self.folder / name) as path:
                yield path
            return
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / Path(name).name
            yield path
            try:
                self._files.put_file(str(path), f"{self.root}/{name}")
            except Exception as error:  # whatever the library of a store raises
                raise Unwritable(f"{self.place(name)} cannot be written: {error}") from None

    @contextmanager
    def local(self, name: str) -> Generator[Path]:
        """Give a file to read on this machine: itself, or a copy that is removed afterwards."""
        if self.folder is not None:
            yield self.folder / name
            return
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / Path(name).name
            path.write_bytes(self.read(name))
            yield path

    def has(self, name: str) -> bool:
        """Whether there is a file of that name."""
        return bool(self._files.isfile(f"{self.root}/{name}"))

    def names(self, folder: str) -> list[str]:
        """Return the names of the files of a folder, in order."""
        try:
            self._files.invalidate_cache()
            found = self._files.ls(f"{self.root}/{folder}", detail=False)
        except FileNotFoundError:
            return []
        return sorted(name for path in found if not (name := str(path).rsplit("/", 1)[-1]).startswith(".") and name)

    @contextmanager
    def claim(self, key: str) -> Generator[bool]:
        """Claim a piece of work: whether it is ours, and not another process's.

        The claim ends with the process, however it ends. An object store has no claims: of two batches on one, both may do a
        piece of work that neither has finished; its result is the same.
        """
        if self.folder is None:
            yield True
            return
        lock = FileLock(self.folder / _CLAIMS / f"{key}.lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            yield False
            return
        except OSError as error:
            raise Unwritable(f"{lock.lock_file} cannot be written: {error.strerror or error}.") from None
        try:
            yield True
        finally:
            # What the work leaves is written before: who still waits for this file finds it.
            Path(lock.lock_file).unlink(missing_ok=True)
            lock.release()
