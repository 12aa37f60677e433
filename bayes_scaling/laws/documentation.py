"""The whole docstring of a law in numpydoc sections, from its short one and what its signature says."""

from __future__ import annotations

import re
import textwrap
from functools import cache

from bayes_scaling.files import DATA

_ENTRY = re.compile(r"^@\w+\{(\w+),(.*?)^\}", re.MULTILINE | re.DOTALL)
_FIELD = re.compile(r"(\w+) = \{(.*?)\},?\s*(?=\w+ = \{|\Z)", re.DOTALL)


def composed(written: str, **sections: dict[str, str]) -> str:
    """Return a docstring with all its sections: the prose as written, those given, and the example, from ``>>>`` on.

    A section has a text under each head; a head may be empty.

    >>> composed("Halve x.", Parameters={"x : float": "a number"}).splitlines()
    ['Halve x.', '', 'Parameters', '----------', 'x : float', '    A number.']
    """
    prose, start, rest = written.partition("\n>>> ")
    parts = [prose.rstrip()]
    for title, entries in sections.items():
        if entries:
            parts.append("\n".join([title, "-" * len(title), *(_entry(head, text) for head, text in entries.items())]))
    if start:
        parts.append(f"Examples\n--------{start}{rest}")
    return "\n\n".join(parts)


def _entry(head: str, text: str) -> str:
    wrapped = textwrap.fill(f"{text[:1].upper()}{text[1:]}.", 96, break_long_words=False, break_on_hyphens=False)
    return f"{head}\n{textwrap.indent(wrapped, '    ')}" if head else wrapped


def cited(source: str) -> str:
    """Return authors, year and title of a paper in ``data/references.bib``; a source that is not in it, as it is.

    >>> cited("kaplan2020")
    'Kaplan et al. (2020), Scaling Laws for Neural Language Models, arXiv:2001.08361'
    """
    if source not in _papers():
        return source
    paper = _papers()[source]
    families = [author.split(",")[0] for author in paper["author"].split(" and ")]
    authors = " and ".join(families) if len(families) < 3 and "others" not in families else f"{families[0]} et al."
    where = f", arXiv:{paper['eprint']}" if "eprint" in paper else ""
    return f"{authors} ({paper['year']}), {paper['title']}{where}"


@cache
def _papers() -> dict[str, dict[str, str]]:
    entries = _ENTRY.findall((DATA / "references.bib").read_text(encoding="utf-8"))
    return {key: dict(_FIELD.findall(fields)) for key, fields in entries}
