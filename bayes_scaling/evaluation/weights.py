"""Stacking weights of several laws by their forecasts of held-out larger runs."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from bayes_scaling.errors import MissingOption
from bayes_scaling.evaluation.backtest import backtest
from bayes_scaling.evaluation.clusters import mean_error, once
from bayes_scaling.evaluation.compare import left_out
from bayes_scaling.evaluation.origins import resource_of
from bayes_scaling.evaluation.result import Result
from bayes_scaling.evaluation.trial import on_trial
from bayes_scaling.files import sealed_json
from bayes_scaling.model.document import Model
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.runs.table import RunTable
from bayes_scaling.runs.to_fit import runs_to_fit

_STEPS: Final = 2000


@dataclass(frozen=True, eq=False)
class Weights(Result):
    """Stacking weights of several models by their forecasts of larger runs.

    Of tables too small for that, by each run left out of the others: see :func:`weigh_left_out`.

    ``table`` has one row a model, best first: ``weight`` in a mixture; ``log_score``, the mean log density of a larger run's log
    loss; ``difference`` to the best and ``difference_se``, its standard error by cuts and runs. ``facts`` are the runs and cuts they are based on.

    Examples
    --------
    >>> Weights(pd.DataFrame({"model": ["kappa", "farseer"], "weight": [0.8, 0.2]}), {"cuts": 3}).weights
    {'kappa': 0.8, 'farseer': 0.2}
    """

    table: pd.DataFrame
    facts: dict[str, Any]

    @property
    def weights(self) -> dict[str, float]:
        """Weight of each model; they sum to one."""
        return self.table.set_index("model")["weight"].to_dict()

    @property
    def sentence(self) -> str:
        """The weights in a sentence."""
        listed = ", ".join(f"{name} {weight:.2f}" for name, weight in self.weights.items())
        if not self.facts["cuts"]:
            rough = f", {unreliable} of them roughly" if (unreliable := self.facts["unreliable"]) else ""
            return (
                f"Stacking weights from leaving out each of {self.facts['runs_forecast']} runs of {self.facts['runs']}{rough}, as "
                f"they are too few to forecast larger ones from smaller: {listed}."
            )
        return (
            f"Stacking weights from {self.facts['runs_forecast']} larger runs of {self.facts['runs']}, forecast at "
            f"{self.facts['cuts']} cuts: {listed}."
        )

    @property
    def tables(self) -> Mapping[str, pd.DataFrame]:
        """The one table."""
        return {"table": self.table}

    def to_json(self) -> str:
        """Return weights, table and facts as JSON."""
        return sealed_json({**json.loads(super().to_json()), "weights": self.weights})


def weigh(
    runs: RunTable | pd.DataFrame | str | Path,
    models: Mapping[str, str | Path | Model] | Collection[str],
    *,
    over: str | None = None,
    per_decade: int = 2,
    **settings: Any,
) -> Weights:
    """Weigh models by how well each forecasts a table's own larger runs from its smaller ones.

    Stacking (Yao, Vehtari, Simpson and Gelman 2018) on the log score of runs ahead of every cut, instead of leave-one-out:
    interpolation does not distinguish laws that extrapolate differently.

    Parameters
    ----------
    runs : RunTable, DataFrame, path or str
        Measured runs.
    models : mapping of str to model, or collection of str
        At least two models of one law, by name.
    over : str, optional
        Column of the resource along which larger runs are held out; by default compute, or the one the law has.
    per_decade : int
        Cuts per decade.
    **settings
        As for :func:`~bayes_scaling.backtest`: how many runs are left at a cut, how to sample, workers, store.

    Returns
    -------
    Weights
        Weights that sum to one.

    Raises
    ------
    InvalidRequest
        If there are fewer than two models, or no cut leaves enough runs.

    Examples
    --------
    >>> import bayes_scaling as bs
    >>> runs = bs.load_runs("ladder").where("series == 'size'")
    >>> settings = {"over": "params", "per_decade": 1, "least": 4, "draws": 200, "progress": False}
    >>> {name: round(weight, 2) for name, weight in weigh(runs, ["kaplan_n", "offset_n"], **settings).weights.items()}
    {'offset_n': 1.0, 'kaplan_n': 0.0}
    """
    named = dict(models) if isinstance(models, Mapping) else {name: name for name in models}
    if len(named) < 2:
        raise MissingOption("Give at least two models: a single model has weight 1.")
    specs = {name: on_trial(runs, model, "a weight")[1] for name, model in named.items()}
    table = runs_to_fit(runs, dict.fromkeys(column for spec in specs.values() for column in spec.needs))
    inputs = [column for spec in specs.values() for column in spec.only.columns.values()]
    cuts_along = {"over": over or resource_of(table.table, inputs), "per_decade": per_decade}
    scores = {
        name: backtest(table, spec, baselines=False, **cuts_along, **settings).predictions.set_index(["cut", "row", "run"])[
            "log_score"
        ]
        for name, spec in specs.items()
    }
    score = pd.DataFrame(scores)
    # A loss ahead of several cuts counts once.
    cuts, rows_ahead, runs_ahead = (score.index.get_level_values(name) for name in score.index.names)
    facts = {
        "runs": table.name,
        "runs_digest": table.digest,
        "runs_forecast": int(runs_ahead.nunique()),
        "cuts": int(cuts.nunique()),
    }
    return _weights(score, once(rows_ahead), [cuts, runs_ahead], facts)


def weigh_left_out(fits: Mapping[str, Fit]) -> Weights:
    """Weigh fits of one table by each run left out of the others, where it has too few to forecast larger ones.

    Stacking on the densities of :func:`~bayes_scaling.compare`: of interpolation, which tells laws less well apart.

    Parameters
    ----------
    fits : mapping of str to Fit
        At least two fits of the same rows.

    Returns
    -------
    Weights
        Weights that sum to one.

    Raises
    ------
    InvalidRequest
        As :func:`~bayes_scaling.compare`.

    Examples
    --------
    >>> import bayes_scaling as bs
    >>> runs = bs.load_runs("ladder").where("series == 'size'")
    >>> fits = {name: bs.fit(runs, name, seed=2, draws=400, progress=False) for name in ("kaplan_n", "offset_n")}
    >>> {name: round(weight) for name, weight in weigh_left_out(fits).weights.items()}
    {'offset_n': 1, 'kaplan_n': 0}
    """
    score, estimates = left_out(fits)
    unreliable = max(int((loo.pareto_k > loo.good_k).sum()) for loo in estimates.values())
    known = next(iter(fits.values())).facts
    facts = {"runs": known["runs"], "runs_digest": known.get("runs_digest"), "runs_forecast": len(score), "cuts": 0}
    return _weights(score, np.ones(len(score)), [score.index], facts | {"unreliable": unreliable})


def _weights(score: pd.DataFrame, share: np.ndarray, clusters: list[Any], facts: dict[str, Any]) -> Weights:
    """Return the weights for log densities, a row a forecast and a column a model."""
    mean = score.mul(share, axis=0).sum() / share.sum()
    difference = score.sub(score[mean.idxmax()], axis=0)
    rows = {"weight": stacked(score.to_numpy(), share), "log_score": mean, "difference": mean - mean.max()}
    errors = {name: mean_error(column, share, clusters) for name, column in difference.items()}
    weights = pd.DataFrame({**rows, "difference_se": pd.Series(errors)})
    return Weights(weights.sort_values("log_score", ascending=False).reset_index(names="model"), facts)


def stacked(score: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Return the weights of the mixture with the best log score, by expectation-maximisation of a concave function.

    Log densities have the shape (forecast, model), the weights of forecasts (forecast,).

    Examples
    --------
    >>> stacked(np.log([[0.9, 0.1], [0.9, 0.1], [0.1, 0.9]]), np.ones(3)).round(2).tolist()
    [0.71, 0.29]
    """
    density = np.exp(score - score.max(axis=1, keepdims=True))
    weights = np.full(score.shape[1], 1 / score.shape[1])
    for _ in range(_STEPS):
        each = weights * density
        weights = (share[:, None] * each / each.sum(axis=1, keepdims=True)).sum(axis=0) / share.sum()
    return weights
