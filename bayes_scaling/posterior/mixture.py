"""Several laws at once: a mixture of fits by weights they have earned, predicted as one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr

from bayes_scaling import display
from bayes_scaling.errors import InvalidFit, InvalidInputs, InvalidRequest, OutOfRange, UnknownChoice, WrongPosterior
from bayes_scaling.files import make_folder, read_json, sealed_json, write_whole
from bayes_scaling.model.names import SAMPLE_DIMS
from bayes_scaling.posterior.fit import Fit, Kind, load_fit
from bayes_scaling.posterior.inputs import known_inputs
from bayes_scaling.posterior.methods import Answering
from bayes_scaling.posterior.predict import predict
from bayes_scaling.posterior.rows import predict_rows

WEIGHTS: Final = "weights.json"
"""File of a stored mixture that says what its fits weigh."""
_DRAWS: Final = 4000
_LONGEST_NAME: Final = 200


@dataclass(frozen=True, eq=False)
class Mixture(Answering):
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

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> mixture = Mixture({"one": example_fit(), "other": example_fit(draws=50)}, {"one": 0.7, "other": 0.3})
    >>> mixture.verdict
    'The posteriors passed every convergence check.'
    """

    fits: Mapping[str, Fit]
    weights: Mapping[str, float]

    def __post_init__(self) -> None:
        """Refuse weights that are none."""
        if not self.fits:
            raise InvalidInputs("A mixture needs fits, found none.")
        if set(self.fits) != set(self.weights):
            raise InvalidInputs(f"The weights are of {', '.join(self.weights)}, the fits of {', '.join(self.fits)}.")
        total = sum(self.weights.values())
        if not (min(self.weights.values()) >= 0 and abs(total - 1) <= 1e-6):
            raise OutOfRange(f"The weights add up to {total:.6g}: they have to be positive and add up to one.")
        units = {fit.loss_unit for fit in self.fits.values()}
        if len(units) > 1:
            raise InvalidInputs(f"The fits have losses in {' and '.join(sorted(units))}: one mixture has one unit.")

    @property
    def digest(self) -> str:
        """SHA-256 of what answers follow from: the fits and their weights."""
        return self._digest_of({name: fit.digest for name, fit in self.fits.items()})

    @property
    def model_digest(self) -> str:
        """SHA-256 of the models."""
        return self._digest_of({name: fit.model_digest for name, fit in self.fits.items()})

    def _digest_of(self, digests: Mapping[str, str]) -> str:
        stated = sorted((name, digest, self.weights[name]) for name, digest in digests.items())
        return hashlib.sha256(json.dumps(stated).encode()).hexdigest()

    @property
    def verdict(self) -> str:
        """A sentence on whether the fits that have weight have converged."""
        bad = [f"{name}: {fit.verdict}" for name, fit in self.parts.items() if not fit.converged]
        return " ".join(bad) if bad else "The posteriors passed every convergence check."

    @property
    def converged(self) -> bool:
        """Whether every fit that has weight passed its convergence checks."""
        return all(fit.converged for fit in self.parts.values())

    @property
    def adequacy(self) -> str:
        """A sentence on whether the fits that have weight describe the runs."""
        bad = [f"{name}: {fit.adequacy}" for name, fit in self.parts.items() if not fit.adequate]
        return " ".join(bad) if bad else "The models passed every check of adequacy."

    @property
    def adequate(self) -> bool:
        """Whether every fit that has weight passed its checks of adequacy."""
        return all(fit.adequate for fit in self.parts.values())

    @property
    def loss_unit(self) -> str:
        """Unit of every loss in and out."""
        return next(iter(self.fits.values())).loss_unit

    @property
    def parts(self) -> dict[str, Fit]:
        """The fits that have weight, by name."""
        return {name: fit for name, fit in self.fits.items() if self.weights[name] > 0}

    def __repr__(self) -> str:
        return f"<{self.sentence} {self.verdict}>"

    def _repr_html_(self) -> str:
        weights = pd.DataFrame(
            {"weight": self.weights, "law": {name: fit.model.only.law for name, fit in self.fits.items()}}
        )
        doubts = [] if self.adequate else [display.paragraph(self.adequacy, strong=True)]
        return "".join([display.paragraph(self.verdict, strong=not self.converged), *doubts, display.table(weights)])

    def as_kind(self, kinds: Collection[Kind], question: str) -> Mixture:
        """Return the mixture, or refuse a question that takes none."""
        if "mixture" in kinds:
            return self
        raise WrongPosterior(f"{question} takes no mixture of laws: give one of its fits, {', '.join(self.fits)}.")

    @property
    def sentence(self) -> str:
        """What it is a mixture of."""
        return f"A mixture of {', '.join(f'{name} ({weight:.2f})' for name, weight in self.weights.items())}."

    def save(self, folder: str | Path, *, full: bool = False) -> Path:
        """Write the mixture to a folder: a fit a file, in full or as it is kept by default, and the weights."""
        folder = Path(folder)
        make_folder(folder)
        (folder / WEIGHTS).unlink(missing_ok=True)  # until every fit is there, the folder is no mixture
        for name, fit in self.fits.items():
            fit.save(folder / f"{name}.nc", full=full)
        write_whole(folder / WEIGHTS, sealed_json({"weights": dict(self.weights)}))
        return folder


