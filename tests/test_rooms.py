"""The rooms of the package: how many modules stand at its root, and that what a posterior is made of is asked in few of them."""

from __future__ import annotations

import ast
from pathlib import Path

import bayes_scaling

ROOT = Path(bayes_scaling.__file__).parent
KINDS = {"Fit", "Mixture"}
WHERE_ASKED = {"model", "posterior"}


def test_few_modules_stand_at_the_root():
    assert len([path for path in ROOT.glob("*.py") if not path.stem.startswith("__")]) <= 8


def test_no_other_room_tells_kinds_of_posterior_apart():
    """Questions, pages and the service ask a posterior what it can do, not what it is."""
    asked = []
    for path in ROOT.rglob("*.py"):
        if path.relative_to(ROOT).parts[0] in WHERE_ASKED:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
                named = {each.id for each in ast.walk(node.args[1]) if isinstance(each, ast.Name)}
                asked += [f"{path.relative_to(ROOT)}:{node.lineno}"] if named & KINDS else []
    assert not asked
