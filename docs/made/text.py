"""Parts of a page in reStructuredText: headings, tables, lists of pages, code and pictures."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence

from matplotlib.figure import Figure
from numpydoc.docscrape_sphinx import SphinxDocString

from bayes_scaling.report.figures import as_svg


def heading(text: str, mark: str = "=") -> str:
    """Return a heading."""
    return f"{text}\n{mark * max(len(text), 4)}\n"


def plain(text: object) -> str:
    """Return text whose signs mean nothing; `code` in backticks is code, as in Markdown."""
    parts = re.split(r"`+([^`]+)`+", str(text))
    return "".join(f"``{part}``" if i % 2 else re.sub(r"([*|\\]|_(?!\w))", r"\\\1", part) for i, part in enumerate(parts))


def table(header: Sequence[str], rows: Iterable[Sequence[object]], *, widths: str = "auto") -> str:
    """Return a table; cells are reStructuredText."""
    lines = [".. list-table::", "   :header-rows: 1", f"   :widths: {widths}", ""]
    for row in (header, *rows):
        for i, cell in enumerate(row):
            text = " ".join(str(cell).split()) or " "
            lines.append(f"   {'* -' if i == 0 else '  -'} {text}".rstrip())
    return "\n".join(lines) + "\n"


def contents(names: Iterable[str]) -> str:
    """Return the list of pages below this one, for the navigation alone."""
    return ".. toctree::\n   :hidden:\n   :maxdepth: 1\n\n" + "".join(f"   {name}\n" for name in names)


def code(text: str, language: str = "python") -> str:
    """Return a block of code."""
    return f".. code-block:: {language}\n\n{indented(text.rstrip())}\n"


def indented(text: str) -> str:
    """Return text three spaces further in."""
    return textwrap.indent(text, "   ")


def documentation(text: str) -> str:
    """Return a numpydoc docstring as reStructuredText."""
    return str(SphinxDocString(textwrap.dedent(text), config={}))


def drawing(figure: Figure, name: str, description: str) -> str:
    """Return a figure drawn into the page in its own text colour, so that it is read on light and on dark."""
    svg = as_svg(figure, name)
    label = description.replace('"', "'")
    svg = svg.replace("<svg", f'<svg class="drawn" role="img" aria-label="{label}"', 1)
    return f".. raw:: html\n\n{indented(svg)}\n"


def joined(*parts: str) -> str:
    """Return parts with an empty line between them."""
    return "\n\n".join(part.rstrip() for part in parts if part) + "\n"
