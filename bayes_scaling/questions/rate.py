"""The learning rate and the batch to train with: the best ones in every draw, and the one pair that wastes least."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr
from pydantic import Field

from bayes_scaling.errors import NotLearned
from bayes_scaling.laws import LAWS, published
from bayes_scaling.posterior.extrapolation import reach, reach_sentence
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.predict import interval, parameters_in
from bayes_scaling.questions.base import ENDS, Answer, Question, with_interval
from bayes_scaling.runs.sweeps import EQUAL
from bayes_scaling.wording import credible, number, percent, short

_LAW: Final = "off_best_rate"
_EXPONENTS: Final = {"lr_N": "lr_power_N", "lr_D": "lr_power_D", "lr_B": "", "batch_N": "", "batch_D": "batch_power_D"}
"""Exponents, and what a published record calls them."""


class Rate(Question):
    """The learning rate and the batch for a size and data, and what it costs not to know the best ones.

    Asked of a fit of ``off_best_rate``, such as the document ``best_rate``. The pair to choose makes least what is wasted of
    the tokens on average over the posterior, as long as that is little; the optimum is that of a new sweep, or, where this size
    and data were swept, of that one. With a batch, it is the best rate for it.

    Table ``choice``: one row; ``lr`` and ``batch_tokens`` to choose; ``best_lr`` and ``best_batch_tokens``, the medians of the
    best ones, each with ``_lower`` and ``_upper``; ``wasted``, the mean share of the tokens that the choice wastes, and ``lost``,
    the mean loss above the least, with ``_lower`` and ``_upper``; the extrapolation distances in decades. Table ``rule``: the same
    of the rule of Li et al. (2025), whose N counts no embeddings. Table ``exponents``: a row an exponent; ``median``,
    ``lower`` and ``upper``; what was published, under the name of the paper. Draws: the best rate and batch.

    Examples
    --------
    >>> from bayes_scaling.posterior.examples import example_rates
    >>> print(Rate(params=1e9, tokens=1e11).answer(example_rates(chains=1, draws=1)).sentence.splitlines()[0])
    Learning rate 0.00163 (90 % interval 0.00163 to 0.00163 of the best one), batch 1.11M tokens (1.11M to 1.11M).
    """

    name = "rate"
    panel = "Training"
    example = "rate fit.nc --params 1e9 --tokens 1e11"
    trade_off = False
    writes = "choice"

    params: float = Field(gt=0, description="Size.")
    tokens: float = Field(gt=0, description="Tokens to train on.")
    batch: float | None = Field(default=None, gt=0, description="Batch, tokens per step, if it is fixed.")

    def _result(self, posterior: Fit) -> Answer:
        if posterior.model.only.law != _LAW:
            raise NotLearned(
                f"rate needs a fit of the law {_LAW}, such as the model best_rate; {posterior.model.only.law} has no learning rate."
            )
        law = self._law(posterior)
        best = {"lr": self._of("best_rate", law), "batch_tokens": self._of("best_batch", law)}
        chosen = self._least_wasted(law, best["lr"], best["batch_tokens"])
        if self.batch is not None:
            best["lr"] = best["lr"] * (self.batch / best["batch_tokens"]) ** law["lr_B"]
            best["batch_tokens"] = xr.full_like(best["batch_tokens"], self.batch)
        ends = {label: v for name, draws in best.items() for label, v in self._interval(f"best_{name}", draws).items()}
        reaches = {n: float(reach(posterior, n, value)) for n, value in (("params", self.params), ("tokens", self.tokens))}
        choice = self._judged(law, *chosen) | ends | {f"reach_{name}": decades for name, decades in reaches.items()}
        rule = self._judged(law, *self._rule())
        unit, (lr, batch) = posterior.loss_unit, chosen
        width = credible(self.prob, number(choice["best_lr_lower"]), number(choice["best_lr_upper"]))
        of_batch = f"({short(choice['best_batch_tokens_lower'])} to {short(choice['best_batch_tokens_upper'])})"
        twice = [
            percent(round(float((1 - np.exp(-law[cost] * np.log(2) ** 2)).median()), 3))
            for cost in ("rate_cost", "batch_cost")
        ]
        lines = [
            f"Learning rate {number(lr)} ({width} of the best one), batch {short(batch)} tokens {of_batch if self.batch is None else 'as given'}.",
            f"That wastes {_share(choice['wasted'])} of the tokens on average, {number(choice['lost'], 2)} {unit}, and at most "
            f"{_share(choice['wasted_upper'])} with a probability of {number((1 + self.prob) / 2)}. Twice or half the best rate wastes {twice[0]}, twice or "
            f"half the best batch, at the best rate for it, {twice[1]}.",
            f"The rule of Li et al. (2025), rate {number(rule['lr'])} and batch {short(rule['batch_tokens'])}, would waste {_share(rule['wasted'])}.",
            f"The run is {reach_sentence(reaches)}.",
        ]
        tables = {"choice": pd.DataFrame([choice]), "rule": pd.DataFrame([rule]), "exponents": self._exponents(law)}
        return Answer("\n".join(lines), tables=tables, data=xr.Dataset(best), caveats=_beyond_the_sweep(posterior, chosen))

    def _law(self, fit: Fit) -> Mapping[str, Any]:
        """Return the parameters of the law in every draw: for the sweep of this size and data, or for a new one."""
        group, table = dict(self.group), fit.table
        if "cell" in fit.model.group_columns and "cell" not in group:
            off = np.log(table[["params", "tokens"]] / [self.params, self.tokens]).abs().max(axis=1)
            group |= {"cell": str(table["cell"][off.idxmin()])} if off.min() <= EQUAL else {}
        return {**LAWS[_LAW].optional, **parameters_in(fit, group, seed=self.seed)}

    def _of(self, name: str, law: Mapping[str, Any]) -> xr.DataArray:
        """Return the best rate or batch in every draw."""
        return LAWS[name](self.params, self.tokens, **{each: law[each] for each in LAWS[name].parameters})

    def _least_wasted(self, law: Mapping[str, Any], best_lr: xr.DataArray, best_batch: xr.DataArray) -> tuple[float, float]:
        """Return the rate and the batch whose mean quadratic cost over the draws is least."""
        x, z, cost, tilt = np.log(best_lr), np.log(best_batch), law["rate_cost"], law["lr_B"]
        xx, xz, zz = cost, -cost * tilt, cost * tilt**2 + law["batch_cost"]
        hessian = np.array([[float(xx.mean()), float(xz.mean())], [float(xz.mean()), float(zz.mean())]])
        slope = np.array([float((xx * x + xz * z).mean()), float((xz * x + zz * z).mean())])
        if self.batch is not None:
            return float(np.exp((slope[0] - hessian[0, 1] * np.log(self.batch)) / hessian[0, 0])), self.batch
        lr, batch = np.exp(np.linalg.solve(hessian, slope))
        return float(lr), float(batch)

    def _rule(self) -> tuple[float, float]:
        """Return the rate and the batch of Li et al. (2025)."""
        rule = published("steplaw2025").values
        lr = LAWS["best_rate"](
            self.params, self.tokens, lr_one=rule["lr_coefficient"], lr_N=-rule["lr_power_N"], lr_D=rule["lr_power_D"]
        )
        batch = LAWS["best_batch"](self.params, self.tokens, B_one=rule["batch_coefficient"], batch_D=rule["batch_power_D"])
        return lr, batch

    def _judged(self, law: Mapping[str, Any], lr: float, batch: float) -> dict[str, float]:
        """Return what a rate and a batch waste of the tokens, and lose."""
        useful, loss = LAWS["useful_tokens"], LAWS["chinchilla"]
        worth = useful(self.params, self.tokens, lr, batch, **{name: law[name] for name in useful.parameters})
        names = {"E": "E", "A": "A_N", "alpha": "alpha_N", "B": "A_D", "beta": "alpha_D"}
        of_loss = {name: law[ours] for name, ours in names.items()}
        lost = loss(self.params, worth, **of_loss) - loss(self.params, self.tokens, **of_loss)
        means = {
            name: self._interval(name, v) | {name: float(v.mean())}
            for name, v in (("wasted", 1 - worth / self.tokens), ("lost", lost))
        }
        return {"lr": lr, "batch_tokens": batch, **means["wasted"], **means["lost"]}

    def _interval(self, name: str, draws: xr.DataArray) -> dict[str, float]:
        return {label: float(value) for label, value in with_interval(name, interval(draws, self.prob)).items()}

    def _exponents(self, law: Mapping[str, Any]) -> pd.DataFrame:
        rows = []
        for name, theirs in _EXPONENTS.items():
            draws = xr.DataArray(law[name])
            row = {"exponent": name, **dict(zip(ENDS, map(float, interval(draws, self.prob)), strict=True))}
            records = {paper: published(paper).values.get(theirs, np.nan) for paper in ("steplaw2025", "bergsma2025")}
            rows.append(row | {paper: abs(value) for paper, value in records.items()})
        return pd.DataFrame(rows)


def _share(value: float) -> str:
    return percent(float(f"{value:.2g}"))


def _beyond_the_sweep(fit: Fit, chosen: tuple[float, float]) -> list[str]:
    """Return the caveats of a choice that no run near the best was made with."""
    found = []
    for column, value in zip(("lr", "batch_tokens"), chosen, strict=True):
        low, high = float(fit.table[column].min()), float(fit.table[column].max())
        if not low <= value <= high:
            found.append(
                f"The {column} {number(value)} lies outside those of the runs near the best, {number(low)} to {number(high)}."
            )
    return found
