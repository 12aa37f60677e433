"""Results that are stored: a sentence, tables and facts, as JSON and as a card in Jupyter."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import pandas as pd

from bayes_scaling import display


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
        """Return facts, sentence and every table as JSON."""
        tables = {name: json.loads(table.to_json(orient="records")) for name, table in self.tables.items()}
        return json.dumps({"facts": self.facts, "sentence": self.sentence, **tables}, indent=1)

    def _repr_html_(self) -> str:
        return display.paragraph(self.sentence) + display.table(next(iter(self.tables.values())), index=False)
