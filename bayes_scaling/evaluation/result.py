"""Results that are stored: a sentence, tables and facts, as JSON and as a card in Jupyter."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import pandas as pd

from bayes_scaling import display
from bayes_scaling.files import sealed_json


class Result(ABC):
    """A result with a sentence, tables and facts; a subclass is a dataclass of the tables that are stored, and ``facts``."""

    facts: dict[str, Any]

    @property
    @abstractmethod
    def sentence(self) -> str:
        """The result in a sentence, for a report."""

    @property
    @abstractmethod
    def tables(self) -> Mapping[str, pd.DataFrame]:
        """Every table by name, what summarises the others first."""

    def to_json(self) -> str:
        """Return facts, sentence and every table as JSON, sealed by a digest."""
        tables = {name: json.loads(table.to_json(orient="records")) for name, table in self.tables.items()}
        return sealed_json({"facts": self.facts, "sentence": self.sentence, **tables})

    @staticmethod
    def stored_table(document: Mapping[str, Any], name: str, **columns: str) -> pd.DataFrame:
        """Return a table of a stored result whose columns have the kinds given, ``"text"`` or kinds of numpy; by default all are numbers.

        Raises
        ------
        ValueError
            If it lacks one, or has something else in it.
        """
        rows = document[name]
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise ValueError(f"{name} is no table")
        table = pd.DataFrame(rows)
        if missing := [column for column in columns if column not in table]:
            raise ValueError(f"{name} lacks {', '.join(missing)}")
        for column, values in table.items():
            kind = columns.get(str(column), "any" if columns else "fi")
            if values.map(type).isin([dict, list]).any():
                raise ValueError(f"{name}: {column} has lists in it")
            if kind == "text" and not values.map(lambda value: isinstance(value, str)).all():
                raise ValueError(f"{name}: {column} has to be text")
            if kind not in ("any", "text") and len(values) and values.dtype.kind not in kind:
                raise ValueError(f"{name}: {column} has to be {'true or false' if kind == 'b' else 'numbers'}")
        return table

    def _repr_html_(self) -> str:
        return display.paragraph(self.sentence) + display.table(next(iter(self.tables.values())), index=False)
