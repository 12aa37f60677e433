"""Where the files shipped with the package are: model documents and small tables."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_PACKAGE = Path(__file__).parent
_INSTALLED = _PACKAGE / "_shipped"

_ROOT: Final = _INSTALLED if _INSTALLED.is_dir() else _PACKAGE.parent

MODELS: Final = _ROOT / "models"
"""Folder of the shipped model documents: in the wheel beside the code, in a checkout at the top."""

DATA: Final = _ROOT / "data"
"""Folder of the shipped tables."""
