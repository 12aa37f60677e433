"""One size to train under several laws: the choice over a mixture, and its regret under each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from pydantic import Field

from bayes_scaling.posterior.inputs import admit
from bayes_scaling.posterior.mixture import Mixture, shared_draws
from bayes_scaling.quantities import tokens_at
from bayes_scaling.questions.base import Answer, OfText
from bayes_scaling.questions.guardrails import FURTHEST, caveats, refuse_unless
from bayes_scaling.questions.risk import RISK, RiskMeasure, risk_measure
from bayes_scaling.questions.surface import DRAWS, Supply, Surface, budgets_of, choose, optima
from bayes_scaling.questions.wording import short

ROBUST: Final = "all laws"
"""Name of the choice over every law."""


def robust_choice(
    mixture: Mixture,
    *,
    compute: float,
    risk: str | RiskMeasure = "mean",
    supply: Supply | None = None,
    group: Mapping[str, str] | None = None,
    anyway: bool = False,
    furthest: float = FURTHEST,
    seed: int = 0,
) -> pd.DataFrame:
    """Choose a size over several laws, with its regret under each.

    Parameters
    ----------
    mixture : Mixture
        Fits of laws of N and D, and their weights: see :func:`~bayes_scaling.weigh`.
    compute : float
        Budget, FLOP.
    risk : str or callable
        What to make small of the loss over all laws and draws, as for :func:`~bayes_scaling.allocate`. A tail, such as
        ``cvar:0.9``, weighs the most pessimistic law.
    anyway : bool
        Whether to answer in spite of caveats.
    furthest : float
        Decades beyond the runs at which extrapolation is a caveat.

    Returns
    -------
    DataFrame
        One row a choice: that of each law alone, and that over all of them, ``all laws``. ``weight``; ``params`` and
        ``tokens``; ``regret_{law}``, the expected regret of the choice under that law, in the
        loss unit of the mixture; ``regret``, by their weights; ``worst``, the largest.

    Raises
    ------
    InvalidRequest
        If a law that has weight has no trade-off between N and D, or the budget is no number.
    Refused
        If a fit gives reasons not to decide, unless ``anyway``.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> both = Mixture({"one": example_fit(), "same": example_fit()}, {"one": 0.5, "same": 0.5})
    >>> robust_choice(both, compute=1e23)["params"].round(-9).tolist()
    [29000000000.0, 29000000000.0, 29000000000.0]
    """
    budget = np.atleast_1d(budgets_of(compute).values)[:1]
    fits = {name: fit for name, fit in mixture.fits.items() if mixture.weights[name] > 0}
    refuse_unless(anyway, caveats(mixture, compute=compute, furthest=furthest, trade_off=True))
    surfaces = {
        name: Surface.of(fit, admit(fit, group or {}, seed), seed, supply).thinned(DRAWS["robust"])
        for name, fit in fits.items()
    }
    measure = risk_measure(risk) if isinstance(risk, str) else risk
    best = {name: optima(surface, budget) for name, surface in surfaces.items()}
    chosen = {name: choose(surface, budget, measure, best[name])[0] for name, surface in surfaces.items()}
    counts = shared_draws({name: mixture.weights[name] for name in fits}, DRAWS["robust"])
    pooled = _Pooled({name: surface for name, surface in surfaces.items() if counts[name]}, counts)
    chosen[ROBUST] = choose(pooled, budget, measure, np.concatenate(list(best.values()), axis=1))[0]
    rows = []
    for name, log_params in chosen.items():
        row: dict[str, float] = {"weight": mixture.weights.get(name, 1.0), "params": float(np.exp(log_params))}
        row["tokens"] = float(tokens_at(budget[0], row["params"]))
        lost = {law: _regret(surface, budget, log_params, best[law]) for law, surface in surfaces.items()}
        row |= {f"regret_{law}": value for law, value in lost.items()}
        row["regret"] = sum(mixture.weights[law] * value for law, value in lost.items())
        rows.append(row | {"worst": max(lost.values())})
    return pd.DataFrame(rows, index=pd.Index(list(chosen), name="choice"))


@dataclass(frozen=True)
class _Pooled:
    """Surfaces of several laws as one, each with as many draws as its weight says."""

    surfaces: Mapping[str, Surface]
    counts: Mapping[str, int]

    @property
    def shape(self) -> tuple[int, int]:
        """One chain of all draws."""
        return 1, sum(self.counts[name] for name in self.surfaces)

    def along(self, budgets: np.ndarray, log_params: np.ndarray) -> np.ndarray:
        """Return the loss of sizes at budgets, last dimension the draws of every law."""
        parts = []
        for name, surface in self.surfaces.items():
            loss, count = surface.along(budgets, log_params), self.counts[name]
            parts.append(loss[..., np.floor((np.arange(count) + 0.5) * loss.shape[-1] / count).astype(int)])
        return np.concatenate(parts, axis=-1)


def _regret(surface: Surface, budget: np.ndarray, log_params: float, best: np.ndarray) -> float:
    at = budget[:, None]
    return float((surface.along(at, np.full((1, 1), log_params)) - surface.along(at, best)).mean())


class Robust(OfText):
    """One size over several laws, and its regret under each of them."""

    name = "robust"
    panel = "Budget"
    example = "robust mixture --compute 1e24 --risk cvar:0.9"
    takes = ("mixture",)
    unused = ("prob",)
    writes = "choices"

    compute: float = Field(gt=0, description="Budget, FLOP.")
    risk: str = RISK

    def _result(self, posterior: Mixture) -> Answer:
        table = robust_choice(posterior, compute=self.compute, risk=self.risk, anyway=True, **self.given)
        best, unit = table.loc[ROBUST], posterior.loss_unit
        lines = [
            f"Over all laws, train {short(best['params'])} parameters on {short(best['tokens'])} tokens: its expected regret is "
            f"{best['regret']:.2g} {unit}, {best['worst']:.2g} under the law it suits least."
        ]
        lines += [
            f"  {name}, weight {row['weight']:.2f}: alone {short(row['params'])} parameters on {short(row['tokens'])} tokens; regret "
            f"{row['regret']:.2g}, at worst {row['worst']:.2g}"
            for name, row in table.drop(ROBUST).iterrows()
        ]
        return Answer("\n".join(lines), tables={"choices": table})
