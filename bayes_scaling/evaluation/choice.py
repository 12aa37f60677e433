"""Choice of a law by forecasts: where a table allows several, those that forecast its own larger runs well are mixed.

Candidates are the shipped laws that earned weight on held-out larger runs of public ladders. Of laws of N and D these are
kappa and Farseer's. Over six ladders, weighed at each cut by the forecasts before it, the mixture's interval score was a
fifth of kappa's on one, a tenth and a third above it on two, and even on three. With fewer than ten forecast runs kappa is
fitted alone; that number was chosen on these same ladders, and with fifteen the gain is gone. The additive law and the law
with a ceiling earned next to nothing. Where tokens were repeated, the law with a penalty for it (``repeated_penalty``) had
half the interval score of kappa.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

from bayes_scaling import display
from bayes_scaling.errors import InvalidRequest
from bayes_scaling.evaluation.origins import resource_of, rolling_origins
from bayes_scaling.evaluation.weights import Weights, weigh
from bayes_scaling.inference.sample import fit, simplified
from bayes_scaling.model.document import default_model, read_model
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.mixture import Mixture
from bayes_scaling.runs.catalog import runs_from
from bayes_scaling.runs.table import RunTable

_BESIDE: Final = {"kappa": ("farseer",)}
"""Shipped models that a choice is between beside the default one of the columns."""
_REPEATED: Final = {"kappa": ("repeated_penalty",)}
"""Those that join where some runs saw their distinct tokens more than once."""
_ONCE: Final = 1.05
"""Epochs up to which tokens count as seen once."""
_FEWEST: Final = 10
"""Forecast runs below which weights chose no better than the default model."""
_LEAST_WEIGHT: Final = 0.05
"""Weight below which a law is left out of the mixture."""


@dataclass(frozen=True, eq=False)
class Choice:
    """What forecasts chose: a fit of one law or a mixture of several, the weights where there are any, and why, in a sentence.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> Choice(example_fit(), None, "Too few runs to weigh laws.").posterior.model.law
    'chinchilla'
    """

    posterior: Fit | Mixture
    weights: Weights | None
    sentence: str

    def _repr_html_(self) -> str:
        return display.paragraph(self.sentence) + self.posterior._repr_html_()


def candidates(table: pd.DataFrame) -> tuple[str, ...]:
    """Return the shipped models that a choice is between for a table, the default one first.

    >>> candidates(pd.DataFrame({"params": [1e8], "tokens": [4e9]}))
    ('kappa', 'farseer')
    >>> candidates(pd.DataFrame({"params": [1e8], "tokens": [4e9], "dataset_tokens": [1e9]}))
    ('kappa', 'farseer', 'repeated_penalty')
    """
    default = default_model(table)
    names = (default, *_BESIDE.get(default, ()))
    whole = "dataset_tokens" in table and bool(table["dataset_tokens"].notna().all())
    repeats = whole and bool((table["tokens"] > _ONCE * table["dataset_tokens"]).any())
    return (*names, *_REPEATED.get(default, ())) if repeats else names


def choose(
    runs: RunTable | pd.DataFrame | str | Path,
    *,
    over: str | None = None,
    per_decade: int = 2,
    least: int = 15,
    discrepancy: bool = True,
    robust: bool = True,
    workers: int = 1,
    store: str | Path | None = None,
    seed: int = 0,
    progress: bool | None = None,
    **settings: Any,
) -> Choice:
    """Choose laws by their forecasts of a table's own larger runs, and fit them to the whole table.

    Parameters
    ----------
    runs : RunTable, DataFrame, path or str
        Measured runs.
    over : str, optional
        Column of the resource along which larger runs are held out; by default compute, or the one the law has.
    per_decade, least, workers, store
        As for :func:`~bayes_scaling.backtest`.
    discrepancy, robust, seed, progress, **settings
        As for :func:`~bayes_scaling.fit`; each law is fitted once for every cut.

    Returns
    -------
    Choice
        A fit where one law has all the weight, or too few runs can be forecast to tell.

    Examples
    --------
    >>> import bayes_scaling as bs
    >>> runs = bs.load_runs("ladder").where("series == 'size'").where("params < 1e5")
    >>> print(choose(runs, over="params", draws=200, progress=False).sentence)
    kappa was fitted: kappa and farseer cannot be weighed by forecasts. No cut of params leaves 15 of the 7 runs ...
    """
    table = runs_from(runs)
    names = candidates(table.table)
    models = {name: simplified(read_model(name), discrepancy=discrepancy, robust=robust) for name in names}
    resource = over or resource_of(table.table, models[names[0]].only.columns.values())
    cuts: dict[str, Any] = {"over": resource, "per_decade": per_decade, "least": least}
    weights, reason = None, _reason(table, names, cuts)
    if reason:
        kept, sentence = {names[0]: 1.0}, f"{names[0]} was fitted: {reason}."
    else:
        weights = weigh(table, models, seed=seed, workers=workers, store=store, progress=progress, **cuts)
        kept, sentence = _kept(weights.weights), weights.sentence
    fits = {name: fit(table, models[name], seed=seed, progress=progress, **settings) for name in kept}
    posterior = Mixture(fits, kept) if len(fits) > 1 else next(iter(fits.values()))
    return Choice(posterior, weights, sentence)


def _reason(table: RunTable, names: tuple[str, ...], cuts: Mapping[str, Any]) -> str:
    """Return why the first of several laws is not to be weighed against the others; nothing where it is."""
    if len(names) == 1:
        return "it is the only shipped model for these columns"
    try:
        ahead = {run for origin in rolling_origins(table.table, **cuts) for run in origin.ahead}
    except InvalidRequest as error:
        return f"{' and '.join(names)} cannot be weighed by forecasts. {str(error).removesuffix('.')}"
    if len(ahead) < _FEWEST:
        return f"{len(ahead)} runs could be forecast, fewer than the {_FEWEST} needed to tell {' and '.join(names)} apart"
    return ""


def _kept(weights: Mapping[str, float]) -> dict[str, float]:
    """Return the weights worth a fit, which add up to one.

    >>> _kept({"kappa": 0.96, "farseer": 0.04})
    {'kappa': 1.0}
    """
    large = {name: weight for name, weight in weights.items() if weight >= _LEAST_WEIGHT}
    return {name: weight / sum(large.values()) for name, weight in large.items()}
