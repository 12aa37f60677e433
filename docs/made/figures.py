"""The gallery: every function of `bs.plots`, with the figure that its own example draws."""

from __future__ import annotations

import inspect
from typing import Any

from matplotlib.figure import Figure

import bayes_scaling as bs
from docs.made.examples import returned
from docs.made.text import drawing, heading, joined, plain


def pages() -> dict[str, str]:
    """Return the page of the figures."""
    said = (
        "Figures are matplotlib's: Jupyter shows them, `savefig` keeps them. Each is drawn here by the example of its function; the "
        'posteriors of examples are made by hand, not measured. A question has a figure too: `bs.ask(fit, "regret", '
        "compute=1e23).figure()`; they are on the pages of the questions."
    )
    return {"figures.rst": joined(heading("Figures"), plain(said), *map(_section, sorted(bs.plots.__all__)))}


def _section(name: str) -> str:
    function: Any = getattr(bs.plots, name)
    made = returned(function, (inspect.getmodule(function), function.__name__), (bs.plots, name))
    if not made:
        raise ValueError(f"The example of bs.plots.{name} draws nothing: let its docstring call it.")
    summary = plain((inspect.getdoc(function) or "").partition("\n")[0])
    shown = "It is a widget, which Jupyter shows."
    if isinstance(made[-1], Figure):
        shown = drawing(made[-1], name, summary)
    return joined(heading(f"bs.plots.{name}", "-"), f"{summary} :doc:`reference/bayes_scaling.plots.{name}`", shown)
