"""Pages that are written: those of this folder, the notebooks, and what they link to, each at its place in the repository."""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).parent.parent
ROOT = HERE.parent
_OF_THE_REPOSITORY = (
    "notebooks/*.ipynb",
    "notebooks/*/README.md",
    "notebooks/*/*.toml",
    "notebooks/**/*.png",
    "models/*.toml",
    "data/ladder/*",
    "data/references.bib",
    "data/pile_families/card.toml",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "CITATION.cff",
)
_SUFFIXES = (".md", ".ipynb", ".png", ".toml", ".bib", ".cff", ".svg")


def pages() -> dict[str, bytes]:
    """Return every written page by its place in the site."""
    written = {path.relative_to(HERE).as_posix(): path for path in HERE.rglob("*.md")}
    kept = {path.relative_to(ROOT).as_posix(): path for pattern in _OF_THE_REPOSITORY for path in ROOT.glob(pattern)}
    of_tables = {name: path for name, path in kept.items() if path.suffix in _SUFFIXES}
    return {name: path.read_bytes() for name, path in (written | of_tables).items()}
