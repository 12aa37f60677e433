"""Folders of TensorBoard: scalars of its event files, a folder a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pandas as pd

from bayes_scaling.runs.logged import Logged, of_runs, points_of
from bayes_scaling.runs.readers import need, reader
from bayes_scaling.runs.readers.files import files_below

_EVENTS: Final = "events.out.tfevents.*"
_HPARAMS: Final = "_hparams_/session_start_info"


@reader("/", kind="tensorboard")
def read_tensorboard(folder: Path) -> Logged | None:
    """Read event files of TensorBoard: every scalar at every step, and hyperparameters where they were logged.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from tensorboard.summary import Writer
    >>> import bayes_scaling as bs
    >>> with TemporaryDirectory() as folder:
    ...     writer = Writer(str(Path(folder, "17M")))
    ...     for step, loss in ((1000, 3.9), (2000, 3.5)):
    ...         writer.add_scalar("val/loss", loss, step)
    ...     writer.close()
    ...     collected = bs.readers.read_tensorboard(folder, facts={"batch_tokens": 65536})
    >>> collected.runs.table[["run_id", "params", "tokens", "loss"]].values.tolist()
    [['17M', 17000000.0, 131072000.0, 3.5]]
    """
    files = files_below(folder, _EVENTS)
    if not files:
        return None
    runs = sorted({path.parent for path in files})
    entries = [(_name(run, folder), *_run(run)) for run in runs]
    entries = [(name, fields, points) for name, fields, points in entries if len(points)]
    count = f"{len(entries)} run{'s' * (len(entries) != 1)}"
    return of_runs(f"a folder of TensorBoard with {count}", entries)


def _run(run: Path) -> tuple[dict[str, object], pd.DataFrame]:
    """Return hyperparameters and points of the events in one folder; ``size_guidance`` of zero keeps every point."""
    accumulator: Any = need("tensorboard.backend.event_processing.event_accumulator", "tensorboard", "to read event files")
    events = accumulator.EventAccumulator(str(run), size_guidance={"scalars": 0, "tensors": 0})
    events.Reload()
    tags, at = events.Tags(), {}
    for tag in tags["scalars"]:
        for event in events.Scalars(tag):
            at.setdefault(event.step, {})[tag] = event.value
    for tag in tags["tensors"]:
        for event in events.Tensors(tag):
            value = _scalar(event.tensor_proto)
            if value is not None:
                at.setdefault(event.step, {})[tag] = value
    return _hyperparameters(events), points_of([{"step": step, **values} for step, values in sorted(at.items())])


def _scalar(tensor: Any) -> float | None:
    """Return the number of a tensor that is one, as newer writers log scalars."""
    util: Any = need("tensorboard.util.tensor_util", "tensorboard", "to read event files")
    array = util.make_ndarray(tensor)
    return float(array) if array.size == 1 and array.dtype.kind in "fiu" else None


def _hyperparameters(events: Any) -> dict[str, object]:
    """Return what was logged of the run as hyperparameters."""
    content = events.summary_metadata.get(_HPARAMS)
    if content is None:
        return {}
    data: Any = need("tensorboard.plugins.hparams.plugin_data_pb2", "tensorboard", "to read event files")
    start = data.HParamsPluginData.FromString(content.plugin_data.content).session_start_info
    return {
        name: getattr(value, value.WhichOneof("kind")) for name, value in start.hparams.items() if value.WhichOneof("kind")
    }


def _name(run: Path, folder: Path) -> str:
    """Return the path of a run below the folder, or the name of the folder that is a run itself."""
    return folder.resolve().name if run == folder else str(run.relative_to(folder))
