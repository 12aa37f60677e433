"""What was collected: runs, the points along them, what was left out, and every choice made on the way."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

from bayes_scaling import display
from bayes_scaling.files import whole_file, write_whole
from bayes_scaling.runs.card import Card, card_beside, write_card
from bayes_scaling.runs.cells import csv_of
from bayes_scaling.runs.table import RunTable

_SHOWN: Final = 20
"""Runs that were left out, of which each has a line."""


@dataclass(frozen=True, eq=False)
class Collected:
    """Runs that were collected, and all that was decided on the way.

    Parameters
    ----------
    runs : RunTable
        A row a run, or a point of one with ``at="all"``; checked, ready to fit.
    curves : DataFrame
        A row a logged point of the loss, with the columns of its run; no rows where only ends are known.
    dropped : DataFrame
        ``run_id`` and ``reason`` of each run that was left out.
    card : Card
        What the numbers mean; ``notes`` has every assumption and rule, a line each.
    assumed : tuple of str
        Which field each column was taken to be, sentences.
    rules : tuple of str
        How columns that no field has were worked out, sentences.
    what : str
        What the source is.

    Examples
    --------
    >>> from bayes_scaling.runs.collecting.collect import collect
    >>> collect(pd.DataFrame({"params": ["17M", "30M"], "tokens": ["1B", "2B"], "loss": [3.4, 3.1], "state": ["ok", "crashed"]}))
    <Collected: 1 run from a table of 2 rows; 1 left out>
    """

    runs: RunTable
    curves: pd.DataFrame
    dropped: pd.DataFrame
    card: Card
    assumed: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    what: str = ""

    def __repr__(self) -> str:
        return f"<Collected: {self.sentence}>"

    @property
    def sentence(self) -> str:
        """What was collected, in words."""
        points = f", {len(self.curves)} points along them" if len(self.curves) else ""
        left = f"; {len(self.dropped)} left out" if len(self.dropped) else ""
        return f"{len(self.runs)} run{'s' * (len(self.runs) != 1)} from {self.what}{points}{left}"

    @property
    def lines(self) -> list[str]:
        """Assumptions, rules and what was left out, a sentence each; of many that were left out some, and how many more."""
        assumed = [f"assumed: {line}" for line in self.assumed]
        left_out = [f"left out: {row.run_id}: {row.reason}" for row in self.dropped.iloc[:_SHOWN].itertuples()]
        if (more := len(self.dropped) - _SHOWN) > 0:
            left_out.append(f"left out: {more:,} more, which --json lists (in Python dropped)")
        return [*assumed, *(f"rule: {line}" for line in self.rules), *left_out]

    def _repr_html_(self) -> str:
        return display.paragraph(self.sentence) + display.listed(self.lines) + display.table(self.runs.table, index=False)

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the curves as plain data."""
        return {
            "sentence": self.sentence,
            "runs": self.runs.table.to_dict("records"),
            "dropped": self.dropped.to_dict("records"),
            "assumed": list(self.assumed),
            "rules": list(self.rules),
            "card": {name: getattr(self.card, name) for name in Card.__dataclass_fields__},
        }

    def csv(self) -> str:
        """Return the runs as CSV, without the columns that follow from the others."""
        return csv_of(self.runs.table.drop(columns=[c for c in self.runs.derived if c in self.runs.table]))

    def save(self, out: str | Path, curves: str | Path | None = None) -> list[Path]:
        """Write the runs as CSV, their card beside them, and the curves where they are asked for; return the paths."""
        card = write_card(self.card, card_beside(Path(out)))  # before the runs, which mean something else without it
        written = [write_whole(out, self.csv()), card]
        if curves is not None:
            with whole_file(curves) as unfinished:
                if Path(curves).suffix in (".parquet", ".pq"):
                    self.curves.to_parquet(unfinished, index=False)
                else:
                    unfinished.write_text(csv_of(self.curves), encoding="utf-8", newline="")
            written.append(Path(curves))
        return written
