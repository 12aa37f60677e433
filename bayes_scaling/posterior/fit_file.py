"""The file of a fit: netCDF that ArviZ reads as it is, sealed, so that what comes back is what was written, or a sentence.

The last line of the file is a checksum of all before it, which is compared before a byte is interpreted: a file that was cut
short, damaged or edited is refused. The digest within is over what the fit says, but for the time it took and was made at, so that two
fits of the same runs with the same seed have the same digest. Whoever can run this package can write a sealed file of other
numbers: only a digest that was published tells that.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

import h5netcdf
import h5py
import numpy as np
import xarray as xr
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, JsonValue, PositiveFloat

from bayes_scaling.errors import DamagedFit, InvalidFit, first_fault
from bayes_scaling.files import memory, whole_file

FORMAT: Final = 3
_ATTRIBUTE: Final = "bayes_scaling"
_SEAL: Final = b"\nsha256 "
_LENGTH: Final = len(_SEAL) + 64 + 1
_VOLATILE: Final = ("made", "seconds_of_sampling")
"""Facts that differ between two fits of the same: no part of the digest."""
_MOST_ARRAYS: Final = 5000
_MOST_DIMENSIONS: Final = 5
_LARGEST_DOCUMENT: Final = 16 * 2**20
_SHARE_OF_MEMORY: Final = 0.5
_SMALL: Final = 2000
"""Bytes below which compression is not worth its header."""
_LARGEST_CHUNK: Final = 64 * 2**20
_COMPRESSED: Final = {"compression": "gzip", "compression_opts": 4, "shuffle": True}

Text = Annotated[str, Field(max_length=10_000)]
Name = Annotated[str, Field(max_length=1000)]
Count = Annotated[int, Field(ge=0, lt=2**63)]


class _Part(BaseModel):
    """A part of the document in a fit file: no value of another type, no number that is not finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, ser_json_inf_nan="constants")


class Check(_Part):
    """A check as it came out; what could not be computed is not a number."""

    check: Text
    about: Literal["convergence", "adequacy"]
    value: Annotated[float, Field(allow_inf_nan=True)]
    rule: Text
    passed: bool
    where: Text
    advice: Text


class _Named(_Part):
    """A row that was told to have gone wrong, and counts all the same."""

    observation: Name
    row: Count
    prob: FiniteFloat
    off: FiniteFloat


class _Pinned(_Part):
    """What was pinned, and where the runs alone put it."""

    pin: Text
    median: FiniteFloat | None = None
    lower: FiniteFloat | None = None
    upper: FiniteFloat | None = None
    quantile: FiniteFloat | None = None


