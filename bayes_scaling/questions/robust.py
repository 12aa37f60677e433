"""One size to train under several laws: the choice over a mixture, and its regret under each."""

from __future__ import annotations

from typing import Final, Unpack

import numpy as np
import pandas as pd
from pydantic import Field

from bayes_scaling.posterior.mixture import Mixture, shared_draws, some_of
from bayes_scaling.quantities import tokens_at
from bayes_scaling.questions.base import Answer, OfText
from bayes_scaling.questions.guardrails import FURTHEST, caveats, refuse_unless
from bayes_scaling.questions.optimum import among, choose, judged, optima
from bayes_scaling.questions.risk import RISK, RiskMeasure, risk_measure
from bayes_scaling.questions.surface import DRAWS, Surface, Text, budgets_of, thinned
from bayes_scaling.wording import number, short

ROBUST: Final = "all laws"
"""Name of the choice over every law."""


def robust_choice(
    mixture: Mixture,
    *,
    compute: float,
    risk: str | RiskMeasure = "mean",
    anyway: bool = False,
    furthest: float = FURTHEST,
    **text: Unpack[Text],
) -> pd.DataFrame:
    """Return the table ``choices`` of :class:`Robust`; refuse a mixture that gives reasons not to decide, unless ``anyway``."""
    budget = np.atleast_1d(budgets_of(compute).values)[:1]
    refuse_unless(anyway, caveats(mixture, compute=compute, furthest=furthest, trade_off=True))
    weights = {name: weight for name, weight in mixture.weights.items() if weight > 0}
    surfaces = {name: Surface.asked(thinned(mixture.fits[name], "robust"), **text) for name in weights}
    measure = risk_measure(risk)
    best = {name: optima(surface, budget) for name, surface in surfaces.items()}
    chosen = {
        name: choose(judged(surface, measure), budget, measure, among(best[name]))[0] for name, surface in surfaces.items()
    }
    counts = shared_draws(weights, DRAWS["robust"])

    def of_all_laws(budgets: np.ndarray, log_params: np.ndarray) -> np.ndarray:
        losses = {name: judged(surface, measure)(budgets, log_params) for name, surface in surfaces.items()}
        return np.concatenate([some_of(loss, counts[name]) for name, loss in losses.items()], axis=-1)

    chosen[ROBUST] = choose(of_all_laws, budget, measure, among(np.concatenate(list(best.values()), axis=1)))[0]
    at = budget[:, None]
    size = np.array(list(chosen.values()))
    lost = pd.DataFrame(
        {
            law: [(surface.along(at, np.full((1, 1), one)) - surface.along(at, best[law])).mean() for one in size]
            for law, surface in surfaces.items()
        }
    )
    table = pd.DataFrame({"weight": [*weights.values(), 1.0], "params": np.exp(size)})
    table["tokens"] = tokens_at(budget[0], table["params"])
    table = table.join(lost.add_prefix("regret_"))
    table["regret"] = sum(weight * lost[law] for law, weight in weights.items())
    return table.assign(worst=lost.max(axis=1)).set_index(pd.Index(list(chosen), name="choice"))


class Robust(OfText):
    """One size over several laws, and its regret under each of them.

    Asked of a mixture of fits of laws of N and D, whose weights :func:`~bayes_scaling.weigh` gives. What is made small is a
    risk of the loss over all laws and draws, of the expected one by the mean and of the predicted loss of a new run by others: a tail, such as ``cvar:0.9``, weighs the most pessimistic law.

    Table ``choices``: a row a ``choice``, that of each law alone and that over all of them, ``all laws``; ``weight``;
    ``params``, ``tokens``; ``regret_{law}``, the expected regret of the choice under that law, in the loss unit of the mixture;
    ``regret``, by their weights; ``worst``, the largest.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_fit
    >>> both = Mixture({"one": example_fit(), "same": example_fit()}, {"one": 0.5, "same": 0.5})
    >>> Robust(compute=1e23).answer(both).tables["choices"]["params"].round(-9).tolist()
    [29000000000.0, 29000000000.0, 29000000000.0]
    """

    name = "robust"
    panel = "Budget"
    about_budgets = True
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
            f"{number(best['regret'], 2)} {unit}, {number(best['worst'], 2)} under the law it suits least."
        ]
        lines += [
            f"  {name}, weight {row['weight']:.2f}: alone {short(row['params'])} parameters on {short(row['tokens'])} tokens; "
            f"regret {number(row['regret'], 2)}, at worst {number(row['worst'], 2)}"
            for name, row in table.drop(ROBUST).iterrows()
        ]
        return Answer("\n".join(lines), tables={"choices": table})
