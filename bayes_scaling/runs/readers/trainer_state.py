"""``trainer_state.json``, which the trainer of Hugging Face writes beside each checkpoint: its log as points along a run."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Final

import pandas as pd

from bayes_scaling.errors import UnreadableSource
from bayes_scaling.runs.logged import Logged, flat, of_runs, points_of
from bayes_scaling.runs.readers import reader
from bayes_scaling.runs.readers.files import files_below, json_of

_FILE: Final = "trainer_state.json"
_TOKENS: Final = "num_input_tokens_seen"
_FLOPS: Final = "total_flos"


@reader("json", kind="trainer")
def read_trainer_state(path: Path) -> Logged | None:
    """Read trainer_state.json of Hugging Face: the losses of its log, of evaluations and of training.

    The run is called as its folder. Beside the log it has ``total_flos`` where its end does not say them, ``batch_tokens`` where the state
    says how many tokens its steps took, and the shape of the model where ``config.json`` lies beside it.
    """
    entry = _run(path)
    return None if entry is None else of_runs("the log of a trainer", [entry])


@reader("/", kind="trainer")
def read_trainer_folders(folder: Path) -> Logged | None:
    """Read folders of trainers: the last trainer_state.json of each run.

    Examples
    --------
    >>> import json
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import bayes_scaling as bs
    >>> log = [{"step": 1000, "eval_loss": 3.9}, {"step": 2000, "eval_loss": 3.5}]
    >>> state = {"global_step": 2000, "max_steps": 2000, "num_input_tokens_seen": 131072000, "log_history": log}
    >>> with TemporaryDirectory() as folder:
    ...     checkpoint = Path(folder, "17M", "checkpoint-2000")
    ...     checkpoint.mkdir(parents=True)
    ...     _ = (checkpoint / "trainer_state.json").write_text(json.dumps(state))
    ...     collected = bs.readers.read_trainer(folder)
    >>> collected.runs.table[["run_id", "params", "tokens", "loss"]].values.tolist()
    [['17M', 17000000.0, 131072000.0, 3.5]]
    """
    last: dict[Path, Path] = {}
    for path in files_below(folder, _FILE):
        run = _folder_of(path)
        if run not in last or _steps(path) > _steps(last[run]):
            last[run] = path
    entries = [entry for path in last.values() if (entry := _run(path)) is not None]
    runs = f"{len(entries)} run{'s' * (len(entries) > 1)}"
    return of_runs(f"the logs of a trainer of {runs}", _told_apart(entries, last, folder)) if entries else None


def _run(path: Path) -> tuple[str, dict[str, object], pd.DataFrame] | None:
    """Return name, fields and points of one run."""
    state = json_of(path)
    if not isinstance(state, dict) or not isinstance(state.get("log_history"), list):
        return None
    entries = [entry for entry in state["log_history"] if isinstance(entry, dict)]
    if len(entries) < len(state["log_history"]) or not all(_is_count(entry.get("step")) for entry in entries):
        raise UnreadableSource(f"{path}: every entry of log_history has to be an object with a whole number as its step.")
    fields: dict[str, object] = {
        name: state[name] for name in ("global_step", "max_steps", _FLOPS) if state.get(name) and _is_count(state[name])
    }
    seen, steps = state.get(_TOKENS), state.get("global_step")
    if _is_count(seen) and _is_count(steps) and seen and steps:
        fields["batch_tokens"] = seen / steps
    config = path.parent / "config.json"
    if config.is_file():
        fields["config"] = flat(json_of(config))
    merged: dict[int, dict[str, Any]] = {}
    for entry in entries:
        merged.setdefault(entry["step"], {}).update({name: value for name, value in entry.items() if name != _FLOPS})
    return _folder_of(path).name, fields, points_of(list(merged.values()))


def _told_apart(
    entries: list[tuple[str, dict[str, object], pd.DataFrame]], last: dict[Path, Path], folder: Path
) -> list[tuple[str, dict[str, object], pd.DataFrame]]:
    """Return runs under the names of their folders, or under their paths where folders of two are called the same."""
    names = [name for name, _, _ in entries]
    if len(set(names)) == len(names):
        return entries
    return [(str(run.relative_to(folder.resolve())), *rest) for run, (_, *rest) in zip(last, entries, strict=True)]  # pyright: ignore


def _steps(path: Path) -> int:
    state = json_of(path)
    return state.get("global_step", 0) if isinstance(state, dict) and _is_count(state.get("global_step")) else 0


def _is_count(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf and value % 1 == 0


def _folder_of(path: Path) -> Path:
    """Return the folder of a run, in which each checkpoint has a folder of its own."""
    folder = path.resolve().parent
    return folder.parent if folder.name.startswith("checkpoint-") else folder
