"""Register forecasts of a fit, and score them against measured losses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Self

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, ValidationError, model_validator

from bayes_scaling import display
from bayes_scaling.errors import BadCells, InvalidInputs, InvalidLedger, OutOfRange, first_fault
from bayes_scaling.evaluation.clusters import doubt, once, plus_minus, share_error
from bayes_scaling.evaluation.ledger import append_all, read_ledger
from bayes_scaling.evaluation.scores import scored
from bayes_scaling.model.grouping import label_of
from bayes_scaling.posterior.extrapolation import reach
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.protocol import taking
from bayes_scaling.posterior.residuals import flat_draws
from bayes_scaling.posterior.rows import predict_rows
from bayes_scaling.quantities import BY_COLUMN
from bayes_scaling.questions.base import plain
from bayes_scaling.runs.validate import parse_cells

QUANTILES: Final = tuple(round(q, 3) for q in np.linspace(0.005, 0.995, 100))
"""Quantiles of a registered forecast: enough for every score."""
MOST_AT_ONCE: Final = 1000
"""Runs that are registered in one call: each has its correlation with all before it."""
_RUN: Final = "run_id"
_DRAWS: Final = 2000
_NULLS: Final = 4000


@taking("fit")
def register_forecasts(
    fit: Fit, runs: pd.DataFrame, path: str | Path, *, note: str = "", seed: int = 0
) -> list[dict[str, Any]]:
    """Register forecasts of runs in a ledger before they are measured, and return the entries; the last ``seal`` covers all.

    ``runs`` has one row a run: its ``run_id``, the law's inputs, and the model's grouping columns where it has any. The note is
    stored with each.

    Raises
    ------
    InvalidRequest
        If a run has no name, or is already registered from the same fit.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> planned = pd.DataFrame({"run_id": ["large"], "params": [7e10], "tokens": [1.4e12]})
    >>> with TemporaryDirectory() as folder:
    ...     entries = register_forecasts(example_fit(), planned, f"{folder}/ledger.jsonl", note="before training")
    >>> entries[0]["run_id"], entries[0]["loss_unit"]
    ('large', 'nats/token')
    """
    if _RUN not in runs or runs[_RUN].isna().any() or runs[_RUN].duplicated().any():
        raise InvalidInputs(f"Every run to forecast needs a {_RUN} of its own, which identifies it when it is measured.")
    if len(runs) > MOST_AT_ONCE:
        raise OutOfRange(
            f"{len(runs):,} runs are to be forecast: at most {MOST_AT_ONCE:,} are registered at once, since the ledger stores the "
            f"correlation of any two of them."
        )
    names, digest = [label_of(name) for name in runs[_RUN]], fit.digest
    draws = flat_draws(predict_rows(fit, runs, seed=seed)["measured_loss"])
    together = np.corrcoef(draws.argsort(axis=0).argsort(axis=0).T).reshape(len(names), len(names))
    columns = dict.fromkeys((*fit.model.only.columns.values(), *fit.model.group_columns, "compute_flops"))
    inputs = runs[[column for column in columns if column in runs]]
    added = []
    for number, (name, row) in enumerate(zip(names, inputs.to_dict("records"), strict=True)):
        given = {str(column): None if pd.isna(value) else plain(value) for column, value in row.items()}
        reaches = {c: reach(fit, c, value) for c, value in given.items() if c in BY_COLUMN and c in fit.table and value}
        added.append(
            {
                "run_id": name,
                "inputs": given,
                "quantiles": [float(f"{q:.6g}") for q in np.quantile(draws[:, number], QUANTILES)],
                # Forecasts of one call are correlated by the posterior: rank correlation with those before.
                "together": together[number, :number].round(3).tolist(),
                "loss_unit": fit.loss_unit,
                "reach": {column: round(float(decades), 3) for column, decades in reaches.items()},
                "converged": fit.converged,
                "fit": digest,
                "runs": fit.facts["runs"],
                "model": fit.model.digest,
                "note": note,
            }
        )

    def unless_there(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
        registered = {entry.get(_RUN) for entry in entries if entry.get("fit") == digest}
        repeated = [name for name in names if name in registered]
        if repeated:
            raise InvalidInputs(
                f"The ledger has a forecast of {', '.join(repeated)} from this fit already: a run is registered once per fit."
            )
        return added

    return append_all(path, unless_there)


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores of registered forecasts, and the registered runs that are not measured yet.

    ``table`` has one row a forecast that was measured: ``run_id``, ``written``, ``loss``, ``median``, ``lower`` and ``upper`` of
    90 %, and the scores of :func:`~bayes_scaling.evaluation.scores.scored`, which are of the log loss.
    """

    table: pd.DataFrame
    waiting: list[str]

    def _repr_html_(self) -> str:
        return display.paragraph(self.sentence) + display.table(
            self.table.drop(columns="together", errors="ignore"), index=False
        )

    @property
    def drift(self) -> tuple[float, float]:
        """The mean PIT, and the p-value of its distance from one half.

        Forecasts of one call are correlated, as registered with them. Those of one fit that were registered by several calls
        are, too, by how much is not known: they count as one. Each run counts once, by its first forecast. Neither is a number as
        long as no run has been measured.
        """
        if self.table.empty:
            return float("nan"), float("nan")
        once = self.table.drop_duplicates("run_id")
        pit, fits = once["pit"].to_numpy(float), once["fit"].to_numpy()
        correlation = (fits[:, None] == fits).astype(float)
        place = {number: n for n, number in enumerate(once["number"])}
        for n, (number, together) in enumerate(zip(once["number"], once["together"], strict=True)):
            for back, r in enumerate(reversed(together), start=1):
                other = place.get(number - back)
                if other is not None:
                    correlation[n, other] = correlation[other, n] = 2 * np.sin(np.pi * r / 6)  # of the Normal scores
        values, vectors = np.linalg.eigh(correlation)
        root = vectors * np.sqrt(np.clip(values, 0, None))
        from scipy.special import ndtr  # some tenths of a second that a stored fit is queried without

        chance = ndtr(np.random.default_rng(0).standard_normal((_NULLS, len(pit))) @ root.T).mean(axis=1)
        return float(pit.mean()), float((np.abs(chance - 0.5) >= abs(pit.mean() - 0.5)).mean())

    @property
    def sentence(self) -> str:
        """The scores in a sentence."""
        count = len(self.table)
        waiting = f" Not measured yet: {', '.join(self.waiting)}." if self.waiting else ""
        if not count:
            return f"None of the registered runs has been measured.{waiting}"
        weights, fits = once(self.table["run_id"]), self.table["fit"]
        errors = {prob: share_error(self.table[f"inside_{prob}"], weights, [fits]) for prob in (0.9, 0.5)}
        covered = ", ".join(
            f"{100 * prob:.0f} % intervals covered {int(self.table[f'inside_{prob}'].sum())} of {count}{plus_minus(error, 'fits')}"
            for prob, error in errors.items()
        )
        mean, p = self.drift
        way = "above" if mean > 0.5 else "below"
        drift = f" Measured losses drift {way} the forecasts (mean PIT {mean:.2f}, p-value {p:.3f})." if p < 0.05 else ""
        return (
            f"{covered}; interval score of the log loss {self.table['interval_score_0.9'].mean():.3g}. "
            f"{doubt(fits.nunique(), 'fits')}{drift}{waiting}"
        )


