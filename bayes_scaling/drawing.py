"""A figure that Jupyter shows without an import, on paper of its own: readable on light pages and on dark ones."""

from __future__ import annotations

import io
import re
from typing import Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure

_PAPER: Final = "white"
_SETTINGS: Final[Any] = {"svg.fonttype": "none", "svg.hashsalt": "drawing"}
_LINES: Final = "stroke-linejoin: round; stroke-linecap: butt"
_OF_ALL: Final = f'<style type="text/css">*{{{_LINES}}}</style>'
"""What matplotlib says of every element: on a page it would be said of the page's own, too."""
_NOTHING: Final = {"Date": None, "Creator": None, "Type": None, "Format": None}


class Drawing(Figure):
    """A figure of matplotlib; ``savefig`` keeps it, and Jupyter shows it whether pyplot was imported or not.

    >>> Drawing(figsize=(2, 1)).svg()[:4]
    '<svg'
    """

    def svg(self) -> str:
        """Return the figure as SVG, without a header."""
        file = io.StringIO()
        with mpl.rc_context(_SETTINGS):
            self.savefig(file, format="svg", facecolor=_PAPER, metadata=_NOTHING)
        text = file.getvalue()
        text = text[text.index("<svg") :].replace(_OF_ALL, "").replace("<svg", f'<svg style="{_LINES}"', 1)
        text = re.sub(r"\n\s+", "\n", re.sub(r"\s*<!--.*?-->", "", text, flags=re.DOTALL))
        return re.sub(r' (d|transform)="[^"]*"', _shortened, text)

    def _repr_svg_(self) -> str:
        return self.svg()


def _shortened(attribute: re.Match[str]) -> str:
    """Return where something lies to a tenth of a point."""
    return re.sub(r"(\.\d)\d+", r"\1", " ".join(attribute.group().split()).join((" ", "")))


def canvas(width: float, height: float) -> Drawing:
    """Return an empty figure of a size in inches."""
    return Drawing(figsize=(width, height), layout="constrained")