class Facts(_Part):
    """Where a fit came from. Whoever brings draws may add facts of their own."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, JsonValue]  # pyright: ignore[reportIncompatibleVariableOverride]

    runs: Text
    loss_unit: Name
    params: Name = ""
    citation: Text = ""
    seed: Count = 0
    sampler: Name = ""
    sampler_reason: Text = ""
    draws: Count | None = None
    tune: Count | None = None
    chains: Count | None = None
    target_accept: FiniteFloat | None = None
    evaluations: Count | None = None
    rounds: Count | None = None
    outliers: dict[Name, list[Count]] = {}
    named: list[_Named] = []
    notes: list[Text] = []
    origin: list[Text] = []
    curves_origin: list[Text] | None = None
    runs_digest: Name = ""
    curves_digest: Name = ""
    pins: dict[Name, _Pinned] = {}
    versions: dict[Name, Name] = {}
    python: Name = ""
    significant_bits: dict[Name, Count] = {}
    seconds_of_sampling: FiniteFloat = 0.0
    made: Name = ""


class Document(_Part):
    """What a fit file says beside its arrays; ``arrays`` names each with its dims."""

    format: Literal[3]
    model: dict[str, JsonValue]
    reference: dict[Name, PositiveFloat]
    facts: dict[str, JsonValue]
    checks: list[Check]
    arrays: dict[Name, list[Name]]
    digest: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] = ""


Groups = Mapping[str, xr.Dataset]
"""Datasets by the path of their group."""


@dataclass(frozen=True)
class Contents:
    """What a fit file holds: what it says, and its arrays by the path of their group."""

    document: Document
    groups: Groups

    @classmethod
    def of(cls, said: Mapping[str, Any], groups: Groups) -> Self:
        """Return contents with the arrays listed.

        Raises
        ------
        InvalidFit
            If it says something that no fit says.
        """
        arrays = {f"{path}/{name}": [str(dim) for dim in array.dims] for path, name, array in _arrays(groups)}
        try:
            document = _read(json.dumps({"format": FORMAT, "arrays": arrays, **said}).encode())
        except (TypeError, ValueError) as error:
            raise InvalidFit(f"The fit cannot be written: {first_fault(error)}.") from None
        return cls(document, groups)

    @cached_property
    def digest(self) -> str:
        """The digest of what the fit says, but for when it was made and how long that took."""
        facts = {name: value for name, value in self.document.facts.items() if name not in _VOLATILE}
        said = {**self.document.model_dump(exclude={"digest", "facts"}), "facts": facts}
        content = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
        for path, name, array in sorted(_arrays(self.groups), key=lambda entry: entry[:2]):
            values = _plain(array)
            content.update(f"\n{path}/{name} {values.dtype.kind} {','.join(map(str, values.shape))}\n".encode())
            text = values.dtype.kind == "O"
            content.update(json.dumps(values.ravel().tolist()).encode() if text else np.ascontiguousarray(values).data)
        return content.hexdigest()


def write_fit(path: str | Path, contents: Contents) -> None:
    """Write a fit file, in one piece."""
    memory, groups = io.BytesIO(), contents.groups
    with h5netcdf.File(memory, "w") as root:
        root.attrs[_ATTRIBUTE] = contents.document.model_copy(update={"digest": contents.digest}).model_dump_json()
        for group in groups:
            root.create_group(group).dimensions = {
                str(dim): size for dim, size in sorted(groups[group].sizes.items(), key=str)
            }
        for group, name, array in _arrays(groups):
            _write(root[group], name, array)
    content = memory.getvalue()
    with whole_file(path) as unfinished:
        unfinished.write_bytes(content + _SEAL + hashlib.sha256(content).hexdigest().encode() + b"\n")


def read_fit(path: Path) -> Contents:
    """Read a fit file: what it says, and its arrays by group.

    Raises
    ------
    InvalidFit
        If it is damaged, was edited, or is no fit.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DamagedFit(f"{path} cannot be read: {error.strerror}.") from None
    body, line = content[:-_LENGTH], content[-_LENGTH:]
    if not line.startswith(_SEAL):
        raise DamagedFit(f"{path} {_why_not_sealed(content)}")
    if line != _SEAL + hashlib.sha256(body).hexdigest().encode() + b"\n":
        raise DamagedFit(
            f"{path} is damaged, or was edited: it does not match the checksum in its last line. Restore a copy, or fit again."
        )
    try:
        with h5py.File(io.BytesIO(body), "r") as root:
            document = _read(_attribute(root))
            _check_size(root, document)
            found = Contents(document, _groups(root, document))
    except InvalidFit as error:
        raise DamagedFit(f"{path} {error}") from None
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise DamagedFit(f"{path} is not a whole fit: {first_fault(error)}. Fit again.") from None
    if found.digest != document.digest:
        raise DamagedFit(f"{path} was edited: its content does not match its digest. Restore a copy, or fit again.")
    return found


def _read(text: bytes) -> Document:
    document = Document.model_validate_json(text)
    Facts.model_validate_json(json.dumps(document.facts))
    return document


def _attribute(root: h5py.File) -> bytes:
    text = root.attrs[_ATTRIBUTE]
    if not isinstance(text, str) or len(text) > _LARGEST_DOCUMENT:
        raise InvalidFit("is not a whole fit: its description is not text, or too long. Fit again.")
    return text.encode()


