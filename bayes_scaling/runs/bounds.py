"""How large a table may be, packed and unpacked, which is seen before it is in memory."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path
from typing import Any, BinaryIO, Final

from bayes_scaling.errors import InvalidRuns, first_fault

_MOST_BYTES: Final = 8 * 2**30
_MOST_COLUMNS: Final = 2000
_CHUNK: Final = 2**20


def opened(path: Path) -> BinaryIO:
    """Open a file of bytes, unpacked on the way where its name ends in .gz, and refused beyond what tables have."""
    return io.BufferedReader(_Unpacked(path), _CHUNK) if path.suffix.lower() == ".gz" else path.open("rb")


class _Unpacked(io.RawIOBase):
    """What a .gz holds, up to the most bytes that are read: a few packed ones can stand for any number."""

    def __init__(self, path: Path) -> None:
        self._path, self._file, self._size = path, gzip.open(path, "rb"), 0  # noqa: SIM115 - closed with this one

    def readable(self) -> bool:
        """It can be read."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Read some bytes, or refuse more than tables have."""
        size = self._file.readinto(buffer)
        self._size += size
        if self._size > _MOST_BYTES:
            raise InvalidRuns(f"{self._path} unpacks to more than {_MOST_BYTES / 1e9:.3g} GB: thin it.")
        return size

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


def refuse_huge(path: Path) -> None:
    """Refuse a file that is larger than tables are, or has more columns, before it is read."""
    if (size := path.stat().st_size) > _MOST_BYTES:
        raise InvalidRuns(f"{path} has {size / 1e9:.3g} GB, at most {_MOST_BYTES / 1e9:.3g} GB are read: thin it.")
    is_parquet = path.suffix.lower() in (".parquet", ".pq")
    try:
        columns, size = _shape_of_parquet(path) if is_parquet else (_columns_of(path), 0)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise InvalidRuns(f"{path} cannot be read{' as parquet' * is_parquet}: {first_fault(error)}.") from None
    if columns > _MOST_COLUMNS:
        raise InvalidRuns(f"{path} has {columns:,} columns, at most {_MOST_COLUMNS:,} are read: keep those that are used.")
    if size > _MOST_BYTES:
        raise InvalidRuns(f"{path} unpacks to more than {_MOST_BYTES / 1e9:.3g} GB: thin it.")


def _shape_of_parquet(path: Path) -> tuple[int, int]:
    """Return the columns of a Parquet file, and the bytes of its cells once they are unpacked, at the least."""
    from pyarrow.parquet import read_metadata

    found = read_metadata(path)
    return found.num_columns, 8 * found.num_rows * found.num_columns


def _columns_of(path: Path) -> int:
    """Return the columns that the first line of a text has; one of records has as many as come."""
    with opened(path) as file:
        line = file.read(_CHUNK).split(b"\n", 1)[0]
    return 0 if line.lstrip().startswith((b"{", b"[")) else line.count(b",") + 1
