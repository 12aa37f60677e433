"""Folders of Lightning: ``metrics.csv`` of its CSV logger, and ``hparams.yaml`` beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pandas as pd

from bayes_scaling.errors import UnreadableSource
from bayes_scaling.runs.logged import Logged, of_runs
from bayes_scaling.runs.readers import need, reader
from bayes_scaling.runs.readers.files import files_below, read_csv

_METRICS, _SETTINGS = "metrics.csv", "hparams.yaml"
_VERSION: Final = "version_"


@reader("/", kind="lightning")
def read_lightning(folder: Path) -> Logged | None:
    r"""Read folders of Lightning: metrics.csv and hparams.yaml of each run.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import bayes_scaling as bs
    >>> with TemporaryDirectory() as folder:
    ...     run = Path(folder, "17M", "version_0")
    ...     run.mkdir(parents=True)
    ...     _ = (run / "metrics.csv").write_text("step,val_loss\n1000,3.9\n2000,3.5\n")
    ...     _ = (run / "hparams.yaml").write_text("batch_size: 64\nblock_size: 1024\n")
    ...     collected = bs.readers.read_lightning(folder)
    >>> collected.runs.table[["run_id", "params", "tokens", "loss"]].values.tolist()
    [['17M', 17000000.0, 131072000.0, 3.5]]
    """
    files = files_below(folder, _METRICS)
    if not files:
        return None
    entries = [(_name(path.parent, folder), _settings(path.parent), _points(path)) for path in files]
    return of_runs(f"the logs of Lightning of {len(entries)} run{'s' * (len(entries) > 1)}", entries)


@reader("csv", kind="lightning")
def read_metrics(path: Path) -> Logged | None:
    """Read metrics.csv of Lightning: a row a step at which something was logged."""
    if path.name != _METRICS:
        return None
    return of_runs("the log of Lightning", [(_name(path.parent, path.parent), _settings(path.parent), _points(path))])


def _points(path: Path) -> pd.DataFrame:
    table = read_csv(path)
    return table.where(table != "", None)


def _settings(folder: Path) -> dict[str, object]:
    """Return what ``save_hyperparameters`` kept; no object of Python is made from it."""
    path = folder / _SETTINGS
    if not path.is_file():
        return {}
    yaml: Any = need("yaml", "lightning", "to read hparams.yaml")
    try:
        settings = yaml.load(path.read_text(encoding="utf-8"), Loader=_plain_loader(yaml))
    except yaml.YAMLError as error:
        raise UnreadableSource(f"{path} cannot be read as YAML: {str(error).splitlines()[0]}.") from None
    return settings if isinstance(settings, dict) else {}


def _plain_loader(yaml: Any) -> Any:
    """Return a loader that makes no objects of Python: a tuple is a list, and what else is tagged so is nothing."""

    class Plain(yaml.SafeLoader):
        pass

    def nothing(loader: Any, tag: str, node: Any) -> Any:
        return loader.construct_sequence(node) if tag == "tuple" else None

    Plain.add_multi_constructor("tag:yaml.org,2002:python/", nothing)
    return Plain


def _name(run: Path, folder: Path) -> str:
    """Return the path of a run below the folder, without the version that Lightning adds where it says nothing else."""
    if run == folder:
        parent = run.resolve()
        return parent.parent.name if parent.name.startswith(_VERSION) else parent.name
    relative = run.relative_to(folder)
    only = len(list(run.parent.glob(f"{_VERSION}*"))) == 1 and run.name.startswith(_VERSION) and run.parent != folder
    return str(relative.parent if only else relative)
