"""What Jupyter shows of a result: a few sentences and tables, escaped, small, in the colours of the page."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import pandas as pd

ROWS: Final = 12
"""Rows of a table that are shown."""
_COLUMNS: Final = 12
_LETTERS: Final = 600


def paragraph(text: str, *, strong: bool = False) -> str:
    """Return a paragraph; a long text is cut.

    >>> paragraph("a < b", strong=True)
    '<p><strong>a &lt; b</strong></p>'
    """
    cut = text if len(text) <= _LETTERS else f"{text[:_LETTERS]} ..."
    said = escape(cut).replace("\n", "<br>")
    return f"<p><strong>{said}</strong></p>" if strong else f"<p>{said}</p>"


def listed(lines: Iterable[str]) -> str:
    """Return a list of sentences.

    >>> listed(["a", "b"])
    '<ul><li>a</li><li>b</li></ul>'
    """
    return "".join(["<ul>", *(f"<li>{escape(line[:_LETTERS])}</li>" for line in lines), "</ul>"])


def table(rows: pd.DataFrame, *, index: bool = True, number: Any = "{:.4g}".format) -> str:
    """Return the first rows of a table, and how many there are.

    >>> import pandas as pd
    >>> table(pd.DataFrame({"loss": range(30)})).count("<tr"), "18 rows more" in table(pd.DataFrame({"loss": range(30)}))
    (13, True)
    """
    shown = rows.head(ROWS)
    text = shown.to_html(index=index, max_cols=_COLUMNS, float_format=number, border=0)
    more = len(rows) - len(shown)
    return text + (f"<p>{more} row{'s' * (more != 1)} more.</p>" if more else "")


def titled(tables: dict[str, str]) -> str:
    """Return parts under their titles."""
    return "".join(f"<h4>{escape(name.replace('_', ' '))}</h4>{part}" for name, part in tables.items())
