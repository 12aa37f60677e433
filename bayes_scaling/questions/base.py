"""What every question about a budget has, and every answer: reasons to refuse first, then a sentence and tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from pydantic import Field

from bayes_scaling.errors import InvalidRequest
from bayes_scaling.model.document import Strict
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.posterior.predict import interval
from bayes_scaling.questions.cost import cost, device
from bayes_scaling.questions.guardrails import FURTHEST, doubts, refuse_unless
from bayes_scaling.questions.surface import Supply


@dataclass(frozen=True, eq=False)
class Answer:
    """The answer to a question.

    Parameters
    ----------
    sentence : str
        In words.
    tables : mapping of str to DataFrame
        In numbers.
    doubts : list of str
        Reasons not to rely on it, which were overridden.
    about : mapping
        The question, the fit's unit and its verdict.
    """

    sentence: str
    tables: Mapping[str, pd.DataFrame]
    doubts: list[str] = field(default_factory=list)
    about: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        tables = {
            name: table.reset_index().to_dict("records") if table.index.name else table.to_dict("records")
            for name, table in self.tables.items()
        }
        return {**self.about, "sentence": self.sentence, "doubts": self.doubts, **tables}

    def __str__(self) -> str:
        """Return the answer for people: doubts first."""
        warned = [f"DECIDED AGAINST ADVICE: {doubt}" for doubt in self.doubts]
        return "\n".join([*warned, self.sentence])


class Question(Strict):
    """What every question has.

    Parameters
    ----------
    group : dict
        Label of each grouping column.
    prob : float
        Probability of the intervals.
    seed : int
        Of everything random.
    anyway : bool
        Whether to answer although the fit gives reasons not to.
    furthest : float
        Decades beyond the runs that are taken without doubt.
    """

    group: dict[str, str] = Field(default_factory=dict)
    prob: float = Field(default=0.9, gt=0, lt=1)
    seed: int = Field(default=0, ge=0)
    anyway: bool = False
    furthest: float = Field(default=FURTHEST, gt=0)

    def answer(self, fit: Fit) -> Answer:
        """Answer the question.

        Raises
        ------
        Refused
            If the fit gives reasons not to, and the question does not say ``anyway``.
        InvalidRequest
            If it cannot be asked of this fit.
        """
        reasons = doubts(fit, compute=self._compute(), furthest=self.furthest, trade_off=self._trades())
        refuse_unless(self.anyway, reasons)
        sentence, tables, compute = self._answered(fit)
        if compute is not None:
            late = [r for r in doubts(fit, compute=compute, furthest=self.furthest) if r not in reasons]
            refuse_unless(self.anyway, late)
            reasons += late
        said = self.model_dump(mode="json", exclude_defaults=True)
        about = {
            "question": type(self).__name__,
            **said,
            "loss_unit": fit.loss_unit,
            "converged": fit.converged,
            "verdict": fit.verdict,
        }
        return Answer(sentence, tables, reasons, about)

    def _compute(self) -> Any:
        """Return the budgets the question is about, where it says them."""
        return getattr(self, "compute", None)

    def _trades(self) -> bool:
        """Whether the answer trades size against data."""
        return True

    def _answered(self, fit: Fit) -> tuple[str, dict[str, pd.DataFrame], Any]:
        """Return the answer in words and in tables, and the compute it came to, where that is part of it."""
        raise NotImplementedError


def refuse_group(question: Question) -> None:
    """Refuse a group where the question has no use for one."""
    if question.group:
        raise InvalidRequest(f"{type(question).__name__} takes no group: leave {', '.join(question.group)} out.")


def of_one_law(fit: Fit) -> Fit:
    """Return the fit of one law that a question is asked of, or refuse a system."""
    return fit.for_loss()


class OnHardware(Strict):
    """What a question about cost runs on.

    Parameters
    ----------
    device : str
        An accelerator's name, or a TOML document.
    count : int, optional
        How many at once.
    price : float, optional
        Money an hour, over the device's.
    utilisation : float, optional
        Share of the peak, over the device's.
    """

    device: str = "h100"
    count: int | None = Field(default=None, ge=1)
    price: float | None = Field(default=None, gt=0)
    utilisation: float | None = Field(default=None, gt=0, le=1)

    def bill(self, compute: float, prob: float, seed: int) -> tuple[str, pd.DataFrame]:
        """Return what a compute costs, in words and as a table."""
        found = cost(compute, self.device, count=self.count, price=self.price, utilisation=self.utilisation, seed=seed)
        rows = {str(name): [float(bound) for bound in interval(values, prob)] for name, values in found.items()}
        table = pd.DataFrame.from_dict(rows, orient="index", columns=["median", "lower", "upper"]).rename_axis("cost")
        on = device(self.device)
        words = {name: on.currency if name == "money" else name.replace("_", " ") for name in rows}
        said = ", ".join(
            f"{_short(row[0])} {words[name]} ({_short(row[1])} to {_short(row[2])})" for name, row in rows.items()
        )
        return f"On {on.title}: {said}.", table


class OfText(Question):
    """A question about training on what text there is.

    Parameters
    ----------
    distinct_tokens : float, optional
        Distinct tokens; endless by default.
    repeats_worth : float
        As for :class:`~bayes_scaling.questions.surface.Supply`.
    """

    distinct_tokens: float | None = Field(default=None, gt=0)
    repeats_worth: float = Field(default=15.39, gt=0)

    @property
    def given(self) -> dict[str, Any]:
        """What every answer takes: the supply of text, where it is not endless, the group and the seed."""
        supply = None if self.distinct_tokens is None else Supply(self.distinct_tokens, self.repeats_worth)
        return {"supply": supply, "group": self.group, "seed": self.seed}


def _short(number: float) -> str:
    """Write an amount with three digits, thousands and millions in words."""
    for size, word in ((1e9, " billion"), (1e6, " million")):
        if abs(number) >= size:
            return f"{number / size:.3g}{word}"
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.3g}"
