"""MLflow: the runs of every experiment of a file store, a database or a server."""

from __future__ import annotations

import logging
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pandas as pd

from bayes_scaling.errors import MissingSource, NoRows, UnreadableSource
from bayes_scaling.runs.logged import Logged, of_runs, points_of
from bayes_scaling.runs.readers import need, quiet, reader

_WHY: Final = "to read runs of MLflow"
_ALLOWED: Final = "MLFLOW_ALLOW_FILE_STORE"


@reader("/", kind="mlflow")
def read_file_store(folder: Path) -> Logged | None:
    """Read folders of MLflow: a file store, ``mlruns``, or one that holds it or a database ``mlflow.db``."""
    for below in (folder, folder / "mlruns"):
        if any(below.glob("*/meta.yaml")):
            return _logged(below.resolve().as_uri(), f"the file store of MLflow {below.name}")
    return next((read_database(path) for path in sorted(folder.glob("*.db")) if _is_database(path)), None)


@reader("db", "sqlite", kind="mlflow")
def read_database(path: Path) -> Logged | None:
    """Read a SQLite database of MLflow: its runs.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from mlflow.tracking import MlflowClient
    >>> import bayes_scaling as bs
    >>> with TemporaryDirectory() as folder, quiet():
    ...     path = Path(folder, "mlflow.db")
    ...     client = MlflowClient(f"sqlite:///{path}")
    ...     run = client.create_run("0", run_name="17M").info.run_id
    ...     for step, loss in ((1000, 3.9), (2000, 3.5)):
    ...         client.log_metric(run, "val_loss", loss, step=step)
    ...     client.set_terminated(run)
    ...     collected = bs.readers.read_mlflow(path, facts={"batch_tokens": 65536})
    >>> collected.runs.table[["run_id", "params", "tokens", "loss"]].values.tolist()
    [['17M', 17000000.0, 131072000.0, 3.5]]
    """
    return _logged(f"sqlite:///{path.resolve()}", f"the database of MLflow {path.name}") if _is_database(path) else None


@reader("sqlite:", "http:", "https:", kind="mlflow")
def read_server(address: str) -> Logged:
    """Read a database or a server of MLflow by its address: its runs."""
    if address.startswith("sqlite:") and not Path(address.removeprefix("sqlite:///")).is_file():
        raise MissingSource(
            f"There is no database {address.removeprefix('sqlite:///')}: give the path of one after sqlite:///."
        )
    return _logged(address, f"the runs of MLflow at {address}")


def _is_database(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(15) == b"SQLite format 3"


def _logged(address: str, what: str) -> Logged:
    """Return all runs that are not deleted, of all experiments, with every point of their metrics."""
    with quiet(), _file_stores_allowed():
        return _read(address, what)


@contextmanager
def _file_stores_allowed() -> Generator[None]:
    """Let MLflow open a file store, which it does not by itself any more."""
    before = os.environ.get(_ALLOWED)
    os.environ[_ALLOWED] = "true"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_ALLOWED]
        else:
            os.environ[_ALLOWED] = before


def _read(address: str, what: str) -> Logged:
    tracking: Any = need("mlflow.tracking", "mlflow", _WHY)
    if address.startswith("sqlite"):
        need("sqlalchemy", "mlflow", "to read a database of MLflow")
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        client = tracking.MlflowClient(tracking_uri=address)
        experiments = client.search_experiments()
        runs = [(name, run, _points(client, run)) for name, run in _runs_of(client, experiments)]
    except Exception as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UnreadableSource(f"{what[0].upper()}{what[1:]} cannot be read: {first}.") from None
    if not runs:
        raise NoRows(f"{what[0].upper()}{what[1:]} has no runs.")
    names = [run.info.run_name or run.info.run_id for _, run, _ in runs]
    entries = []
    for (experiment, run, points), name in zip(runs, names, strict=True):
        fields = {"state": run.info.status, "experiment": experiment, **run.data.params, **run.data.metrics}
        entries.append((name if names.count(name) == 1 else f"{name} ({run.info.run_id})", fields, points))
    return of_runs(f"{what}, {len(runs)} run{'s' * (len(runs) > 1)}", entries)


def _runs_of(client: Any, experiments: Any) -> Iterator[tuple[str, Any]]:
    """Give the runs of experiments, page by page, with the name of theirs."""
    for experiment in experiments:
        token = None
        while token != "":
            page = client.search_runs([experiment.experiment_id], page_token=token)
            yield from ((experiment.name, run) for run in page)
            token = page.token or ""


def _points(client: Any, run: Any) -> pd.DataFrame:
    """Return every point of every metric of a run; those logged once, at step zero, are of the run alone."""
    at: dict[int, dict[str, object]] = {}
    for metric in run.data.metrics:
        history = client.get_metric_history(run.info.run_id, metric)
        if len(history) > 1 or history[0].step:
            for point in history:
                at.setdefault(point.step, {})[metric] = point.value
    return points_of([{"step": step, **values} for step, values in sorted(at.items())])
