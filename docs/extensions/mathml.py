"""Formulas as MathML, which browsers draw themselves: the site needs no script and no network for them."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml


def _write(writer: Any, formula: str, *, as_block: bool) -> None:
    writer.body.append(tex2mathml(formula, as_block=as_block))
    raise nodes.SkipNode


def inline(writer: Any, node: nodes.math) -> None:
    """Write a formula in a line."""
    _write(writer, node.astext(), as_block=False)


def block(writer: Any, node: nodes.math_block) -> None:
    """Write a formula on a line of its own."""
    _write(writer, node.astext(), as_block=True)


def setup(app: Any) -> dict[str, bool]:
    """Make it a renderer of Sphinx."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
