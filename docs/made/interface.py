"""The reference: a page for every public name, made of its docstring."""

from __future__ import annotations

import inspect
from types import ModuleType
from typing import Any

import bayes_scaling as bs
from bayes_scaling.questions.base import QUESTIONS
from docs.made.text import contents, heading, joined, plain, table

ROOMS = {
    "bayes_scaling": "What most work needs, by the usual name ``import bayes_scaling as bs``",
    "bayes_scaling.laws": "Laws, published constants and counts of Transformers",
    "bayes_scaling.readers": "Runs out of the logs of trackers and trainers",
    "bayes_scaling.questions": "Questions, asked of a posterior",
    "bayes_scaling.evaluation": "How well forecasts come out",
    "bayes_scaling.plots": "Figures",
    "bayes_scaling.batch": "Many tables, many models",
}


def names() -> dict[str, list[str]]:
    """Return the public names of each room."""
    return {room: sorted(n for n in dir(room_of(room)) if not n.startswith("_") and _is_public(room, n)) for room in ROOMS}


def room_of(name: str) -> Any:
    """Return a room by its name."""
    return bs if name == "bayes_scaling" else getattr(bs, name.rpartition(".")[2])


def _is_public(room: str, name: str) -> bool:
    return name in getattr(room_of(room), "__all__", dir(room_of(room)))


def page_of(room: str, name: str) -> str:
    """Return the page that documents a name, without its suffix: that of the first room which has it."""
    thing = getattr(room_of(room), name)
    if isinstance(thing, ModuleType):
        return f"reference/bayes_scaling.{name}"
    if isinstance(thing, type) and thing in QUESTIONS.values():
        return f"questions/{thing.name}"
    first = next((r for r in ROOMS if name in dir(room_of(r)) and getattr(room_of(r), name, None) is thing), room)
    return f"reference/{first}.{name}"


def pages() -> dict[str, str]:
    """Return the pages of the reference."""
    found = {"reference/index.rst": _index()}
    for room, public in names().items():
        if room != "bayes_scaling":
            found[f"reference/{room}.rst"] = _room_page(room, public)
        for name in public:
            if page_of(room, name) == f"reference/{room}.{name}" and f"{room}.{name}" not in ROOMS:
                found[f"reference/{room}.{name}.rst"] = _page(room, name)
    return found


def _index() -> str:
    rooms = [room for room in ROOMS if room != "bayes_scaling"]
    public = names()["bayes_scaling"]
    rows = [(f":doc:`{room} </reference/{room}>`", ROOMS[room]) for room in rooms]
    own = [f"bayes_scaling.{name}" for name in public if f"bayes_scaling.{name}" not in ROOMS]
    return joined(
        heading("Python"),
        ROOMS["bayes_scaling"] + ":",
        _table("bayes_scaling", [name for name in public if f"bayes_scaling.{name}" not in ROOMS]),
        heading("Further rooms", "-"),
        table(("room", "what is in it"), rows),
        contents([*own, *rooms]),
    )


def _room_page(room: str, public: list[str]) -> str:
    own = [f"{room}.{name}" for name in public if page_of(room, name) == f"reference/{room}.{name}"]
    return joined(heading(room), f"{ROOMS[room]}.", _table(room, public), contents(own) if own else "")


def _table(room: str, public: list[str]) -> str:
    return table(
        ("name", "what it is"), [(f":doc:`{name} </{page_of(room, name)}>`", _summary(room, name)) for name in public]
    )


def _summary(room: str, name: str) -> str:
    thing = getattr(room_of(room), name)
    own = inspect.getdoc(thing) or "" if callable(thing) else "Every one by its name."
    return plain(own.partition("\n")[0])


def _page(room: str, name: str) -> str:
    thing, path = getattr(room_of(room), name), f"{room}.{name}"
    if isinstance(thing, type):
        members = "" if issubclass(thing, Warning | Exception) else "\n   :members:\n   :exclude-members: model_config"
        shown = f".. autoclass:: {path}{members}"
    else:
        shown = f".. auto{'function' if callable(thing) else 'data'}:: {path}"
    return joined(heading(name), shown)
