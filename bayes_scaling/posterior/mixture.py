"""Several laws at once: a mixture of fits by weights they have earned, predicted as one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr

from bayes_scaling.errors import InvalidFit, InvalidRequest
from bayes_scaling.files import make_folder, write_whole
from bayes_scaling.model.names import SAMPLE_DIMS
from bayes_scaling.posterior.fit import Fit, load_fit
from bayes_scaling.posterior.inputs import known_inputs
from bayes_scaling.posterior.predict import intervals
from bayes_scaling.posterior.rows import appended, predict_rows

WEIGHTS: Final = "weights.json"
"""File of a stored mixture that says what its fits weigh."""
_DRAWS: Final = 4000


@dataclass(frozen=True, eq=False)
class Mixture:
    """Fits of the same runs by different laws, and what each weighs.

    Parameters
    ----------
    fits : mapping of str to Fit
        The fits.
    weights : mapping of str to float
        Their weights, which add up to one: earned, see :func:`~bayes_scaling.weigh`, and never equal by default.

    Raises
    ------
    InvalidRequest
        If weights are not those of the fits, or do not add up to one.
    """

    fits: Mapping[str, Fit]
    weights: Mapping[str, float]

    def __post_init__(self) -> None:
        """Refuse weights that are none."""
        if set(self.fits) != set(self.weights):
            raise InvalidRequest(f"The weights are of {', '.join(self.weights)}, the fits of {', '.join(self.fits)}.")
        total = sum(self.weights.values())
        if min(self.weights.values()) < 0 or abs(total - 1) > 1e-6:
            raise InvalidRequest(f"The weights add up to {total:.6g}: they have to be positive and add up to one.")
        units = {fit.loss_unit for fit in self.fits.values()}
        if len(units) > 1:
            raise InvalidRequest(f"The fits have losses in {' and '.join(sorted(units))}: one mixture has one unit.")

    @property
    def verdict(self) -> str:
        """Whether the posteriors are to be believed: the worst verdict of a fit that has weight."""
        bad = [f"{name}: {fit.verdict}" for name, fit in self.fits.items() if not fit.converged and self.weights[name] > 0]
        return " ".join(bad) if bad else "The posteriors passed every convergence check."

    @property
    def converged(self) -> bool:
        """Whether every fit that has weight passed its convergence checks."""
        return all(fit.converged for name, fit in self.fits.items() if self.weights[name] > 0)

    @property
    def loss_unit(self) -> str:
        """Unit of every loss in and out."""
        return next(iter(self.fits.values())).loss_unit

    def takes(self, column: str) -> bool:
        """Whether a fit of the mixture knows a column: as an input, or as one its parameters vary by."""
        return any(column in known_inputs(fit) or column in fit.model.group_columns for fit in self.fits.values())

    @property
    def sentence(self) -> str:
        """What it is a mixture of."""
        return f"A mixture of {', '.join(f'{name} ({weight:.2f})' for name, weight in self.weights.items())}."

    def predict_rows(self, table: pd.DataFrame, *, seed: int = 0) -> xr.Dataset:
        """Predict every row of a table.

        Returns
        -------
        Dataset, dims (chain, draw, row)
            As :func:`~bayes_scaling.posterior.rows.predict_rows`, in one chain; each law has as many draws as its weight says,
            and the coordinate ``form`` names it.
        """
        parts = []
        for name, count in shared_draws(self.weights, _DRAWS).items():
            if count:
                found = predict_rows(self.fits[name], table, seed=seed)
                drawn = found.stack(sample=SAMPLE_DIMS).drop_vars(["sample", *SAMPLE_DIMS])
                total = drawn.sizes["sample"]
                chosen = drawn.isel(sample=np.floor((np.arange(count) + 0.5) * total / count).astype(int))
                parts.append(chosen.assign_coords(form=("sample", [name] * count)))
        together = xr.concat(parts, dim="sample", combine_attrs="drop_conflicts", coords="minimal", compat="override")
        return together.rename(sample="draw").expand_dims("chain").transpose(*SAMPLE_DIMS, ...)

    def predict_table(self, table: pd.DataFrame, *, prob: float = 0.9, seed: int = 0) -> pd.DataFrame:
        """Predict every row of a table and append the intervals: as :func:`~bayes_scaling.predict_table`."""
        return appended(table, intervals(self.predict_rows(table, seed=seed), prob))

    def save(self, folder: str | Path) -> Path:
        """Write the mixture to a folder: a fit a file, and the weights."""
        folder = Path(folder)
        make_folder(folder)
        for name, fit in self.fits.items():
            fit.save(folder / f"{name}.nc")
        write_whole(folder / WEIGHTS, json.dumps({"weights": dict(self.weights)}, indent=1))
        return folder


def load_mixture(folder: str | Path) -> Mixture:
    """Load a mixture from the folder :meth:`Mixture.save` wrote.

    Raises
    ------
    InvalidFit
        If it is none, or lacks a fit.
    """
    folder = Path(folder)
    try:
        weights: dict[str, Any] = json.loads((folder / WEIGHTS).read_text(encoding="utf-8"))["weights"]
    except (OSError, ValueError, KeyError, TypeError):
        raise InvalidFit(
            f"{folder} is no mixture of fits: make one with `bayes-scaling weigh RUNS --out {folder}`."
        ) from None
    fits: dict[str, Fit] = {}
    for name in weights:
        fits[name] = load_fit(folder / f"{name}.nc")
    return Mixture(fits, weights)


def shared_draws(weights: Mapping[str, float], draws: int) -> dict[str, int]:
    """Share a number of draws by weights, the largest remainders up."""
    exact = {name: weight * draws for name, weight in weights.items()}
    counts = {name: int(value) for name, value in exact.items()}
    for name in sorted(exact, key=lambda n: counts[n] - exact[n])[: draws - sum(counts.values())]:
        counts[name] += 1
    return counts
