"""Readers of measured runs, by suffix and content: to add one, write one function in one file of this folder.

A reader is a function from a path to what it holds, or to None where the content is of another kind. It returns a DataFrame of
the cells of a table as they stand, or :class:`~bayes_scaling.runs.logged.Logged`, the runs of a tracker or trainer with its own
names; names and cells are made out later, in one place for all readers. Its suffixes are those of its files, ``"/"`` is a folder,
and ``"sqlite:"`` the scheme of an address. Of several readers of a suffix the one that was registered last is asked first. One that
is defined elsewhere is registered when its module is imported.

A reader with a ``kind`` is public by it: ``bs.readers.read_wandb`` collects runs with the readers of the kind ``wandb``, as
``bayes-scaling collect --from wandb`` does.

>>> sorted(suffix for suffix in READERS if suffix.isalnum())
['csv', 'db', 'json', 'jsonl', 'ndjson', 'parquet', 'pq', 'sqlite', 'tsv', 'txt', 'wandb', 'xlsm', 'xlsx']
>>> sorted(KINDS)
['checkpoints', 'excel', 'lightning', 'mlflow', 'table', 'tensorboard', 'trainer', 'wandb']
"""

from __future__ import annotations

import atexit
import importlib
import pkgutil
import re
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Collection, Generator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import pandas as pd

from bayes_scaling.errors import (
    AmbiguousSource,
    InvalidRuns,
    MissingLibrary,
    MissingSource,
    NoRows,
    UnknownEntry,
    UnknownFormat,
    UnreadableSource,
    choose,
)
from bayes_scaling.plugins import Registry
from bayes_scaling.runs.bounds import refuse_huge
from bayes_scaling.runs.logged import Logged

Reader = Callable[[Any], pd.DataFrame | Logged | None]
READERS: Final[Registry[tuple[Reader, ...]]] = Registry("reader")
"""Readers by suffix, without its dot, in the order in which they are asked."""
KINDS: Final[dict[str, list[Reader]]] = {}
"""Readers by the kind of source that they are for."""
_SCHEME: Final = re.compile(r"([a-z][a-z+]+:)//")


def reader[R: Callable[..., Any]](*suffixes: str, kind: str | Collection[str] = ()) -> Callable[[R], R]:
    """Register a function as the reader of files with these suffixes, and of a kind of source or several.

    Examples
    --------
    >>> @reader("lines")
    ... def losses(path):
    ...     return pd.DataFrame({"loss": path.read_text().split()})
    >>> READERS["lines"] == (losses,)
    True
    >>> del READERS["lines"]  # only an example
    """

    def register(read: R) -> R:
        READERS.update({suffix: (read, *READERS.get(suffix, ())) for suffix in suffixes})
        for one in (kind,) if isinstance(kind, str) else kind:
            KINDS.setdefault(one, []).append(read)
        return read

    return register


def need(library: str, extra: str, what: str) -> Any:
    """Import an optional library, or say which extra brings it.

    >>> need("no_such_library", "wandb", "to read offline runs of W&B")
    Traceback (most recent call last):
    ...
    bayes_scaling.errors.MissingLibrary: The library no_such_library is needed to read offline runs of W&B: pip install "bayes-scaling[wandb]".
    """
    if find_spec(library.partition(".")[0]) is None:
        raise MissingLibrary(
            f'The library {library.partition(".")[0]} is needed {what}: pip install "bayes-scaling[{extra}]".'
        )
    return importlib.import_module(library)