@predict.register
def _(mixture: Mixture, *, group: Mapping[str, str] | None = None, seed: int = 0, **inputs: Any) -> xr.Dataset:
    """Predict the loss of runs from every fit, each with the inputs and groups that it knows."""
    for column in (*inputs, *(group or {})):
        if not any(column in known_inputs(fit) or column in fit.model.group_columns for fit in mixture.fits.values()):
            raise UnknownChoice(f"No fit of the mixture takes {column!r}: leave it out.")
    return _mixed(
        mixture,
        lambda fit: predict(
            fit,
            group={column: label for column, label in (group or {}).items() if column in fit.model.group_columns},
            seed=seed,
            **{column: value for column, value in inputs.items() if column in known_inputs(fit)},
        ),
    )


@predict_rows.register
def _(mixture: Mixture, table: pd.DataFrame, *, seed: int = 0) -> xr.Dataset:
    """Predict every row of a table from every fit."""
    return _mixed(mixture, lambda fit: predict_rows(fit, table, seed=seed))


def _mixed(mixture: Mixture, predicted: Callable[[Fit], xr.Dataset]) -> xr.Dataset:
    """Return the draws of all laws in one chain: of each as many as its weight says, named by the coordinate ``form``."""
    parts = []
    for name, count in shared_draws(mixture.weights, _DRAWS).items():
        if count:
            drawn = predicted(mixture.fits[name]).stack(sample=SAMPLE_DIMS).drop_vars(["sample", *SAMPLE_DIMS])
            total = drawn.sizes["sample"]
            chosen = drawn.isel(sample=np.floor((np.arange(count) + 0.5) * total / count).astype(int))
            parts.append(chosen.assign_coords(form=("sample", [name] * count)))
    together = xr.concat(parts, dim="sample", combine_attrs="drop_conflicts", coords="minimal", compat="override")
    return together.rename(sample="draw").expand_dims("chain").transpose(*SAMPLE_DIMS, ...)


def load_mixture(folder: str | Path) -> Mixture:
    """Load a mixture from the folder :meth:`Mixture.save` wrote.

    Raises
    ------
    InvalidFit
        If it is none, or lacks a fit.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> mixture = Mixture({"one": example_fit(), "other": example_fit(draws=50)}, {"one": 0.7, "other": 0.3})
    >>> with TemporaryDirectory() as folder:
    ...     stored = mixture.save(f"{folder}/mixture")
    ...     print(load_mixture(f"{folder}/mixture").weights)
    {'one': 0.7, 'other': 0.3}
    """
    folder = Path(folder)
    try:
        weights = read_json(
            folder / WEIGHTS, _weights, what="mixture of fits", made_by=f"bayes-scaling weigh RUNS --out {folder}"
        )
    except InvalidRequest as error:
        raise InvalidFit(str(error)) from None
    return Mixture({name: load_fit(folder / f"{name}.nc") for name in weights}, weights)


def _weights(document: Any) -> dict[str, float]:
    """Return the weights of a stored mixture: positive numbers, by names of files in its folder."""
    weights = document["weights"]
    for name, weight in weights.items():
        if not name or len(name) > _LONGEST_NAME or Path(name).name != name:
            raise ValueError(f"{name[:40]!r} is not the name of a fit in the folder")
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight <= 1:
            raise ValueError(f"the weight of {name} is not a number from 0 to 1")
    if not weights:
        raise ValueError("it has no fits")
    return weights


def shared_draws(weights: Mapping[str, float], draws: int) -> dict[str, int]:
    """Share a number of draws by weights, the largest remainders up."""
    exact = {name: weight * draws for name, weight in weights.items()}
    counts = {name: int(value) for name, value in exact.items()}
    for name in sorted(exact, key=lambda n: counts[n] - exact[n])[: draws - sum(counts.values())]:
        counts[name] += 1
    return counts


def some_of(draws: np.ndarray, count: int) -> np.ndarray:
    """Return a number of draws along the last dimension, evenly spaced, some repeated where it is larger than theirs.

    >>> some_of(np.arange(6.0), 3).tolist()
    [1.0, 3.0, 5.0]
    """
    return draws[..., np.floor((np.arange(count) + 0.5) * draws.shape[-1] / count).astype(int)]