def _why_not_sealed(content: bytes) -> str:
    """Say what a file without our last line is: text, cut short, of another format, or of something else."""
    if content and b"\0" not in content:
        return "is text, not a fit: fit the runs of a table first, `bayes-scaling fit TABLE.csv --out fit.nc`."
    try:
        with h5py.File(io.BytesIO(content), "r") as root:
            if _ATTRIBUTE not in root.attrs:
                return "is a netCDF file, but not a fit: give one that `bayes-scaling fit` wrote."
            found = json.loads(_attribute(root))["format"]
            if found != FORMAT:
                return f"has format {found}, this version reads {FORMAT}: fit again."
            return "was edited: the checksum in its last line is missing. Restore a copy, or fit again."
    except Exception as error:  # any error of a reader of foreign bytes means the same thing
        return f"cannot be read as a fit; it is damaged, or not a netCDF file: {first_fault(error)}"


def _check_size(root: h5py.File, document: Document) -> None:
    """Refuse a file that would fill the memory, or that refers to other files."""
    if len(document.arrays) > _MOST_ARRAYS:
        raise InvalidFit(f"has {len(document.arrays)} arrays, at most {_MOST_ARRAYS} are read.")
    total = 0
    for place, dims in document.arrays.items():
        link, array = root.get(place, getlink=True), root.get(place)
        if not isinstance(link, h5py.HardLink) or not isinstance(array, h5py.Dataset) or array.is_virtual or array.external:
            raise InvalidFit(f"is not a whole fit: it lacks {place}. Fit again.")
        if len(dims) != array.ndim or array.ndim > _MOST_DIMENSIONS:
            raise InvalidFit(f"is not a whole fit: {place} has {array.ndim} dimensions instead of {len(dims)}. Fit again.")
        total += array.size * array.dtype.itemsize
    most = _SHARE_OF_MEMORY * memory()
    if total > most:
        raise InvalidFit(
            f"unpacks to {total / 1e9:.3g} GB, this machine allows {most / 1e9:.3g} GB: thin the fit on the machine that made it (fit.thinned)."
        )


def _groups(root: h5py.File, document: Document) -> dict[str, xr.Dataset]:
    data: dict[str, dict[str, Any]] = {}
    coords: dict[str, dict[str, Any]] = {}
    for place, dims in document.arrays.items():
        group, _, name = place.rpartition("/")
        (coords if dims == [name] else data).setdefault(group, {})[name] = (dims, _values(root[place]))
    return {group: xr.Dataset(data.get(group, {}), coords.get(group, {})) for group in dict.fromkeys((*data, *coords))}


def _values(array: h5py.Dataset) -> np.ndarray:
    if h5py.check_string_dtype(array.dtype):
        texts = array.asstr()[()]
        if array.size and max(map(len, texts.flat)) > 10_000:
            raise InvalidFit(f"is not a whole fit: {array.name} has a text of more than 10,000 characters. Fit again.")
        return np.asarray(texts.tolist(), str)
    if array.dtype not in (np.dtype("f8"), np.dtype("i8"), np.dtype("i1")):
        raise InvalidFit(f"is not a whole fit: {array.name} has the type {array.dtype}. Fit again.")
    values = array[()]
    return values.astype(bool) if array.dtype == np.dtype("i1") else values


def _arrays(groups: Groups) -> Iterator[tuple[str, str, xr.Variable]]:
    for path, dataset in groups.items():
        for name in (*dataset.data_vars, *dataset.coords):
            yield path, str(name), dataset.variables[name]


def _plain(array: xr.Variable) -> np.ndarray:
    """Return values as a file has them: numbers of eight bytes, truth values of one, texts."""
    kinds: dict[str, Any] = {"f": "<f8", "i": "<i8", "u": "<i8", "b": "i1"}
    values = np.asarray(array.values)
    return values.astype(kinds[values.dtype.kind]) if values.dtype.kind in kinds else values.astype(str).astype(object)


def _write(group: Any, name: str, array: xr.Variable) -> None:
    values = _plain(array)
    if values.dtype.kind == "O":
        group.create_variable(name, array.dims, dtype=h5py.string_dtype(), data=values)
        return
    how = _COMPRESSED if values.nbytes > _SMALL else {}
    chunks = {"chunks": values.shape} if how and values.nbytes <= _LARGEST_CHUNK else {}
    variable = group.create_variable(name, array.dims, dtype=values.dtype, data=values, **how, **chunks)
    if array.dtype.kind == "b":
        variable.attrs["dtype"] = "bool"
