"""Stop a large model early, or train a smaller one nearly to convergence: the same compute, two losses (Kaplan et al. 2020, appendix B)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from pydantic import Field

from bayes_scaling.laws.batch import critical_batch
from bayes_scaling.laws.kaplan import kaplan_n
from bayes_scaling.numerics import bisect
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.inputs import positive
from bayes_scaling.posterior.predict import SAMPLE_DIMS, interval
from bayes_scaling.quantities import training_compute, training_tokens
from bayes_scaling.questions.base import Answer, with_interval
from bayes_scaling.questions.frontier import efficient, plain, stopped_at
from bayes_scaling.questions.guardrails import SPENT_OVER_LEAST, distance
from bayes_scaling.questions.learning_curve import LearningCurve, OfCurve, laws_of, loss_at_compute
from bayes_scaling.wording import credible, flop, number, percent, probability, short


def nearly_converged(compute_min: float, excess: float, **laws: Any) -> tuple[Any, Any, Any]:
    """Return size, least steps and loss of the model that a compute trains to an excess, a share of its converged loss."""
    trained = {name: value for name, value in laws.items() if name not in ("B_star", "alpha_B")}

    def stopped(log_t: Any) -> tuple[Any, Any, Any]:
        t = np.exp(log_t)
        return stopped_at(t, excess * (t + laws.get("E", 0.0)) / t, **trained)

    def spent(log_t: Any) -> Any:
        params, steps, loss = stopped(log_t)
        batch = critical_batch(loss, B_star=laws["B_star"], alpha_B=laws["alpha_B"])
        return training_compute(params, training_tokens(steps, batch))

    return stopped(_where(spent, compute_min, -12.0))


def of_size(params: float, compute_min: float, **laws: Any) -> tuple[Any, Any, Any]:
    """Return size, least steps and loss of a model of a size, trained as far as a compute takes it."""
    converged = kaplan_n(params, N_c=laws["N_c"], alpha_N=laws["alpha_N"], E=laws.get("E", 0.0))
    loss = loss_at_compute(compute_min, params, **laws)
    return converged * 0 + params, laws["S_c"] * (loss - converged) ** (-1 / laws["alpha_S"]), loss


def _where(spent: Callable[[Any], Any], compute: float, low: float) -> np.ndarray:
    """Return the log of the part of the loss at which a compute is spent."""
    below, above = bisect(lambda x: np.log(compute) - np.log(spent(x)), low, 6.0, halvings=34)
    return (below + above) / 2


class Stopping(OfCurve):
    """Compare a large model stopped early with a smaller one trained nearly to convergence, at equal compute.

    Kaplan et al. (2020), appendix B. Compute C_min is as it would be at a batch far below the critical one. Asked of a fit as
    for :func:`~bayes_scaling.frontier`. What is trained are the runs of the law alone, each at its critical batch; their losses
    are those of the first learning curve of the document unless another observation is named: the law with the model
    discrepancy of the observation, where it has one, and, where they are measured, residual noise.

    Table ``runs``: a row a ``run``, ``stopped early``, the compute-efficient one, ``nearly converged`` and, where a size is
    given, ``own size``, trained as far as the compute takes it; medians of ``params`` and ``steps_min``; ``loss``, the expected
    one, with ``loss_lower`` and ``loss_upper``; ``measured_loss``, the predicted loss of a new run, and ``law_loss``, likewise; ``gain``,
    by how much the mean loss of the run stopped early is less, and ``law_gain``, by the law alone, with their intervals;
    ``chance`` that the loss of a new run stopped early is below that of a new one of this row, ``expected_chance`` that less is expected
    of it; ``reach_params``, the extrapolation distance of the size, in decades. Draws: ``params``, ``steps_min``, the losses and gains, dims (run, chain, draw). Value ``observation``: whose losses
    they are.

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
        default=0.02,
        gt=0,
        lt=10,
        description="How far above its converged loss the smaller model stops, as a share of that loss.",
    )
    params: float | None = Field(default=None, gt=0, description="A further size to compare.")

    def _compute(self) -> float:
        return SPENT_OVER_LEAST * self.compute_min

    def runs(self, fit: Fit) -> xr.Dataset:
        """Return size, least steps, losses and gain of each run, dims (run, chain, draw)."""
        named, spent = laws_of(fit, self.observation), float(positive("compute_min_flops", self.compute_min))
        like, laws = plain(**named)
        early = efficient(xr.DataArray(spent), **named).transpose(*like.dims)
        runs: dict[str, tuple[Any, Any, Any]] = {
            "stopped early": (early["params"].values, early["steps_min"].values, early["loss"].values),
            "nearly converged": nearly_converged(spent, self.excess, **laws),
        }
        if self.params is not None:
            runs["own size"] = of_size(float(positive("params", self.params)), spent, **laws)
        params, steps, law = (
            xr.DataArray(np.stack(values), {"run": list(runs), **like.coords}, ("run", *like.dims)).transpose(
                "run", *SAMPLE_DIMS
            )
            for values in zip(*runs.values(), strict=True)
        )
        curve = LearningCurve.of(fit, self.observation, self.seed, runs=len(runs))

        def judged(of_it: LearningCurve) -> xr.DataArray:
            sizes, losses = (each.values.reshape(len(runs), -1) for each in (params, law))
            return law.copy(data=of_it.measured(sizes, losses, of_it.critical_batch(losses)).reshape(law.shape))

        losses = {"law_loss": law, "loss": judged(curve.expected), "measured_loss": judged(curve)}
        draws = xr.Dataset({"params": params, "steps_min": steps, **losses}, attrs={"observation": curve.observation})
        gains = {
            name.replace("loss", "gain"): loss - loss.sel(run="stopped early", drop=True) for name, loss in losses.items()
        }
        return draws.assign(gains)

    def table(self, runs: xr.Dataset) -> pd.DataFrame:
        """Return medians and intervals, one row a run."""
        columns: dict[str, Any] = {name: runs[name].median(SAMPLE_DIMS) for name in ("params", "steps_min")}
        for name in ("loss", "measured_loss", "law_loss", "gain", "law_gain"):
            columns |= with_interval(name, interval(runs[name], self.prob))
        columns["chance"] = (runs["measured_gain"] > 0).mean(SAMPLE_DIMS)
        columns["expected_chance"] = (runs["gain"] > 0).mean(SAMPLE_DIMS)
        index = pd.Index(runs["run"].values, name="run")
        return pd.DataFrame({name: column.values for name, column in columns.items()}, index=index)

    def _result(self, posterior: Fit) -> Answer:
        runs = self.runs(posterior)
        observation, moved = runs.attrs["observation"], bool((runs["law_loss"] != runs["loss"]).any())
        table = self.table(runs)
        table["reach_params"] = distance(posterior, "params", table["params"].to_numpy())
        early, *others = table.reset_index().to_dict("records")

        def width(row: dict[str, Any], name: str) -> str:
            return f"{row[f'{name}_lower']:.4f} to {row[f'{name}_upper']:.4f}"

        expected = f", with model discrepancy {width(early, 'loss')}" if moved else ""
        lines = [
            f"{flop(self.compute_min)} train {short(early['params'])} parameters for {short(early['steps_min'])} steps to a loss of "
            f"{early['measured_loss']:.4f} {posterior.loss_unit} of a new run, as in {observation} ({percent(self.prob)} interval "
            f"{width(early, 'measured_loss')}; the law alone {width(early, 'law_loss')}{expected})."
        ]
        for row in others:
            ends = credible(self.prob, number(row["gain_lower"]), number(row["gain_upper"]))
            law = f"; the law alone: {number(row['law_gain'])}" if moved else ""
            lines.append(
                f"{short(row['params'])} parameters ({row['run']}) are expected to end at {row['loss']:.4f}: stopping early lowers that "
                f"by {number(row['gain'])} ({ends}{law}). The mean loss is lower with a probability of {probability(row['expected_chance'])}, "
                f"and the loss of a new run is below that of such a run with a probability of {probability(row['chance'])}."
            )
        return Answer("\n".join(lines), {"observation": observation}, {"runs": table}, data=runs)
