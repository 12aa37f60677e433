"""Which questions there are, without importing them: every file of this folder is read for the classes that name a verb.

A new question is one new file, whose class has a ``name`` and a ``panel``; nothing lists it. A class defined elsewhere is
registered when its module is imported.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import bayes_scaling.questions as room
from bayes_scaling.plugins import Registry

LOADED: Final[Registry[type[Any]]] = Registry("question")
"""Questions whose module has been imported, by name."""


@dataclass(frozen=True)
class Entry:
    """One question: what a list of verbs needs of it.

    Parameters
    ----------
    name : str
        The verb.
    panel : str
        The group of verbs it belongs to.
    summary : str
        First line of its class's docstring.
    kind : str
        Its class.
    module : str
        Where the class is.
    aliases : tuple of str
        Other names of it.
    """

    name: str
    panel: str
    summary: str
    kind: str
    module: str
    aliases: tuple[str, ...] = ()

    def load(self) -> type[Any]:
        """Import the module, and return the class."""
        return getattr(import_module(self.module), self.kind)

    def answers_to(self, name: str) -> bool:
        """Whether this is a name of the question: its verb, an alias, or its class."""
        return name in (self.name, self.kind, *self.aliases) or name.replace("_", "-") == self.name


def entries() -> dict[str, Entry]:
    """Return every question by its verb.

    Examples
    --------
    >>> entries()["target"].panel
    'Budget'
    """
    files = [path for folder in room.__path__ for path in sorted(Path(folder).glob("*.py"))]
    found = {entry.name: entry for path in files for entry in _in_file(path, path.stat().st_mtime_ns)}
    return found | {n: _of_class(kind) for n, kind in LOADED.items() if n not in found and not _is_here(kind)}


def find(name: str) -> Entry | None:
    """Return the question of a name, an alias or a class; the file of that name is looked at first, the others if need be."""
    for folder in room.__path__:
        path = Path(folder) / f"{name.replace('-', '_')}.py"
        if path.stem.isidentifier() and path.is_file():
            for entry in _in_file(path, path.stat().st_mtime_ns):
                if entry.answers_to(name):
                    return entry
    return _of_name(name) or (_of_name(name) if name in LOADED else None)


def _of_name(name: str) -> Entry | None:
    return next((entry for entry in entries().values() if entry.answers_to(name)), None)


@cache
def _in_file(path: Path, _changed: int) -> tuple[Entry, ...]:
    """Return the questions of one file, by reading it."""
    found = []
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef):
            said = {
                target.id: ast.literal_eval(line.value)
                for line in node.body
                if isinstance(line, ast.Assign)
                for target in line.targets
                if isinstance(target, ast.Name) and target.id in ("name", "panel", "aliases")
            }
            if {"name", "panel"} <= set(said):
                module = f"{room.__name__}.{path.stem}"
                found.append(Entry(summary=_first_line(ast.get_docstring(node)), kind=node.name, module=module, **said))
    return tuple(found)


def _of_class(kind: type[Any]) -> Entry:
    return Entry(kind.name, kind.panel, _first_line(kind.__doc__), kind.__name__, kind.__module__, kind.aliases)


def _is_here(kind: Any) -> bool:
    """Whether a class belongs to this folder: then its file alone says whether it is still there."""
    return kind.__module__.rpartition(".")[0] == room.__name__


def _first_line(doc: str | None) -> str:
    return (doc or "").strip().partition("\n")[0]