@contextmanager
def quiet() -> Generator[None]:
    """Hold back what a library warns its own developers of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")


def read_source(source: str | Path, kind: str | None = None) -> pd.DataFrame | Logged:
    """Return what a file, a folder or an address holds, names as they stand, or say why there is nothing to read.

    ``kind`` names the kind of the source where its content leaves that open; ``"-"`` is standard input.
    """
    source = standard_input() if str(source) == "-" else source
    suffix, path = suffix_of(source), source if _SCHEME.match(str(source)) else Path(source)
    if isinstance(path, Path) and not path.exists():
        raise MissingSource(f"There is no table {path}: give a CSV, Parquet or JSON Lines file, or an export.")
    if suffix not in READERS:
        suffixes = ", ".join(f".{suffix}" for suffix in READERS if suffix.isalnum())
        shown = suffix if suffix.endswith(":") else Path(source).suffix
        raise UnknownFormat(f"{path} is of an unknown kind {shown!r}: give one of {suffixes} (or .gz of it).")
    if kind is not None and kind not in KINDS:
        raise UnknownEntry(f"There is no kind of source {kind!r}; {choose(kind, KINDS)}.")
    asked = [read for read in READERS[suffix] if kind is None or read in KINDS[kind]]
    found = _first(asked, path, suffix) if suffix != "/" else _only(asked, Path(source))
    if found is None:
        readers = asked or READERS[suffix]
        known = ", ".join(sorted({str(read.__doc__).partition(":")[0].removeprefix("Read ") for read in readers}))
        what = "a folder" if suffix == "/" else suffix.removesuffix(":").upper()
        of = f"{what} of an unknown kind" if kind is None else f"{what}, and no source of the kind {kind}"
        raise UnknownFormat(f"{path} is {of}: of {what}, {known} can be read.")
    return found


@cache
def standard_input() -> Path:
    """Return a file with what came on standard input, once for the process, named by what it is."""
    content = sys.stdin.buffer.read()
    start = content.lstrip()[:1]
    if content.startswith(b"PAR1"):
        suffix = "parquet"
    elif content.startswith(b"PK"):
        suffix = "xlsx"
    elif start == b"[" or (start == b"{" and b"\n{" not in content.strip()):
        suffix = "json"
    else:
        suffix = "jsonl" if start == b"{" else "csv"
    path = Path(tempfile.mkdtemp(prefix="bayes_scaling_")) / f"stdin.{suffix}"
    atexit.register(shutil.rmtree, path.parent, ignore_errors=True)
    path.write_bytes(content)
    return path


def suffix_of(source: str | Path) -> str:
    """Return what readers are registered by: a suffix, ``"/"`` of a folder, or the scheme of an address.

    >>> suffix_of("runs.csv.gz"), suffix_of("sqlite:///mlruns.db"), suffix_of(".")
    ('csv', 'sqlite:', '/')
    """
    if scheme := _SCHEME.match(str(source)):
        return scheme[1]
    path = Path(source)
    return "/" if path.is_dir() else "".join(path.suffixes[-2:]).lower().removesuffix(".gz").rsplit(".", 1)[-1]


def _only(readers: list[Reader], folder: Path) -> pd.DataFrame | Logged | None:
    """Return what the one reader of a folder finds that knows it; where several do, the kind has to be said."""
    found = {read: table for read in readers if (table := _first([read], folder, "folder")) is not None}
    if len(found) > 1:
        kinds = [kind for kind, of_kind in KINDS.items() if any(read in of_kind for read in found)]
        raise AmbiguousSource(
            f"{folder} holds logs of {len(found)} kinds: say which, --from {' or --from '.join(sorted(kinds))}."
        )
    return next(iter(found.values()), None)


def _first(readers: list[Reader], path: Any, kind: str) -> pd.DataFrame | Logged | None:
    """Return what the first reader returns that knows the content, or say why it cannot be read."""
    if isinstance(path, Path) and path.is_file():
        refuse_huge(path)
    try:
        return next((found for read in readers if (found := read(path)) is not None), None)
    except UnicodeDecodeError as error:
        raise UnreadableSource(
            f"{path} is not UTF-8 text (byte {error.object[error.start]:#04x} at {error.start}): save it as UTF-8."
        ) from None
    except pd.errors.EmptyDataError:
        raise NoRows(f"{path} is empty: give a header and one row a run.") from None
    except pd.errors.ParserWarning:
        raise UnreadableSource(f"{path} cannot be read as {kind}: its rows have more cells than its header.") from None
    except InvalidRuns:
        raise
    except Exception as error:
        first = (str(error).removeprefix("Error tokenizing data. C error: ").strip().splitlines() or [type(error).__name__])[
            0
        ]
        raise UnreadableSource(f"{path} cannot be read as {kind}: {first}.") from None


_SHARED: Final = {"Collected": "collected", "collect": "collect", "collector": "kinds"}
"""What all sources share, by the module that has it."""


def __getattr__(name: str) -> Any:
    """Return the function that collects runs of a kind of source, ``read_wandb`` of ``wandb``, or what all share."""
    if name in _SHARED:
        return getattr(importlib.import_module(f"bayes_scaling.runs.collecting.{_SHARED[name]}"), name)
    kind = name.removeprefix("read_")
    if name.startswith("read_") and kind in KINDS:
        return __getattr__("collector")(kind)
    raise AttributeError(f"There is no {name} in {__name__}: it has {', '.join(__dir__())}.")


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted(["Collected", "Logged", "collect", "reader", *(f"read_{kind}" for kind in KINDS)])
