"""``trainer_state.json``, which the trainer of Hugging Face writes beside each checkpoint: its log as a learning curve."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any, Final

import pandas as pd

from bayes_scaling.errors import InvalidRuns
from bayes_scaling.runs.readers import reader

_LARGEST: Final = 200_000_000
"""Bytes of a log of a million entries."""
_TOKENS: Final = "num_input_tokens_seen"


@reader("json")
def read_trainer_state(path: Path) -> pd.DataFrame | None:
    """Read trainer_state.json of Hugging Face: the curve of the loss of evaluations, or of training where there were none.

    The run is called as its folder, ``epochs`` and ``tokens`` are there where the log says them, and ``batch_tokens`` where the
    state says how many tokens its steps took.
    """
    state = _json(path)
    if not isinstance(state, dict) or not isinstance(state.get("log_history"), list):
        return None
    entries = [entry for entry in state["log_history"] if isinstance(entry, dict)]
    if len(entries) < len(state["log_history"]) or not all(_is_count(entry.get("step")) for entry in entries):
        raise InvalidRuns(f"{path}: every entry of log_history has to be an object with a whole number as its step.")
    loss = _loss_of(entries, path)
    points = pd.DataFrame([entry for entry in entries if loss in entry and entry["step"]])
    names = {"step": "steps", loss: "loss", "epoch": "epochs", _TOKENS: "tokens"}
    points = points[[name for name in names if name in points]].rename(columns=names)
    points = points.drop_duplicates("steps", keep="last").drop(
        columns=[c for c in ("epochs", "tokens") if _has_gaps(points, c)]
    )
    points = points.assign(run_id=_run_of(path), checkpoint=True).reset_index(drop=True)
    seen, steps = state.get(_TOKENS), state.get("global_step")
    if _is_count(seen) and _is_count(steps) and seen and steps:
        points["batch_tokens"] = seen / steps
    points.attrs["export"] = f"the log of a trainer, with {len(points)} points of {loss}"
    return points


def _json(path: Path) -> Any:
    with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
        content = file.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise InvalidRuns(f"{path} has more than {_LARGEST // 10**6} MB: give the log of one run.")
    return json.loads(content.decode("utf-8"), object_pairs_hook=_once)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object, or refuse one that says a thing twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} stands twice in one object")
    return found


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _has_gaps(points: pd.DataFrame, column: str) -> bool:
    return column in points and bool(points[column].isna().any() or (points[column] == 0).any())


def _loss_of(entries: list[dict[str, Any]], path: Path) -> str:
    """Return the name of the loss: of the one evaluation, or of training."""
    logged = dict.fromkeys(name for entry in entries for name in entry)
    losses = [name for name in logged if name.startswith("eval_") and name.endswith("loss")]
    if "eval_loss" in losses or ("loss" in logged and not losses):
        return "eval_loss" if losses else "loss"
    if len(losses) == 1:
        return losses[0]
    found = f"several: {', '.join(losses)}; keep one" if losses else f"none, only {', '.join(logged) or 'no entry'}"
    raise InvalidRuns(f"{path}: log_history has to have one loss, eval_loss or loss; it has {found}.")


def _run_of(path: Path) -> str:
    """Return the name of the folder of a run, in which each checkpoint has a folder of its own."""
    folder = path.resolve().parent
    return (folder.parent if folder.name.startswith("checkpoint-") else folder).name
