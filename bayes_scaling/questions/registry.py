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
    """What a list of verbs needs of one question: the verb, its panel, the first line of its docstring, class and module."""

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

    >>> entries()["target"].panel
    'Budget'
    """
    files = [path for folder in room.__path__ for path in sorted(Path(folder).glob("*.py"))]
    here = {entry.name: entry for path in files for entry in _in_file(path, path.stat().st_mtime_ns)}
    elsewhere = {  # of a class of this folder its file alone says whether it is still there
        name: Entry(name, kind.panel, _summary(kind.__doc__), kind.__name__, kind.__module__, kind.aliases)
        for name, kind in LOADED.items()
        if name not in here and kind.__module__.rpartition(".")[0] != room.__name__
    }
    return here | elsewhere


def find(name: str) -> Entry | None:
    """Return the question of a name, an alias or a class; the file of that name is looked at first, the others if need be."""
    for folder in room.__path__:
        path = Path(folder) / f"{name.replace('-', '_')}.py"
        if path.stem.isidentifier() and path.is_file():
            for entry in _in_file(path, path.stat().st_mtime_ns):
                if entry.answers_to(name):
                    return entry
    return _of_name(name) or (_of_name(name) if name in LOADED else None)  # to look into LOADED imports plug-ins


def _of_name(name: str) -> Entry | None:
    return next((entry for entry in entries().values() if entry.answers_to(name)), None)


@cache
def _in_file(path: Path, _changed: int) -> tuple[Entry, ...]:
    """Return the questions of one file, by reading it."""
    questions = []
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef):
            stated = {
                target.id: ast.literal_eval(line.value)
                for line in node.body
                if isinstance(line, ast.Assign | ast.AnnAssign) and line.value is not None
                for target in (line.targets if isinstance(line, ast.Assign) else [line.target])
                if isinstance(target, ast.Name) and target.id in ("name", "panel", "aliases")
            }
            if stated.get("name") and "panel" in stated:
                summary, module = _summary(ast.get_docstring(node)), f"{room.__name__}.{path.stem}"
                questions.append(Entry(summary=summary, kind=node.name, module=module, **stated))
    return tuple(questions)


def _summary(doc: str | None) -> str:
    return (doc or "").strip().partition("\n")[0]
