"""How large a table may be, packed and unpacked, which is seen before it is in memory."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path
from typing import Any, BinaryIO, Final

from bayes_scaling.errors import InvalidRuns, TooLarge, UnreadableSource, first_fault

_MOST_BYTES: Final = 8 * 2**30
_MOST_COLUMNS: Final = 2000
_CHUNK: Final = 2**20
"""Bytes that are read at once; the names of the columns have fewer."""
_MOST_TIMES: Final = 100
"""How many times what was read of it a packed file may unpack to: tables come to some thirty, what is made to fill a memory to 1000."""
_ANY_TIMES: Final = 32 * 2**20
"""Bytes that may be unpacked from a file of any size."""


def opened(path: Path, *, most: float = _MOST_BYTES) -> BinaryIO:
    """Open a file of bytes, unpacked on the way where its name ends in .gz, and refused beyond what tables have."""
    return io.BufferedReader(_Unpacked(path, most), _CHUNK) if path.suffix.lower() == ".gz" else path.open("rb")


class _Unpacked(io.RawIOBase):
    """What a .gz holds, up to the most bytes that are read: a few packed ones can stand for any number."""

    def __init__(self, path: Path, most: float) -> None:
        self._path, self._packed, self._most, self._size = path, path.open("rb"), most, 0
        self._file = gzip.GzipFile(fileobj=self._packed)

    def readable(self) -> bool:
        """It can be read."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Read some bytes, or refuse more than tables have."""
        size = self._file.readinto(buffer)
        self._size += size
        if self._size > max(_ANY_TIMES, _MOST_TIMES * self._packed.tell()):
            raise TooLarge(
                f"{self._path} unpacks to more than {_MOST_TIMES} times its size, as no table does: unpack it yourself."
            )
        if self._size > self._most:
            raise TooLarge(f"{self._path} unpacks to more than {self._most / 1e9:.3g} GB: thin it.")
        return size

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        self._packed.close()
        super().close()


def refuse_huge(path: Path) -> None:
    """Refuse a file that is larger than tables are, or has more columns, before it is read."""
    if (size := path.stat().st_size) > _MOST_BYTES:
        raise TooLarge(f"{path} has {size / 1e9:.3g} GB, at most {_MOST_BYTES / 1e9:.3g} GB are read: thin it.")
    if refuse_wide(path) > _MOST_BYTES:
        raise TooLarge(f"{path} unpacks to more than {_MOST_BYTES / 1e9:.3g} GB: thin it.")


def refuse_wide(path: Path) -> int:
    """Refuse a file of more columns than tables have; return the bytes of its cells once they are unpacked, as far as it says."""
    is_parquet = path.suffix.lower() in (".parquet", ".pq")
    try:
        columns, size = _shape_of_parquet(path) if is_parquet else (_columns_of(path), 0)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        if isinstance(error, InvalidRuns):
            raise
        raise UnreadableSource(f"{path} cannot be read{' as parquet' * is_parquet}: {first_fault(error)}.") from None
    refuse_columns(columns, str(path))
    return size


def refuse_columns(columns: int, place: str) -> None:
    """Refuse more columns than tables have."""
    if columns > _MOST_COLUMNS:
        raise TooLarge(f"{place} has {columns:,} columns, at most {_MOST_COLUMNS:,} are read: keep those that are used.")


def _shape_of_parquet(path: Path) -> tuple[int, int]:
    """Return the columns of a Parquet file, and the bytes of its cells once they are unpacked, at the least."""
    from pyarrow.parquet import read_metadata

    found = read_metadata(path)
    return found.num_columns, 8 * found.num_rows * found.num_columns


def _columns_of(path: Path) -> int:
    """Return the columns that the first line of a table of text has; files of other kinds have as many as come."""
    suffix = Path(path.name.lower().removesuffix(".gz")).suffix
    if suffix not in (".csv", ".tsv", ".txt", ".jsonl", ".ndjson"):
        return 0
    with opened(path) as file:
        line = file.read(_CHUNK).split(b"\n", 1)[0]
    if suffix in (".jsonl", ".ndjson"):
        return line.count(b'":')
    columns = 1 + max(map(line.count, (b",", b";", b"\t", b"|")))
    if len(line) == _CHUNK and columns <= _MOST_COLUMNS:
        raise UnreadableSource(
            f"The first line of {path} has a million characters or more, where column names are expected: is it a table?"
        )
    return columns
