"""A page for every law: what it is, what goes in and comes out, its formula, its source, and a picture."""

from __future__ import annotations

import inspect
from functools import cache
from itertools import groupby

import numpy as np

from bayes_scaling.laws import LAWS, Law, published, published_names
from bayes_scaling.model.document import read_model, shipped_models
from bayes_scaling.quantities import BY_COLUMN, QUANTITIES
from bayes_scaling.report.figures import BLUE, GREEN, ORANGE, styled
from bayes_scaling.wording import number, short
from docs.made.pictures import axes_of, label_logarithms
from docs.made.text import code, contents, documentation, drawing, heading, indented, joined, plain, table

_AXES = {
    "N": (1e7, 1e12),
    "N_total": (1e8, 1e13),
    "D": (1e9, 1e13),
    "D_unique": (1e9, 1e13),
    "C": (1e18, 1e25),
    "C_min": (1e18, 1e25),
    "S": (1e3, 1e6),
    "S_min": (1e3, 1e6),
    "B": (1e4, 1e8),
    "L": (2.0, 6.0),
    "L_infinite": (1.6, 1.9),
    "lr": (1e-4, 1e-2),
    "aspect": (5.0, 500.0),
    "head_width": (16.0, 256.0),
    "E_min": (1e16, 1e19),
    "x": (1e2, 1e8),
}
"""Where an input is drawn."""


def pages() -> dict[str, str]:
    """Return the pages of the laws."""
    shipped = {name: law for name, law in LAWS.items() if name not in LAWS.own}
    return {"laws/index.rst": _index(shipped)} | {f"laws/{name}.rst": _page(law) for name, law in shipped.items()}


def _index(laws: dict[str, Law]) -> str:
    parts = []
    for module, group in groupby(laws.values(), key=lambda law: law.function.__module__):
        room = inspect.getmodule(
            next(iter(laws[name] for name in laws if laws[name].function.__module__ == module)).function
        )
        rows = [(f":doc:`{law.name} <{law.name}>`", _signature(law), law.summary.partition(", :math:")[0]) for law in group]
        title = (inspect.getdoc(room) or module).partition("\n")[0].rstrip(".").replace("`", "")
        parts += [heading(title, "-"), table(("law", "what comes out, of what", "what it is"), rows)]
    said = "Every law is one function. A model document names it, and `bayes-scaling laws` lists them too."
    return joined(heading("Laws"), plain(said), *parts, contents(laws))


def _signature(law: Law) -> str:
    of = ", ".join(law.inputs)
    return plain(f"{law.output} of {of}" if of else law.output)


def _page(law: Law) -> str:
    module = law.function.__module__
    signature = ", ".join(
        [*law.inputs, "*", *(f"{n}={law.optional[n]:g}" if n in law.optional else n for n in law.parameters)]
    )
    return joined(
        heading(law.name),
        f".. py:currentmodule:: {module}",
        f".. py:function:: {law.name}({signature})\n\n{indented(documentation(law.documentation))}",
        heading("As code", "-"),
        code(law.formula.replace("; ", "\n")) if law.formula else "",
        _picture(law),
        _constants(law),
        _models(law),
    )


def _constants(law: Law) -> str:
    rows = []
    for name in published_names(law.name):
        record = published(name)
        values = ", ".join(f"{symbol} {number(value, 4)}" for symbol, value in record.values.items())
        rows.append((plain(f"`{name}`"), plain(record.where), plain(values), plain(record.note)))
    return joined(heading("Published constants", "-"), table(("record", "where", "constants", "note"), rows)) if rows else ""


@cache
def _laws_of_models() -> dict[str, list[str]]:
    """Return the laws of each shipped model."""
    return {name: [observation.law for observation in read_model(name).observations] for name in shipped_models()}


def _models(law: Law) -> str:
    using = [name for name, laws in _laws_of_models().items() if law.name in laws]
    if not using:
        return ""
    return joined(heading("Models that use it", "-"), ", ".join(f":doc:`{name} <../models/{name}>`" for name in using) + ".")


def _values(law: Law) -> tuple[dict[str, float], str]:
    """Return constants to draw a law with, and whose they are."""
    for name in published_names(law.name):
        if set(law.parameters) - set(law.optional) <= set(record := published(name).values):
            return dict(record), f"with the published constants {name}"
    middle = {symbol: float(np.sqrt(np.prod(_AXES[symbol]))) for symbol in (*law.inputs, *law.axes)}
    there = {name: 0.3 if kind.meaning == "an exponent" else 1.5 for name, kind in law.parameters.items()}
    there |= law.optional
    words = "with exponents of 0.3 and every other unknown 1.5 in the middle of the axes, to show the shape alone"
    return law.from_reference(there, middle), words


@styled
def _picture(law: Law) -> str:
    """Draw a law along its first input, at three values of its second."""
    if not law.inputs:
        return ""
    values, whose = _values(law)
    x = np.geomspace(*_AXES[law.inputs[0]], 80)
    rest = [float(np.sqrt(np.prod(_AXES[symbol]))) for symbol in law.inputs[2:]]
    figure, axes = axes_of(5.4, 2.8)
    second = law.inputs[1] if len(law.inputs) > 1 else None
    others = [None] if second is None else np.geomspace(*_AXES[second], 5)[[1, 2, 3]].tolist()
    with np.errstate(all="ignore"):
        for other, color in zip(others, (BLUE, ORANGE, GREEN), strict=False):
            y = np.broadcast_to(law(x, *([] if other is None else [other]), *rest, **values), x.shape)
            y = np.where(np.isfinite(y) & (y > 0), y, np.nan)
            axes.plot(np.log10(x), np.log10(y), color=color, label=other and f"{second} {short(other)}")
    axes.set(xlabel=_label(law.inputs[0]), ylabel=_label(law.output))
    label_logarithms(axes, "x")
    label_logarithms(axes, "y")
    if second is not None:
        axes.legend()
    at = ", ".join(f"{symbol} {short(value)}" for symbol, value in zip(law.inputs[2:], rest, strict=True))
    description = f"{law.output} of {law.inputs[0]}, {whose}{'; ' + at if at else ''}."
    return joined(heading("Picture", "-"), drawing(figure, law.name, description), plain(description))


def _label(name: str) -> str:
    quantity = QUANTITIES.get(name) or BY_COLUMN.get(name)
    return name if quantity is None else f"{quantity.symbol}, {quantity.column.replace('_', ' ')}"
