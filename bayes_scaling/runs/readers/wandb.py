"""Weights & Biases: its table of runs, the history of a run, the folders of offline runs, and projects on its server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pandas as pd

from bayes_scaling.errors import NoRows, UnreadableSource
from bayes_scaling.runs.aliases import ALIASES, match
from bayes_scaling.runs.logged import Logged, of_runs, points_of
from bayes_scaling.runs.readers import need, reader
from bayes_scaling.runs.readers.files import files_below, json_of, read_csv, read_json_lines
from bayes_scaling.runs.readers.panel_export import read_csv_header

_OF_RUNS: Final = {"Name", "State"}
_BLOCK, _HEADER, _RECORD = 32768, 7, 7
"""Bytes of a block of the log, of the header of the file, and of that of a record."""
_MAGIC: Final = b":W&B"
_FULL, _LAST = 1, 4
_WHY: Final = "to read offline runs of W&B"


@reader("csv", kind="wandb")
def read_table_of_runs(path: Path) -> pd.DataFrame | None:
    """Read the table of runs of W&B: its columns are settings and summaries."""
    return read_csv(path) if set(read_csv_header(path)) >= _OF_RUNS else None


@reader("csv", kind="wandb")
def read_history_csv(path: Path) -> Logged | None:
    """Read the history of a run of W&B: a row a step."""
    header = read_csv_header(path)
    return _history(read_csv(path), path) if "_step" in header and match(ALIASES["run_id"][:5], header) is None else None


@reader("jsonl", "ndjson", kind="wandb")
def read_history_lines(path: Path) -> Logged | None:
    """Read the history of a run of W&B: an object a step."""
    table = read_json_lines(path)
    return _history(table, path) if "_step" in table and match(ALIASES["run_id"][:5], table) is None else None


@reader("json", kind="wandb")
def read_history_json(path: Path) -> Logged | None:
    """Read the history of a run of W&B: a list of an object a step."""
    rows = json_of(path)
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) and "_step" in row for row in rows):
        return None
    return _history(points_of(rows), path) if match(ALIASES["run_id"][:5], rows[0]) is None else None


def _history(table: pd.DataFrame, path: Path) -> Logged:
    return of_runs(f"the history of a run of W&B, {len(table)} steps", [(path.name.split(".")[0], {}, table)])


@reader("/", kind="wandb")
def read_offline_runs(folder: Path) -> Logged | None:
    """Read folders of W&B: the offline runs in them."""
    files = files_below(folder, "run-*.wandb")
    if not files:
        return None
    entries = [_offline(path) for path in files]
    return of_runs(f"{len(entries)} offline run{'s' * (len(entries) > 1)} of W&B", _told_apart(entries))


@reader("wandb", kind="wandb")
def read_offline_run(path: Path) -> Logged:
    """Read an offline run of W&B: its log."""
    return of_runs("an offline run of W&B", [_offline(path)[1:]])


@reader("wandb:", kind="wandb")
def read_project(address: str) -> Logged:
    """Read a project of W&B: every run on its server, wandb://ENTITY/PROJECT."""
    api: Any = need("wandb", "wandb", "to read a project of W&B")
    project = address.removeprefix("wandb://").strip("/")
    try:
        runs = list(api.Api().runs(project))
        entries = [(run.name, run.id, *_of_server(run)) for run in runs]
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise UnreadableSource(
            f"The project {project} of W&B cannot be read: {reason}. Log in (wandb login), or export its table of runs."
        ) from None
    if not entries:
        raise NoRows(f"The project {project} of W&B has no runs.")
    named = [(run_id, name, fields, points) for name, run_id, fields, points in entries]
    return of_runs(f"{len(entries)} run{'s' * (len(entries) > 1)} of the project {project} of W&B", _told_apart(named))


def _of_server(run: Any) -> tuple[dict[str, object], pd.DataFrame]:
    """Return fields and points of a run on the server; ``scan_history`` has every point, ``history`` a sample."""
    summary = {name: value for name, value in dict(run.summary).items() if not name.startswith("_")}
    fields = {"state": run.state, **dict(run.config), **summary}
    return fields, points_of([dict(row) for row in run.scan_history()])


def _told_apart(
    entries: list[tuple[str, str, dict[str, object], pd.DataFrame]],
) -> list[tuple[str, dict[str, object], pd.DataFrame]]:
    """Return runs by their names, and with their IDs where two share one."""
    names = [name for _, name, _, _ in entries]
    return [(name if names.count(name) == 1 else f"{name} ({run_id})", *rest) for run_id, name, *rest in entries]  # pyright: ignore


def _offline(path: Path) -> tuple[str, str, dict[str, object], pd.DataFrame]:
    """Return ID, name, fields and points of an offline run: settings, the last summary, whether it ended, and each step."""
    messages: Any = need("wandb.proto.wandb_internal_pb2", "wandb", _WHY)
    fields, summary, rows, identity, ended = {}, {}, [], (path.stem.removeprefix("run-"), ""), None
    for content in _records(path):
        record = messages.Record.FromString(content)
        match record.WhichOneof("record_type"):
            case "run":
                identity = (record.run.run_id, record.run.display_name or record.run.run_id)
                fields |= _items(record.run.config.update)
            case "config":
                fields |= _items(record.config.update)
            case "summary":
                summary |= _items(record.summary.update)
            case "history":
                rows.append(_items(record.history.item))
            case "exit":
                ended = record.exit.exit_code
            case _:
                pass
    state = "crashed" if ended is None else "finished" if ended == 0 else "failed"
    summary = {name: value for name, value in summary.items() if not name.startswith("_")}
    return identity[0], identity[1] or identity[0], {"state": state, **fields, **summary}, points_of(rows)


def _items(items: Any) -> dict[str, Any]:
    """Return what a message holds of names and values; the settings of the tracker itself start with ``_wandb``."""
    found = {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in items}
    return {name: value for name, value in found.items() if not name.startswith("_wandb")}


def _records(path: Path) -> Iterator[bytes]:
    """Give the records of a log of W&B, which is framed as LevelDB frames its own; a run that was killed may end within one.

    Blocks of 32 KiB hold records of a checksum (4 bytes), a length (2) and a kind (1): whole, or the first, a middle or the last part of one.
    """
    content = path.read_bytes()
    if not content.startswith(_MAGIC):
        raise UnreadableSource(f"{path} is not a log of W&B: it starts with {content[:4]!r}, not with {_MAGIC!r}.")
    place, parts = _HEADER, b""
    while place + _RECORD <= len(content):
        if _BLOCK - place % _BLOCK < _RECORD:  # the rest of a block is padding
            place += _BLOCK - place % _BLOCK
            continue
        length, kind = int.from_bytes(content[place + 4 : place + 6], "little"), content[place + 6]
        piece = content[place + _RECORD : place + _RECORD + length]
        if len(piece) < length:
            return
        place += _RECORD + length
        parts += piece
        if kind in (_FULL, _LAST):
            yield parts
            parts = b""
