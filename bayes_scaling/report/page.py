"""A page: a verdict, answers and sections of paragraphs, tables and figures, in one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Formatter
from typing import Any, ClassVar, Final

import jinja2
import pandas as pd
from matplotlib.figure import Figure

from bayes_scaling.errors import Unwritable
from bayes_scaling.files import write_whole
from bayes_scaling.posterior.fit import Fit
from bayes_scaling.report.interactive import Interactive
from bayes_scaling.wording import number, percent, power, short


@dataclass(frozen=True)
class Text:
    """A paragraph in a style of the page: ``soft``, ``warning``, ``code`` or ``document``."""

    words: str
    style: str
    macro: ClassVar[str] = "text"


@dataclass(frozen=True)
class Table:
    """A table: columns of words are set left, all others hold formatted numbers."""

    caption: str
    columns: Sequence[str]
    cells: Sequence[Sequence[str]]
    words: Sequence[str] = ()
    macro: ClassVar[str] = "table"


@dataclass(frozen=True)
class Folded:
    """Parts of the page behind one line, which opens them."""

    summary: str
    parts: Sequence[str | Text | Table | Figure | None]
    macro: ClassVar[str] = "folded"


Part = str | Text | Table | Figure | Folded | None
Sections = Mapping[str, Sequence[Part]]
"""Parts of the page by heading, a string being a paragraph; what is None or empty is left out."""
_NO_PAGE: Final = (".pdf", ".png", ".svg", ".docx", ".md", ".json", ".csv", ".nc")
"""Suffixes of files that a page in HTML is none of."""
_NOTATIONS: Final = {"short": short, "number": number, "power": power}


class _Cell(Formatter):
    """Format strings over the columns of a row, with the notations of the package, and ``%`` for a share in per cent."""

    def get_field(self, field_name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, str]:
        """Take the name of a column whole: some have a dot."""
        return kwargs[field_name], field_name

    def format_field(self, value: Any, format_spec: str) -> str:
        if format_spec in _NOTATIONS:
            return _NOTATIONS[format_spec](value)
        if format_spec.endswith(" %"):
            return f"{100 * value:{format_spec.removesuffix(' %')}} %"
        return super().format_field(value, format_spec)


def cell(template: str, row: Mapping[Any, Any]) -> str:
    """Fill a format string from a row.

    Examples
    --------
    >>> cell("{params:short} ({coverage_0.9:.0f %})", {"params": 7.23e10, "coverage_0.9": 0.91})
    '72.3B (91 %)'
    """
    return _Cell().vformat(template, (), {str(name): value for name, value in row.items()})


def table_of(rows: pd.DataFrame, caption: str, cells: Mapping[str, str], words: Sequence[str] = ()) -> Table:
    """Return the rows of a DataFrame as a table of the page, with a format string for each column: see :func:`cell`."""
    records = rows.to_dict("records")
    return Table(caption, list(cells), [[cell(template, row) for template in cells.values()] for row in records], words)


def conventions(fit: Fit, prob: float) -> str:
    """Return what intervals, losses and sizes of a page are."""
    return (
        f"All intervals are equal-tailed with probability {percent(prob)}. Losses are in {fit.loss_unit}; N counts "
        f"{fit.facts.get('params', 'non-embedding')} parameters; C = 6 N D."
    )


def write_page(
    path: str | Path,
    *,
    title: str,
    verdict: str,
    converged: bool,
    answers: Sequence[str],
    conventions: str,
    sections: Sections,
    adequate: bool = True,
    checks: Sequence[Part] = (),
    interactive: Interactive | None = None,
) -> Path:
    """Write a page in one piece.

    The answers come first, but for the verdict on a posterior that has not converged; then the verdict in one line, which opens
    the checks, the part that answers by itself, and every section that has parts.
    """
    if (suffix := Path(path).suffix.lower()) in _NO_PAGE:
        raise Unwritable(
            f"{path} would hold a page in HTML, which {suffix} is not: end its name in .html, and print it from a browser."
        )
    parts = {heading: [part for part in section if part] for heading, section in sections.items()}
    loader = jinja2.PackageLoader("bayes_scaling.report", package_path="")
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    page = environment.get_template("page.html").render(
        title=title,
        verdict=verdict,
        converged=converged,
        adequate=adequate,
        answers=answers,
        conventions=conventions,
        checks=[part for part in checks if part],
        sections={heading: section for heading, section in parts.items() if section},
        interactive=interactive,
    )
    return write_whole(path, page)
