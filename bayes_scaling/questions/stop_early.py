"""Stop a large model early, or train a smaller one nearly to convergence: the same compute, two losses (Kaplan et al. 2020, appendix B)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from pydantic import Field

from bayes_scaling.laws.batch import critical_batch
from bayes_scaling.laws.efficient import compute_to_loss
from bayes_scaling.laws.kaplan import kaplan_n
from bayes_scaling.numerics import bisect
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.inputs import positive, warn_unless_converged
from bayes_scaling.posterior.predict import SAMPLE_DIMS, interval
from bayes_scaling.quantities import training_compute, training_tokens
from bayes_scaling.questions.base import Answer, OfSystem, with_interval
from bayes_scaling.questions.frontier import efficient, laws_of, plain, stopped_at
from bayes_scaling.questions.guardrails import SPENT_OVER_LEAST
from bayes_scaling.questions.wording import credible, flop, number, short


def nearly_converged(compute_min: float, excess: float, **laws: Any) -> tuple[Any, Any, Any]:
    """Return size, least steps and loss of the model that a compute trains to an excess over what its size leaves."""
    trained = {name: value for name, value in laws.items() if name not in ("B_star", "alpha_B")}

    def spent(log_t: Any) -> Any:
        params, steps, loss = stopped_at(np.exp(log_t), excess, **trained)
        batch = critical_batch(loss, B_star=laws["B_star"], alpha_B=laws["alpha_B"])
        return training_compute(params, training_tokens(steps, batch))

    return stopped_at(np.exp(_where(spent, compute_min, -12.0)), excess, **trained)


def of_size(params: float, compute_min: float, **laws: Any) -> tuple[Any, Any, Any]:
    """Return size, least steps and loss of a model of a size, trained as far as a compute takes it."""
    converged = kaplan_n(params, N_c=laws["N_c"], alpha_N=laws["alpha_N"], E=laws.get("E", 0.0))
    left = np.exp(_where(lambda x: compute_to_loss(params, converged + np.exp(x), **laws), compute_min, -40.0))
    return converged * 0 + params, laws["S_c"] * left ** (-1 / laws["alpha_S"]), converged + left


def _where(spent: Callable[[Any], Any], compute: float, low: float) -> np.ndarray:
    """Return the log of the part of the loss at which a compute is spent."""
    below, above = bisect(lambda x: np.log(compute) - np.log(spent(x)), low, 6.0, halvings=34)
    return (below + above) / 2


class Stopping(OfSystem):
    """Compare a large model stopped early with a smaller one trained nearly to convergence, at equal compute.

    Kaplan et al. (2020), appendix B. Compute C_min is as it would be at a batch far below the critical one. Asked of a fit as
    for :func:`~bayes_scaling.frontier`.

    Table ``runs``: a row a ``run``, ``stopped early``, the compute-efficient one, ``nearly converged`` and, where a size is
    given, ``own size``, trained as far as the compute takes it; medians of ``params``, ``steps_min`` and ``loss``, with
    ``loss_lower`` and ``loss_upper``; ``gain``, by how much the loss of the run stopped early is less, with ``gain_lower``,
    ``gain_upper``; ``chance`` that it is. Draws: ``params``, ``steps_min``, ``loss``, ``gain``, dims (run, chain, draw).

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_system
    >>> runs = Stopping(compute_min=1e21).answer(example_system()).tables["runs"]
    >>> bool(runs.loc["nearly converged", "gain"] > 0)
    True
    """

    name = "stop-early"
    panel = "Training"
    aliases = ("stopping",)
    example = "stop-early system.nc --compute-min 1e21 --excess 0.02"
    guarded = True
    trade_off = False
    writes = "runs"

    compute_min: float = Field(gt=0, description="Compute at a small batch, FLOP.")
    excess: float = Field(
        default=0.02, gt=0, lt=10, description="How far above its converged loss the smaller model stops, a share of it."
    )
    params: float | None = Field(default=None, gt=0, description="A size of your own, beside.")

    def _compute(self) -> float:
        return SPENT_OVER_LEAST * self.compute_min

    def runs(self, fit: Fit) -> xr.Dataset:
        """Return size, least steps, loss and gain of each run, dims (run, chain, draw)."""
        named, spent = laws_of(fit), float(positive("compute_min_flops", self.compute_min))
        like, laws = plain(**named)
        early = efficient(xr.DataArray(spent), **named).transpose(*like.dims)
        runs: dict[str, tuple[Any, Any, Any]] = {
            "stopped early": (early["params"].values, early["steps_min"].values, early["loss"].values),
            "nearly converged": nearly_converged(spent, self.excess, **laws),
        }
        if self.params is not None:
            runs["own size"] = of_size(float(positive("params", self.params)), spent, **laws)
        columns = {
            name: (("run", *like.dims), np.stack(values))
            for name, values in zip(("params", "steps_min", "loss"), zip(*runs.values(), strict=True), strict=True)
        }
        draws = xr.Dataset(columns, coords={"run": list(runs)})
        return draws.assign(gain=draws["loss"] - draws["loss"].sel(run="stopped early", drop=True))

    def table(self, runs: xr.Dataset) -> pd.DataFrame:
        """Return medians and intervals, one row a run."""
        columns: dict[str, Any] = {name: runs[name].median(SAMPLE_DIMS) for name in ("params", "steps_min")}
        for name in ("loss", "gain"):
            columns |= with_interval(name, interval(runs[name], self.prob))
        columns["chance"] = (runs["gain"] > 0).mean(SAMPLE_DIMS)
        index = pd.Index(runs["run"].values, name="run")
        return pd.DataFrame({name: column.values for name, column in columns.items()}, index=index)

    def _result(self, posterior: Fit) -> Answer:
        warn_unless_converged(posterior)
        runs = self.runs(posterior)
        table = self.table(runs)
        early, *others = table.reset_index().to_dict("records")
        lines = [
            f"{flop(self.compute_min)} train {short(early['params'])} parameters for {short(early['steps_min'])} steps to a loss of "
            f"{early['loss']:.4f} {posterior.loss_unit}."
        ]
        for row in others:
            width = credible(self.prob, number(row["gain_lower"]), number(row["gain_upper"]))
            lines.append(
                f"{short(row['params'])} parameters ({row['run']}) end at {row['loss']:.4f}: stopping early lowers the loss by "
                f"{number(row['gain'])} ({width}); the probability that it is lower is {row['chance']:.2f}."
            )
        return Answer("\n".join(lines), tables={"runs": table}, data=runs)