def score_forecasts(
    path: str | Path, measured: pd.DataFrame, *, last: str | None = None, loss_unit: str | None = None
) -> Scores:
    """Compare the forecasts of a ledger, in the order they were made, with the measured losses of the ends of runs.

    ``measured`` has ``run_id`` and ``loss``, in ``loss_unit``: by default that of the column ``loss_unit``, or of the forecasts.
    Every seal is verified; ``last`` is a published one, which must be in the ledger.

    Raises
    ------
    InvalidRequest
        If the ledger was changed, or the table has no run_id and loss.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> planned = pd.DataFrame({"run_id": ["large"], "params": [7e10], "tokens": [1.4e12]})
    >>> with TemporaryDirectory() as folder:
    ...     entries = register_forecasts(example_fit(), planned, f"{folder}/ledger.jsonl", note="before training")
    ...     scores = score_forecasts(f"{folder}/ledger.jsonl", pd.DataFrame({"run_id": ["large"], "loss": [1.97]}))
    >>> scores.table["inside_0.9"].tolist()
    [True]
    """
    entries = [_read(entry, path) for entry in read_ledger(path, last=last)]
    if not {_RUN, "loss"} <= set(measured):
        raise InvalidInputs(f"Measured runs need the columns {_RUN} and loss; found {', '.join(map(str, measured))}.")
    ends = (measured[~_checkpoints(measured)] if "checkpoint" in measured else measured).dropna(subset=["loss", _RUN])
    names = ends[_RUN].map(label_of)
    if names.duplicated().any():
        raise InvalidInputs(f"The run {names[names.duplicated()].iloc[0]} has several measured losses: keep the last one.")
    measured_runs = dict(zip(names, ends.to_dict("records"), strict=True))
    rows = []
    for entry in entries:
        run = measured_runs.get(entry[_RUN])
        if run is None:
            continue
        unit = loss_unit if loss_unit is not None else run.get("loss_unit", entry["loss_unit"])
        if unit != entry["loss_unit"]:
            raise InvalidInputs(
                f"The forecast of {entry[_RUN]} is in {entry['loss_unit']}, the measured loss in {unit}: convert them to one unit."
            )
        rows.append(_scored(entry, float(run["loss"])))
    waiting = dict.fromkeys(entry[_RUN] for entry in entries if entry[_RUN] not in measured_runs)
    return Scores(pd.DataFrame(rows), list(waiting))


