"""Write docs/about/validation.md from the record of the long suite: ``python -m tests.validation.page``."""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from tests.validation.record import ROOT, read

PAGE = ROOT / "docs" / "about" / "validation.md"
_LONGEST = 30
"""Lines above which what tests printed is folded."""
HEAD = """# Validation

What `make validate` found: the long suite samples posteriors of simulated and of public tables, kills long work, and tries what nobody means at every
door. It takes hours; a run that was interrupted is continued with `make validate CONTINUE=1`. This page is written from the record that it
keeps, `tests/validation/record.json`; figures are as the tests print them.
"""


def page() -> str:
    """Return the page."""
    record = read()
    files: dict[str, dict[str, list[tuple[str, dict[str, Any]]]]] = defaultdict(lambda: defaultdict(list))
    for name, test in record["tests"].items():
        file, _, rest = name.partition("::")
        function, _, case = rest.partition("[")
        files[file][function].append((case.removesuffix("]"), test))
    known = {file: _functions(ROOT / file) for file in files if (ROOT / file).exists()}
    lines = [HEAD, *_summary(record), "", "## File by file", ""]
    for file, functions in sorted(files.items()):
        there = {name: cases for name, cases in functions.items() if name in known.get(file, {})}
        if not there:
            continue
        lines += [
            f"### {_title(ROOT / file)}",
            "",
            f"`{file}`",
            "",
            "| test | cases | minutes | day | commit |",
            "|---|---|---|---|---|",
        ]
        for function, cases in there.items():
            tests = [test for _, test in cases]
            minutes = sum(test["seconds"] for test in tests) / 60
            days = sorted({test["day"] for test in tests})
            commits = dict.fromkeys(record["runs"][test["run"]]["commit"] for test in tests)
            lines.append(
                f"| {function.removeprefix('test_').replace('_', ' ')} | {_outcomes(tests)} | {minutes:.1f} | "
                f"{' to '.join(dict.fromkeys((days[0], days[-1])))} | {', '.join(commits)} |"
            )
        told = [line for cases in there.values() for case in cases for line in _told(*case)]
        lines += ["", *_folded(told), ""] if told else [""]
    return "\n".join(lines).rstrip() + "\n"


def _summary(record: dict[str, Any]) -> list[str]:
    """Return how many tests ended how, on which machines."""
    tests = list(record["tests"].values())
    runs = [record["runs"][run] for run in dict.fromkeys(test["run"] for test in tests)]
    lines = [
        f"{len(tests)} tests: {_outcomes(tests)}; {sum(test['seconds'] for test in tests) / 3600:.1f} hours of one process.",
        "",
    ]
    for run in runs:
        versions = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
        lines.append(f"- commit {run['commit']}: Python {run['python']}, {versions}; {run['processor']}")
    return lines


def _outcomes(tests: list[dict[str, Any]]) -> str:
    """Return how many cases ended how; failures in bold."""
    counts = Counter(test["outcome"] for test in tests)
    return ", ".join(
        f"{'**' * (kind == 'failed')}{counts[kind]} {kind}{'**' * (kind == 'failed')}" for kind in sorted(counts)
    )


def _told(case: str, test: dict[str, Any]) -> list[str]:
    """Return what a case printed, or why it was skipped."""
    printed = [line.rstrip() for line in test["printed"].splitlines() if line.strip()]
    return [f"{case}: {printed[0]}" if case and case not in printed[0] else printed[0], *printed[1:]] if printed else []


def _folded(told: list[str]) -> list[str]:
    """Return what tests printed as a block, folded where it is long."""
    block = ["```text", *told, "```"]
    if len(told) <= _LONGEST:
        return block
    return [f"<details><summary>What they printed, {len(told)} lines</summary>", "", *block, "", "</details>"]


def _title(path: Path) -> str:
    """Return the first sentence of what a file says of itself."""
    said = ast.get_docstring(ast.parse(path.read_text())) or path.stem
    return said.splitlines()[0].rstrip(".")


def _functions(path: Path) -> set[str]:
    """Return the names of the tests of a file."""
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


if __name__ == "__main__":
    PAGE.write_text(page())
