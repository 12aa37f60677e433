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


_MANY: Final = 1000
"""Marks from which on a series is one element of a page."""
_ROUND: Final = re.compile(r'<path id="(\w+)" d="M 0 ([\d.]+) \nC ')
_USE: Final = r'<use xlink:href="#%s" x="%s" y="%s" style="%s"/>\s*'
_DOT: Final = re.compile(_USE % (r"(\w+)", r"([\d.-]+)", r"([\d.-]+)", r'([^"]*)'))
_DOTS: Final = re.compile(f"(?:{_USE % (r'\w+', r'[\d.-]+', r'[\d.-]+', r'[^"]*')}){{{_MANY},}}")
_LINE: Final = r'<path d="%sM [\d.-]+ [\d.-]+ \nL [\d.-]+ [\d.-]+ \n%s" %sclip-path="[^"]*" style="[^"]*"%s/>\s*'
_BAR: Final = re.compile(_LINE % ("(", ")", "(", ")"))
_BARS: Final = re.compile(f"(?:{_LINE % ('', '', '', '')}){{{_MANY},}}")


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
        text = with_joined_marks(text)
        text = text[text.index("<svg") :].replace(_OF_ALL, "").replace("<svg", f'<svg style="{_LINES}"', 1)
        text = re.sub(r"\n\s+", "\n", re.sub(r"\s*<!--.*?-->", "", text, flags=re.DOTALL))
        return re.sub(r' (d|transform)="[^"]*"', _shortened, text)

    def _repr_svg_(self) -> str:
        return self.svg()


def with_joined_marks(svg: str) -> str:
    """Return SVG of matplotlib in which the dots, or bars, of a series of many are one element: a twentieth of the size.

    >>> axes = (figure := canvas(2, 1)).subplots()
    >>> _ = axes.plot(range(2000), "o")
    >>> figure.svg().count("<use") < 50
    True
    """
    radii = dict(_ROUND.findall(svg))
    return _BARS.sub(_joined_bars, _DOTS.sub(lambda dots: _joined_dots(dots.group(), radii), svg))


def _joined_dots(dots: str, radii: dict[str, str]) -> str:
    """Return uses of round marks as paths of lines without length, with round ends."""
    series = dict[tuple[str, ...], list[str]]()
    for mark, x, y, style in _DOT.findall(dots):
        series.setdefault((mark, style), []).append(f"M{float(x):.1f} {float(y):.1f}h0")
    if not {mark for mark, _ in series} <= set(radii):
        return dots
    return "".join(
        f'<path d="{"".join(dict.fromkeys(places))}" style="{_as_line(style)}; stroke-width: {2 * float(radii[mark]):g}"/>'
        for (mark, style), places in series.items()
    )


def _as_line(style: str) -> str:
    """Return the style of a filled mark as that of a line."""
    return "fill: none; stroke-linecap: round; " + re.sub(r"^fill: [^;]*; (?:fill-opacity: [^;]*; )?", "", style)


def _joined_bars(bars: re.Match[str]) -> str:
    """Return lines of two points in one style as one path."""
    series = dict[str, list[str]]()
    for where, style in _BAR.findall(bars.group()):
        series.setdefault(style, []).append(_to_a_tenth(where))
    return "".join(f'<path d="{"".join(lines)}" {style}/>' for style, lines in series.items())


def _shortened(attribute: re.Match[str]) -> str:
    """Return an attribute that says where something lies to a tenth of a point."""
    return f" {_to_a_tenth(attribute.group())}"


def _to_a_tenth(where: str) -> str:
    """Return numbers to a tenth, between single spaces."""
    return re.sub(r"(\.\d)\d+", r"\1", " ".join(where.split()))


def canvas(width: float, height: float) -> Drawing:
    """Return an empty figure of a size in inches."""
    return Drawing(figsize=(width, height), layout="constrained")