def _checkpoints(measured: pd.DataFrame) -> pd.Series:
    """Return which measured losses are of points along a run; words for true and false are read, others refused."""
    read, bad = parse_cells(measured[["checkpoint"]])
    if bad:
        raise BadCells("The measured runs cannot be read:", bad)
    return read["checkpoint"]


class _Entry(BaseModel):
    """A registered forecast, as far as it is scored."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    number: Annotated[int, Field(ge=0)]
    written: str
    run_id: str
    quantiles: Annotated[list[PositiveFloat], Field(min_length=len(QUANTILES), max_length=len(QUANTILES))]
    together: list[Annotated[float, Field(ge=-1, le=1)]]
    loss_unit: str
    fit: str

    @model_validator(mode="after")
    def _quantiles_rise(self) -> Self:
        if sorted(self.quantiles) != self.quantiles:
            raise ValueError("its quantiles do not rise")
        return self


def _read(entry: dict[str, Any], path: str | Path) -> dict[str, Any]:
    """Return an entry of a ledger that is a forecast, or refuse the ledger."""
    try:
        _Entry.model_validate(entry)
    except ValidationError as error:
        raise InvalidLedger(f"The ledger {path} has an entry that is not a forecast: {first_fault(error)}.") from None
    return entry


def _draws(levels: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return equally likely draws of what has these quantiles, tails as those of a Normal distribution.

    >>> draws = _draws(np.array([0.25, 0.5, 0.75]), np.array([-0.6745, 0.0, 0.6745]))
    >>> float(round(draws.std(), 2)), float(round(draws.max(), 1))
    (1.0, 3.5)
    """
    from scipy.special import ndtri  # some tenths of a second that a stored fit is queried without

    z, at = ndtri((np.arange(_DRAWS) + 0.5) / _DRAWS), ndtri(levels)
    first, last = ((values[n + 1] - values[n]) / (at[n + 1] - at[n]) for n in (0, -2))
    return np.interp(z, at, values) + first * np.minimum(z - at[0], 0) + last * np.maximum(z - at[-1], 0)


def _scored(entry: Mapping[str, Any], loss: float) -> dict[str, Any]:
    if not (np.isfinite(loss) and loss > 0):
        raise InvalidInputs(f"The measured loss of {entry['run_id']} is {loss:g}: it has to be a positive number.")
    levels, values = np.array(QUANTILES), np.array(entry["quantiles"])
    draws = _draws(levels, np.log(values))
    scores = scored(np.log([loss]), draws[:, None]).iloc[0]
    median, lower, upper = np.interp([0.5, 0.05, 0.95], levels, values)
    row = {name: entry[name] for name in ("run_id", "written", "number", "together", "fit")}
    return row | {"loss": loss} | scores.to_dict() | {"median": median, "lower": lower, "upper": upper}
