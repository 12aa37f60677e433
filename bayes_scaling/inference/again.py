"""Does a second seed give the same posterior? A stored fit is sampled anew, and the means are compared.

Diagnostics of a sample see what its draws have visited. A second one, from other starts, can end elsewhere, and then
neither is to be relied on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr

from bayes_scaling.errors import InvalidRequest
from bayes_scaling.inference.engine import DRAWS
from bayes_scaling.inference.sample import fit_layout
from bayes_scaling.inference.settings import Settings
from bayes_scaling.model.names import SAMPLE_DIMS, is_log
from bayes_scaling.numerics import smoothed_weights
from bayes_scaling.posterior.effective import effective_sizes
from bayes_scaling.posterior.fit import Fit, scalars
from bayes_scaling.posterior.inputs import input_arrays
from bayes_scaling.posterior.predict import predict_at
from bayes_scaling.posterior.sound import refuse_lacking_rows
from bayes_scaling.quantities import training_compute

LARGEST_DIFFERENCE: Final = 0.2
"""Posterior standard deviations up to which two means agree: a 90 % interval moves by a sixteenth of its width.

Over thirteen seeds on one ladder of 26 runs the largest difference of 38 means was 0.05 to 0.12 standard deviations.
"""
MOST_ERRORS: Final = 4.0
"""Monte Carlo standard errors up to which a larger difference is one of two finite samples, and not of two posteriors."""
_FURTHER: Final = 10.0
_SETTINGS: Final = ("draws", "tune", "chains", "target_accept")
_SOURCES: Final = ("runs", "origin", "runs_digest", "curves_origin", "curves_digest")
_OF_THE_LOSS: Final = "log loss at 10 times the largest compute"


@dataclass(frozen=True, eq=False)
class SecondSeed:
    """A posterior sampled with a second seed, beside that of a fit.

    Parameters
    ----------
    fit : Fit
        The posterior that was sampled now.
    table : DataFrame
        A row for each parameter, and for the predicted loss: ``mean`` and ``sd`` of the fit, ``mean_again`` and
        ``sd_again`` of the second posterior; their difference in standard deviations, ``difference_sd``, and in Monte
        Carlo standard errors of the difference, ``difference_mcse``; ``agrees``. Positive numbers are compared by their logarithms.
    """

    fit: Fit
    table: pd.DataFrame

    @property
    def agrees(self) -> bool:
        """Whether every mean agrees: to a fifth of a standard deviation, or to four Monte Carlo standard errors."""
        return bool(self.table["agrees"].all())

    @property
    def sentence(self) -> str:
        """What came of it, the largest difference named, and whether the second posterior has converged."""
        size = self.table["difference_sd"].abs().fillna(np.inf)
        # Where a mean disagrees, the one to name is the furthest of those.
        worst = self.table.loc[(size if self.agrees else size.where(~self.table["agrees"])).idxmax()]
        by = f"{_number(worst['difference_sd'])} standard deviations"
        errors = f"{_number(worst['difference_mcse'])} Monte Carlo standard errors"
        if self.agrees:
            small = abs(worst["difference_sd"]) <= LARGEST_DIFFERENCE
            further = "" if small else f", which is within the Monte Carlo error ({errors}): more draws would say more"
            said = (
                f"A second seed agrees: the largest difference of a posterior mean is {by} ({worst['parameter']}){further}."
            )
        else:
            count = int((~self.table["agrees"]).sum())
            others = f" and {count - 1} more" if count > 1 else ""
            said = (
                f"A second seed does NOT agree, do not rely on this posterior: the mean of {worst['parameter']} differs by "
                f"{by}, {errors}{others}."
            )
        return said if self.fit.converged else f"{said} The second seed: {self.fit.verdict}"

    def to_dict(self) -> dict[str, Any]:
        """Return what a program reads."""
        return {
            "agrees": self.agrees,
            "sentence": self.sentence,
            "seed": self.fit.facts["seed"],
            "sampler": self.fit.facts["sampler"],
            "converged": self.fit.converged,
            "table": self.table.to_dict("records"),
        }


def check_again(fit: Fit, *, seed: int | None = None, progress: bool | None = None) -> SecondSeed:
    """Sample the posterior of a fit anew with another seed, and compare the means of both.

    Parameters
    ----------
    fit : Fit
        The fit; it is not changed.
    seed : int, optional
        The second seed; by default the one after that of the fit.
    progress : bool, optional
        Whether to show a progress bar; by default in a terminal and in Jupyter.

    Returns
    -------
    SecondSeed
        Whether both agree, in a sentence and in a table.

    Raises
    ------
    InvalidFit
        If the fit lacks the rows that its posterior was sampled from.
    InvalidRequest
        If the seed is that of the fit.

    Notes
    -----
    It is sampled as the fit was: by NUTS where that was used, by importance sampling otherwise, which NUTS follows where it
    is not exact enough. Of every loss that is predicted from compute, or from parameters and tokens, the run that took most
    compute is predicted ten times larger.
    """
    refuse_lacking_rows(fit.tree, fit.model)
    facts = fit.facts
    first = facts.get("seed")
    seed = (int(first or 0) + 1) % 2**63 if seed is None else seed
    if first is not None and seed == first:
        raise InvalidRequest(f"The fit was sampled with the seed {seed}, which gives the same draws: give another one.")
    sources = {name: facts[name] for name in _SOURCES if name in facts}
    second = fit_layout(fit.layout, _settings(facts, seed), sources, fit.card, progress=progress)
    return SecondSeed(second, _compared(fit, second))


def _number(difference: float) -> str:
    return np.format_float_positional(float(f"{abs(difference):.2g}"), trim="-")


def _settings(facts: Mapping[str, Any], seed: int) -> Settings:
    """Return how the fit was sampled, with another seed."""
    given = {name: facts[name] for name in _SETTINGS if facts.get(name) is not None}
    if facts.get("sampler") == "nuts":
        return Settings("nuts", seed, **given)
    if given.get("draws") == DRAWS:  # nobody asked for them, and NUTS may follow, which has a number of its own
        del given["draws"]
    return Settings("auto", seed, **given)


def _compared(fit: Fit, second: Fit) -> pd.DataFrame:
    """Return the means of two samples beside each other."""
    one, other = _draws(fit), _draws(second)
    labels = [label for label in one if label in other]
    first, again = (np.stack([draws[label] for label in labels], axis=-1) for draws in (one, other))
    with np.errstate(invalid="ignore", divide="ignore"):
        means, sds = [each.mean(axis=(0, 1)) for each in (first, again)], [each.std(axis=(0, 1)) for each in (first, again)]
        difference = means[1] - means[0]
        sd = np.sqrt((sds[0] ** 2 + sds[1] ** 2) / 2)
        error = np.sqrt(sds[0] ** 2 / _effective(fit, first) + sds[1] ** 2 / _effective(second, again))
        in_sds, in_errors = (np.where(difference == 0, 0.0, difference / scale) for scale in (sd, error))
    return pd.DataFrame(
        {
            "parameter": labels,
            "mean": means[0],
            "mean_again": means[1],
            "sd": sds[0],
            "sd_again": sds[1],
            "difference_sd": in_sds,
            "difference_mcse": in_errors,
            "agrees": (np.abs(in_sds) <= LARGEST_DIFFERENCE) | (np.abs(in_errors) <= MOST_ERRORS),
        }
    )


def _draws(fit: Fit) -> dict[str, np.ndarray]:
    """Return what is compared, by name: shape (chain, draw), the logarithms of what is positive."""
    posterior = fit.posterior
    shape = [posterior.sizes[dim] for dim in SAMPLE_DIMS]
    with np.errstate(divide="ignore", invalid="ignore"):
        draws = {n: (v if is_log(n) else np.log(v)).reshape(shape) for n, v in scalars(posterior)}
    for name, view in fit.views.items():
        largest = _larger(view)
        if largest is not None:
            columns, group = largest
            loss = predict_at(view, columns, group=group)["expected_loss"].transpose(*SAMPLE_DIMS)
            draws[_OF_THE_LOSS if fit.model.is_one else f"{_OF_THE_LOSS}, {name}"] = np.log(loss.values)
    return draws


def _larger(view: Fit) -> tuple[Mapping[str, Any], dict[str, str]] | None:
    """Return the run that took most compute, ten times larger, and its group; none where the law has no compute."""
    observation = view.model.only
    inputs = set(observation.columns.values())
    split = {"params", "tokens"} <= inputs
    if observation.output != "loss" or not (split or "compute_flops" in inputs):
        return None
    table = view.table
    compute = table["compute_flops"] if "compute_flops" in inputs else training_compute(table["params"], table["tokens"])
    row = table.loc[compute.idxmax()]
    factors = {"compute_flops": _FURTHER, "params": _FURTHER**0.5, "tokens": _FURTHER**0.5}
    needed = [column for column in observation.needs if column != "loss" and not (split and column == "compute_flops")]
    given = {column: float(row[column]) * factors.get(column, 1.0) for column in needed}
    return input_arrays(view, given), {column: str(row[column]) for column in view.groups.columns}


def _effective(fit: Fit, draws: np.ndarray) -> np.ndarray:
    """Return the effective sample size of the mean of each parameter: draws has shape (chain, draw, parameter)."""
    count, statistics = draws.shape[0] * draws.shape[1], fit.tree["sample_stats"].to_dataset()
    if "importance" in fit.tree and "walker" not in statistics:
        # Draws of older files that were resampled by weight: these are independent, and those were drawn from them.
        weights, _ = smoothed_weights(fit.tree["importance"].to_dataset()["log_ratio"].values)
        return np.full(draws.shape[-1], 1 / (1 / count + (weights**2).sum()))
    array = xr.DataArray(draws, dims=(*SAMPLE_DIMS, "parameter"))
    of_it = effective_sizes(array.to_dataset(name="draws"), statistics, ["mean"])
    sizes = of_it["mean"]["draws"] if of_it else np.full(draws.shape[-1], np.nan)
    return np.where(np.isfinite(sizes), sizes, count)
