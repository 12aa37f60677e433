"""Measured runs by name: the tables shipped with the package, and public ones that are fetched when asked for."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import pandas as pd

from bayes_scaling.errors import BayesScalingError, UnknownFormat, UnknownName, choose
from bayes_scaling.files import DATA
from bayes_scaling.quantities import ALONG_A_RUN
from bayes_scaling.runs.card import Card, read_card
from bayes_scaling.runs.table import RunTable, read_runs

MIRROR: Final = "BAYES_SCALING_MIRROR"
"""Environment variable that names a folder of already fetched files, ``raw/NAME/FILE``."""
CACHE: Final = "BAYES_SCALING_CACHE"
"""Environment variable that names the folder for fetched files, over the system's cache folder."""


class DownloadFailed(BayesScalingError):
    """A public table could not be fetched, or is not the file it was."""


@dataclass(frozen=True)
class Source:
    """A public table: where it is published, what it must be, and how its columns map to ours.

    ``columns`` are ours to theirs, others being left out; ``multiply`` has the factors that turn columns into our units. The
    rest but repository, commit, path and digest is of the :class:`~bayes_scaling.runs.card.Card`.
    """

    repository: str
    commit: str
    path: str
    sha256: str
    title: str
    citation: str
    licence: str
    params: str
    columns: dict[str, str]
    notes: str = ""
    multiply: dict[str, float] = field(default_factory=dict)
    loss_unit: str = "nats/token"

    @property
    def address(self) -> str:
        """Where the file is published."""
        return f"https://raw.githubusercontent.com/{self.repository}/{self.commit}/{self.path}"

    @property
    def card(self) -> Card:
        """What the table means."""
        return Card(self.title, self.loss_unit, self.params, self.citation, self.licence, self.notes)


def load_runs(name: str) -> RunTable:
    """Return the measured runs called ``name``.

    Parameters
    ----------
    name : str
        A table shipped with the package, or a public one; `bayes-scaling data` lists them. A public table is fetched once and
        stored; its digest is checked every time.

    Returns
    -------
    RunTable
        The runs, with their card.

    Raises
    ------
    UnknownName
        If there is no such table.
    DownloadFailed
        If a public table cannot be fetched, or its digest is wrong.

    Examples
    --------
    >>> load_runs("pile_families")
    <RunTable pile_families: 20 rows; params 18.9M to 12.6B, ...; loss in nats/token>
    """
    if name in _shipped():
        return replace(read_runs(DATA / name / "runs.csv", name=name), origin=(name,))
    sources = registry()
    if name not in sources:
        raise UnknownName(f"There is no data set {name!r}; {choose(name, [*_shipped(), *sources])}.")
    source = sources[name]
    raw = pd.read_csv(_fetched(name, source))
    table = pd.DataFrame({ours: raw[theirs] for ours, theirs in source.columns.items()})
    table = table.assign(**{column: table[column] * factor for column, factor in source.multiply.items()})
    return replace(read_runs(table, card=source.card, name=name), origin=(name,))


def load_curves(name: str) -> RunTable:
    """Return the learning curves of a shipped data set: a row for each measured point along each run.

    Parameters
    ----------
    name : str
        A data set that was shipped with its curves.

    Returns
    -------
    RunTable
        ``steps``, ``tokens`` and ``loss`` at each point, with what else was measured there; the columns of the run
        that do not grow along it; and ``checkpoint``, true, since the points of one run are no independent runs.

    Raises
    ------
    UnknownName
        If there is no such data set, or it has no curves.

    Examples
    --------
    >>> curves = load_curves("ladder")
    >>> bool(curves.table.groupby("run_id").size().min() > 5), bool(curves.table.checkpoint.all())
    (True, True)
    """
    if name not in available_curves():
        raise UnknownName(f"There are no curves of {name!r}; {choose(name, available_curves())}.")
    runs, points = load_runs(name), pd.read_csv(DATA / name / "curves.csv")
    fixed = [column for column in runs.table if column == "run_id" or column not in {*points, *ALONG_A_RUN}]
    joined = points.assign(checkpoint=True).merge(runs.table[fixed], on="run_id", validate="many_to_one")
    return read_runs(joined, card=runs.card, name=f"{name}_curves")


def available_curves() -> list[str]:
    """Return the names of the data sets that come with learning curves."""
    return _shipped("curves.csv")


def runs_from(source: str | Path | pd.DataFrame | RunTable, **options: Any) -> RunTable:
    """Return runs from a table, a file or the name of a data set: text without a suffix or a folder, where no file has it.

    ``"-"`` is a table on standard input. The options are those of :func:`~bayes_scaling.read_runs`.
    """
    is_name = isinstance(source, str) and Path(source).name == source and not Path(source).suffix and source != "-"
    if is_name and not Path(str(source)).exists():
        return read_runs(load_runs(str(source)), **options)
    if isinstance(source, str | Path) and Path(source).is_dir():
        raise UnknownFormat(f"{source} is a folder: give a table in it, or the name of a data set.")
    return read_runs(source, **options)


def available_runs() -> pd.DataFrame:
    """Return the data sets that can be loaded by name.

    Returns
    -------
    DataFrame
        Columns ``name``, ``title``, ``licence``, ``citation``, ``where``: shipped, or the address.

    Examples
    --------
    >>> available_runs().name.tolist()
    ['ladder', 'pile_families', 'hoffmann2022', 'steplaw2025']
    """
    cards = {name: (read_card(DATA / name / "card.toml"), "shipped") for name in _shipped()}
    cards |= {name: (source.card, source.address) for name, source in registry().items()}
    rows = [(name, card.title, card.licence, card.citation, where) for name, (card, where) in cards.items()]
    return pd.DataFrame(rows, columns=["name", "title", "licence", "citation", "where"])


def registry() -> dict[str, Source]:
    """Return the public tables by name."""
    document = tomllib.loads((DATA / "registry.toml").read_text(encoding="utf-8"))
    return {name: Source(**entry) for name, entry in document.items()}


def _shipped(file: str = "runs.csv") -> list[str]:
    return sorted(path.parent.name for path in DATA.glob(f"*/{file}"))


def _fetched(name: str, source: Source) -> Path:
    """Return the file, from the mirror where one is named, else from the cache, else from its address."""
    import pooch  # a third of a second that tables at hand do not need

    file = Path(source.path).name
    if mirror := os.environ.get(MIRROR):
        path = Path(mirror) / "raw" / name / file
        if not path.is_file():
            raise DownloadFailed(f"The mirror named by {MIRROR} has no file {path}: put it there, or unset {MIRROR}.")
        if pooch.file_hash(str(path)) != source.sha256:
            raise DownloadFailed(f"{path} is not the file that was published as {name}: its SHA-256 is not {source.sha256}.")
        return path
    cache = Path(os.environ.get(CACHE) or pooch.os_cache("bayes_scaling")) / name
    pooch.get_logger().setLevel("ERROR")
    try:
        return Path(pooch.retrieve(source.address, known_hash=f"sha256:{source.sha256}", fname=file, path=cache))
    except (OSError, ValueError) as error:
        raise DownloadFailed(
            f"{name} could not be fetched from {source.address}: {str(error).splitlines()[0]}. Try again when the "
            f"network is there, or put the file into a folder as raw/{name}/{file} and name the folder in {MIRROR}."
        ) from None
