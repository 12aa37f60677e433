"""The site: gathers written pages, notebooks and made pages in one folder, and runs Sphinx on it.

``python -m docs.build`` writes ``site/html``; nothing is downloaded and no posterior is sampled.
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path

from sphinx.cmd.build import build_main

from docs.made import commands, copies, errors, figures, interface, laws, models, questions

HERE = Path(__file__).parent
OUT = HERE.parent / "site"


def gather(source: Path) -> None:
    """Bring every page of the site into one folder; a page that has not changed is left as it is, for Sphinx to skip."""
    pages: dict[str, str | bytes] = {}
    for made in (copies, laws, models, questions, figures, interface, errors, commands):
        pages |= made.pages()
    for old in source.rglob("*"):
        if old.is_file() and old.relative_to(source).as_posix() not in pages:
            old.unlink()
    for name, content in pages.items():
        path, whole = source / name, content.encode() if isinstance(content, str) else content
        if not path.is_file() or path.read_bytes() != whole:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(whole)


def build(out: Path) -> int:
    """Build the site below ``out``; any warning is an error. Returns the exit code."""
    gather(out / "source")
    folders = [str(out / "source"), str(out / "html")]
    return build_main(["-b", "html", "-W", "--keep-going", "-q", "-c", str(HERE), "-d", str(out / "doctrees"), *folders])


if __name__ == "__main__":
    gc.disable()  # a tenth of the time: the pages are kept to the end anyway
    sys.exit(build(Path(sys.argv[1]) if len(sys.argv) > 1 else OUT))
