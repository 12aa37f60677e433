"""The critical batch at a loss, from whatever the fit has learned it from, and what a batch costs beside it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from pydantic import Field

from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.predict import interval, quantiles
from bayes_scaling.questions.base import ENDS, Answer, OfSystem, with_interval
from bayes_scaling.questions.derive import derive
from bayes_scaling.wording import credible, number, probability, short

_LEARNED = 0.5
"""Contraction below which an interval is closer to the prior's than to an answer of the runs."""


class CriticalBatch(OfSystem):
    """The critical batch at a loss, and how many more steps and tokens than the minimum a batch takes.

    Asked of a fit that has learned B* and alpha_B: of ``critical_batch`` or ``kaplan_system``, from learning curves and
    gradient noise, or of ``steps_to_loss``, from a table of the steps to a loss at several batches. On the command line that
    table may be handed over in the fit's place.

    At batch B a loss takes S_min (1 + B_crit/B) steps and E_min (1 + B/B_crit) tokens (Kaplan et al. 2020, equation 5.1,
    after McCandlish et al. 2018).

    Value ``critical_batch``: ``median``, ``lower``, ``upper``, tokens; ``prior``, the same before the runs; ``contraction``,
    the share of the prior variance of its logarithm that the runs removed; ``loss``. Table ``batches``: a row a batch, the
    one asked for first, then those of the rows; ``batch_tokens``; ``above``, the probability that it is above the critical
    one; ``steps_factor`` and ``tokens_factor``, over the least there are, medians, each with ``_lower`` and ``_upper``.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_system
    >>> print(CriticalBatch(loss=2.0, batch_tokens=2**21).answer(example_system()).sentence.partition(".")[0])
    At a loss of 2 the critical batch is 7
    """

    name = "critical-batch"
    panel = "Training"
    example = "critical-batch steps.csv --batch-tokens 2097152"
    fits = "steps_to_loss"
    writes = "batches"
    unused = (*OfSystem.unused, "override", "furthest")

    loss: float | None = Field(default=None, gt=0, description="Loss; by default a typical loss of the rows.")
    batch_tokens: float | None = Field(default=None, gt=0, description="Batch to assess, tokens per step.")

    def _result(self, posterior: Fit) -> Answer:
        loss = self.loss or posterior.reference["L"]
        found, before = (derive(fit, "critical_batch", loss=loss) for fit in (posterior, posterior.at_prior()))
        ends, prior = ([float(bound) for bound in interval(draws, self.prob)] for draws in (found, before))
        contraction = float(1 - np.log(found).var() / np.log(before).var())
        rows = _rows(posterior)
        trained = sorted(rows["batch_tokens"].unique()) if "batch_tokens" in rows else []
        asked = [] if self.batch_tokens is None else [self.batch_tokens]
        batches = np.array([*asked, *(batch for batch in trained if batch not in asked)])
        ratio = batches[:, None] / found.values.ravel()
        table = pd.DataFrame({"batch_tokens": batches, "above": (ratio > 1).mean(axis=1)})
        for name, factor in (("steps_factor", 1 + 1 / ratio), ("tokens_factor", 1 + ratio)):
            table = table.assign(**with_interval(name, np.quantile(factor, quantiles(self.prob), axis=1)))
        sentence = (
            f"At a loss of {loss:.4g} the critical batch is {short(ends[0])} tokens "
            f"({credible(self.prob, short(ends[1]), short(ends[2]))}; before the runs {short(prior[1])} to {short(prior[2])})."
        )
        if asked:
            row = table.iloc[0]
            steps, tokens = (
                f"{number(row[n], 3)} times the least {what} ({number(row[f'{n}_lower'], 3)} to {number(row[f'{n}_upper'], 3)})"
                for n, what in (("steps_factor", "steps"), ("tokens_factor", "tokens"))
            )
            sentence += (
                f"\nA batch of {short(row['batch_tokens'])} tokens is above it with a probability of {probability(row['above'])}: it takes "
                f"{tokens} and {steps}."
            )
        values: dict[str, Any] = {"loss": loss, "critical_batch": dict(zip(ENDS, ends, strict=True))}
        values |= {"prior": dict(zip(ENDS, prior, strict=True)), "contraction": contraction}
        caveats = [*_of_scans(rows)]
        if contraction < _LEARNED:
            caveats.append(
                f"The rows say little about it: they remove only {100 * max(contraction, 0):.0f} % of the prior variance of the "
                f"logarithm of the critical batch."
            )
        data = found.to_dataset(name="critical_batch")
        return Answer(sentence, values, tables={"batches": table}, data=data, caveats=caveats)


def _rows(fit: Fit) -> pd.DataFrame:
    """Return the rows that scan batches; of a fit from other evidence, none."""
    scans = [o.name for o in fit.model.observations if "scan" in fit.layout.rows[o.name].table]
    return pd.concat([fit.layout.rows[name].table for name in scans]) if scans else pd.DataFrame()


def _of_scans(rows: pd.DataFrame) -> list[str]:
    """Return what speaks against the rows: no scan with two batches, or steps that rise with the batch."""
    if rows.empty:
        return []
    ordered = rows.sort_values("batch_tokens")
    batches = ordered.groupby("scan")["batch_tokens"].nunique()
    found: list[str] = []
    if batches.max() < 2:
        found.append(
            f"No size and loss was measured at two batches ({', '.join(map(str, batches.index))}), so that the rows say little "
            f"about the critical batch. Train one of them at another batch."
        )
    whole = ordered if batches.max() < 2 else ordered[ordered["scan"].isin(batches.index[batches > 1])]
    first, last = whole.iloc[0], whole.iloc[-1]
    if len(whole) == 2 and last["steps"] > first["steps"]:
        found.append(
            f"Steps rose from {short(first['steps'])} to {short(last['steps'])} as the batch rose from "
            f"{short(first['batch_tokens'])} to {short(last['batch_tokens'])} tokens, which a critical batch cannot explain: something "
            f"else differs between the runs, such as size, learning rate or recipe."
        )
    return found
