"""Sample efficiency: the steps, tokens and compute each size takes to a loss, and whether it gets there at all."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from pydantic import Field

from bayes_scaling.laws.batch import critical_batch
from bayes_scaling.laws.kaplan import kaplan_n
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.inputs import one_length, positive, warn_unless_converged
from bayes_scaling.posterior.predict import SAMPLE_DIMS, quantiles
from bayes_scaling.quantities import training_compute, training_tokens
from bayes_scaling.questions.base import Answer, OfSystem, Positive, with_interval
from bayes_scaling.questions.guardrails import distance
from bayes_scaling.questions.learning_curve import laws_of
from bayes_scaling.questions.picture import curve
from bayes_scaling.wording import credible, flop, number, probability, short


def effort(fit: Fit, *, loss: Any, params: Any) -> xr.Dataset:
    """Return what it takes models of some sizes to reach losses on endless data, the draws of :class:`Effort`.

    ``steps_min``, ``tokens_min``, ``compute_min_flops`` and ``batch_tokens``, dims ``(chain, draw, *given)``, not a number in
    draws in which the size never gets there; ``reaches``, dims as given, is the probability that it does.

    >>> from bayes_scaling.posterior.examples import example_system
    >>> sizes = xr.DataArray([1e8, 1e9, 1e10], dims="params")
    >>> needed = effort(example_system(chains=1, draws=1), loss=2.9, params=sizes).isel(chain=0, draw=0)
    >>> [f"{tokens:.2g}" for tokens in needed["tokens_min"].values]
    ['6e+10', '6e+09', '3e+09']
    """
    warn_unless_converged(fit)
    given = {"loss": positive("loss", loss), "params": positive("params", params)}
    one_length(given)
    loss, params = given.values()
    laws = laws_of(fit)
    left = loss - kaplan_n(params, N_c=laws["N_c"], alpha_N=laws["alpha_N"], E=laws.get("E", 0.0))
    reaches = left > 0
    steps = laws["S_c"] * left.where(reaches) ** (-1 / laws["alpha_S"])
    batch = critical_batch(loss, B_star=laws["B_star"], alpha_B=laws["alpha_B"]) + xr.zeros_like(steps)
    tokens = training_tokens(steps, batch)
    compute = training_compute(params, tokens)
    needed = {"steps_min": steps, "tokens_min": tokens, "compute_min_flops": compute, "batch_tokens": batch}
    return xr.Dataset(needed).transpose(*SAMPLE_DIMS, ...).assign(reaches=reaches.mean(SAMPLE_DIMS))


class Effort(OfSystem):
    """The steps, tokens and compute that sizes take to a loss, and the probability that they reach it.

    Larger models take fewer steps and fewer tokens, and up to some size less compute: why large models stopped early win
    (Kaplan et al. 2020, equations (1.4), (1.6) and (5.1), and Figure 2). Asked of a fit as for
    :func:`~bayes_scaling.frontier`.

    Table ``sizes``: a row a size; ``params``; ``reaches``, the probability that it reaches the loss; ``steps_min`` at batches
    far above the critical one, ``tokens_min`` and ``compute_min_flops``, FLOP, at batches far below it, and ``batch_tokens``,
    the critical batch at that loss, where both double: medians, each with ``_lower`` and ``_upper``, infinite where the loss
    is never reached; ``reach_tokens`` and ``reach_compute_flops``, the extrapolation distances of the medians, in decades. Draws: what :func:`effort` returns.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_system
    >>> Effort(loss=2.9, params=[1e6, 1e9]).answer(example_system()).tables["sizes"]["reaches"].tolist()
    [0.0, 1.0]
    """

    name = "effort"
    panel = "Training"
    example = "effort system.nc --loss 2.9 --params 1e8 --params 1e9"
    writes = "sizes"

    loss: float = Field(gt=0, description="Loss to reach on endless data.")
    params: tuple[Positive, ...] = Field(min_length=1, description="A size; repeat for several.")

    def _result(self, posterior: Fit) -> Answer:
        needed = effort(posterior, loss=self.loss, params=list(self.params))
        columns: dict[str, Any] = {"params": list(self.params), "reaches": needed["reaches"].values}
        for name in ("steps_min", "tokens_min", "compute_min_flops", "batch_tokens"):
            # Not a number where the loss is never reached: then a quantile is infinite, or one of the draws.
            draws = needed[name].fillna(np.inf).transpose(*SAMPLE_DIMS, ...).values.reshape(-1, len(self.params))
            ends = np.quantile(draws, quantiles(self.prob), axis=0, method="inverted_cdf")
            columns |= with_interval(name, ends)
        table = pd.DataFrame(columns)
        for column, name in (("tokens", "tokens_min"), ("compute_flops", "compute_min_flops")):
            table[f"reach_{column}"] = distance(posterior, column, table[name].where(np.isfinite(table[name])).to_numpy())
        lines = []
        for row in table.to_dict("records"):
            line = (
                f"{short(row['params'])} parameters reach {number(self.loss)} {posterior.loss_unit} with a probability of "
                f"{probability(row['reaches'])}"
            )
            if row["reaches"] > 0.5:
                ends = (short(row[f"steps_min_{end}"]) for end in ("lower", "upper"))
                line += (
                    f", in {short(row['steps_min'])} steps at a large batch ({credible(self.prob, *ends)}), or on "
                    f"{short(row['tokens_min'])} tokens and {flop(row['compute_min_flops'])} at a small one"
                )
            lines.append(f"{line}.")
        ends = ("compute_min_flops_lower", "compute_min_flops_upper")
        draw = partial(curve, table="sizes", x="params", y="compute_min_flops", band=ends, log="xy")
        return Answer("\n".join(lines), tables={"sizes": table}, data=needed, draw=draw)
